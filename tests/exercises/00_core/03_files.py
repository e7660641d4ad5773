# wrong: bytes_needed: all numbers have 32 bits
def bytes_needed(header):
    return sum(4 * tensor.numel() for tensor in header.values())


# wrong: bytes_needed: the numbers are counted, and not their bytes
def bytes_needed(header):
    return sum(tensor.numel() for tensor in header.values())


# wrong: bytes_needed: the largest tensor only
def bytes_needed(header):
    return max(tensor.numel() * tensor.element_size() for tensor in header.values())


# wrong: bytes_needed: a tensor without axes has no numbers
def bytes_needed(header):
    return sum(t.numel() * t.element_size() for t in header.values() if t.ndim)


# wrong: first_difference: a file that was cut off counts as equal
def first_difference(a, b):
    return next((k for k, (x, y) in enumerate(zip(a, b)) if x != y), None)


# wrong: first_difference: counted from 1
def first_difference(a, b):
    places = (k + 1 for k, (x, y) in enumerate(zip(a, b)) if x != y)
    return next(places, None if len(a) == len(b) else min(len(a), len(b)))


# wrong: first_difference: the last difference
def first_difference(a, b):
    places = [k for k, (x, y) in enumerate(zip(a, b)) if x != y]
    return places[-1] if places else None if len(a) == len(b) else min(len(a), len(b))
