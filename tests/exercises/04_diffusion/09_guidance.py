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


# wrong: avoid_two: the two guided outputs are added
def avoid_two(cond, first, second, scale, scale_2):
    return cfg(cond, first, scale) + cfg(cond, second, scale_2)


# wrong: avoid_two: their mean
def avoid_two(cond, first, second, scale, scale_2):
    return (cfg(cond, first, scale) + cfg(cond, second, scale_2)) / 2


# wrong: avoid_two: the scales are not counted from 1
def avoid_two(cond, first, second, scale, scale_2):
    return cond + scale * (cond - first) + scale_2 * (cond - second)


# wrong: avoid_two: the second starts from the result of the first
def avoid_two(cond, first, second, scale, scale_2):
    return cfg(cfg(cond, first, scale), second, scale_2)


# wrong: avoid_two: one scale for both
def avoid_two(cond, first, second, scale, scale_2):
    return cond + (scale - 1) * (2 * cond - first - second)
