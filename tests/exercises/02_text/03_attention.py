# wrong: move: the other direction
def move(p, a, slowest=100.0):
    sin, cos = p.chunk(2, -1)
    angles = a * slowest ** -(torch.arange(sin.shape[-1]) / sin.shape[-1])
    return torch.cat([sin * angles.cos() - cos * angles.sin(), cos * angles.cos() + sin * angles.sin()], -1)


# wrong: move: frequencies of the whole width
def move(p, a, slowest=100.0):
    sin, cos = p.chunk(2, -1)
    angles = a * slowest ** -(torch.arange(sin.shape[-1]) / p.shape[-1])
    return torch.cat([sin * angles.cos() + cos * angles.sin(), cos * angles.cos() - sin * angles.sin()], -1)


# wrong: move: one angle for all frequencies
def move(p, a, slowest=100.0):
    sin, cos = p.chunk(2, -1)
    angle = torch.tensor(a)
    return torch.cat([sin * angle.cos() + cos * angle.sin(), cos * angle.cos() - sin * angle.sin()], -1)


# wrong: move: a sign is lost, so it is no rotation
def move(p, a, slowest=100.0):
    sin, cos = p.chunk(2, -1)
    angles = a * slowest ** -(torch.arange(sin.shape[-1]) / sin.shape[-1])
    return torch.cat([sin * angles.cos() + cos * angles.sin(), cos * angles.cos() + sin * angles.sin()], -1)


# wrong: move: the slowest wave is fixed
def move(p, a, slowest=100.0):
    sin, cos = p.chunk(2, -1)
    angles = a * 100.0 ** -(torch.arange(sin.shape[-1]) / sin.shape[-1])
    return torch.cat([sin * angles.cos() + cos * angles.sin(), cos * angles.cos() - sin * angles.sin()], -1)
