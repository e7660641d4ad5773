# wrong: without: both things must be there
def without(facts, says):
    return {"include": [spec_item(kind, says) for kind in facts.kinds], "exclude": [], "exact": False}


# wrong: without: nothing else may be there
def without(facts, says):
    first, second = (spec_item(kind, says) for kind in facts.kinds)
    return {"include": [first], "exclude": [second], "exact": True}


# wrong: without: the colours are always stated
def without(facts, says):
    first, second = (spec_item(kind, ("color",)) for kind in facts.kinds)
    return {"include": [first], "exclude": [second], "exact": False}


# wrong: without: any star is forbidden
def without(facts, says):
    first, second = facts.kinds
    return {"include": [spec_item(first, says)], "exclude": [spec_item(second, ())], "exact": False}
