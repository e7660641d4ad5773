"The table of samplers: fair prompts, and a run that goes on where it was stopped."

import json

import pytest
import results
import samplers_table as tool
import torch
from tiny import tiny_folder, tiny_pipeline

from t2i_learn.world.tasks import GENEVAL_TASKS


def test_heun_is_given_no_more_questions_than_the_others():
    assert [tool.steps_for("heun", n) for n in tool.QUESTIONS] == [3, 4, 5, 10, 25]
    assert all(2 * tool.steps_for("heun", n) - 1 <= n for n in tool.QUESTIONS)
    assert all(tool.steps_for("ddim", n) == n for n in tool.QUESTIONS)
    assert tool.Way("heun", 5).questions == 9 and tool.Way("ddpm", 5, "karras").name == "ddpm 5 karras"


def test_more_prompts_leave_the_first_where_they_are():
    few, many = tool.prompts_of("validation", 2), tool.prompts_of("validation", 5)
    assert [p.task for p in few] == [*GENEVAL_TASKS, *GENEVAL_TASKS]
    assert few == many[:12]


@pytest.fixture
def table(tmp_path, monkeypatch):
    tiny_folder(tmp_path / "tiny")
    monkeypatch.setattr(results, "weights_path", lambda: tmp_path)
    monkeypatch.setattr(results, "faster", lambda pipe: "bf16")
    monkeypatch.setattr(results, "BATCH", 4)
    return lambda **facts: tool.Table(
        tmp_path / "table.json", tiny_pipeline(), "tiny", ("looked", "grids", "compared"), **facts
    )


def test_a_stopped_run_goes_on_and_keeps_its_noise(table, monkeypatch):
    prompts, asked = tool.prompts_of("validation", 2), []

    def judge(draw, batch, size):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(draw([p.caption for p in batch], 0))
        assert not torch.is_autocast_enabled("cpu"), "the oracle reads in full precision"
        return [(True, "")] * len(batch)

    monkeypatch.setattr(results, "evaluate_prompts", judge)
    with pytest.raises(KeyboardInterrupt):
        table().sampled("looked", tool.Way("dpmpp_2m", 2), prompts)
    assert table().content["looked"] == {"dpmpp_2m 2": "1" * 8}
    asked.pop(0)
    assert table().sampled("looked", tool.Way("dpmpp_2m", 2), prompts) == "1" * 12
    whole = tiny_pipeline()(
        [p.caption for p in prompts], sampler="dpmpp_2m", num_inference_steps=2, seed=0, output_type="pt"
    ).images
    assert (asked[-1] - whole[8:]).abs().max() < 0.1


def test_other_weights_begin_anew(table, tmp_path):
    first = table()
    first.content["looked"]["ddim 5"] = "101"
    first.save()
    assert table().content["looked"] == {"ddim 5": "101"}
    assert table(guidance_scale=2.0).content["looked"] == {}, "runs with other settings are other runs"
    (tmp_path / "tiny" / "model.safetensors").write_bytes(b"other")
    assert table().content["looked"] == {}


def test_grids_begin_and_end_where_they_say():
    schedule = tiny_pipeline().model.schedule
    own = tool.sigma_grid(schedule, tool.FEW)
    for name, levels in tool.LEVELS.items():
        sigmas = levels(schedule, tool.FEW)
        assert len(sigmas) == tool.FEW + 1 and sigmas[-1] == 0 and (sigmas.diff() < 0).all()
        assert (
            sigmas[0] < own[0]
            if name.startswith("own")
            else torch.allclose(sigmas[[0, -2]], own[[0, -2]], rtol=1e-4)
        )


def test_own_levels_are_the_pipeline_s(table):
    way, captions = tool.Way("ddpm", 3), [p.caption for p in tool.prompts_of("validation", 1)]
    made = table()
    whole = made.pipe(
        captions, first=7, sampler="ddpm", num_inference_steps=3, seed=0, output_type="pt"
    ).images
    assert torch.equal(made.draw(way, captions, 7), whole)
    assert not torch.allclose(made.draw(way._replace(levels="karras"), captions, 7), whole, atol=0.01)
    assert torch.allclose(made.draw(tool.Way("ddim", 3, eta=1.0), captions, 7), whole, atol=1e-4), (
        "DDIM with all of DDPM's noise"
    )
    assert tool.Way("ddim", 10, eta=0.75).name == "ddim 10 eta 0.75"


def test_the_best_of_each_kind_are_compared(table, monkeypatch, capsys):
    Way = tool.Way

    def sampled(self, part, way, prompts):
        self.content[part][way.name] = ("1" if way.steps < 100 else "0") * len(prompts)
        return self.content[part][way.name]

    monkeypatch.setattr(tool.Table, "sampled", sampled)
    seen = {
        Way("ddim", 5): 3,
        Way("heun", 10): 99,
        Way("unipc", 10): 9,
        Way("ddpm", 100): 8,
        Way("dpmpp_2m", 100): 4,
    }
    few, middle, many = (tool.best(seen, *span) for span in ((1, 10), (11, 20), (100, 100)))
    assert (few, middle, many) == (Way("unipc", 10), Way("heun", 10), Way("ddpm", 100)), (
        "ten steps of Heun are nineteen questions"
    )
    made = table()
    tool.confirm(made, {"few": few, "middle": middle, "many": many}, tool.prompts_of("test", 1), 0.0)
    assert json.loads(made.path.read_text())["few"] == "unipc 10" and made.content["many"] == "ddpm 100"
    told = capsys.readouterr().out
    assert "few - many: 1.0000" in told and "middle - many: 1.0000" in told


def test_the_comparison_opens_the_test_where_it_draws(table, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "weights_path", lambda: tmp_path)
    monkeypatch.setattr(tool, "data_path", lambda name: tmp_path / name)
    monkeypatch.setattr(tool, "load", lambda name: tiny_pipeline())
    monkeypatch.setattr(tool, "prompts_of", lambda name, count: results.prompts_of(name, 1))
    monkeypatch.setattr(
        tool.Table, "draw", lambda self, way, captions, first: torch.ones(len(captions), 3, 32, 32)
    )
    for _ in range(2):
        tool.main("tiny", look=1, compare=1, out=None, threads=0)
    (row,) = [
        json.loads(line) for line in (tmp_path / "prompts" / "opened.jsonl").read_text().splitlines()
    ]
    assert (row["edition"], row["reason"]) == (1, "the comparison of samplers")
