"The search at few calls: what is tried, what it costs, and a run that resumes."

import json

import few_calls as tool
import pytest
from tiny import tiny_pipeline, tiny_two_stage

TINY = tool.SMALL._replace(batch=2)


def test_candidates_fit_their_calls_and_come_once():
    for model in ("shapes-stable", tool.RIVAL):
        for calls in tool.BUDGETS:
            ways = [*tool.candidates(model, calls)]
            assert len(set(ways)) == len(ways) > 0
            assert all(0 < way.calls <= calls for way in ways)
            dearer = [way._replace(steps=way.steps + 1).calls for way in ways]
            assert min(dearer) > calls, "each takes all the steps that it can pay"


def test_two_calls_pay_for_a_draft_and_a_step_that_is_not_guided():
    assert {(way.steps, way.scale) for way in tool.candidates("shapes-stable", 2)} == {(1, 1.0)}
    assert {way.level for way in tool.candidates("shapes-stable", 2)} == set(tool.LEVELS)
    single = [way for way in tool.candidates(tool.RIVAL, 2) if way.steps == 1]
    assert {way.sampler for way in single} == {"ddim"} and min(way.scale for way in single) > 1


def test_bars_need_score_and_lead_at_both_budgets():
    row = lambda budget, value, low: {
        "budget": budget,
        "value": value,
        "interval": [low + 0.02, low, 0.2],
    }
    assert tool.bars_met([row(2, 0.86, 0.06), row(4, 0.94, 0.06)])
    assert not tool.bars_met([row(2, 0.86, 0.06), row(4, 0.94, 0.04)])
    assert not tool.bars_met([row(2, 0.84, 0.06), row(4, 0.94, 0.06)])
    assert not tool.bars_met([{"budget": 2, "value": 1.0, "interval": None}, row(4, 1.0, 0.5)])


@pytest.mark.trains
@pytest.mark.filterwarnings("ignore:no caption in training held")
def test_all_parts_run_and_nothing_is_done_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "BUDGETS", (4,))
    monkeypatch.setattr(tool, "fastest_precision", lambda *args, **options: "no")
    monkeypatch.setattr(tool, "SCALES", (1.0, 2.0))
    monkeypatch.setattr(tool, "LEVELS", (1.0,))
    monkeypatch.setattr(tool, "TOPS", (8.0,))
    monkeypatch.setattr(tool, "SAMPLERS", {name: tool.SAMPLERS[name] for name in ("ddim", "heun")})

    def run(**models):
        pipes = tool.Models({"shapes-stable": tiny_two_stage(), tool.RIVAL: tiny_pipeline(), **models})
        measures = tool.Measures(tool.Store(tmp_path), pipes, TINY)
        search = tool.Search(measures, tmp_path / "few.json", {"model": "shapes-stable"})
        return tool.run_parts(search, "game", True)

    found = run()
    kept = json.loads((tmp_path / "few.json").read_text())
    assert [row["model"] for row in kept["table"]] == [
        tool.RIVAL,
        "shapes-stable",
        *tool.FEW_CALLS_PARTS,
    ]
    assert kept["trained"]["game"]["plan"]["num_inference_steps"] == 3
    assert kept["trained"]["guidance"]["distilled scale"] == 2.0 and not kept["met"]
    assert all(row["calls"] <= row["budget"] for row in kept["table"])
    monkeypatch.setattr(tool, "evaluate_prompts", lambda *args: pytest.fail("it was drawn again"))
    assert run()["table"] == found["table"]
