# wrong: shuffled: everything is read first
def shuffled(rows, size, rng):
    buffer = list(rows)
    rng.shuffle(buffer)
    yield from buffer


# wrong: shuffled: what is left comes as it lies
def shuffled(rows, size, rng):
    buffer = []
    for row in rows:
        buffer.append(row)
        if len(buffer) > size:
            yield buffer.pop(rng.randrange(len(buffer) - 1))
    yield from sorted(buffer)


# wrong: shuffled: what is left is lost
def shuffled(rows, size, rng):
    buffer = []
    for row in rows:
        buffer.append(row)
        if len(buffer) > size:
            yield buffer.pop(rng.randrange(len(buffer)))
