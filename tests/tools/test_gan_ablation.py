"The ablation of the GAN's losses: what each way leaves out, and a cache that resumes."

import json
from dataclasses import replace

import gan_ablation as tool
import pytest
import weights
from typer.testing import CliRunner

from t2i_learn.gan.text_to_image import GAN_ROUNDS


@pytest.mark.parametrize(
    ("way", "adversarial", "reconstruction", "mismatched"),
    [
        ("supervised", False, True, True),
        ("game", True, False, True),
        ("game, no wrong captions", True, False, False),
        ("both", True, True, True),
        ("both, no wrong captions", True, True, False),
    ],
)
def test_each_way_leaves_out_what_it_says(way, adversarial, reconstruction, mismatched):
    loss = tool.config_for(way, 7).loss
    assert (bool(loss.adversarial), bool(loss.reconstruction), bool(loss.mismatched)) == (
        adversarial,
        reconstruction,
        mismatched,
    )
    assert loss.layout == GAN_ROUNDS["full"][1].loss.layout and tool.config_for(way, 7).steps == 7


def test_mean_and_spread_are_over_seeds():
    rows = [
        {"way": "both", "freedom": free, "seen": {"mean": score}}
        for free, score in ((0.8, 0.3), (1.0, 0.5))
    ]
    table = tool.summary([*rows, {"way": tool.FIRST, "freedom": 0.9, "seen": {"mean": 0.1}}])
    assert table["both"]["mean"] == [0.4, pytest.approx(0.141, abs=1e-3)] and table[tool.FIRST][
        "mean"
    ] == [0.1, None]
    assert table["game"] == {}, "a way that was not tried"


@pytest.mark.trains
def test_what_was_trained_is_not_trained_again(tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "GAN_ROUNDS", {"full": GAN_ROUNDS["smoke"]})
    monkeypatch.setitem(
        tool.MODELS,
        "shapes-gan",
        replace(tool.MODELS["shapes-gan"], configs={"full": GAN_ROUNDS["smoke"]}),
    )
    for module in (tool, weights):
        monkeypatch.setattr(module, "fastest_precision", lambda *args, **how: "no")
    monkeypatch.setattr(tool, "picture_diversity", lambda per_caption, correct_only: lambda learner: 0.5)
    monkeypatch.setattr(tool, "evaluate", lambda pipe, prompts, sets: {"seen": {"mean": prompts / 100}})
    monkeypatch.setattr(tool, "weights_path", lambda: tmp_path)
    (tmp_path / "shapes-gan").mkdir()
    go = lambda *options: CliRunner().invoke(
        tool.app,
        ["--steps", "2", "--seeds", "1", "--runs", str(tmp_path / "runs"), *options],
        catch_exceptions=False,
    )
    assert "both, 2 steps, seed 0: 0.200" in go("--prompts", "20").output
    made = json.loads((tmp_path / "shapes-gan" / "ablation.json").read_text())
    assert [row["way"] for row in made["results"]] == [tool.FIRST, *tool.WAYS] and set(
        made["table"]
    ) == {tool.FIRST, *tool.WAYS}
    assert tool.to_tensor(tool.Image.open(tmp_path / "shapes-gan" / "ablation.png")).shape == (
        3,
        32 * (1 + len(tool.WAYS)),
        32 * 6,
    )
    assert go("--prompts", "20").output == "", "all is there"
    monkeypatch.setattr(
        tool.Checkpoint, "after_step", lambda self, learner: pytest.fail("a step was made")
    )
    assert "both, 2 steps, seed 0: 0.300" in go("--prompts", "30").output, (
        "measured again on more prompts, from the same weights"
    )
