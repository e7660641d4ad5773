# wrong: diffusion_nats: the error at the lower end of each step
def diffusion_nats(sigmas, error):
    inverse = sigmas**-2
    return ((inverse[1:] - inverse[:-1]) * error(sigmas[1:])).sum() / 2


# wrong: diffusion_nats: the scale in the place of the variance
def diffusion_nats(sigmas, error):
    return ((1 / sigmas[1:] - 1 / sigmas[:-1]) * error(sigmas[:-1])).sum() / 2


# wrong: diffusion_nats: the half is forgotten
def diffusion_nats(sigmas, error):
    inverse = sigmas**-2
    return ((inverse[1:] - inverse[:-1]) * error(sigmas[:-1])).sum()


# wrong: diffusion_nats: the mean of the steps, and not their sum
def diffusion_nats(sigmas, error):
    inverse = sigmas**-2
    return ((inverse[1:] - inverse[:-1]) * error(sigmas[:-1])).mean() / 2
