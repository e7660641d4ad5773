"The learned schedule's widget without a browser: the training can be repeated, stopped and kept; errors are sentences."

import json
import threading
from base64 import b64decode

import pytest
import torch
from scripts import in_node
from traitlets import TraitError
from widget_tools import PATIENCE, check_nothing_is_left, kept_page, page_sends

from t2i_learn.stable.likelihood import cosine_ramp, LearnedSchedule, linear_ramp, measure_bits
from t2i_learn.widgets import learned_schedule as module
from t2i_learn.widgets.learned_schedule import (
    compare_ramps,
    fixed_ramp_models,
    lab_mixture,
    likelihood_learner,
    schedule_lab,
)


@pytest.fixture
def open_lab(keep):
    "A maker of labs."
    return lambda **settings: keep(schedule_lab(**{"total": 4, "every": 2} | settings))


def finished(lab):
    lab.background.wait()
    return lab


def curve_of(buffers):
    return torch.frombuffer(bytearray(buffers[0]), dtype=torch.float32)


@pytest.mark.parametrize(
    "settings",
    [{}, {"steps": None, "alpha": 1.8, "seed": 3}, {"low": -9.0, "high": 1.0, "learn_ends": False}],
    ids=str,
)
def test_copied_code_leads_to_the_moment(open_lab, sent, settings):
    lab = finished(open_lab(**settings).train())
    content, buffers = sent[-1]
    made = {}
    exec(content["code"], made)
    assert (
        content["step"] == lab.learner.step == made["learner"].step == 4 and lab.code == content["code"]
    )
    t = torch.linspace(0, 1, 65, dtype=torch.float64)
    assert torch.equal(made["schedule"](t).float().detach(), curve_of(buffers))
    assert content["low"] == pytest.approx(float(made["schedule"].low.detach()), abs=1e-3)


def test_a_moment_is_what_chapter_5_measures(open_lab, sent):
    lab = finished(open_lab().train())
    content, _ = sent[-1]
    model = lab.learner.model
    assert content["bits"][0] == pytest.approx(measure_bits(model, lab.x0, 1)[0], abs=1e-3)
    line, cosine = fixed_ramp_models(model)
    assert [fixed.schedule.ramp for fixed in (line, cosine)] == [linear_ramp, cosine_ramp]
    assert content["bits"][1:] == [
        pytest.approx(measure_bits(m, lab.x0, 1)[0], abs=1e-3) for m in (line, cosine)
    ]
    assert (
        torch.equal(line.schedule.low, model.schedule.low.detach()) and line.denoiser is model.denoiser
    )
    assert not any(p.requires_grad for fixed in (line, cosine) for p in fixed.schedule.parameters())


def test_measuring_does_not_disturb_the_training():
    watched, alone = likelihood_learner(seed=5), likelihood_learner(seed=5).fit(4)
    for _ in watched.run(4):
        compare_ramps(watched.model, lab_mixture().sample(20, torch.Generator().manual_seed(0)))
    for one, other in zip(watched.model.parameters(), alone.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_moments_come_in_time_and_from_the_thread(open_lab, sent, monkeypatch):
    lab, messages = open_lab(total=5), []
    monkeypatch.setattr(
        lab,
        "send",
        lambda content, buffers=None: messages.append((content.get("step"), threading.current_thread())),
    )
    finished(lab.train())
    assert [step for step, _ in messages] == [None, 0, 2, 4, 5] and messages[-1][
        1
    ] is not threading.main_thread()
    assert lab.step == 5 and not lab.running and len(lab.plot.curves) >= 3


def test_a_training_ends_when_asked_and_when_a_newer_one_begins(open_lab, monkeypatch):
    lab, far = open_lab(total=10_000, every=1), threading.Event()
    on_step = lab.on_step
    monkeypatch.setattr(
        lab, "on_step", lambda learner: (on_step(learner), learner.step >= 2 and far.set())
    )
    page_sends(lab, type="train")
    assert far.wait(PATIENCE) and lab.running
    page_sends(lab, type="stop")
    lab.background.wait()
    assert not lab.running and lab.history.moments[-1][0]["step"] == lab.learner.step < 10_000
    page_sends(lab, type="train")
    first = lab.background.thread
    page_sends(lab, type="train", settings={"seed": 4})
    assert not first.is_alive() and lab.settings["seed"] == 4
    page_sends(lab, type="train", settings={"seed": 5, "total": 3})
    assert lab.total == 10_000 and lab.settings["seed"] == 4 and "total" in lab.message, (
        "only settings are taken from a page"
    )
    lab.background.stop()


def test_a_view_that_opens_late_is_told_what_was_kept(open_lab, sent):
    lab = finished(open_lab().train())
    live = [content for content, _ in sent]
    begins = max(k for k, content in enumerate(live) if content["type"] == "start")
    sent.clear()
    page_sends(lab, type="ready")
    assert [content for content, _ in sent] == live[begins:]


def test_what_makes_no_sense_is_a_sentence(open_lab, capsys, monkeypatch):
    lab = open_lab()
    page_sends(lab, type="train", settings={"low": 3.0, "high": 3.0})
    assert lab.message == "Noise has to grow: low = 3.0 must be below high = 3.0." and not lab.running
    page_sends(lab, type="train", settings={"alpha": 7})
    assert "alpha" in lab.message and "\n" not in lab.message and lab.alpha == 2
    page_sends(lab, type="train", settings={"low": -8.0, "_esm": "alert()", "running": True})
    assert "_esm" in lab.message and "alert()" not in lab._esm and not lab.running
    page_sends(lab, type="train", settings={"low": -8.0})
    finished(lab)
    assert lab.message == "" and lab.learner.step == 4
    about, calls = module.progress_message, []
    monkeypatch.setattr(
        module,
        "progress_message",
        lambda *a: about(*a) if len(calls) < 1 and not calls.append(1) else 1 / 0,
    )
    page_sends(lab, type="train")
    finished(lab)
    assert lab.message == "That did not work, ZeroDivisionError: division by zero." and not lab.running
    assert capsys.readouterr().err == ""
    for name, value in (("steps", -1), ("alpha", 1.0), ("seed", -1), ("total", 0), ("low", 99.0)):
        with pytest.raises(TraitError):
            setattr(lab, name, value)
    with pytest.raises(ValueError, match="noise has to grow"):
        schedule_lab(low=2.0, high=1.0)


@pytest.mark.parametrize(
    "content",
    [
        {"type": "dance"},
        {"type": "train", "settings": {"steps": "many"}},
        {"type": "train", "settings": {"steps": 10**9}},
        {"type": "train", "settings": {"alpha": 0.1}},
        {"type": "train", "settings": {"learn_ends": 1}},
        {"type": "train", "settings": [1]},
        {"type": "train", "settings": {"total": 5}},
    ],
    ids=str,
)
def test_a_message_that_no_page_of_ours_sends_is_a_sentence(open_lab, content):
    lab = open_lab()
    before = lab.learner
    page_sends(lab, **content)
    assert (
        lab.message.startswith("The page sent what this widget cannot use: ")
        and "\n" not in lab.message
        and len(lab.message) < 300
    )
    assert lab.learner is before and not lab.running


def test_a_page_is_not_told_what_it_has_said(open_lab, monkeypatch):
    lab, messages = open_lab(), []
    monkeypatch.setattr(lab, "_send", lambda msg, buffers=None: messages.append(msg))
    page_sends(lab, type="train", settings={"seed": 9, "low": -8.0})
    finished(lab)
    named = {name for msg in messages for name in msg.get("state", {})}
    assert lab.seed == 9 and not named & {"seed", "low"} and {"running", "step"} <= named


def test_the_page_that_is_kept_holds_the_moments(open_lab, tmp_path):
    lab = finished(open_lab(total=60, every=1, steps=4).train())
    text, data = kept_page(lab, tmp_path)
    moments = [buffers for content, buffers in data["recording"] if content["type"] == "progress"]
    assert 20 < len(moments) <= 48 and [b64decode(b) for b in moments[-1]] == lab.history.moments[-1][1]
    assert len(text) < 200_000 and text.count("</script>") == 1
    assert len(json.dumps({k: v for k, v in data["state"].items() if k != "code"})) < 32_000


def test_the_poster_waits_for_the_training(open_lab):
    lab = open_lab()
    empty = lab.poster()
    assert "image/png" in lab.train()._repr_mimebundle_() and lab.learner.step == 4
    assert lab.poster().tobytes() != empty.tobytes()


def test_ten_leave_nothing_behind(sent):
    check_nothing_is_left(lambda: schedule_lab(total=1000, every=1000), lambda lab: lab.train(), 10)


# ---- the page's arithmetic ----


@pytest.mark.parametrize("ends", [(-13.3, 5.0), (-7.4, -2.7), (-1.0, 12.0)])
def test_the_curves_from_the_shelf(tmp_path, ends):
    t = torch.linspace(0, 1, 50, dtype=torch.float64)
    found = in_node(
        tmp_path,
        "learned_schedule",
        "[linearSchedule, cosineSchedule].map((f) => t.map((v) => f(v, ...ends)))",
        t=t.tolist(),
        ends=ends,
    )
    for values, ramp in zip(found, (linear_ramp, cosine_ramp)):
        schedule = LearnedSchedule(*ends, ramp).double()
        with torch.no_grad():
            schedule.low.fill_(ends[0])
            schedule.high.fill_(ends[1])
        assert torch.allclose(
            torch.tensor(values, dtype=torch.float64), schedule(t).detach(), rtol=1e-5, atol=1e-5
        )


def test_the_learned_curve_arrives_whole(tmp_path, open_lab, sent):
    open_lab()
    data = list(sent[-1][1][0])
    expression = "[along(floats(Uint8Array.from([7, ...data]).subarray(1)), 1), along(floats(Uint8Array.from(data)), -1)]"
    up, down = in_node(tmp_path, "learned_schedule", expression, data=data)
    g = curve_of([bytes(data)])
    assert torch.allclose(torch.tensor(up)[:, 1], g) and torch.allclose(torch.tensor(down)[:, 1], -g)
    assert torch.allclose(torch.tensor(up)[:, 0], torch.linspace(0, 1, 65))
