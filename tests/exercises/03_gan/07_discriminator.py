# wrong: operator_norm: the kernel as a matrix
def operator_norm(weight, side, rounds):
    return float(torch.linalg.matrix_norm(weight.flatten(1), 2))


# wrong: operator_norm: the bound instead of the factor
def operator_norm(weight, side, rounds):
    return 3 * float(torch.linalg.matrix_norm(weight.flatten(1), 2))


# wrong: operator_norm: the square of the factor
def operator_norm(weight, side, rounds):
    x = torch.randn(1, weight.shape[1], side, side, generator=torch.Generator().manual_seed(0))
    for _ in range(rounds):
        x = F.conv_transpose2d(F.conv2d(x, weight, padding=1), weight, padding=1)
        found = x.norm()
        x = x / found
    return float(found)


# wrong: operator_norm: there and back by the mirrored kernel, not the transposed operation
def operator_norm(weight, side, rounds):
    x = torch.randn(1, weight.shape[1], side, side, generator=torch.Generator().manual_seed(0))
    for _ in range(rounds):
        x = F.conv2d(F.conv2d(x, weight, padding=1), weight.transpose(0, 1), padding=1)
        x = x / x.norm()
    return float(F.conv2d(x, weight, padding=1).norm())


# wrong: operator_norm: one random picture, without any rounds
def operator_norm(weight, side, rounds):
    x = torch.randn(1, weight.shape[1], side, side, generator=torch.Generator().manual_seed(0))
    return float(F.conv2d(x / x.norm(), weight, padding=1).norm())
