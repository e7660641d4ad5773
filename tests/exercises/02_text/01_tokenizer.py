# wrong: piece_bytes: the parts change places
def piece_bytes(merges, i):
    if i < FIRST_MERGE_ID:
        return bytes([i - FIRST_BYTE_ID])
    left, right = merges[i - FIRST_MERGE_ID]
    return piece_bytes(merges, right) + piece_bytes(merges, left)


# wrong: piece_bytes: the special tokens are forgotten
def piece_bytes(merges, i):
    if i < FIRST_MERGE_ID:
        return bytes([i % 256])
    left, right = merges[i - FIRST_MERGE_ID]
    return piece_bytes(merges, left) + piece_bytes(merges, right)


# wrong: piece_bytes: only one level of the tree
def piece_bytes(merges, i):
    if i < FIRST_MERGE_ID:
        return bytes([i - FIRST_BYTE_ID])
    return bytes(part - FIRST_BYTE_ID for part in merges[i - FIRST_MERGE_ID] if part < FIRST_MERGE_ID)
