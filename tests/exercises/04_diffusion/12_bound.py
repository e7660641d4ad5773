# wrong: large_variance: the posterior's variance, DDPM's step
def large_variance(state, sigma_next, noise, denoise):
    return ddpm_step(state, sigma_next, noise)


# wrong: large_variance: the square root is forgotten
def large_variance(state, sigma_next, noise, denoise):
    mean, _ = q_posterior(state.y, state.x0_hat, state.sigma, sigma_next)
    return mean + (state.sigma**2 - sigma_next**2) * noise()


# wrong: large_variance: levels are subtracted, not variances
def large_variance(state, sigma_next, noise, denoise):
    mean, _ = q_posterior(state.y, state.x0_hat, state.sigma, sigma_next)
    return mean + (state.sigma - sigma_next) * noise()


# wrong: large_variance: the mean of DDIM's step
def large_variance(state, sigma_next, noise, denoise):
    mean = state.x0_hat + sigma_next * state.eps_hat
    return mean + (state.sigma**2 - sigma_next**2).sqrt() * noise()


# wrong: large_variance: noise on top of y, without the pull
def large_variance(state, sigma_next, noise, denoise):
    return state.y + (state.sigma**2 - sigma_next**2).sqrt() * noise()
