"Diffusion in the plane: drawn data, learned fields and their errors, distances between clouds."

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steady import seeded, steady
from t2i_learn.core.tensors import Noise
from t2i_learn.world.points import clusters, GaussianMixture, lattice, moons, Rings
from t2i_learn.diffusion.schedules import b_vp, karras_grid, log_linear_schedule
from t2i_learn.diffusion.points import (
    denoise_on_grid,
    edm_loss,
    energy_distance,
    error_per_sigma,
    fit_square,
    mixture_from_points,
    parse_points,
    point_learner,
    PointDenoiser,
    SigmaMLP,
    text_to_points,
)
from t2i_learn.diffusion.sampling import get_step, run_to_end, sample_loop

steady(25)

coordinates = st.floats(-1e4, 1e4, allow_subnormal=False)
drawings = st.lists(st.tuples(coordinates, coordinates), min_size=2, max_size=30)
levels = st.floats(0.02, 50)


# Drawn data


@given(drawings)
def test_text_and_numbers_give_the_same_points(rows):
    text = "\n".join(f"{x!r}, {y!r}" for x, y in rows)
    assert torch.equal(parse_points(text), parse_points(rows))
    assert torch.equal(parse_points(torch.tensor(rows)), torch.tensor(rows))


@given(drawings, st.floats(0.5, 4))
def test_centred_points_fill_their_frame_and_keep_their_shape(rows, extent):
    points = torch.tensor(rows)
    frame = fit_square(points, extent)
    size = (points.amax(0) - points.amin(0)).max()
    assert frame.abs().max() <= extent * (1 + 1e-4)
    if size > 1e-2:
        assert (frame.amax(0) - frame.amin(0)).max() == pytest.approx(2 * extent, rel=1e-3)
        ratio = torch.pdist(frame) * size
        assert torch.allclose(
            ratio, torch.pdist(points) * 2 * extent, rtol=1e-2, atol=1e-3 * extent * float(size)
        )


def test_one_point_stands_in_the_middle():
    assert mixture_from_points("7, 9").means.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "not a single point"),
        ([], "not a single point"),
        ("1, 2\n3", "point 2 is not"),
        ("1, 2\n1 2 3", "point 2 is not"),
        ("left, right", "two numbers"),
        ([[0.0, math.inf]], "point 1 is not two finite"),
        ([1.0, 2.0], "two numbers"),
        (5, "two numbers"),
    ],
)
def test_what_is_not_points_is_refused_in_a_sentence(source, message):
    with pytest.raises(ValueError, match=message):
        parse_points(source)


def test_writing_leaves_ink_where_the_letters_are():
    bar = text_to_points("l")
    assert bar.shape[1] == 2 and (bar[:, 1].max() - bar[:, 1].min()) > 3 * (
        bar[:, 0].max() - bar[:, 0].min()
    )
    ring = text_to_points("O", 60)
    assert ring.norm(dim=1).min() > 0.3, "an O is empty in the middle"
    assert len(text_to_points("noise", 80)) > 3 * len(text_to_points("noise", 40))
    hook = text_to_points("L", 60)
    assert (hook[:, 1] < 0).float().mean() > 0.5, "the foot of an L is below"
    with pytest.raises(ValueError, match="no ink"):
        text_to_points("   ")


@given(st.integers(2, 60), st.integers(1, 40))
def test_a_sketch_keeps_at_most_so_many_points_from_first_to_last(count, most):
    points = torch.randn(count, 2, generator=seeded(count))
    kept = mixture_from_points(points, 0.1, most).means.float()
    frame = fit_square(points)
    assert len(kept) == min(count, most)
    assert torch.equal(kept[0], frame[0]) and (most == 1 or torch.equal(kept[-1], frame[-1]))


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_a_finite_set_is_copied_by_its_exact_denoiser(sampler):
    points = mixture_from_points([[0, 0], [4, 0], [1, 3]], 0.0)
    grid = karras_grid(30, 0.005, 30.0)
    end = run_to_end(
        sample_loop(
            get_step(sampler),
            points.denoise,
            grid[0] * torch.randn(64, 2, generator=seeded(1)),
            grid,
            None,
            Noise(1),
        )
    )
    nearest = (end[:, None] - points.means.float()).norm(dim=2).min(1).values
    assert nearest.median() < 1e-5 and (nearest < 1e-2).float().mean() > 0.9


# Distances


@given(st.integers(0, 1000))
def test_energy_distance_is_a_symmetric_average(seed):
    x, y = torch.randn(7, 3, generator=seeded(seed)), 1 + torch.randn(5, 3, generator=seeded(seed + 1))
    pairs = lambda a, b: [(u - v).norm() for u in a for v in b]
    inside = lambda a: sum(pairs(a, a)) / (len(a) * (len(a) - 1))
    by_hand = 2 * sum(pairs(x, y)) / 35 - inside(x) - inside(y)
    assert torch.isclose(energy_distance(x, y), by_hand, atol=1e-3)
    assert torch.isclose(energy_distance(x, y), energy_distance(y, x), atol=1e-5)
    assert torch.isclose(energy_distance(3 * x + 2, 3 * y + 2), 3 * energy_distance(x, y), atol=1e-3)


def test_energy_distance_of_equal_laws_is_zero_on_average():
    found = torch.stack(
        [
            energy_distance(moons().sample(100, seeded(2 * s)), moons().sample(100, seeded(2 * s + 1)))
            for s in range(60)
        ]
    )
    assert abs(found.mean()) < 3 * found.std() / 60**0.5 + 1e-4
    assert (
        energy_distance(moons().sample(500, seeded(0)), clusters().sample(500, seeded(1)))
        > 8 * found.std()
    )


# Networks


@given(levels, st.floats(0.1, 5), st.floats(-3, 3))
def test_a_silent_network_is_the_best_line(sigma, std, middle):
    model = PointDenoiser((middle, 0.0), std)
    for layer in (model.network.out,):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    round_data = GaussianMixture(torch.tensor([[middle, 0.0]]), std)
    y = torch.tensor([[middle, 0.0]]) + sigma * torch.randn(20, 2, generator=seeded(3))
    assert torch.allclose(model.denoise(y, sigma), round_data.denoise(y, sigma), atol=1e-3 * (1 + sigma))
    unit = float(model.c_out(torch.tensor(sigma)))
    assert unit == pytest.approx((sigma**-2 + std**-2) ** -0.5, rel=1e-4), (
        "its error is the posterior's spread"
    )


@given(levels)
def test_denoiser_takes_levels_in_every_form(sigma):
    model, y = PointDenoiser((0.3, -0.2), 0.8).eval(), torch.randn(6, 2, generator=seeded(4))
    one = model.denoise(y, sigma)
    for form in (torch.tensor(sigma), torch.full((6,), sigma), torch.full((6, 1), sigma)):
        assert torch.equal(model.denoise(y, form), one)
    assert torch.allclose(model.score(y, sigma), (one - y) / sigma**2, rtol=1e-4)


def test_the_level_reaches_the_network():
    net, x = SigmaMLP(), torch.randn(4, 2, generator=seeded(0))
    answers = torch.stack([net(x, torch.tensor(s)) for s in (0.05, 0.06, 5.0)])
    assert (answers[0] - answers[1]).norm() < (answers[0] - answers[2]).norm()
    assert (answers[0] - answers[1]).norm() > 0


def test_loss_of_a_silent_network_is_one():
    points = Rings()
    learner = point_learner(points)
    torch.nn.init.zeros_(learner.model.network.out.weight)
    torch.nn.init.zeros_(learner.model.network.out.bias)
    losses = [
        edm_loss(log_linear_schedule(0.05, 20.0))(
            learner.model, points.sample(4000, seeded(s)), seeded(s + 9)
        ).item()
        for s in range(3)
    ]
    assert sum(losses) / 3 == pytest.approx(1, abs=0.05)


def test_training_brings_the_field_closer_and_does_not_touch_the_global_stream():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    learner = point_learner(clusters(), width=48)
    assert torch.equal(torch.rand(3), expected)
    at = [0.3, 1.0]
    before, unknown = error_per_sigma(learner.model.denoise, clusters(), at, 500)
    after, same = error_per_sigma(learner.fit(250).model.denoise, clusters(), at, 500)
    assert (after < 0.6 * before).all() and torch.equal(unknown, same)


def test_another_seed_is_another_network():
    weights = [point_learner(moons(), seed=seed).fit(3).model.network.out.weight for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


# Fields


@pytest.mark.parametrize("points", [moons(), Rings(), clusters()], ids=["moons", "rings", "clusters"])
def test_the_exact_field_has_no_error_and_a_shifted_one_that_of_the_shift(points):
    error, unknown = error_per_sigma(points.denoise, points, [0.1, 1.0, 10.0], 400)
    shifted, _ = error_per_sigma(
        lambda y, sigma: points.denoise(y, sigma) + torch.tensor([0.3, 0.4]),
        points,
        [0.1, 1.0, 10.0],
        400,
    )
    assert error.max() == 0 and torch.allclose(shifted, torch.full((3,), 0.5), atol=1e-4)
    spread = points.moments()[1].trace().sqrt()
    assert (unknown.diff() > 0).all() and unknown[-1] < 1.1 * spread


@given(st.integers(2, 9), st.floats(0.5, 5))
def test_the_grid_asks_where_it_says(n, extent):
    sigmas = torch.tensor([0.1, 2.0])
    echo = denoise_on_grid(lambda y, sigma: y * 0 + sigma, sigmas, n, extent)
    assert echo.shape == (2, n * n, 2) and torch.equal(echo[:, 0, 0], sigmas)
    where = denoise_on_grid(lambda y, sigma: y, sigmas, n, extent, b_vp)
    assert torch.allclose(
        where * b_vp(sigmas)[:, None, None], lattice(n, extent).expand(2, -1, -1), atol=1e-5
    )


def test_a_learned_field_on_a_grid_is_what_the_denoiser_says():
    model = PointDenoiser()
    table = denoise_on_grid(model, [0.2, 3.0], 5)
    assert not table.requires_grad
    assert torch.allclose(table[1], model.denoise(lattice(5), 3.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_a_point_denoiser_works_in_any_precision(dtype, default):
    torch.manual_seed(0)
    model, y = PointDenoiser((0.3, -0.2), 0.8), torch.randn(6, 2, generator=seeded(4))
    expected = model.denoise(y, 1.0)
    torch.set_default_dtype(default)
    try:
        found = model.to(dtype).denoise(y, 1)
        PointDenoiser().denoise(y, 1)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.allclose(found.float(), expected, atol=0.1 if dtype == torch.bfloat16 else 1e-5)
    assert model.to(torch.float32).denoise(y.long(), 1).dtype == torch.float32


def test_clouds_may_be_whole_numbers():
    x, y = torch.tensor([[0, 1], [1, 0]]), torch.tensor([[3, 1], [1, 2]])
    assert torch.equal(energy_distance(x, y), energy_distance(x.float(), y.float()))
