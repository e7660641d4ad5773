# wrong: largest_share: one threshold for the whole batch
def largest_share(values, share):
    flat = values.flatten()
    count = round(share * len(flat))
    mask = torch.zeros_like(flat, dtype=torch.bool)
    return mask.scatter(0, flat.topk(count).indices, True).view(values.shape)


# wrong: largest_share: the smallest values
def largest_share(values, share):
    flat = values.flatten(1)
    count = round(share * flat.shape[1])
    mask = torch.zeros_like(flat, dtype=torch.bool)
    return mask.scatter(1, flat.topk(count, 1, largest=False).indices, True).view(values.shape)


# wrong: largest_share: the share of the largest value as a threshold
def largest_share(values, share):
    return values > (1 - share) * values.amax((1, 2, 3), keepdim=True)


# wrong: largest_share: the values instead of a mask
def largest_share(values, share):
    flat = values.flatten(1)
    count = round(share * flat.shape[1])
    mask = torch.zeros_like(flat)
    return mask.scatter(1, flat.topk(count, 1).indices, 1.0).view(values.shape)
