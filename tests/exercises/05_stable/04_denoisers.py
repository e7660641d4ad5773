# wrong: blind_mean: the softmax goes over the points
def blind_mean(means, log_density, weights):
    posterior = (weights.log()[:, None] + log_density).softmax(1)
    return (posterior[..., None] * means).sum(0)


# wrong: blind_mean: the weights are forgotten
def blind_mean(means, log_density, weights):
    return (log_density.softmax(0)[..., None] * means).sum(0)


# wrong: blind_mean: the density is forgotten
def blind_mean(means, log_density, weights):
    return (weights[:, None, None] * means).sum(0)


# wrong: blind_mean: densities that are 0 in floating point
def blind_mean(means, log_density, weights):
    posterior = weights[:, None] * log_density.exp()
    return (posterior[..., None] * means).sum(0) / posterior.sum(0)[..., None]


# wrong: blind_mean: the means are weighted, and the sum is not divided
def blind_mean(means, log_density, weights):
    posterior = weights[:, None] * (log_density - log_density.amax(0)).exp()
    return (posterior[..., None] * means).sum(0)
