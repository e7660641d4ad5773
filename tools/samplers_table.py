"""Score the shipped model with every sampler and write t2i_learn/weights/<model>/samplers.json, which *samplers* shows.

python tools/samplers_table.py                    goes on where it stopped
python tools/samplers_table.py --compare 0        only the look, without the long comparison

Two parts. The *look*: each sampler with 5, 7 and 10 questions to the model a picture, and some with 100 steps, on the
validation prompts. The *comparison*: the best with ten questions or fewer against the best with 100 steps, on the test
prompts. Prompts and seeds are the same for all. The result of each prompt is kept, since differences are judged prompt by
prompt; the file is written after every batch and belongs to the weights whose checksum it names.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from tqdm import tqdm

from t2i_learn.core.learner import write_atomic
from t2i_learn.core.pipeline import Pipeline, load, paired_bootstrap, weights_path
from t2i_learn.diffusion.samplers import SAMPLERS
from t2i_learn.world.captions import GENEVAL, Prompt, load_prompts
from t2i_learn.world.oracle import judge

QUESTIONS = (5, 7, 10)  # to the model, a picture
CONVERGED = ("dpmpp_2m", "ddpm", "dpmpp_2m_sde")  # with 100 steps; without noise all come to the same
BATCH = 50

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def steps_for(sampler: str, questions: int) -> int:
    "Heun asks twice a step but for the last."
    return (questions + 1) // 2 if sampler == "heun" else questions


def looks() -> list[tuple[str, int]]:
    "What to try, as (sampler, steps); Euler is DDIM under another name."
    few = [(name, steps_for(name, n)) for n in QUESTIONS for name in SAMPLERS if name != "euler"]
    return few + [(name, 100) for name in CONVERGED]


def prompts_of(name: str, count: int) -> list[Prompt]:
    "So many prompts of each of GenEval's tasks in turn: more of them leave the first ones where they are."
    prompts = load_prompts(name, count)
    return [p for row in zip(*([p for p in prompts if p.task == task] for task in GENEVAL), strict=True) for p in row]


def precision(name: str) -> AbstractContextManager[Any]:
    "Autocast to bf16, or nothing."
    return torch.autocast("cpu", torch.bfloat16, enabled=name == "bf16")


def faster(pipe: Pipeline) -> str:
    "The precision in which a batch is drawn sooner, by trying."
    seconds = {}
    for name in ("fp32", "bf16"):
        for steps in (1, 3):  # the first call warms up
            began = time.perf_counter()
            with precision(name):
                pipe("a red heart", num_images_per_prompt=BATCH, num_inference_steps=steps, seed=0, output_type="pt")
            seconds[name] = time.perf_counter() - began
    return min(seconds, key=lambda name: seconds[name])


class Table:
    "The file, and the runs in it."

    def __init__(self, path: Path, pipe: Pipeline, model: str):
        weights = hashlib.sha256((weights_path() / model / "model.safetensors").read_bytes()).hexdigest()[:16]
        self.path, self.pipe = path, pipe
        self.content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if self.content.get("weights") != weights:
            own = pipe.model.config["sampling"]
            self.content = {"model": model, "weights": weights, "guidance_scale": own["guidance_scale"], "seed": 0,
                            "precision": faster(pipe), "tasks": list(GENEVAL), "looked": {}, "compared": {}}

    def save(self) -> None:
        "Write the file, whole or not at all."
        write_atomic(self.path, (json.dumps(self.content, indent=1) + "\n").encode())

    def run(self, part: str, sampler: str, steps: int, prompts: list[Prompt]) -> str:
        "Draw and judge what is missing; a 1 or 0 for each prompt."
        runs, key = self.content[part], f"{sampler} {steps}"
        bar = tqdm(total=len(prompts), initial=len(runs.get(key, "")), desc=f"{part}: {key}", leave=False)
        while len(done := runs.get(key, "")) < len(prompts):
            batch = prompts[len(done) : len(done) + BATCH]
            verdicts = judge(partial(self.draw, sampler, steps, len(done)), batch, BATCH)
            runs[key] = done + "".join(str(int(ok)) for ok, _ in verdicts)
            self.save()
            bar.update(len(batch))
        bar.close()
        return runs[key][: len(prompts)]

    def draw(self, sampler: str, steps: int, done: int, captions: list[str], first: int) -> torch.Tensor:
        "Pictures, each from the noise of its prompt's number."
        settings = {"sampler": sampler, "num_inference_steps": steps, "seed": self.content["seed"]}
        with precision(self.content["precision"]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.pipe(captions, first=done + first, output_type="pt", **settings).images.float()


def bits(passed: str) -> list[bool]:
    "The results as booleans."
    return [mark == "1" for mark in passed]


def show(label: str, passed: str, began: float) -> None:
    "A line for a run."
    print(f"{label:<32} {sum(bits(passed)) / len(passed):.3f}   {time.perf_counter() - began:.0f} s", flush=True)


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
    began, table = time.perf_counter(), Table(out or weights_path() / model / "samplers.json", load(model), model)
    print("precision:", table.content["precision"], flush=True)
    seen, scores = prompts_of("validation", look), {}
    for sampler, steps in looks():
        passed = table.run("looked", sampler, steps, seen)
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
        passed.append(table.run("compared", sampler, steps, prompts))
        show(f"test: {sampler}, {steps} steps", passed[-1], began)
    gap, low, high = paired_bootstrap(bits(passed[0]), bits(passed[1]), tasks)
    table.content["few"], table.content["many"] = (f"{sampler} {steps}" for sampler, steps in chosen)
    table.save()
    print(f"few - many: {gap:.4f}, 95 % interval {low:.4f} to {high:.4f}; the lower end has to be above -.02")


if __name__ == "__main__":
    app()
