# wrong: richardson: the difference is not divided
def richardson(coarse, fine, order):
    return fine + (fine - coarse)


# wrong: richardson: in the wrong direction
def richardson(coarse, fine, order):
    return fine + (coarse - fine) / (2**order - 1)


# wrong: richardson: divided by 2 ** order
def richardson(coarse, fine, order):
    return fine + (fine - coarse) / 2**order


# wrong: richardson: the mean of both
def richardson(coarse, fine, order):
    return (coarse + fine) / 2


# wrong: richardson: starts from the coarse result
def richardson(coarse, fine, order):
    return coarse + (fine - coarse) / (2**order - 1)
