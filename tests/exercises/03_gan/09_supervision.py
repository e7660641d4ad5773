# wrong: kl_between: the two distributions change places
def kl_between(mean, log_variance, other_mean, other_log_variance):
    ratio = other_log_variance - log_variance
    distance = (mean - other_mean).square() / log_variance.exp()
    return 0.5 * (ratio.exp() + distance - 1 - ratio).sum(1)


# wrong: kl_between: the distance in units of the first variance
def kl_between(mean, log_variance, other_mean, other_log_variance):
    ratio = log_variance - other_log_variance
    distance = (mean - other_mean).square() / log_variance.exp()
    return 0.5 * (ratio.exp() + distance - 1 - ratio).sum(1)


# wrong: kl_between: the distance in no unit at all
def kl_between(mean, log_variance, other_mean, other_log_variance):
    ratio = log_variance - other_log_variance
    return 0.5 * (ratio.exp() + (mean - other_mean).square() - 1 - ratio).sum(1)


# wrong: kl_between: the difference of the divergences from the standard distribution
def kl_between(mean, log_variance, other_mean, other_log_variance):
    return kl_to_prior(mean, log_variance) - kl_to_prior(other_mean, other_log_variance)


# wrong: kl_between: the second distribution is forgotten
def kl_between(mean, log_variance, other_mean, other_log_variance):
    return kl_to_prior(mean, log_variance)


# wrong: kl_between: the mean over the numbers
def kl_between(mean, log_variance, other_mean, other_log_variance):
    ratio = log_variance - other_log_variance
    distance = (mean - other_mean).square() / other_log_variance.exp()
    return 0.5 * (ratio.exp() + distance - 1 - ratio).mean(1)
