# wrong: longest_match: the shortest piece
def longest_match(tokenizer, word):
    return byte_ids(word)


# wrong: longest_match: letters instead of bytes
def longest_match(tokenizer, word):
    id_of = {piece: i for i, piece in enumerate(tokenizer.bytes) if piece}
    rest, ids = word, []
    while rest:
        size = next((n for n in range(len(rest), 0, -1) if rest[:n].encode() in id_of), 0)
        if size:
            ids.append(id_of[rest[:size].encode()])
        rest = rest[size or 1 :]
    return ids


# wrong: longest_match: from the right
def longest_match(tokenizer, word):
    id_of = {piece: i for i, piece in enumerate(tokenizer.bytes) if piece}
    rest, ids = word.encode(), []
    while rest:
        start = next(n for n in range(len(rest)) if rest[n:] in id_of)
        ids.insert(0, id_of[rest[start:]])
        rest = rest[:start]
    return ids
