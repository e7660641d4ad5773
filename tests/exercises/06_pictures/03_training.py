# wrong: stopping_check: patience counts from the start
def stopping_check(errors, patience):
    checks = min(len(errors), patience + 1)
    return checks, min(range(checks), key=lambda k: errors[k])


# wrong: stopping_check: an equal error counts as a gain
def stopping_check(errors, patience):
    best = 0
    for number, error in enumerate(errors):
        if error <= errors[best]:
            best = number
        if number - best == patience:
            return number + 1, best
    return len(errors), best


# wrong: matching_sigma: as many times as there are pixels
def matching_sigma(sigma, factor):
    return sigma * factor**2


# wrong: matching_sigma: the wrong way round
def matching_sigma(sigma, factor):
    return sigma / factor
