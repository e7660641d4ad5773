# wrong: arc_velocity: the velocity of the straight line
def arc_velocity(denoiser, x, phi):
    x0_hat = denoiser(x / phi.cos(), phi.tan())
    return (x - phi.cos() * x0_hat) / phi.sin() - x0_hat


# wrong: arc_velocity: the sign of the cosine's derivative
def arc_velocity(denoiser, x, phi):
    x0_hat = denoiser(x / phi.cos(), phi.tan())
    eps_hat = (x - phi.cos() * x0_hat) / phi.sin()
    return phi.cos() * eps_hat + phi.sin() * x0_hat


# wrong: arc_velocity: the place in the place of its derivative
def arc_velocity(denoiser, x, phi):
    x0_hat = denoiser(x / phi.cos(), phi.tan())
    eps_hat = (x - phi.cos() * x0_hat) / phi.sin()
    return phi.cos() * x0_hat + phi.sin() * eps_hat


# wrong: arc_velocity: the denoiser gets the point of the arc
def arc_velocity(denoiser, x, phi):
    x0_hat = denoiser(x, phi.tan())
    eps_hat = (x - phi.cos() * x0_hat) / phi.sin()
    return phi.cos() * eps_hat - phi.sin() * x0_hat


# wrong: arc_velocity: the angle as the level
def arc_velocity(denoiser, x, phi):
    x0_hat = denoiser(x / phi.cos(), phi.sin())
    eps_hat = (x - phi.cos() * x0_hat) / phi.sin()
    return phi.cos() * eps_hat - phi.sin() * x0_hat
