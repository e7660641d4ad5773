"Properties of training levels, loss weights and the loss."

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steady import bank, no_deadline, seeded, wide
from diffusion_examples import levels, seeds
from t2i_learn.diffusion.schedules import b_flow, flow_schedule, linear_schedule
from t2i_learn.diffusion.losses import (
    denoising_loss,
    edm_weight,
    finite_set_denoiser,
    logit_normal_sigmas,
    lognormal_sigmas,
    loss_per_sigma,
    LOSS_WEIGHTS,
    SigmaDistribution,
    uniform_time_sigmas,
)

no_deadline()


@pytest.mark.parametrize(
    "distribution",
    [
        lognormal_sigmas(-1.0, 0.7),
        uniform_time_sigmas(linear_schedule()),
        uniform_time_sigmas(flow_schedule()),
        logit_normal_sigmas(0.5, 1.0, 3.0),
    ],
)
def test_laws_draw_their_quantiles(distribution):
    drawn = distribution(20_000, seeded(0)).double()
    u = wide(0.1, 0.5, 0.9)
    assert torch.allclose(torch.quantile(drawn, u), distribution.quantile(u), rtol=0.02)
    plain = SigmaDistribution(distribution.quantile, stratified=False)(20_000, seeded(0)).double()
    assert torch.allclose(torch.quantile(plain, u), distribution.quantile(u), rtol=0.1)


@given(st.integers(1, 64), seeds)
def test_a_stratified_batch_has_one_level_in_each_stratum(n, seed):
    u = SigmaDistribution(lambda u: u)(n, seeded(seed))
    assert sorted((u * n).clamp(max=n - 0.5).floor().int().tolist()) == list(range(n))


@given(levels)
def test_the_weight_of_v_is_the_sum_of_x0_and_eps(sigma):
    sigma = wide(sigma)
    assert torch.isclose(
        LOSS_WEIGHTS["v"](sigma), LOSS_WEIGHTS["x0"](sigma) + LOSS_WEIGHTS["eps"](sigma)
    )
    assert torch.isclose(edm_weight(1.0)(sigma), LOSS_WEIGHTS["v"](sigma))
    assert torch.isclose(LOSS_WEIGHTS["flow"](sigma), 1 / (sigma * b_flow(sigma)) ** 2)


def test_the_loss_has_a_gradient_and_knows_each_level():
    x0 = bank(6)
    gain = torch.tensor(0.5, requires_grad=True)
    sigma = torch.linspace(0.1, 5, 6)
    loss = denoising_loss(
        lambda y, sigma, cond: gain * y, x0, sigma, weight=LOSS_WEIGHTS["eps"], generator=seeded(0)
    )
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
    for other in (
        finite_set_denoiser(pictures[:19]),
        lambda y, s, c: y,
        lambda y, s, c: 0.9 * exact(y, s, c),
    ):
        assert (loss_per_sigma(other, pictures.repeat(20, 1, 1, 1), grid) > best).all()


@given(st.permutations(range(12)), levels, seeds)
def test_the_finite_set_has_no_order_and_its_answer_no_surprises(order, sigma, seed):
    pictures = bank()
    y = 10 * torch.randn(3, 3, 4, 4, generator=seeded(seed))
    answer = finite_set_denoiser(pictures)(y, torch.tensor(sigma))
    assert torch.allclose(
        answer, finite_set_denoiser(pictures[list(order)])(y, torch.tensor(sigma)), atol=1e-5
    )
    assert (answer <= pictures.amax(0) + 1e-5).all() and (answer >= pictures.amin(0) - 1e-5).all()


@pytest.mark.parametrize("weight", [*LOSS_WEIGHTS.values(), edm_weight(1)])
@pytest.mark.parametrize("sigma", [2, np.int64(2), torch.tensor([2, 2])])
def test_a_weight_takes_whole_numbers(weight, sigma):
    found = weight(sigma)
    assert found.is_floating_point() and torch.allclose(found, weight(torch.tensor(2.0)))


def test_losses_take_whole_levels():
    x0, denoiser = bank(6), finite_set_denoiser(bank(4))
    whole, plain = (
        denoising_loss(denoiser, x0, sigma, generator=seeded(0))
        for sigma in (torch.arange(1, 7), torch.arange(1.0, 7.0))
    )
    assert torch.equal(whole, plain)
    assert torch.equal(
        loss_per_sigma(denoiser, x0, torch.tensor([1, 2])),
        loss_per_sigma(denoiser, x0, torch.tensor([1.0, 2.0])),
    )
    assert finite_set_denoiser(bank(4))(bank(2).long(), 1).is_floating_point()
