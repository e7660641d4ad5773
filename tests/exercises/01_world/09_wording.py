# wrong: spelled_right: knows no doubled letters
def spelled_right(word, words):
    if word in words:
        return word
    for right in words:
        for i in range(len(right)):
            before, letter, after = right[:i], right[i], right[i + 1 :]
            if word in (before + after, before + after[:1] + letter + after[1:]):
                return right
            if any(word == before + other + after for other in "abcdefghijklmnopqrstuvwxyz"):
                return right
    return None


# wrong: spelled_right: takes the word with the most letters in common, whatever it is
def spelled_right(word, words):
    return max(words, key=lambda right: len(set(word) & set(right)))


# wrong: spelled_right: exchanges letters that are not neighbours
def spelled_right(word, words):
    if word in words:
        return word
    same = [right for right in words if sorted(right) == sorted(word)]
    return same[0] if same else None
