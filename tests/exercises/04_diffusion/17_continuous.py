# wrong: langevin: the factor 2 of the noise is forgotten
def langevin(points, y, sigma, steps, h, generator):
    for _ in range(steps):
        z = torch.randn(y.shape, generator=generator)
        y = y + h * sigma**2 * points.score(y, sigma) + h**0.5 * sigma * z
    return y


# wrong: langevin: the level is forgotten in the noise
def langevin(points, y, sigma, steps, h, generator):
    for _ in range(steps):
        z = torch.randn(y.shape, generator=generator)
        y = y + h * sigma**2 * points.score(y, sigma) + (2 * h) ** 0.5 * z
    return y


# wrong: langevin: the score of the clean data
def langevin(points, y, sigma, steps, h, generator):
    for _ in range(steps):
        z = torch.randn(y.shape, generator=generator)
        y = y + h * sigma**2 * points.score(y, 0.0) + (2 * h) ** 0.5 * sigma * z
    return y


# wrong: langevin: against the score
def langevin(points, y, sigma, steps, h, generator):
    for _ in range(steps):
        z = torch.randn(y.shape, generator=generator)
        y = y - h * sigma**2 * points.score(y, sigma) + (2 * h) ** 0.5 * sigma * z
    return y


# wrong: langevin: no noise, so the points climb to the summit
def langevin(points, y, sigma, steps, h, generator):
    for _ in range(steps):
        y = y + h * sigma**2 * points.score(y, sigma)
    return y


# wrong: langevin: the noise of a step is not under the root
def langevin(points, y, sigma, steps, h, generator):
    for _ in range(steps):
        z = torch.randn(y.shape, generator=generator)
        y = y + h * sigma**2 * points.score(y, sigma) + 2 * h * sigma * z
    return y
