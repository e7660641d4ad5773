# wrong: spatial_median: the mean, which a squared error asks for
def spatial_median(points, weights):
    return weights @ points / weights.sum()


# wrong: spatial_median: far points count more
def spatial_median(points, weights):
    answer = weights @ points / weights.sum()
    for _ in range(200):
        pull = weights * (points - answer).norm(dim=1).clamp(min=1e-9)
        answer = pull @ points / pull.sum()
    return answer


# wrong: spatial_median: the square of the distance in the weights
def spatial_median(points, weights):
    answer = weights @ points / weights.sum()
    for _ in range(200):
        pull = weights / (points - answer).square().sum(1).clamp(min=1e-9)
        answer = pull @ points / pull.sum()
    return answer


# wrong: spatial_median: the probabilities are forgotten
def spatial_median(points, weights):
    answer = weights @ points / weights.sum()
    for _ in range(200):
        pull = 1 / (points - answer).norm(dim=1).clamp(min=1e-9)
        answer = pull @ points / pull.sum()
    return answer
