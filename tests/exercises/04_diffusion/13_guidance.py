# wrong: rescaled: one factor for the whole batch
def rescaled(cond, uncond, scale):
    x = cfg(cond, uncond, scale)
    return x * cond.std() / x.std()


# wrong: rescaled: the factor upside down
def rescaled(cond, uncond, scale):
    x = cfg(cond, uncond, scale)
    return x * (x.flatten(1).std(1) / cond.flatten(1).std(1)).reshape(-1, 1, 1, 1)


# wrong: rescaled: the spread of the output without the caption
def rescaled(cond, uncond, scale):
    x = cfg(cond, uncond, scale)
    return x * (uncond.flatten(1).std(1) / x.flatten(1).std(1)).reshape(-1, 1, 1, 1)


# wrong: rescaled: each pixel over the batch
def rescaled(cond, uncond, scale):
    x = cfg(cond, uncond, scale)
    return x * cond.std(0) / x.std(0)


# wrong: rescaled: divided by the scale
def rescaled(cond, uncond, scale):
    return cfg(cond, uncond, scale) / scale
