# wrong: hardest_negatives: the own caption counts
def hardest_negatives(similarities):
    return similarities.argmax(1)


# wrong: hardest_negatives: for each caption
def hardest_negatives(similarities):
    own = torch.eye(len(similarities), dtype=torch.bool)
    return similarities.masked_fill(own, -math.inf).argmax(0)


# wrong: hardest_negatives: the diagonal is nought
def hardest_negatives(similarities):
    return (similarities * (1 - torch.eye(len(similarities)))).argmax(1)


# wrong: hardest_negatives: changes the matrix of the caller
def hardest_negatives(similarities):
    return similarities.fill_diagonal_(-math.inf).argmax(1)
