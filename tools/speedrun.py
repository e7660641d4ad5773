"""The speed board: what a small model learns to draw within a fixed budget of processor time.

python tools/speedrun.py                        list the recipes
python tools/speedrun.py baseline --seed 1      one row: train for 1,200 CPU-seconds, score, write its JSON
python tools/speedrun.py muon film --trial      a trial: 150 CPU-seconds, the proxy instead of a score
python tools/speedrun.py --missing              all rows that the board lacks, one after another; goes on where it stopped
python tools/speedrun.py --table                train nothing: write benchmarks/speedrun.md and t2i_learn/weights/speedrun.json
                                                from the JSON files, and print the board

A row is one recipe and one seed. Its budget counts user and system time of all processes, compiling and preparing data
included; the probes along the run and the score at its end are not training and are not counted. What counts is processor
time, so that a run may be niced. A reference kernel is timed before and after: a row counts if its time moved by less than
15 %. The score is that of `t2i-learn evaluate` on 600 validation prompts, a hundred of each of GenEval's six tasks.

The proxy is ready after two minutes, and far less noisy than the score: how much the denoising error at sigma 1 and 3 rises
when one word of the caption is swapped, on 512 fixed pictures (`t2i_learn.diffusion.speed`).

A recipe is a row of RECIPES in tools/speed_recipes.py: what it does otherwise than the preset cpu.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any, NamedTuple

import torch
import typer
from torch import nn, Tensor
from torch.nn import functional as F

from speed_recipes import Recipe, RECIPES, Stage
from t2i_learn.core.callbacks import ClipGrad, EMA, StopNonFinite, warmup_trapezoid
from t2i_learn.core.files import choose, model_tensors, read_json, weights_path, write_atomic
from t2i_learn.core.learner import Callback, Learner
from t2i_learn.core.pipeline import Pipeline
from t2i_learn.core.show import markdown_table
from t2i_learn.core.tensors import seeded_rng
from t2i_learn.diffusion.speed import error_rises, swap_probe, zero_blocks
from t2i_learn.diffusion.text_to_image import DiffusionConfig, TextToImageDiffusion
from t2i_learn.text.layout import conditioner_loss, take_weights
from t2i_learn.world.score import evaluate
from t2i_learn.world.tasks import GENEVAL_TASKS

BUDGET, TRIAL_BUDGET = 1200.0, 150.0  # CPU-seconds
FOLDER = Path(__file__).parent.parent / "benchmarks" / "speedrun"
SEEDS = 3  # of the baseline
DRIFT = 0.15  # of the reference kernel, above which a row does not count
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
LOOKS = 8  # along a row
SIGMAS = (1.0, 3.0)  # at which the proxy asks

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Clock:
    "Processor time of this process and of those that it has started, less what `pause` leaves out."

    def __init__(self):
        self.left_out = 0.0
        self.began = self.total()

    @staticmethod
    def total() -> float:  # seconds
        "User and system time, of children that have ended too."
        return sum(os.times()[:4])

    @property
    def spent(self) -> float:  # seconds
        "What counts."
        return self.total() - self.began - self.left_out

    @contextmanager
    def pause(self) -> Iterator[None]:
        "Measuring is not training."
        began = self.total()
        yield
        self.left_out += self.total() - began


class BudgetSchedule(Callback):
    "The learning rate of a stage, by the part of its processor time that is spent."

    def __init__(
        self,
        config: DiffusionConfig,  # of the round: how long the rate rises and falls
        done: Callable[[], float],  # the part that is spent, 0 to 1
    ):
        self.multiplier = warmup_trapezoid(config.warmup / config.steps, config.decay)
        self.done = done

    def before_step(self, learner: Any) -> None:
        "Set the step size of this step; never nothing at all, since the first step is to count."
        factor = max(self.multiplier(min(self.done(), 1.0)), 1e-3)
        for group in learner.optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def kernel_seconds(
    rounds: int = 7,
) -> float:  # of processor time
    "The reference kernel: matrix products and a convolution with its gradient, the fastest of some rounds."
    g = torch.Generator().manual_seed(0)
    a = torch.randn(512, 512, generator=g)
    x = torch.randn(16, 64, 16, 16, generator=g)
    weight = torch.randn(64, 64, 3, 3, generator=g, requires_grad=True)
    times = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(8):
            torch.mm(a, a)
            F.conv2d(x, weight, padding=1).square().mean().backward()
        times.append(time.process_time() - began)
    return min(times)


def processor_features(
    path: Path = Path("/proc/cpuinfo"),
) -> list[str]:
    "Which of FLAGS the system says that its processor has; none where it does not say."
    told = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [flag for flag in FLAGS if flag in told.split()]


Questions = dict[str, tuple[str, tuple[int, int] | None]]  # name -> task and window of a probe
_WHOLE: Questions = {"one thing": ("color", None), "two things": ("position", None)}  # task, window
_TRIAL_PROBES: tuple[Questions, ...] = (  # of the first stage of a trial and of its second
    {"one thing, 16×16": ("color", (16, 16))},
    {"two things, 32×16": ("position", (32, 16))},
)


class Watch:
    "The proxy along a run."

    def __init__(self, clock: Clock):
        self.clock = clock
        self.rows: list[dict[str, Any]] = []

    def look(
        self,
        model: TextToImageDiffusion,
        probes: Questions,  # by name
        **facts: Any,  # of the run
    ) -> None:
        "Measure, keep and print; no processor time of this counts."
        with self.clock.pause():
            rises = self._rises(model, probes)
        self.rows.append({"cpu": round(self.clock.spent, 1), **facts, "rises": rises})
        words = "  ".join(
            f"{name}: " + " ".join(f"{kind} {rise:.2f}" for kind, rise in own.items())
            for name, own in rises.items()
        )
        print(f"{self.clock.spent:6.0f} s  {facts}  {words}", flush=True)

    def _rises(
        self, model: TextToImageDiffusion, probes: Questions
    ) -> dict[str, dict[str, float]]:  # rounded
        "The rises of each probe at each level."
        side = model.config["side"]
        rises = {
            f"{name}, {sigma:g}": error_rises(model, swap_probe(task, side=side, window=window), sigma)
            for sigma in SIGMAS
            for name, (task, window) in probes.items()
        }
        return {
            name: {kind: round(rise, 4) for kind, rise in own.items()} for name, own in rises.items()
        }


def start(
    recipe: Recipe,
    stage: Stage,
    seed: int,
    before: nn.Module | None,  # the average of the stage before
) -> TextToImageDiffusion:
    "The model at the start of a stage: what it shares with the one before is taken over."
    with seeded_rng(seed):
        model = recipe.model(stage.config.config, stage.config.load_tokenizer())
    if stage.zero_blocks:
        zero_blocks(model)
    if before is not None:
        tensors, own = model_tensors(before), model_tensors(model)
        take_weights(model, {k: resized(v, own[k]) if k in own else v for k, v in tensors.items()})
    return model


def resized(
    value: Tensor,  # of the model before
    like: Tensor,  # of the new one
) -> Tensor:
    "The codes of a grid of places for a finer grid; everything else as it is."
    if value.shape == like.shape or value.shape[1:] != like.shape[1:]:
        return value
    side, new_side = (math.isqrt(len(t)) for t in (value, like))
    grid = value.T.reshape(1, -1, side, side)
    return F.interpolate(grid, size=(new_side, new_side), mode="bilinear").flatten(2)[0].T


def stage_data(
    stage: Stage,
    seed: int,
) -> Callable[[int], Any]:  # batch number -> batch
    "Pictures of the model's size, or those of a layout."
    config = stage.config
    side = config.config["side"] // (4 if stage.layout_only else 1)
    return config.mix.batches(config.batch_size, side, seed)


def train_stage(
    recipe: Recipe,
    stage: Stage,
    seed: int,
    model: TextToImageDiffusion,
    done: Callable[[], float],  # the part of the stage's time that is spent
    look: Callable[..., None],  # at the average, as often as it likes
) -> tuple[TextToImageDiffusion, dict[str, Any]]:  # the average of the weights, and what was done
    "One stage, until its time is spent."
    config, ema = stage.config, EMA(stage.config.ema)

    def loss(model: Any, batch: Any, generator: torch.Generator | None = None) -> Tensor:
        if stage.layout_only:
            return conditioner_loss(model, batch, generator)
        return recipe.loss(model, batch, generator, config.sigmas, config.layout_weight)

    callbacks = [ema, BudgetSchedule(config, done), ClipGrad(1.0), StopNonFinite()]
    optimizer = recipe.optimizer(model, config.lr)
    learner = Learner(model, stage_data(stage, seed), loss, callbacks, seed=seed, optimizer=optimizer)
    if recipe.compile:
        model.denoiser.network.compile()
    losses: list[float] = []
    for _ in learner.run(10**9):
        losses.append(learner.loss)
        look(ema.model, losses)
        if done() >= 1:
            break
    facts = {"steps": learner.step, "pictures": learner.step * config.batch_size}
    return ema.model, facts


class Plan(NamedTuple):
    "How long a run is, and what it is asked on the way."

    stages: tuple[Stage, ...]  # with shares of the budget
    budget: float  # CPU-seconds
    probes: list[Questions]  # at the end of each stage
    every: float = math.inf  # CPU-seconds between two looks on the way


def row_plan(recipe: Recipe, budget: float = BUDGET) -> Plan:
    "A row: all stages, and looks at whole pictures on the way."
    none: list[Any] = [{}] * (len(recipe.stages) - 1)
    return Plan(recipe.stages, budget, [*none, _WHOLE], budget / LOOKS)


def trial_plan(recipe: Recipe, budget: float = TRIAL_BUDGET) -> Plan:
    "A trial: what comes before the last stage, asked at the end of its first and of its last part."
    stages = recipe.stages[: max(2, len(recipe.stages) - 1)]
    total = sum(stage.share for stage in stages)
    stages = tuple(replace(stage, share=stage.share / total) for stage in stages)
    first, last = _TRIAL_PROBES if recipe.windows else ({k: v} for k, v in _WHOLE.items())
    return Plan(stages, budget, [first, *[{}] * (len(stages) - 2), last])


def train(
    recipe: Recipe,
    seed: int,
    plan: Plan,
    watch: Watch,
) -> tuple[TextToImageDiffusion, list[dict[str, Any]]]:  # the model, and what each stage did
    "All stages of a plan."
    clock, report = watch.clock, []
    model: Any = recipe.prepare(recipe.stages[0].config, seed) if recipe.prepare else None
    next_look, ends = plan.every, 0.0
    for number, stage in enumerate(plan.stages):
        begins, ends = ends, ends + stage.share * plan.budget

        def look(average: Any, losses: list[float], number: int = number) -> None:
            nonlocal next_look
            if next_look <= clock.spent < plan.budget:
                next_look += plan.every
                watch.look(average, _WHOLE, stage=number + 1, loss=round(mean(losses[-100:]), 4))

        def done(begins: float = begins, ends: float = ends) -> float:
            return (clock.spent - begins) / (ends - begins)

        own_seed = 100 * seed + number
        model = start(recipe, stage, own_seed, model)
        model, facts = train_stage(recipe, stage, own_seed, model, done, look)
        report.append(facts | {"cpu": round(clock.spent, 1)})
        if plan.probes[number]:
            watch.look(model, plan.probes[number], stage=number + 1)
    return model, report


def score(
    pipe: Pipeline,
    prompts: int,  # of each task
) -> dict[str, Any]:
    "The score on the validation prompts, with its interval."
    found = evaluate(pipe, prompts)
    return {
        "edition": found["edition"],
        "prompts": prompts,
        "tasks": found["seen"],
        "interval": found["interval"]["seen"]["mean"],
        "standard error": found["standard_error"]["seen"]["mean"],
    }


def run(
    name: str,  # of a recipe
    seed: int,
    plan: Plan,
    prompts: int,  # of each task; 0: no score
    keep: Path | None = None,  # a folder for the weights
) -> dict[str, Any]:  # the row
    "Train, look, score."
    recipe, before = RECIPES[name], kernel_seconds()
    clock = Clock()
    watch = Watch(clock)
    model, report = train(recipe, seed, plan, watch)
    ratio = kernel_seconds() / before
    model.config = model.config | {"sampling": model.config["sampling"] | recipe.sampling}
    pipe = Pipeline(model, f"{name}-{seed}")
    if keep is not None:
        pipe.save_pretrained(keep / pipe.name)
    return {
        "recipe": name,
        "idea": recipe.idea,
        "seed": seed,
        "budget": plan.budget,
        "cpu seconds": report[-1]["cpu"],
        "kernel": {"seconds": round(before, 5), "ratio": round(ratio, 3)},
        "counts": abs(ratio - 1) < DRIFT,
        "processor": processor_features(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__.split("+")[0],
        "weights": sum(p.numel() for p in model.parameters()),
        "stages": report,
        "proxy": watch.rows,
        "sampling": model.config["sampling"],
        "score": score(pipe, prompts) if prompts else None,
    }


def read_rows(folder: Path) -> list[dict[str, Any]]:
    "The rows that are there, in the order of recipes and seeds; those of recipes that are gone come last."
    found = [read_json(file) for file in sorted(folder.glob("*.json"))]
    place = {name: number for number, name in enumerate(RECIPES)}
    return sorted(found, key=lambda row: (place.get(row["recipe"], len(place)), row["seed"]))


def scores_of(
    rows: list[dict[str, Any]],
    name: str,  # of a recipe
) -> list[float]:
    "The scores of the rows of a recipe that count."
    return [row["score"]["tasks"]["mean"] for row in rows if row["recipe"] == name and row["counts"]]


def record_holder(
    rows: list[dict[str, Any]],
    spread: float | None,  # sd between trainings of the baseline; None: not known yet
) -> str:  # name of a recipe
    "Who holds the record: two seeds or more, each above the old holder's mean plus one sd between trainings."
    holder = "baseline"
    if spread is None:
        return holder
    rivals = {name: scores_of(rows, name) for name in dict.fromkeys(row["recipe"] for row in rows)}
    best = mean(rivals.pop(holder))
    for name, scores in sorted(rivals.items(), key=lambda item: mean(item[1] or [0.0])):
        if len(scores) >= 2 and min(scores) > best + spread:
            holder, best = name, mean(scores)
    return holder


def _row_cells(row: dict[str, Any]) -> list[str]:
    "A row of the board."
    found, kernel = row["score"], row["kernel"]["ratio"]
    low, high = found["interval"]
    tasks = [f"{found['tasks'][task]:.2f}" for task in GENEVAL_TASKS]
    pictures = f"{sum(stage['pictures'] for stage in row['stages']):,}"
    counts = "yes" if row["counts"] else "no"
    score = f"{found['tasks']['mean']:.3f} ({low:.2f} to {high:.2f})"
    return [row["recipe"], str(row["seed"]), score, *tasks, pictures, f"{kernel:.2f}", counts]


def _trial_cells(row: dict[str, Any]) -> list[str]:
    "A row of the table of trials."
    one, two = ({key[-1]: own for key, own in look["rises"].items()} for look in row["proxy"])
    numbers = [one["1"]["shape"], one["1"]["color"], two["1"]["shape"], two["1"]["attribution"]]
    numbers += [two["3"]["color"], two["3"]["position"]]
    kind = "windows" if "×" in next(iter(row["proxy"][0]["rises"])) else "whole pictures"
    ratio = f"{row['kernel']['ratio']:.2f}"
    return [
        row["recipe"],
        str(row["seed"]),
        kind,
        *(f"{round(n, 2) + 0.0:.2f}" for n in numbers),
        ratio,
        "yes" if row["counts"] else "no",
    ]


def baseline_line(rows: list[dict[str, Any]]) -> str:
    "The head of the board: the baseline, and how far its trainings lie apart."
    scores = scores_of(rows, "baseline")
    if len(scores) < 2:
        return f"Baseline: {len(scores)} of {SEEDS} seeds, so that the spread between trainings is not known yet."
    missing = "" if len(scores) >= SEEDS else f", {len(scores)} of {SEEDS} seeds"
    return (
        f"Baseline: mean {mean(scores):.3f}, standard deviation between trainings {stdev(scores):.3f}{missing}. "
        f"The record is held by **{record_holder(rows, stdev(scores))}**."
    )


def board(
    rows: list[dict[str, Any]],
    trials: list[dict[str, Any]],
) -> str:  # Markdown
    "The board, as benchmarks/speedrun.md has it."
    names = ["recipe", "seed", "score (95 % interval)", *GENEVAL_TASKS, "pictures", "kernel", "counts"]
    shown = (
        markdown_table(names, [_row_cells(row) for row in rows]) if rows else "There are no rows yet."
    )
    asked = ["shape, σ 1", "colour, σ 1", "shape, σ 1", "exchange, σ 1", "colour, σ 3", "relation, σ 3"]
    heads = ["recipe", "seed", "asked about", *asked, "kernel", "counts"]
    tried = markdown_table(heads, [_trial_cells(r) for r in trials]) if trials else "There are none yet."
    ideas = markdown_table(
        ["recipe", "idea", "rows", "trials"],
        [
            [name, recipe.idea, *(str(sum(r["recipe"] == name for r in own)) for own in (rows, trials))]
            for name, recipe in RECIPES.items()
        ],
    )
    features = sorted({", ".join(row["processor"]) for row in [*rows, *trials]})
    return _BOARD.format(
        budget=BUDGET,
        drift=100 * DRIFT,
        baseline=baseline_line(rows),
        rows=shown,
        trials=tried,
        ideas=ideas,
        trial_budget=TRIAL_BUDGET,
        features="; ".join(features) or "none yet",
    )


_BOARD = """# The speed board

What a small model learns to draw within {budget:,.0f} CPU-seconds, from nothing. Written by `python tools/speedrun.py --table`
from the files in `benchmarks/speedrun/`; the page *The speed of learning* of chapter 4 explains it.

{baseline}

- **Budget**: user and system time of all processes, compiling and preparing data included. Probes and scores are not counted.
- **Score**: 600 validation prompts, a hundred of each task, edition 1, one picture each, with the interval over prompts.
- **Kernel**: time of a reference kernel after the run over its time before. A row counts if it moved by less than {drift:.0f} %.
- **Record**: two seeds that count, each above the old holder's mean plus one standard deviation between trainings.
- Failures are entered too. Processor: {features}.

## Rows

{rows}

## Trials

A trial is everything but the last stage, in {trial_budget:.0f} CPU-seconds. No score: how much the denoising error rises when one word
of the caption is swapped (0: the model does not read it), first for one thing after the first stage, then for two things
at the end. It serves to sort ideas, and does not show what the last stage makes of them.

{trials}

## Ideas

{ideas}
"""


def row_file(
    folder: Path,
    name: str,  # of a recipe
    seed: int,
) -> Path:
    "Where a row or a trial is kept."
    return folder / f"{name}-{seed}.json"


def missing_rows(folder: Path) -> list[tuple[str, int]]:  # recipe, seed
    "What a whole board still lacks: three seeds of the baseline, then one of every other recipe."
    wanted = [("baseline", seed) for seed in range(SEEDS)]
    wanted += [(name, 0) for name in RECIPES if name != "baseline"]
    return [row for row in wanted if not row_file(folder, *row).is_file()]


@app.command(help=__doc__)
def main(
    names: Annotated[list[str] | None, typer.Argument(help="recipes")] = None,
    seed: Annotated[int, typer.Option(help="of weights, data and noise")] = 0,
    missing: Annotated[
        bool, typer.Option("--missing", help="all rows that the board lacks, one after another")
    ] = False,
    trial: Annotated[bool, typer.Option("--trial", help="a short run without a score")] = False,
    budget: Annotated[
        float | None, typer.Option(help="CPU-seconds; another budget is no row of the board")
    ] = None,
    prompts: Annotated[int, typer.Option(help="validation prompts of each task")] = 100,
    table: Annotated[
        bool, typer.Option("--table", help="train nothing: write the board and print it")
    ] = False,
    keep: Annotated[Path | None, typer.Option(help="keep the weights in this folder")] = None,
    out: Annotated[Path, typer.Option(help="where the JSON files are kept")] = FOLDER,
) -> None:
    "Run recipes, or list them."
    if table:
        rows, trials = read_rows(out), read_rows(out / "trials")
        content = {
            "ideas": {name: recipe.idea for name, recipe in RECIPES.items()},
            "rows": rows,
            "trials": trials,
        }
        write_atomic(weights_path() / "speedrun.json", (json.dumps(content, indent=1) + "\n").encode())
        write_atomic(out.with_suffix(".md"), board(rows, trials).encode())
        print(board(rows, trials))
    elif not names and not missing:
        print("\n".join(f"{name:18} {recipe.idea}" for name, recipe in RECIPES.items()))
    folder = out / "trials" if trial else out
    for name, own_seed in missing_rows(folder) if missing else [(name, seed) for name in names or []]:
        recipe = RECIPES[choose(name, RECIPES, "recipe")]
        plan = (
            trial_plan(recipe, budget or TRIAL_BUDGET) if trial else row_plan(recipe, budget or BUDGET)
        )
        row = run(name, own_seed, plan, 0 if trial else prompts, keep)
        file = row_file(folder, name, own_seed)
        write_atomic(file, (json.dumps(row, indent=1) + "\n").encode())
        found = f"score {row['score']['tasks']}" if row["score"] else "no score"
        print(f"{file.stem}: {found}, kernel ratio {row['kernel']['ratio']}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    app()
