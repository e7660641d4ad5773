"""Train the text-to-image GAN with parts of its losses left out, and write t2i_learn/weights/gan_ablation.json.

python tools/gan_ablation.py                 fifteen small trainings, one after another; goes on where it stopped
python tools/gan_ablation.py --seeds 1       one of each
python tools/gan_ablation.py --share 1/2     every second of them, for two processes side by side

Five ways to train, three seeds each: the supervised loss alone, the game alone, both, and the last two without wrong
captions. All have the same networks, captions, noise and number of steps. Each is scored on the validation prompts, and
asked how much of what a caption leaves open it has kept. A training's result is written when it ends, one file each, so
that nothing is lost; the table that *GAN against diffusion* shows is made of these files.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import torch
import typer
from results import share_of

from t2i_learn.core.learner import Checkpoint, Progress, write_atomic
from t2i_learn.core.pipeline import Pipeline, evaluate, weights_path
from t2i_learn.gan.text_to_image import CONTESTS, Contest, contest_of, picture_freedom
from t2i_learn.text.reading import Reading

WAYS: dict[str, dict[str, Any]] = {
    "supervised": {"adversarial": 0., "rebuilt": 1.},
    "game": {"supervised": 0., "invented": 1.},
    "game, no wrong captions": {"supervised": 0., "invented": 1., "matching": 0.},
    "both": {},
    "both, no wrong captions": {"matching": 0.},
}

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def contest_for(way: str, steps: int) -> Contest:
    "The small contest of the notebook with some of its terms."
    small = CONTESTS["cpu"]
    return replace(small, steps=steps, terms=replace(small.terms, **WAYS[way]))


def result_of(way: str, seed: int, steps: int, reading: Reading, run: Path, prompts: int) -> dict[str, Any]:
    "Train, score, and ask what is left of the freedom."
    began = time.perf_counter()
    duel, ema = contest_of(contest_for(way, steps), [Checkpoint(run / "duel.safetensors", 250), Progress()], seed, reading=reading)
    duel.fit(steps)
    duel.model.load_state_dict(ema.model.state_dict())
    seen = evaluate(Pipeline(ema.model.drawing()), prompts, ("validation",))["seen"]
    return {"way": way, "seed": seed, "steps": steps, "seconds": round(time.perf_counter() - began),
            "freedom": round(picture_freedom()(duel), 3), "seen": seen}


def summary(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    "Mean and standard deviation over seeds, for each way and task."
    table: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        own = [r["seen"] | {"freedom": r["freedom"]} for r in results if r["way"] == way]
        table[way] = {task: [round(mean(v), 3), round(stdev(v), 3) if len(v) > 1 else None]
                      for task in (own[0] if own else ()) for v in [[o[task] for o in own]]}
    return table


@app.command()
def main(
    steps: Annotated[int, typer.Option(help="of each training")] = 1500,
    seeds: Annotated[int, typer.Option(help="trainings of each kind")] = 3,
    prompts: Annotated[int, typer.Option(help="validation prompts of each task")] = 50,
    share: Annotated[str, typer.Option(help="k/n: the k-th of n parts of the work")] = "1/1",
    runs: Annotated[Path, typer.Option(help="where results and checkpoints are kept")] = Path("runs/gan_ablation"),
) -> None:
    "Train what is missing, then write the table."
    part, parts = share_of(share)
    reading = CONTESTS["cpu"].taught([Checkpoint(runs / f"reading-{part}.safetensors", 50), Progress()])
    for k, (seed, way) in enumerate(product(range(seeds), WAYS)):
        file = runs / f"{way} {seed}.json"
        if k % parts == part - 1 and not file.is_file():
            result = result_of(way, seed, steps, reading, runs / file.stem, prompts)
            write_atomic(file, (json.dumps(result) + "\n").encode())
            print(f"{way}, seed {seed}: {result['seen']['mean']:.3f}, freedom {result['freedom']:.2f}")
    found = [json.loads(f.read_text(encoding="utf-8")) for f in sorted(runs.glob("*.json"))]
    write_atomic(weights_path() / "gan_ablation.json", (json.dumps({"results": found, "table": summary(found)}, indent=1) + "\n").encode())


if __name__ == "__main__":
    torch.set_num_threads(1)
    app()
