# wrong: velocity_loss: noise of level 1 at every level
def velocity_loss(denoiser, x0, sigma, z, cond):
    sigma = sigma.view(-1, 1, 1, 1)
    y = x0 + z
    x0_hat = denoiser(y, sigma, cond)
    eps_hat = (y - x0_hat) / sigma
    return ((eps_hat - x0_hat) - (z - x0)).square().mean()


# wrong: velocity_loss: the error of the picture alone
def velocity_loss(denoiser, x0, sigma, z, cond):
    sigma = sigma.view(-1, 1, 1, 1)
    y = x0 + sigma * z
    x0_hat = denoiser(y, sigma, cond)
    eps_hat = (y - x0_hat) / sigma
    return (x0_hat - x0).square().mean()


# wrong: velocity_loss: the error of the noise alone
def velocity_loss(denoiser, x0, sigma, z, cond):
    sigma = sigma.view(-1, 1, 1, 1)
    y = x0 + sigma * z
    x0_hat = denoiser(y, sigma, cond)
    eps_hat = (y - x0_hat) / sigma
    return (eps_hat - z).square().mean()


# wrong: velocity_loss: the noise is not divided by the level
def velocity_loss(denoiser, x0, sigma, z, cond):
    sigma = sigma.view(-1, 1, 1, 1)
    y = x0 + sigma * z
    x0_hat = denoiser(y, sigma, cond)
    eps_hat = y - x0_hat
    return ((eps_hat - x0_hat) - (z - x0)).square().mean()


# wrong: velocity_loss: the sum in the place of the mean
def velocity_loss(denoiser, x0, sigma, z, cond):
    sigma = sigma.view(-1, 1, 1, 1)
    y = x0 + sigma * z
    x0_hat = denoiser(y, sigma, cond)
    eps_hat = (y - x0_hat) / sigma
    return ((eps_hat - x0_hat) - (z - x0)).square().sum()


# wrong: velocity_loss: one level a picture, without dimensions
def velocity_loss(denoiser, x0, sigma, z, cond):
    sigma = sigma.view(-1, 1, 1, 1)
    y = x0 + sigma * z
    x0_hat = denoiser(y, sigma.flatten(), cond)
    eps_hat = (y - x0_hat) / sigma
    return ((eps_hat - x0_hat) - (z - x0)).square().mean()


# wrong: velocity_loss: without the condition
def velocity_loss(denoiser, x0, sigma, z, cond):
    sigma = sigma.view(-1, 1, 1, 1)
    y = x0 + sigma * z
    x0_hat = denoiser(y, sigma, None)
    eps_hat = (y - x0_hat) / sigma
    return ((eps_hat - x0_hat) - (z - x0)).square().mean()


# wrong: velocity_loss: the velocity turned
def velocity_loss(denoiser, x0, sigma, z, cond):
    sigma = sigma.view(-1, 1, 1, 1)
    y = x0 + sigma * z
    x0_hat = denoiser(y, sigma, cond)
    eps_hat = (y - x0_hat) / sigma
    return ((eps_hat - x0_hat) - (x0 - z)).square().mean()
