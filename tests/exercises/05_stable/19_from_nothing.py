# wrong: verdict_of: two standard errors, as for many trainings
def verdict_of(differences, margin=0.02):
    values = torch.tensor(differences, dtype=torch.float64)
    reach = 1.96 * values.std().item() / len(values) ** 0.5
    return interval_verdict(values.mean().item() - reach, values.mean().item() + reach, margin)


# wrong: verdict_of: the spread of a training in the place of that of the mean
def verdict_of(differences, margin=0.02):
    values = torch.tensor(differences, dtype=torch.float64)
    reach = {2: 12.71, 3: 4.30, 4: 3.18}[len(values)] * values.std().item()
    return interval_verdict(values.mean().item() - reach, values.mean().item() + reach, margin)


# wrong: verdict_of: the sign does not count
def verdict_of(differences, margin=0.02):
    values = torch.tensor(differences, dtype=torch.float64).abs()
    reach = {2: 12.71, 3: 4.30, 4: 3.18}[len(values)] * values.std().item() / len(values) ** 0.5
    return interval_verdict(values.mean().item() - reach, values.mean().item() + reach, margin)


# wrong: verdict_of: the t of three trainings for any number
def verdict_of(differences, margin=0.02):
    values = torch.tensor(differences, dtype=torch.float64)
    reach = 4.30 * values.std().item() / len(values) ** 0.5
    return interval_verdict(values.mean().item() - reach, values.mean().item() + reach, margin)
