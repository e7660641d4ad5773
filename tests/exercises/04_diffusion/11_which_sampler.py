# wrong: invert: down the levels
def invert(denoiser, x, sigmas):
    for sigma, lower in pairwise(sigmas):
        x = x + (lower - sigma) * (x - denoiser(x, sigma)) / sigma
    return x


# wrong: invert: the slope is not divided by the level
def invert(denoiser, x, sigmas):
    for sigma, higher in pairwise(sigmas.flip(0)):
        x = x + (higher - sigma) * (x - denoiser(x, sigma))
    return x


# wrong: invert: one step for the whole way
def invert(denoiser, x, sigmas):
    return x + (sigmas[0] - sigmas[-1]) * (x - denoiser(x, sigmas[-1])) / sigmas[-1]


# wrong: invert: the step of sampling, up the levels
def invert(denoiser, x, sigmas):
    for sigma, higher in pairwise(sigmas.flip(0)):
        x = x - (higher - sigma) * (x - denoiser(x, sigma)) / sigma
    return x


# wrong: invert: the forward process, which is not the inverse
def invert(denoiser, x, sigmas):
    return x + sigmas[0] * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x)
