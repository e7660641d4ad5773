# wrong: keep_top_p: words from a probability of p on
def keep_top_p(probs, p):
    kept = torch.where(probs >= p, probs, 0)
    return kept / kept.sum().clamp(min=1e-9)


# wrong: keep_top_p: the word that reaches p is left out
def keep_top_p(probs, p):
    values, order = probs.sort(descending=True)
    stays = values.cumsum(0) <= p
    stays[0] = True
    kept = torch.zeros_like(probs).scatter(0, order[stays], values[stays])
    return kept / kept.sum()


# wrong: keep_top_p: not divided by the sum
def keep_top_p(probs, p):
    values, order = probs.sort(descending=True)
    stays = values.cumsum(0) - values < p
    return torch.zeros_like(probs).scatter(0, order[stays], values[stays])


# wrong: keep_top_p: sorted, and not put back
def keep_top_p(probs, p):
    values, _ = probs.sort(descending=True)
    kept = torch.where(values.cumsum(0) - values < p, values, 0)
    return kept / kept.sum()


# wrong: grow_beam: the totals do not count
def grow_beam(totals, log_probs, width):
    best = log_probs.flatten().topk(width)
    words = log_probs.shape[1]
    return (best.indices // words).tolist(), (best.indices % words).tolist(), best.values.tolist()


# wrong: grow_beam: the best word of each row
def grow_beam(totals, log_probs, width):
    values, words = (totals[:, None] + log_probs).max(1)
    order = values.argsort(descending=True)
    return order.tolist(), words[order].tolist(), values[order].tolist()


# wrong: grow_beam: the totals of the words alone are returned
def grow_beam(totals, log_probs, width):
    best = (totals[:, None] + log_probs).flatten().topk(width)
    words = log_probs.shape[1]
    own = log_probs.flatten()[best.indices]
    return (best.indices // words).tolist(), (best.indices % words).tolist(), own.tolist()
