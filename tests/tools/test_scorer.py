"The tool that makes the model which scores pictures: trained, measured, and written only if it is better."

import json

import pytest
import weights as tool
from typer.testing import CliRunner

from t2i_learn.core.pipeline import load, read_card
from t2i_learn.language.contrastive import ScorePipeline


@pytest.fixture
def go(tmp_path, monkeypatch):
    "The command on a small scale, its files in folders of their own."
    for name in ("WEIGHTS", "RUNS"):
        monkeypatch.setattr(tool, name, tmp_path / name.lower())
    monkeypatch.setattr(tool, "LENGTHS", (1, 2))
    monkeypatch.setattr(tool, "POOLS", 1)
    monkeypatch.setattr(tool, "scorer_precision", lambda config, checkpoint: "no")
    measured = tool.measure_swaps
    monkeypatch.setattr(tool, "measure_swaps", lambda pipe: measured(pipe, 20))
    return lambda *options: CliRunner().invoke(tool.app, ["shapes-clip", "--preset", "smoke", *options])


@pytest.mark.trains
def test_a_scorer_is_trained_measured_and_kept_only_if_it_is_better(go, tmp_path):
    first = go()
    assert first.exit_code == 0, first.output
    folder = tmp_path / "weights" / "shapes-clip-smoke"
    pipe, card = load(folder, "cpu"), read_card(folder)
    assert isinstance(pipe, ScorePipeline) and pipe.sha256 == card["sha256"]
    shares = card["scores"]["recall"]
    assert len(shares) == 4 and all(0 <= own["recall"] <= 1 for own in shares.values())
    assert card["scores"]["swaps"].keys() == {"trained", "held out"}
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert f"| {next(iter(shares))} |" in text and (folder / "loss.png").is_file()
    before = (folder / "README.md").read_bytes()
    again = go()
    assert again.exit_code and "Not better than what is there" in again.output
    assert (folder / "README.md").read_bytes() == before
    assert go("--replace").exit_code == 0


def test_validation_and_test_scenes_are_apart_from_training_and_from_each_other():
    seeds = [
        {first + 100 * n + k for n in tool.LENGTHS for k in range(tool.POOLS)}
        for first in (tool.VALIDATION_SCENES, tool.TEST_SCENES)
    ]
    assert not seeds[0] & seeds[1] and min(*seeds[0], *seeds[1]) > len(tool.STAGES)
    assert json.dumps([*tool.SCORERS]) == '["shapes-clip"]'
