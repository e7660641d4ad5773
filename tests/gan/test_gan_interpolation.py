"Ways between noises and captions, factors of the world in the noise, and ranks."

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from steady import seeded, steady
from tiny import tiny_gan

from t2i_learn.gan.interpolation import (
    interpolate_conditions,
    mix_conditions,
    fit_direction,
    single_thing,
    measure_things,
    noise_from_seeds,
    generate_pictures,
    average_ranks,
    describe_picture,
    share_with,
    slerp,
    spearman_correlation,
    sweep_direction,
    interpolate_picture,
)
from t2i_learn.text.encoder import Condition
from t2i_learn.world.scenes import Scene, Thing, render

steady(50)

turn = lambda x, y: torch.nn.functional.cosine_similarity(x, y).clamp(-1, 1).arccos()
shares = st.floats(0, 1)


@pytest.fixture(scope="module")
def model():
    return tiny_gan().model


def pair(seed, d, longer=1.0):
    a, b = torch.randn(2, 3, d, generator=seeded(seed), dtype=torch.float64)
    return a, longer * b


def thing(**changes):
    return Thing(**{"shape": "heart", "color": "red", "x": 0.5, "y": 0.5, "radius": 0.18} | changes)


# ---------------------------------------------------------------- great circles


@given(st.integers(0, 1000), shares, st.integers(2, 64), st.floats(0.1, 10))
def test_a_great_circle(seed, share, d, longer):
    a, b = pair(seed, d, longer)
    found = slerp(a, b, share)
    assert torch.allclose(found.norm(dim=1), torch.lerp(a.norm(dim=1), b.norm(dim=1), share))
    assert torch.allclose(turn(a, found), share * turn(a, b), atol=1e-5)
    assert torch.allclose(slerp(b, a, 1 - share), found, atol=1e-9)


@given(st.integers(0, 1000), st.floats(0.01, 0.98), st.integers(2, 64))
def test_its_speed_is_the_angle(seed, share, d):
    a, b = (x / x.norm(dim=1, keepdim=True) for x in pair(seed, d))
    speed = (slerp(a, b, share + 1e-4) - slerp(a, b, share - 1e-4)).norm(dim=1) / 2e-4
    assert torch.allclose(speed, turn(a, b), rtol=1e-3)


@given(st.integers(0, 1000), shares, shares)
def test_a_part_of_a_great_circle_is_one(seed, end, share):
    a, b = (x / x.norm(dim=1, keepdim=True) for x in pair(seed, 16))
    assert torch.allclose(slerp(a, slerp(a, b, end), share), slerp(a, b, end * share), atol=1e-4)


@given(st.integers(0, 1000), shares)
def test_it_turns_with_the_space(seed, share):
    a, b = pair(seed, 6)
    turned = torch.linalg.qr(torch.randn(6, 6, generator=seeded(seed + 1), dtype=torch.float64)).Q
    assert torch.allclose(slerp(a @ turned, b @ turned, share), slerp(a, b, share) @ turned, atol=1e-9)


def test_a_great_circle_between_equals_is_a_point():
    a = torch.randn(2, 8, generator=seeded(0))
    assert torch.allclose(slerp(a, a, 0.3), a, atol=1e-6)
    assert torch.isfinite(slerp(a, -a, 0.5)).all(), "opposite ends have no one circle"


def test_a_noise_depends_on_its_seed_alone(model):
    assert torch.equal(
        noise_from_seeds(model, [1, 2, 3])[1:2], noise_from_seeds(model, [2])
    ) and noise_from_seeds(model, [1]).shape == (1, model.generator.noise)


@pytest.mark.parametrize("seed", [2**64, 2**63, 10**400, -1, 1.5, "a", None])
def test_a_seed_that_makes_no_noise_is_a_sentence(model, seed):
    with pytest.raises(ValueError, match=r"^seed must be a whole number, at least 0"):
        noise_from_seeds(model, [1, seed])


# ---------------------------------------------------------------- captions


def test_the_ends_are_the_captions_and_between_both_are_read(model):
    cond = model.encode(["a heart", "a blue star on a mint background"])
    assert torch.equal(interpolate_conditions(cond, 0).pooled, cond.pooled[:1]) and torch.equal(
        interpolate_conditions(cond, 1.0).mask, cond.mask[1:]
    )
    middle = interpolate_conditions(cond, 0.5)
    assert torch.equal(middle.mask[0], cond.mask.any(0)) and middle.mask.sum() == cond.mask.sum(1).max()
    assert torch.allclose(middle.pooled[0], cond.pooled.mean(0), atol=1e-6)
    assert torch.allclose(middle.context[0], cond.context.mean(0), atol=1e-6)
    same = interpolate_conditions(model.encode(["a heart", "a heart"]), 0.4)
    assert torch.allclose(same.context, cond.context[:1, : same.context.shape[1]], atol=1e-5)


def test_pictures_of_a_condition_are_mixed_too():
    cond = Condition(
        torch.zeros(2, 3, 4),
        torch.ones(2, 3, dtype=torch.bool),
        torch.zeros(2, 4),
        torch.tensor([0.0, 1.0]).view(2, 1, 1, 1),
    )
    assert interpolate_conditions(cond, 0.25).layout.item() == 0.25
    cond.layout = None
    assert interpolate_conditions(cond, 0.25).layout is None


@given(st.lists(st.floats(-2, 2), min_size=3, max_size=3))
def test_a_sum_of_captions_is_a_sum(weights):
    parts = [torch.randn(3, *shape, generator=seeded(0)) for shape in ((4, 5), (5,), (2, 2, 2))]
    cond = Condition(
        parts[0], torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0]]).bool(), parts[1], parts[2]
    )
    found = mix_conditions(cond, weights)
    for part, whole in zip(parts, (found.context, found.pooled, found.layout)):
        assert torch.allclose(whole[0], sum(w * row for w, row in zip(weights, part)), atol=1e-5)
    assert found.mask.tolist() == [[True, True, True, False]] and len(found) == 1


def test_each_caption_needs_a_weight(model):
    with pytest.raises(ValueError, match="2 weights for 3 captions"):
        mix_conditions(model.encode(["a heart", "a star", "a cross"]), (1, -1))


def test_a_walk_begins_and_ends_with_the_models_own_pictures(model):
    captions, seeds = ("a red heart", "a blue star on a mint background"), (3, 4)
    with torch.no_grad():
        alone = model.generator(noise_from_seeds(model, seeds), model.encode(list(captions)))
    for share in (0, 1):
        assert torch.allclose(
            interpolate_picture(model, captions, seeds, share, share), alone[share], atol=1e-4
        )


def test_many_pictures_are_those_of_each(model):
    z, cond = noise_from_seeds(model, range(70)), model.encode(["a red heart"])
    many = generate_pictures(model, z, cond)
    assert many.shape == (70, 3, 32, 32) and torch.allclose(
        many[68:], generate_pictures(model, z[68:], cond), atol=1e-4
    )
    each = generate_pictures(model, z[:2], model.encode(["a red heart", "a star"]))
    assert torch.allclose(each[:1], many[:1], atol=1e-4) and not torch.allclose(
        each[1], many[1], atol=1e-4
    )


# ---------------------------------------------------------------- what is read


def test_what_is_said_of_a_picture():
    one, two = thing(x=0.3, y=0.6), thing(x=0.75, y=0.3, color="blue")
    pictures = [render(Scene(things)) for things in ((one,), (one, two), ())]
    assert describe_picture(pictures[0]).startswith("red heart 0.1") and describe_picture(
        pictures[0]
    ).endswith("at 0.30 0.60")
    assert [describe_picture(p) for p in pictures[1:]] == ["2 things", "0 things"]
    assert single_thing(pictures[1]) is None and single_thing(pictures[2]) is None
    radius = measure_things([single_thing(p) for p in pictures], lambda thing: thing.radius)
    assert abs(radius[0] - 0.18) < 0.01 and radius[1:].isnan().all()
    assert (
        share_with(torch.stack(pictures), color="red")
        == share_with(torch.stack(pictures), color="red", shape="heart")
        == 1 / 3
    )
    assert (
        share_with(torch.stack(pictures), color="blue") == 0
        and share_with(torch.stack(pictures)) == 1 / 3
    )


# ---------------------------------------------------------------- factors


@given(st.integers(0, 1000), st.integers(1, 12), st.floats(0.01, 10), st.floats(-5, 5))
def test_a_straight_law_is_found_exactly(seed, d, slope, constant):
    z = torch.randn(4 * d + 8, d, generator=seeded(seed))
    direction = torch.nn.functional.normalize(torch.randn(d, generator=seeded(seed + 1)), dim=0)
    values = constant + slope * (z @ direction)
    values[::7] = math.nan
    law = fit_direction(z, values)
    assert (
        torch.allclose(law.direction, direction, atol=1e-3)
        and abs(law.slope - slope) < 1e-3 * slope + 1e-5
    )
    assert abs(law.intercept - constant) < 1e-3


def test_the_fit_is_that_of_scipy():
    x = torch.randn(50, 1, generator=seeded(0))
    y = 1 - 2 * x[:, 0] + torch.randn(50, generator=seeded(1))
    theirs, ours = stats.linregress(x[:, 0].numpy(), y.numpy()), fit_direction(x, y)
    assert (
        abs(ours.slope * ours.direction.item() - theirs.slope) < 1e-5
        and abs(ours.intercept - theirs.intercept) < 1e-5
    )


def test_too_few_readings_are_a_sentence():
    with pytest.raises(ValueError, match="9 readings for noises of 8 numbers: draw more pictures"):
        fit_direction(torch.randn(20, 8), torch.tensor([1.0] * 9 + [math.nan] * 11))


def test_a_factor_is_found_in_what_a_painter_draws(model):
    def draw(z, cond):
        return torch.stack(
            [render(Scene((thing(x=0.3 + 0.4 * x),))) for x in z[:, 2].sigmoid().tolist()]
        )

    painter = SimpleNamespace(generator=draw, encode=model.encode)
    z = torch.randn(60, 6, generator=seeded(0))
    things = [single_thing(p) for p in generate_pictures(painter, z, model.encode(["a red heart"]))]
    law = fit_direction(z, measure_things(things, lambda thing: thing.x))
    assert law.direction[2] > 0.97
    steps = [-2.0, -1.0, 0.0, 1.0, 2.0]
    swept_x = measure_things(
        [single_thing(p) for p in draw(sweep_direction(z[0], law.direction, steps), None)],
        lambda thing: thing.x,
    )
    assert spearman_correlation(torch.tensor(steps), swept_x) == pytest.approx(1)


@given(st.integers(0, 1000), st.lists(st.floats(-3, 3), min_size=1, max_size=5))
def test_a_sweep_changes_nothing_but_its_own_part(seed, steps):
    z, direction = torch.randn(2, 9, generator=seeded(seed), dtype=torch.float64)
    direction = direction / direction.norm()
    found = sweep_direction(z[None], direction, steps)
    assert torch.allclose(found @ direction, torch.tensor(steps, dtype=torch.float64), atol=1e-6)
    rest = lambda x: x - (x @ direction)[..., None] * direction
    assert torch.allclose(rest(found), rest(z[None]).expand(len(steps), -1))


# ---------------------------------------------------------------- ranks


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=30))
def test_ranks_and_their_correlation_are_those_of_scipy(pairs):
    x, y = torch.tensor(pairs, dtype=torch.float32).T
    assert average_ranks(x).tolist() == stats.rankdata(x.numpy()).tolist()
    if len(set(x.tolist())) == 1 or len(set(y.tolist())) == 1:
        assert math.isnan(spearman_correlation(x, y))
    else:
        assert spearman_correlation(x, y) == pytest.approx(
            stats.spearmanr(x.numpy(), y.numpy()).statistic, abs=1e-9
        )


def test_pairs_without_a_reading_are_left_out():
    x, y = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1.0, math.nan, 2.0, 3.0])
    assert spearman_correlation(x, y) == pytest.approx(1) and math.isnan(
        spearman_correlation(x[:2], y[:2])
    )


# ---- whole numbers, and what a way needs ----

WHOLE_Z = torch.tensor([[3, 4], [1, 0]])
OF_NOISES = {
    "slerp": lambda z: slerp(z, z.flip(0), 0.25),
    "sweep_direction": lambda z: sweep_direction(z[:1], torch.tensor([0.6, 0.8]), [0.5]),
    "fit_direction": lambda z: fit_direction(z.repeat(3, 1), torch.arange(6)).direction,
}


@pytest.mark.parametrize("of", OF_NOISES.values(), ids=OF_NOISES)
def test_noises_may_be_whole_numbers(of):
    assert torch.allclose(of(WHOLE_Z), of(WHOLE_Z.float())) and of(WHOLE_Z).is_floating_point()


@pytest.mark.parametrize(
    ("captions", "seeds"),
    [("ab", [1, 2]), (["a"], [1, 2]), (["a", "b", "a"], [1, 2]), (["a", "b"], [5])],
)
def test_a_way_has_two_ends(model, captions, seeds):
    with pytest.raises(ValueError, match="give two captions and two seeds"):
        interpolate_picture(model, captions, seeds, 0.5, 0.5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_noise_that_is_no_number_is_never_a_picture(model, value):
    with pytest.raises(ValueError, match="numbers that are not finite"):
        generate_pictures(model, torch.full((1, model.generator.noise), value), model.encode("a"))
