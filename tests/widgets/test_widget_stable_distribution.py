"The explorer of stable distributions without a browser: the page's arithmetic, by node, against torch; traits, copied code, clean-up."

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripts import close_to, in_node
from traitlets import TraitError
from widget_tools import check_nothing_is_left, closed_in_the_end, kept_page

from steady import seeded, steady
from t2i_learn.stable import distribution
from t2i_learn.stable.distribution import (
    chambers_mallows_stuck,
    log_characteristic,
    uniform_and_exponential,
)
from t2i_learn.widgets.stable_distribution import (
    running_moments,
    stable_distribution_widget,
    StableDistributionExplorer,
)

steady(15)
DISTRIBUTION = ("noising", "stable", "stable_distribution")  # scripts


# ---- numbers ----


@pytest.mark.parametrize("param", ["S0", "S1"])
def test_the_formula_of_chambers_mallows_and_stuck(tmp_path, param):
    u, w = (
        torch.rand(500, generator=seeded(), dtype=torch.float64),
        torch.empty(500, dtype=torch.float64).exponential_(generator=seeded(1)),
    )
    laws = [
        (2.0, 0.0),
        (1.7, 0.0),
        (1.5, -0.6),
        (1.05, 1.0),
        (1.0, 0.0),
        (1.0, 0.7),
        (0.7, 1.0),
        (0.5, -1.0),
    ]
    found = in_node(
        tmp_path,
        "stable",
        "laws.map(([a, b]) => u.map((v, i) => chambers(v, w[i], a, b, param)))",
        u=u.tolist(),
        w=w.tolist(),
        laws=laws,
        param=param,
    )
    for law, x in zip(laws, found):
        assert close_to(x, chambers_mallows_stuck(u, w, *law, param)), law
    k = torch.linspace(0, 4, 30, dtype=torch.float64)
    found = in_node(
        tmp_path,
        "stable",
        "laws.map(([a, b]) => k.map((v) => logCharacteristic(v, a, b, param)))",
        k=k.tolist(),
        laws=laws,
        param=param,
    )
    for law, pairs in zip(laws, found):
        assert close_to(pairs, torch.stack(log_characteristic(k, *law, param), 1)), law


@given(st.floats(0.3, 2), st.floats(-1, 1), st.sampled_from(["S0", "S1"]))
def test_stable_numbers_are_what_their_angles_and_waits_make(alpha, beta, param):
    u, w = distribution.uniform_and_exponential((50,), seeded(2))
    drawn = distribution.sample_stable(alpha, beta, (50,), seeded(2), param)
    assert torch.equal(drawn, chambers_mallows_stuck(u, w, alpha, beta, param).float())


# ---- density and tails ----


@pytest.mark.parametrize("param", ["S0", "S1"])
@pytest.mark.parametrize(
    ("alpha", "beta"), [(2.0, 0.0), (1.5, 0.7), (1.05, 1.0), (1.0, -0.5), (0.7, 0.3), (0.5, 1.0)]
)
def test_density_and_tails(tmp_path, alpha, beta, param):
    x = torch.linspace(-8, 8, 41, dtype=torch.float64)
    expression = "[density(-8, 0.4, 41, alpha, beta, param), survival(x, alpha, beta, param)]"
    found, above = in_node(
        tmp_path, "stable", expression, alpha=alpha, beta=beta, param=param, x=x.tolist()
    )
    assert close_to(found, distribution.stable_pdf(x, alpha, beta, param))
    places, weights = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(8))
    inside = distribution.stable_pdf(x[:-1, None] + 0.2 * (1 + places), alpha, beta, param)
    assert close_to(
        [a - b for a, b in pairwise(above)], 0.2 * inside @ weights, 1e-3 if alpha < 1 else 1e-5
    )


@pytest.mark.parametrize(
    ("alpha", "beta"),
    [(2.0, 0.0), (1.8, 0.0), (1.5, -1.0), (1.2, 1.0), (0.95, 1.0), (0.7, -0.5), (0.5, 1.0)],
)
def test_tails_far_out(tmp_path, alpha, beta):
    stats = pytest.importorskip("scipy.stats")
    x = [-30.0, -3.0, 0.0, 0.01, 1.0, 10.0, 100.0]
    before, stats.levy_stable.parameterization = stats.levy_stable.parameterization, "S1"
    try:
        wanted = stats.levy_stable.sf(x, alpha, beta)
    finally:
        stats.levy_stable.parameterization = before
    assert close_to(
        in_node(tmp_path, "stable", "survival(x, alpha, beta)", x=x, alpha=alpha, beta=beta),
        wanted,
        1e-5,
    )


# ---- the explorer ----


@pytest.mark.parametrize(
    ("alpha", "beta", "param"), [(1.5, 0.0, "S0"), (1.0, 0.5, "S1"), (0.5, -1.0, "S0"), (2.0, 0.3, "S1")]
)
def test_draws_and_their_averages(tmp_path, alpha, beta, param):
    expression = """(() => { const x = drawsOf(anglesAndWaits(twister(9), 2000), alpha, beta, param);
      const { mean, variance } = runningMoments(x); return [x, mean, variance, shareOfLargest(x), histogram(x, -8, 8, 80)]; })()"""
    x, mean, variance, share, bars = in_node(
        tmp_path, DISTRIBUTION, expression, alpha=alpha, beta=beta, param=param
    )
    wanted = chambers_mallows_stuck(*uniform_and_exponential((2000,), seeded(9)), alpha, beta, param)
    averages = running_moments(wanted)
    assert close_to(x, wanted)
    for found, truth in zip((mean, variance), averages):
        off = (torch.tensor(found).double() - truth) / (1 + averages[1])
        assert off.abs().max() < 1e-5
    assert share == pytest.approx(float(wanted.square().max() / wanted.square().sum()), rel=1e-5)
    assert close_to(
        bars, torch.histc(wanted, 80, -8, 8) / 2000 / 0.2, 2e-2
    )  # one draw may stand on the border of two bars


def test_the_laws_mean_is_where_draws_settle(tmp_path):
    found = in_node(
        tmp_path, DISTRIBUTION, "[meanOf(1.8, 1, 'S0'), meanOf(1.8, 1, 'S1'), meanOf(1, 0.5, 'S0')]"
    )
    mean = chambers_mallows_stuck(*uniform_and_exponential((400_000,), seeded(1)), 1.8, 1.0, "S0").mean()
    assert found[0] == pytest.approx(float(mean), abs=0.05) and found[1:] == [0, None]


def test_the_explorers_copied_code(tmp_path, monkeypatch):
    state = {"alpha": 1.35, "beta": -0.4, "param": "S1", "seed": 6}
    expression = "[codeOf(state), drawsOf(anglesAndWaits(twister(6), DRAWS), 1.35, -0.4, 'S1')]"
    code, x = in_node(tmp_path, DISTRIBUTION, expression, state=state)
    made = {}
    monkeypatch.setattr("t2i_learn.core.show.show", lambda figure, alt: None)
    exec(code, made)
    assert close_to(x, made["x"])


def test_the_explorer_without_a_page(tmp_path):
    with closed_in_the_end() as made:
        made.append(stable_distribution_widget(0.8, 1.0, "S1", seed=3))
        for name, value in (
            ("alpha", 0.4),
            ("alpha", 2.1),
            ("beta", -1.1),
            ("param", "S2"),
            ("seed", -1),
        ):
            with pytest.raises(TraitError):
                setattr(made[0], name, value)
        assert made[0].poster().size[0] >= 640
        text, data = kept_page(made[0], tmp_path)
        assert len(text) < 100_000 and data["recording"] == []


def test_two_hundred_leave_nothing_behind():
    check_nothing_is_left(StableDistributionExplorer)
