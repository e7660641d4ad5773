"The stable process: alpha = 2 is DDPM and DDIM, paths and posteriors are the papers', bounds and samplers hold with exact denoisers."

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steady import seeded, steady
from t2i_learn.diffusion.points import PointDenoiser
from t2i_learn.diffusion.losses import denoising_loss, LOSS_WEIGHTS
from t2i_learn.core.tensors import Noise
from t2i_learn.diffusion.sampling import (
    ddim_step,
    ddpm_step,
    initial_noise,
    q_posterior,
    run_to_end,
    sample_loop,
)
from t2i_learn.diffusion.bound import elbo, normal_kl, step_kl
from t2i_learn.diffusion.schedules import b_vp, cosine_grid, karras_grid, linear_schedule, log_grid
from t2i_learn.stable.distribution import NOISE_KINDS, sample_positive_stable, stable_like
from t2i_learn.stable.process import (
    LOSS_REDUCTIONS,
    BlindDenoiser,
    b_stable,
    exact_blind_denoiser,
    stable_elbo_loss,
    cloud_denoiser,
    dlim,
    dlpm,
    sample_level_path,
    exact_denoiser,
    dlim_known_sigma,
    levy_levels,
    path_levels,
    mode_total_variation,
    picture_mixing,
    smooth_levels,
    stable_elbo,
    stable_level,
    stable_loss,
    dlim_step,
    stable_initial_noise,
    stable_schedule,
    nine_gaussians,
)
from t2i_learn.world.points import GaussianMixture

stats = pytest.importorskip("scipy.stats", reason="scipy is in the extras `metrics` and `dev`")

steady(20)

GRID = karras_grid(12, 0.02, 40.0)
SHAPE = (3, 3, 4, 4)
NINE = nine_gaussians()
known_nine = cloud_denoiser(lambda y, level: NINE.denoise(y, level[:, :1]))


def shrink(y, sigma, cond=None):
    "A smooth denoiser of any shape that looks at its level."
    return torch.tanh(y / (1 + sigma**2)) * 0.8


SAMPLERS = {
    "dlpm, blind": (partial(dlpm, blind=True), ddpm_step),
    "dlpm, known sigma": (partial(dlpm, blind=False), ddpm_step),
    "dlim": (dlim, ddim_step),
    "dlim, eta .6": (partial(dlim, eta=0.6), partial(ddim_step, eta=0.6)),
    "dlim, known sigma": (dlim_known_sigma, ddim_step),
    "dlim, known sigma, eta .6": (partial(dlim_known_sigma, eta=0.6), partial(ddim_step, eta=0.6)),
}


def run(sampler, denoiser, y, grid, noise, alpha=2.0, kind="isotropic"):
    "The states of a sampler of this chapter."
    step, levels = sampler(grid, alpha, y.shape, noise, kind)
    return sample_loop(step, denoiser, y, levels, noise=noise)


# alpha = 2


@pytest.mark.parametrize("kind", NOISE_KINDS)
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_at_two_samplers_are_ddpm_and_ddim(name, kind, dtype):
    ours, step = SAMPLERS[name]
    grid, y = GRID.to(dtype), initial_noise(SHAPE, GRID[0], noise=Noise(3)).to(dtype)
    theirs = sample_loop(step, shrink, y, grid, noise=Noise(3))
    states = zip(run(ours, shrink, y, grid, Noise(3), kind=kind), theirs, strict=True)
    tolerance = 0 if dtype == torch.float32 else 1e-12
    for mine, other in states:
        assert mine.step == other.step
        for field in ("sigma", "y", "x0_hat", "eps_hat"):
            assert torch.allclose(
                getattr(mine, field), getattr(other, field), rtol=tolerance, atol=tolerance
            )


def test_at_two_a_step_is_ddpm_s_equation():
    "Mean (x - beta / sqrt(1 - alpha_bar) eps) / sqrt(1 - beta) and variance beta_tilde, in float64."
    sigma = linear_schedule().sigma(torch.tensor([0.4, 0.399], dtype=torch.float64))
    b, s = b_vp(sigma), sigma * b_vp(sigma)
    beta, eps, x = 1 - (b[0] / b[1]) ** 2, 0.7, -1.3
    path = path_levels(torch.ones(2, 1, dtype=torch.float64), sigma, 2.0)[:, 0]
    y, x0_hat = x / b[0], x / b[0] - sigma[0] * eps
    mean, variance = q_posterior(y, x0_hat, *path)
    assert abs(b[1] * mean - (x - beta / s[0] * eps) / (1 - beta).sqrt()) < 1e-12
    assert abs(b[1] ** 2 * variance - s[1] ** 2 / s[0] ** 2 * beta) < 1e-12


@given(st.floats(0.05, 50.0), st.floats(0.01, 0.99), st.floats(0.0, 1.0))
def test_at_two_fresh_noise_is_ddim_s_sigma(sigma, share, eta):
    high = torch.tensor(sigma, dtype=torch.float64)
    state = next(
        sample_loop(
            ddim_step, shrink, torch.ones(1, 1, dtype=torch.float64), torch.stack([high, high * share])
        )
    )
    step = dlim_step(state, high * share, lambda: torch.ones(1, 1, dtype=torch.float64), eta=eta)
    b, b_next = b_vp(high) ** 2, b_vp(high * share) ** 2  # Song et al. 2021, eq. 16
    rest, rest_next = (
        high**2 * b,
        (high * share) ** 2 * b_next,
    )  # 1 - b, without the digits that a difference loses
    fresh = eta * (rest_next / rest).sqrt() * (1 - b / b_next).clamp(min=0).sqrt()
    kept = (rest_next - fresh**2).clamp(min=0).sqrt()
    theirs = b_next.sqrt() * state.x0_hat + kept * state.eps_hat + fresh
    assert (b_next.sqrt() * step - theirs).abs().max() < 1e-12


def test_at_two_losses_and_bound_are_ddpm_s():
    x0, sigma = NINE.sample(400, seeded()).double(), torch.linspace(0.1, 5, 400, dtype=torch.float64)
    mine = stable_loss(NINE.denoise, x0, sigma, 2.0, generator=seeded(1))
    assert (
        abs(mine - denoising_loss(NINE.denoise, x0, sigma, None, LOSS_WEIGHTS["eps"], seeded(1))) < 1e-12
    )
    clock = torch.exp(torch.linspace(3, -4.5, 20, dtype=torch.float64))
    mine = stable_elbo(NINE.denoise, x0, clock, 2.0, std=1.0, generator=seeded(2))
    other = elbo(NINE.denoise, x0, clock, std=1.0, generator=seeded(2))
    for term in ("prior", "diffusion", "decoder"):
        assert torch.allclose(getattr(mine, term), getattr(other, term), rtol=1e-12, atol=1e-12)


@given(st.floats(1.05, 2.0))
def test_every_view_keeps_the_schedule(alpha):
    t = torch.linspace(0, 1, 30, dtype=torch.float64)
    view = stable_schedule(linear_schedule(), alpha)
    assert torch.equal(view.sigma(t), linear_schedule().sigma(t))
    assert torch.allclose(
        view.b(t) ** alpha + view.s(t) ** alpha, torch.ones(30, dtype=torch.float64), atol=1e-12
    )


# Paths


@pytest.mark.parametrize("alpha", [1.8, 1.4])
def test_a_path_ends_as_one_jump_does(alpha):
    sigmas = torch.tensor([3.0, 2.0, 1.0, 0.2], dtype=torch.float64)
    path = sample_level_path((4000, 2), sigmas, alpha, seeded(1))[..., 0]
    one = sample_positive_stable(alpha, (4000,), seeded(2)).double()
    for k in (0, 2):
        assert stats.ks_2samp((path[k] / sigmas[k]).square().numpy(), one.numpy()).pvalue > 1e-3
    assert (path.diff(dim=0) < 0).all()


def test_a_path_is_the_papers_recursion():
    alpha, sigmas = 1.6, torch.tensor([5.0, 2.0, 0.7], dtype=torch.float64)
    a = sample_positive_stable(alpha, (3, 50), seeded()).double()
    b, total, before = b_stable(sigmas, alpha), torch.zeros(50, dtype=torch.float64), 1.0
    for k in (2, 1, 0):
        gamma = b[k] / before
        total, before = (1 - gamma**alpha) ** (2 / alpha) * a[k] + gamma**2 * total, b[k]
        assert torch.allclose(total, (b[k] * path_levels(a, sigmas, alpha)[k]) ** 2, rtol=1e-10)


@pytest.mark.parametrize("path", [levy_levels, smooth_levels])
@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_levels_belong_to_the_picture(path, kind):
    whole = path(GRID, 1.5, SHAPE, Noise(7), kind)
    assert torch.equal(path(GRID, 1.5, (1, *SHAPE[1:]), Noise(7, first=2), kind), whole[:, 2:])
    assert not torch.equal(path(GRID, 1.5, SHAPE, Noise(8), kind), whole)
    assert (whole[-1] == 0).all() and (whole.diff(dim=0) < 0).all()


def test_per_picture_mixing_has_the_right_law():
    a = picture_mixing(1.6, (2, 4000), Noise(1), 0)
    assert (
        stats.ks_2samp(
            a.flatten().numpy(), sample_positive_stable(1.6, (8000,), seeded()).numpy()
        ).pvalue
        > 1e-3
    )
    assert not torch.equal(a, picture_mixing(1.6, (2, 4000), Noise(1), 1))


@pytest.mark.parametrize("name", ["dlpm, known sigma", "dlim, eta .6", "dlim, known sigma, eta .6"])
def test_pictures_do_not_depend_on_their_batch_nor_on_being_resumed(name):
    sampler, path = SAMPLERS[name][0], levy_levels if "dlpm" in name else smooth_levels
    y = stable_initial_noise(SHAPE, GRID, 1.6, noise=Noise(5), level_path=path)
    states = list(run(sampler, shrink, y, GRID, Noise(5), 1.6))
    alone = run_to_end(run(sampler, shrink, y[1:2], GRID, Noise(5, first=1), 1.6))
    assert torch.allclose(alone, states[-1].x0_hat[1:2], atol=1e-6)
    assert torch.equal(
        stable_initial_noise((1, *SHAPE[1:]), GRID, 1.6, noise=Noise(5, first=1), level_path=path),
        y[1:2],
    )
    step, levels = sampler(GRID, 1.6, SHAPE, Noise(5))
    rest = run_to_end(sample_loop(step, shrink, states[4].y, levels[4:], noise=Noise(5), first_step=4))
    assert torch.allclose(rest, states[-1].x0_hat, atol=1e-5)


def test_each_picture_may_have_a_seed_of_its_own():
    many = picture_mixing(1.6, (2, 5), Noise((7, 3)), 2)
    for row, seed in enumerate((7, 3)):
        assert torch.equal(many[row : row + 1], picture_mixing(1.6, (1, 5), Noise(seed), 2))


@pytest.mark.parametrize("sampler", [partial(dlpm, blind=False), dlim_known_sigma])
def test_a_told_denoiser_needs_the_seed_of_its_start(sampler):
    "With the start's noise the levels begin where the start lies; with another they do not. A blind denoiser is given the clock."
    path = smooth_levels if sampler is dlim_known_sigma else levy_levels
    _, levels = sampler(GRID, 1.5, SHAPE, Noise(4))
    assert torch.equal(levels[0], path(GRID, 1.5, SHAPE, Noise(4))[0]) and levels.shape == (
        len(GRID),
        SHAPE[0],
        1,
        1,
        1,
    )
    assert not torch.allclose(sampler(GRID, 1.5, SHAPE, Noise(5))[1][0], levels[0])
    for blind in (dlpm, dlim):
        assert torch.equal(blind(GRID, 1.5, SHAPE, Noise(4))[1], GRID)


@pytest.mark.parametrize("eta", [-0.1, 1.5])
def test_eta_is_a_share(eta):
    state = next(sample_loop(ddim_step, shrink, torch.ones(1, 1), torch.tensor([2.0, 0.9])))
    with pytest.raises(ValueError, match="between 0 and 1"):
        dlim_step(state, torch.tensor(0.9), lambda: torch.ones(1, 1), eta=eta)


@pytest.mark.parametrize("number", [np.float64, np.float32])
def test_alpha_may_be_numpy_s_number(number):
    x0, sigma = torch.ones(3, 2), torch.tensor([0.5, 1.0, 2.0])
    y = stable_initial_noise(SHAPE, GRID, 1.5, noise=Noise(1))
    for f in (
        lambda a: b_stable(sigma, a),
        lambda a: stable_schedule(linear_schedule(), a).b(0.5),
        lambda a: stable_level(x0, sigma, a, seeded()),
        lambda a: sample_level_path((2, 3), GRID, a, seeded()),
        lambda a: picture_mixing(a, (2, 3), Noise(1), 0),
        lambda a: stable_loss(shrink, x0, sigma, a, generator=seeded()),
        lambda a: exact_blind_denoiser(NINE, a)(x0, torch.tensor(0.6)),
        *(lambda a, s=s: run_to_end(run(s, shrink, y, GRID, Noise(1), a)) for s, _ in SAMPLERS.values()),
    ):
        assert torch.equal(f(number(1.5)), f(1.5))


def test_one_step_is_enough_for_a_smooth_path():
    grid = torch.tensor([2.0, 0.0])
    path = smooth_levels(grid, 1.5, (4, 2), Noise(0))
    assert torch.allclose(
        path[0, :, 0].double(), 2 * picture_mixing(1.5, (4,), Noise(0), 0).sqrt(), rtol=1e-5
    )


# Posterior and bound


@given(st.floats(0.1, 9.0), st.floats(0.01, 0.999), st.floats(-3, 3), st.floats(-3, 3))
def test_two_forms_of_the_divergence_agree(nu, share, x0, guess):
    level, below = (torch.tensor(v, dtype=torch.float64).sqrt() for v in (nu, nu * share))
    y = torch.tensor(0.3, dtype=torch.float64)
    right, wrong = (
        q_posterior(y, torch.tensor(v, dtype=torch.float64), level, below) for v in (x0, guess)
    )
    direct = normal_kl(*right, *wrong)
    assert torch.isclose(
        direct,
        step_kl(torch.tensor(x0 - guess, dtype=torch.float64) ** 2, level, below),
        rtol=1e-10,
        atol=1e-10,
    )


def test_the_papers_posterior_is_ours():
    alpha, sigmas = 1.7, torch.tensor([2.0, 1.2], dtype=torch.float64)
    level = path_levels(sample_positive_stable(alpha, (2, 5), seeded()).double(), sigmas, alpha)
    b = b_stable(sigmas, alpha)
    s, gamma, total = sigmas * b, b[0] / b[1], (b[:, None] * level) ** 2
    x, x0 = torch.randn(2, 5, generator=seeded(1), dtype=torch.float64)
    share = 1 - gamma**2 * total[1] / total[0]
    mean, variance = q_posterior(x / b[0], x0, level[0], level[1])
    assert torch.allclose(b[1] * mean, (x - share * s[0] * ((x - b[0] * x0) / s[0])) / gamma, atol=1e-12)
    assert torch.allclose(b[1] ** 2 * variance, share * total[1], atol=1e-12)


def test_the_bound_s_gap_closes_at_two_and_only_there():
    "With the exact denoiser, in nats per dimension; the theorem on jumps as a regression test."
    x0 = NINE.sample(1500, seeded())
    truth = -NINE.log_density(x0).mean() / 2
    gaps = {}
    for alpha, steps in ((2.0, 16), (2.0, 64), (2.0, 256), (1.8, 64), (1.8, 256)):
        clock = torch.exp(torch.linspace(3, -4.5, steps + 1, dtype=torch.float64))
        gaps[alpha, steps] = float(
            stable_elbo(NINE.denoise, x0, clock, alpha, std=1.0, generator=seeded(1)).total.mean() / 2
            - truth
        )
    assert gaps[2.0, 16] > gaps[2.0, 64] > gaps[2.0, 256]
    assert -0.02 < gaps[2.0, 256] < 0.12
    assert gaps[1.8, 256] > gaps[2.0, 256] + 0.5 and gaps[1.8, 64] > gaps[2.0, 64] + 0.5


def test_one_random_step_estimates_the_bound():
    clock = log_grid(13, 0.05, 20.0)[:-1]
    x0 = NINE.sample(20_000, seeded())
    whole = stable_elbo(NINE.denoise, x0[:2000], clock, 1.8, generator=seeded(1)).diffusion.mean()
    one = stable_elbo_loss(NINE.denoise, x0, clock, 1.8, generator=seeded(2))
    assert abs(one / whole - 1) < 0.15


def test_the_bound_has_gradients_in_the_clock():
    "What a learned diffusion coefficient needs."
    ends = torch.tensor([3.0, -3.0], requires_grad=True)
    clock = torch.exp(torch.lerp(ends[0], ends[1], torch.linspace(0, 1, 9)))
    stable_elbo_loss(NINE.denoise, NINE.sample(100, seeded()), clock, 1.8, generator=seeded()).backward()
    assert ends.grad.isfinite().all() and ends.grad.abs().min() > 0


# Denoisers


def test_exact_denoiser_takes_maps_and_clouds():
    pair = GaussianMixture(
        torch.tensor([[-1.0, 0.0], [1.0, 0.5]]),
        torch.tensor([[0.3, 0.1], [0.1, 0.2]]).expand(2, 2, 2),
        [0.3, 0.7],
    )
    y = torch.randn(6, 2, generator=seeded(), dtype=torch.float64)
    exact = exact_denoiser(pair)
    assert torch.allclose(exact(y, torch.tensor(0.6)), pair.denoise(y, 0.6), atol=1e-10)
    level = torch.rand(6, 2, generator=seeded(1), dtype=torch.float64) + 0.2
    cloud = exact(y.T[None], level.T[None])
    assert torch.allclose(cloud[0].T, exact(y, level), atol=1e-12)
    x0 = pair.sample(60_000, seeded(2))
    level = stable_level(x0, 0.7, 1.5, seeded(3), "componentwise")
    noisy = x0 + level * torch.randn(x0.shape, generator=seeded(4))
    error = x0 - exact(noisy, level)
    assert (error * noisy.tanh()).mean(0).abs().max() < 0.01 and error.mean(0).abs().max() < 0.01


def test_blind_denoiser_is_the_posterior_mean():
    x0 = NINE.sample(40_000, seeded())
    for alpha in (1.8, 1.4):
        level = stable_level(x0, 0.6, alpha, seeded(1))
        y = x0 + level * torch.randn(x0.shape, generator=seeded(2))
        error = x0 - exact_blind_denoiser(NINE, alpha)(y, torch.tensor(0.6))
        for feature in (y.tanh(), y / (1 + y**2), y.sin()):
            assert (error * feature).mean(0).abs().max() < 0.015
    y = y[:50].double()
    assert torch.allclose(
        exact_blind_denoiser(NINE, 2.0)(y, torch.tensor(0.6)), NINE.denoise(y, 0.6), atol=1e-8
    )


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_a_blind_network_does_not_see_how_far_out_an_outlier_is(kind):
    net = BlindDenoiser(PointDenoiser((0.3, -0.2), 0.7), clip_at=5.0, kind=kind)
    near, far = torch.tensor([[0.5, 0.1]]), torch.tensor([[300.0, 0.1]])
    with torch.no_grad():
        assert torch.allclose(net(near, 1.0), net.denoiser(near, 1.0), atol=1e-6)
        assert (net(far, 1.0) - net.denoiser(far, 1.0)).abs().max() > 1
        assert net(1e30 * far, 1.0).isfinite().all()


# Losses


def test_root_loss_is_minimised_by_the_median_and_the_simple_one_by_the_mean():
    outcome = torch.where(torch.rand(1, 1, 4000, generator=seeded()) < 0.7, 1.0, -1.0)
    guess = torch.linspace(-1.5, 1.5, 61)
    best = {
        kind: float(
            guess[torch.stack([LOSS_REDUCTIONS[kind]((outcome - v).square()) for v in guess]).argmin()]
        )
        for kind in ("simple", "root")
    }
    assert abs(best["simple"] - 0.4) < 0.06 and abs(best["root"] - 1) < 0.01


def test_reductions_are_those_of_the_paper():
    errors = torch.rand(5, 3, 7, generator=seeded())
    assert torch.isclose(LOSS_REDUCTIONS["root"](errors), errors.mean(1).sqrt().mean())
    middle = errors.mean(1).sort(0).values[2]
    assert torch.isclose(LOSS_REDUCTIONS["median"](errors), middle.mean())
    x0 = NINE.sample(64, seeded())
    for reduction in LOSS_REDUCTIONS:
        value = stable_loss(
            shrink,
            x0,
            torch.ones(64),
            1.5,
            generator=seeded(1),
            reduction=reduction,
            draws=(3, 2),
            blind=True,
        )
        assert value.isfinite() and value > 0


# Samplers with exact answers


@pytest.mark.parametrize("alpha", [2.0, 1.8, 1.5])
def test_deterministic_samplers_keep_the_modes(alpha):
    grid = cosine_grid(40, 0.02, 80.0)
    y = stable_initial_noise((16, 2, 500), grid, alpha, 0.0, 1.0, Noise(2), "pixelwise")
    for sampler, denoiser in (
        (dlim_known_sigma, known_nine),
        (dlim, exact_blind_denoiser(NINE, alpha, 16)),
    ):
        assert (
            mode_total_variation(
                NINE, run_to_end(run(sampler, denoiser, y, grid, Noise(2), alpha, "pixelwise"))
            )
            < 0.03
        )


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_marginals_do_not_depend_on_eta(eta):
    "With the true picture as the answer, what is left after a step is stable noise of the next scale."
    zero = torch.zeros(8000, 1)
    eps, _ = stable_like(zero, 1.6, seeded(1))
    state = next(sample_loop(ddim_step, lambda y, sigma, cond: zero, 2 * eps, torch.tensor([2.0, 0.9])))
    a = sample_positive_stable(1.6, (8000, 1), seeded(2))
    left = dlim_step(
        state,
        torch.tensor(0.9),
        lambda: torch.randn(8000, 1, generator=seeded(3)),
        alpha=1.6,
        eta=eta,
        mixing=lambda step: a,
    )
    fresh, _ = stable_like(zero, 1.6, seeded(4))
    assert stats.ks_2samp(left[:, 0].numpy(), 0.9 * fresh[:, 0].numpy()).pvalue > 1e-3


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_a_thousand_steps_of_wild_noise_stay_finite(kind):
    grid = karras_grid(1000, 0.002, 200.0)
    guess = lambda y, sigma, cond=None: y / (1 + sigma**2)
    for sampler, path in (
        (partial(dlpm, blind=False), levy_levels),
        (partial(dlim, eta=0.5), smooth_levels),
        (dlim_known_sigma, smooth_levels),
    ):
        y = stable_initial_noise((2, 3, 2, 2), grid, 1.2, kind=kind, level_path=path)
        for state in run(sampler, guess, y, grid, Noise(0), 1.2, kind):
            assert state.y.isfinite().all() and state.x0_hat.isfinite().all()


def test_levels_go_down_in_order_on_any_grid():
    for grid in (karras_grid(20, 0.01, 80.0), log_grid(20, 0.01, 80.0), cosine_grid(20, 0.01, 80.0)):
        for above, below in pairwise(smooth_levels(grid, 1.3, (6, 2), Noise(1))):
            assert (below < above).all()
        assert math.isclose(
            float(smooth_levels(grid, 1.3, (6, 2), Noise(1))[-2, 0, 0]), float(grid[-2]), rel_tol=1e-5
        )


# ---- scales that no path can go down, and whole numbers ----

PATHS = {
    "smooth_levels": lambda s: smooth_levels(s, 1.7, SHAPE, Noise(0)),
    "levy_levels": lambda s: levy_levels(s, 1.7, SHAPE, Noise(0)),
    "sample_level_path": lambda s: sample_level_path(SHAPE, s, 1.7, seeded()),
    "path_levels": lambda s: path_levels(torch.ones(4, 1, 1, 1, 1), s, 1.7),
    "dlpm": lambda s: dlpm(s, 1.7, SHAPE, Noise(0), blind=False)[1],
    "dlim": lambda s: dlim(s, 1.7, SHAPE, Noise(0))[1],
    "dlim_known_sigma": lambda s: dlim_known_sigma(s, 1.7, SHAPE, Noise(0))[1],
}
every_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


@every_path
@pytest.mark.parametrize("sigmas", [[1.0, 2.0, 0.5, 0.0], [2.0, 1.0, 1.0, 0.0]], ids=["rise", "twice"])
def test_scales_that_do_not_fall_are_a_sentence(path, sigmas):
    with pytest.raises(ValueError, match="must fall at every step"):
        path(torch.tensor(sigmas))


@every_path
def test_scales_may_be_whole_numbers(path):
    whole = torch.tensor([3, 2, 1, 0])
    assert torch.equal(path(whole), path(whole.float())) and path(whole).is_floating_point()


@pytest.mark.parametrize("alpha", [1.2, 1.8])
def test_smooth_levels_never_rise_where_they_start_below_the_grid_s_end(alpha):
    levels = smooth_levels(
        torch.tensor([0.02, 0.019, 0.018, 0.0]), alpha, (1, 3, 64, 64), Noise(0), "pixelwise"
    )
    assert (levels.diff(dim=0) <= 0).all() and (levels[0] < 0.018).any(), "some start below"
    step, levels = dlim_known_sigma(
        torch.tensor([0.02, 0.019, 0.018, 0.0]), alpha, (1, 3, 64, 64), Noise(0), "pixelwise", 1.0
    )
    y = torch.zeros(1, 3, 64, 64)
    assert run_to_end(sample_loop(step, shrink, y, levels, noise=Noise(0))).isfinite().all()


PICTURES = torch.arange(24).reshape(2, 3, 2, 2)
OF_PICTURES = {
    "stable_level": lambda x: stable_level(x, 2, 1.7, seeded()),
    "stable_loss": lambda x: stable_loss(shrink, x, torch.tensor([1, 2]), 1.7, generator=seeded()),
    "exact": lambda x: exact_denoiser(NINE)(x[:, :2, 0], torch.tensor(1)),
    "blind": lambda x: exact_blind_denoiser(NINE, 1.7)(x[:, :2, 0], 1),
    "BlindDenoiser": lambda x: BlindDenoiser(PointDenoiser())(x[:, :2, 0, 0], 1),
}


@pytest.mark.parametrize("of", OF_PICTURES.values(), ids=OF_PICTURES)
def test_pictures_may_be_whole_numbers(of):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = of(PICTURES)
        torch.manual_seed(0)
        wanted = of(PICTURES.float())
    assert torch.equal(found, wanted) and found.is_floating_point()
