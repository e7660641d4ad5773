# wrong: mean_spread: the rule of normal numbers for all of them
def mean_spread(n, alpha):
    return n**-0.5


# wrong: mean_spread: the spread of the sum
def mean_spread(n, alpha):
    return n ** (1 / alpha)


# wrong: mean_spread: the sum over the root of n
def mean_spread(n, alpha):
    return n ** (1 / alpha - 1 / 2)
