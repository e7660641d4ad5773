# wrong: untangle: the nearest noise of each point, some twice
def untangle(x0, z, rounds, generator):
    return z[torch.cdist(x0, z).argmin(1)]


# wrong: untangle: each coordinate is sorted by itself
def untangle(x0, z, rounds, generator):
    return z.sort(0).values[x0.argsort(0).argsort(0), torch.arange(z.shape[1])]


# wrong: untangle: swaps where it does harm
def untangle(x0, z, rounds, generator):
    z, half = z.clone(), len(z) // 2
    for _ in range(rounds):
        a, b = torch.randperm(len(z), generator=generator)[: 2 * half].view(2, half)
        pays = ((x0[a] - x0[b]) * (z[b] - z[a])).sum(1) < 0
        z[a[pays]], z[b[pays]] = z[b[pays]], z[a[pays]]
    return z


# wrong: untangle: the noises that were given are changed
def untangle(x0, z, rounds, generator):
    half = len(z) // 2
    for _ in range(rounds):
        a, b = torch.randperm(len(z), generator=generator)[: 2 * half].view(2, half)
        pays = ((x0[a] - x0[b]) * (z[b] - z[a])).sum(1) > 0
        z[a[pays]], z[b[pays]] = z[b[pays]], z[a[pays]]
    return z


# wrong: untangle: sorted by the first coordinate, but not in the order of the points
def untangle(x0, z, rounds, generator):
    return z[z[:, 0].argsort()]


# wrong: untangle: one round only
def untangle(x0, z, rounds, generator):
    z, half = z.clone(), len(z) // 2
    a, b = torch.randperm(len(z), generator=generator)[: 2 * half].view(2, half)
    pays = ((x0[a] - x0[b]) * (z[b] - z[a])).sum(1) > 0
    z[a[pays]], z[b[pays]] = z[b[pays]], z[a[pays]]
    return z
