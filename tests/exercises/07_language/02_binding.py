# wrong: winoground_scores: text and image change places
def winoground_scores(similarities):
    (aa, ab), (ba, bb) = similarities.permute(1, 2, 0)
    image = (aa > ab) & (bb > ba)
    text = (aa > ba) & (bb > ab)
    return [share.float().mean().item() for share in (text, image, text & image)]


# wrong: winoground_scores: a point for each row
def winoground_scores(similarities):
    (aa, ab), (ba, bb) = similarities.permute(1, 2, 0)
    text = ((aa > ab).float() + (bb > ba).float()) / 2
    image = ((aa > ba).float() + (bb > ab).float()) / 2
    return [share.mean().item() for share in (text, image, text * image)]


# wrong: winoground_scores: a tie is a point
def winoground_scores(similarities):
    (aa, ab), (ba, bb) = similarities.permute(1, 2, 0)
    text = (aa >= ab) & (bb >= ba)
    image = (aa >= ba) & (bb >= ab)
    return [share.float().mean().item() for share in (text, image, text & image)]


# wrong: winoground_scores: the group as a product of shares
def winoground_scores(similarities):
    (aa, ab), (ba, bb) = similarities.permute(1, 2, 0)
    text = ((aa > ab) & (bb > ba)).float().mean().item()
    image = ((aa > ba) & (bb > ab)).float().mean().item()
    return [text, image, text * image]
