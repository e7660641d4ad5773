# wrong: half_life: the length of the memory
def half_life(decay):
    return 1 / (1 - decay)


# wrong: half_life: the logarithms change places
def half_life(decay):
    return math.log(decay) / math.log(0.5)


# wrong: half_life: half of the memory
def half_life(decay):
    return 0.5 / (1 - decay)


# wrong: debiased_average: starts at the first value
def debiased_average(values, decay):
    average = values[0]
    for value in values[1:]:
        average = decay * average + (1 - decay) * value
    return average


# wrong: debiased_average: starts at 0 and is not corrected
def debiased_average(values, decay):
    average = torch.zeros_like(values[0])
    for value in values:
        average = decay * average + (1 - decay) * value
    return average


# wrong: debiased_average: the plain mean
def debiased_average(values, decay):
    return values.mean(0)


# wrong: debiased_average: the oldest value counts most
def debiased_average(values, decay):
    average = torch.zeros_like(values[0])
    for value in values:
        average = (1 - decay) * average + decay * value
    return average / (1 - (1 - decay) ** len(values))
