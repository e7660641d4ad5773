"""Play the text-to-image GAN's game with parts of its losses left out, and write t2i_learn/weights/shapes-gan/ablation.json.

python tools/gan_ablation.py                 fifteen short trainings, one after another; goes on where it stopped
python tools/gan_ablation.py --seeds 1       one of each
python tools/gan_ablation.py --share 1/2     every second of them, for two processes side by side

Five ways to go on, three seeds each: the supervised loss alone, the game alone, both, and the last two without wrong
captions. All begin with the same generator, the one that the first round of `tools/weights.py shapes-gan` leaves (it is
trained here if it is not there yet), and have the same networks, captions, noise, rates and number of steps: from nothing,
so few steps teach none of them to draw. Each is scored on the validation prompts, and asked how much of what a caption
leaves open it has kept, among right pictures. A training's result is written when it ends, one file each, so that nothing
is lost; the table that *what the GAN has learned* shows is made of these files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import torch
import typer
from PIL import Image
from results import mean_and_sd, prompts_of, share_of
from weights import MODELS, STAGES, run_callbacks, train

from t2i_learn.core.files import save_png, write_atomic
from t2i_learn.core.callbacks import ProgressBar
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.training import fastest_precision
from t2i_learn.core.files import weights_path
from t2i_learn.core.pipeline import Pipeline
from t2i_learn.world.score import evaluate
from t2i_learn.core.show import make_image_grid, to_image, to_tensor
from t2i_learn.gan.text_to_image import GAN_ROUNDS, GANConfig, TextToImageGAN
from t2i_learn.gan.diversity import picture_diversity

WAYS: dict[str, dict[str, Any]] = {
    "supervised": {"adversarial": 0.0, "reconstruction_share": 1.0},
    "game": {"reconstruction": 0.0, "adversarial_share": 1.0},
    "game, no wrong captions": {"reconstruction": 0.0, "adversarial_share": 1.0, "mismatched": 0.0},
    "both": {},
    "both, no wrong captions": {"mismatched": 0.0},
}

FIRST = "first round"

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def config_for(way: str, steps: int) -> GANConfig:
    "The shipped model's second round, shorter and with some of its losses; its average forgets sooner."
    full = GAN_ROUNDS["full"][1]
    return replace(full, steps=steps, ema=0.99, loss=replace(full.loss, **WAYS[way]))


def first_round(runs: Path) -> Pipeline:
    "What all begin with: a generator that can rebuild pictures. Trained if it is not there."
    folder, shipped = runs / "first round", MODELS["shapes-gan"]
    if not folder.is_dir():
        config = shipped.configs["full"][0]
        rebuilt = train(
            shipped, STAGES[0], config, runs, config.pretrain(run_callbacks(runs, "reading"))
        )
        Pipeline(config.finish(rebuilt)).save_pretrained(folder)
    return Pipeline.from_pretrained(folder)


def measured(model: TextToImageGAN, prompts: int, strip: Path) -> dict[str, Any]:
    "Scores, what is left of the freedom, and a strip of pictures to look at."
    pipe = Pipeline(model)
    seen = evaluate(pipe, prompts, ("validation",))["seen"]
    shown = pipe(
        [prompt.caption for prompt in prompts_of("validation", 1)], seed=1, output_type="pt"
    ).images
    save_png(make_image_grid(shown, len(shown), gap=0), strip, {})
    free = picture_diversity(60, correct_only=True)(SimpleNamespace(model=model))
    return {"freedom": round(free, 3), "seen": seen}


def result_of(
    way: str, seed: int, steps: int, init: TextToImageGAN, run: Path, prompts: int
) -> dict[str, Any]:
    "Train, score, and ask what is left of the freedom."
    config = config_for(way, steps)
    file = run / "checkpoint.safetensors"
    precision = fastest_precision(
        config.initial_model(), config.data(), config.training_loss, checkpoint=file
    )
    learner, ema = config.learner([Checkpoint(file, 100), ProgressBar()], seed, precision, init=init)
    learner.fit(steps)
    strip = run.with_suffix(".png")
    return {
        "way": way,
        "seed": seed,
        "steps": steps,
        "prompts": prompts,
        **measured(config.finish(ema.model), prompts, strip),
    }


def summary(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    "Mean and standard deviation over seeds, for each way and task."
    table: dict[str, dict[str, Any]] = {}
    for way in (FIRST, *WAYS):
        own = [r["seen"] | {"freedom": r["freedom"]} for r in results if r["way"] == way]
        table[way] = {
            task: mean_and_sd(v, 3) for task in (own[0] if own else ()) for v in [[o[task] for o in own]]
        }
    return table


def keep_result(file: Path, prompts: int, make: Callable[[], dict[str, Any]]) -> None:
    "Write what `make` returns, unless the file is there and was measured on as many prompts."
    if not file.is_file() or json.loads(file.read_text(encoding="utf-8"))["prompts"] != prompts:
        result = make()
        write_atomic(file, (json.dumps(result) + "\n").encode())
        print(f"{file.stem}: {result['seen']['mean']:.3f}, freedom {result['freedom']:.2f}", flush=True)


@app.command()
def main(
    steps: Annotated[int, typer.Option(help="of each training")] = 300,
    seeds: Annotated[int, typer.Option(help="trainings of each kind")] = 3,
    prompts: Annotated[int, typer.Option(help="validation prompts of each task")] = 50,
    share: Annotated[
        str, typer.Option(help="k/n: the k-th of n parts of the work; the first round has to be there")
    ] = "1/1",
    runs: Annotated[Path, typer.Option(help="where results and checkpoints are kept")] = Path(
        "runs/gan_ablation"
    ),
) -> None:
    "Train what is missing, then write the table."
    part, parts = share_of(share)
    first = first_round(runs).model
    keep_result(
        runs / f"{FIRST}.json",
        prompts,
        lambda: {
            "way": FIRST,
            "seed": 0,
            "steps": 0,
            "prompts": prompts,
            **measured(first, prompts, runs / f"{FIRST}.png"),
        },
    )
    named = {
        (seed, way): f"{way}, {steps} steps, seed {seed}" for seed, way in product(range(seeds), WAYS)
    }
    for k, ((seed, way), name) in enumerate(named.items()):
        if k % parts == part - 1:
            keep_result(
                runs / f"{name}.json",
                prompts,
                partial(result_of, way, seed, steps, first, runs / name, prompts),
            )
    files = [file for name in (FIRST, *named.values()) if (file := runs / f"{name}.json").is_file()]
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    table = json.dumps({"results": found, "table": summary(found)}, indent=1) + "\n"
    write_atomic(weights_path() / "shapes-gan" / "ablation.json", table.encode())
    strips = [runs / f"{name}.png" for name in (FIRST, *(named[0, way] for way in WAYS))]
    sheet = torch.cat([to_tensor(Image.open(strip)) for strip in strips if strip.is_file()], 1)
    save_png(to_image(sheet), weights_path() / "shapes-gan" / "ablation.png", {})


if __name__ == "__main__":
    torch.set_num_threads(1)
    app()
