"Stable laws against scipy and against their own formulas: draws, densities, the mixture, tails."

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from steady import seeded, steady
from t2i_learn.core.tensors import noise_like
from t2i_learn.stable.distribution import (
    NOISE_KINDS,
    chambers_mallows_stuck,
    check_stable_params,
    stable_pdf,
    hill_estimator,
    kanter_mixing,
    log_characteristic,
    mixing_quadrature,
    mixing_shape,
    sample_positive_stable,
    positive_stable_cdf,
    sample_stable,
    stable_like,
    uniform_and_exponential,
)

stats = pytest.importorskip("scipy.stats", reason="scipy is in the extras `metrics` and `dev`")

steady(25)

indices, skews = st.floats(0.3, 2.0), st.floats(-1.0, 1.0)
LAWS = [
    (1.7, 0.0, "S1"),
    (1.8, 0.0, "S1"),
    (2.0, 0.0, "S1"),
    (1.5, 0.5, "S0"),
    (1.5, 0.5, "S1"),
    (0.85, 1.0, "S1"),
    (1.0, 0.0, "S1"),
    (1.0, 0.6, "S1"),
    (1.2, -0.7, "S0"),
    (0.5, 1.0, "S1"),
]


@pytest.fixture
def law(monkeypatch):
    "scipy's law; its parameterisation is a setting of the whole class."

    def of(alpha, beta, param):
        monkeypatch.setattr(stats.levy_stable, "parameterization", param, raising=False)
        return stats.levy_stable(alpha, beta)

    return of


@pytest.mark.parametrize(("alpha", "beta", "param"), LAWS)
def test_draws_are_scipy_s(law, alpha, beta, param):
    theirs = law(alpha, beta, param).rvs(size=20_000, random_state=np.random.default_rng(1))
    ours = sample_stable(alpha, beta, (20_000,), seeded(2), param).numpy()
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3


ALMOST_ONE = [
    float(np.linspace(0.1, 2, 20)[9]),
    1.0,
    1 + 2**-52,
    1 - 1e-12,
    1 + 1e-9,
    1 - 1e-7,
    1 + 1e-5,
]


@pytest.mark.parametrize("beta", [0.5, -1.0])
@pytest.mark.parametrize("alpha", ALMOST_ONE)
def test_nothing_breaks_beside_one(law, alpha, beta):
    "In S0 the family is continuous there: the same uniform numbers make the same draws, and density and transform are those at 1."
    draws = sample_stable(alpha, beta, (50_000,), seeded(2), "S0")
    assert len(draws.unique()) > 49_000
    assert (
        stats.ks_2samp(
            draws[:20_000].numpy(),
            law(1.0, beta, "S0").rvs(size=20_000, random_state=np.random.default_rng(1)),
        ).pvalue
        > 1e-3
    )
    u, w = uniform_and_exponential((1000,), seeded(3))
    there = chambers_mallows_stuck(u, w, 1.0, beta, "S0")
    assert torch.allclose(chambers_mallows_stuck(u, w, alpha, beta, "S0"), there, rtol=1e-3, atol=1e-4)
    x = torch.tensor([-3.0, 0.0, 2.0], dtype=torch.float64)
    assert np.allclose(stable_pdf(x, alpha, beta, "S0"), law(1.0, beta, "S0").pdf(x.numpy()), atol=2e-5)
    k = torch.linspace(0, 4, 30, dtype=torch.float64)
    pairs = zip(
        log_characteristic(k, alpha, beta, "S0"), log_characteristic(k, 1.0, beta, "S0"), strict=True
    )
    assert all(torch.allclose(ours, at_one, atol=1e-4) for ours, at_one in pairs)


def test_the_density_at_nought_beside_one():
    "The figure that a difference of huge numbers got wrong: .3033."
    assert float(stable_pdf(torch.zeros(()), np.linspace(0.1, 2, 20)[9], 0.5, "S0")) == pytest.approx(
        0.2925, abs=2e-4
    )


@pytest.mark.parametrize("alpha", [0.999, 1 - 1e-5, 1 + 1e-6, 1.02])
def test_the_two_parameterisations_lie_apart_by_the_tangent(alpha):
    u, w = uniform_and_exponential((1000,), seeded(3))
    gap = chambers_mallows_stuck(u, w, alpha, 0.7, "S1") - chambers_mallows_stuck(u, w, alpha, 0.7, "S0")
    assert torch.allclose(gap, torch.full_like(gap, 0.7 * math.tan(math.pi * alpha / 2)), rtol=1e-9)


@pytest.mark.parametrize("alpha", ALMOST_ONE[:4])
def test_what_rounding_leaves_of_one_is_one(alpha):
    "The shorter parameterisation is infinitely far away beside 1; an index that was meant to be 1 is not sent there."
    assert torch.equal(
        sample_stable(alpha, 0.5, (100,), seeded(), "S1"),
        sample_stable(alpha, 0.5, (100,), seeded(), "S0"),
    )


@pytest.mark.parametrize(
    ("alpha", "beta", "param"), [(1.8, 0.0, "S1"), (1.5, 0.5, "S0"), (1.2, -0.7, "S1"), (0.8, 1.0, "S1")]
)
def test_density_is_scipy_s(law, alpha, beta, param):
    x = torch.tensor([-6.0, -1.5, 0.0, 0.4, 2.0, 9.0], dtype=torch.float64)
    assert np.allclose(
        stable_pdf(x, alpha, beta, param), law(alpha, beta, param).pdf(x.numpy()), atol=2e-5
    )


def test_the_normal_end_of_the_family():
    assert torch.equal(sample_positive_stable(2.0, (4, 3), seeded()), torch.ones(4, 3))
    assert abs(sample_stable(2.0, 0.0, (200_000,), seeded()).var() - 2) < 0.02
    x = torch.zeros(3, 3, 4, 4, dtype=torch.float64)
    for kind in NOISE_KINDS:
        eps, a = stable_like(x, 2.0, seeded(), kind)
        assert (
            torch.equal(eps, noise_like(x, seeded())) and eps.dtype == torch.float64 and (a == 1).all()
        )


@pytest.mark.parametrize("alpha", [1.99, 1.8, 1.5, 1.2, 1.0])
def test_mixing_variable_has_its_laplace_transform(alpha):
    a = sample_positive_stable(alpha, (200_000,), seeded(3)).double()
    for u in (0.25, 1.0, 4.0):
        assert abs((-u * a).exp().mean() - math.exp(-(u ** (alpha / 2)))) < 5e-3
    assert abs((1 / a).mean() / math.gamma(1 + 2 / alpha) - 1) < 0.02
    assert a.min() > 0 and a.isfinite().all()


@pytest.mark.parametrize("alpha", [1.95, 1.7, 1.3])
def test_mixing_variable_is_scipy_s(law, alpha):
    scale = math.cos(math.pi * alpha / 4) ** (2 / alpha)
    theirs = scale * law(alpha / 2, 1.0, "S1").rvs(size=20_000, random_state=np.random.default_rng(3))
    ours = sample_positive_stable(alpha, (20_000,), seeded(4)).numpy()
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3
    cdf = lambda x: positive_stable_cdf(torch.from_numpy(x), alpha, 500).numpy()
    assert stats.kstest(ours[:4000].astype(float), cdf).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [1.99, 1.8, 1.4, 1.1])
def test_nodes_stand_for_the_law(alpha):
    nodes, weights = mixing_quadrature(alpha, 96)
    assert weights.min() >= 0 and abs(weights.sum() - 1) < 1e-12 and (nodes.diff() > 0).all()
    for u in (0.1, 1.0, 10.0):
        assert abs(weights @ (-u * nodes).exp() - math.exp(-(u ** (alpha / 2)))) < 1e-3
    assert mixing_quadrature(2.0)[0].tolist() == [1.0]


@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-5, 1e-6, 1e-7, 1e-9, 1e-12, 2**-52, 0.0])
@pytest.mark.parametrize("count", [24, 64])
def test_nodes_go_over_into_the_normal_end(gap, count):
    "Averages over A are right, and tend to those at A = 1, however close alpha comes to 2."
    alpha = 2 - gap
    nodes, weights = mixing_quadrature(alpha, count)
    assert (
        nodes.isfinite().all()
        and (nodes > 0).all()
        and (weights >= 0).all()
        and abs(weights.sum() - 1) < 1e-12
    )
    for u in (0.1, 1.0, 4.0):
        assert abs(weights @ (-u * nodes).exp() - math.exp(-(u ** (alpha / 2)))) < 1e-4
    assert abs(weights @ (-nodes).exp() - math.exp(-1)) < 1e-4
    x = torch.tensor([0.5, 2.0, 30.0])
    assert (positive_stable_cdf(x, alpha) - torch.tensor([0.0, 1.0, 1.0])).abs().max() < 2 * gap + 1e-12


@pytest.mark.parametrize("kind", [np.float64, np.float32, lambda v: np.asarray(v)[()]])
def test_parameters_may_be_numpy_s_numbers(kind):
    alpha, beta = 1.5, 0.25  # float32 has both exactly
    x = torch.tensor([0.5, 1.5], dtype=torch.float64)
    assert check_stable_params(kind(alpha), kind(beta)) == (alpha, beta)
    assert all(type(v) is float for v in check_stable_params(kind(alpha), kind(beta)))
    for f in (
        lambda a, b: sample_stable(a, b, (5,), seeded()),
        lambda a, b: sample_positive_stable(a, (5,), seeded()),
        lambda a, b: stable_like(torch.zeros(2, 3), a, seeded())[0],
        lambda a, b: stable_pdf(x, a, b),
        lambda a, b: log_characteristic(x, a, b)[1],
        lambda a, b: positive_stable_cdf(x, a),
        lambda a, b: mixing_quadrature(a)[0],
        lambda a, b: kanter_mixing(x / 2, x, a),
    ):
        ours, numpy_s = f(alpha, beta), f(kind(alpha), kind(beta))
        assert (
            type(numpy_s) is torch.Tensor and numpy_s.dtype == ours.dtype and torch.equal(ours, numpy_s)
        )


@given(st.floats(0.6, 1.99), st.floats(0.001, 0.999), st.floats(0.01, 10.0))
def test_kanter_s_variable_is_a_power_of_the_wait(alpha, v, w):
    angle = torch.tensor([v, v], dtype=torch.float64)
    short, long = kanter_mixing(angle, torch.tensor([w, 2 * w], dtype=torch.float64), alpha)
    assert 0 < long < short < math.inf
    assert abs(torch.log2(short / long) - (2 / alpha - 1)) < 1e-9


@given(indices, skews, st.integers(2, 9))
def test_sums_stay_in_the_family(alpha, beta, n):
    assume(abs(alpha - 1) > 1e-2)
    k = torch.linspace(0.1, 3, 20, dtype=torch.float64)
    one, wide = log_characteristic(k, alpha, beta), log_characteristic(n ** (1 / alpha) * k, alpha, beta)
    assert all(torch.allclose(n * a, b, rtol=1e-9) for a, b in zip(one, wide))


@given(indices, skews)
def test_draws_are_finite_numbers_whatever_the_law(alpha, beta):
    for param in ("S0", "S1"):
        x = sample_stable(alpha, beta, (500,), seeded(), param)
        assert not x.isnan().any() and x.dtype == torch.float32


def test_isotropic_noise_is_a_stable_law_in_every_direction():
    eps, _ = stable_like(torch.zeros(20_000, 2), 1.6, seeded(5))
    turned = eps @ torch.tensor([0.6, 0.8])
    alone = sample_stable(1.6, 0.0, (20_000,), seeded(6)) / 2**0.5
    assert stats.ks_2samp(turned.numpy(), alone.numpy()).pvalue > 1e-3
    both = stable_like(torch.zeros(20_000, 2), 1.6, seeded(5), "componentwise")[0] @ torch.tensor(
        [0.6, 0.8]
    )
    assert stats.ks_2samp(both.numpy(), alone.numpy()).pvalue < 1e-3  # impulses have preferred axes


@pytest.mark.parametrize("index", [0.85, 1.5])
def test_hill_reads_a_power(index):
    x = torch.rand(100_000, generator=seeded(), dtype=torch.float64) ** (-1 / index)
    assert abs(hill_estimator(x)[-1] - index) < 0.02 and len(hill_estimator(x, 50)) == 50
    a = sample_positive_stable(1.7, (200_000,), seeded(1))
    assert abs(hill_estimator(a, 2000)[-1] - 0.85) < 0.06


def test_wrong_laws_are_said_to_be_wrong():
    for alpha, beta, param, message in (
        (2.1, 0.0, "S1", "alpha"),
        (0.0, 0.0, "S1", "alpha"),
        (1.5, 1.1, "S0", "beta"),
        (1.5, 0.0, "S2", "S2"),
    ):
        with pytest.raises(ValueError, match=message):
            sample_stable(alpha, beta, (3,), seeded(), param)
    with pytest.raises(ValueError, match="isotropic, pixelwise, componentwise"):
        mixing_shape((2, 3), "salt")


@pytest.mark.parametrize("count", [0, -3, 10, 11])
def test_extremes_are_fewer_than_the_numbers(count):
    with pytest.raises(ValueError, match="from 1 to 9"):
        hill_estimator(torch.arange(1.0, 11), count)


def test_draws_repeat_with_their_seed():
    for draw in (
        lambda g: sample_stable(1.5, 0.3, (9,), g),
        lambda g: sample_positive_stable(1.5, (9,), g),
        lambda g: stable_like(torch.zeros(2, 3), 1.5, g)[0],
    ):
        assert torch.equal(draw(seeded(1)), draw(seeded(1))) and not torch.equal(
            draw(seeded(1)), draw(seeded(2))
        )


OF_NUMBERS = {
    "stable_pdf": lambda x: stable_pdf(x, 1.5),
    "log_characteristic": lambda x: log_characteristic(x, 1.5, 0.3)[1],
    "positive_stable_cdf": lambda x: positive_stable_cdf(x, 1.5),
    "hill_estimator": lambda x: hill_estimator(x, 2),
    "stable_like": lambda x: stable_like(x[:, None], 1.5, seeded())[0],
}


@pytest.mark.parametrize("of", OF_NUMBERS.values(), ids=OF_NUMBERS)
def test_whole_numbers_are_numbers(of):
    x = torch.tensor([1, 2, 3, 40, 5])
    assert torch.allclose(of(x), of(x.float())) and of(x).is_floating_point()


@pytest.mark.parametrize(
    "options",
    [{"min_probability": p} for p in (0.0, 1e-17, -1.0, 0.5, math.nan)] + [{"nodes": 0}],
    ids=str,
)
def test_a_quadrature_that_cannot_be_is_a_sentence(options):
    with pytest.raises(ValueError, match="leaves out a probability from 1e-15 to below"):
        mixing_quadrature(1.5, **options)


@pytest.mark.parametrize("alpha", [0.03, 0.01])
def test_variances_that_no_number_holds_are_said(alpha):
    with pytest.raises(ValueError, match="more than a number can hold"):
        mixing_quadrature(alpha)
