"The study of binding: cells that differ in one thing, a run that goes on, and an honest summary."

import json
from dataclasses import asdict

import binding as tool
import pytest
import torch
from typer.testing import CliRunner

from t2i_learn.language.binding import BindingKnobs, STUDY_CELLS


def test_each_cell_differs_from_the_centre_in_one_knob_but_for_the_square():
    centre = asdict(BindingKnobs())
    changed = {
        name: [knob for knob, value in asdict(knobs).items() if value != centre[knob]]
        for name, knobs in STUDY_CELLS.items()
    }
    assert changed.pop("centre") == []
    square = {name: changed.pop(name) for name in [*changed] if "sparse" in name or "complete" in name}
    assert all(len(knobs) == 1 for knobs in changed.values())
    assert [("negatives" in knobs) for knobs in square.values()] == [False, True, False, True]
    assert all({"both", "colors"} <= {*knobs} for knobs in square.values())


def row(cell, seed, trained):
    return {
        "cell": cell,
        "seed": seed,
        "steps": 5,
        "seconds": 1.0,
        "loss": 1.0,
        "trained": trained,
        "held out": 0.5,
    }


def test_mean_and_spread_are_over_the_seeds_that_are_there():
    table = tool.summary([row("centre", 0, 0.6), row("centre", 1, 0.8), row("both 1", 0, 0.9)])
    assert table["cells"]["centre"]["trained"] == [0.7, pytest.approx(0.1414, abs=1e-4)]
    assert table["cells"]["both 1"]["trained"] == [0.9, None] and table["cells"]["both 1"]["seeds"] == [
        0
    ]
    assert "| centre | 2 | 0.700 ± 0.141 | 0.500 ± 0.000 |" in tool.show_summary(table)


def test_scenes_are_rendered_once(tmp_path, monkeypatch):
    first = tool.stored_scenes(tmp_path, 3, 6)
    monkeypatch.setattr(tool, "render_colored_scenes", lambda *args: pytest.fail("rendered again"))
    again = tool.stored_scenes(tmp_path, 3, 6)
    assert first.shapes.shape == (6, 3) and all(
        torch.equal(a, b) for a, b in zip(first, again, strict=True)
    )


@pytest.fixture
def go(tmp_path, monkeypatch):
    "The command on a small scale, its files in a folder of their own."
    monkeypatch.setattr(tool, "weights_path", lambda: tmp_path)
    monkeypatch.setattr(tool, "FIT_REPEATS", 1)
    command = [
        "--seeds",
        "1",
        "--steps",
        "3",
        "--count",
        "80",
        "--size",
        "20",
        "--runs",
        str(tmp_path / "runs"),
    ]
    return lambda *options: CliRunner().invoke(tool.app, [*command, *options])


@pytest.mark.trains
def test_what_was_trained_is_not_trained_again(go, tmp_path, monkeypatch):
    refused = go("--table")
    assert refused.exit_code and not (tmp_path / "binding.json").exists()
    old = row("centre", 0, 0.66)
    (tmp_path / "runs" / "rows").mkdir(parents=True)
    (tmp_path / "runs" / "rows" / "centre-0.json").write_text(json.dumps(old))
    printed = go("--cells", "centre", "--cells", "complete, negatives").output
    made = json.loads((tmp_path / "binding.json").read_text())
    assert [r["cell"] for r in made["rows"]] == ["centre", "complete, negatives"]
    assert made["rows"][0] == old and "complete-negatives-0: " in printed
    assert {"trained, mapped", "held out, text probe"} <= made["rows"][1].keys()
    monkeypatch.setattr(tool, "make_row", lambda *args: pytest.fail("a training began"))
    assert go("--cells", "centre").exit_code == 0


@pytest.mark.trains
def test_a_training_that_was_stopped_goes_on_to_the_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "SAVE_EVERY", 2)
    weights = lambda model, *_: {"sum": sum(p.double().abs().sum().item() for p in model.parameters())}
    monkeypatch.setattr(tool, "binding_report", weights)
    monkeypatch.setattr(tool, "round", lambda value, digits: value, raising=False)
    scenes, tests = tool.stored_scenes(tmp_path, 2, 80), tool.make_tests(20)
    whole = tool.make_row("complete", 0, scenes, scenes, tests, tmp_path / "whole", 5)
    after_step = tool.JSONLogger.after_step

    def stop(logger, learner):
        after_step(logger, learner)
        if learner.step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(tool.JSONLogger, "after_step", stop)
        tool.make_row("complete", 0, scenes, scenes, tests, tmp_path / "parts", 5)
    again = tool.make_row("complete", 0, scenes, scenes, tests, tmp_path / "parts", 5)
    assert again["sum"] == whole["sum"] and again["steps"] == whole["steps"] == 5
