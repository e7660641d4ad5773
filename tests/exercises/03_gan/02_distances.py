# wrong: one_sided_penalty: both sides, as in WGAN-GP
def one_sided_penalty(critic, real, fake, share):
    places = torch.lerp(fake, real, share[:, None])
    return (gradient_norm(critic, places) - 1).square().mean()


# wrong: one_sided_penalty: the largest part of the gradient, not its length
def one_sided_penalty(critic, real, fake, share):
    places = torch.lerp(fake, real, share[:, None]).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(places).sum(), places, create_graph=True)
    return relu(gradient.abs().amax(1) - 1).square().mean()


# wrong: one_sided_penalty: the ends of the line change places
def one_sided_penalty(critic, real, fake, share):
    places = torch.lerp(real, fake, share[:, None])
    return relu(gradient_norm(critic, places) - 1).square().mean()


# wrong: one_sided_penalty: the mean slope, not each slope
def one_sided_penalty(critic, real, fake, share):
    places = torch.lerp(fake, real, share[:, None])
    return relu(gradient_norm(critic, places).mean() - 1).square()


# wrong: one_sided_penalty: cut off from the weights
def one_sided_penalty(critic, real, fake, share):
    places = torch.lerp(fake, real, share[:, None])
    return relu(gradient_norm(critic, places).detach() - 1).square().mean()
