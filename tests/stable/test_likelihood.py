"The learned coefficient: it rises, its bound is VDM's at alpha = 2 and keeps a gap below, chance is 8 bits, and what each gradient may move."

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn, Tensor

from steady import seeded, steady
from t2i_learn.core.learner import Learner
from t2i_learn.core.callbacks import ClipGrad, LRSchedule, warmup_cosine
from t2i_learn.diffusion.points import batch_generator, PointDenoiser
from t2i_learn.diffusion.bound import normal_kl, step_kl
from t2i_learn.stable.likelihood import (
    bits_loss,
    bits_per_dimension,
    continuous_time_loss,
    cosine_ramp,
    discrete_decoder,
    discrete_time_loss,
    joint_optimizer,
    learned_sigma_grid,
    jump_sizes,
    LearnedSchedule,
    level_log_probs,
    Likelihood,
    linear_ramp,
    low_discrepancy_times,
    measure_bits,
    mixing_like,
    MonotoneNet,
    nine_gaussians_grid,
    SchedulePlot,
)
from t2i_learn.stable.distribution import NOISE_KINDS
from t2i_learn.stable.process import exact_denoiser, gaussian_decoder, stable_elbo, nine_gaussians
from t2i_learn.world.points import GaussianMixture

steady(15)

NINE = nine_gaussians()
CELLS = nine_gaussians_grid(NINE)
READ = discrete_decoder(CELLS.values)
EIGHT = torch.arange(256) / 127.5 - 1
SMOOTH = GaussianMixture(NINE.means / 3, torch.diag_embed(NINE.variances / 9), NINE.weights)
TIMES = torch.linspace(0, 1, 1000, dtype=torch.float64)
ALPHAS = st.sampled_from([2.0, 1.9, 1.6, 1.3])


def silent(y, sigma, cond=None):
    "A denoiser that answers 0."
    return torch.zeros_like(y)


def wild(seed, width=16):
    "A monotone network with any weights, of either sign."
    net = MonotoneNet(width)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(3 * torch.randn(p.shape, generator=seeded(seed)))
    return net


def toy(low=-13.3, high=5.0, ramp=linear_ramp, denoiser=CELLS.denoise, **settings):
    return Likelihood(denoiser, LearnedSchedule(low, high, ramp), READ, std=1 / 3, **settings)


def trained(model, steps, seed=0, callbacks=(), **rates):
    learner = Learner(
        model,
        lambda number: CELLS.sample(256, batch_generator(seed, number)),
        bits_loss,
        [LRSchedule(warmup_cosine()), ClipGrad(1.0), *callbacks],
        optimizer=joint_optimizer(model, **rates),
        seed=seed,
    )
    return learner.fit(steps).model.eval()


# The clock


@given(st.integers(0, 10_000), st.floats(-15, -1), st.floats(0, 8))
def test_the_learned_clock_rises_and_keeps_its_ends(seed, low, high):
    clock = LearnedSchedule(low, high, wild(seed))
    t = TIMES.clone().requires_grad_()
    g, rate = clock.value_and_slope(t)
    assert (rate > 0).all() and (g.diff() > 0).all()
    assert abs(g[0] - clock.low) < 1e-12 and abs(g[-1] - clock.high) < 1e-12
    assert torch.allclose(rate, torch.autograd.grad(g.sum(), t)[0], rtol=1e-9)


@pytest.mark.parametrize("ramp", [linear_ramp, cosine_ramp])
def test_fixed_clocks_have_the_same_interface(ramp):
    clock = LearnedSchedule(-9.0, 4.0, ramp, learn_ends=False)
    t = TIMES.clone().requires_grad_()
    g, rate = clock.value_and_slope(t)
    assert torch.allclose(rate, torch.autograd.grad(g.sum(), t)[0], rtol=1e-9)
    assert abs(g[0] + 9) < 1e-12 and abs(g[-1] - 4) < 1e-12 and (g.diff() > 0).all()
    assert not any(p.requires_grad for p in clock.parameters())
    down = clock.sigma_grid(8)
    assert (
        down.dtype == torch.float64
        and (down.diff() < 0).all()
        and torch.allclose(down, clock.sigma(torch.linspace(1, 0, 9)), rtol=1e-6)
    )


def test_cosine_is_the_cosine_schedule():
    "The angle whose tangent is sigma rises evenly: alpha_bar is a squared cosine of time."
    sigma = LearnedSchedule(-9.0, 4.0, cosine_ramp).sigma(TIMES)
    assert torch.atan(sigma).diff().std() < 1e-12


def test_ends_must_be_in_order():
    with pytest.raises(ValueError, match="has to grow"):
        LearnedSchedule(3.0, -3.0)


def test_times_are_even_and_uniform():
    t = low_discrepancy_times(64, seeded())
    assert (
        torch.allclose(t.sort().values.diff(), torch.full((63,), 1 / 64, dtype=torch.float64))
        and t.min() >= 0
        and t.max() < 1
    )
    first = torch.stack([low_discrepancy_times(4, seeded(s))[2] for s in range(400)])
    assert abs(first.mean() - 0.5) < 0.05 and abs(first.std() - 12**-0.5) < 0.03


# The decoder (T12)


@given(st.floats(-3, 3), st.floats(1e-4, 1e4))
def test_the_decoder_is_a_distribution(y, level):
    odds = level_log_probs(
        torch.tensor([y], dtype=torch.float64), EIGHT, torch.tensor([level], dtype=torch.float64)
    )
    assert abs(odds.exp().sum() - 1) < 1e-12


def test_a_model_that_knows_nothing_needs_eight_bits():
    x0 = EIGHT[torch.randint(256, (50, 3, 4, 4), generator=seeded())]
    model = Likelihood(silent, LearnedSchedule(40.0, 41.0), discrete_decoder(EIGHT), steps=1)
    bits, error = measure_bits(model, x0, 1)
    assert abs(bits - 8) < 1e-4 and error < 1e-4


def test_an_exact_model_of_chance_comes_to_eight_bits():
    "All 256 levels alike, the exact denoiser, infinitely many steps: the bound is tight, and it is 8."

    def chance(y, level, cond=None):
        return ((y.double() - EIGHT).square() / (-2 * level.double() ** 2)).softmax(1).to(y) @ EIGHT[
            :, None
        ]

    x0 = EIGHT[torch.randint(256, (20_000, 1), generator=seeded())]
    model = Likelihood(
        chance, LearnedSchedule(-13.0, 7.0), discrete_decoder(EIGHT), std=float(EIGHT.std())
    )
    bits, error = measure_bits(model, x0, 2)
    assert abs(bits - 8) < 4 * error + 0.005 and error < 0.1


def test_decoding_a_part_is_unbiased():
    x0 = EIGHT[torch.randint(256, (40, 3, 5, 5), generator=seeded())]
    level = torch.full((40, 1, 1, 1), 0.01)
    whole, part = (discrete_decoder(EIGHT, stride) for stride in (1, 8))
    source = seeded(1)
    mean = torch.stack([part(x0, level, source).mean() for _ in range(60)]).mean()
    assert abs(mean / whole(x0, level, seeded(2)).mean() - 1) < 0.02


def test_the_decoder_wants_data_on_its_levels():
    with pytest.raises(ValueError, match="round them"):
        discrete_decoder(EIGHT)(torch.full((2, 3), 0.001), torch.ones(2, 1))


def test_cells_are_exact():
    assert abs(CELLS.entropy_bits - 5.7916) < 1e-3
    x0 = CELLS.sample(20_000, seeded())
    assert x0.mean(0).abs().max() < 0.01 and abs(x0.std() - 1 / 3) < 0.01
    few = nine_gaussians_grid(NINE, 16)
    y = 0.5 * torch.randn(20, 2, generator=seeded(), dtype=torch.float64)
    grid = torch.cartesian_prod(few.values, few.values)
    level = torch.tensor([[0.1, 0.3]]).expand(20, 2).double()
    logits = few.probs.flatten().log() - ((y[:, None] - grid).square() / (2 * level[:, None] ** 2)).sum(
        -1
    )
    assert torch.allclose(few.denoise(y, level), logits.softmax(1) @ grid, atol=1e-10)


# The bound


@given(st.integers(0, 100), st.integers(1, 200))
def test_at_two_a_step_is_vdm_s(seed, steps):
    "T/2 expm1(g(t) - g(s)) times the squared error of the noise, and T times the divergence of two posteriors, to 1e-12."
    clock, x0 = LearnedSchedule(-8.0, 3.0, wild(seed)), NINE.sample(32, seeded(seed)).double()
    with torch.no_grad():
        ours, source = discrete_time_loss(NINE.denoise, clock, x0, steps, generator=seeded(3)), seeded(3)
        k = (low_discrepancy_times(32, source) * steps).floor()
        g_s, g = (clock(v / steps)[:, None] for v in (k, k + 1))
        z, sigma = torch.randn(x0.shape, generator=source, dtype=torch.float64), (g / 2).exp()
        x0_hat = NINE.denoise(x0 + sigma * z, sigma)
        eps_hat = (x0 + sigma * z - x0_hat) / sigma
    vdm = steps / 2 * torch.expm1(g - g_s)[:, 0] * (z - eps_hat).square().sum(1)
    assert torch.allclose(ours, vdm, rtol=1e-12, atol=1e-12)
    posteriors = steps * step_kl((x0 - x0_hat).square().sum(1), sigma[:, 0], (g_s / 2).exp()[:, 0])
    assert torch.allclose(ours, posteriors, rtol=1e-8, atol=1e-10)


@given(st.integers(0, 100))
def test_at_two_the_limit_is_vdm_s(seed):
    clock, x0 = LearnedSchedule(-8.0, 3.0, wild(seed)), NINE.sample(32, seeded(seed)).double()
    with torch.no_grad():
        ours, source = continuous_time_loss(NINE.denoise, clock, x0, generator=seeded(3)), seeded(3)
        g, speed = clock.value_and_slope(low_discrepancy_times(32, source))
        z, sigma = torch.randn(x0.shape, generator=source, dtype=torch.float64), (g / 2).exp()[:, None]
        eps_hat = (x0 + sigma * z - NINE.denoise(x0 + sigma * z, sigma)) / sigma
        assert torch.allclose(ours, speed / 2 * (z - eps_hat).square().sum(1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("alpha", [2.0, 1.8, 1.4])
@pytest.mark.parametrize("steps", [4, None])
def test_a_constant_error_telescopes(alpha, steps):
    "Then the diffusion term is half of E[1/nu] at the bottom minus the same at the top, with E[1/A] = Gamma(1 + 2/alpha)."
    clock, one = LearnedSchedule(-2.0, 2.0, wild(4)), torch.ones(300_000, 1)
    with torch.no_grad():
        if steps:
            mean = discrete_time_loss(silent, clock, one, steps, alpha, generator=seeded()).mean()
        else:
            mean = continuous_time_loss(silent, clock, one, alpha, generator=seeded()).mean()
    assert abs(mean / (math.gamma(1 + 2 / alpha) * math.sinh(2)) - 1) < 0.04


@given(ALPHAS, st.floats(0.1, 1e4))
def test_leaps_are_weighted_to_the_beta_law(alpha, reach):
    r, weight = jump_sizes(torch.full((100_000,), reach, dtype=torch.float64), alpha, seeded())
    kept, half = 1 / (1 + r), alpha / 2
    for value, expected in (
        (weight, 1.0),
        (weight * kept, half),
        (weight * kept**2, half * (half + 1) / 2),
    ):
        assert abs(value.mean() - expected) < 6 * value.std() / 100_000**0.5 + 1e-6


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_one_step_is_a_whole_path_in_the_mean(kind):
    "With a level for a point, a pixel or a number."
    clock, x0 = LearnedSchedule(-3.0, 2.0), SMOOTH.sample(30_000, seeded())
    exact = exact_denoiser(SMOOTH)
    with torch.no_grad():
        one = discrete_time_loss(exact, clock, x0, 6, 1.8, generator=seeded(1), kind=kind)
        whole = stable_elbo(
            exact, x0[:10_000], clock.sigma_grid(6), 1.8, generator=seeded(2), kind=kind
        ).diffusion
    error = (one.var() / len(one) + whole.var() / len(whole)).sqrt()
    assert abs(one.mean() - whole.mean()) < 4 * error and error / whole.mean() < 0.1


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-12])
def test_jumps_die_out_towards_two(gap):
    "Close to alpha = 2 there are next to none, and their weights still add up to what is there."
    r, weight = jump_sizes(torch.full((100_000,), 50.0, dtype=torch.float64), 2 - gap, seeded())
    assert r.isfinite().all() and weight.isfinite().all() and (weight >= 0).all()
    assert abs(weight.mean() - 1) < 0.02 and abs((weight / (1 + r)).mean() - (1 - gap / 2)) < 0.02
    assert (r > 1).double().mean() < 100 * gap + 1e-4


@pytest.mark.parametrize("number", [np.float64, np.float32])
def test_alpha_may_be_numpy_s_number(number):
    clock, x0 = LearnedSchedule(-3.0, 2.0), NINE.sample(20, seeded())
    for f in (
        lambda a: discrete_time_loss(NINE.denoise, clock, x0, 4, a, generator=seeded(1)),
        lambda a: continuous_time_loss(NINE.denoise, clock, x0, a, generator=seeded(1)),
        lambda a: jump_sizes(x0.double().abs(), a, seeded())[1],
        lambda a: (
            Likelihood(NINE.denoise, clock, gaussian_decoder, 4, a, std=1.0)(
                x0, generator=seeded()
            ).total
        ),
    ):
        assert torch.equal(f(number(1.5)), f(1.5))


def test_many_steps_approach_the_limit_at_every_alpha():
    clock, x0 = LearnedSchedule(-3.0, 3.0), NINE.sample(2000, seeded())
    with torch.no_grad():
        for alpha in (2.0, 1.8, 1.5):
            limit = continuous_time_loss(
                NINE.denoise, clock, x0.repeat(15, 1), alpha, generator=seeded(1)
            )
            whole = stable_elbo(
                NINE.denoise, x0, clock.sigma_grid(128), alpha, generator=seeded(2)
            ).diffusion
            error = (limit.var() / len(limit) + whole.var() / len(whole)).sqrt()
            assert abs(whole.mean() - limit.mean()) < 4 * error + 0.03 * limit.mean()


def test_the_gap_closes_at_two_and_only_there():
    "T9: nats per dimension above the truth with the exact denoiser, by whole paths and in the limit."
    clock, x0 = LearnedSchedule(-9.0, 6.0), NINE.sample(1500, seeded())
    truth = -NINE.log_density(x0).mean() / 2
    path = {}
    for alpha, steps in ((2.0, 16), (2.0, 64), (2.0, 256), (1.8, 64)):
        path[alpha, steps] = float(
            stable_elbo(
                NINE.denoise, x0, clock.sigma_grid(steps), alpha, std=1.0, generator=seeded(1)
            ).total.mean()
            / 2
            - truth
        )
    assert path[2.0, 16] > path[2.0, 64] > path[2.0, 256] and -0.05 < path[2.0, 256] < 0.12
    assert path[1.8, 64] > path[2.0, 64] + 0.5
    many, limit = NINE.sample(60_000, seeded(2)), {}
    with torch.no_grad():
        for alpha in (2.0, 1.9, 1.8, 1.5):
            model = Likelihood(NINE.denoise, clock, gaussian_decoder, alpha=alpha, std=1.0)
            limit[alpha] = float(
                model(many, generator=seeded(3)).total.mean() / 2 + NINE.log_density(many).mean() / 2
            )
    assert (
        abs(limit[2.0]) < 0.1
        and limit[1.5] > limit[1.8] + 2
        and limit[1.8] > limit[1.9] + 0.3
        and limit[1.9] > limit[2.0] + 0.3
    )


def test_the_limit_depends_on_the_ends_alone():
    x0 = NINE.sample(60_000, seeded())
    with torch.no_grad():
        for alpha in (2.0, 1.8):
            draws = [
                continuous_time_loss(
                    NINE.denoise, LearnedSchedule(-6.0, 4.0, u), x0, alpha, generator=seeded(1)
                )
                for u in (linear_ramp, cosine_ramp, wild(2))
            ]
            means, errors = (
                torch.stack([d.mean() for d in draws]),
                torch.stack([d.std() for d in draws]) / len(x0) ** 0.5,
            )
            assert (means[1:] - means[0]).abs().max() < 4 * errors.max() * 2**0.5


def test_the_start_law_can_be_a_guess_at_each_picture():
    x0, guess = CELLS.sample(200, seeded()), CELLS.sample(200, seeded(1))
    model = toy(-8.0, 1.0, steps=4)
    with torch.no_grad():
        prior = model(x0, generator=seeded(2), mean=guess, std=torch.tensor(0.1)).prior
    top = torch.ones(1, 1, dtype=torch.float64).exp()
    assert torch.allclose(prior, normal_kl(x0, top, guess, 0.01 + top).sum(1), rtol=1e-5)
    far, near = (measure_bits(model, x0, 2, mean=m, std=torch.tensor(0.1))[0] for m in (guess, x0))
    assert near < far - 0.01


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_training_and_evaluation_estimate_the_same_bound(kind):
    model = Likelihood(
        exact_denoiser(SMOOTH), LearnedSchedule(-5.0, 1.0), READ, 8, 1.8, std=1 / 3, kind=kind
    )
    with torch.no_grad():
        one, whole = (
            model(CELLS.sample(30_000, seeded()), generator=seeded(1)),
            model.full_path(CELLS.sample(6000, seeded(2)), generator=seeded(3)),
        )
    for term in ("prior", "diffusion", "decoder"):
        a, b = getattr(one, term), getattr(whole, term)
        assert abs(a.mean() - b.mean()) < 4 * (a.var() / len(a) + b.var() / len(b)).sqrt()


def test_maps_of_levels_need_a_number_of_steps():
    with pytest.raises(ValueError, match="number of steps"):
        toy(alpha=1.8, kind="pixelwise")
    with pytest.raises(ValueError, match="alpha"):
        toy(alpha=2.5)


@pytest.mark.parametrize("kind", NOISE_KINDS)
@pytest.mark.parametrize("alpha", [2.0, 1.7, 1.2])
def test_everything_has_finite_gradients(kind, alpha):
    model = Likelihood(
        lambda y, level, cond=None: y / (1 + level**2),
        LearnedSchedule(ramp=MonotoneNet()),
        discrete_decoder(EIGHT, 4),
        16,
        alpha,
        std=0.5,
        kind=kind,
    )
    x0 = EIGHT[torch.randint(256, (8, 3, 4, 4), generator=seeded())]
    model(x0, generator=seeded()).total.mean().backward()
    for p in model.parameters():
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.abs().max() > 0


# What each gradient may move


@pytest.mark.parametrize("alpha", [2.0, 1.8])
def test_in_the_limit_the_interior_gets_the_gradient_of_the_square(alpha):
    clock, x0 = LearnedSchedule(-6.0, 3.0, wild(1)), NINE.sample(64, seeded()).double()
    continuous_time_loss(NINE.denoise, clock, x0, alpha, generator=seeded(1)).sum().backward()
    plain = LearnedSchedule(-6.0, 3.0, wild(1))
    plain.value_and_slope = lambda t, ramp_grad_hook=None: LearnedSchedule.value_and_slope(plain, t)
    nats = continuous_time_loss(NINE.denoise, plain, x0, alpha, generator=seeded(1))
    square = torch.autograd.grad(nats.square().sum(), list(plain.ramp.parameters()), retain_graph=True)
    ends = torch.autograd.grad(nats.sum(), [plain.low, plain.high])
    for mine, theirs in zip(clock.ramp.parameters(), square, strict=True):
        assert torch.allclose(mine.grad, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))
    assert torch.allclose(clock.low.grad, ends[0], rtol=1e-4) and torch.allclose(
        clock.high.grad, ends[1], rtol=1e-4
    )


def test_a_learned_interior_changes_the_spread_and_not_the_mean():
    model = Likelihood(
        SMOOTH.denoise, LearnedSchedule(-9.0, 9.0, MonotoneNet(), learn_ends=False), READ, std=1 / 3
    )
    fresh = CELLS.sample(40_000, seeded(3))
    with torch.no_grad():
        before = model.diffusion_term(fresh, generator=seeded(2))
    trained(model, 200)
    with torch.no_grad():
        after = model.diffusion_term(fresh, generator=seeded(2))
    assert abs(before.mean() - after.mean()) < 4 * (before.std() + after.std()) / 200
    assert after.std() < 0.85 * before.std()


@pytest.mark.trains
def test_at_sixteen_steps_a_learned_clock_beats_the_fixed_line():
    "T11, with a perfect denoiser: the ends bring whole bits."
    test, fixed = CELLS.sample(1500, seeded(99)), toy(steps=16)
    learned = trained(toy(ramp=MonotoneNet(), denoiser=SMOOTH.denoise, steps=16), 250, ends_lr=0.2)
    assert measure_bits(learned, test, 3)[0] < min(7, measure_bits(fixed, test, 3)[0] - 3)


@pytest.mark.trains
def test_in_the_limit_a_learned_clock_trains_a_better_network():
    "T11 at T = infinity, where exact bounds differ by the ends alone: what is left is what training makes of it."
    bits = {}
    for name, ramp, learn_ends in (("line", linear_ramp, False), ("net", MonotoneNet(), True)):
        torch.manual_seed(0)
        model = toy(denoiser=PointDenoiser((0.0, 0.0), 1 / 3))
        model.schedule = LearnedSchedule(-13.3, 5.0, ramp, learn_ends)
        bits[name] = measure_bits(trained(model, 300), CELLS.sample(4000, seeded(99)), 10)[0]
    assert bits["net"] < bits["line"] - 0.3


@pytest.mark.trains
def test_with_fixed_ends_a_learned_interior_wins():
    test = CELLS.sample(2000, seeded(99))
    line, net = (
        Likelihood(SMOOTH.denoise, LearnedSchedule(-12.0, 5.0, u, learn_ends=False), READ, 16, std=1 / 3)
        for u in (linear_ramp, MonotoneNet())
    )
    net = trained(net, 250)
    assert measure_bits(net, test, 3)[0] < measure_bits(line, test, 3)[0] - 0.8
    assert net.schedule.low == -12 and net.schedule.high == 5


def test_without_the_prior_the_upper_end_runs_down():
    model = toy(-8.0, 2.0, steps=16)
    parts = model(CELLS.sample(4000, seeded()), generator=seeded())
    (parts.diffusion + parts.decoder).mean().backward()
    assert model.schedule.high.grad > 0


# Tools


def test_every_parameter_has_one_step_size():
    torch.manual_seed(0)
    model = toy(ramp=MonotoneNet(), denoiser=PointDenoiser((0.0, 0.0), 1 / 3), steps=4)
    groups = joint_optimizer(model, 1e-3, 0.2, 0.05).param_groups
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert len(rate) == len(list(model.parameters()))
    assert (
        rate[id(model.schedule.low)] == 0.2 and rate[id(next(model.schedule.ramp.parameters()))] == 0.05
    )
    assert rate[id(next(model.denoiser.parameters()))] == 1e-3
    assert isinstance(model.denoiser, nn.Module) and "denoiser.network.out.weight" in dict(
        model.named_parameters()
    )
    fixed = Likelihood(
        PointDenoiser((0.0, 0.0), 1 / 3), LearnedSchedule(learn_ends=False), READ, std=1 / 3
    )
    assert len(joint_optimizer(fixed).param_groups) == 1


def test_training_both_lowers_the_bound_and_leaves_a_plot():
    torch.manual_seed(0)
    model = toy(ramp=MonotoneNet(), denoiser=PointDenoiser((0.0, 0.0), 1 / 3), steps=16)
    test, plot = CELLS.sample(500, seeded(9)), SchedulePlot(model.schedule, every=20)
    before = measure_bits(model, test, 2)[0]
    trained(model, 60, callbacks=[plot])
    assert measure_bits(model, test, 2)[0] < before - 1
    assert len(plot.curves) == 5 and len(plot.figure().axes[0].lines) == 5


def test_mixing_has_the_shape_of_its_kind():
    x0 = torch.zeros(2, 3, 4, 4)
    shapes = {kind: mixing_like(x0, 1.5, seeded(), kind).shape for kind in NOISE_KINDS}
    assert shapes == {
        "isotropic": (2, 1, 1, 1),
        "pixelwise": (2, 1, 4, 4),
        "componentwise": (2, 3, 4, 4),
    }
    assert bits_per_dimension(torch.tensor(math.log(256) * 5), 5) == pytest.approx(8)


# ---- whole numbers, and where a grid may begin ----

RAMP_TIMES = torch.tensor([0, 1])
OF_WHOLE = {
    "linear_ramp": lambda c: linear_ramp(c(RAMP_TIMES), c(torch.tensor(-1)), c(torch.tensor(2)))[1],
    "linear_ramp's share": lambda c: linear_ramp(c(RAMP_TIMES), torch.tensor(-1), torch.tensor(2))[0],
    "cosine_ramp": lambda c: cosine_ramp(c(RAMP_TIMES), c(torch.tensor(-1)), c(torch.tensor(2)))[0],
    "LearnedSchedule": lambda c: LearnedSchedule()(c(RAMP_TIMES)),
    "learned ramp": lambda c: LearnedSchedule(ramp=wild(0))(c(RAMP_TIMES)),
    "level_log_probs": lambda c: level_log_probs(c(RAMP_TIMES), EIGHT, torch.tensor(0.1)),
    "decoder": lambda c: discrete_decoder(EIGHT)(
        c(torch.tensor([[1, -1]])), torch.tensor([[0.1]]), seeded()
    ),
    "GridMixture": lambda c: CELLS.denoise(c(torch.tensor([[0, 1]])), 1),
    "Likelihood": lambda c: (
        Likelihood(silent, LearnedSchedule(), gaussian_decoder, 4)(
            c(torch.tensor([[0, 1]])), generator=seeded()
        ).total
    ),
    "discrete_time_loss": lambda c: discrete_time_loss(
        silent, LearnedSchedule(), c(torch.tensor([[0, 1]])), 4, generator=seeded()
    ),
    "continuous_time_loss": lambda c: continuous_time_loss(
        silent, LearnedSchedule(), c(torch.tensor([[0, 1]])), generator=seeded()
    ),
}


@pytest.mark.parametrize("of", OF_WHOLE.values(), ids=OF_WHOLE)
def test_times_and_data_may_be_whole_numbers(of):
    found = of(lambda x: x)
    assert torch.allclose(found, of(Tensor.float)) and found.is_floating_point()


@pytest.mark.parametrize("top", [1e-9, 1e-3, math.exp(-4.5), 0.0112, 2.0, 90.0])
@pytest.mark.parametrize("steps", [1, 3, 40])
def test_a_learned_grid_falls_wherever_it_begins(top, steps):
    levels = learned_sigma_grid(LearnedSchedule(-9.0, 2.0), top, steps)
    assert (levels.diff() < 0).all() and levels[0] == pytest.approx(top, rel=1e-4)


@pytest.mark.parametrize("top", [math.nan, 0.0, -1.0, math.inf])
def test_a_learned_grid_begins_at_a_level(top):
    with pytest.raises(ValueError, match="a number above 0, not"):
        learned_sigma_grid(LearnedSchedule(), top, 3)
