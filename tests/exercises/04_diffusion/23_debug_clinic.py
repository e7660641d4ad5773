# wrong: sampler_arrives: the displacement, without the division by the time
def sampler_arrives(draw, picture, noise):
    def velocity(x, t, words):
        return x - picture

    return torch.allclose(draw(velocity, noise), picture.expand_as(noise), atol=1e-3)


# wrong: sampler_arrives: compares means only, which noise does not change much
def sampler_arrives(draw, picture, noise):
    def velocity(x, t, words):
        return (x - picture) / append_dims(t, x)

    return bool(abs(draw(velocity, noise).mean() - picture.mean()) < 0.5)


# wrong: sampler_arrives: takes everything that is finite
def sampler_arrives(draw, picture, noise):
    return bool(draw(lambda x, t, words: x - picture, noise).isfinite().all())


# wrong: follows_weights: asks for the weights themselves
def follows_weights(average, model, first):
    return all(torch.allclose(p, q) for p, q in zip(average.parameters(), model.parameters()))


# wrong: follows_weights: any change will do
def follows_weights(average, model, first):
    return any(not torch.equal(p, q) for p, q in zip(average.parameters(), first.parameters()))


# wrong: follows_weights: near the first weights instead of the present ones
def follows_weights(average, model, first):
    def distance(a, b):
        return sum((p - q).square().sum() for p, q in zip(a.parameters(), b.parameters()))

    return bool(distance(average, model) > distance(average, first))


# wrong: uses_caption: any rise will do
def uses_caption(error, own, other):
    return bool(error(other).mean() > error(own).mean())


# wrong: uses_caption: every single picture has to rise
def uses_caption(error, own, other):
    return bool((error(other) >= 1.1 * error(own)).all())


# wrong: uses_caption: any difference will do, also a fall
def uses_caption(error, own, other):
    return bool((error(other).mean() - error(own).mean()).abs() > 0.1 * error(own).mean())


# wrong: guides_towards: looks at scale 1 only
def guides_towards(guide):
    cond, uncond = torch.ones(1), torch.zeros(1)
    return bool(guide(cond, uncond, 1.0) == cond)


# wrong: guides_towards: looks at scale 2 only
def guides_towards(guide):
    cond, uncond = torch.ones(1), torch.zeros(1)
    return bool(guide(cond, uncond, 2.0) > cond)


# wrong: guides_towards: scale 0 for off, as in the paper
def guides_towards(guide):
    cond, uncond = torch.ones(1), torch.zeros(1)
    return bool(guide(cond, uncond, 0.0) == cond)


# wrong: fills_range: inside is enough
def fills_range(x):
    return bool(x.abs().max() <= 1.001)


# wrong: fills_range: wide is enough
def fills_range(x):
    return bool(x.min() < -0.5 and x.max() > 0.5)


# wrong: fills_range: a mean of 0, as photographs might have
def fills_range(x):
    return bool(x.mean().abs() < 0.1 and x.abs().max() <= 1.001)


# wrong: starts_from_noise: looks at the start only
def starts_from_noise(noising):
    x0, z = torch.full((1, 3, 4, 4), 0.5), WATCHED_NOISE[:1, :, :4, :4]
    return torch.allclose(noising(x0, z, torch.ones(1, 1, 1, 1)), z, atol=1e-5)


# wrong: starts_from_noise: half way, where both directions agree
def starts_from_noise(noising):
    x0, z = torch.full((1, 3, 4, 4), 0.5), WATCHED_NOISE[:1, :, :4, :4]
    half = torch.full((1, 1, 1, 1), 0.5)
    return torch.allclose(noising(x0, z, half), (x0 + z) / 2, atol=1e-5)


# wrong: starts_from_noise: a picture of zeros, of which a rest is invisible
def starts_from_noise(noising):
    x0, z, one = torch.zeros(1, 3, 4, 4), WATCHED_NOISE[:1, :, :4, :4], torch.ones(1, 1, 1, 1)
    return torch.allclose(noising(x0, z, one), z, atol=0.3) and torch.equal(noising(x0, z, 0 * one), x0)
