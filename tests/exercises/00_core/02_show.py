# wrong: flip: the rows
def flip(pictures):
    return pictures.flip(-2)


# wrong: flip: the channels
def flip(pictures):
    return pictures.flip(1)


# wrong: flip: turned by half a circle
def flip(pictures):
    return pictures.flip(-2, -1)


# wrong: levels_apart: the scale from 0 to 1
def levels_apart(a, b):
    return 255 * (a - b).abs().max().item()


# wrong: levels_apart: the sign counts
def levels_apart(a, b):
    return 127.5 * (b - a).max().item()


# wrong: levels_apart: the mean
def levels_apart(a, b):
    return 127.5 * (a - b).abs().mean().item()
