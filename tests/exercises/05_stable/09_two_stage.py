# wrong: worth: the half is forgotten
def worth(v, nu, D):
    return D * torch.tensor(1 + v / nu).log().item()


# wrong: worth: one number in the place of all
def worth(v, nu, D):
    return torch.tensor(1 + v / nu).log().item() / 2


# wrong: worth: the noise of the exact draft is left out
def worth(v, nu, D):
    return D / 2 * torch.tensor(v / nu).log().item()


# wrong: worth: the two variances change places
def worth(v, nu, D):
    return D / 2 * torch.tensor(1 + nu / v if v else 1.0).log().item()
