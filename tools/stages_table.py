"""Score shapes-stable's two stages, together and apart, and write t2i_learn/weights/<model>/stages.json, which the page *What a draft is worth* shows.

python tools/stages_table.py                       goes on where it stopped
python tools/stages_table.py --prompts-per-task 20 a quick look

On the test prompts, which choose nothing here: level, alpha and steps are the model's own, which tools/weights.py chose on
the validation prompts, and what other levels score is shown, not taken over. That the test was opened is written into
data/prompts/opened.jsonl. All rows have the same seeds: the draft alone; the draft refined under the learned coefficient, with
2, 4, 6 and 8 questions to the denoiser and with the model's own number, from other levels, with normal noise, and at the
levels of a diffusion model without a coefficient; diffusion from pure noise with the same sampler and as many questions, at
those levels; and refinement that begins with a blank picture, with the mean and spread of all pictures, or with the draft
of another prompt.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from results import Results, bits, prompts_of, record_opening, show

from t2i_learn.core.files import data_path, weights_path
from t2i_learn.core.settings import make_request
from t2i_learn.core.pipeline import load, Pipeline
from t2i_learn.world.score import paired_bootstrap
from t2i_learn.stable.two_stage import (
    learned_refinement_grid,
    fixed_refinement_grid,
    sample_draft,
    refine_draft,
)

QUESTIONS = (2, 4, 6, 8)  # to the denoiser, a picture
LEVELS = (0.5, 1.0, 1.5, 2.5, 6.0)  # that a draft is taken up at, besides the model's own
NOISE = 1e3  # above the highest level of any schedule, which is then taken: nothing of any draft is left
Start = tuple[
    torch.Tensor, float | None
]  # drafts, and how far they are off; None: as far as the generator thinks
STARTS: dict[
    str, Callable[[torch.Tensor, Any], Start]
] = {  # (drafts, config) -> where refinement begins
    "own": lambda drafts, config: (drafts, None),
    "blank": lambda drafts, config: (torch.zeros_like(drafts), None),
    "another": lambda drafts, config: (
        drafts.roll(1, 0),
        None,
    ),  # of the prompt before, which is of another task; the first gets the batch's last
    "mean": lambda drafts, config: (
        torch.tensor(config["mean"]).view(-1, 1, 1).expand_as(drafts),
        config["std"],
    ),  # of all pictures, as diffusion begins
}


class Row(NamedTuple):
    "A way to draw."

    name: str
    steps: int
    level: float  # 0: the draft is all
    alpha: float
    start: str = "own"  # a key of STARTS
    grid: Callable[..., torch.Tensor] = learned_refinement_grid


def budgets(steps: int) -> list[int]:  # steps: the model's own
    "How many questions are tried."
    return sorted({*QUESTIONS, steps})


def rows(
    level: float, alpha: float, steps: int
) -> list[Row]:  # level, alpha and steps are the model's own
    "All that is compared."
    table = [
        Row("alone", 1, 0.0, alpha),
        *(Row(f"refined {n}", n, level, alpha) for n in budgets(steps)),
    ]
    table += [
        Row(f"from noise {n}", n, NOISE, alpha, "mean", fixed_refinement_grid) for n in budgets(steps)
    ]
    table += [Row(f"from {start}", steps, level, alpha, start) for start in ("blank", "mean", "another")]
    table += [
        Row("alpha 2", steps, level, 2.0),
        Row("alone, alpha 2", 1, 0.0, 2.0),
        Row("by schedule", steps, level, alpha, "own", fixed_refinement_grid),
    ]
    others = [at for at in LEVELS if at != level]
    table += [Row(f"level {at:g}", steps, at, alpha) for at in others]
    return table + [Row(f"another, level {at:g}", steps, at, alpha, "another") for at in others]


@torch.no_grad()
def draw(pipe: Pipeline, row: Row, captions: list[str], first: int) -> torch.Tensor:
    "Pictures of one row, each from the noise of its prompt's number."
    request = make_request(
        pipe.model.config,
        captions,
        seed=0,
        first=first,
        alpha=row.alpha,
        refine_from=row.level,
        num_inference_steps=row.steps,
    )
    cond = pipe.model.encode(captions)
    drafts, std = STARTS[row.start](sample_draft(pipe.model, request, cond), pipe.model.config)
    return (
        [*refine_draft(pipe.model, request, cond, drafts, std, row.grid)][-1].picture
        if row.level
        else drafts
    )


app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


@app.command()
def main(
    model: Annotated[str, typer.Option(help="a model of two stages that ships")] = "shapes-stable",
    prompts_per_task: Annotated[int, typer.Option(help="test prompts a task, 400 at most")] = 100,
    out: Annotated[
        Path | None, typer.Option(help="where the table goes; beside the weights if not given")
    ] = None,
    threads: Annotated[int, typer.Option(help="threads of the processor; 0 leaves it to torch")] = 0,
) -> None:
    "Draw, judge, compare."
    if threads:
        torch.set_num_threads(threads)
    began, pipe = time.perf_counter(), load(model)
    own, prompts = pipe.model.config["sampling"], prompts_of("test", prompts_per_task)
    table = Results(out or weights_path() / model / "stages.json", pipe, model, ("rows",), **own)
    passed, compared = {}, rows(own["refine_from"], own["alpha"], own["num_inference_steps"])
    if table.lacks("rows", (row.name for row in compared), prompts):
        record_opening(
            data_path("prompts") / "opened.jsonl",
            weights_path() / model / "model.safetensors",
            "the table of two stages",
        )
    for row in compared:
        passed[row.name] = table.run("rows", row.name, prompts, partial(draw, pipe, row))
        show(row.name, passed[row.name], began)
    tasks, steps = [p.task for p in prompts], own["num_inference_steps"]
    against = [
        *((steps, name) for name in ("alone", "from blank", "from mean", "from another", "by schedule")),
        *((n, f"from noise {n}") for n in budgets(steps)),
    ]
    for n, name in against:
        gap, low, high = paired_bootstrap(bits(passed[f"refined {n}"]), bits(passed[name]), tasks)
        print(f"refined {n} - {name}: {gap:.3f}, 95 % interval {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    app()
