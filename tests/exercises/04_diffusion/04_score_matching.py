# wrong: dsm_loss: away from the clean point
def dsm_loss(score, x0, sigma, generator):
    y, _ = q_sample(x0, sigma, generator)
    return (score(y, sigma) - (y - x0) / sigma**2).square().sum(1).mean()


# wrong: dsm_loss: divided by the level, not by the variance
def dsm_loss(score, x0, sigma, generator):
    y, _ = q_sample(x0, sigma, generator)
    return (score(y, sigma) - (x0 - y) / sigma).square().sum(1).mean()


# wrong: dsm_loss: the mean over coordinates too
def dsm_loss(score, x0, sigma, generator):
    y, _ = q_sample(x0, sigma, generator)
    return (score(y, sigma) - (x0 - y) / sigma**2).square().mean()


# wrong: dsm_loss: no mean over the points
def dsm_loss(score, x0, sigma, generator):
    y, _ = q_sample(x0, sigma, generator)
    return (score(y, sigma) - (x0 - y) / sigma**2).square().sum(1)


# wrong: dsm_loss: the score of the noise for other noise than that in y
def dsm_loss(score, x0, sigma, generator):
    y, _ = q_sample(x0, sigma, generator)
    z = torch.randn(x0.shape, generator=generator)
    return (score(y, sigma) + z / sigma).square().sum(1).mean()
