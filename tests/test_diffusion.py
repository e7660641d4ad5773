"""Properties of schedules, the forward and reverse process, samplers and guidance."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steady import seeded
from t2i_learn.diffusion.continuous import divergence, log_likelihood, convergence_order, sde_step
from t2i_learn.diffusion.forward import append_dims, q_sample, q_sample_at, q_step
from t2i_learn.diffusion.guidance import CFGDenoiser, drop_captions, cfg
from t2i_learn.diffusion.reverse import (
    LOSS_WEIGHTS,
    SigmaDistribution,
    State,
    ddpm,
    denoising_loss,
    edm_weight,
    finite_set_denoiser,
    normal_kl,
    step_kl,
    logit_normal_sigmas,
    lognormal_sigmas,
    loss_per_sigma,
    picture_noise,
    q_posterior,
    initial_noise,
    uniform_time_sigmas,
)
from t2i_learn.diffusion.samplers import (
    SAMPLERS,
    churn_sigmas,
    ddim,
    euler,
    euler_step,
    fork,
    get_sampler,
    exponential_moments,
    run_to_end,
    quadrature_weights,
)
from t2i_learn.diffusion.text_to_image import TextToImageDiffusion
from t2i_learn.diffusion.transformer import TextToImageDiT
from t2i_learn.diffusion.schedules import (
    SIGMA_SPACINGS,
    NoiseSchedule,
    b_flow,
    b_ve,
    b_vp,
    betas_of,
    cosine_schedule,
    karras_grid,
    linear_schedule,
    log_grid,
    log_linear_schedule,
    shift_schedule,
    sigma_grid,
    flow_schedule,
)

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

SCHEDULES = [linear_schedule(), cosine_schedule(), log_linear_schedule(), flow_schedule(), shift_schedule(flow_schedule(), 3.0), shift_schedule(cosine_schedule(), 0.5)]
schedules = st.sampled_from(SCHEDULES)
levels = st.floats(1e-3, 1e3)
seeds = st.integers(0, 2**63 - 1)


def wide(*values):
    return torch.tensor(values, dtype=torch.float64)


def bank(n=12, shape=(3, 4, 4), seed=0):
    return torch.randn(n, *shape, generator=seeded(seed)).clamp(-1, 1)


# Schedules


@given(schedules, st.floats(0.01, 0.99))
def test_time_and_sigma_invert_each_other(schedule, t):
    sigma = schedule.sigma(wide(t))
    assert torch.allclose(schedule.t_of(sigma), wide(t), atol=1e-9)


@given(schedules, st.floats(0, 1), st.floats(0, 1))
def test_sigma_rises_and_stays_finite(schedule, a, b):
    low, high = sorted((a, b))
    assert schedule.sigma(wide(low)) <= schedule.sigma(wide(high)) < math.inf
    assert schedule.s(wide(high)).isfinite().all() and 0 < schedule.b(wide(high)) <= 1


@given(levels)
def test_views_size_the_picture(sigma):
    sigma = wide(sigma)
    assert torch.isclose(b_vp(sigma) ** 2 * (1 + sigma**2), wide(1))
    assert torch.isclose(b_flow(sigma) * (1 + sigma), wide(1))
    assert b_ve(sigma) == 1


@given(schedules, st.floats(0.1, 10), st.floats(0.02, 0.98))
def test_a_shift_moves_the_log_snr(schedule, shift, t):
    moved = shift_schedule(schedule, shift)
    difference = schedule.log_snr(wide(t)) - moved.log_snr(wide(t))
    assert torch.isclose(difference, wide(2 * math.log(shift)), atol=1e-9)


@given(schedules, st.integers(1, 200))
def test_grids_fall_to_zero(schedule, steps):
    for grid in (sigma_grid(schedule, steps), *(make(steps) for make in SIGMA_SPACINGS.values())):
        assert grid.shape == (steps + 1,) and grid.dtype == torch.float32
        assert grid[-1] == 0 and (grid.diff() < 0).all()


@pytest.mark.parametrize("steps", [0, -3])
def test_no_steps_is_an_error(steps):
    with pytest.raises(ValueError, match=f"at least 1 step, not {steps}"):
        sigma_grid(flow_schedule(), steps)
    with pytest.raises(ValueError, match=f"at least 1 step, not {steps}"):
        karras_grid(steps)


@pytest.mark.parametrize("name", SIGMA_SPACINGS)
@given(st.integers(2, 100), st.floats(0.01, 0.5), st.floats(2, 90))
def test_even_grids_begin_and_end_where_they_are_told(name, steps, low, high):
    grid = SIGMA_SPACINGS[name](steps, low, high)
    assert torch.allclose(grid[[0, -2]], torch.tensor([high, low]), rtol=1e-3) and grid[-1] == 0


@given(st.sampled_from([linear_schedule(), cosine_schedule()]), st.integers(1, 300))
def test_betas_multiply_to_the_schedule(schedule, steps):
    betas = betas_of(schedule, steps)
    assert ((betas > 0) & (betas < 1)).all()
    alpha_bar = schedule.b(torch.tensor(schedule.t_max, dtype=torch.float64)) ** 2
    assert torch.isclose((1 - betas).prod(), alpha_bar)


# Forward


@given(st.integers(1, 40), seeds)
@settings(max_examples=20)
def test_the_chain_is_one_jump_with_the_chain_s_own_noise(steps, seed):
    x0 = bank(2, seed=1).double()
    x, noise = x0, torch.zeros_like(x0)
    generator, again = seeded(seed), seeded(seed)
    for beta in betas_of(cosine_schedule(), steps)[:-1]:
        x = q_step(x, beta, generator)
        noise = q_step(noise, beta, again)
    b = cosine_schedule().b(wide(0.999 * (steps - 1) / steps))
    assert torch.allclose(x, b * x0 + noise, atol=1e-9)


@given(schedules, st.floats(0.01, 0.99), seeds)
def test_the_views_hold_the_same_picture(schedule, t, seed):
    x0 = bank(3)
    x, z = q_sample_at(x0, t, schedule, seeded(seed))
    y, same = q_sample(x0, schedule.sigma(t), seeded(seed))
    assert torch.equal(z, same)
    assert torch.allclose(x, schedule.b(t) * y)


def test_levels_broadcast_one_for_all_one_a_picture_or_a_map():
    y = torch.zeros(5, 3, 4, 4)
    assert append_dims(2.0, y).shape == append_dims(torch.arange(5), y).shape == (5, 1, 1, 1)
    assert append_dims(torch.ones(5, 1, 4, 4), y).shape == (5, 1, 4, 4)
    with pytest.raises(RuntimeError):
        append_dims(torch.ones(4), y)


# Reverse


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


@given(st.floats(0, 4), levels, st.floats(0.01, 0.99))
def test_a_step_s_divergence_is_weighted_error(error, sigma, share):
    sigma, low = wide(sigma), wide(share * sigma)
    mean, variance = q_posterior(wide(1.0), wide(error), sigma, low)
    wrong, _ = q_posterior(wide(1.0), wide(0.0), sigma, low)
    direct = normal_kl(mean, variance, wrong, variance)
    assert torch.allclose(direct, step_kl(wide(error) ** 2, sigma, low), rtol=1e-6, atol=1e-12)


@given(st.floats(-3, 3), st.floats(0.01, 9), st.floats(-3, 3), st.floats(0.01, 9))
def test_divergence_is_never_negative(mean, variance, mean_2, variance_2):
    assert normal_kl(wide(mean), wide(variance), mean_2, variance_2) >= -1e-12


@given(seeds, st.integers(0, 1000), st.integers(0, 50), st.integers(1, 6))
def test_noise_belongs_to_a_picture(seed, step, first, n):
    rows = picture_noise((n, 3, 2, 2), seed, step, first)
    alone = picture_noise((1, 3, 2, 2), seed, step, first + n - 1)
    assert torch.equal(rows[-1:], alone)
    assert not torch.equal(alone, picture_noise((1, 3, 2, 2), seed, step + 1, first + n - 1))


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0.1, 100))
@settings(max_examples=20)
def test_the_start_has_the_data_s_mean_and_variance(mean, std, sigma_max):
    y = initial_noise((2, 20_000), sigma_max, mean, std)
    spread = math.hypot(std, sigma_max)
    assert abs(y.mean() - mean) < 0.03 * spread
    assert abs(y.std() / spread - 1) < 0.03


@pytest.mark.parametrize("law", [lognormal_sigmas(-1.0, 0.7), uniform_time_sigmas(linear_schedule()), uniform_time_sigmas(flow_schedule()), logit_normal_sigmas(0.5, 1.0, 3.0)])
def test_laws_draw_their_quantiles(law):
    drawn = law(20_000, seeded(0)).double()
    u = wide(0.1, 0.5, 0.9)
    assert torch.allclose(torch.quantile(drawn, u), law.quantile(u), rtol=0.02)
    plain = SigmaDistribution(law.quantile, stratified=False)(20_000, seeded(0)).double()
    assert torch.allclose(torch.quantile(plain, u), law.quantile(u), rtol=0.1)


@given(st.integers(1, 64), seeds)
def test_a_stratified_batch_has_one_level_in_each_stratum(n, seed):
    u = SigmaDistribution(lambda u: u)(n, seeded(seed))
    assert sorted((u * n).clamp(max=n - 0.5).floor().int().tolist()) == list(range(n))


@given(levels)
def test_the_weight_of_v_is_the_sum_of_x0_and_eps(sigma):
    sigma = wide(sigma)
    assert torch.isclose(LOSS_WEIGHTS["v"](sigma), LOSS_WEIGHTS["x0"](sigma) + LOSS_WEIGHTS["eps"](sigma))
    assert torch.isclose(edm_weight(1.0)(sigma), LOSS_WEIGHTS["v"](sigma))
    assert torch.isclose(LOSS_WEIGHTS["flow"](sigma), 1 / (sigma * b_flow(sigma)) ** 2)


def test_the_loss_has_a_gradient_and_knows_each_level():
    x0 = bank(6)
    gain = torch.tensor(0.5, requires_grad=True)
    sigma = torch.linspace(0.1, 5, 6)
    loss = denoising_loss(lambda y, sigma, cond: gain * y, x0, sigma, weight=LOSS_WEIGHTS["eps"], generator=seeded(0))
    loss.backward()
    assert gain.grad is not None and gain.grad.abs() > 0
    doubled = denoising_loss(
        lambda y, sigma, cond: gain * y, x0, sigma, None, lambda s: 2 * LOSS_WEIGHTS["eps"](s), seeded(0)
    )
    assert torch.isclose(doubled, 2 * loss)


def test_the_finite_set_denoiser_beats_every_other_on_its_set():
    pictures = bank(20)
    exact = finite_set_denoiser(pictures)
    grid = torch.tensor([0.1, 0.5, 2.0])
    best = loss_per_sigma(exact, pictures.repeat(20, 1, 1, 1), grid)
    for other in (finite_set_denoiser(pictures[:19]), lambda y, s, c: y, lambda y, s, c: 0.9 * exact(y, s, c)):
        assert (loss_per_sigma(other, pictures.repeat(20, 1, 1, 1), grid) > best).all()


@given(st.permutations(range(12)), levels, seeds)
def test_the_finite_set_has_no_order_and_its_answer_no_surprises(order, sigma, seed):
    pictures = bank()
    y = 10 * torch.randn(3, 3, 4, 4, generator=seeded(seed))
    answer = finite_set_denoiser(pictures)(y, torch.tensor(sigma))
    assert torch.allclose(answer, finite_set_denoiser(pictures[list(order)])(y, torch.tensor(sigma)), atol=1e-5)
    assert (answer <= pictures.amax(0) + 1e-5).all() and (answer >= pictures.amin(0) - 1e-5).all()


# Samplers


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_end_on_the_training_set(name):
    pictures = bank()
    y = initial_noise((5, 3, 4, 4), 30.0, pictures.mean(0), pictures.std(0), seed=2)
    states = list(get_sampler(name)(finite_set_denoiser(pictures), y, karras_grid(30, 0.02, 30.0), generator=seeded(2)))
    assert [s.step for s in states] == list(range(30))
    apart = (states[-1].x0_hat[:, None] - pictures).flatten(2).norm(dim=2).min(1).values
    assert apart.max() < 1e-3


@given(st.floats(0, 1), st.integers(1, 8), st.integers(0, 7), seeds)
@settings(max_examples=25)
def test_a_fork_and_another_batch_change_nothing(eta, n, at, seed):
    denoiser = finite_set_denoiser(bank())
    grid = karras_grid(8, 0.1, 10.0)
    y = initial_noise((n, 3, 4, 4), grid[0], seed=seed)
    states = list(ddim(denoiser, y, grid, generator=seeded(seed), eta=eta))
    forked = run_to_end(ddim(denoiser, states[at].y, grid[at:], generator=seeded(seed), eta=eta, step=at))
    assert torch.equal(forked, states[-1].x0_hat)
    alone = run_to_end(ddim(denoiser, y[n - 1 :], grid, generator=seeded(seed), eta=eta, first=n - 1))
    assert torch.allclose(alone, states[-1].x0_hat[n - 1 :], atol=1e-4)


@given(st.integers(1, 12), seeds)
@settings(max_examples=20)
def test_one_family(steps, seed):
    denoiser = finite_set_denoiser(bank())
    grid = karras_grid(steps, 0.1, 10.0)
    y = initial_noise((3, 3, 4, 4), grid[0], seed=seed)
    for a, b in zip(euler(denoiser, y, grid), ddim(denoiser, y, grid), strict=True):
        assert torch.allclose(a.y, b.y, atol=1e-4)
    for a, b in zip(ddpm(denoiser, y, grid, None, seeded(seed)), ddim(denoiser, y, grid, None, seeded(seed), eta=1.0), strict=True):
        assert torch.allclose(a.y, b.y, atol=1e-4)


def test_states_remember_what_a_multistep_rule_needs():
    states = list(euler(finite_set_denoiser(bank()), initial_noise((2, 3, 4, 4), 5.0), karras_grid(6, 0.1, 5.0)))
    assert [[past.step for past in s.history] for s in states] == [[], [0], [0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]]
    before = states[4].history[-1]
    assert before.sigma == states[3].sigma and torch.equal(before.x0_hat, states[3].x0_hat) and before.history == ()


def test_clipping_keeps_pixels_in_range():
    wild = lambda y, sigma, cond=None: 3 * y
    y = initial_noise((2, 3, 4, 4), 5.0)
    for sampler in SAMPLERS.values():
        for state in sampler(wild, y, karras_grid(4, 0.1, 5.0), generator=seeded(0), clip=True):
            assert state.x0_hat.abs().max() <= 1
            assert torch.allclose(state.x0_hat + state.sigma * state.eps_hat, state.y, atol=1e-4)


ALL = [(name, {}) for name in SAMPLERS] + [("heun", {"s_churn": 4.0, "s_tmin": 0.2, "s_tmax": 5.0}), ("ddim", {"eta": 0.6})]


@pytest.mark.parametrize("name, options", ALL)
@given(st.integers(0, 8), seeds)
@settings(max_examples=4)
def test_a_fork_repeats_the_rest_bit_for_bit(name, options, at, seed):
    denoiser, grid = finite_set_denoiser(bank()), karras_grid(9, 0.1, 10.0)
    y = initial_noise((2, 3, 4, 4), grid[0], seed=seed, first=3)
    states = list(SAMPLERS[name](denoiser, y, grid, None, seeded(seed), first=3, **options))
    rest = list(fork(name, denoiser, states[at], grid, None, seeded(seed), first=3, **options))
    assert len(rest) == 9 - at
    for a, b in zip(states[at:], rest, strict=True):
        assert a.step == b.step and a.sigma == b.sigma and len(a.history) == len(b.history)
        assert torch.equal(a.y, b.y) and torch.equal(a.x0_hat, b.x0_hat) and torch.equal(a.eps_hat, b.eps_hat)


def test_a_fork_can_forget_and_go_another_way():
    denoiser, grid = finite_set_denoiser(bank()), karras_grid(9, 0.1, 10.0)
    states = list(ddpm(denoiser, initial_noise((2, 3, 4, 4), grid[0]), grid, None, seeded(0)))
    fresh = list(fork("dpmpp_2m", denoiser, states[4], grid, forget=True))
    assert [len(s.history) for s in fresh] == [0, 1, 2, 3, 3]
    by_euler = list(fork(euler, denoiser, states[4], grid))[1]
    assert torch.allclose(fresh[1].y, by_euler.y, atol=1e-5)


@pytest.mark.parametrize("name, options", ALL)
@given(st.floats(-3, 3), st.floats(0.2, 5), seeds)
@settings(max_examples=5)
def test_moving_and_scaling_the_data_moves_and_scales_the_samples(name, options, shift, scale, seed):
    options = {k: v * scale if k in ("s_tmin", "s_tmax") else v for k, v in options.items()}
    pictures, grid = bank().double(), karras_grid(6, 0.2, 8.0).double()
    y = initial_noise((2, 3, 4, 4), grid[0], seed=seed).double()
    here, there = finite_set_denoiser(pictures), finite_set_denoiser(scale * pictures + shift)
    plain = {k: v / scale if k in ("s_tmin", "s_tmax") else v for k, v in options.items()}
    one = run_to_end(SAMPLERS[name](here, y, grid, None, seeded(seed), **plain))
    other = run_to_end(SAMPLERS[name](there, scale * y + shift, scale * grid, None, seeded(seed), **options))
    assert torch.allclose(scale * one + shift, other, atol=1e-6 * scale)


DETERMINISTIC = [name for name in SAMPLERS if name not in ("ddpm", "dpmpp_2m_sde")]


def normal(y, sigma, cond=None):
    "The exact denoiser of N(0, 1)."
    return y / (1 + sigma**2)


@pytest.mark.parametrize("name", DETERMINISTIC)
@given(st.floats(-4, 4), st.floats(-4, 4), st.integers(1, 12), seeds)
@settings(max_examples=10)
def test_a_linear_denoiser_makes_a_linear_sampler(name, a, b, steps, seed):
    y, z = torch.randn(2, 3, 2, generator=seeded(seed)).double()
    run = lambda begun: run_to_end(SAMPLERS[name](normal, begun, karras_grid(steps, 0.1, 9.0).double()))
    assert torch.allclose(run(a * y + b * z), a * run(y) + b * run(z), atol=1e-6)


@pytest.mark.parametrize("name", SAMPLERS)
@given(st.integers(1, 9), st.floats(0.02, 1), seeds)
@settings(max_examples=10)
def test_one_picture_is_found_in_any_number_of_steps(name, steps, low, seed):
    only = bank(1)
    states = list(SAMPLERS[name](finite_set_denoiser(only), initial_noise((2, 3, 4, 4), 9.0, seed=seed), karras_grid(steps, low, 9.0), None, seeded(seed)))
    assert torch.allclose(states[-1].x0_hat, only.expand(2, -1, -1, -1), atol=1e-5)


@pytest.mark.parametrize("name, order", [("euler", 1), ("heun", 2), ("dpmpp_2m", 2)])
@pytest.mark.parametrize("grid", [karras_grid, log_grid])
def test_orders_on_a_normal_law(name, order, grid):
    truth, counts = math.sqrt((1 + 0.05**2) / (1 + 20**2)), (40, 80, 160, 320)
    ends = [list(SAMPLERS[name](normal, torch.ones(1, 1).double(), grid(n + 1, 0.05, 20.0).double()))[-1].y for n in counts]
    assert abs(convergence_order([abs(float(end) - truth) for end in ends], counts) - order) < 0.15


@given(st.lists(st.floats(-5, 0), min_size=1, max_size=4, unique_by=lambda v: round(v, 1)), st.integers(0, 3))
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


# Continuous time


@pytest.mark.parametrize("v, low, seed", [(0.3, 0.1, 0), (2.0, 0.5, 1)])
def test_the_flow_s_likelihood_of_a_normal_law(v, low, seed):
    denoiser = lambda y, sigma, cond=None: v * y / (v + sigma**2)
    y = torch.randn(4, 1, 2, 2, generator=seeded(seed)).double()
    grid = karras_grid(101, low, 50.0)[:-1].double()
    exact = torch.distributions.Normal(0.0, math.sqrt(v + low**2)).log_prob(y).flatten(1).sum(1)
    found = log_likelihood(denoiser, y, grid, std=math.sqrt(v))
    assert torch.allclose(found, exact, rtol=1e-3, atol=5e-2)
    guess = log_likelihood(denoiser, y, grid, std=math.sqrt(v), signs=torch.randn(y.shape, generator=seeded(seed)).sign().double())
    assert torch.allclose(guess, found)  # the Jacobian is a multiple of one: every guess is right


@given(seeds)
@settings(max_examples=10)
def test_the_divergence_is_the_trace(seed):
    matrix = torch.randn(6, 6, generator=seeded(seed)).double()
    state = State(0, wide(1.0)[0], torch.zeros(3, 2, 3).double(), torch.zeros(1), torch.zeros(1))
    turn = lambda y, sigma, cond=None: (y.flatten(1) @ matrix.T).reshape(y.shape)
    assert torch.allclose(divergence(turn, state), matrix.trace().expand(3))


@given(st.floats(0.3, 4), st.floats(1e-3, 1e3))
def test_order_is_the_exponent(p, scale):
    counts = [10, 30, 50]
    assert abs(convergence_order([scale * n**-p for n in counts], counts) - p) < 1e-6


@given(st.floats(0.2, 20), st.floats(0.5, 0.999))
def test_without_stirring_the_sde_is_the_flow(sigma, share):
    state = State(0, wide(sigma)[0], wide(1.0), wide(0.3), wide(0.7 / sigma))
    low = wide(share * sigma)[0]
    assert torch.equal(sde_step(state, low, lambda: wide(9.0), 0.0), euler_step(state, low, lambda: wide(9.0)))


def test_samplers_build_no_graph():
    gain = torch.tensor(0.5, requires_grad=True)
    assert not run_to_end(ddim(lambda y, sigma, cond: gain * y, initial_noise((1, 2), 5.0), karras_grid(3))).requires_grad


def test_unknown_sampler_and_eta_say_what_is_known():
    with pytest.raises(ValueError, match=r"'plms'.*ddpm, ddim, euler"):
        get_sampler("plms")
    with pytest.raises(ValueError, match="between 0 and 1, not 2"):
        ddim(lambda y, s, c: y, torch.zeros(1, 2), karras_grid(2), eta=2.0)


def test_levels_can_be_a_schedule_of_one_s_own():
    own = NoiseSchedule("own", lambda t: t**2 * 9)
    assert torch.allclose(sigma_grid(own, 3), torch.tensor([9.0, 4.0, 1.0, 0.0]))


# Guidance


@given(st.floats(-5, 10), seeds)
def test_guidance_is_linear_and_off_at_one(scale, seed):
    a, b = torch.randn(2, 3, generator=seeded(seed)).double()
    assert torch.allclose(cfg(a, b, scale), scale * a + (1 - scale) * b)
    assert torch.allclose(cfg(a, b, 1.0), a) and torch.allclose(cfg(a, b, 0.0), b)
    assert torch.allclose(cfg(a, a, scale), a)


class Counted:
    def __init__(self):
        self.rows = []

    def __call__(self, y, sigma, cond=None):
        self.rows.append(len(y))
        return y * 0 + append_dims(cond, y)


def test_guided_asks_once_for_both_and_once_when_off():
    y, cond, uncond = torch.zeros(4, 3, 2, 2), torch.ones(4), torch.zeros(4)
    for scale, rows in ((3.0, 8), (1.0, 4)):
        asked = Counted()
        x0_hat = CFGDenoiser(asked, uncond, scale)(y, append_dims(1.0, y), cond)
        assert asked.rows == [rows] and torch.allclose(x0_hat, torch.full_like(y, scale))


def test_guidance_keeps_to_its_interval():
    asked = Counted()
    y = torch.zeros(2, 2)
    states = list(euler(CFGDenoiser(asked, torch.zeros(2), 5.0, (0.5, 2.0)), y, torch.tensor([8.0, 1.0, 0.1, 0.0]), torch.ones(2)))
    assert [float(s.x0_hat[0, 0]) for s in states] == [1, 5, 1]
    assert asked.rows == [2, 4, 2]


@given(st.floats(0, 1), seeds)
def test_dropped_captions_are_empty_and_as_many_as_asked(rate, seed):
    captions = [f"caption {i}" for i in range(2000)]
    dropped = drop_captions(captions, rate, seeded(seed))
    assert all(d in ("", c) for c, d in zip(captions, dropped, strict=True))
    assert abs(dropped.count("") / 2000 - rate) < 0.08


@pytest.mark.parametrize("kind", [TextToImageDiffusion, TextToImageDiT])
def test_a_denoiser_can_be_trained_on_words_that_stay_as_they_are(kind):
    model = kind()
    cond = model.encode(["a red heart", "two stars"]).map(torch.Tensor.detach)
    model(torch.randn(2, 3, 32, 32, generator=seeded(0)), torch.tensor([0.5, 2.0]), cond).square().mean().backward()
    moved = [p.grad for p in model.denoiser.parameters() if p.grad is not None]
    assert moved and all(grad.isfinite().all() for grad in moved)
    assert all(p.grad is None for p in [*model.encoder.parameters(), *model.reader.parameters()])


def test_a_network_that_wants_a_plan_says_so():
    model = TextToImageDiffusion()
    with pytest.raises(ValueError, match="reads a plan, and the condition has none"):
        model(torch.zeros(1, 3, 32, 32), torch.ones(1), replace(model.encode(["a star"]), picture=None))
