# wrong: momentum_steps: the velocity starts anew
def momentum_steps(gradient, w, velocity, steps, lr=0.1, beta=0.9):
    velocity = torch.zeros_like(w)
    for _ in range(steps):
        velocity = beta * velocity + gradient(w)
        w = w - lr * velocity
    return w, velocity


# wrong: momentum_steps: the gradient is damped as well
def momentum_steps(gradient, w, velocity, steps, lr=0.1, beta=0.9):
    for _ in range(steps):
        velocity = beta * velocity + (1 - beta) * gradient(w)
        w = w - lr * velocity
    return w, velocity


# wrong: momentum_steps: the weights of the caller are changed
def momentum_steps(gradient, w, velocity, steps, lr=0.1, beta=0.9):
    for _ in range(steps):
        velocity = beta * velocity + gradient(w)
        w -= lr * velocity
    return w, velocity


# wrong: momentum_steps: moves by the old velocity
def momentum_steps(gradient, w, velocity, steps, lr=0.1, beta=0.9):
    for _ in range(steps):
        moved = w - lr * velocity
        velocity = beta * velocity + gradient(w)
        w = moved
    return w, velocity
