# wrong: dlim_scales: squares in the place of powers of alpha
def dlim_scales(sigma, sigma_next, alpha, eta):
    fresh = eta * sigma_next * (1 - (sigma_next / sigma) ** 2) ** 0.5
    return (sigma_next**2 - fresh**2) ** 0.5, fresh


# wrong: dlim_scales: the fresh scale of the paper's code
def dlim_scales(sigma, sigma_next, alpha, eta):
    fresh = eta * sigma_next
    return (sigma_next**alpha - fresh**alpha) ** (1 / alpha), fresh


# wrong: dlim_scales: the scales themselves are made to add up
def dlim_scales(sigma, sigma_next, alpha, eta):
    fresh = eta * sigma_next * (1 - (sigma_next / sigma) ** alpha) ** (1 / alpha)
    return sigma_next - fresh, fresh


# wrong: dlim_scales: the old noise is not reduced
def dlim_scales(sigma, sigma_next, alpha, eta):
    return sigma_next, eta * sigma_next * (1 - (sigma_next / sigma) ** alpha) ** (1 / alpha)


# wrong: dlim_scales: eta is squared, as if it were a share of the variance
def dlim_scales(sigma, sigma_next, alpha, eta):
    fresh = eta**2 * sigma_next * (1 - (sigma_next / sigma) ** alpha) ** (1 / alpha)
    return (sigma_next**alpha - fresh**alpha) ** (1 / alpha), fresh
