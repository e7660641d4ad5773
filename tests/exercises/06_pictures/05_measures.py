# wrong: squared_mmd: each point is compared with itself too
def squared_mmd(within_x, within_y, between):
    return within_x.mean() + within_y.mean() - 2 * between.mean()


# wrong: squared_mmd: what lies between is counted once
def squared_mmd(within_x, within_y, between):
    def mean_of_pairs(similarities):
        count = len(similarities)
        return (similarities.sum() - similarities.diagonal().sum()) / (count * (count - 1))

    return mean_of_pairs(within_x) + mean_of_pairs(within_y) - between.mean()


# wrong: chance_farther: equal distances count nothing
def chance_farther(drawn, held_out):
    return (drawn[:, None] > held_out).double().mean().item()


# wrong: chance_farther: the other way round
def chance_farther(drawn, held_out):
    nearer = (drawn[:, None] < held_out).double()
    return (nearer + 0.5 * (drawn[:, None] == held_out)).mean().item()
