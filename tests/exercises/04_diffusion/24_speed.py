# wrong: error_rise: other noise for the false condition
def error_rise(denoiser, x0, sigma, cond, false_cond, seed):
    noise = torch.Generator().manual_seed(seed)
    levels = torch.full((len(x0), 1, 1, 1), sigma)
    errors = []
    for words in (cond, false_cond):
        y = x0 + sigma * torch.randn(x0.shape, generator=noise)
        errors.append((denoiser(y, levels, words) - x0).square().mean().item())
    return errors[1] / errors[0] - 1


# wrong: error_rise: the mean of the ratios
def error_rise(denoiser, x0, sigma, cond, false_cond, seed):
    noise = torch.Generator().manual_seed(seed)
    y = x0 + sigma * torch.randn(x0.shape, generator=noise)
    levels = torch.full((len(x0), 1, 1, 1), sigma)
    true, false = (
        (denoiser(y, levels, words) - x0).square().flatten(1).mean(1) for words in (cond, false_cond)
    )
    return (false / true).mean().item() - 1


# wrong: error_rise: the difference of the errors
def error_rise(denoiser, x0, sigma, cond, false_cond, seed):
    noise = torch.Generator().manual_seed(seed)
    y = x0 + sigma * torch.randn(x0.shape, generator=noise)
    levels = torch.full((len(x0), 1, 1, 1), sigma)
    true, false = (
        (denoiser(y, levels, words) - x0).square().mean().item() for words in (cond, false_cond)
    )
    return false - true


# wrong: is_record: the mean of the new scores is above the bar
def is_record(old, new, spread):
    return len(new) >= 2 and mean(new) > mean(old) + spread


# wrong: is_record: one seed is enough
def is_record(old, new, spread):
    return all(score > mean(old) + spread for score in new)


# wrong: is_record: no spread
def is_record(old, new, spread):
    return len(new) >= 2 and min(new) > mean(old)
