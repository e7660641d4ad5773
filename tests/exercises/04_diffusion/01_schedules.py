# wrong: straight_log_snr: the factor 2 is forgotten
def straight_log_snr(top, bottom):
    return NoiseSchedule("log-SNR", lambda t: torch.exp(-(top + t * (bottom - top))), b_vp)


# wrong: straight_log_snr: the sign is forgotten, so the noise falls
def straight_log_snr(top, bottom):
    return NoiseSchedule("log-SNR", lambda t: torch.exp((top + t * (bottom - top)) / 2), b_vp)


# wrong: straight_log_snr: sigma is the straight line
def straight_log_snr(top, bottom):
    low, high = math.exp(-top / 2), math.exp(-bottom / 2)
    return NoiseSchedule("log-SNR", lambda t: low + t * (high - low), b_vp)


# wrong: straight_log_snr: the view of flow matching
def straight_log_snr(top, bottom):
    return NoiseSchedule("log-SNR", lambda t: torch.exp(-(top + t * (bottom - top)) / 2), b_flow)


# wrong: flow_grid: no clean picture at the end
def flow_grid(steps, sigma_min, sigma_max):
    t = torch.linspace(sigma_max / (1 + sigma_max), sigma_min / (1 + sigma_min), steps)
    return t / (1 - t)


# wrong: flow_grid: the levels rise
def flow_grid(steps, sigma_min, sigma_max):
    t = torch.linspace(sigma_min / (1 + sigma_min), sigma_max / (1 + sigma_max), steps)
    return F.pad(t / (1 - t), (0, 1))


# wrong: flow_grid: even in sigma
def flow_grid(steps, sigma_min, sigma_max):
    return F.pad(torch.linspace(sigma_max, sigma_min, steps), (0, 1))


# wrong: flow_grid: sigma_min is not used
def flow_grid(steps, sigma_min, sigma_max):
    t = torch.linspace(sigma_max / (1 + sigma_max), 0, steps + 1)
    return t / (1 - t)
