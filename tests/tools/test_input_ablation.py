"The ablation of the diffusion model's inputs: what each arm leaves out, a run that goes on, and an honest summary."

import json
import re
from dataclasses import replace

import input_ablation as tool
import pytest
import torch
from typer.testing import CliRunner

from t2i_learn.core.callbacks import JSONLogger
from t2i_learn.diffusion.text_to_image import DIFFUSION_ROUNDS, TextToImageDiffusion

SMOKE = (replace(DIFFUSION_ROUNDS["smoke"][0], steps=2), replace(DIFFUSION_ROUNDS["smoke"][0], steps=2))


@pytest.mark.parametrize("arm", tool.UNET_CHANGES)
def test_each_arm_leaves_out_what_it_says(arm):
    rounds = tool.rounds_of(arm)
    assert [config.steps for config in rounds] == [1000, 1050, 1800]
    for config, usual in zip(rounds, DIFFUSION_ROUNDS["cpu"], strict=True):
        model = TextToImageDiffusion(config.config)
        network = model.denoiser.network
        assert (network.middle.layout_proj is None) == (arm == "no layout input")
        assert (network.pooled_proj is None) == (arm == "no pooled input")
        assert model.planner is not None
        assert config.layout_weight == (0 if arm == "no layout loss" else usual.layout_weight)


def test_a_pooled_input_more_or_less_changes_no_other_first_weight():
    with_it, without = (
        tool.initial_model(tool.rounds_of(arm)[0], 3) for arm in (tool.ALL, "no pooled input")
    )
    for name, value in without.state_dict().items():
        assert torch.equal(value, with_it.state_dict()[name])
    learner, _ = tool.rounds_of("no pooled input")[0].learner(seed=3, init=without)
    for name, value in learner.model.state_dict().items():
        assert torch.equal(value.cpu(), with_it.state_dict()[name])


def row(arm, seed, score, flags=("avx512_bf16",)):
    scores = {f"guidance {scale:g}": {"single": 1.0, "mean": score} for scale in tool.GUIDANCE}
    return {"arm": arm, "seed": seed, "flags": [*flags], **scores, "seconds": {}}


def test_mean_and_spread_are_over_the_seeds_that_are_there():
    rows = [row("all", 0, 0.4), row("all", 1, 0.5), row("all", 2, 0.6), row("no layout loss", 0, 0.3)]
    table = tool.summary(rows)
    assert table["arms"]["all"]["guidance 2"] == {"single": [1.0, 0.0], "mean": [0.5, 0.1]}
    assert table["arms"]["all"]["finished"] and not table["arms"]["no layout loss"]["finished"]
    assert table["arms"]["no layout loss"]["guidance 1"]["mean"] == [0.3, None]
    assert table["arms"]["no pooled input"] == {"seeds": [], "finished": False}
    text = tool.show_summary(table)
    assert "| all | 3 of 3 | 0.500 ± 0.100 |" in text
    assert "| no layout loss | 1 of 3, not finished | 0.300 | 0.300 | 0.300 | -0.100 |" in text
    assert (
        "| no pooled input | 0 of 3, not finished |  |  |  |  |" in text
        and "processor: avx512_bf16" in text
    )


def test_an_arm_is_compared_with_all_inputs_seed_by_seed():
    full = [row("all", seed, score) for seed, score in enumerate((0.4, 0.5, 0.6))]
    arm = [row("no layout loss", seed, score) for seed, score in ((2, 0.63), (0, 0.41), (1, 0.52))]
    table = tool.summary(full + arm)
    change, half_width = table["arms"]["no layout loss"]["guidance 1.5"]["difference from all"]["mean"]
    assert change == 0.02 and half_width == pytest.approx(4.3027 * 0.01 / 3**0.5, abs=1e-4)
    assert "| +0.020 [-0.005, +0.045] |" in tool.show_summary(table)
    assert table["arms"]["no layout loss"]["guidance 1.5"]["difference from all"]["single"] == [0.0, 0.0]
    assert "difference from all" not in table["arms"]["all"]["guidance 1.5"]


def test_rows_of_another_kind_of_processor_are_named_and_not_counted():
    table = tool.summary(
        [row("all", 0, 0.4), row("all", 1, 0.5), row("all", 2, 0.9, ("amx_bf16", "avx512_bf16"))]
    )
    assert table["arms"]["all"]["guidance 1"]["mean"][0] == 0.45 and not table["arms"]["all"]["finished"]
    assert table["left out"] == ["all-2"] and len(table["rows"]) == 2
    assert "Left out, made on another kind of processor: all-2" in tool.show_summary(table)


@pytest.fixture
def go(tmp_path, monkeypatch):
    "The command on a small scale, its files in a folder of their own."
    monkeypatch.setattr(tool, "DIFFUSION_ROUNDS", {"cpu": SMOKE})
    monkeypatch.setattr(tool, "PRETRAIN_STEPS", 2)
    monkeypatch.setattr(tool, "PRETRAIN_CAPTIONS", 8)
    monkeypatch.setattr(tool, "weights_path", lambda: tmp_path)
    monkeypatch.setattr(tool, "processor_flags", lambda: ["avx512_bf16"])
    scored = lambda pipe, prompts, sets, guidance_scale: {
        "seen": {"mean": prompts / 1000 * guidance_scale}
    }
    monkeypatch.setattr(tool, "evaluate", scored)
    command = ["--seeds", "1", "--runs", str(tmp_path / "runs")]
    return lambda *options: CliRunner().invoke(tool.app, [*command, *options])


@pytest.mark.trains
def test_what_was_trained_is_not_trained_again(go, tmp_path, monkeypatch):
    old = row("all", 0, 0.44)
    (tmp_path / "runs" / "rows").mkdir(parents=True)
    (tmp_path / "runs" / "rows" / "all-0.json").write_text(json.dumps(old))
    printed = go().output
    made = json.loads((tmp_path / "input_ablation.json").read_text())
    assert [(r["arm"], r["seed"]) for r in made["rows"]] == [(arm, 0) for arm in tool.UNET_CHANGES]
    assert made["rows"][0] == old, "a row that was made elsewhere counts as it is"
    assert made["rows"][1].keys() == old.keys() and all(arm["finished"] for arm in made["arms"].values())
    assert "no-pretraining-0: 0.150 at guidance 1.5" in printed
    state = tmp_path / "runs" / "state"
    assert (
        not (state / "no-pretraining-0" / "pretrain.jsonl").exists() and not (state / "all-0").exists()
    )
    assert made["rows"][4]["seconds"].keys() == {"round-0", "round-1"}
    monkeypatch.setattr(tool, "train", lambda *args: pytest.fail("a training began"))
    assert go().exit_code == 0 and go("--table").output in printed


@pytest.mark.trains
def test_a_training_that_was_stopped_goes_on_to_the_bit(go, tmp_path, monkeypatch):
    whole = tool.train("no pooled input", 0, tmp_path / "whole").state_dict()
    after_step = JSONLogger.after_step

    def stop(logger, learner):
        after_step(logger, learner)
        if logger.path.stem == "round-1" and learner.step == 1:
            raise KeyboardInterrupt

    callbacks_of = tool.callbacks_of
    monkeypatch.setattr(
        tool, "callbacks_of", lambda folder, stage, save, log: callbacks_of(folder, stage, 1, 1)
    )
    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(JSONLogger, "after_step", stop)
        tool.train("no pooled input", 0, tmp_path / "parts")
    again = tool.train("no pooled input", 0, tmp_path / "parts").state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in again.items())


def test_another_kind_of_processor_and_an_empty_folder_are_refused(go, tmp_path):
    refused = go("--table")
    text = " ".join(re.sub(r"[^\w./:-]+", " ", refused.output).split())
    assert (
        refused.exit_code
        and "there are no rows in" in text
        and not (tmp_path / "input_ablation.json").exists()
    )
    (tmp_path / "runs" / "rows").mkdir(parents=True)
    (tmp_path / "runs" / "rows" / "all-1.json").write_text(json.dumps(row("all", 1, 0.4, ())))
    refused = go()
    text = " ".join(re.sub(r"[^\w./:-]+", " ", refused.output).split())
    assert refused.exit_code and "all-1 was made on a processor with" in text
