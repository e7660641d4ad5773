"The tool that compares two models: what it keeps, and that the test is opened in the open."

import json

import compare
import pytest
from tiny import tiny_gan


@pytest.fixture
def folder(tmp_path, monkeypatch):
    tiny_gan().save_pretrained(tmp_path / "ours")
    monkeypatch.setattr(compare, "OPENED", tmp_path / "opened.jsonl")
    return tmp_path


def run(folder, capsys, **options):
    names = (str(folder / "ours"), str(folder / "ours"))
    settings = {"prompts_per_task": 2, "noises": 2, "margin": 0.03, "edition": 1, "test": False}
    compare.main(*names, **settings | options, out=folder / "compare.json")
    return json.loads(capsys.readouterr().out)


def test_a_model_is_not_different_from_itself(folder, capsys):
    found = run(folder, capsys)
    assert (found["gap"], found["verdict"], found["n"]) == (0.0, "no difference", 24)
    assert not (folder / "opened.jsonl").exists(), "validation opens nothing"


def test_what_was_drawn_is_not_drawn_again(folder, capsys, monkeypatch):
    first = run(folder, capsys)
    kept = json.loads((folder / "compare.json").read_text())
    assert [len(marks) for marks in kept.values()] == [24]
    monkeypatch.setattr(compare, "evaluate_prompts", lambda *rest: pytest.fail("drawn again"))
    assert run(folder, capsys) == first


def test_an_opening_of_the_test_is_written_down_once(folder, capsys):
    run(folder, capsys, test=True)
    run(folder, capsys, test=True)
    rows = (folder / "opened.jsonl").read_text().splitlines()
    assert [json.loads(row)["reason"] for row in rows] == ["a paired comparison of ours"]
