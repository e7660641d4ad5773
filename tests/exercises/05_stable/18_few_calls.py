# wrong: answer_at: weights the wrong way round
def answer_at(scale, first, second, first_scale, second_scale):
    share = (scale - first_scale) / (second_scale - first_scale)
    return second + share * (first - second)


# wrong: answer_at: the scale itself as the share
def answer_at(scale, first, second, first_scale, second_scale):
    return first + scale * (second - first)


# wrong: answer_at: stops at the ends
def answer_at(scale, first, second, first_scale, second_scale):
    share = (scale - first_scale) / (second_scale - first_scale)
    return first + min(max(share, 0.0), 1.0) * (second - first)


# wrong: answer_at: takes the distance of the scales without its sign
def answer_at(scale, first, second, first_scale, second_scale):
    share = (scale - first_scale) / abs(second_scale - first_scale)
    return first + share * (second - first)
