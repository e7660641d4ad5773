# wrong: random_mismatch: the neighbour's caption, whatever it says
def random_mismatch(captions, generator):
    return torch.arange(len(captions)).roll(-1)


# wrong: random_mismatch: a random order, in which some meet themselves
def random_mismatch(captions, generator):
    return torch.randperm(len(captions), generator=generator)


# wrong: random_mismatch: texts are compared as they are written
def random_mismatch(captions, generator):
    differs = torch.tensor([[float(one != other) for other in captions] for one in captions])
    return torch.multinomial(differs, 1, generator=generator)[:, 0]


# wrong: random_mismatch: the first one that differs
def random_mismatch(captions, generator):
    texts = [" ".join(caption.lower().split()) for caption in captions]
    differs = torch.tensor([[float(one != other) for other in texts] for one in texts])
    return differs.argmax(1)


# wrong: random_mismatch: the generator is not used
def random_mismatch(captions, generator):
    texts = [" ".join(caption.lower().split()) for caption in captions]
    differs = torch.tensor([[float(one != other) for other in texts] for one in texts])
    return torch.multinomial(differs, 1)[:, 0]
