"""Score the shipped model with every sampler and write t2i_learn/weights/<model>/samplers.json, which *samplers* shows.

python tools/samplers_table.py                    goes on where it stopped
python tools/samplers_table.py --compare 0        only the look, without the long comparison

Four parts. The *look*: each sampler with 5 to 50 questions to the model a picture, and some with 100 steps, on the
validation prompts. The *grids*: the best with ten questions or fewer on other levels, on as many validation prompts as there
are. The *etas*: DDIM with ten questions and a share of DDPM's noise, on the same prompts. The *comparison*: the best of
these, and the best with 20 questions, against the best with 100 steps, on the test prompts. Prompts and seeds are the same
for all. The result of each prompt is kept, since differences are judged prompt by prompt; the file is written after every
batch and belongs to the weights whose checksum it names.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer
from results import Results, bits, prompts_of, record_opening, show

from t2i_learn.core.files import data_path, weights_path
from t2i_learn.core.settings import make_request
from t2i_learn.core.pipeline import load
from t2i_learn.world.score import paired_bootstrap
from t2i_learn.diffusion.sampling import run_to_end, SAMPLERS
from t2i_learn.diffusion.schedules import SIGMA_SPACINGS, NoiseSchedule, sigma_grid
from t2i_learn.world.captions import Prompt

QUESTIONS = (5, 7, 10, 20, 50)  # to the model, a picture
FEW, MIDDLE, MANY = 10, 20, 100
ETAS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9)
CONVERGED = (
    "dpmpp_2m",
    "ddpm",
    "dpmpp_2m_sde",
)  # with so MANY steps; without noise all come to the same

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def steps_for(sampler: str, questions: int) -> int:
    "Heun asks twice a step but for the last."
    return (questions + 1) // 2 if sampler == "heun" else questions


class Way(NamedTuple):
    "A way to draw."

    sampler: str
    steps: int
    levels: str = "own"  # or a key of LEVELS
    eta: float | None = None  # of DDIM

    @property
    def name(self) -> str:
        "What it is called in the file."
        share = "" if self.eta is None else f" eta {self.eta:g}"
        return (
            f"{self.sampler} {self.steps}" + (f" {self.levels}" if self.levels != "own" else "") + share
        )

    @property
    def questions(self) -> int:
        "How often the model is asked."
        return 2 * self.steps - 1 if self.sampler == "heun" else self.steps


def looks() -> list[Way]:
    "What to try; Euler is DDIM under another name."
    few = [Way(name, steps_for(name, n)) for n in QUESTIONS for name in SAMPLERS if name != "euler"]
    return few + [Way(name, MANY) for name in CONVERGED]


def own_from(t_max: float) -> Callable[[NoiseSchedule, int], torch.Tensor]:
    "Equal steps of the model's own time, begun at another."
    return lambda schedule, steps: sigma_grid(replace(schedule, t_max=t_max), steps)


def between(grid: Callable[..., torch.Tensor]) -> Callable[[NoiseSchedule, int], torch.Tensor]:
    "One of GRIDS, from the model's highest level to the last that it visits in ten steps of its own."

    def levels(schedule: NoiseSchedule, steps: int) -> torch.Tensor:
        own = sigma_grid(schedule, FEW)
        return grid(steps, float(own[-2]), float(own[0]))

    return levels


LEVELS: dict[str, Callable[[NoiseSchedule, int], torch.Tensor]] = {
    "own from .9": own_from(0.9),
    "own from .85": own_from(0.85),
    **{name: between(grid) for name, grid in SIGMA_SPACINGS.items()},
}


class Table(Results):
    "The file, and the samplers in it."

    def sampled(self, part: str, way: Way, prompts: list[Prompt]) -> str:  # a 1 or 0 for each prompt
        "Draw and judge what is missing of one way."
        return self.run(part, way.name, prompts, partial(self.draw, way))

    @torch.no_grad()
    def draw(self, way: Way, captions: list[str], first: int) -> torch.Tensor:
        "Pictures, each from the noise of its prompt's number."
        model, steps = self.pipe.model, {"num_inference_steps": way.steps, "sampler": way.sampler}
        request = make_request(model.config, captions, first=first, seed=self.content["seed"], **steps)
        options = {} if way.eta is None else {"eta": way.eta}
        return run_to_end(model.trajectory(request, LEVELS.get(way.levels, sigma_grid), **options))


@app.command()
def main(
    model: Annotated[str, typer.Option(help="a model that ships")] = "shapes-diffusion",
    look: Annotated[int, typer.Option(help="validation prompts a task in the look, 100 at most")] = 20,
    compare: Annotated[
        int, typer.Option(help="test prompts a task in the comparison, 400 at most; 0: none")
    ] = 400,
    out: Annotated[
        Path | None, typer.Option(help="where the table goes; beside the weights if not given")
    ] = None,
    threads: Annotated[int, typer.Option(help="threads of the processor; 0 leaves it to torch")] = 0,
) -> None:
    "Look, choose, compare."
    if threads:
        torch.set_num_threads(threads)
    began, pipe = time.perf_counter(), load(model)
    table = Table(
        out or weights_path() / model / "samplers.json",
        pipe,
        model,
        ("looked", "grids", "etas", "compared"),
        guidance_scale=pipe.model.config["sampling"]["guidance_scale"],
    )
    print("precision:", table.content["precision"], flush=True)
    prompts = prompts_of("validation", look)
    seen = tried_on(table, "looked", looks(), prompts, began)
    if compare:
        prompts = prompts_of("validation", 100)
        tried = tried_on(
            table,
            "grids",
            [best(seen, 1, FEW)._replace(levels=levels) for levels in ("own", *LEVELS)],
            prompts,
            began,
        )
        tried |= tried_on(table, "etas", [Way("ddim", FEW, eta=eta) for eta in ETAS], prompts, began)
        chosen = {
            "few": best(tried, 1, FEW),
            "middle": best(seen, FEW + 1, MIDDLE),
            "many": best(seen, MANY, MANY),
        }
        tests = prompts_of("test", compare)
        if table.lacks("compared", (way.name for way in chosen.values()), tests):
            log, weights = (
                data_path("prompts") / "opened.jsonl",
                weights_path() / model / "model.safetensors",
            )
            record_opening(log, weights, "the comparison of samplers")
        confirm(table, chosen, tests, began)


def rated(
    table: Table, part: str, way: Way, prompts: list[Prompt], began: float
) -> str:  # a 1 or 0 for each prompt
    "Which prompts are right, with a line for the reader."
    passed = table.sampled(part, way, prompts)
    show(f"{part}: {way.name}", passed, began)
    return passed


def best(scores: dict[Way, int], least: int, most: int) -> Way:
    "The way with the most right pictures, among those with so many questions."
    return max((way for way in scores if least <= way.questions <= most), key=lambda way: scores[way])


def tried_on(
    table: Table, part: str, ways: list[Way], prompts: list[Prompt], began: float
) -> dict[Way, int]:
    "How many pictures are right."
    return {way: rated(table, part, way, prompts, began).count("1") for way in ways}


def confirm(table: Table, chosen: dict[str, Way], prompts: list[Prompt], began: float) -> None:
    "The best with few steps and with some more against the best with many, on the test prompts."
    right = {name: bits(rated(table, "compared", way, prompts, began)) for name, way in chosen.items()}
    table.content |= {name: way.name for name, way in chosen.items()}
    table.save()
    for name in ("few", "middle"):
        gap, low, high = paired_bootstrap(right[name], right["many"], [p.task for p in prompts])
        print(
            f"{name} - many: {gap:.4f}, 95 % interval {low:.4f} to {high:.4f}; no worse by .02 if the lower end is above -.02"
        )


if __name__ == "__main__":
    app()
