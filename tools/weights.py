"""Train the models that ship, measure them, and write their cards.

python tools/weights.py                   all that ship: hours on two cores; goes on where it stopped
python tools/weights.py shapes-gan        one, also if it does not ship yet
python tools/weights.py --preset cpu      the small models of the notebooks, in minutes
python tools/weights.py --last            only the last round of training, from the weights that ship
python tools/weights.py --no-train        only choose, measure and write the cards again

Training leaves its checkpoints and logs in runs/<model>/. What is shipped lands in t2i_learn/weights/<model>/: weights in
half precision, configuration, tokenizer, the logs of the loss, and a card with scores. All that is measured is measured
on that file: it is made in runs/<model>/made/, and copied from there. Settings are chosen on the validation prompts; the
test prompts are looked at once, at the end. A model that scores no better than the one that is there is not written over
it, unless --replace is given; the others are made all the same, and the command fails at its end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from results import fingerprint

from t2i_learn.core.learner import EMA, Callback, Checkpoint, JSONLogger, ProgressBar, fastest_precision, read_log, write_atomic
from t2i_learn.core.pipeline import Pipeline, evaluate, choose, load, read_card, distinct_words, write_card
from t2i_learn.core.show import make_figure, markdown_table
from t2i_learn.diffusion.text_to_image import AGAIN, DIFFUSION_ROUNDS, TextToImageDiffusion, text_to_image_loss, diffusion_learner
from t2i_learn.gan.losses import TextToImageGANLosses
from t2i_learn.gan.plane import GANMonitor
from t2i_learn.gan.text_to_image import GAN_ROUNDS, REBUILD, GANTrainingModel, prepare_gan_training, picture_diversity
from t2i_learn.stable.two_stage import TWO_STAGE_ROUNDS, SETTLE, TwoStageLosses, TwoStageTrainingModel, init_two_stage, two_stage_learner
from t2i_learn.text.reading import TextConditioner, TrainConfig
from t2i_learn.world.captions import CaptionedPictures, load_prompts

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS, RUNS = ROOT / "t2i_learn" / "weights", ROOT / "runs"
STAGES = ("train", "again", "third")  # the rounds of training, after "reading"


@dataclass(frozen=True)
class Workshop:
    "How a model is made."
    recipes: dict[str, Any]  # preset -> Recipe of the first round
    again: dict[str, tuple[Any, ...]]  # and of those after it, each from the average of the one before; a preset may have none
    build: Callable[[TrainConfig], Any]  # the model in training
    begin: Callable[..., tuple[Any, EMA]]  # (recipe, callbacks, seed, precision, reading=...) -> learner and average
    loss: Callable[..., Any]  # by which the precision is chosen
    keep: Callable[[Any], Any]  # of the average, what ships
    choices: tuple[dict[str, Any], ...]  # settings of sampling, to choose from
    told: dict[str, str]  # what each stage was, in words
    watch: Callable[[], list[Callback]] = list  # on every round but the first; `picture_diversity` asks for a model of one pass

    def rounds(self, preset: str) -> list[tuple[str, TrainConfig]]:
        "Name and recipe of each round."
        return list(zip(STAGES, (self.recipes[preset], *self.again.get(preset, ()))))


def once(recipes: dict[str, Any]) -> dict[str, tuple[Any]]:
    "One more round for each preset."
    return {preset: (recipe,) for preset, recipe in recipes.items()}


def invent(model: GANTrainingModel, batch: Any, generator: torch.Generator | None = None) -> Any:
    "The generator's loss, the larger part of a step."
    return TextToImageGANLosses(GAN_ROUNDS["full"].terms).g_loss(model, batch, generator)[0]


def pay(model: TwoStageTrainingModel, batch: Any, generator: torch.Generator | None = None) -> Any:
    "The larger part of a step of both stages."
    return TwoStageLosses(TWO_STAGE_ROUNDS["full"].terms, model.config["noise"], model.generator.sizes).g_loss(model, batch, generator)[0]


MODELS = {
    "shapes-diffusion": Workshop(DIFFUSION_ROUNDS, AGAIN, lambda recipe: TextToImageDiffusion(recipe.config), diffusion_learner, text_to_image_loss,
                                 lambda model: model, tuple({"guidance_scale": scale} for scale in (1.5, 2.0, 3.0, 4.0)), {
                                     "train": "Encoder, reader and denoiser learned to draw",
                                     "again": "A second round went on from the average of the first, with a lesson that has more of what was hard",
                                     "third": "A third went on from the average of the second, with another lesson"}),
    "shapes-gan": Workshop(REBUILD, once(GAN_ROUNDS), lambda contest: GANTrainingModel(contest.config), prepare_gan_training, invent,
                           lambda model: model.drawing(), (), {
                               "train": "Then they, the generator and its inverse learned to rebuild true pictures",
                               "again": "Then the game began, on top of the same supervised loss"},
                           lambda: [GANMonitor(picture_diversity(), every=250)]),
    "shapes-stable": Workshop(SETTLE, once(TWO_STAGE_ROUNDS), lambda recipe: init_two_stage(recipe.config), two_stage_learner, pay,
                              lambda model: model.drawing(), tuple({"refine_from": level} for level in (1.0, 1.5, 2.5)), {
                                  "train": "The generator of shapes-gan settled in with the encoder and the denoiser of shapes-diffusion, and shapes-gan as its teacher",
                                  "again": "Then generator, denoiser and coefficient were trained jointly"}),
}

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def vocabulary() -> list[str]:
    "The words of the captions in training."
    stream = CaptionedPictures(64, side=8)
    return distinct_words(caption for step in range(40) for caption in stream(step).captions)


def kept(run: Path, stage: str, every: int = 250) -> list[Callback]:
    "Checkpoints and a log of one stage of training, and a bar."
    return [Checkpoint(run / f"{stage}.safetensors", every), JSONLogger(run / f"{stage}.jsonl", 50), ProgressBar()]


def train(
    shop: Workshop,
    stage: str,  # one of STAGES
    recipe: TrainConfig,
    run: Path,  # folder of checkpoints and logs
    before: TextConditioner,  # what the round begins with
) -> TextConditioner:  # the averaged model
    "Train a round, or go on training it."
    torch.manual_seed(0)
    precision = fastest_precision(shop.build(recipe), recipe.data(), shop.loss, checkpoint=run / f"{stage}.safetensors")
    callbacks = kept(run, stage) + ([] if stage == STAGES[0] else shop.watch())
    learner, ema = shop.begin(recipe, callbacks, STAGES.index(stage), precision, reading=before)
    learner.fit(recipe.steps)
    return ema.model


def made(shop: Workshop, name: str, preset: str, run: Path, last: bool) -> Pipeline:
    "A model, trained round by round; with `last` only the last, from the shipped weights."
    rounds = shop.rounds(preset)
    model: Any = load(name).model.requires_grad_() if last else rounds[0][1].taught(kept(run, "reading"))
    for stage, recipe in rounds[-1:] if last else rounds:
        model = train(shop, stage, recipe, run, model)
    model = shop.keep(model)
    model.config = model.config | {"words": vocabulary()}
    return Pipeline(model, name)


def choose_settings(pipe: Pipeline, choices: Iterable[dict[str, Any]], prompts_per_task: int) -> dict[str, float]:
    "The score of each choice of settings on the validation prompts; the best become the model's own."
    scored = [(evaluate(pipe, prompts_per_task, ("validation",), **choice)["seen"]["mean"], choice) for choice in choices]
    if scored:
        best = max(scored, key=lambda pair: pair[0])[1]
        pipe.model.config["sampling"] = pipe.model.config["sampling"] | best
    return {", ".join(f"{name} {value:g}" for name, value in choice.items()): score for score, choice in scored}


def table(report: dict[str, Any]) -> str:
    "Scores as a Markdown table, one row a split."
    rows = {"seen": report["seen"], **report["held_out"]}
    errors = {"seen": report["standard_error"]["seen"], **report["standard_error"]["held_out"]}
    tasks = [task for task in report["seen"] if task != "mean"]
    tasks += [task for row in report["held_out"].values() for task in row if task not in [*tasks, "mean"]]
    tasks.append("mean")
    cells = {split: [f"{row[t]:.2f} ± {errors[split][t]:.2f}" if t in row else "" for t in tasks] for split, row in rows.items()}
    return markdown_table(["split", *tasks], [[split, *line] for split, line in cells.items()])


def draw_losses(logs: list[list[dict[str, Any]]], path: Path) -> None:
    "The loss over the steps of all rounds, as a picture beside the card."
    fig, done = make_figure(5, 2), 0
    ax = fig.subplots()
    for log in logs:
        ax.plot([done + row["step"] for row in log], [row["loss"] for row in log], color="#0072B2")
        done += log[-1]["step"]
    ax.set(xlabel="step", ylabel="loss", yscale="log")
    fig.savefig(path, bbox_inches="tight", metadata={"Software": None})


def taken(steps: int, batch_size: int, log: list[dict[str, Any]]) -> str:
    "What one stage of training took, in words."
    return f"{steps:,} steps of {batch_size}, {log[-1]['seconds'] / 60:.0f} minutes, loss {log[-1]['loss']:.3f} at the end"


def told(shop: Workshop, stage: str, recipe: TrainConfig, log: list[dict[str, Any]]) -> str:
    "A sentence about a stage of training."
    if stage == "reading":
        return f"Encoder and reader learned to read from pictures of 8×8 ({taken(recipe.reading, 4 * recipe.batch_size, log)})."
    return f"{shop.told[stage]} ({taken(recipe.steps, recipe.batch_size, log)})."


def card(name: str, stages: list[str], chosen: dict[str, float], report: dict[str, Any]) -> str:
    "The card's text."
    choice = f"Settings chosen on the validation prompts ({'; '.join(f'{k}: {v:.3f}' for k, v in chosen.items())}). "
    steps = f", {report['steps']} steps" if report["steps"] > 1 else ""
    return f"""# {name}

Draws the world of shapes at 32×32 from a caption. Trained by `python tools/weights.py {name}`, on captioned pictures of the
seen split that were drawn as they were needed. {" ".join(stages)}

![The loss over the steps of training, falling.](loss.png)

{choice if chosen else ""}On the test prompts, one picture a prompt, {report['prompts_per_task']} prompts a task at most{steps}
(rate ± standard error):

{table(report)}

The mean of *seen* is over GenEval's six tasks. Chance: {report['chance']['noise']['seen']['mean']:.2f} for pictures of
noise, {report['chance']['shuffled']['seen']['mean']:.2f} for right pictures of other captions of the same task.
"""


def logs_of(run: Path, folder: Path) -> dict[str, list[dict[str, Any]]]:
    "The log of each stage, of this run or, where it did not run, of the weights that ship."
    where = {stage: next((p for p in (run / f"{stage}.jsonl", folder / f"{stage}.jsonl") if p.is_file()), None)
             for stage in ("reading", *STAGES)}
    logs = {stage: read_log(path) for stage, path in where.items() if path}
    return {stage: log for stage, log in logs.items() if log}  # a preset may have no reading


def from_file(pipe: Pipeline, folder: Path) -> Pipeline:
    "Write a model in half precision and load it again: what is measured is what the file holds."
    pipe.save_pretrained(folder, torch.float16)
    loaded = Pipeline.from_pretrained(folder)
    loaded.name = pipe.name
    return loaded


def beats(report: dict[str, Any], folder: Path) -> bool:
    "Say how a model scores beside the one that is there; whether it is better, or there is none."
    new, old = report["seen"]["mean"], read_card(folder).get("scores", {}).get("seen", {}).get("mean")
    print(f"{report['model']}: mean of the seen tasks {new:.3f}, before {'nothing' if old is None else f'{old:.3f}'}")
    return old is None or new > old


def document(
    name: str,  # one of MODELS
    preset: str,
    folder: Path,  # where its weights are
    logs: dict[str, list[dict[str, Any]]],  # of each stage
    chosen: dict[str, float],  # from `choose`
    report: dict[str, Any],  # from `evaluate`
) -> None:
    "Put the logs of the loss, their picture and the card beside a model's weights."
    shop, recipes = MODELS[name], dict(MODELS[name].rounds(preset))
    for stage, log in logs.items():
        (folder / f"{stage}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log), encoding="utf-8")
    draw_losses([logs[stage] for stage in STAGES if stage in logs], folder / "loss.png")
    stages = [told(shop, stage, recipes[stage if stage in recipes else STAGES[0]], log) for stage, log in logs.items()]
    facts = {"license": "mit", "sha256": fingerprint(folder / "model.safetensors"), "scores": report}
    write_card(folder, facts, card(report["model"], stages, chosen, report))


def put_in_place(new: Path, folder: Path) -> None:
    "Copy a model's files, the card last: a copy that was cut short is one whose card has another checksum."
    for file in sorted(new.iterdir(), key=lambda file: file.name == "README.md"):
        write_atomic(folder / file.name, file.read_bytes())


def ship(name: str, pipe: Pipeline, preset: str, run: Path, prompts_per_task: int, replace: bool) -> bool:
    "Choose, measure, and write what ships if it is better; whether this model is the one that ships now."
    folder, new = WEIGHTS / pipe.name, run / "made"
    pipe = from_file(pipe, new)
    if read_card(folder).get("sha256") == fingerprint(new / "model.safetensors") and not replace:
        print(f"{pipe.name}: these weights ship already.")
        return True
    chosen = choose_settings(pipe, MODELS[name].choices, max(1, prompts_per_task // 2))
    pipe = from_file(pipe, new)  # with the settings that were chosen
    report = evaluate(pipe, prompts_per_task, progress=True)
    if not beats(report, folder) and not replace:
        print(f"Not better than what is there: it stays in {new}. Give --replace to write it all the same.")
        return False
    document(name, preset, new, logs_of(run, folder), chosen, report)
    put_in_place(new, folder)
    return True


@app.command()
def main(
    names: Annotated[list[str] | None, typer.Argument(help="models; all that ship if none is named")] = None,
    preset: Annotated[str, typer.Option(help="smoke, cpu or full")] = "full",
    last: Annotated[bool, typer.Option("--last", help="only the last round, from the weights that ship")] = False,
    train_it: Annotated[bool, typer.Option("--train/--no-train", help="train, or only measure the shipped file")] = True,
    prompts_per_task: Annotated[int, typer.Option(help="prompts of each task in the score")] = 100,
    replace: Annotated[bool, typer.Option(help="write over a better model")] = False,
    threads: Annotated[int, typer.Option(help="threads of the processor; 0 leaves it to torch")] = 0,
) -> None:
    "Train, choose, measure, write."
    if threads:
        torch.set_num_threads(threads)
    load_prompts("validation", 1)  # better to miss a file now than after hours
    shipped = [name for name in MODELS if (WEIGHTS / name).is_dir()]
    left = []
    for name in [choose(name, MODELS, "model") for name in names or shipped]:
        own = name if preset == "full" else f"{name}-{preset}"
        pipe = made(MODELS[name], name, preset, RUNS / own, last) if train_it else load(own)
        pipe.name = own
        if not ship(name, pipe, preset, RUNS / own, prompts_per_task, replace or not train_it):
            left.append(own)
    if left:
        raise SystemExit(f"Not written, since no better than what is there: {', '.join(left)}")


if __name__ == "__main__":
    app()
