# wrong: scale_lora: scales both matrices, so that the change grows with the square
def scale_lora(model, strength):
    for part in model.modules():
        if isinstance(part, LoRALinear):
            part.lora_A.data.mul_(strength)
            part.lora_B.data.mul_(strength)


# wrong: scale_lora: scales the frozen matrix too
def scale_lora(model, strength):
    for part in model.modules():
        if isinstance(part, LoRALinear):
            part.base.weight.data.mul_(strength)
            part.lora_B.data.mul_(strength)


# wrong: scale_lora: scales every weight of the model that is not frozen beside LoRA
def scale_lora(model, strength):
    for name, value in model.named_parameters():
        if "lora_A" not in name and ".base." not in name:
            value.data.mul_(strength)


# wrong: rank_of_change: adds up singular values instead of their squares
def rank_of_change(change, share=0.99):
    sums = torch.linalg.svdvals(change).cumsum(0)
    return int((sums < share * sums[-1]).sum()) + 1


# wrong: rank_of_change: one too few
def rank_of_change(change, share=0.99):
    energy = torch.linalg.svdvals(change).square().cumsum(0)
    return int((energy < share * energy[-1]).sum())
