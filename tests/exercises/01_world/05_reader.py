# wrong: count_things: the background is counted as a thing
def count_things(picture):
    rgb = _downsample(picture)
    back, noise = _border_statistics(rgb)
    labels = connected_components(_foreground_mask(rgb - back, noise))
    return int((np.bincount(labels.ravel()) >= _MIN_BLOB_AREA).sum())


# wrong: count_things: dust is counted
def count_things(picture):
    rgb = _downsample(picture)
    back, noise = _border_statistics(rgb)
    return int(connected_components(_foreground_mask(rgb - back, noise)).max())


# wrong: count_things: the picture instead of its difference from the background
def count_things(picture):
    rgb = _downsample(picture)
    back, noise = _border_statistics(rgb)
    labels = connected_components(_foreground_mask(rgb, noise))
    return int((np.bincount(labels.ravel())[1:] >= _MIN_BLOB_AREA).sum())


# wrong: describe_group: the first thing speaks for all
def describe_group(scene):
    first = scene.things[0]
    if UNKNOWN in (first.shape, first.color) or len(scene.things) not in NUMBER_WORDS:
        return "nothing to say"
    return noun_phrase(spec_item(ThingKind(first.shape, first.color), ("color",), len(scene.things)))


# wrong: describe_group: what has no name is named
def describe_group(scene):
    kinds = {ThingKind(t.shape, t.color) for t in scene.things}
    if len(kinds) != 1 or len(scene.things) not in NUMBER_WORDS:
        return "nothing to say"
    return noun_phrase(spec_item(*kinds, says=("color",), count=len(scene.things)))


# wrong: describe_group: the number is forgotten
def describe_group(scene):
    kinds = {ThingKind(t.shape, t.color) for t in scene.things}
    if len(kinds) != 1 or UNKNOWN in [*kinds][0] or len(scene.things) not in NUMBER_WORDS:
        return "nothing to say"
    return noun_phrase(spec_item(*kinds, says=("color",)))
