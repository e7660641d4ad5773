# wrong: wall_places: the variance in the place of the standard deviation
def wall_places(n, generator):
    times = torch.randn(n, generator=generator).square().reciprocal()
    return times * torch.randn(n, generator=generator)


# wrong: wall_places: the same normal number twice
def wall_places(n, generator):
    g = torch.randn(n, generator=generator)
    return g / g.abs()


# wrong: wall_places: only to one side
def wall_places(n, generator):
    times = torch.randn(n, generator=generator).square().reciprocal()
    return times.sqrt() * torch.randn(n, generator=generator).abs()
