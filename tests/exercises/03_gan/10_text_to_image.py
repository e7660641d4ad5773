# wrong: safe: one good picture is enough
def safe(change, examples):
    changed = change(torch.stack([render(example.scene) for example in examples]))
    return any(check_spec(e.spec, read_scene(picture))[0] for e, picture in zip(examples, changed))


# wrong: safe: the true scenes are checked
def safe(change, examples):
    change(torch.stack([render(example.scene) for example in examples]))
    return all(check_spec(example.spec, example.scene)[0] for example in examples)


# wrong: safe: the first picture only
def safe(change, examples):
    changed = change(torch.stack([render(example.scene) for example in examples]))
    return check_spec(examples[0].spec, read_scene(changed[0]))[0]


# wrong: safe: nothing at all may change
def safe(change, examples):
    pictures = torch.stack([render(example.scene) for example in examples])
    return torch.equal(change(pictures), pictures)
