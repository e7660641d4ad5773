"The tool of the two short games: its table, and a run that resumes."

import json

import pytest
import short_game as tool
from typer.testing import CliRunner

from t2i_learn.core.pipeline import Pipeline
from t2i_learn.gan.text_to_image import GAN_ROUNDS


@pytest.mark.trains
def test_both_parts_are_played_once(tmp_path, monkeypatch):
    Pipeline(GAN_ROUNDS["smoke"][1].initial_model().without_discriminator()).save_pretrained(
        tmp_path / "first"
    )
    out = tmp_path / "table.json"
    words = ["--preset", "smoke", "--steps", "2", "--seeds", "1", "--prompts", "1"]
    paths = ["--first", str(tmp_path / "first"), "--runs", str(tmp_path / "runs"), "--out", str(out)]
    go = lambda: CliRunner().invoke(tool.app, [*words, *paths], catch_exceptions=False)
    go()
    table = json.loads(out.read_text())["table"]
    assert set(table) == {"windows, from nothing", "before", "game, seed 0", "control, seed 0"}
    assert set(table["before"]) >= {"score", "sharpness", "single", "attribution"}
    rows = json.loads((tmp_path / "runs" / "windows-smoke.json").read_text())["curve"]
    assert [row["step"] for row in rows] == [1, 2]
    monkeypatch.setattr(tool, "play_windows", lambda *args: pytest.fail("it was played again"))
    monkeypatch.setattr(tool, "play_steps", lambda *args: pytest.fail("it was played again"))
    assert "| before |" in go().output


def test_a_reading_keeps_its_interval():
    rate = tool.RateEstimate(0.5, 10, 0.1, 0.25, 0.75)
    row = tool.numbers(tool.GameReading(3, rate, 0.5))
    assert tool.cell(row) == "0.50 [0.25, 0.75]" and row["sharpness"] == 0.5 and row["step"] == 3
