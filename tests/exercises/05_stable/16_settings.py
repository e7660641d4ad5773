# wrong: level_of_strength: a straight line, which begins below what is allowed
def level_of_strength(strength, highest):
    return strength * highest


# wrong: level_of_strength: a straight line from the lowest level
def level_of_strength(strength, highest):
    return 0.01 + strength * (highest - 0.01) if strength else 0.0


# wrong: level_of_strength: strength 0 gets the lowest level
def level_of_strength(strength, highest):
    return 0.01 * (highest / 0.01) ** strength


# wrong: level_of_strength: the other way round
def level_of_strength(strength, highest):
    return highest * (0.01 / highest) ** strength if strength else 0.0
