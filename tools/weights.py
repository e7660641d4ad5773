"""Train the models that ship, measure them, and write their cards.

python tools/weights.py                   hours on two cores; goes on where it stopped
python tools/weights.py --preset cpu      the small model of the notebook, in minutes
python tools/weights.py --no-train        only choose, measure and write the card again

Training leaves its checkpoint and log in runs/<model>/. What is shipped lands in t2i_learn/weights/<model>/: weights in
half precision, configuration, tokenizer, the log of the loss, and a card with scores. Guidance is chosen on the
validation prompts; the test prompts are looked at once, at the end. A model that scores no better than the one that is
there is not written over it, unless --replace is given.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from t2i_learn.core.learner import EMA, Callback, Checkpoint, Log, Progress, fastest_precision, read_log
from t2i_learn.core.pipeline import Pipeline, evaluate, load, read_card, words_of, write_card
from t2i_learn.core.show import figure
from t2i_learn.diffusion.text_to_image import (
    AGAIN,
    RECIPES,
    TextToImage,
    text_to_image_loss,
    trainer,
)
from t2i_learn.text.reading import Reading, Recipe
from t2i_learn.world.captions import Captioned, load_prompts

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS, RUNS = ROOT / "t2i_learn" / "weights", ROOT / "runs"
SCALES = (1.5, 2.0, 3.0, 4.0)
STAGES = ("reading", "train", "again")

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def vocabulary() -> list[str]:
    "The words of the captions in training."
    stream = Captioned(64, side=8)
    return words_of(caption for step in range(40) for caption in stream(step).captions)


def precision_for(recipe: Recipe, checkpoint: Path) -> str:
    "The faster precision of this machine, or the one a checkpoint was made with."
    torch.manual_seed(0)
    return fastest_precision(TextToImage(recipe.config), recipe.data(), text_to_image_loss, checkpoint=checkpoint)


def kept(run: Path, stage: str, every: int = 250) -> list[Callback]:
    "Checkpoints and a log of one stage of training, and a bar."
    return [Checkpoint(run / f"{stage}.safetensors", every), Log(run / f"{stage}.jsonl", 50), Progress()]


def train(
    recipe: Recipe,
    run: Path,  # folder of checkpoints and logs
    stage: str = "train",  # their name; its noise and pictures are those of its place in `STAGES`
    before: Reading | None = None,  # what the stage begins with; None: what has learned to read
) -> TextToImage:  # the averaged model
    "Train, or go on training."
    reading = before or recipe.taught(kept(run, "reading"))
    precision = precision_for(recipe, run / f"{stage}.safetensors")
    seed = STAGES.index(stage) - 1
    learner, ema = trainer(recipe, kept(run, stage), seed, precision, reading=reading)
    learner.fit(recipe.steps)
    return averaged(ema)


def averaged(ema: EMA) -> TextToImage:
    "The model to ship: the average, and in its configuration the words that it was taught."
    model = ema.model
    assert isinstance(model, TextToImage)
    model.config = model.config | {"words": vocabulary()}
    return model


def choose(pipe: Pipeline, prompts_per_task: int) -> dict[str, float]:
    "The score of each guidance scale on the validation prompts; the best becomes the model's own."
    scores = {scale: evaluate(pipe, prompts_per_task, ("validation",), guidance_scale=scale)["seen"]["mean"]
              for scale in SCALES}
    best = max(scores, key=lambda scale: scores[scale])
    pipe.model.config["sampling"] = pipe.model.config["sampling"] | {"guidance_scale": best}
    return {f"{scale:g}": score for scale, score in scores.items()}


def table(report: dict[str, Any]) -> str:
    "Scores as a Markdown table, one row a split."
    rows = {"seen": report["seen"], **report["held_out"]}
    errors = {"seen": report["standard_error"]["seen"], **report["standard_error"]["held_out"]}
    tasks = [task for task in report["seen"] if task != "mean"]
    tasks += [task for row in report["held_out"].values() for task in row if task not in [*tasks, "mean"]]
    lines = ["| split | " + " | ".join([*tasks, "mean"]) + " |", "|---" * (len(tasks) + 2) + "|"]
    for split, row in rows.items():
        cells = [f"{row[t]:.2f} ± {errors[split][t]:.2f}" if t in row else "" for t in [*tasks, "mean"]]
        lines.append(f"| {split} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw_losses(log: list[dict[str, Any]], path: Path) -> None:
    "The loss over the steps, as a picture beside the card."
    fig = figure(5, 2)
    ax = fig.subplots()
    ax.plot([row["step"] for row in log], [row["loss"] for row in log], color="#0072B2")
    ax.set(xlabel="step", ylabel="loss", yscale="log")
    fig.savefig(path, bbox_inches="tight", metadata={"Software": None})


def taken(steps: int, batch_size: int, log: list[dict[str, Any]]) -> str:
    "What one stage of training took, in words."
    return f"{steps:,} steps of {batch_size}, {log[-1]['seconds'] / 60:.0f} minutes, loss {log[-1]['loss']:.3f} at the end"


def card(name: str, recipe: Recipe, logs: dict[str, Any], chosen: dict[str, float], report: dict[str, Any]) -> str:
    "The card's text."
    return f"""# {name}

Draws the world of shapes at 32×32 from a caption. Trained by `python tools/weights.py`, seed 0, on captioned pictures of
the seen split that were drawn as they were needed. Encoder and reader learned to read from pictures of 8×8
({taken(recipe.reading, 4 * recipe.batch_size, logs["reading"])}); then they and the denoiser learned to draw
({taken(recipe.steps, recipe.batch_size, logs["train"])}).

![The loss over the steps of training, falling.](loss.png)

Guidance chosen on the validation prompts ({', '.join(f'{k}: {v:.3f}' for k, v in chosen.items())}). On the test prompts,
one picture a prompt, {report['prompts_per_task']} prompts a task at most, {report['steps']} steps (rate ± standard error):

{table(report)}

The mean of *seen* is over GenEval's six tasks. Chance: {report['chance']['noise']['seen']['mean']:.2f} for pictures of
noise, {report['chance']['shuffled']['seen']['mean']:.2f} for right pictures of other captions of the same task.
"""


def ship(name: str, pipe: Pipeline, recipe: Recipe, run: Path, prompts_per_task: int, replace: bool) -> None:
    "Choose, measure, and write what ships."
    logs, folder = {stage: read_log(run / f"{stage}.jsonl") for stage in ("reading", "train")}, WEIGHTS / name
    chosen = choose(pipe, max(1, prompts_per_task // 2))
    pipe.name = name
    report = evaluate(pipe, prompts_per_task, progress=True)
    old = read_card(folder).get("scores", {}).get("seen", {}).get("mean", 0.0)
    print(f"mean of the seen tasks: {report['seen']['mean']:.3f}, before: {old:.3f}")
    if report["seen"]["mean"] <= old and not replace:
        raise SystemExit("Not better than what is there: nothing was written. Give --replace to write it all the same.")
    pipe.save_pretrained(folder, torch.float16)
    for stage, log in logs.items():
        (folder / f"{stage}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log), encoding="utf-8")
    draw_losses(logs["train"], folder / "loss.png")
    write_card(folder, {"license": "mit", "scores": report}, card(name, recipe, logs, chosen, report))


@app.command()
def main(
    preset: Annotated[str, typer.Option(help="smoke, cpu or full")] = "full",
    train_it: Annotated[bool, typer.Option("--train/--no-train", help="train, or only measure the shipped file")] = True,
    prompts_per_task: Annotated[int, typer.Option(help="prompts of each task in the score")] = 100,
    replace: Annotated[bool, typer.Option(help="write over a better model")] = False,
    threads: Annotated[int, typer.Option(help="threads of the processor; 0 leaves it to torch")] = 0,
) -> None:
    "Train, choose, measure, write."
    if threads:
        torch.set_num_threads(threads)
    name = "shapes-diffusion" if preset == "full" else f"shapes-diffusion-{preset}"
    run, recipe = RUNS / name, RECIPES[preset]
    load_prompts("validation", 1)  # better to miss a file now than after hours
    pipe = Pipeline(train(recipe, run)) if train_it else load(name)
    ship(name, pipe, recipe, run if train_it else WEIGHTS / name, prompts_per_task, replace or not train_it)


if __name__ == "__main__":
    app()
