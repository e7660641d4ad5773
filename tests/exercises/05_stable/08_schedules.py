# wrong: prior_nats: the noise over the data
def prior_nats(high, variance):
    return math.log1p(math.exp(high) / variance) / 2


# wrong: prior_nats: the half is forgotten
def prior_nats(high, variance):
    return math.log1p(variance * math.exp(-high))


# wrong: prior_nats: in bits
def prior_nats(high, variance):
    return math.log1p(variance * math.exp(-high)) / 2 / math.log(2)


# wrong: prior_nats: high is taken for the logarithm of the standard deviation
def prior_nats(high, variance):
    return math.log1p(variance * math.exp(-2 * high)) / 2


# wrong: prior_nats: the term with x squared is left out
def prior_nats(high, variance):
    noise = math.exp(high)
    return (math.log1p(variance / noise) + noise / (variance + noise) - 1) / 2
