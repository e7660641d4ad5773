"""Score the shipped model with every sampler and write t2i_learn/weights/<model>/samplers.json, which *samplers* shows.

python tools/samplers_table.py                    goes on where it stopped
python tools/samplers_table.py --compare 0        only the look, without the long comparison

Two parts. The *look*: each sampler with 5, 7 and 10 questions to the model a picture, and some with 100 steps, on the
validation prompts. The *comparison*: the best with ten questions or fewer against the best with 100 steps, on the test
prompts. Prompts and seeds are the same for all. The result of each prompt is kept, since differences are judged prompt by
prompt; the file is written after every batch and belongs to the weights whose checksum it names.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from results import Results, bits, prompts_of, show

from t2i_learn.core.pipeline import load, paired_bootstrap, weights_path
from t2i_learn.diffusion.samplers import SAMPLERS
from t2i_learn.world.captions import Prompt

QUESTIONS = (5, 7, 10)  # to the model, a picture
CONVERGED = ("dpmpp_2m", "ddpm", "dpmpp_2m_sde")  # with 100 steps; without noise all come to the same

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def steps_for(sampler: str, questions: int) -> int:
    "Heun asks twice a step but for the last."
    return (questions + 1) // 2 if sampler == "heun" else questions


def looks() -> list[tuple[str, int]]:
    "What to try, as (sampler, steps); Euler is DDIM under another name."
    few = [(name, steps_for(name, n)) for n in QUESTIONS for name in SAMPLERS if name != "euler"]
    return few + [(name, 100) for name in CONVERGED]


class Table(Results):
    "The file, and the samplers in it."

    def sampled(self, part: str, sampler: str, steps: int, prompts: list[Prompt]) -> str:  # a 1 or 0 for each prompt
        "Draw and judge what is missing of one sampler."
        return self.run(part, f"{sampler} {steps}", prompts, partial(self.draw, sampler, steps))

    def draw(self, sampler: str, steps: int, captions: list[str], first: int) -> torch.Tensor:
        "Pictures, each from the noise of its prompt's number."
        return self.pipe(captions, first=first, output_type="pt", sampler=sampler, num_inference_steps=steps, seed=self.content["seed"]).images


@app.command()
def main(
    model: Annotated[str, typer.Option(help="a model that ships")] = "shapes-diffusion",
    look: Annotated[int, typer.Option(help="validation prompts a task in the look, 100 at most")] = 20,
    compare: Annotated[int, typer.Option(help="test prompts a task in the comparison, 400 at most; 0: none")] = 400,
    out: Annotated[Path | None, typer.Option(help="where the table goes; beside the weights if not given")] = None,
    threads: Annotated[int, typer.Option(help="threads of the processor; 0 leaves it to torch")] = 0,
) -> None:
    "Look, choose, compare."
    if threads:
        torch.set_num_threads(threads)
    began, pipe = time.perf_counter(), load(model)
    table = Table(out or weights_path() / model / "samplers.json", pipe, model, ("looked", "compared"),
                  guidance_scale=pipe.model.config["sampling"]["guidance_scale"])
    print("precision:", table.content["precision"], flush=True)
    seen, scores = prompts_of("validation", look), {}
    for sampler, steps in looks():
        passed = table.sampled("looked", sampler, steps, seen)
        scores[sampler, steps] = passed.count("1")
        show(f"look: {sampler}, {steps} steps", passed, began)
    if compare:
        confirm(table, scores, prompts_of("test", compare), began)


def confirm(table: Table, scores: dict[tuple[str, int], int], prompts: list[Prompt], began: float) -> None:
    "The best with few steps against the best with many, on the test prompts."
    tasks, chosen = [p.task for p in prompts], []
    for many in (False, True):
        chosen.append(max((key for key in scores if (key[1] >= 100) is many), key=lambda key: scores[key]))
    passed = []
    for sampler, steps in chosen:
        passed.append(table.sampled("compared", sampler, steps, prompts))
        show(f"test: {sampler}, {steps} steps", passed[-1], began)
    gap, low, high = paired_bootstrap(bits(passed[0]), bits(passed[1]), tasks)
    table.content["few"], table.content["many"] = (f"{sampler} {steps}" for sampler, steps in chosen)
    table.save()
    print(f"few - many: {gap:.4f}, 95 % interval {low:.4f} to {high:.4f}; the lower end has to be above -.02")


if __name__ == "__main__":
    app()
