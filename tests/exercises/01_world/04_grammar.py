# wrong: write_prompt: the background is forgotten
def write_prompt(spec):
    phrases = [noun_phrase(item) for item in spec["include"]]
    relation, _ = spec["include"][0].get("position", ("and", 1))
    return f" {relation} ".join(phrases)


# wrong: write_prompt: the relation is forgotten
def write_prompt(spec):
    text = " and ".join(noun_phrase(item) for item in spec["include"])
    return f"{text} on a {spec['bg']} background" if "bg" in spec else text


# wrong: write_prompt: the things change places
def write_prompt(spec):
    phrases = [noun_phrase(item) for item in reversed(spec["include"])]
    relation, _ = spec["include"][0].get("position", ("and", 1))
    text = f" {relation} ".join(phrases)
    return f"{text} on a {spec['bg']} background" if "bg" in spec else text


# wrong: write_prompt: the numbers are lost
def write_prompt(spec):
    phrases = [noun_phrase(item | {"count": 1}) for item in spec["include"]]
    relation, _ = spec["include"][0].get("position", ("and", 1))
    text = f" {relation} ".join(phrases)
    return f"{text} on a {spec['bg']} background" if "bg" in spec else text
