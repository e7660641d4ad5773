# wrong: outpainting_inputs: the picture stands in a corner
def outpainting_inputs(picture, side):
    h, w = picture.shape[1:]
    canvas = picture[:, 0].mean(1).view(3, 1, 1).repeat(1, side, side)
    mask = torch.ones(1, side, side, dtype=torch.bool)
    canvas[:, :h, :w] = picture
    mask[:, :h, :w] = False
    return canvas, mask


# wrong: outpainting_inputs: the mean of the whole picture around it
def outpainting_inputs(picture, side):
    h, w = picture.shape[1:]
    canvas = picture.mean((1, 2)).view(3, 1, 1).repeat(1, side, side)
    mask = torch.ones(1, side, side, dtype=torch.bool)
    top, left = (side - h) // 2, (side - w) // 2
    canvas[:, top : top + h, left : left + w] = picture
    mask[:, top : top + h, left : left + w] = False
    return canvas, mask


# wrong: outpainting_inputs: the mask is the wrong way round
def outpainting_inputs(picture, side):
    h, w = picture.shape[1:]
    canvas = picture[:, 0].mean(1).view(3, 1, 1).repeat(1, side, side)
    mask = torch.zeros(1, side, side, dtype=torch.bool)
    top, left = (side - h) // 2, (side - w) // 2
    canvas[:, top : top + h, left : left + w] = picture
    mask[:, top : top + h, left : left + w] = True
    return canvas, mask
