# wrong: noised_batch: the times stay as they are, and are lined up with the width
def noised_batch(x0, z, t):
    return (1 - t) * x0 + t * z


# wrong: noised_batch: picture and noise change places
def noised_batch(x0, z, t):
    t = t.reshape(-1, *[1] * (x0.ndim - 1))
    return t * x0 + (1 - t) * z


# wrong: noised_batch: made for pictures only
def noised_batch(x0, z, t):
    t = t[:, None, None, None]
    return (1 - t) * x0 + t * z


# wrong: own_noise: one stream for all
def own_noise(seed, numbers, size):
    return torch.randn(len(numbers), size, generator=torch.Generator().manual_seed(seed))


# wrong: own_noise: the sum of seed and number
def own_noise(seed, numbers, size):
    rows = [torch.randn(size, generator=torch.Generator().manual_seed(seed + n)) for n in numbers]
    return torch.stack(rows)


# wrong: own_noise: the number is forgotten
def own_noise(seed, numbers, size):
    return torch.stack(
        [torch.randn(size, generator=torch.Generator().manual_seed(seed)) for n in numbers]
    )


# wrong: own_noise: uniform numbers
def own_noise(seed, numbers, size):
    return torch.from_numpy(np.stack([np.random.default_rng([seed, n]).random(size) for n in numbers]))
