"""Fine-tune a text-to-image model so that it is given mask and known part, and save it in runs/inpainting/model.

python tools/inpainting.py                   800 steps from shapes-diffusion; goes on where it stopped
python tools/inpainting.py --steps 4         a try, with --runs somewhere else
python tools/inpainting.py --model FOLDER    from another model of the family diffusion

Checkpoints and the log of the loss lie in runs/inpainting/. tools/edits.py measures the model beside the ways that need no
training.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from t2i_learn.core.callbacks import JSONLogger, ProgressBar
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.pipeline import Pipeline, load
from t2i_learn.core.training import fastest_precision
from t2i_learn.diffusion.text_to_image import COUNT_MIX
from t2i_learn.editing.inpainting import InpaintingConfig, add_mask_channels

CONFIG = InpaintingConfig(mix=COUNT_MIX)


def fine_tune(
    model: str,  # a name or a folder
    config: InpaintingConfig,
    runs: Path,  # of checkpoints and logs
    every: int,  # steps between checkpoints
) -> Pipeline:
    "Train, or go on training."
    base = load(model, "cpu").model
    config = replace(config, config=base.config | {"family": "inpainting"})
    init = add_mask_channels(base).requires_grad_()
    file = runs / "train.safetensors"
    precision = fastest_precision(init, config.data(), config.training_loss, checkpoint=file)
    callbacks = [Checkpoint(file, every), JSONLogger(runs / "train.jsonl", 25), ProgressBar()]
    learner, ema = config.learner(callbacks, precision=precision, init=init)
    learner.fit(config.steps)
    return Pipeline(config.finish(ema.model), "inpainting")


def main(
    model: Annotated[str, typer.Option(help="to begin with")] = "shapes-diffusion",
    steps: Annotated[int, typer.Option(min=1, help="of training")] = CONFIG.steps,
    batch_size: Annotated[int, typer.Option(min=1, help="pictures a step")] = CONFIG.batch_size,
    every: Annotated[int, typer.Option(min=1, help="steps between checkpoints")] = 100,
    runs: Annotated[Path, typer.Option(help="where all is kept")] = Path("runs/inpainting"),
) -> None:
    "Fine-tune and save."
    config = replace(
        CONFIG, steps=steps, batch_size=batch_size, warmup=min(CONFIG.warmup, max(1, steps // 4))
    )
    fine_tune(model, config, runs, every).save_pretrained(runs / "model")
    print(f"saved in {runs / 'model'}")


if __name__ == "__main__":
    typer.run(main)
