# wrong: balanced_weight: the ratio the other way round
def balanced_weight(reconstruction, adversarial, weight):
    ours, theirs = (
        torch.autograd.grad(loss, weight, retain_graph=True)[0].norm()
        for loss in (reconstruction, adversarial)
    )
    return theirs / (ours + 1e-6)


# wrong: balanced_weight: squares of the lengths
def balanced_weight(reconstruction, adversarial, weight):
    ours, theirs = (
        torch.autograd.grad(loss, weight, retain_graph=True)[0].square().sum()
        for loss in (reconstruction, adversarial)
    )
    return ours / (theirs + 1e-6)


# wrong: balanced_weight: with a gradient of its own
def balanced_weight(reconstruction, adversarial, weight):
    ours, theirs = (
        torch.autograd.grad(loss, weight, create_graph=True)[0].norm()
        for loss in (reconstruction, adversarial)
    )
    return ours / (theirs + 1e-6)


# wrong: balanced_weight: gradients are stored in the parameter
def balanced_weight(reconstruction, adversarial, weight):
    lengths = []
    for loss in (reconstruction, adversarial):
        weight.grad = None
        loss.backward(retain_graph=True)
        lengths.append(weight.grad.norm())
    return lengths[0] / (lengths[1] + 1e-6)


# wrong: balanced_weight: the graphs are gone
def balanced_weight(reconstruction, adversarial, weight):
    ours, theirs = (
        torch.autograd.grad(loss, weight)[0].norm() for loss in (reconstruction, adversarial)
    )
    return ours / (theirs + 1e-6)
