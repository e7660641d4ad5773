# wrong: resize_kernel: the kernel is not mirrored
def resize_kernel(weight, factor):
    padded = F.pad(weight.transpose(0, 1), (factor - 1,) * 4)
    return padded.unfold(2, factor, 1).unfold(3, factor, 1).sum((-1, -2))


# wrong: resize_kernel: outputs first, as in a convolution
def resize_kernel(weight, factor):
    padded = F.pad(weight.flip(2, 3), (factor - 1,) * 4)
    return padded.unfold(2, factor, 1).unfold(3, factor, 1).sum((-1, -2))


# wrong: resize_kernel: means of neighbours, not sums
def resize_kernel(weight, factor):
    padded = F.pad(weight.flip(2, 3).transpose(0, 1), (factor - 1,) * 4)
    return padded.unfold(2, factor, 1).unfold(3, factor, 1).mean((-1, -2))


# wrong: resize_kernel: the weights are enlarged, not spread
def resize_kernel(weight, factor):
    return F.interpolate(weight.flip(2, 3).transpose(0, 1), scale_factor=float(factor))


# wrong: resize_kernel: right for factor 2 alone
def resize_kernel(weight, factor):
    return fused_upsample_kernel(weight)
