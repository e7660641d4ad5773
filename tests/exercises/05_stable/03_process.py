# wrong: step_coefficients: squares in the place of powers of alpha
def step_coefficients(b, alpha):
    gamma = b[1:] / b[:-1]
    return gamma, (1 - gamma**2).sqrt()


# wrong: step_coefficients: the factor is b itself
def step_coefficients(b, alpha):
    return b[1:], (1 - b[1:] ** alpha) ** (1 / alpha)


# wrong: step_coefficients: the factor is turned over
def step_coefficients(b, alpha):
    gamma = b[:-1] / b[1:]
    return gamma, (1 - gamma**-alpha) ** (1 / alpha)


# wrong: step_coefficients: the noise of all steps so far, and not of one
def step_coefficients(b, alpha):
    return b[1:] / b[:-1], (1 - b[1:] ** alpha) ** (1 / alpha)
