# wrong: midpoint_step: Euler's step
def midpoint_step(state, sigma_next, noise, denoise):
    return euler_step(state, sigma_next)


# wrong: midpoint_step: half way in sigma
def midpoint_step(state, sigma_next, noise, denoise):
    if sigma_next == 0:
        return euler_step(state, sigma_next)
    middle = (state.sigma + sigma_next) / 2
    y = euler_step(state, middle)
    return state.y + (sigma_next - state.sigma) * (y - denoise(y, middle)) / middle


# wrong: midpoint_step: two half steps of Euler
def midpoint_step(state, sigma_next, noise, denoise):
    if sigma_next == 0:
        return euler_step(state, sigma_next)
    middle = (state.sigma * sigma_next).sqrt()
    y = euler_step(state, middle)
    return y + (sigma_next - middle) * (y - denoise(y, middle)) / middle


# wrong: midpoint_step: the slope divided by the level of the start
def midpoint_step(state, sigma_next, noise, denoise):
    if sigma_next == 0:
        return euler_step(state, sigma_next)
    middle = (state.sigma * sigma_next).sqrt()
    y = euler_step(state, middle)
    return state.y + (sigma_next - state.sigma) * (y - denoise(y, middle)) / state.sigma


# wrong: midpoint_step: nothing is done for level 0
def midpoint_step(state, sigma_next, noise, denoise):
    middle = (state.sigma * sigma_next).sqrt()
    y = euler_step(state, middle)
    return state.y + (sigma_next - state.sigma) * (y - denoise(y, middle)) / middle
