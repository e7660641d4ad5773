"The tool that compares ways to learn a word: what counts as right, resume, and what its summary says."

import json

import new_words as tool
import pytest
import torch

from tiny import tiny_pipeline
from t2i_learn.editing.new_words import LESSON_COLORS, LESSON_SHAPES, TEAL
from t2i_learn.world.scenes import COLORS, render, Scene, SHAPES, Thing
from t2i_learn.world.reader import read_scene


@pytest.fixture
def tiny_base(monkeypatch):
    "A model without training stands in for the one that ships."
    monkeypatch.setattr(tool, "load", lambda name: tiny_pipeline(name))


def test_questions_keep_unseen_combinations_apart():
    rings = tool.ring_questions()
    colors = {group: [] for group in ("seen", "unseen")}
    for question in rings:
        if question.group in colors:
            colors[question.group].append(question.include[0]["color"])
    assert colors["seen"] == [c for c in COLORS if c in LESSON_COLORS]
    assert (
        colors["unseen"] == [c for c in COLORS if c not in LESSON_COLORS] and len(colors["unseen"]) == 5
    )
    assert all("ring" in q.caption for q in rings)
    groups = {q.include[0]["shape"]: q.group for q in tool.teal_questions()}
    assert {s for s in SHAPES if groups[s] == "seen"} == {*LESSON_SHAPES}


def test_a_picture_is_right_if_it_shows_one_ring_of_its_color():
    question = next(q for q in tool.ring_questions() if q.caption == "a pink ring")
    pink, red = (Thing("ring", color, 0.3, 0.4, 0.17) for color in ("pink", "red"))
    star = Thing("star", "blue", 0.7, 0.7, 0.17)
    for things, right in (((pink,), True), ((red,), False), ((pink, star), False), ((), False)):
        scene = read_scene(render(Scene(things), outlines=tool.RINGS), tool.RINGS)
        assert tool.is_right("ring", question, scene) is right, things


def test_teal_is_measured_not_named():
    question = next(q for q in tool.teal_questions() if q.caption == "a teal heart")
    tint = tuple(a - b for a, b in zip(TEAL, COLORS["green"]))
    for thing, right in (
        (Thing("heart", "green", 0.4, 0.4, 0.18, tint=tint), True),
        (Thing("heart", "green", 0.4, 0.4, 0.18), False),
        (Thing("heart", "blue", 0.4, 0.4, 0.18), False),
        (Thing("star", "green", 0.4, 0.4, 0.18, tint=tint), False),
    ):
        scene = read_scene(render(Scene((thing,))))
        assert tool.is_right("teal", question, scene) is right, thing


def test_a_row_is_made_once_and_goes_on_where_it_stopped(tiny_base, tmp_path, monkeypatch):
    counts = {"trained": 0, "drawn": 0}
    train, draw = tool.train, tool.draw

    def counted(name, function):
        def call(*arguments):
            counts[name] += 1
            return function(*arguments)

        return call

    monkeypatch.setattr(tool, "train", counted("trained", train))
    monkeypatch.setattr(tool, "draw", counted("drawn", draw))
    arguments = (0, tmp_path, 1, 1)
    tool.run_row("ring-vector", *arguments, 0, 1)
    assert counts == {"trained": 1, "drawn": 1}
    tool.run_row("ring-vector", *arguments, 0, 1)
    assert counts == {"trained": 1, "drawn": 1}, "all of it is there"
    tool.run_row("ring-vector", *arguments, 1, 1)
    assert counts == {"trained": 2, "drawn": 2}, "what was forgotten is missing"
    tool.run_row(tool.BEFORE, *arguments, 1, 1)
    found = tool.summary(tmp_path)
    assert [*found["rows"]] == [tool.BEFORE, "ring-vector"]
    assert found["rows"]["ring-vector"]["forgotten"]["gap"]["mean"] == pytest.approx(0, abs=1)
    weights = tmp_path / "weights"
    weights.mkdir()
    tool.ship_adapters(tmp_path, weights)
    assert sorted(f.name for f in (weights / "ring-vector").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def write_row(folder, name, seed, passed, old):
    "The two files of a row."
    place = folder / f"{name}-{seed}"
    place.mkdir()
    new = {
        "steps": 3,
        "noises": 8,
        "right": {"unseen": [passed, 40]},
        "spread": {"drawn": 0.1, "world": 0.2},
        "nearest": {"drawn": 0.3, "held out": 0.4},
    }
    (place / "new.json").write_text(json.dumps(new))
    (place / "old.json").write_text(json.dumps({"per_task": 2, "noises": 1, "passed": old}))


def test_the_summary_pairs_what_was_forgotten(tmp_path):
    tasks = len({p.task for p in tool.old_prompts(2, 1)})
    write_row(tmp_path, tool.BEFORE, 0, 0, "11" * tasks)
    write_row(tmp_path, "ring-lora", 0, 30, "10" * tasks)
    write_row(tmp_path, "ring-lora", 1, 20, "11" * tasks)
    found = tool.summary(tmp_path)["rows"]["ring-lora"]
    assert (
        found["right"]["unseen"]["rate"] == pytest.approx(50 / 80)
        and found["right"]["unseen"]["n"] == 80
    )
    assert found["right"]["unseen"]["seeds"] == [0.75, 0.5]
    assert found["spread"]["mean"] == 0.5 and found["nearest"]["mean"] == 0.75
    assert found["forgotten"]["gap"]["mean"] == pytest.approx(-0.25)
    assert found["forgotten"]["intervals"][1] == [0, 0], "the same pictures pass"
    text = tool.show_summary(tool.summary(tmp_path))
    assert "| ring-lora | 2 |" in text and "-0.250" in text


def test_places_are_those_of_pictures_with_one_thing():
    one, other = Thing("star", "red", 0.25, 0.5, 0.1), Thing("star", "blue", 0.75, 0.5, 0.1)
    places = tool.places_of([Scene((one,)), Scene((one, other)), Scene(())])
    assert torch.equal(places, torch.tensor([[0.25, 0.5]]))
