# wrong: denoiser_of: the variance is forgotten
def denoiser_of(log_density):
    def denoise(y, sigma):
        at = y.detach().requires_grad_()
        (score,) = torch.autograd.grad(log_density(at, sigma).sum(), at)
        return y + score

    return denoise


# wrong: denoiser_of: sigma is not squared
def denoiser_of(log_density):
    def denoise(y, sigma):
        at = y.detach().requires_grad_()
        (score,) = torch.autograd.grad(log_density(at, sigma).sum(), at)
        return y + sigma * score

    return denoise


# wrong: denoiser_of: the mean of the log densities
def denoiser_of(log_density):
    def denoise(y, sigma):
        at = y.detach().requires_grad_()
        (score,) = torch.autograd.grad(log_density(at, sigma).mean(), at)
        return y + sigma**2 * score

    return denoise


# wrong: denoiser_of: down the hill
def denoiser_of(log_density):
    def denoise(y, sigma):
        at = y.detach().requires_grad_()
        (score,) = torch.autograd.grad(log_density(at, sigma).sum(), at)
        return y - sigma**2 * score

    return denoise
