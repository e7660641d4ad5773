# wrong: u_shape: the skip is taken before `down`
def u_shape(x, down, middle, up):
    h = F.pixel_shuffle(middle(F.pixel_unshuffle(down(x), 2)), 2)
    return up(torch.cat([h, x], 1))


# wrong: u_shape: the two are added
def u_shape(x, down, middle, up):
    skip = down(x)
    return up(F.pixel_shuffle(middle(F.pixel_unshuffle(skip, 2)), 2) + skip)


# wrong: u_shape: nothing is folded
def u_shape(x, down, middle, up):
    skip = down(x)
    return up(torch.cat([middle(skip), skip], 1))


# wrong: u_shape: the halves change places
def u_shape(x, down, middle, up):
    skip = down(x)
    h = F.pixel_shuffle(middle(F.pixel_unshuffle(skip, 2)), 2)
    return up(torch.cat([skip, h], 1))


# wrong: u_shape: unfolded by a reshape, which puts the numbers in wrong places
def u_shape(x, down, middle, up):
    skip = down(x)
    return up(torch.cat([middle(F.pixel_unshuffle(skip, 2)).reshape(skip.shape), skip], 1))


# wrong: adaptive_norm: scale in the place of 1 + scale
def adaptive_norm(h, scale, shift, groups):
    return F.group_norm(h, groups) * scale[:, :, None, None] + shift[:, :, None, None]


# wrong: adaptive_norm: each channel by itself
def adaptive_norm(h, scale, shift, groups):
    h = F.group_norm(h, h.shape[1])
    return h * (1 + scale[:, :, None, None]) + shift[:, :, None, None]


# wrong: adaptive_norm: the statistics of the batch
def adaptive_norm(h, scale, shift, groups):
    h = (h - h.mean((0, 2, 3), keepdim=True)) / h.std((0, 2, 3), keepdim=True)
    return h * (1 + scale[:, :, None, None]) + shift[:, :, None, None]


# wrong: adaptive_norm: the shift before the norm
def adaptive_norm(h, scale, shift, groups):
    h = F.group_norm(h + shift[:, :, None, None], groups)
    return h * (1 + scale[:, :, None, None])


# wrong: adaptive_norm: the shift is scaled too
def adaptive_norm(h, scale, shift, groups):
    h = F.group_norm(h, groups)
    return (h + shift[:, :, None, None]) * (1 + scale[:, :, None, None])


# wrong: adaptive_norm: the norm is forgotten
def adaptive_norm(h, scale, shift, groups):
    return h * (1 + scale[:, :, None, None]) + shift[:, :, None, None]
