# wrong: normal_path: the straight line
def normal_path(a, b, share):
    return torch.lerp(a, b, share)


# wrong: normal_path: the great circle
def normal_path(a, b, share):
    return slerp(a, b, share)


# wrong: normal_path: the share as an angle
def normal_path(a, b, share):
    return math.cos(share) * a + math.sin(share) * b


# wrong: normal_path: the ends change places
def normal_path(a, b, share):
    angle = math.pi / 2 * share
    return math.sin(angle) * a + math.cos(angle) * b


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
