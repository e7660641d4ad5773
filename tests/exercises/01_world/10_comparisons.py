import math


# wrong: sign_test: counts only one side
def sign_test(ours, theirs):
    wins = sum(a and not b for a, b in zip(ours, theirs))
    losses = sum(b and not a for a, b in zip(ours, theirs))
    n = wins + losses
    return sum(math.comb(n, k) for k in range(max(wins, losses), n + 1)) / 2**n


# wrong: sign_test: counts the prompts on which both agree as coin tosses
def sign_test(ours, theirs):
    wins = sum(a and not b for a, b in zip(ours, theirs))
    n = len(ours)
    return sum(math.comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(2 * wins - n)) / 2**n


# wrong: sign_test: only results that are further from half and half, not those as far
def sign_test(ours, theirs):
    wins = sum(a and not b for a, b in zip(ours, theirs))
    losses = sum(b and not a for a, b in zip(ours, theirs))
    n = wins + losses
    return 1 if wins == losses else sum(
        math.comb(n, k) for k in range(n + 1) if abs(2 * k - n) > abs(2 * wins - n)
    ) / 2**n
