# wrong: p_value: the share of divisions that are nearer
def p_value(x, y, rounds, generator):
    both, found = torch.cat([x, y]), energy_distance(x, y)
    nearer = 0
    for _ in range(rounds):
        mixed = both[torch.randperm(len(both), generator=generator)]
        nearer += int(energy_distance(mixed[: len(x)], mixed[len(x) :]) < found)
    return nearer / rounds


# wrong: p_value: the parts are halves, whatever the sizes of the clouds
def p_value(x, y, rounds, generator):
    both, found = torch.cat([x, y]), energy_distance(x, y)
    half, at_least = len(both) // 2, 0
    for _ in range(rounds):
        mixed = both[torch.randperm(len(both), generator=generator)]
        at_least += int(energy_distance(mixed[:half], mixed[half:]) >= found)
    return at_least / rounds


# wrong: p_value: each cloud is shuffled by itself, so no division differs
def p_value(x, y, rounds, generator):
    found = energy_distance(x, y)
    at_least = 0
    for _ in range(rounds):
        a = x[torch.randperm(len(x), generator=generator)]
        b = y[torch.randperm(len(y), generator=generator)]
        at_least += int(energy_distance(a, b) >= found - 1e-4)
    return at_least / rounds


# wrong: p_value: the number of divisions, not their share
def p_value(x, y, rounds, generator):
    both, found = torch.cat([x, y]), energy_distance(x, y)
    at_least = 0
    for _ in range(rounds):
        mixed = both[torch.randperm(len(both), generator=generator)]
        at_least += int(energy_distance(mixed[: len(x)], mixed[len(x) :]) >= found)
    return at_least


# wrong: p_value: the generator is not used
def p_value(x, y, rounds, generator):
    both, found = torch.cat([x, y]), energy_distance(x, y)
    own = torch.Generator().manual_seed(0)
    at_least = 0
    for _ in range(rounds):
        mixed = both[torch.randperm(len(both), generator=own)]
        at_least += int(energy_distance(mixed[: len(x)], mixed[len(x) :]) >= found)
    return at_least / rounds
