# wrong: best_of: the same picture may be drawn twice
def best_of(passed, k):
    return 1 - (1 - sum(passed) / len(passed)) ** k


# wrong: best_of: probabilities are added
def best_of(passed, k):
    return min(1.0, k * sum(passed) / len(passed))


# wrong: best_of: the first k instead of any k
def best_of(passed, k):
    return float(any(passed[:k]))


# wrong: best_of: all of the k have to pass
def best_of(passed, k):
    return math.comb(sum(passed), k) / math.comb(len(passed), k)
