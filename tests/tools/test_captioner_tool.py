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
from t2i_learn.world.grammar import clauses_of, parse_prompt


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
    for name, (low, high) in mixed["intervals"].items():
        assert low <= mixed[name] <= high, name
    assert mixed["intervals"]["true"][0] < 0.6, "four captions say little"
    groups = torch.tensor([True, True, False, True]).split(2)
    control = tool.constant_row(groups)
    assert control["AUROC"] == 0.5 and control["calibration error"] == 0
    assert control["largest error of a group"] == pytest.approx(0.25), "0.75, where 1 and 0.5 are true"


def test_agreement_is_about_pictures_that_fail():
    prompts = tool.listed_prompts(6, 0)
    scenes = [prompt.scene for prompt in prompts]
    captions = [prompt.caption for prompt in prompts]
    assert tool.agreement_row(prompts, scenes, captions)["pictures"] == 0
    wrong = scenes[1:] + scenes[:1]
    own = tool.agreement_row(prompts, wrong, captions[1:] + captions[:1])
    assert own["pictures"] == 6 and own["agree"] > 0.9
    other = tool.agreement_row(prompts, wrong, captions)
    assert other["agree"] < own["agree"] and other["kappa"] < own["kappa"]
    low, high = other["intervals"]["agree"]
    assert low <= other["agree"] <= high < 1
    assert sum(part["clauses"] for part in own["by clause"].values()) == own["clauses"]


def test_shares_with_and_without_a_verdict():
    row = tool.share_row([[True, True], [True, False]], [True, False])
    assert (row["all clauses"], row["passed"], row["failed"]) == (0.75, 1.0, 0.5)
    assert row["pictures"] == {"all clauses": 2, "passed": 1, "failed": 1}
    assert row["intervals"]["all clauses"] == [0.5, 1.0] and row["intervals"]["failed"] == [0.5, 0.5]
    assert tool.share_row([[True], [False]])["passed"] == ""
    kinds = [["thing", "background"], ["thing", "relation"]]
    parts = tool.share_row([[True, True], [True, False]], [True, False], kinds)["by clause"]
    assert parts["all clauses"]["thing"]["share"] == 1 and parts["all clauses"]["thing"]["clauses"] == 2
    assert parts["failed"]["relation"]["share"] == 0 and "relation" not in parts["passed"]


def test_clauses_have_a_kind():
    spec = parse_prompt("two red circles left of a blue square on a mint background") or {}
    kinds = [tool.clause_kind(claim) for _, claim in clauses_of(spec | {"exact": True})]
    assert kinds == ["number", "thing", "relation", "background", "no other thing"]


def test_bars_are_about_values_and_say_how_sure_they_are():
    low = tool.bar_row("a share", 0.96, [0.94, 0.98], 0.95)
    assert low["met"] and not low["sure"]
    error = tool.bar_row("an error", 0.06, [0.04, 0.08], 0.05, True)
    assert not error["met"] and not error["sure"] and tool.bar_row("n", 160, None, 150)["sure"]
    recall = {"1, caption to picture": {"recall": 0.76, "ceiling": 0.8, "share": 0.95}}
    (row,) = tool.recall_bars(recall)
    assert row["met"] and row["low"] < 0.95 < row["high"] and row["bar"] == 0.9


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
    monkeypatch.setattr(tool, "RESAMPLES", 5)
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
    bars = {row["what"]: row for row in measured["bars"]}
    assert {"true, clean, split a", "AUROC, generated", "calibration error, noise 0.2"} <= bars.keys()
    assert {"failing pictures", "agreement on failing pictures"} <= bars.keys()
    assert bars["pictures of the five groups"]["value"] == sum(
        measured["captions"][name]["n"] for name in tool.CALIBRATED
    )
    assert all(row["low"] <= row["high"] for row in bars.values())
    tool.main(str(folder), bars=True)
    again = json.loads((folder / "measured.json").read_text(encoding="utf-8"))
    assert again == measured, "the bars are those of the same measurement"
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
