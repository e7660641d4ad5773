# wrong: energy_by_band: energies, not shares
def energy_by_band(pictures, bands):
    radius = (torch.fft.fftfreq(32)[:, None].square() + torch.fft.fftfreq(32).square()).sqrt()
    ring = (radius * bands / 0.5**0.5).long().clamp(max=bands - 1)
    power = torch.fft.fft2(pictures).abs().square().sum(1) * (radius > 0)
    return torch.stack([power[:, ring == k].sum(1) for k in range(bands)], 1).mean(0)


# wrong: energy_by_band: brightness counts
def energy_by_band(pictures, bands):
    radius = (torch.fft.fftfreq(32)[:, None].square() + torch.fft.fftfreq(32).square()).sqrt()
    ring = (radius * bands / 0.5**0.5).long().clamp(max=bands - 1)
    power = torch.fft.fft2(pictures).abs().square().sum(1)
    energy = torch.stack([power[:, ring == k].sum(1) for k in range(bands)], 1)
    return (energy / energy.sum(1, keepdim=True)).mean(0)


# wrong: energy_by_band: loud pictures count more
def energy_by_band(pictures, bands):
    radius = (torch.fft.fftfreq(32)[:, None].square() + torch.fft.fftfreq(32).square()).sqrt()
    ring = (radius * bands / 0.5**0.5).long().clamp(max=bands - 1)
    power = torch.fft.fft2(pictures).abs().square().sum(1) * (radius > 0)
    energy = torch.stack([power[:, ring == k].sum() for k in range(bands)])
    return energy / energy.sum()
