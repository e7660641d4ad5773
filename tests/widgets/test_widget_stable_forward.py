"The forward widget with stable noise without a browser: the page's arithmetic, by node, against torch; traits, copied code, clean-up."

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripts import close_to, in_node
from traitlets import TraitError
from widget_tools import check_nothing_is_left, closed_in_the_end, kept_page

from steady import seeded, steady
from t2i_learn.core.show import to_image
from t2i_learn.diffusion.schedules import cosine_schedule, linear_schedule
from t2i_learn.stable.distribution import NOISE_KINDS, kanter_mixing, positive_stable_cdf
from t2i_learn.stable.process import stable_schedule
from t2i_learn.widgets.base import handle_message
from t2i_learn.widgets.forward import scene_picture
from t2i_learn.widgets.stable_forward import (
    StableForwardWidget,
    stable_forward_widget,
    stable_tail_probability,
    coupled_noise,
)

steady(15)
FORWARD = ("noising", "stable", "stable_forward")  # scripts
ALPHAS = [1.01, 1.3, 1.7, 1.95, 2.0]


# ---- numbers out of a generator ----


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_the_page_goes_on_where_torchs_generator_does(tmp_path, seed):
    expression = (
        "(() => { const next = twister(seed); return [randn(seed, 48, next), doubles(next, 9)]; })()"
    )
    normal, uniform = in_node(tmp_path, "stable", expression, seed=seed)
    generator = seeded(seed)
    assert close_to(normal, torch.randn(48, generator=generator))
    assert torch.equal(
        torch.tensor(uniform, dtype=torch.float64),
        torch.rand(9, generator=generator, dtype=torch.float64),
    )


def test_kanters_formula(tmp_path):
    u, w = (
        torch.rand(500, generator=seeded(), dtype=torch.float64),
        torch.empty(500, dtype=torch.float64).exponential_(generator=seeded(1)),
    )
    u[:3], w[3:5] = (
        torch.tensor([2.0**-54, 1e-9, 1 - 1e-9], dtype=torch.float64),
        torch.tensor([1e-12, 40.0]),
    )
    found = in_node(
        tmp_path,
        "stable",
        "alphas.map((alpha) => u.map((v, i) => kanter(v, w[i], alpha)))",
        u=u.tolist(),
        w=w.tolist(),
        alphas=[0.6, 1.0, *ALPHAS],
    )
    for alpha, a in zip([0.6, 1.0, *ALPHAS[:-1]], found):
        assert close_to(a, kanter_mixing(u, w, alpha)), alpha
    assert found[-1] == [1.0] * 500


# ---- tails ----


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_laws_tail_is_torchs(tmp_path, alpha):
    power, share = torch.tensor(
        in_node(tmp_path, FORWARD, "lawOf(alpha, -1, 3)", alpha=alpha), dtype=torch.float64
    ).T
    seen = share > -12
    assert close_to(share[seen].tolist(), stable_tail_probability(10**power, alpha).log10()[seen])


def test_a_tail_of_numbers(tmp_path):
    x = torch.randn(5000, generator=seeded()).abs()
    points = torch.tensor(in_node(tmp_path, "stable", "tailOf(x)", x=x.tolist()), dtype=torch.float64)
    assert len(points) <= 170
    size, share = 10**points.T
    assert torch.allclose(torch.stack([(x >= s * (1 - 1e-6)).double().mean() for s in size]), share)


# ---- the forward widget ----


@pytest.mark.parametrize("kind", NOISE_KINDS)
@pytest.mark.parametrize("alpha", [1.01, 1.5, 2.0])
def test_a_picture_under_both_noises(tmp_path, item, kind, alpha):
    times, x0 = [0.05, 0.3, 0.8], item.picture.double()
    expression = """(() => { const n = coupledNoise(3, 768, kind); const eps = heavier(n.z, variances(n, alpha));
      return times.map((t) => ['cosine', 'linear'].map((name) => [[PRESETS[name], n.z], [stableView(PRESETS[name], alpha), eps]].map(
        ([view, noise]) => { const at = levelsAt(view, t); return mixed(planes(rgb), noise, at.b, at.s); }))); })()"""
    found = in_node(
        tmp_path,
        FORWARD,
        expression,
        kind=kind,
        alpha=alpha,
        times=times,
        rgb=list(to_image(item.picture).tobytes()),
    )
    z, a = coupled_noise(item.picture.shape, alpha, 3, kind)
    for t, both in zip(torch.tensor(times).double(), found):
        for schedule, (plain, heavy) in zip((cosine_schedule(), linear_schedule()), both):
            view = stable_schedule(schedule, alpha)
            assert close_to(plain, schedule.b(t) * x0 + schedule.s(t) * z.double())
            off = (
                torch.tensor(heavy).double().view(3, 16, 16)
                - view.b(t) * x0
                - view.s(t) * (a.sqrt() * z).double()
            )
            assert (off / (1 + a.sqrt())).abs().max() < 1e-5, (
                "a difference of the normal numbers grows with the variance"
            )


@given(st.floats(1.01, 1.99), st.sampled_from(NOISE_KINDS), st.integers(0, 2**32 - 1))
def test_alpha_moves_the_variances_and_not_the_draw(alpha, kind, seed):
    (z, a), (same, near) = (coupled_noise((3, 8, 8), v, seed, kind) for v in (alpha, alpha + 1e-4))
    assert torch.equal(z, same) and a.shape == near.shape and (a > 0).all()
    assert (near / a).log().abs().median() < 0.01


def test_twin_variances_have_their_law():
    for alpha in (1.2, 1.8):
        _, a = coupled_noise((3, 40, 40), alpha, 11)
        ranks = positive_stable_cdf(a.flatten(), alpha, 500).sort().values
        assert (ranks - torch.linspace(0, 1, len(ranks))).abs().max() < 1.95 / len(ranks) ** 0.5


@pytest.mark.parametrize("alpha", [0.9, 1.0, 2.1])
def test_a_tail_without_its_integral_is_refused(alpha):
    with pytest.raises(ValueError, match=r"\(1, 2\]"):
        stable_tail_probability(torch.ones(2), alpha)


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_copied_code_makes_what_the_page_shows(tmp_path, item, kind, monkeypatch):
    state = {
        "t": 0.42,
        "alpha": 1.6,
        "kind": kind,
        "schedule": "linear",
        "seed": 5,
        "picture": "scene_picture(4, 16)",
    }
    expression = """[codeOf(state), (() => { const n = coupledNoise(5, 768, state.kind); const at = levelsAt(stableView(PRESETS.linear, 1.6), 0.42);
      return mixed(planes(rgb), heavier(n.z, variances(n, 1.6)), at.b, at.s); })()]"""
    code, shown = in_node(
        tmp_path, FORWARD, expression, state=state, rgb=list(to_image(item.picture).tobytes())
    )
    made = {}
    monkeypatch.setattr("t2i_learn.core.show.show", lambda figure, alt: None)
    exec(code, made)
    assert close_to(shown, made["y_t"])


def test_traits_of_the_forward_widget(item, sent):
    widget = StableForwardWidget([item])
    for name, value in (
        ("alpha", 1.0),
        ("alpha", 2.1),
        ("t", -0.1),
        ("kind", "striped"),
        ("schedule", "own"),
        ("seed", -1),
    ):
        with pytest.raises(TraitError):
            setattr(widget, name, value)
    handle_message(widget, {"type": "ready"}, [])
    ((content, buffers),) = sent
    assert content["type"] == "pictures" and [len(b) for b in buffers] == [768] and widget.message == ""
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= set(widget._repr_mimebundle_())
    widget.close()


def test_a_picture_of_ones_own(tmp_path):
    with closed_in_the_end() as made:
        made.append(stable_forward_widget(scene_picture(7, 16), alpha=1.2, kind="isotropic", t=0.5))
        assert made[0].picture_index == 0 and made[0].choices[0].label == "your picture"
        assert made[0].poster().size[0] >= 640
        text, data = kept_page(made[0], tmp_path)
        assert len(text) < 400_000 and len(json.dumps(data["state"])) < 32_000
    with pytest.raises(ValueError, match="no file"):
        stable_forward_widget(tmp_path / "none.png")


def test_two_hundred_leave_nothing_behind(item):
    check_nothing_is_left(lambda: StableForwardWidget([item]))
