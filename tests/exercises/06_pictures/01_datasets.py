# wrong: progress: a batch is taken for a picture
def progress(steps, batch_size, count):
    return divmod(steps, count)


# wrong: progress: an epoch ends with a whole batch
def progress(steps, batch_size, count):
    per_epoch = -(-count // batch_size)
    epochs, rest = divmod(steps, per_epoch)
    return epochs, rest * batch_size


# wrong: crop_box: the width always stays
def crop_box(width, height, aspect):
    inner_height = width / aspect
    top = (height - inner_height) / 2
    return 0, top, width, top + inner_height


# wrong: crop_box: it begins in the corner
def crop_box(width, height, aspect):
    inner_width = min(width, aspect * height)
    return 0, 0, inner_width, inner_width / aspect


# wrong: crop_box: aspect is height by width
def crop_box(width, height, aspect):
    inner_width = min(width, height / aspect)
    inner_height = inner_width * aspect
    left, top = (width - inner_width) / 2, (height - inner_height) / 2
    return left, top, left + inner_width, top + inner_height
