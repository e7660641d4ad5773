# wrong: confusable_share: captions that say the same count too
def confusable_share(captions, facts):
    bags = [tuple(sorted(caption.split())) for caption in captions]
    return sum(bags.count(bag) > 1 for bag in bags) / len(bags)


# wrong: confusable_share: how often a word occurs is lost
def confusable_share(captions, facts):
    bags = [frozenset(caption.split()) for caption in captions]
    said = defaultdict(set)
    for bag, fact in zip(bags, facts):
        said[bag].add(fact)
    return sum(len(said[bag]) > 1 for bag in bags) / len(bags)


# wrong: confusable_share: bags are counted, and not captions
def confusable_share(captions, facts):
    said = defaultdict(set)
    for caption, fact in zip(captions, facts):
        said[tuple(sorted(caption.split()))].add(fact)
    return sum(len(facts) > 1 for facts in said.values()) / len(said)


# wrong: confusable_share: the order of the words is kept
def confusable_share(captions, facts):
    said = defaultdict(set)
    for caption, fact in zip(captions, facts):
        said[caption].add(fact)
    return sum(len(said[caption]) > 1 for caption in captions) / len(captions)
