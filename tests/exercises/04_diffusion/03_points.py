# wrong: gaussian_denoiser: one number for all directions
def gaussian_denoiser(mean, covariance):
    variance = covariance.diagonal().mean()
    return lambda y, sigma: mean + variance / (variance + sigma**2) * (y - mean)


# wrong: gaussian_denoiser: the covariances between coordinates are left out
def gaussian_denoiser(mean, covariance):
    variances = covariance.diagonal()
    return lambda y, sigma: mean + variances / (variances + sigma**2) * (y - mean)


# wrong: gaussian_denoiser: the level in place of its square
def gaussian_denoiser(mean, covariance):
    def denoise(y, sigma):
        noisy = covariance + sigma * torch.eye(len(mean))
        return mean + (y - mean) @ torch.linalg.solve(noisy, covariance)

    return denoise


# wrong: gaussian_denoiser: the share of the noise, not that of the data
def gaussian_denoiser(mean, covariance):
    def denoise(y, sigma):
        noisy = covariance + sigma**2 * torch.eye(len(mean))
        return mean + (y - mean) @ torch.linalg.solve(noisy, sigma**2 * torch.eye(len(mean)))

    return denoise


# wrong: gaussian_denoiser: the mean is forgotten
def gaussian_denoiser(mean, covariance):
    def denoise(y, sigma):
        noisy = covariance + sigma**2 * torch.eye(len(mean))
        return y @ torch.linalg.solve(noisy, covariance)

    return denoise
