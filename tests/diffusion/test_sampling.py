"Properties of the reverse process: one loop, and a step function for each sampler."

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steady import bank, no_deadline, seeded, wide
from diffusion_examples import levels, seeds
from t2i_learn.core.tensors import Noise
from t2i_learn.diffusion.schedules import karras_grid, log_grid
from t2i_learn.diffusion.losses import finite_set_denoiser
from t2i_learn.diffusion.sampling import (
    churn_sigmas,
    ddim_step,
    ddpm_step,
    euler_step,
    exponential_moments,
    fork,
    get_step,
    heun_with_churn,
    initial_noise,
    q_posterior,
    quadrature_weights,
    run_to_end,
    sample_loop,
    SAMPLERS,
)
from t2i_learn.diffusion.continuous import convergence_order, sde_step

no_deadline()


@given(levels, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_two_posterior_steps_are_one(sigma, share, other):
    middle = sigma * max(share, other)
    low = sigma * share * other
    y, x0 = wide(3.0), wide(-0.4)
    mean, variance = q_posterior(y, x0, wide(sigma), wide(middle))
    mean, variance_2 = q_posterior(mean, x0, wide(middle), wide(low))
    direct, whole = q_posterior(y, x0, wide(sigma), wide(low))
    assert torch.allclose(mean, direct, rtol=1e-6)
    assert torch.allclose(variance_2 + (low / middle) ** 4 * variance, whole, rtol=1e-6)


@given(levels, st.floats(0.01, 0.99))
def test_a_step_down_keeps_the_marginal(sigma, share):
    low = share * sigma
    _, variance = q_posterior(wide(0.0), wide(0.0), wide(sigma), wide(low))
    assert torch.isclose(share**4 * wide(sigma) ** 2 + variance, wide(low) ** 2)


@given(seeds, st.integers(0, 1000), st.integers(0, 50), st.integers(1, 6))
def test_noise_belongs_to_a_picture(seed, step, first, n):
    rows = Noise(seed, first).normal((n, 3, 2, 2), step)
    alone = Noise(seed, first + n - 1).normal((1, 3, 2, 2), step)
    assert torch.equal(rows[-1:], alone)
    assert not torch.equal(alone, Noise(seed, first + n - 1).normal((1, 3, 2, 2), step + 1))


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0.1, 100))
@settings(max_examples=20)
def test_the_start_has_the_data_s_mean_and_variance(mean, std, sigma_max):
    y = initial_noise((2, 20_000), sigma_max, mean, std)
    spread = math.hypot(std, sigma_max)
    assert abs(y.mean() - mean) < 0.03 * spread
    assert abs(y.std() / spread - 1) < 0.03


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_end_on_the_training_set(name):
    pictures = bank()
    y = initial_noise((5, 3, 4, 4), 30.0, pictures.mean(0), pictures.std(0), Noise(2))
    states = list(
        sample_loop(
            get_step(name), finite_set_denoiser(pictures), y, karras_grid(30, 0.02, 30.0), noise=Noise(2)
        )
    )
    assert [s.step for s in states] == list(range(30))
    apart = (states[-1].x0_hat[:, None] - pictures).flatten(2).norm(dim=2).min(1).values
    assert apart.max() < 1e-3


@given(st.floats(0, 1), st.integers(1, 8), st.integers(0, 7), seeds)
@settings(max_examples=25)
def test_a_fork_and_another_batch_change_nothing(eta, n, at, seed):
    denoiser = finite_set_denoiser(bank())
    grid = karras_grid(8, 0.1, 10.0)
    y = initial_noise((n, 3, 4, 4), grid[0], noise=Noise(seed))
    states = list(sample_loop(partial(ddim_step, eta=eta), denoiser, y, grid, noise=Noise(seed)))
    forked = run_to_end(
        sample_loop(
            partial(ddim_step, eta=eta),
            denoiser,
            states[at].y,
            grid[at:],
            noise=Noise(seed),
            first_step=at,
        )
    )
    assert torch.equal(forked, states[-1].x0_hat)
    alone = run_to_end(
        sample_loop(partial(ddim_step, eta=eta), denoiser, y[n - 1 :], grid, noise=Noise(seed, n - 1))
    )
    assert torch.allclose(alone, states[-1].x0_hat[n - 1 :], atol=1e-4)


@given(st.integers(1, 12), seeds)
@settings(max_examples=20)
def test_one_family(steps, seed):
    denoiser = finite_set_denoiser(bank())
    grid = karras_grid(steps, 0.1, 10.0)
    y = initial_noise((3, 3, 4, 4), grid[0], noise=Noise(seed))
    for a, b in zip(
        sample_loop(euler_step, denoiser, y, grid),
        sample_loop(ddim_step, denoiser, y, grid),
        strict=True,
    ):
        assert torch.allclose(a.y, b.y, atol=1e-4)
    for a, b in zip(
        sample_loop(ddpm_step, denoiser, y, grid, None, Noise(seed)),
        sample_loop(partial(ddim_step, eta=1.0), denoiser, y, grid, None, Noise(seed)),
        strict=True,
    ):
        assert torch.allclose(a.y, b.y, atol=1e-4)


def test_states_remember_what_a_multistep_rule_needs():
    states = list(
        sample_loop(
            euler_step,
            finite_set_denoiser(bank()),
            initial_noise((2, 3, 4, 4), 5.0),
            karras_grid(6, 0.1, 5.0),
        )
    )
    assert [[past.step for past in s.history] for s in states] == [
        [],
        [0],
        [0, 1],
        [0, 1, 2],
        [1, 2, 3],
        [2, 3, 4],
    ]
    before = states[4].history[-1]
    assert (
        before.sigma == states[3].sigma
        and torch.equal(before.x0_hat, states[3].x0_hat)
        and before.history == ()
    )


def test_clipping_keeps_pixels_in_range():
    wild = lambda y, sigma, cond=None: 3 * y
    y = initial_noise((2, 3, 4, 4), 5.0)
    for sampler in SAMPLERS.values():
        for state in sample_loop(
            sampler.step, wild, y, karras_grid(4, 0.1, 5.0), noise=Noise(0), clip=True
        ):
            assert state.x0_hat.abs().max() <= 1
            assert torch.allclose(state.x0_hat + state.sigma * state.eps_hat, state.y, atol=1e-4)


ALL = [(name, {}) for name in SAMPLERS] + [
    ("heun", {"s_churn": 4.0, "s_tmin": 0.2, "s_tmax": 5.0}),
    ("ddim", {"eta": 0.6}),
]


def step_and_levels(name, grid, options):
    "A sampler's step, and the levels it goes down: with churn they are raised."
    return (
        heun_with_churn(grid, **options) if "s_churn" in options else (get_step(name, **options), grid)
    )


@pytest.mark.parametrize("name, options", ALL)
@given(st.integers(0, 8), seeds)
@settings(max_examples=4)
def test_a_fork_repeats_the_rest_bit_for_bit(name, options, at, seed):
    denoiser = finite_set_denoiser(bank())
    step, grid = step_and_levels(name, karras_grid(9, 0.1, 10.0), options)
    y = initial_noise((2, 3, 4, 4), grid[0], noise=Noise(seed, 3))
    states = list(sample_loop(step, denoiser, y, grid, None, Noise(seed, 3)))
    rest = list(fork(step, denoiser, states[at], grid, None, Noise(seed, 3)))
    assert len(rest) == 9 - at
    for a, b in zip(states[at:], rest, strict=True):
        assert a.step == b.step and a.sigma == b.sigma and len(a.history) == len(b.history)
        assert (
            torch.equal(a.y, b.y)
            and torch.equal(a.x0_hat, b.x0_hat)
            and torch.equal(a.eps_hat, b.eps_hat)
        )


def test_a_fork_can_forget_and_go_another_way():
    denoiser, grid = finite_set_denoiser(bank()), karras_grid(9, 0.1, 10.0)
    states = list(
        sample_loop(ddpm_step, denoiser, initial_noise((2, 3, 4, 4), grid[0]), grid, None, Noise(0))
    )
    fresh = list(fork(get_step("dpmpp_2m"), denoiser, states[4], grid, reset_history=True))
    assert [len(s.history) for s in fresh] == [0, 1, 2, 3, 3]
    by_euler = list(fork(euler_step, denoiser, states[4], grid))[1]
    assert torch.allclose(fresh[1].y, by_euler.y, atol=1e-5)


@pytest.mark.parametrize("name, options", ALL)
@given(st.floats(-3, 3), st.floats(0.2, 5), seeds)
@settings(max_examples=5)
def test_moving_and_scaling_the_data_moves_and_scales_the_samples(name, options, shift, scale, seed):
    options = {k: v * scale if k in ("s_tmin", "s_tmax") else v for k, v in options.items()}
    pictures, grid = bank().double(), karras_grid(6, 0.2, 8.0).double()
    y = initial_noise((2, 3, 4, 4), grid[0], noise=Noise(seed)).double()
    here, there = finite_set_denoiser(pictures), finite_set_denoiser(scale * pictures + shift)
    plain = {k: v / scale if k in ("s_tmin", "s_tmax") else v for k, v in options.items()}
    step, levels_here = step_and_levels(name, grid, plain)
    one = run_to_end(sample_loop(step, here, y, levels_here, None, Noise(seed)))
    step, levels_there = step_and_levels(name, scale * grid, options)
    other = run_to_end(sample_loop(step, there, scale * y + shift, levels_there, None, Noise(seed)))
    assert torch.allclose(scale * one + shift, other, atol=1e-6 * scale)


DETERMINISTIC = [name for name, sampler in SAMPLERS.items() if not sampler.stochastic]


def normal(y, sigma, cond=None):
    "The exact denoiser of N(0, 1)."
    return y / (1 + sigma**2)


@pytest.mark.parametrize("name", DETERMINISTIC)
@given(st.floats(-4, 4), st.floats(-4, 4), st.integers(1, 12), seeds)
@settings(max_examples=10)
def test_a_linear_denoiser_makes_a_linear_sampler(name, a, b, steps, seed):
    y, z = torch.randn(2, 3, 2, generator=seeded(seed)).double()
    run = lambda begun: run_to_end(
        sample_loop(get_step(name), normal, begun, karras_grid(steps, 0.1, 9.0).double())
    )
    assert torch.allclose(run(a * y + b * z), a * run(y) + b * run(z), atol=1e-6)


@pytest.mark.parametrize("name", SAMPLERS)
@given(st.integers(1, 9), st.floats(0.02, 1), seeds)
@settings(max_examples=10)
def test_one_picture_is_found_in_any_number_of_steps(name, steps, low, seed):
    only = bank(1)
    y = initial_noise((2, 3, 4, 4), 9.0, noise=Noise(seed))
    states = list(
        sample_loop(
            get_step(name), finite_set_denoiser(only), y, karras_grid(steps, low, 9.0), None, Noise(seed)
        )
    )
    assert torch.allclose(states[-1].x0_hat, only.expand(2, -1, -1, -1), atol=1e-5)


@pytest.mark.parametrize("name, order", [("euler", 1), ("heun", 2), ("dpmpp_2m", 2)])
@pytest.mark.parametrize("grid", [karras_grid, log_grid])
def test_orders_on_a_normal_law(name, order, grid):
    truth, counts = math.sqrt((1 + 0.05**2) / (1 + 20**2)), (40, 80, 160, 320)
    ends = [
        list(
            sample_loop(
                get_step(name), normal, torch.ones(1, 1).double(), grid(n + 1, 0.05, 20.0).double()
            )
        )[-1].y
        for n in counts
    ]
    assert abs(convergence_order([abs(float(end) - truth) for end in ends], counts) - order) < 0.15


@given(
    st.lists(st.floats(-5, 0), min_size=1, max_size=4, unique_by=lambda v: round(v, 1)),
    st.integers(0, 3),
)
def test_weights_integrate_polynomials(nodes, power):
    nodes = torch.tensor(nodes, dtype=torch.float64)
    weights = quadrature_weights(nodes, 1 / torch.arange(1, len(nodes) + 1).double())
    if power < len(nodes):
        assert torch.isclose(weights @ nodes**power, wide(1 / (power + 1))[0], atol=1e-5)


@given(st.floats(0.01, 8))
def test_growing_weights_pull_to_the_end(h):
    moments = exponential_moments(torch.tensor(h), 3)
    assert moments[0] == 1 and 1 / 2 < moments[1] < 1 and 1 / 3 < moments[2] < moments[1]
    assert torch.allclose(exponential_moments(torch.tensor(0.01), 3), wide(1, 1 / 2, 1 / 3), atol=2e-3)


@given(st.integers(2, 60), st.floats(0, 2), st.floats(0, 1), st.floats(1, 90))
def test_churn_only_raises(steps, share, low, high):
    grid = karras_grid(steps)
    raised = churn_sigmas(grid, share, low, high)
    assert (raised >= grid).all() and (raised <= grid * (2**0.5 + 1e-6)).all()
    assert raised[0] == grid[0] and raised[-1] == 0
    outside = (grid < low) | (grid > high)
    assert torch.equal(raised[outside], grid[outside])


def test_samplers_build_no_graph():
    gain = torch.tensor(0.5, requires_grad=True)
    assert not run_to_end(
        sample_loop(
            ddim_step, lambda y, sigma, cond: gain * y, initial_noise((1, 2), 5.0), karras_grid(3)
        )
    ).requires_grad


def test_unknown_sampler_and_eta_say_what_is_known():
    with pytest.raises(ValueError, match=r"'plms'.*ddim, ddpm, .*euler"):
        get_step("plms")
    with pytest.raises(ValueError, match="between 0 and 1, not 2"):
        run_to_end(
            sample_loop(get_step("ddim", eta=2.0), lambda y, s, c: y, torch.zeros(1, 2), karras_grid(2))
        )


# ---- levels that no sampler can go down ----

RISING = torch.tensor([1.0, 2.0, 0.5, 0.0])
NEARLY_EQUAL = torch.tensor([2.0, 1.0, 1 - 6e-8, 0.5, 0.0])


def half(y, sigma, cond=None):
    return y / 2


def go_down(step, sigmas):
    return run_to_end(sample_loop(step, half, torch.ones(1, 1), sigmas, noise=Noise(0)))


GOING_DOWN = ["ddpm", "ddim", "dpmpp_2m", "dpmpp_2m_sde", "unipc"]


@pytest.mark.parametrize("step", [*map(get_step, GOING_DOWN), sde_step], ids=[*GOING_DOWN, "sde"])
def test_levels_that_rise_are_a_sentence_where_a_step_only_goes_down(step):
    with pytest.raises(ValueError, match="levels must fall"):
        go_down(step, RISING)


@pytest.mark.parametrize("name", ["euler", "heun", "lms"])
def test_the_probability_flow_goes_up_and_down(name):
    assert go_down(get_step(name), RISING).isfinite().all()
    assert go_down(get_step(name), RISING[:2]).isfinite().all()


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("sigmas", [NEARLY_EQUAL, torch.tensor([2.0, 1.0, 1.0, 0.0])])
def test_levels_that_stand_still_are_a_sentence(name, sigmas):
    with pytest.raises(ValueError, match="levels must fall"):
        go_down(get_step(name), sigmas)


@pytest.mark.parametrize("name", SAMPLERS)
def test_levels_and_pictures_may_be_whole_numbers(name):
    whole = torch.tensor([3, 2, 1, 0])
    ones = torch.ones(1, 1, dtype=torch.long)
    run = lambda y, s: run_to_end(sample_loop(get_step(name), half, y, s, noise=Noise(0)))
    assert torch.equal(run(ones, whole), run(ones.float(), whole.float()))
