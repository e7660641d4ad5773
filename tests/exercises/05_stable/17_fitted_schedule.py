# wrong: controlled_mean: the control is added
def controlled_mean(costs, controls, expected):
    return (costs + controls).mean() - expected


# wrong: controlled_mean: the expectation is left out
def controlled_mean(costs, controls, expected):
    return (costs - controls).mean()


# wrong: controlled_mean: the controls are not used
def controlled_mean(costs, controls, expected):
    return costs.mean()


# wrong: controlled_mean: a ratio in the place of a difference
def controlled_mean(costs, controls, expected):
    return costs.mean() * expected / controls.mean() if controls.mean() else costs.mean()
