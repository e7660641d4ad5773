"Flow matching is the same denoiser in another view: velocities, losses, steps, couplings."

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steady import seeded, steady
from t2i_learn.core.tensors import Noise
from t2i_learn.world.points import clusters, GaussianMixture, moons, Rings
from t2i_learn.diffusion.schedules import flow_schedule, sigma_grid
from t2i_learn.diffusion.parameterization import network_target
from t2i_learn.diffusion.losses import denoising_loss, LOSS_WEIGHTS
from t2i_learn.diffusion.sampling import (
    ddim_step,
    euler_step,
    get_step,
    run_to_end,
    sample_loop,
    SAMPLERS,
)
from t2i_learn.diffusion.flow import (
    coupled_pairs,
    denoiser_of,
    flow_learner,
    flow_matching_loss,
    flow_trajectory,
    flow_view,
    independent_pairs,
    reverse_time,
    scaled_view,
    solve_ode,
    straightness,
    velocity_of,
    VelocityNet,
)

steady(25)

ALL = [moons(), clusters(), Rings()]
points_of = st.sampled_from(ALL)
times, seeds = st.floats(0.01, 0.99), st.integers(0, 10_000)


def drawn(seed, n=16, d=2):
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.float64)


# Views


@given(seeds, st.lists(st.floats(0.0, 0.998), min_size=4, max_size=4))
def test_views_invert_each_other(seed, at):
    x, t = drawn(seed, 4), torch.tensor(at, dtype=torch.float64)
    y, sigma = scaled_view(x, t)
    back, again = flow_view(y, sigma)
    assert torch.allclose(back, x) and torch.allclose(again[:, 0], t, atol=1e-12)
    assert torch.allclose(sigma[:, 0], flow_schedule().sigma(t), atol=1e-9)


def test_the_end_of_time_has_a_finite_level():
    y, sigma = scaled_view(torch.ones(2, 2), 1.0)
    assert y.isfinite().all() and float(sigma[0]) == pytest.approx(999, rel=1e-3)
    assert (
        VelocityNet()(torch.ones(2, 2), 1.0).isfinite().all()
        and VelocityNet()(torch.ones(2, 2), 0.0).isfinite().all()
    )


def test_pictures_have_views_too():
    x = torch.randn(3, 3, 4, 4, generator=seeded(0))
    y, sigma = scaled_view(x, torch.tensor([0.1, 0.5, 0.9]))
    assert sigma.shape == (3, 1, 1, 1) and torch.allclose(flow_view(y, sigma)[0], x, atol=1e-6)


# Velocity and denoiser


@given(points_of, seeds, times)
def test_velocity_is_noise_minus_picture(points, seed, t):
    x = drawn(seed)
    y, sigma = scaled_view(x, t)
    x0_hat = points.denoise(y, sigma)
    eps_hat, v = (y - x0_hat) / sigma, velocity_of(points.denoise)(x, t)
    assert torch.allclose(v, eps_hat - x0_hat, atol=1e-7)
    assert torch.allclose(x0_hat, x - t * v, atol=1e-9) and torch.allclose(
        eps_hat, x + (1 - t) * v, atol=1e-7
    )
    assert torch.allclose(v, network_target("flow", y, x0_hat, sigma))


@given(points_of, seeds, times)
def test_wrapping_there_and_back_changes_nothing(points, seed, t):
    x = drawn(seed)
    y, sigma = scaled_view(x, t)
    v = velocity_of(points.denoise)
    assert torch.allclose(velocity_of(denoiser_of(v))(x, t), v(x, t), atol=1e-6)
    assert torch.allclose(denoiser_of(v)(y, sigma), points.denoise(y, sigma), atol=1e-8)


@given(points_of, seeds, st.floats(0.1, 0.9))
def test_velocity_gives_the_score_of_its_own_view(points, seed, t):
    x = drawn(seed).requires_grad_()
    y, sigma = scaled_view(x, t)
    log_density = points.log_density(y, sigma)  # the Jacobian of y does not depend on x
    score = torch.autograd.grad(log_density.sum(), x)[0]
    x = x.detach()
    assert torch.allclose(score, -(x + (1 - t) * velocity_of(points.denoise)(x, t)) / t, atol=1e-4)


@given(points_of, seeds, times)
def test_time_turned_twice_is_time(points, seed, t):
    v, x = velocity_of(points.denoise), drawn(seed)
    assert torch.allclose(reverse_time(reverse_time(v))(x, t), v(x, t), atol=1e-6)
    assert torch.allclose(reverse_time(v)(x, 1 - t), -v(x, t), atol=1e-6)


# Loss


@given(points_of, seeds, st.floats(-0.5, 0.5), st.floats(0.5, 1.5))
def test_the_loss_is_a_weighted_denoising_loss(points, seed, shift, scale):
    wrong = lambda y, sigma, cond=None: scale * points.denoise(y, sigma) + shift
    x0 = points.sample(64, seeded(seed)).double()
    sigma = torch.logspace(-2, 2, 64, dtype=torch.float64)
    z = torch.randn(64, 2, generator=seeded(seed + 1), dtype=torch.float64)
    ours = flow_matching_loss(velocity_of(wrong), x0, z, sigma / (1 + sigma))
    theirs = denoising_loss(wrong, x0, sigma, None, LOSS_WEIGHTS["flow"], seeded(seed + 1))
    assert torch.isclose(ours, theirs, rtol=1e-6)


def test_the_right_velocity_of_one_pair_has_no_loss():
    x0, z = drawn(1), drawn(2)
    assert flow_matching_loss(lambda x, t, cond: z - x0, x0, z, torch.full((16,), 0.3)) == 0


# Steps


def flow_euler(velocity, x, grid):
    for t, later in pairwise(grid):
        x = x + (later - t) * velocity(x, t)
    return x


@given(points_of, seeds, st.integers(1, 12))
def test_flow_euler_is_euler_is_ddim(points, seed, steps):
    grid = sigma_grid(flow_schedule(), steps).double()
    y = grid[0] * drawn(seed)
    ends = [
        run_to_end(sample_loop(euler_step, points.denoise, y, grid)),
        run_to_end(sample_loop(ddim_step, points.denoise, y, grid)),
    ]
    ends.append(flow_euler(velocity_of(points.denoise), flow_view(y, grid[0])[0], grid / (1 + grid)))
    ends.append(run_to_end(sample_loop(euler_step, denoiser_of(velocity_of(points.denoise)), y, grid)))
    for end in ends[1:]:
        assert torch.allclose(end, ends[0], atol=1e-5)


@pytest.mark.parametrize("points", ALL, ids=["moons", "clusters", "rings"])
def test_one_step_lands_on_the_mean(points):
    end = solve_ode(points.denoise, drawn(0), steps=1)
    assert (end - points.moments()[0]).norm(dim=1).max() < 0.02


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_every_sampler_takes_a_velocity(sampler):
    point = torch.tensor([[0.3, -0.8]])
    one = lambda x, t, cond=None: (x - point) / t  # the velocity of a single point as data
    grid = sigma_grid(flow_schedule(), 12)
    end = run_to_end(
        sample_loop(
            get_step(sampler),
            denoiser_of(one),
            grid[0] * torch.randn(5, 2, generator=seeded(3)),
            grid,
            None,
            Noise(3),
        )
    )
    assert torch.allclose(end, point.expand(5, 2), atol=5e-3)


def test_the_coupling_of_a_normal_is_a_scale():
    normal = GaussianMixture(torch.tensor([[0.5, -1.0]]), 0.4)
    z = drawn(4, 200)
    end = solve_ode(normal.denoise, z, 200)
    assert torch.allclose(end, torch.tensor([0.5, -1.0]) + 0.4 * z, atol=0.02)


# Straightness


@given(seeds, st.integers(2, 20))
def test_straightness_is_zero_for_constant_velocity_only(seed, steps):
    t = torch.cat(
        [
            torch.ones(1),
            torch.rand(steps - 1, generator=seeded(seed)).sort(descending=True).values,
            torch.zeros(1),
        ]
    ).double()
    a, b = drawn(seed, 5), drawn(seed + 1, 5)
    path = b + t[:, None, None] * a
    assert straightness(path, t).max() < 1e-12
    assert torch.allclose(straightness(path.flip(0), t.flip(0)), torch.zeros(5).double(), atol=1e-12), (
        "either direction of time"
    )
    spans = t.diff().abs()
    if spans.min() > 1e-3:
        path[1:-1] += torch.sin(7 * t[1:-1, None, None] + 1)
        assert straightness(path, t).min() > 0


def test_straightness_of_a_parabola():
    t = torch.linspace(1, 0, 2001, dtype=torch.float64)
    path = torch.stack([t**2, 0 * t], 1)[:, None]
    assert straightness(path, t).item() == pytest.approx(1 / 3, abs=1e-3)  # the integral of (2t - 1)²


def test_a_path_ends_with_the_picture():
    grid = sigma_grid(flow_schedule(), 9)
    states = list(
        sample_loop(euler_step, moons().denoise, grid[0] * torch.randn(4, 2, generator=seeded(0)), grid)
    )
    path, t = flow_trajectory(states)
    assert path.shape == (10, 4, 2) and t.shape == (10,)
    assert torch.equal(path[-1], states[-1].x0_hat) and t[-1] == 0
    assert torch.allclose(t, torch.linspace(0.999, 0, 10), atol=1e-4)


# Pairs and training


def test_pairs_are_functions_of_the_number():
    data = independent_pairs(clusters(), 32, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(data(3), independent_pairs(clusters(), 32, seed=5)(3)))
    assert not torch.equal(data(3)[0], data(4)[0])
    x0, z = torch.arange(50.0)[:, None], -torch.arange(50.0)[:, None]
    kept = coupled_pairs(x0, z, 16, seed=1)
    assert all(torch.equal(*(side * sign for side, sign in zip(kept(n), (1, -1)))) for n in range(5)), (
        "partners stay together"
    )


def test_independent_noise_knows_nothing_of_its_point():
    x0, z = independent_pairs(moons(), 20_000)(0)
    assert torch.corrcoef(torch.cat([x0, z], 1).T)[:2, 2:].abs().max() < 0.03
    assert abs(z.std() - 1) < 0.02


def test_a_velocity_is_learned_from_its_own_pairs():
    "Pairs joined by a shift: the velocity is a constant, and one step is enough."
    z = torch.randn(4000, 2, generator=seeded(0))
    shift = torch.tensor([1.0, -2.0])
    velocity = flow_learner(coupled_pairs(z + shift, z), width=32).fit(250).model.eval()
    end = solve_ode(denoiser_of(velocity), z[:200], 1)
    assert (end - z[:200] - shift).norm(dim=1).mean() < 0.3
    path, t = flow_trajectory(
        sample_loop(euler_step, denoiser_of(velocity), 999 * z[:200], sigma_grid(flow_schedule(), 16))
    )
    assert straightness(path, t).mean() < 0.1


def test_optimal_velocity_beats_its_neighbours():
    points, n = clusters(), 4000
    x0, z = points.sample(n, seeded(0)).double(), torch.randn(n, 2, generator=seeded(1)).double()
    t = torch.rand(n, generator=seeded(2)).double() * 0.98 + 0.01
    best = velocity_of(points.denoise)
    least = flow_matching_loss(best, x0, z, t)
    for k in (-0.2, 0.2):
        assert flow_matching_loss(lambda x, s, cond, k=k: best(x, s) + k, x0, z, t) == pytest.approx(
            float(least) + k**2, abs=0.06
        )
    assert math.isfinite(float(least))
