# wrong: in_split_g: only one wording
def in_split_g(facts):
    return facts.relation == "left of" and [k.color for k in facts.kinds] == ["red", "blue"]


# wrong: in_split_g: the order of the colours does not count
def in_split_g(facts):
    return facts.relation in ("left of", "right of") and {k.color for k in facts.kinds} == {"red", "blue"}


# wrong: in_split_g: the first thing decides
def in_split_g(facts):
    first, second = facts.kinds
    return (facts.relation, first.color) == ("left of", "red") or (facts.relation, second.color) == ("right of", "red")
