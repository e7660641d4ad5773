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


# wrong: clean: negatives are kept
def clean(data):
    rows = [k for k, p in enumerate(data.pictures) if classify_picture(p).kind in ("thing", "inverted")]
    return ContaminatedSet(
        *(field[rows] for field in data[:3]), [data.corruptions[k] for k in rows]
    )


# wrong: clean: the captions keep all their rows
def clean(data):
    rows = [k for k, p in enumerate(data.pictures) if classify_picture(p).kind == "thing"]
    return data._replace(pictures=data.pictures[rows], corruptions=[data.corruptions[k] for k in rows])


# wrong: clean: what is rare is taken for an outlier
def clean(data):
    rows = [
        k
        for k, p in enumerate(data.pictures)
        if classify_picture(p).kind == "thing" and classify_picture(p).shape != _RARE_SHAPE
    ]
    return ContaminatedSet(
        *(field[rows] for field in data[:3]), [data.corruptions[k] for k in rows]
    )
