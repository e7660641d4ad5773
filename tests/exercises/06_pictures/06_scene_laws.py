# wrong: total_variation: only the outcomes of the first law count
def total_variation(p, q):
    return sum(abs(p[x] - q.get(x, 0)) for x in p) / 2


# wrong: total_variation: what has moved is counted twice
def total_variation(p, q):
    return sum(abs(p.get(x, 0) - q.get(x, 0)) for x in {*p, *q})


# wrong: rank_correlation: the numbers themselves are correlated
def rank_correlation(x, y):
    return float(torch.corrcoef(torch.tensor([x, y], dtype=torch.float64))[0, 1])


# wrong: rank_correlation: the places that would sort the list are taken for ranks
def rank_correlation(x, y):
    ranks = [torch.tensor(values).argsort().double() for values in (x, y)]
    n = len(x)
    return float(1 - 6 * (ranks[0] - ranks[1]).square().sum() / (n * (n**2 - 1)))
