# wrong: silence: only the gates
def silence(block):
    with torch.no_grad():
        block.scale_shift_table[[2, 5]] = 0.0


# wrong: silence: all weights
def silence(block):
    with torch.no_grad():
        for weight in block.parameters():
            weight.zero_()


# wrong: silence: the bias is forgotten
def silence(block):
    with torch.no_grad():
        block.scale_shift_table[[2, 5]] = 0.0
        block.cross_attn.out.weight.zero_()


# wrong: silence: the wrong rows of the table
def silence(block):
    with torch.no_grad():
        block.scale_shift_table[[0, 3]] = 0.0
        block.cross_attn.out.weight.zero_()
        block.cross_attn.out.bias.zero_()


# wrong: confusion_cost: a quarter, whatever the share
def confusion_cost(mean_a, mean_b, share):
    return (mean_a - mean_b).square().mean() / 4


# wrong: confusion_cost: only the first caption pays
def confusion_cost(mean_a, mean_b, share):
    both = share * mean_a + (1 - share) * mean_b
    return error(mean_a, both)


# wrong: confusion_cost: the two costs are added without their shares
def confusion_cost(mean_a, mean_b, share):
    both = share * mean_a + (1 - share) * mean_b
    return (error(mean_a, both) + error(mean_b, both)) / 2


# wrong: confusion_cost: the square is forgotten
def confusion_cost(mean_a, mean_b, share):
    return share * (1 - share) * (mean_a - mean_b).abs().mean()
