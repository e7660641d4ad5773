# wrong: step_up: the estimate of the lower level
def step_up(eps, y, low, high, rounds):
    there = y
    for _ in range(rounds):
        there = y + (high - low) * eps(there, low)
    return there


# wrong: step_up: goes on from where it stands
def step_up(eps, y, low, high, rounds):
    for _ in range(rounds):
        y = y + (high - low) * eps(y, high)
    return y


# wrong: step_up: one round more
def step_up(eps, y, low, high, rounds):
    there = y
    for _ in range(rounds + 1):
        there = y + (high - low) * eps(there, high)
    return there
