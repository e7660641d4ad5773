"The tool that measures a captioner, and the script that makes the one that ships, both at smoke."

import json

import captioner as tool
import pytest
import torch
import weights

from t2i_learn.core.pipeline import load, read_card
from t2i_learn.core.tensors import seeded_rng
from t2i_learn.language.captioner import Captioner, scene_is_held_out, tiny_captioner_config
from t2i_learn.language.decoding import CaptionPipeline, DecodedText


def group(captions, scenes):
    "A group of captions that were written with these words."
    texts = [DecodedText((3,), (-0.1 * (k + 1),)) for k in range(len(captions))]
    return tool.Group(torch.zeros(len(captions), 3, 32, 32), scenes, texts, captions)


def test_rows_of_tables():
    prompts = tool.listed_prompts(4, 0)
    scenes = [prompt.scene for prompt in prompts]
    captions = [prompt.caption for prompt in prompts]
    row = tool.caption_row(group(captions, scenes), {})
    assert row["n"] == 4 and row["true"] == 1 and 0 < row["complete"] <= 1
    mixed = tool.caption_row(group([*captions[:3], "a star"], scenes), {})
    assert mixed["true"] == 0.75 and mixed["AUROC"] == 1.0
    control = tool.constant_row(torch.tensor([True, True, False, True]))
    assert control["AUROC"] == 0.5 and control["calibration error"] == 0


def test_agreement_is_about_pictures_that_fail():
    prompts = tool.listed_prompts(6, 0)
    scenes = [prompt.scene for prompt in prompts]
    captions = [prompt.caption for prompt in prompts]
    assert tool.agreement_row(prompts, scenes, captions)["pictures"] == 0
    wrong = scenes[1:] + scenes[:1]
    own = tool.agreement_row(prompts, wrong, captions[1:] + captions[:1])
    assert own["pictures"] == 6 and own["agree"] > 0.9
    assert tool.agreement_row(prompts, wrong, captions)["agree"] < own["agree"]


def test_shares_with_and_without_a_verdict():
    row = tool.share_row([[True, True], [True, False]], [True, False])
    assert (row["all clauses"], row["passed"], row["failed"]) == (0.75, 1.0, 0.5)
    assert tool.share_row([[True], [False]])["passed"] == ""


def test_what_pictures_are_measured_on():
    pictures, scenes = tool.rendered_held_out(6, 0)
    assert pictures.shape == (6, 3, 32, 32) and all(map(scene_is_held_out, scenes))
    assert not any(map(scene_is_held_out, tool.rendered(16, tool.FRESH)[1]))
    halves = [{p.caption for p in tool.half_of_validation(half, 5)} for half in (0, 1)]
    assert len(halves[0] & halves[1]) < 5
    prompts = tool.half_of_validation(0, 3)
    following = tool.next_of_task(prompts)
    assert sorted(following) == list(range(len(prompts)))
    assert all(prompts[a].task == p.task and a != k for k, (a, p) in enumerate(zip(following, prompts)))


@pytest.fixture
def quick(tmp_path, monkeypatch):
    "One model that draws fast, and a folder of its own for what it draws."
    monkeypatch.setattr(tool, "DRAWN", tmp_path / "drawn")
    monkeypatch.setattr(tool, "painters", lambda: ["shapes-gan"])
    return tmp_path


def test_pictures_are_drawn_once_and_go_on_where_they_stopped(quick, monkeypatch):
    prompts = tool.listed_prompts(5, 0)
    first = tool.drawn_pictures("shapes-gan", prompts[:3], "lists")
    more = tool.drawn_pictures("shapes-gan", prompts, "lists")
    assert torch.equal(more[:3], first) and len(more) == 5
    monkeypatch.setattr(tool, "load", lambda name: pytest.fail("drawn again"))
    assert torch.equal(tool.drawn_pictures("shapes-gan", prompts, "lists"), more)


@pytest.mark.trains
def test_a_captioner_is_trained_measured_and_written(quick, monkeypatch, capsys):
    monkeypatch.setattr(weights, "RUNS", quick / "runs")
    monkeypatch.setattr(weights, "WEIGHTS", quick / "weights")
    call = {"preset": "smoke", "last": False, "train_it": True, "prompts_per_task": 1, "threads": 0}
    weights.main(["shapes-captioner"], replace=True, **call)
    folder = quick / "weights" / "shapes-captioner-smoke"
    facts, card = read_card(folder), (folder / "README.md").read_text(encoding="utf-8")
    assert facts["sha256"] == weights.fingerprint(folder / "model.safetensors")
    assert "learned to describe" in card and "| another prompt |" in card
    measured = json.loads((folder / "measured.json").read_text(encoding="utf-8"))
    assert measured["weights"] == facts["sha256"]
    assert {"clean", "clean, split a", "noise 0.3", "generated"} <= measured["captions"].keys()
    assert {"reference", "another prompt", "mean picture", "shapes-gan"} == measured["round trip"].keys()
    assert isinstance(load(folder), CaptionPipeline)
    weights.main(["shapes-captioner"], replace=False, **call)
    assert "these weights ship already" in capsys.readouterr().out


def test_other_worlds_are_pictures_and_get_an_answer():
    with seeded_rng(0):
        pipe = CaptionPipeline(Captioner(tiny_captioner_config()), "tiny")
    worlds = tool.other_worlds(4)
    assert all(p.shape == (4, 3, 32, 32) and p.isfinite().all() for p in worlds.values())
    rows = tool.measure_other_worlds(pipe, 4)
    assert rows.keys() == worlds.keys() and all(0 <= row["confidence"] <= 1 for row in rows.values())
