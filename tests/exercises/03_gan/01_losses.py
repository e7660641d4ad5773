# wrong: best_logits: the share is forgotten
def best_logits(p, q, s):
    return math.log(p) - math.log(q)


# wrong: best_logits: the two shares change places
def best_logits(p, q, s):
    return math.log((1 - s) * p) - math.log(s * q)


# wrong: best_logits: the probability, not its logit
def best_logits(p, q, s):
    return s * p / (s * p + (1 - s) * q)
