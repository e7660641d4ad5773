# wrong: precision: the nearest real point is the point itself
def precision(real, fake, k=5):
    radius = torch.cdist(real, real).kthvalue(k, dim=1).values
    return (torch.cdist(fake, real) <= radius).any(1).float().mean()


# wrong: precision: coverage once more
def precision(real, fake, k=5):
    return coverage(real, fake, k)


# wrong: precision: near all real points
def precision(real, fake, k=5):
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    return (torch.cdist(fake, real) <= radius).all(1).float().mean()


# wrong: precision: one radius for all
def precision(real, fake, k=5):
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values.max()
    return (torch.cdist(fake, real) <= radius).any(1).float().mean()


# wrong: precision: the mean over all pairs
def precision(real, fake, k=5):
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    return (torch.cdist(fake, real) <= radius).float().mean()
