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
