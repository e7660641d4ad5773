# wrong: permutation_p: the division that was observed does not count
def permutation_p(first, second):
    from itertools import combinations

    both, k = [*first, *second], len(first)
    gap = lambda group: abs(sum(group) / k - (sum(both) - sum(group)) / (len(both) - k))
    gaps = [gap(group) for group in combinations(both, k)]
    return sum(g > gap(first) + 1e-12 for g in gaps) / len(gaps)


# wrong: permutation_p: in one direction only
def permutation_p(first, second):
    from itertools import combinations

    both, k = [*first, *second], len(first)
    gap = lambda group: (sum(both) - sum(group)) / (len(both) - k) - sum(group) / k
    gaps = [gap(group) for group in combinations(both, k)]
    return sum(g >= gap(first) - 1e-12 for g in gaps) / len(gaps)


# wrong: permutation_p: sums in the place of means
def permutation_p(first, second):
    from itertools import combinations

    both, k = [*first, *second], len(first)
    gap = lambda group: abs(2 * sum(group) - sum(both))
    gaps = [gap(group) for group in combinations(both, k)]
    return sum(g >= gap(first) - 1e-12 for g in gaps) / len(gaps)


# wrong: permutation_p: the share that is nearer
def permutation_p(first, second):
    from itertools import combinations

    both, k = [*first, *second], len(first)
    gap = lambda group: abs(sum(group) / k - (sum(both) - sum(group)) / (len(both) - k))
    gaps = [gap(group) for group in combinations(both, k)]
    return sum(g < gap(first) - 1e-12 for g in gaps) / len(gaps)
