# wrong: further: levels are subtracted, not variances
def further(y, sigma, sigma_next, generator):
    return y + (sigma_next - sigma) * noise_like(y, generator)


# wrong: further: the square root is forgotten
def further(y, sigma, sigma_next, generator):
    return y + (sigma_next**2 - sigma**2) * noise_like(y, generator)


# wrong: further: all of the new level is added
def further(y, sigma, sigma_next, generator):
    return y + sigma_next * noise_like(y, generator)


# wrong: further: one number for the whole picture
def further(y, sigma, sigma_next, generator):
    return y + (sigma_next**2 - sigma**2) ** 0.5 * torch.randn(1, generator=generator)


# wrong: further: scaled, as if the noise in y grew
def further(y, sigma, sigma_next, generator):
    return y * sigma_next / sigma + 0.8 * noise_like(y, generator)


# wrong: flow_step: the old noise is not shrunk
def flow_step(t, later):
    return (1 - later) / (1 - t), (later**2 - t**2) ** 0.5


# wrong: flow_step: levels are subtracted, not variances
def flow_step(t, later):
    r = (1 - later) / (1 - t)
    return r, later - r * t


# wrong: flow_step: the square root is forgotten
def flow_step(t, later):
    r = (1 - later) / (1 - t)
    return r, later**2 - (r * t) ** 2


# wrong: flow_step: DDPM's factor, which keeps the variance
def flow_step(t, later):
    d = (later**2 - t**2) ** 0.5
    return (1 - d**2) ** 0.5, d
