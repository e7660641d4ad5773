# wrong: mix_noise: the straight line, whose middle is too short
def mix_noise(z1, z2, angle):
    share = angle / (np.pi / 2)
    return (1 - share) * z1 + share * z2


# wrong: mix_noise: the two change places
def mix_noise(z1, z2, angle):
    return np.sin(angle) * z1 + np.cos(angle) * z2


# wrong: mix_noise: degrees instead of radians
def mix_noise(z1, z2, angle):
    angle = angle * np.pi / 180
    return np.cos(angle) * z1 + np.sin(angle) * z2
