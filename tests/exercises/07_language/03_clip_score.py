# wrong: median_rank: places from nought
def median_rank(similarities):
    own = similarities.diagonal()
    return (similarities > own).sum(0).float().median().item()


# wrong: median_rank: pictures look for captions
def median_rank(similarities):
    own = similarities.diagonal()[:, None]
    return (1 + (similarities > own).sum(1)).float().median().item()


# wrong: median_rank: the mean
def median_rank(similarities):
    own = similarities.diagonal()
    return (1 + (similarities > own).sum(0)).float().mean().item()


# wrong: median_rank: the worst is first
def median_rank(similarities):
    own = similarities.diagonal()
    return (1 + (similarities < own).sum(0)).float().median().item()
