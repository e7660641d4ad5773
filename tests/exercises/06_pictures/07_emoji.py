# wrong: held_out_pairs: a label can lose all its styles
def held_out_pairs(pairs, share):
    import hashlib

    return [
        pair
        for pair in pairs
        if int(hashlib.sha256(f"{pair[0]}|{pair[1]}".encode()).hexdigest(), 16) / 16**64 < share
    ]


# wrong: held_out_pairs: by the place in the list
def held_out_pairs(pairs, share):
    seen, out = set(), []
    for number, pair in enumerate(pairs):
        if number % round(1 / share) == 0 and pair[0] in seen:
            out.append(pair)
        seen.add(pair[0])
    return out


# wrong: bootstrap_interval: drawings are drawn anew, not pairs
def bootstrap_interval(hits, resamples, rng):
    flat = hits.ravel()
    means = [flat[rng.integers(len(flat), size=len(flat))].mean() for _ in range(resamples)]
    return tuple(np.quantile(means, [0.025, 0.975]))


# wrong: bootstrap_interval: the interval of a single pair
def bootstrap_interval(hits, resamples, rng):
    return tuple(np.quantile(hits.mean(1), [0.025, 0.975]))
