"The game in the plane: modes and coverage, trainings that succeed, and how it is drawn."

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from steady import seeded, steady

from t2i_learn.gan.losses import GAN_LOSSES, GANLoss, input_gradients
from t2i_learn.gan.learner import GANMonitor, GANPair
from t2i_learn.gan.points import (
    coverage,
    descent_directions,
    draw_point_gan,
    mode_mass,
    point_diversity,
    point_gan_learner,
    PointDiscriminator,
    PointGenerator,
    warp_grid,
)
from t2i_learn.world.points import clusters, GaussianMixture

steady(25)


def quiet(message):
    "What is reported is kept in the messages anyway."


def small(gan_loss="relativistic", **options):
    return point_gan_learner(clusters(), gan_loss, batch=32, width=16, **options)


def test_an_unknown_gan_loss_is_named():
    with pytest.raises(ValueError, match="there is no GAN loss 'chess': Known: hinge, minimax"):
        point_gan_learner(clusters(), "chess")
    assert (
        small(GANLoss(lambda real, fake: (real - fake).mean(), lambda real, fake: fake.mean()))
        .fit(1)
        .step
        == 1
    )


# Coverage


def test_covered_counts_mass_within_three_standard_deviations():
    ring = clusters()
    x = ring.means.float().repeat_interleave(torch.tensor([8, 0, 1, 2, 4, 8, 8, 8]), 0)
    share = mode_mass(x, ring)
    assert torch.allclose(
        share, torch.tensor([8, 0, 1, 2, 4, 8, 8, 8]) / 39 * 8 / (1 - math.exp(-4.5)), atol=1e-5
    )
    edge = ring.means[:1].float() + torch.tensor([[0.12 * 2.999, 0.0]])
    assert mode_mass(edge, ring)[0] > 0 and mode_mass(edge + torch.tensor([[0.001, 0.0]]), ring)[0] == 0


@given(st.integers(1, 6), st.floats(1.0, 3.5))
def test_the_data_covers_itself_in_any_dimension(dimension, radius):
    means = 40 * torch.eye(dimension)[: max(1, dimension - 1)]
    root = torch.randn(dimension, dimension, generator=seeded(dimension))
    law = GaussianMixture(
        means,
        (root @ root.T + 0.1 * torch.eye(dimension)).expand(len(means), -1, -1),
        list(range(1, len(means) + 1)),
    )
    expected = 20_000 * law.weights * stats.chi2.cdf(radius**2, dimension)
    share = mode_mass(law.sample(20_000, seeded(1)), law, radius)
    assert ((share - 1).abs() < 5 / expected.sqrt()).all()


@given(st.integers(0, 200), st.integers(1, 4))
def test_coverage_by_hand(seed, k):
    real, fake = torch.randn(9, 2, generator=seeded(seed)), torch.randn(5, 2, generator=seeded(seed + 1))
    caught = 0
    for i, x in enumerate(real):
        others = sorted((x - y).norm().item() for j, y in enumerate(real) if j != i)
        caught += any((x - y).norm().item() <= others[k - 1] for y in fake)
    assert coverage(real, fake, k).item() == pytest.approx(caught / 9)


# Training


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.trains
def test_the_recommended_game_covers_all_eight_modes(seed):
    monitor = GANMonitor(point_diversity(clusters()), report=quiet)
    learner = point_gan_learner(clusters(), seed=seed, callbacks=[monitor]).fit(600)
    with torch.no_grad():
        share = mode_mass(learner.model.generator.sample(4000, seeded(9)), clusters())
    assert (share >= 0.25).all(), share
    assert not monitor.messages, monitor.messages


def test_a_hinge_game_improves_too():
    learner = point_gan_learner(GaussianMixture(torch.zeros(1, 2), 0.3), "hinge", width=32, lr=3e-3).fit(
        150
    )
    with torch.no_grad():
        x = learner.model.generator.sample(1000, seeded(0))
    assert x.mean(0).norm() < 0.5 and x.std() < 1


# Drawing


def test_warped_lines_cross_where_the_grid_does():
    lines = warp_grid(lambda z: 3 * z + 1, 5, 2.0, 9)
    assert lines.shape == (10, 9, 2)
    assert torch.equal(lines[1, 2], lines[5 + 1, 2]), "noise (-1, -1) lies on both"
    assert (lines[0, :, 0] == -5).all() and (lines[5, :, 1] == -5).all()


def test_arrows_point_up_the_discriminator():
    model = GANPair(PointGenerator(), PointDiscriminator())
    x, y = clusters().sample(30, seeded(0)), torch.randn(30, 2, generator=seeded(1))
    up = input_gradients(model.discriminator, y).detach()
    for name, factor in (
        ("hinge", torch.ones(30)),
        ("non-saturating", torch.sigmoid(-model.discriminator(y)).detach()),
    ):
        assert torch.allclose(
            descent_directions(GAN_LOSSES[name], model, x, y), factor[:, None] * up, atol=1e-5
        )


def test_both_networks_can_be_drawn():
    from t2i_learn.core.show import figure_to_image, make_figure

    fig = make_figure(2, 2)
    learner = small()
    x = clusters().sample(50, seeded(0))
    draw_point_gan(
        fig.subplots(), learner.model, x, learner.model.generator.sample(20, seeded(0)).detach(), "start"
    )
    assert figure_to_image(fig).size == (288, 288)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_networks_for_points_take_float32(dtype):
    x = torch.ones(3, 2)
    assert PointDiscriminator().to(dtype)(x).dtype == PointGenerator().to(dtype)(x).dtype == dtype


@pytest.mark.parametrize("gan_loss", GAN_LOSSES)
def test_points_are_trained_in_torchs_default_precision(gan_loss):
    torch.set_default_dtype(torch.float64)
    try:
        assert math.isfinite(point_gan_learner(clusters(), gan_loss, batch=16).fit(2).loss)
    finally:
        torch.set_default_dtype(torch.float32)


def test_points_may_be_whole_numbers():
    x = torch.tensor([[0, 1], [1, 0], [-1, 0], [2, 2]])
    modes = clusters(4, 1.0)
    assert torch.equal(mode_mass(x, modes), mode_mass(x.float(), modes))
    assert mode_mass(x, modes).max() > 0
    assert torch.equal(coverage(x, x, 2), coverage(x.float(), x.float(), 2))
