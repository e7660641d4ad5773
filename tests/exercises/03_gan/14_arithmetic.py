# wrong: perpendicular: all parts are subtracted at once
def perpendicular(direction, others):
    return normalize(direction - (others @ direction) @ others, dim=0)


# wrong: perpendicular: one after the other
def perpendicular(direction, others):
    for other in others:
        direction = direction - (direction @ other) * other
    return normalize(direction, dim=0)


# wrong: perpendicular: not scaled to length 1
def perpendicular(direction, others):
    basis = torch.linalg.qr(others.T).Q
    return direction - basis @ (basis.T @ direction)


# wrong: perpendicular: the part in the plane of the others
def perpendicular(direction, others):
    basis = torch.linalg.qr(others.T).Q
    return normalize(basis @ (basis.T @ direction), dim=0)


# wrong: perpendicular: some perpendicular direction
def perpendicular(direction, others):
    return torch.linalg.svd(others).Vh[-1] * -1
