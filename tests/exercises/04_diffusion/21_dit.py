# wrong: patch_tokens: a reshape alone
def patch_tokens(x, patch):
    B, C, H, W = x.shape
    return x.reshape(B, (H // patch) * (W // patch), C * patch**2)


# wrong: patch_tokens: patches column by column
def patch_tokens(x, patch):
    B, C, H, W = x.shape
    six = x.reshape(B, C, H // patch, patch, W // patch, patch)
    return six.permute(0, 4, 2, 1, 3, 5).reshape(B, -1, C * patch**2)


# wrong: patch_tokens: the channels of a pixel stay together
def patch_tokens(x, patch):
    B, C, H, W = x.shape
    six = x.reshape(B, C, H // patch, patch, W // patch, patch)
    return six.permute(0, 2, 4, 3, 5, 1).reshape(B, -1, C * patch**2)


# wrong: patch_tokens: number and size of patches change places
def patch_tokens(x, patch):
    B, C, H, W = x.shape
    six = x.reshape(B, C, patch, H // patch, patch, W // patch)
    return six.permute(0, 3, 5, 1, 2, 4).reshape(B, -1, C * patch**2)


# wrong: patch_tokens: features before tokens
def patch_tokens(x, patch):
    return F.pixel_unshuffle(x, patch).flatten(2)


# wrong: gated_update: the gate closes the tokens too
def gated_update(x, f, scale, shift, gate):
    h = F.layer_norm(x, x.shape[-1:]) * (1 + scale[:, None]) + shift[:, None]
    return gate[:, None] * (x + f(h))


# wrong: gated_update: scale in the place of 1 + scale
def gated_update(x, f, scale, shift, gate):
    h = F.layer_norm(x, x.shape[-1:]) * scale[:, None] + shift[:, None]
    return x + gate[:, None] * f(h)


# wrong: gated_update: no norm
def gated_update(x, f, scale, shift, gate):
    return x + gate[:, None] * f(x * (1 + scale[:, None]) + shift[:, None])


# wrong: gated_update: 1 + gate
def gated_update(x, f, scale, shift, gate):
    h = F.layer_norm(x, x.shape[-1:]) * (1 + scale[:, None]) + shift[:, None]
    return x + (1 + gate[:, None]) * f(h)


# wrong: gated_update: the shift is scaled too
def gated_update(x, f, scale, shift, gate):
    h = (F.layer_norm(x, x.shape[-1:]) + shift[:, None]) * (1 + scale[:, None])
    return x + gate[:, None] * f(h)


# wrong: gated_update: the gate before f
def gated_update(x, f, scale, shift, gate):
    h = F.layer_norm(x, x.shape[-1:]) * (1 + scale[:, None]) + shift[:, None]
    return x + f(gate[:, None] * h)
