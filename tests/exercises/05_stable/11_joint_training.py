# wrong: matching_share: the ratio upside down
def matching_share(bound, error, weights):
    length = lambda loss: torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)]).norm()
    return min(1.0, (length(bound) / length(error)).item())


# wrong: matching_share: only the first tensor counts
def matching_share(bound, error, weights):
    length = lambda loss: torch.autograd.grad(loss, weights)[0].norm()
    return min(1.0, (length(error) / length(bound)).item() if len(weights) == 1 else 0.0)


# wrong: matching_share: the lengths are squared
def matching_share(bound, error, weights):
    squared = lambda loss: sum(g.square().sum() for g in torch.autograd.grad(loss, weights))
    return min(1.0, (squared(error) / squared(bound)).item())


# wrong: matching_share: sums in the place of lengths
def matching_share(bound, error, weights):
    total = lambda loss: sum(g.sum() for g in torch.autograd.grad(loss, weights))
    return min(1.0, (total(error) / total(bound)).item())


# wrong: matching_share: more than the whole
def matching_share(bound, error, weights):
    length = lambda loss: torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)]).norm()
    return (length(error) / length(bound)).item()
