"Points in the plane: density, score and denoiser agree with each other, with sampling and with quadrature."

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steady import steady
from t2i_learn.world.points import GaussianMixture, Rings, clusters, lattice, moons

steady(25)

ALL = {
    "moons": moons(),
    "clusters": clusters(),
    "rings": Rings(),
    "ring": Rings([1.0], 0.0),
    "wide ring": Rings([0.8, 1.2], 0.3),
}
every = pytest.mark.parametrize("points", ALL.values(), ids=ALL.keys())
seeds, levels = st.integers(0, 2**31), st.floats(0.05, 20)


def random_mixture(seed, count=4, dimension=2):
    g = torch.Generator().manual_seed(seed)
    root = 0.6 * torch.randn(count, dimension, dimension, generator=g)
    return GaussianMixture(
        torch.randn(count, dimension, generator=g), root @ root.mT, torch.rand(count, generator=g) + 0.1
    )


def noisy(points, n, sigma, seed=0):
    g = torch.Generator().manual_seed(seed)
    x0 = points.sample(n, g).double()
    return x0, x0 + sigma * torch.randn(x0.shape, generator=g, dtype=torch.float64)


@given(seeds, levels)
def test_tweedie_holds_for_any_mixture(seed, sigma):
    mixture = random_mixture(seed)
    y = noisy(mixture, 50, sigma)[1]
    assert torch.allclose(
        mixture.denoise(y, sigma), y + sigma**2 * mixture.score(y, sigma), atol=1e-8 * (1 + sigma**2)
    )


@every
@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0, 10.0])
def test_tweedie_holds(points, sigma):
    y = noisy(points, 200, sigma)[1]
    assert torch.allclose(
        points.denoise(y, sigma), y + sigma**2 * points.score(y, sigma), atol=1e-6 * (1 + sigma**2)
    )


@given(seeds)
def test_noise_is_added_variance(seed):
    mixture = random_mixture(seed)
    covariances = mixture.axes @ torch.diag_embed(mixture.variances) @ mixture.axes.mT
    wider = GaussianMixture(mixture.means, covariances + 0.16 * torch.eye(2), mixture.weights)
    x = 2 * torch.randn(50, 2, dtype=torch.float64)
    assert torch.allclose(
        mixture.log_density(x, 0.5), wider.log_density(x, 0.3), atol=1e-8
    )  # .25 = .16 + .09


@every
@pytest.mark.parametrize("sigma", [0.2, 1.0])
def test_densities_integrate_to_one(points, sigma):
    x = lattice(301, 7.0)
    assert points.log_density(x, sigma).exp().sum() * (14 / 300) ** 2 == pytest.approx(1, abs=1e-3)


@every
def test_samples_have_the_moments(points):
    mean, covariance = points.moments()
    x = points.sample(40_000, torch.Generator().manual_seed(1))
    assert torch.allclose(x.mean(0), mean, atol=0.02) and torch.allclose(
        x.T.cov(), covariance, atol=0.02
    )


@every
def test_samples_follow_the_density(points):
    "The mean of the density's own logarithm, by samples and by quadrature."
    sigma, x = 0.3, lattice(301, 6.0)
    logs = points.log_density(x, sigma)
    expected = (logs.exp() * logs).sum() * (12 / 300) ** 2
    y = noisy(points, 10_000, sigma)[1]
    assert points.log_density(y, sigma).mean().item() == pytest.approx(expected.item(), abs=0.04)


@every
@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_no_denoiser_beats_the_posterior_mean(points, sigma):
    x0, y = noisy(points, 10_000, sigma)
    best = points.denoise(y, sigma)
    floor = (best - x0).square().sum(1).mean()
    for other in (
        y,
        0.9 * best,
        best + 0.1,
        points.denoise(y, 1.5 * sigma),
        points.denoise(y, 0.7 * sigma),
    ):
        loss = (other - x0).square().sum(1).mean()
        assert loss == pytest.approx((floor + (other - best).square().sum(1).mean()).item(), rel=0.06)
        assert loss > floor


@pytest.mark.parametrize("sigma", [0.05, 0.3, 2.0])
def test_rings_agree_with_quadrature(sigma):
    turn = 2 * math.pi * (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    y = 1.5 * torch.randn(100, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    rings, density, numerator = Rings([0.6, 1.4], 0.1, [1, 3]), 0.0, 0.0
    variance = 0.1**2 + sigma**2
    for radius, weight in ((0.6, 0.25), (1.4, 0.75)):
        circle = radius * torch.stack([turn.cos(), turn.sin()], 1)
        likely = torch.exp(
            -(torch.cdist(y, circle, compute_mode="donot_use_mm_for_euclid_dist") ** 2) / 2 / variance
        )
        likely = weight * likely / (2 * math.pi * variance) / 4000
        density, numerator = density + likely.sum(1), numerator + likely @ circle
    centre = numerator / density[:, None]
    assert torch.allclose(rings.log_density(y, sigma), density.log(), atol=1e-6)
    assert torch.allclose(rings.denoise(y, sigma), centre + 0.01 / variance * (y - centre), atol=1e-6)


def test_moons_are_the_arcs_drawn_with_a_pen():
    fine = moons(0.07, 3000)
    for sigma in (0.1, 1.0):
        y = noisy(fine, 200, sigma)[1]
        assert torch.allclose(
            moons().log_density(y, sigma).exp(), fine.log_density(y, sigma).exp(), atol=1e-3
        )
        assert torch.allclose(moons().denoise(y, sigma), fine.denoise(y, sigma), atol=2e-3)


def test_a_mixture_without_width_is_a_finite_set():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    finite = GaussianMixture(points, 0.0)
    assert set(map(tuple, finite.sample(50).tolist())) <= set(map(tuple, points.tolist()))
    assert torch.allclose(finite.denoise(points + 0.01, 0.05), points, atol=1e-3)
    assert torch.allclose(finite.denoise(points, 1e3), points.mean(0).expand(3, 2), atol=1e-3)


@every
def test_one_level_a_point(points):
    y = 2 * torch.randn(6, 2, generator=torch.Generator().manual_seed(3))
    sigma = torch.tensor([0.1, 0.2, 0.5, 1.0, 2.0, 5.0])
    alone = torch.cat([points.denoise(y[i : i + 1], sigma[i].item()) for i in range(6)])
    for shape in ((6,), (6, 1)):
        assert torch.allclose(points.denoise(y, sigma.reshape(shape)), alone, atol=1e-6)
        assert torch.allclose(points.denoise(y, sigma.reshape(shape), None), alone, atol=1e-6)
        assert points.log_density(y, sigma.reshape(shape)).shape == (6,)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_points_and_the_origin_are_finite(points, dtype):
    y = torch.tensor([[0.0, 0.0], [60.0, -80.0], [1e-8, 0.0]], dtype=dtype)
    for sigma in (0.02, 1.0, 100.0):
        for value in (points.denoise(y, sigma), points.score(y, sigma), points.log_density(y, sigma)):
            assert value.isfinite().all() and value.dtype == dtype


@given(seeds, st.floats(0, 2 * math.pi))
def test_turning_the_data_turns_the_denoiser(seed, turn):
    mixture = random_mixture(seed)
    c, s = math.cos(turn), math.sin(turn)
    rotation = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    covariances = mixture.axes @ torch.diag_embed(mixture.variances) @ mixture.axes.mT
    turned = GaussianMixture(
        mixture.means @ rotation.T, rotation @ covariances @ rotation.T, mixture.weights
    )
    y = noisy(mixture, 20, 0.5)[1]
    assert torch.allclose(
        turned.denoise(y @ rotation.T, 0.5), mixture.denoise(y, 0.5) @ rotation.T, atol=1e-7
    )


def test_the_score_can_be_differentiated():
    y = torch.randn(
        5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4)
    ).requires_grad_()
    jacobian = torch.autograd.functional.jacobian(lambda x: clusters().denoise(x, 0.5).sum(0), y)
    trace = sum(torch.autograd.grad(clusters().score(y, 0.5)[:, i].sum(), y)[0][:, i] for i in range(2))
    expected = (jacobian[0, :, 0] + jacobian[1, :, 1] - 2) / 0.25
    assert torch.allclose(trace, expected, atol=1e-8)


def test_the_same_seed_gives_the_same_points():
    for points in ALL.values():
        first, second = (points.sample(20, torch.Generator().manual_seed(5)) for _ in range(2))
        assert torch.equal(first, second) and first.dtype == torch.float32


def test_mixtures_in_other_dimensions():
    mixture = random_mixture(0, count=3, dimension=5)
    y = noisy(mixture, 30, 0.7)[1]
    assert torch.allclose(mixture.denoise(y, 0.7), y + 0.49 * mixture.score(y, 0.7), atol=1e-8)


@pytest.mark.parametrize(
    ("covariances", "weights", "message"),
    [
        (torch.eye(2), None, "need covariances"),
        (0.1, [1.0], "and weights"),
        (-torch.eye(2).expand(2, 2, 2), None, "negative eigenvalue"),
        (0.1, [1.0, -1.0], "must not be negative"),
        (0.1, [0.0, 0.0], "nor all zero"),
    ],
)
def test_impossible_mixtures_are_refused(covariances, weights, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(torch.zeros(2, 2), covariances, weights)


@every
@pytest.mark.parametrize("sigma", [1, torch.tensor([1, 2]), 0.5])
def test_places_may_be_whole_numbers(points, sigma):
    x = torch.tensor([[1, 1], [-2, 0]])
    for of in (points.log_density, points.denoise, points.score):
        assert torch.allclose(of(x, sigma), of(x.float(), sigma)) and of(x, sigma).is_floating_point()


def test_means_may_be_whole_numbers():
    x = torch.tensor([[1, 1]])
    whole = GaussianMixture(torch.tensor([[0, 0], [1, 2]]), 1)
    real = GaussianMixture(torch.tensor([[0.0, 0.0], [1.0, 2.0]]), 1.0)
    assert torch.allclose(whole.denoise(x, 1), real.denoise(x.float(), 1.0))
    assert torch.allclose(whole.moments()[1], real.moments()[1])
