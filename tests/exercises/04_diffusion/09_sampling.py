# wrong: ancestral: the larger variance, beta
def ancestral(denoiser, x, betas, noises):
    alpha_bars = (1 - betas).cumprod(0)
    for k, z in zip(reversed(range(len(betas))), noises):
        beta, alpha_bar = betas[k], alpha_bars[k]
        y, sigma = x / alpha_bar.sqrt(), (1 / alpha_bar - 1).sqrt()
        eps_hat = (y - denoiser(y, sigma)) / sigma
        x = (x - beta / (1 - alpha_bar).sqrt() * eps_hat) / (1 - beta).sqrt()
        if k > 0:
            x = x + beta.sqrt() * z
    return x


# wrong: ancestral: noise in the last step too
def ancestral(denoiser, x, betas, noises):
    alpha_bars = (1 - betas).cumprod(0)
    for k, z in zip(reversed(range(len(betas))), noises):
        beta, alpha_bar = betas[k], alpha_bars[k]
        y, sigma = x / alpha_bar.sqrt(), (1 / alpha_bar - 1).sqrt()
        eps_hat = (y - denoiser(y, sigma)) / sigma
        x = (x - beta / (1 - alpha_bar).sqrt() * eps_hat) / (1 - beta).sqrt()
        before = alpha_bars[k - 1] if k > 0 else alpha_bars[0] ** 2
        x = x + ((1 - before) / (1 - alpha_bar) * beta).sqrt() * z
    return x


# wrong: ancestral: the denoiser gets x, not y
def ancestral(denoiser, x, betas, noises):
    alpha_bars = (1 - betas).cumprod(0)
    for k, z in zip(reversed(range(len(betas))), noises):
        beta, alpha_bar = betas[k], alpha_bars[k]
        y, sigma = x / alpha_bar.sqrt(), (1 / alpha_bar - 1).sqrt()
        eps_hat = (y - denoiser(x, sigma)) / sigma
        x = (x - beta / (1 - alpha_bar).sqrt() * eps_hat) / (1 - beta).sqrt()
        if k > 0:
            x = x + ((1 - alpha_bars[k - 1]) / (1 - alpha_bar) * beta).sqrt() * z
    return x


# wrong: ancestral: alpha_bar in the place of alpha
def ancestral(denoiser, x, betas, noises):
    alpha_bars = (1 - betas).cumprod(0)
    for k, z in zip(reversed(range(len(betas))), noises):
        beta, alpha_bar = betas[k], alpha_bars[k]
        y, sigma = x / alpha_bar.sqrt(), (1 / alpha_bar - 1).sqrt()
        eps_hat = (y - denoiser(y, sigma)) / sigma
        x = (x - beta / (1 - alpha_bar).sqrt() * eps_hat) / alpha_bar.sqrt()
        if k > 0:
            x = x + ((1 - alpha_bars[k - 1]) / (1 - alpha_bar) * beta).sqrt() * z
    return x


# wrong: ancestral: from the first step to the last
def ancestral(denoiser, x, betas, noises):
    alpha_bars = (1 - betas).cumprod(0)
    for k, z in zip(range(len(betas)), noises):
        beta, alpha_bar = betas[k], alpha_bars[k]
        y, sigma = x / alpha_bar.sqrt(), (1 / alpha_bar - 1).sqrt()
        eps_hat = (y - denoiser(y, sigma)) / sigma
        x = (x - beta / (1 - alpha_bar).sqrt() * eps_hat) / (1 - beta).sqrt()
        if k > 0:
            x = x + ((1 - alpha_bars[k - 1]) / (1 - alpha_bar) * beta).sqrt() * z
    return x


# wrong: ancestral: the first number only
def ancestral(denoiser, x, betas, noises):
    alpha_bars = (1 - betas).cumprod(0)
    for k, z in zip(reversed(range(len(betas))), noises):
        beta, alpha_bar = betas[k], alpha_bars[k]
        y, sigma = x / alpha_bar.sqrt(), (1 / alpha_bar - 1).sqrt()
        eps_hat = (y - denoiser(y, sigma)) / sigma
        x = (x - beta / (1 - alpha_bar).sqrt() * eps_hat) / (1 - beta).sqrt()
        if k > 0:
            x = x + ((1 - alpha_bars[k - 1]) / (1 - alpha_bar) * beta).sqrt() * z
    return x[:1]


# wrong: ancestral: the variance in the place of the standard deviation
def ancestral(denoiser, x, betas, noises):
    alpha_bars = (1 - betas).cumprod(0)
    for k, z in zip(reversed(range(len(betas))), noises):
        beta, alpha_bar = betas[k], alpha_bars[k]
        y, sigma = x / alpha_bar.sqrt(), (1 / alpha_bar - 1).sqrt()
        eps_hat = (y - denoiser(y, sigma)) / sigma
        x = (x - beta / (1 - alpha_bar).sqrt() * eps_hat) / (1 - beta).sqrt()
        if k > 0:
            x = x + (1 - alpha_bars[k - 1]) / (1 - alpha_bar) * beta * z
    return x
