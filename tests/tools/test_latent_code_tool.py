"The tool that trains latent codes: its arms, its table, and a run that resumes."

import json

import latent_code as tool
import pytest
import torch
from swaps import make_pairs
from typer.testing import CliRunner

from t2i_learn.gan.latent_code import LatentCodeGAN


@pytest.mark.parametrize("arm", [*tool.ARMS])
def test_each_arm_has_its_way_of_the_text(arm):
    rounds = tool.rounds_of(arm, 3.0, full=False, smoke=False)
    generator = rounds[0].config["generator"]
    assert bool(generator["slots"]) == ("code" in arm) and bool(generator["attention_blocks"]) == (
        "words" in arm
    )
    assert f"k = {generator['slots']}" in arm or arm == "words"
    assert [r.adversarial for r in rounds] == [False, False, True] and rounds[1].loss.kl == 3.0
    assert [r.steps for r in rounds] == [*tool.STEPS] and rounds[0].loss.kl < 3.0


def test_a_picture_of_the_second_caption_follows():
    pairs = make_pairs("color", 4)
    true = lambda part, first: torch.stack([tool.render(tool.scene_of(pair.facts)) for pair in part])
    assert tool.follow_rate(pairs, true).rate == 0
    turned = [pair._replace(spec=pair.other_spec, other_spec=pair.spec) for pair in pairs]
    assert tool.follow_rate(turned, true).rate >= 0.75


def test_the_table_names_arm_and_seed():
    rate = {"rate": 0.5, "n": 50, "interval": [0.4, 0.6]}
    result = {
        "arm": "words",
        "seed": 1,
        "score": dict.fromkeys(tool.COLUMNS, rate),
        "swaps": {"caption swapped": {"all": rate}},
        "freedom": 0.875,
    }
    row = tool.summary([result])["words, seed 1"]
    assert row["mean"] == "0.50 [0.40, 0.60]" and row["code swapped"] == "" and row["freedom"] == "0.88"


@pytest.mark.trains
def test_what_was_trained_is_not_trained_again(tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "picture_diversity", lambda n, correct_only: lambda learner: 0.5)
    monkeypatch.setattr(tool, "PROBES", 100)
    go = lambda: CliRunner().invoke(
        tool.app,
        ["--smoke", "--only", "code, k = 2", "--prompts", "1", "--runs", str(tmp_path)],
        catch_exceptions=False,
    )
    assert "| code, k = 2 |" in go().output
    made = json.loads((tmp_path / "table.json").read_text())
    assert set(made["table"]["code, k = 2"]) >= {*tool.COLUMNS, "code swapped", "caption swapped"}
    assert type(tool.Pipeline.from_pretrained(tmp_path / "code-k=2-0" / "model").model) is LatentCodeGAN
    assert (tmp_path / "code-k=2-0" / "pictures.png").is_file()
    monkeypatch.setattr(tool, "make_result", lambda *args: pytest.fail("it was trained again"))
    assert "| code, k = 2 |" in go().output
