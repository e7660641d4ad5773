"The GAN lab without a browser: whose update changes whom, the chapter's own training, Stop, sentences, the page that is kept."

import json
import math
import threading
from base64 import b64decode

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripts import in_node
from traitlets import TraitError
from widget_tools import PATIENCE, check_nothing_is_left, kept_page, page_sends

from steady import seeded
from t2i_learn.gan.losses import GAN_LOSSES
from t2i_learn.gan.points import (
    descent_directions,
    mode_mass,
    point_gan_learner,
    POINT_PENALTY_WEIGHTS,
    warp_grid,
)
from t2i_learn.widgets import gan_lab as module
from t2i_learn.widgets.base import ThinnedHistory
from t2i_learn.widgets.gan_lab import (
    ARROW_LIMIT,
    COORDINATE_LIMIT,
    COUNTED_POINTS,
    gan_lab,
    GAN_LAB_DATASETS,
    gan_lab_points,
    pack_int16,
    SHOWN_POINTS,
    SURFACE_SIDE,
)
from t2i_learn.widgets.plane import heart_points
from t2i_learn.world.points import clusters


@pytest.fixture
def open_lab(keep):
    "A maker of labs."
    return lambda *what, **settings: keep(gan_lab(*what, **settings))


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def both(lab):
    model = lab.run.model
    return weights(model.generator), weights(model.discriminator)


def finished(lab):
    lab.background.wait()
    return lab


def made_by(code):
    made = {}
    exec(code, made)
    return made["learner"]


@pytest.mark.parametrize(
    ("who", "moves"),
    [("discriminator", [False, True]), ("generator", [True, False]), ("both", [True, True])],
)
def test_a_move_moves_only_its_player(open_lab, who, moves):
    lab = open_lab().step()
    before = both(lab)
    page_sends(lab, type="step", network=who)
    assert [not torch.equal(a, b) for a, b in zip(before, both(lab))] == moves
    assert lab.run.learner.step == 2 and lab.message == ""


@pytest.mark.parametrize("game", GAN_LOSSES)
def test_it_is_the_chapters_duel(open_lab, game):
    lab = finished(open_lab("moons", game, seed=4, d_steps=2, lr=2e-3).play(12))
    twin = point_gan_learner(gan_lab_points("moons"), game, seed=4, d_steps=2, lr=2e-3, d_lr=1e-3).fit(
        12
    )
    assert torch.equal(weights(lab.run.model), weights(twin.model))
    assert lab.weight == POINT_PENALTY_WEIGHTS.get(GAN_LOSSES[game].penalty or "", 0.0)


def test_reset_reproduces(open_lab):
    lab = finished(open_lab().play(9))
    first = both(lab)
    page_sends(lab, type="reset")
    assert lab.run.learner.step == 0 and len(lab.history.moments) == 1
    finished(lab.play(9))
    assert all(torch.equal(a, b) for a, b in zip(first, both(lab)))
    page_sends(lab, type="reset", settings={"seed": 1})
    finished(lab.play(9))
    assert not torch.equal(first[0], both(lab)[0])


def test_single_moves_and_playing_can_be_mixed_and_copied(open_lab):
    lab = open_lab("drawing", points=heart_points(9), weight=0.3)
    lab.step("discriminator").step("discriminator").step("both")
    finished(lab.play(4))
    page_sends(lab, type="rates", settings={"lr": 0.005, "beta1": 0.5})
    lab.step("generator").step("both")
    assert lab.run.steps[2:4] == [
        ["rates", {"lr": 0.005, "d_lr": 0.001, "beta1": 0.5}],
        ["generator", 1],
    ]
    assert torch.equal(weights(made_by(lab.code).model), weights(lab.run.model))
    half = lab.history.moments[3][0]
    assert made_by(half["code"]).step == half["step"] == 3, (
        "the code of an older moment leads to that moment"
    )


def test_rates_hold_from_here_on(open_lab):
    lab = open_lab().step()
    page_sends(lab, type="rates", settings={"lr": 0.0, "d_lr": 0.02, "beta1": 0.9})
    before = both(lab)
    lab.step()
    assert torch.equal(before[0], both(lab)[0]) and not torch.equal(before[1], both(lab)[1])
    assert [g["betas"] for g in lab.run.learner.optimizer.param_groups] == [(0.9, 0.99)] * 2
    for value in (0.01, 0.02, 0.03):
        page_sends(lab, type="rates", settings={"d_lr": value})
    assert [kind for kind, _ in lab.run.steps] == ["both", "rates", "both", "rates"], (
        "a drag is one change"
    )


def test_a_change_of_rates_does_not_stop_the_play(open_lab):
    lab = open_lab().play()
    page_sends(lab, type="rates", settings={"lr": 0.002}, fps=1000)
    step = lab.run.learner.step
    assert lab.running and lab.background.thread.is_alive()
    lab.stop_and_wait()
    assert lab.run.learner.step >= step + 1 and lab.run.learner.optimizer.param_groups[0]["lr"] == 0.002


def test_playing_ends_when_asked(open_lab, monkeypatch):
    lab, far = open_lab(every=1), threading.Event()
    on_step = lab.on_step
    monkeypatch.setattr(lab, "on_step", lambda run: (on_step(run), run.learner.step >= 3 and far.set()))
    page_sends(lab, type="play")
    assert far.wait(PATIENCE) and lab.running
    page_sends(lab, type="stop")
    lab.background.wait()
    assert not lab.running and not lab.background.thread.is_alive()
    assert lab.run.learner.step == lab.history.moments[-1][0]["step"] == lab.run.steps[0][1]


def test_a_newer_request_ends_the_play(open_lab):
    lab = open_lab().play()
    page_sends(lab, type="step", network="discriminator")
    assert not lab.running and lab.run.steps[-1] == ["discriminator", 1]
    lab.play()
    page_sends(lab, type="reset")
    assert not lab.running and lab.run.learner.step == 0


def test_a_lab_that_is_shown_or_kept_does_not_hang(open_lab, tmp_path):
    lab = open_lab().play()
    assert "image/png" in lab._repr_mimebundle_() and not lab.running
    lab.play()
    lab.export_html(tmp_path / "lab.html")
    assert not lab.running
    lab.play(7)
    lab._repr_mimebundle_()
    assert lab.run.steps[-1][1] >= 7 and lab.run.learner.step == lab.run.steps[-1][1], (
        "so many steps are waited for"
    )


def test_a_moment_is_what_torch_says(open_lab, sent):
    lab = finished(open_lab(every=5).play(10))
    content, (fake, pulls, surface, grid) = sent[-1]
    model, run = lab.run.model, lab.run
    numbers = lambda data, reach: torch.frombuffer(bytearray(data), dtype=torch.int16) * (reach / 32767)
    with torch.no_grad():
        points = model.generator(run.z)
    assert torch.allclose(
        numbers(fake, COORDINATE_LIMIT).view(-1, 2),
        points[:SHOWN_POINTS].clamp(-COORDINATE_LIMIT, COORDINATE_LIMIT),
        atol=COORDINATE_LIMIT / 32767,
    )
    assert torch.allclose(
        numbers(grid, COORDINATE_LIMIT).view(22, 24, 2),
        warp_grid(model.generator, 11, points_per_line=24).clamp(-COORDINATE_LIMIT, COORDINATE_LIMIT),
        atol=COORDINATE_LIMIT / 32767,
    )
    asked = descent_directions(GAN_LOSSES["relativistic"], model, run.real, points[:SHOWN_POINTS])
    assert content["mean_gradient"] == pytest.approx(asked.norm(dim=1).mean().item(), rel=0.06)
    wanted = (asked / asked.norm(dim=1).mean()).clamp(-ARROW_LIMIT, ARROW_LIMIT)
    assert torch.allclose(numbers(pulls, ARROW_LIMIT).view(-1, 2), wanted, atol=1e-3)
    assert len(surface) == SURFACE_SIDE**2 and content["d_loss"] == pytest.approx(
        run.learner.metrics["d_loss"], abs=1e-4
    )
    assert (
        content["mass"] == pytest.approx(mode_mass(points, clusters()).tolist(), abs=0.01)
        and len(points) == COUNTED_POINTS
    )
    assert sum(map(len, (fake, pulls, surface, grid))) < 7000


def test_moments_come_in_time_and_from_the_thread(open_lab, sent, monkeypatch):
    messages = []
    lab = open_lab(every=4)
    monkeypatch.setattr(
        lab,
        "send",
        lambda content, buffers=None: messages.append((content.get("step"), threading.current_thread())),
    )
    finished(lab.play(10))
    assert [step for step, _ in messages] == [4, 8, 10] and messages[0][1] is not threading.main_thread()


def test_a_view_that_opens_late_is_told_what_was_kept(open_lab, sent):
    lab = finished(open_lab(every=2).play(6))
    live = list(sent)
    sent.clear()
    page_sends(lab, type="ready")
    assert sent == live and [content["type"] for content, _ in sent] == ["run", *["moment"] * 4]


@given(st.integers(1, 400), st.sampled_from([2, 6, 48]))
def test_moments_are_thinned_out_evenly(total, most):
    kept = ThinnedHistory(most)
    for k in range(total):
        kept.add(k)
    gaps = {b - a for a, b in zip(kept.moments[:-1], kept.moments[1:-1])}
    assert (
        kept.moments[0] == 0
        and kept.moments[-1] == total - 1
        and len(kept.moments) <= most
        and len(gaps) <= 1
    )


@pytest.mark.parametrize("data", GAN_LAB_DATASETS)
def test_every_kind_of_data_can_be_played_for(open_lab, data):
    lab = open_lab(data).step()
    moment = lab.history.moments[-1][0]
    assert 0 <= moment["modes_found"] <= moment["of"] and len(moment["mass"]) == {
        "clusters": 8,
        "grid": 25,
    }.get(data, 0)
    assert ("modes" in moment["words"]) == (data in module.DATA_WITH_MODES)
    json.dumps(moment, allow_nan=False)


def test_what_makes_no_sense_is_a_sentence(open_lab, capsys):
    lab = open_lab()
    page_sends(lab, type="reset", settings={"data": "drawing", "points": []})
    assert lab.message == "The drawing is empty: put a point on it first."
    page_sends(lab, type="reset", settings={"data": "clusters"})
    assert lab.message == "" and lab.run.learner.step == 0
    page_sends(lab, type="reset", settings={"gan_loss": "chess"})
    assert "chess" in lab.message and "\n" not in lab.message and lab.gan_loss == "relativistic"
    page_sends(lab, type="reset", settings={"_esm": "alert()", "running": True})
    assert "alert()" not in lab._esm and not lab.running, "only settings are taken from a page"
    assert capsys.readouterr().err == ""
    for name, value in (
        ("lr", -1.0),
        ("beta1", 1.0),
        ("d_steps", 0),
        ("seed", -1),
        ("data", "spiral"),
        ("every", 0),
    ):
        with pytest.raises(TraitError):
            setattr(lab, name, value)
    with pytest.raises(TraitError, match="chess"):
        gan_lab(gan_loss="chess")


@pytest.mark.parametrize(
    "content",
    [
        {"type": "dance"},
        {"type": "step"},
        {"type": "step", "network": "referee"},
        {"type": "play", "fps": 0},
        {"type": "reset", "settings": []},
        {"type": "reset", "settings": {"lr": "fast"}},
        {"type": "reset", "settings": {"d_steps": 10**9}},
        {"type": "rates", "settings": {"lr": float("nan")}},
        {"type": "reset", "settings": {"points": [["a", "b"]]}},
        {"type": "reset", "settings": {"points": [[0, 0]] * 5000}},
        {"type": "reset", "settings": {"title": "x"}},
    ],
    ids=str,
)
def test_a_message_that_no_page_of_ours_sends_is_a_sentence(open_lab, content):
    lab = open_lab()
    before = lab.run
    page_sends(lab, **content)
    assert (
        lab.message.startswith("The page sent what this widget cannot use: ")
        and "\n" not in lab.message
        and len(lab.message) < 300
    )
    assert lab.run is before and lab.run.steps == [] and not lab.running


def test_a_page_is_not_told_what_it_has_said(open_lab, monkeypatch):
    lab, messages = open_lab(), []
    monkeypatch.setattr(lab, "_send", lambda msg, buffers=None: messages.append(msg))
    page_sends(lab, type="reset", settings={"data": "drawing", "points": [[1, 2]], "lr": 0.01})
    named = {name for msg in messages for name in msg.get("state", {})}
    assert lab.points == [[1, 2]] and lab.lr == 0.01 and not named & {"data", "points", "lr"}
    lab.lr = 0.02
    assert messages[-1]["state"] == {"lr": 0.02}, "what is set in a cell is sent to the page"


@pytest.mark.parametrize("by", ["step", "play"])
def test_a_loss_that_is_no_number_is_a_sentence(open_lab, capsys, by):
    lab = open_lab(lr=1e30)
    for _ in range(6):  # the first steps may still be finite
        if not lab.message:
            page_sends(lab, type=by, **({"network": "both"} if by == "step" else {}))
            finished(lab)
    assert "the loss is" in lab.message and "lower learning rate" in lab.message and not lab.running
    for content, _ in lab.history.moments:
        json.dumps(content, allow_nan=False)
    lab.lr = 1e-3
    page_sends(lab, type="reset")
    finished(lab.play(3))
    assert lab.message == "" and math.isfinite(lab.run.learner.loss) and capsys.readouterr().err == ""


def test_what_goes_wrong_in_the_duel_is_noted(open_lab):
    lab = open_lab()
    monitor = lab.run.learner.callbacks[0]
    monitor.warmup = 2
    monitor.every = 1
    monitor.limits["strong_discriminator"] = -1.0
    finished(lab.play(3))
    assert (
        lab.warnings.startswith("Step 2: the discriminator ranks ")
        and "raise the penalty's weight." in lab.warnings
    )
    lab.reset()
    assert lab.warnings == ""


def test_the_page_that_is_kept_holds_the_moments(open_lab, tmp_path):
    lab = finished(open_lab(every=1).play(100))
    text, data = kept_page(lab, tmp_path)
    moments = [buffers for content, buffers in data["recording"] if content["type"] == "moment"]
    assert len(moments) <= 48 and [b64decode(b) for b in moments[-1]] == lab.history.moments[-1][1]
    assert len(text) < 500_000 and text.count("</script>") == 1
    state = {name: value for name, value in data["state"].items() if name != "code"}
    assert len(json.dumps(state)) < 32_000, "traits hold little, pictures are messages"


def test_the_poster_is_there_before_and_after(open_lab):
    lab = open_lab()
    assert lab.poster().size[0] >= 500
    finished(lab.play(3))
    assert lab.poster().tobytes() != open_lab().poster().tobytes()


def test_two_hundred_leave_nothing_behind(sent):
    check_nothing_is_left(gan_lab, lambda lab: lab.play())


# ---- the page's arithmetic ----


def test_the_page_unpacks_what_was_packed(tmp_path):
    x = 3 * torch.randn(40, 2, generator=seeded(0))
    data = list(pack_int16(x, COORDINATE_LIMIT))
    expression = "[unpacked(Uint8Array.from([7, ...data]).subarray(1), COORDINATE_LIMIT), linesOf(unpacked(Uint8Array.from(data), COORDINATE_LIMIT), 20)]"
    flat, lines = in_node(tmp_path, ("points", "gan_lab"), expression, data=data)
    whole = torch.frombuffer(bytearray(data), dtype=torch.int16).double() * (COORDINATE_LIMIT / 32767)
    assert torch.allclose(torch.tensor(flat, dtype=torch.float64), whole, rtol=1e-5, atol=1e-5)
    assert torch.allclose(
        whole.view(-1, 2),
        x.clamp(-COORDINATE_LIMIT, COORDINATE_LIMIT).double(),
        atol=COORDINATE_LIMIT / 32767,
    )
    assert torch.allclose(torch.tensor(lines, dtype=torch.float64), whole.view(2, 20, 2), atol=1e-5)


def test_places_of_the_surface_are_those_of_the_page(tmp_path):
    seen = []
    module.discriminator_surface(lambda x: (seen.append(x), x[:, 0])[1])
    places = torch.tensor(in_node(tmp_path, ("points", "gan_lab"), f"places({SURFACE_SIDE})")).view(
        SURFACE_SIDE, SURFACE_SIDE, 2
    )
    assert torch.allclose(seen[0].view(SURFACE_SIDE, SURFACE_SIDE, 2).flip(0), places, atol=1e-5)


def test_a_rates_slider_comes_back_to_its_place(tmp_path):
    powers = [k / 4 for k in range(-20, 1)]
    back = in_node(
        tmp_path, ("points", "gan_lab"), "powers.map((p) => powerOf(rateOf(p)))", powers=powers
    )
    assert max(abs(a - b) for a, b in zip(powers, back)) < 0.02
