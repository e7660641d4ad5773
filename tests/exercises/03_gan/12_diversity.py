# wrong: pairwise_diversity: each picture is compared with itself too
def pairwise_diversity(pictures):
    rows = pictures.flatten(1)
    return torch.cdist(rows, rows).mean()


# wrong: pairwise_diversity: the squared distances
def pairwise_diversity(pictures):
    n = len(pictures)
    rows = pictures.flatten(1)
    return torch.cdist(rows, rows).square().sum() / (n * (n - 1))


# wrong: pairwise_diversity: a mean over the numbers of a picture
def pairwise_diversity(pictures):
    n = len(pictures)
    distances = (pictures[:, None] - pictures).square().mean((2, 3, 4)).sqrt()
    return distances.sum() / (n * (n - 1))


# wrong: pairwise_diversity: neighbours only
def pairwise_diversity(pictures):
    rows = pictures.flatten(1)
    return (rows[1:] - rows[:-1]).norm(dim=1).mean()
