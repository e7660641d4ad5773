# wrong: round_trip_share: the clauses of the caption are counted
def round_trip_share(prompt, caption):
    found = parse_prompt(caption)
    if found is None:
        return 0.0
    scene = scene_of_caption(parse_prompt(prompt))
    claims = clauses_of(found)
    return sum(check_spec(claim, scene)[0] for _, claim in claims) / len(claims)


# wrong: round_trip_share: all or nothing
def round_trip_share(prompt, caption):
    found = parse_prompt(caption)
    return float(found is not None and check_spec(parse_prompt(prompt), scene_of_caption(found))[0])


# wrong: round_trip_share: shared words
def round_trip_share(prompt, caption):
    words = prompt.split()
    return sum(word in caption.split() for word in words) / len(words)


# wrong: area_by_rank: ties in the order in which they come
def area_by_rank(scores, outcomes):
    ranks = scores.argsort(stable=True).argsort() + 1.0
    m = int(outcomes.sum())
    return float((ranks[outcomes].sum() - m * (m + 1) / 2) / (m * (len(scores) - m)))


# wrong: area_by_rank: the smallest sum of ranks is not subtracted
def area_by_rank(scores, outcomes):
    values, places, counts = scores.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - counts + (counts + 1) / 2)[places]
    m = int(outcomes.sum())
    return float(ranks[outcomes].sum() / (m * (len(scores) - m)))


# wrong: area_by_rank: the largest score has rank 1
def area_by_rank(scores, outcomes):
    values, places, counts = scores.unique(return_inverse=True, return_counts=True)
    ranks = (counts.flip(0).cumsum(0).flip(0) - counts + (counts + 1) / 2)[places]
    m = int(outcomes.sum())
    return float((ranks[outcomes].sum() - m * (m + 1) / 2) / (m * (len(scores) - m)))
