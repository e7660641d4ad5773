# wrong: newton_schulz: not divided by the norm
def newton_schulz(m, rounds=30):
    x = m
    for _ in range(rounds):
        x = 1.5 * x - 0.5 * x @ x.mT @ x
    return x


# wrong: newton_schulz: divided by the largest number
def newton_schulz(m, rounds=30):
    x = m / m.abs().max()
    for _ in range(rounds):
        x = 1.5 * x - 0.5 * x @ x.mT @ x
    return x


# wrong: newton_schulz: a plus in the place of the minus
def newton_schulz(m, rounds=30):
    x = m / m.norm()
    for _ in range(rounds):
        x = 1.5 * x + 0.5 * x @ x.mT @ x
    return x


# wrong: newton_schulz: the norm is divided out in each round
def newton_schulz(m, rounds=30):
    x = m / m.norm()
    for _ in range(rounds):
        x = 1.5 * x - 0.5 * x @ x.mT @ x
        x = x / x.norm()
    return x


# wrong: newton_schulz: the signs, which make the numbers equal and not the directions
def newton_schulz(m, rounds=30):
    return m.sign()
