# wrong: perplexity: logarithms of zero
def perplexity(chances):
    return float((-(chances * chances.log())).sum().exp())


# wrong: perplexity: two to the power of an entropy in nats
def perplexity(chances):
    return float(2 ** torch.special.entr(chances).sum())


# wrong: perplexity: one divided by the sum of squares
def perplexity(chances):
    return float(1 / chances.square().sum())
