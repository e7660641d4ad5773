# wrong: sum_coefficients: the sign of the velocity's row
def sum_coefficients(sigma):
    return 1 / (1 + sigma), -sigma / (1 + sigma)


# wrong: sum_coefficients: the two change places
def sum_coefficients(sigma):
    return -sigma / (1 - sigma), 1 / (1 - sigma)


# wrong: sum_coefficients: the division is forgotten
def sum_coefficients(sigma):
    return torch.ones_like(sigma), -sigma


# wrong: sum_coefficients: solved for the noise
def sum_coefficients(sigma):
    return -1 / (1 - sigma), 1 / (1 - sigma)


# wrong: eps_to_v: y is scaled to DDPM's view first
def eps_to_v(y, eps, sigma):
    b = (1 + sigma**2).rsqrt()
    return b * eps - sigma * b * (b * y - sigma * eps)


# wrong: eps_to_v: b and s change places
def eps_to_v(y, eps, sigma):
    b = (1 + sigma**2).rsqrt()
    return sigma * b * eps - b * (y - sigma * eps)


# wrong: eps_to_v: the sign of the picture
def eps_to_v(y, eps, sigma):
    b = (1 + sigma**2).rsqrt()
    return b * eps + sigma * b * (y - sigma * eps)


# wrong: eps_to_v: flow's velocity
def eps_to_v(y, eps, sigma):
    return eps - (y - sigma * eps)


# wrong: eps_to_v: y in the place of the clean picture
def eps_to_v(y, eps, sigma):
    b = (1 + sigma**2).rsqrt()
    return b * eps - sigma * b * y
