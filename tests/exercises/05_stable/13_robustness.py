# wrong: clean: negatives are kept
def clean(data):
    rows = [k for k, p in enumerate(data.pictures) if classify_picture(p).kind in ("thing", "inverted")]
    return ContaminatedSet(
        *(field[rows] for field in data[:3]), [data.corruptions[k] for k in rows]
    )


# wrong: clean: the captions keep all their rows
def clean(data):
    rows = [k for k, p in enumerate(data.pictures) if classify_picture(p).kind == "thing"]
    return data._replace(pictures=data.pictures[rows], corruptions=[data.corruptions[k] for k in rows])


# wrong: clean: what is rare is taken for an outlier
def clean(data):
    rows = [
        k
        for k, p in enumerate(data.pictures)
        if classify_picture(p).kind == "thing" and classify_picture(p).shape != _RARE_SHAPE
    ]
    return ContaminatedSet(
        *(field[rows] for field in data[:3]), [data.corruptions[k] for k in rows]
    )
