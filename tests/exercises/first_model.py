# wrong: step_to: the other direction
def step_to(x, v, t, t_next):
    return x + (t - t_next) * v


# wrong: step_to: the length of the step is forgotten
def step_to(x, v, t, t_next):
    return x - v


# wrong: mix_noise: the straight line, whose middle is too short
def mix_noise(z1, z2, share):
    return (1 - share) * z1 + share * z2


# wrong: mix_noise: the two change places
def mix_noise(z1, z2, share):
    angle = share * np.pi / 2
    return np.sin(angle) * z1 + np.cos(angle) * z2


# wrong: mix_noise: the share as an angle
def mix_noise(z1, z2, share):
    return np.cos(share) * z1 + np.sin(share) * z2
