# wrong: noise_floor: below 0 where there are features enough
def noise_floor(dimension, width):
    return (dimension - width) / dimension


# wrong: noise_floor: the share that gets through
def noise_floor(dimension, width):
    return min(1, width / dimension)
