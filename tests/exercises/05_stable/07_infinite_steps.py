# wrong: limit_nats: the half is forgotten
def limit_nats(low, high, error):
    g = torch.linspace(low, high, 20_001, dtype=torch.float64)
    return float(torch.trapezoid((-g).exp() * error((g / 2).exp()), g))


# wrong: limit_nats: the error is asked at the variance
def limit_nats(low, high, error):
    g = torch.linspace(low, high, 20_001, dtype=torch.float64)
    return float(torch.trapezoid((-g).exp() * error(g.exp()), g)) / 2


# wrong: limit_nats: the mean over the way, and not the integral
def limit_nats(low, high, error):
    g = torch.linspace(low, high, 20_001, dtype=torch.float64)
    return float(((-g).exp() * error((g / 2).exp())).mean()) / 2


# wrong: limit_nats: an integral over the scale
def limit_nats(low, high, error):
    sigma = torch.linspace(math.exp(low / 2), math.exp(high / 2), 200_001, dtype=torch.float64)
    return float(torch.trapezoid(sigma**-2 * error(sigma), sigma)) / 2
