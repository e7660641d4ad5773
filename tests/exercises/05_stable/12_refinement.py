# wrong: paired_difference: the error of two scores on different prompts
def paired_difference(before, after):
    n, p, q = len(before), before.count("1") / len(before), after.count("1") / len(after)
    return q - p, (p * (1 - p) / n + q * (1 - q) / n) ** 0.5


# wrong: paired_difference: the root of the number is forgotten
def paired_difference(before, after):
    gaps = torch.tensor([float(int(a) - int(b)) for b, a in zip(before, after)])
    return gaps.mean().item(), gaps.std().item()


# wrong: paired_difference: the other sign
def paired_difference(before, after):
    gaps = torch.tensor([float(int(b) - int(a)) for b, a in zip(before, after)])
    return gaps.mean().item(), gaps.std().item() / len(gaps) ** 0.5


# wrong: paired_difference: losses count as gains
def paired_difference(before, after):
    gaps = torch.tensor([float(a != b) for b, a in zip(before, after)])
    return gaps.mean().item(), gaps.std().item() / len(gaps) ** 0.5
