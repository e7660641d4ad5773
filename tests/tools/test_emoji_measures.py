"What emoji-diffusion composes: the tool at its smallest, taken up where it stopped, and the rules of its parts."

import json

import emoji_measures as tool
import numpy as np
import pytest
import torch
from tiny import tiny_folder
from typer.testing import CliRunner

from t2i_learn.pictures.emoji import read_emoji

UNET = {"widths": [16, 32], "blocks": 1, "depth": 1, "heads": 2, "patch": 2}


@pytest.mark.slow
def test_all_is_drawn_trained_and_measured_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tiny_folder(tmp_path / "emoji", side=64, unet=UNET, layout=None)
    call = ["--model", str(folder), "--smoke", "--features", "random"]
    done = CliRunner().invoke(tool.app, call)
    assert done.exit_code == 0, repr(done.exception)
    run = tmp_path / "runs" / "emoji_measures-smoke"
    report = json.loads((run / "emoji.json").read_text())
    assert {*report["rates"]} == {"drawn", "real", "copier"} and report["rates"]["copier"]["style"] < 0.5
    assert report["bars"]["recall at 5"]["bar"] == 0.75 and report["settings"]["drawings"] == 2
    names = {"drawn", "held-out, every second", "copier"}
    assert names | {f"memoriser, {k}" for k in ("its own captions", "the pairs of combo")} == {
        *report["copying"]
    }
    assert report["copying"]["copier"]["same_label"]["median"][0] == 0
    assert {"sheet.png", "nearest.png"} <= {path.name for path in run.iterdir()}
    monkeypatch.setattr(tool, "train_model", lambda *_, **__: pytest.fail("it is trained already"))
    monkeypatch.setattr(np, "save", lambda *_: pytest.fail("it is drawn already"))
    assert CliRunner().invoke(tool.app, call).exit_code == 0
    assert json.loads((run / "emoji.json").read_text()) == report


def test_the_memorising_model_gets_labels_that_are_asked_for_each_picture_once():
    train, asked = read_emoji("train", 8), read_emoji("combo", 8)
    known = tool.memorised_pictures(train, asked, 100)
    assert len(known.labels) == 100 and {*known.labels} <= {*asked.labels}
    pairs = {*zip(known.labels, known.styles, strict=True)}
    assert len(pairs) == 100 and not pairs & {*zip(asked.labels, asked.styles, strict=True)}


def test_bars_look_at_the_lower_end_of_recall_and_at_the_rate_of_the_style():
    real = {name: torch.ones(50, dtype=torch.bool) for name in ("5", "style")}
    half = torch.arange(50) < 38
    ours = {name: half[:, None].expand(-1, 4) for name in ("5", "style")}
    found = tool.bars(ours, real)
    assert found["recall at 5"]["value"] == found["style"]["value"] == 0.76
    assert not found["recall at 5"]["met"], "its lower end is below 0.75"
    assert not found["style"]["met"]
    assert tool.bars({name: hits[:, None] for name, hits in real.items()}, real)["style"]["met"]
