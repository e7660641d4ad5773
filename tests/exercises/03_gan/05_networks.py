# wrong: receptive_field: whole kernels are added
def receptive_field(layers):
    return sum(kernel for kernel, _ in layers) or 1


# wrong: receptive_field: strides are ignored
def receptive_field(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


# wrong: receptive_field: a layer's own stride counts for itself
def receptive_field(layers):
    side, apart = 1, 1
    for kernel, stride in layers:
        apart *= stride
        side += (kernel - 1) * apart
    return side


# wrong: receptive_field: strides are not multiplied
def receptive_field(layers):
    side, apart = 1, 1
    for kernel, stride in layers:
        side += (kernel - 1) * apart
        apart = max(apart, stride)
    return side
