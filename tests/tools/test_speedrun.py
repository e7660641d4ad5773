"The speed board: what a budget counts, that every recipe trains, and an honest table."

import json
import math
from dataclasses import replace

import pytest
import speed_recipes
import speedrun as tool
import torch
from typer.testing import CliRunner

from t2i_learn.diffusion.speed import swap_probe
from t2i_learn.text.layout import CaptionMix


@pytest.fixture
def small(monkeypatch):
    "Batches of four pictures that are drawn when they are asked for, and probes of four pictures."

    batches = CaptionMix.batches

    def few(mix, batch_size, side, seed=0):
        return batches(replace(mix, num_batches=2), 4, side, seed)

    monkeypatch.setattr(CaptionMix, "batches", few)
    monkeypatch.setattr(speed_recipes, "PRETRAINING", {"steps": 1, "batch_size": 4})

    def probe(*args, **options):
        return swap_probe(*args, count=4, **options)

    monkeypatch.setattr(tool, "swap_probe", probe)


def recipe_names():
    return [name for name in tool.RECIPES if name != "compiled"]  # compiling takes a minute


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_trains_and_draws(name, small):
    recipe = tool.RECIPES[name]
    plan = tool.row_plan(recipe, 1e-6)  # one step a stage
    watch = tool.Watch(tool.Clock())
    model, report = tool.train(recipe, 1, plan, watch)
    assert [stage["steps"] for stage in report] == [1] * len(recipe.stages)
    assert math.isclose(sum(stage.share for stage in recipe.stages), 1)
    assert [*watch.rows[-1]["rises"]] == [
        "one thing, 1",
        "two things, 1",
        "one thing, 3",
        "two things, 3",
    ]
    pictures = tool.Pipeline(model, name)("a red star", num_inference_steps=2, output_type="pt").images
    assert pictures.shape == (1, 3, 32, 32) and pictures.isfinite().all()


@pytest.mark.parametrize("name", ["film", "sixteen"])
def test_a_later_stage_goes_on_from_the_one_before(name):
    recipe = tool.RECIPES[name]
    first = tool.start(recipe, recipe.stages[0], 0, None)
    second = tool.start(recipe, recipe.stages[1], 1, first)
    assert torch.equal(first.encoder.tokens.weight, second.encoder.tokens.weight)
    assert torch.equal(first.denoiser.network.stem.weight, second.denoiser.network.stem.weight)


def test_blocks_that_are_new_change_nothing_at_first():
    recipe = tool.RECIPES["film"]
    grown = tool.start(recipe, recipe.stages[1], 1, None)
    block = grown.denoiser.network.middle.blocks[0]
    x = torch.randn(2, 64, 128, generator=torch.Generator().manual_seed(0))
    cond = grown.encode(["a red star", "a star"])
    with torch.no_grad():
        assert torch.equal(block(x, torch.zeros(2, 6, 128), cond), x)


def test_a_grid_of_codes_is_refined_and_nothing_else_is():
    coarse = torch.arange(4.0)[:, None].expand(4, 3)
    fine = tool.resized(coarse, torch.zeros(16, 3))
    assert fine.shape == (16, 3) and torch.isclose(fine.mean(), coarse.mean())
    assert fine[0, 0] == 0 and fine[-1, 0] == 3
    other = torch.ones(4, 3)
    assert tool.resized(other, torch.zeros(4, 3)) is other


def test_the_clock_counts_work_and_leaves_out_what_it_is_told():
    ticks = iter([10.0, 13.0, 20.0, 30.0, 31.0])  # began, spent, pause from, to, spent
    clock_type = type("Ticks", (tool.Clock,), {"total": staticmethod(lambda: next(ticks))})
    clock = clock_type()
    assert clock.spent == 3
    with clock.pause():
        pass
    assert clock.spent == 11


def test_the_rate_follows_the_time_that_is_spent():
    recipe = tool.RECIPES["baseline"]
    config = recipe.stages[2].config  # rises over 100 of 1,800 steps, falls over 0.6 of the round
    parameter = torch.nn.Parameter(torch.zeros(1))
    learner = type("L", (), {"optimizer": torch.optim.SGD([parameter], lr=2.0)})()
    for done, rate in ((0.0, 0.002), (1 / 36, 1.0), (0.2, 2.0), (0.7, 1.002), (1.5, 0.002)):
        tool.BudgetSchedule(config, lambda done=done: done).before_step(learner)
        assert math.isclose(learner.optimizer.param_groups[0]["lr"], rate, rel_tol=1e-3)


def row(recipe, seed, score, counts=True):
    tasks = dict.fromkeys(tool.GENEVAL_TASKS, score) | {"mean": score}
    return {
        "recipe": recipe,
        "seed": seed,
        "counts": counts,
        "kernel": {"ratio": 1.0 if counts else 1.3},
        "processor": ["avx2"],
        "stages": [{"pictures": 1000}, {"pictures": 2000}],
        "score": {"tasks": tasks, "interval": [score - 0.04, score + 0.04]},
        "proxy": [],
    }


BASE = [row("baseline", seed, score) for seed, score in enumerate((0.40, 0.44, 0.48))]


@pytest.mark.parametrize(
    ("others", "holder"),
    [
        ([], "baseline"),
        ([row("muon", 0, 0.9)], "baseline"),  # one seed
        ([row("muon", 0, 0.9), row("muon", 1, 0.47)], "baseline"),  # one below mean plus sd
        ([row("muon", 0, 0.9), row("muon", 1, 0.9, counts=False)], "baseline"),
        ([row("muon", 0, 0.5), row("muon", 1, 0.52)], "muon"),
        ([row(name, s, 0.5 + k) for k, name in ((0.0, "muon"), (0.02, "film")) for s in (0, 1)], "muon"),
        ([row(name, s, 0.5 + k) for k, name in ((0.0, "muon"), (0.2, "film")) for s in (0, 1)], "film"),
    ],
)
def test_who_holds_the_record(others, holder):
    assert tool.record_holder(BASE + others, 0.04) == holder
    assert tool.record_holder(BASE + others, None) == "baseline"


def test_the_board_says_what_is_missing_and_enters_failures():
    text = tool.board([*BASE[:1], row("muon", 0, 0.3, counts=False)], [])
    assert "Baseline: 1 of 3 seeds, so that the spread between trainings is not known yet." in text
    assert "| muon | 0 | 0.300 (0.26 to 0.34) |" in text and "| 3,000 | 1.30 | no |" in text
    text = tool.board(BASE, [])
    assert "Baseline: mean 0.440, standard deviation between trainings 0.040. The record" in text
    assert all(f"| {name} |" in text for name in tool.RECIPES)


def test_a_trial_asks_each_stage_about_its_own_pictures(small, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "kernel_seconds", lambda: 1.0)
    arguments = ["film", "--trial", "--budget", "0.001", "--out", str(tmp_path)]
    assert CliRunner().invoke(tool.app, arguments).exit_code == 0
    found = json.loads((tmp_path / "trials" / "film-0.json").read_text())
    assert found["score"] is None and found["counts"]
    assert [[*look["rises"]] for look in found["proxy"]] == [
        ["one thing, 16×16, 1", "one thing, 16×16, 3"],
        ["two things, 32×16, 1", "two things, 32×16, 3"],
    ]
    monkeypatch.setattr(tool, "weights_path", lambda: tmp_path)
    done = CliRunner().invoke(tool.app, ["--table", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "speedrun.json").read_text())["trials"] == [found]
    assert done.exit_code == 0 and "| film | 0 | windows |" in done.output
    assert tmp_path.with_suffix(".md").read_text() in done.output


def test_a_row_has_a_score_with_an_interval(small, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "kernel_seconds", iter([1.0, 1.2]).__next__)
    asked = []

    def evaluate(pipe, prompts):
        asked.append((pipe.name, prompts))
        seen = {"mean": 0.5}
        report = {"interval": {"seen": {"mean": [0.4, 0.6]}}, "standard_error": {"seen": {"mean": 0.02}}}
        return report | {"edition": 1, "seen": seen}

    monkeypatch.setattr(tool, "evaluate", evaluate)
    arguments = ["baseline", "--seed", "2", "--budget", "0.001", "--out", str(tmp_path)]
    assert CliRunner().invoke(tool.app, arguments).exit_code == 0
    found = json.loads((tmp_path / "baseline-2.json").read_text())
    assert asked == [("baseline-2", 100)]
    assert found["score"]["interval"] == [0.4, 0.6] and found["score"]["tasks"] == {"mean": 0.5}
    assert not found["counts"], "the kernel became slower by a fifth"


def test_an_unknown_recipe_is_refused_with_a_sentence():
    done = CliRunner().invoke(tool.app, ["fast"])
    assert done.exit_code != 0 and "baseline" in str(done.exception)


def test_what_is_missing_is_found_by_the_files(tmp_path):
    every = tool.missing_rows(tmp_path)
    assert every[:3] == [("baseline", 0), ("baseline", 1), ("baseline", 2)]
    assert [name for name, _ in every[3:]] == [*tool.RECIPES][1:]
    tool.row_file(tmp_path, "baseline", 1).write_text("{}")
    assert tool.missing_rows(tmp_path) == [row for row in every if row != ("baseline", 1)]


def test_the_board_is_what_its_files_say():
    rows, trials = tool.read_rows(tool.FOLDER), tool.read_rows(tool.FOLDER / "trials")
    assert tool.FOLDER.with_suffix(".md").read_text(encoding="utf-8") == tool.board(rows, trials)
    kept = json.loads((tool.weights_path() / "speedrun.json").read_text(encoding="utf-8"))
    assert kept["rows"] == rows and kept["trials"] == trials and [*kept["ideas"]] == [*tool.RECIPES]
