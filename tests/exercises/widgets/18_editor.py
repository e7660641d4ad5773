# wrong: grow_mask: only upwards and to the left
def grow_mask(mask, pixels):
    grown = mask.clone()
    for down in range(pixels + 1):
        for across in range(pixels + 1):
            grown |= torch.roll(mask, (-down, -across), (0, 1))
    return grown


# wrong: grow_mask: what leaves on one side comes in on the other
def grow_mask(mask, pixels):
    grown = mask.clone()
    for down in range(-pixels, pixels + 1):
        for across in range(-pixels, pixels + 1):
            grown |= torch.roll(mask, (down, across), (0, 1))
    return grown


# wrong: grow_mask: the distance along a straight line
def grow_mask(mask, pixels):
    side = len(mask)
    axis = torch.arange(side)
    grown = mask.clone()
    for row, column in mask.nonzero().tolist():
        grown |= (axis[:, None] - row) ** 2 + (axis - column) ** 2 <= pixels**2
    return grown


# wrong: grow_mask: changes the mask that it is given
def grow_mask(mask, pixels):
    window = 2 * pixels + 1
    mask |= torch.nn.functional.max_pool2d(mask[None, None].float(), window, 1, pixels)[0, 0] > 0
    return mask
