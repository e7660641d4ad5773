# wrong: importance_weight: the ratio upside down
def importance_weight(sigma, mean, wanted):
    u = sigma.log()
    return torch.exp(((u - wanted) ** 2 - (u - mean) ** 2) / 2)


# wrong: importance_weight: the half of the exponent is forgotten
def importance_weight(sigma, mean, wanted):
    u = sigma.log()
    return torch.exp((u - mean) ** 2 - (u - wanted) ** 2)


# wrong: importance_weight: normal in sigma, not in its logarithm
def importance_weight(sigma, mean, wanted):
    return torch.exp(((sigma - mean) ** 2 - (sigma - wanted) ** 2) / 2)


# wrong: importance_weight: the wanted density alone
def importance_weight(sigma, mean, wanted):
    return torch.exp(-((sigma.log() - wanted) ** 2) / 2)


# wrong: simple_loss: the noise as it stands in y
def simple_loss(network, x0, sigma, generator):
    y, z = q_sample(x0, sigma, generator)
    return (network(y, sigma) - sigma.view(-1, 1, 1, 1) * z).square().mean()


# wrong: simple_loss: other noise than that in y
def simple_loss(network, x0, sigma, generator):
    y, _ = q_sample(x0, sigma, generator)
    z = torch.randn(x0.shape, generator=generator)
    return (network(y, sigma) - z).square().mean()


# wrong: simple_loss: the error of the picture
def simple_loss(network, x0, sigma, generator):
    y, _ = q_sample(x0, sigma, generator)
    return (network(y, sigma) - x0).square().mean()


# wrong: simple_loss: a sum over the pixels
def simple_loss(network, x0, sigma, generator):
    y, z = q_sample(x0, sigma, generator)
    return (network(y, sigma) - z).square().flatten(1).sum(1).mean()


# wrong: simple_loss: no mean over the batch
def simple_loss(network, x0, sigma, generator):
    y, z = q_sample(x0, sigma, generator)
    return (network(y, sigma) - z).square().flatten(1).mean(1)
