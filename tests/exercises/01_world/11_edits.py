# wrong: count_moved: partners by their number in the list
def count_moved(before, after, limit=0.08):
    pairs = zip(before.things, after.things)
    return sum(np.hypot(a.x - b.x, a.y - b.y) > limit for a, b in pairs)


# wrong: count_moved: along the axes apart
def count_moved(before, after, limit=0.08):
    found = {(t.shape, t.color): t for t in after.things}
    pairs = [(t, found[t.shape, t.color]) for t in before.things]
    return sum(max(abs(a.x - b.x), abs(a.y - b.y)) > limit for a, b in pairs)


# wrong: count_moved: looks at one axis only
def count_moved(before, after, limit=0.08):
    found = {(t.shape, t.color): t for t in after.things}
    return sum(abs(t.x - found[t.shape, t.color].x) > limit for t in before.things)
