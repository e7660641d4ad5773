"tools/edits.py measures what is missing, and tools/inpainting.py leaves a model that it can measure."

import json

import edits
import inpainting
import pytest
from tiny import tiny_folder, tiny_pipeline

from t2i_learn.core.pipeline import load
from t2i_learn.editing.inpainting import TextToImageInpainting
from t2i_learn.world.edits import load_edits


def test_rows_are_kept_and_made_once(tmp_path, monkeypatch):
    file = tmp_path / "edits.json"
    edits.main("shapes-diffusion", 1, "copy", "choose", file)
    edits.main("shapes-diffusion", 1, "painter", "choose", file)
    report = json.loads(file.read_text(encoding="utf-8"))
    assert [row["name"] for row in report["rows"]] == ["copy", "painter"]
    assert report["rows"][0]["preserved"] == [1] * 6 and report["rows"][1]["both"] == [1] * 6
    monkeypatch.setattr(edits, "measured", lambda *_: pytest.fail("it is there already"))
    edits.main("shapes-diffusion", 1, "copy", "choose", file)
    assert len(report["kinds"]) == 6 and report["set"] == "choose"


def test_rows_of_other_edits_are_not_kept(tmp_path):
    file = tmp_path / "edits.json"
    edits.main("shapes-diffusion", 1, "copy", "choose", file)
    edits.main("shapes-diffusion", 2, "copy", "choose", file)
    report = json.loads(file.read_text(encoding="utf-8"))
    assert len(report["rows"]) == 1 and len(report["kinds"]) == 12


def test_names_of_ways_are_unique_and_the_chosen_ones_exist():
    names = [way.name for way in edits.all_ways()]
    assert len(names) == len(set(names))
    assert {*edits.CHOSEN} - {*names} <= {"channels 1"}, "its model is made by tools/inpainting.py"


def test_opening_a_test_is_written_down_once(tmp_path, monkeypatch):
    monkeypatch.setattr(edits, "data_path", lambda name: tmp_path / name)
    (tmp_path / "edits").mkdir()
    log = tmp_path / "edits" / "opened.jsonl"
    for _ in range(2):
        edits.main("shapes-diffusion", 1, "copy", "test-r", tmp_path / "edits.json")
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 1 and rows[0]["reason"].startswith("test-r") and len(rows[0]["sha256"]) == 64
    edits.main("shapes-diffusion", 1, "painter", "choose", tmp_path / "choose.json")
    assert len(log.read_text(encoding="utf-8").splitlines()) == 1, "sets for choosing are open to all"


def test_the_bars_are_about_the_methods_that_were_chosen_and_two_things():
    def row(name, both, mask=False):
        return {"name": name, "mask": mask, "both": both}

    facts = {"kinds": ["color", "color", "color", "add"], "things": [2, 2, 1, 1]}
    choosing = facts | {
        "rows": [row("painter", [1] * 4), row("a", [1, 1, 0, 0]), row("b", [0, 0, 1, 1])]
    }
    choosing["rows"] += [row("c", [1] * 4, True)]
    test = facts | {
        "rows": [row("a", [1, 0, 1, 0]), row("b", [1, 1, 1, 1]), row("c", [1, 1, 0, 0], True)]
    }
    found = {bar["what"]: bar for bar in edits.bar_rows(test, choosing)}
    color = found["color, without a mask"]
    assert (color["method"], color["value"], color["n"], color["met"]) == ("a", 0.5, 2, False)
    assert found["add, without a mask"]["method"] == "b" and found["add, without a mask"]["met"]
    masked = found["all kinds, with a mask"]
    assert masked["method"] == "c" and masked["n"] == 2 and masked["low"] < 1 == masked["value"]
    assert "shape, without a mask" not in found


def test_a_test_is_written_with_its_bars_and_its_four_controls(tmp_path, monkeypatch):
    monkeypatch.setattr(edits, "data_path", lambda name: tmp_path / name)
    (tmp_path / "edits").mkdir()
    assert {*edits.CONTROLS} <= {*edits.CHOSEN}
    edits.main("shapes-diffusion", 1, "copy", "choose", tmp_path / "edits.json")
    edits.main("shapes-diffusion", 1, "copy", "test-r", tmp_path / "edits-test-r.json")
    report = json.loads((tmp_path / "edits-test-r.json").read_text(encoding="utf-8"))
    assert report["bars"] == [], "controls are no methods"
    assert len(report["things"]) == 6 and set(report["things"]) <= {1, 2, 3}


def test_methods_that_find_the_place_are_rows():
    ways = {way.name: way for way in edits.found_ways()}
    assert {"words 0.7", "DiffEdit 0.6", "LEDITS++ 0.7"} <= {*ways} and not any(
        w.mask for w in ways.values()
    )
    row = edits.measured(
        ways["DiffEdit, threshold 0.45 0.6"], tiny_pipeline(), load_edits("choose", 1)[:2]
    )
    assert row["calls"] > 0 and len(row["both"]) == 2


@pytest.mark.trains
def test_fine_tuning_leaves_a_model_that_is_measured(tmp_path, monkeypatch):
    base = tiny_folder(tmp_path / "base")
    inpainting.main(str(base), 2, 2, 1, tmp_path / "runs")
    assert isinstance(load(tmp_path / "runs" / "model", "cpu").model, TextToImageInpainting)
    monkeypatch.setattr(edits, "INPAINTING", tmp_path / "runs" / "model")
    way = next(way for way in edits.all_ways() if way.name == "channels 1")
    row = edits.measured(way, load(base, "cpu"), load_edits("choose", 1)[:1])
    assert row["calls"] > 0 and row["mask"] and row["preserved"] in ([0], [1])
