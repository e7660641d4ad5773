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
