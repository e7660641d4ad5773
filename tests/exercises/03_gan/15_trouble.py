# wrong: stable_softplus: the formula as it stands
def stable_softplus(t):
    return (1 + t.exp()).log()


# wrong: stable_softplus: the formula of the paper
def stable_softplus(t):
    return -(1 - t.sigmoid()).log()


# wrong: stable_softplus: a choice whose other branch overflows
def stable_softplus(t):
    return torch.where(t > 20, t, torch.log1p(t.exp()))


# wrong: stable_softplus: adding 1 rounds
def stable_softplus(t):
    return t.relu() + (1 + (-t.abs()).exp()).log()


# wrong: stable_softplus: only its two ends
def stable_softplus(t):
    return t.relu()
