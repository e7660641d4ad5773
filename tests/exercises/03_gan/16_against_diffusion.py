# wrong: enough: one standard error, not two
def enough(p, q):
    return math.ceil((p * (1 - p) + q * (1 - q)) / (p - q) ** 2)


# wrong: enough: the difference is not squared
def enough(p, q):
    return math.ceil(4 * (p * (1 - p) + q * (1 - q)) / abs(p - q))


# wrong: enough: errors are added, not their squares
def enough(p, q):
    return math.ceil(4 * ((p * (1 - p)) ** 0.5 + (q * (1 - q)) ** 0.5) ** 2 / (p - q) ** 2)


# wrong: enough: not rounded
def enough(p, q):
    return 4 * (p * (1 - p) + q * (1 - q)) / (p - q) ** 2


# wrong: paired_error: as if the prompts were different ones
def paired_error(ours, theirs):
    rates = sum(ours) / len(ours), sum(theirs) / len(theirs)
    return math.sqrt(sum(rate * (1 - rate) for rate in rates) / len(ours))


# wrong: paired_error: the root of n is forgotten
def paired_error(ours, theirs):
    differences = torch.tensor(ours).double() - torch.tensor(theirs).double()
    return float(differences.std())


# wrong: paired_error: the variance of the mean, not its root
def paired_error(ours, theirs):
    differences = torch.tensor(ours).double() - torch.tensor(theirs).double()
    return float(differences.var()) / len(ours)


# wrong: paired_error: around 0 and not around the mean
def paired_error(ours, theirs):
    differences = torch.tensor(ours).double() - torch.tensor(theirs).double()
    return float(differences.square().mean() / len(ours)) ** 0.5
