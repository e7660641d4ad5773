# wrong: swap_slots: the first code is changed in place
def swap_slots(code, other, slots):
    code[:, slots] = other[:, slots]
    return code


# wrong: swap_slots: the slots that are named stay
def swap_slots(code, other, slots):
    mixed = other.clone()
    mixed[:, slots] = code[:, slots]
    return mixed


# wrong: swap_slots: all slots come from the other code
def swap_slots(code, other, slots):
    return other.clone()


# wrong: swap_slots: only the slots that are named are left
def swap_slots(code, other, slots):
    return other[:, slots].clone()
