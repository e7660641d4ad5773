"GAN losses and gradient penalties: values by hand, peers in torch, gradients by finite differences, fixed points."

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from steady import seeded, steady
from torch import nn
from torch.nn import functional as F

from t2i_learn.gan.losses import (
    GAN_LOSSES,
    GRADIENT_PENALTIES,
    gradient_norm,
    logit_metrics,
    r1_penalty,
    r1_r2_penalty,
    wgan_gp,
)
from t2i_learn.gan.learner import GANPair
from t2i_learn.gan.points import descent_directions, PointDiscriminator, PointGenerator
from t2i_learn.world.points import clusters

steady(25)

numbers = st.floats(-20, 20, width=32)
batches = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=9).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64).unbind(1)
)


# Losses


@given(batches)
def test_cross_entropy_is_torchs(logits):
    real, fake = logits
    peer = F.binary_cross_entropy_with_logits
    expected = peer(real, torch.ones_like(real)) + peer(fake, torch.zeros_like(fake))
    for name in ("minimax", "non-saturating"):
        assert torch.isclose(GAN_LOSSES[name].d_loss(real, fake), expected)
    assert torch.isclose(GAN_LOSSES["minimax"].g_loss(real, fake), -peer(fake, torch.zeros_like(fake)))
    assert torch.isclose(
        GAN_LOSSES["non-saturating"].g_loss(real, fake), peer(fake, torch.ones_like(fake))
    )


@given(batches)
def test_hinge_is_torchs_and_wasserstein_a_difference_of_means(logits):
    real, fake = logits
    hinge = F.margin_ranking_loss(real, 0 * real, torch.ones_like(real), 1) + F.margin_ranking_loss(
        fake, 0 * fake, -torch.ones_like(fake), 1
    )
    assert torch.isclose(GAN_LOSSES["hinge"].d_loss(real, fake), hinge)
    assert torch.isclose(GAN_LOSSES["wasserstein"].d_loss(real, fake), fake.mean() - real.mean())
    for name in ("hinge", "wasserstein"):
        assert torch.equal(GAN_LOSSES[name].g_loss(real, fake), -fake.mean())


@given(batches, numbers)
def test_relativistic_knows_only_differences_and_is_zero_sum_in_them(logits, shift):
    real, fake = logits
    gan_loss = GAN_LOSSES["relativistic"]
    assert torch.isclose(
        gan_loss.d_loss(real, fake),
        F.binary_cross_entropy_with_logits(real - fake, torch.ones_like(real)),
    )
    assert torch.isclose(gan_loss.d_loss(real + shift, fake + shift), gan_loss.d_loss(real, fake))
    assert torch.equal(gan_loss.g_loss(real, fake), gan_loss.d_loss(fake, real)), (
        "the generator plays the mirrored game"
    )


VALUES = {  # by hand, at logits real = (0, 2), fake = (-1, 1)
    "minimax": (
        (math.log(2) + math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)) + math.log1p(math.e)) / 2,
        -(math.log1p(math.exp(-1)) + math.log1p(math.e)) / 2,
    ),
    "non-saturating": (
        (math.log(2) + math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)) + math.log1p(math.e)) / 2,
        (math.log1p(math.e) + math.log1p(math.exp(-1))) / 2,
    ),
    "wasserstein": (-1.0, 0.0),
    "hinge": (0.5 + 1.0, 0.0),
    "relativistic": (math.log1p(math.exp(-1)), math.log1p(math.e)),
}


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_values_on_hand_made_numbers(name):
    real, fake = torch.tensor([0.0, 2.0]), torch.tensor([-1.0, 1.0])
    assert float(GAN_LOSSES[name].d_loss(real, fake)) == pytest.approx(VALUES[name][0], rel=1e-6)
    assert float(GAN_LOSSES[name].g_loss(real, fake)) == pytest.approx(
        VALUES[name][1], rel=1e-6, abs=1e-7
    )


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_gradients_by_finite_differences(name):
    real, fake = (
        torch.randn(5, generator=seeded(s), dtype=torch.float64).mul(2).requires_grad_() for s in (0, 1)
    )
    assert torch.autograd.gradcheck(GAN_LOSSES[name].d_loss, (real, fake))
    assert torch.autograd.gradcheck(lambda f: GAN_LOSSES[name].g_loss(real.detach(), f), (fake,))


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_equal_clouds_and_a_judge_without_opinion_are_a_fixed_point(name):
    "No first-order change of the logits at equal densities pays, and a flat judge moves no generated point."
    logits = torch.zeros(6, requires_grad=True)
    push = torch.autograd.grad(GAN_LOSSES[name].d_loss(logits, logits), logits)[0]
    assert push.abs().max() < 1e-7
    model = GANPair(PointGenerator(), PointDiscriminator(8))
    nn.init.zeros_(model.discriminator.out.weight)
    x = clusters().sample(20, seeded(0))
    assert descent_directions(GAN_LOSSES[name], model, x, x).abs().max() == 0


@given(st.floats(0.01, 5), st.floats(0.01, 5))
def test_the_best_judge_pointwise(p, q):
    "log p - log q for cross-entropy, sign(p - q) for the hinge."
    at = torch.tensor(math.log(p / q), dtype=torch.float64, requires_grad=True)
    cost = p * F.softplus(-at) + q * F.softplus(at)
    assert abs(torch.autograd.grad(cost, at)[0]) < 1e-6 * (p + q)
    probability = p / (p + q)
    assert cost.item() == pytest.approx(
        -p * math.log(probability) - q * math.log(1 - probability), rel=1e-6
    )
    hinge = lambda v: p * max(0, 1 - v) + q * max(0, 1 + v)
    assert (
        min(hinge(-1), hinge(1)) == pytest.approx(2 * min(p, q)) and hinge(0.3) >= 2 * min(p, q) - 1e-9
    )


# Gradient penalties


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_slope_of_a_plane_is_its_length_everywhere(a, b):
    weight = torch.tensor([a, b])
    x, y = (torch.randn(7, 2, generator=seeded(s)) for s in (0, 1))
    critic = lambda v: v @ weight
    length = math.hypot(a, b)
    assert torch.allclose(gradient_norm(critic, x), torch.full((7,), length), atol=1e-5)
    assert float(r1_penalty(critic, x)) == pytest.approx(length**2 / 2, abs=1e-5)
    assert float(wgan_gp(critic, x, y, seeded(2))) == pytest.approx((length - 1) ** 2, abs=1e-4)
    assert float(r1_r2_penalty(critic, x, y)) == pytest.approx(length**2, abs=1e-5)


def test_penalties_of_a_constant_are_zero_and_one_and_can_be_trained_away_from():
    x, y = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
    for constant in (
        lambda v: torch.full((len(v),), 3.0),
        lambda v: torch.ones(len(v), requires_grad=True) * 2,
    ):
        assert r1_r2_penalty(constant, x, y) == 0
        assert wgan_gp(constant, x, y) == 1
    weight = torch.zeros(2, requires_grad=True)
    gradient = torch.autograd.grad(r1_penalty(lambda v: v @ weight, torch.randn(5, 2)), weight)[0]
    assert torch.equal(gradient, torch.zeros(2)), "finite where the slope is zero"


def test_penalties_differentiate_twice():
    "The gradient in the critic's weights, by finite differences, in double precision."
    weight = torch.randn(3, 2, generator=seeded(0), dtype=torch.float64).requires_grad_()
    x, y = (torch.randn(4, 2, generator=seeded(s)) for s in (1, 2))
    critic = lambda w: lambda v: torch.tanh(v.double() @ w.T).sum(1)

    def total(w):
        return r1_r2_penalty(critic(w), x, y) + wgan_gp(critic(w), x, y, seeded(3))

    gradient = torch.autograd.grad(total(weight), weight)[0]
    for i in range(3):
        step = torch.zeros_like(weight)
        step[i, 0] = 1e-2
        rise = (total(weight + step) - total(weight - step)) / 2e-2
        assert rise.item() == pytest.approx(gradient[i, 0].item(), rel=2e-2, abs=1e-3)


def test_the_penalty_looks_between_the_clouds():
    seen = []
    real, fake = torch.zeros(200, 2), torch.full((200, 2), 4.0)
    wgan_gp(lambda v: seen.append(v.detach()) or v.sum(1), real, fake, seeded(0))
    assert 0 <= seen[0].min() < 0.4 and 3.6 < seen[0].max() <= 4
    assert torch.equal(seen[0][:, 0], seen[0][:, 1]), "one share for a whole point"


def test_slopes_of_several_inputs_count_together():
    both = gradient_norm(lambda a, b: 3 * a.sum(1) + 4 * b.sum(1), torch.randn(5, 1), torch.randn(5, 1))
    assert torch.allclose(both, torch.full((5,), 5.0))


def test_slopes_are_float32_under_autocast():
    critic = PointDiscriminator(32)
    x = torch.randn(20, 2, generator=seeded(0))
    plain = gradient_norm(critic, x)
    with torch.autocast("cpu", torch.bfloat16):
        assert critic(x).dtype == torch.bfloat16
        assert torch.equal(gradient_norm(critic, x), plain) and torch.equal(
            gradient_norm(critic, x.bfloat16().float()), gradient_norm(critic, x.bfloat16())
        )
    with torch.no_grad():
        assert torch.equal(gradient_norm(critic, x), plain), "callers need not switch gradients on"


def test_readings_are_an_area_under_the_curve():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0, 3.0])
    facts = logit_metrics(real, fake)
    assert (
        facts["auc"] == pytest.approx((1 + 2.5) / 6)
        and facts["real"] == 2
        and facts["fake"] == pytest.approx(5 / 3)
    )
    assert logit_metrics(real, real)["auc"] == 0.5


def test_every_penalty_that_a_loss_names_is_there():
    named = {gan_loss.penalty for gan_loss in GAN_LOSSES.values()} - {None}
    assert named == set(GRADIENT_PENALTIES)
