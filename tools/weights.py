"""Train the models that ship, measure them, and write their cards.

python tools/weights.py                   all that ship: hours on two cores; goes on where it stopped
python tools/weights.py shapes-gan        one, also if it does not ship yet
python tools/weights.py shapes-clip       the model that scores pictures against captions
python tools/weights.py shapes-diffusion-64   the world of shapes at 64×64; tools/compare.py sets it beside the model at 32×32
python tools/weights.py emoji-diffusion   the model that draws emoji, at 64×64; chosen by the error on the validation split
python tools/weights.py shapes-captioner  the model that describes pictures; tools/captioner.py measures it
python tools/weights.py --preset cpu      the small models of the notebooks, in minutes
python tools/weights.py --last            only the last round of training, from the weights that ship
python tools/weights.py --no-train        only choose, measure and write the cards again
python tools/weights.py --edition 2       measure on another edition of the test, which data/make_prompts.py made

Training leaves its checkpoints and logs in runs/<model>/. What is shipped lands in t2i_learn/weights/<model>/: weights in
half precision, configuration, tokenizer, the logs of the loss, and a card with scores. All that is measured is measured
on that file: it is made in runs/<model>/made/, and copied from there. Settings, and whether a model ships, are chosen on the
validation prompts of the edition. The settings that win are measured again on other noises, beside the model that is in the
place: one that is no better is not written over it, unless --replace is given. Only then are the test prompts drawn, once,
and that is written into data/prompts/opened.jsonl.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace as with_changes
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import torch
import typer
from captioner import calibrate, measure, scaled, validation_score as caption_score, write_measured
from results import callbacks_of, describe_looks, fingerprint, record_opening

from t2i_learn.core.callbacks import ProgressBar, read_log
from t2i_learn.core.files import choose, read_json, write_atomic
from t2i_learn.core.learner import Callback
from t2i_learn.core.pipeline import (
    complete_card,
    distinct_words,
    load,
    Pipeline,
    read_card,
    StoredModel,
    write_card,
)
from t2i_learn.core.show import make_figure, markdown_table
from t2i_learn.core.training import fastest_precision
from t2i_learn.diffusion.text_to_image import DIFFUSION_ROUNDS, DiffusionConfig
from t2i_learn.gan.diversity import picture_diversity
from t2i_learn.gan.learner import GANMonitor
from t2i_learn.gan.text_to_image import GAN_ROUNDS
from t2i_learn.core.settings import family_of, read_config
from t2i_learn.language.captioner import CAPTIONER_ROUNDS
from t2i_learn.language.binding import encode_swap_test, make_swap_test, swap_accuracy
from t2i_learn.language.contrastive import (
    CONTRASTIVE_ROUNDS,
    ContrastiveConfig,
    ContrastiveModel,
    retrieval_pool,
    retrieval_report,
    SceneMix,
    ScorePipeline,
)
from t2i_learn.pictures.training import plan_training, train_model
from t2i_learn.stable.two_stage import TWO_STAGE_ROUNDS
from t2i_learn.text.layout import TextToImageConfig
from t2i_learn.world.captions import CaptionedScenes, load_prompts, Prompt
from t2i_learn.world.comparisons import full_report, score_table
from t2i_learn.world.score import evaluate, sets_of_edition
from t2i_learn.world.wording import all_wordings

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS, RUNS = ROOT / "t2i_learn" / "weights", ROOT / "runs"
OPENED = ROOT / "data" / "prompts" / "opened.jsonl"
STAGES = ("train", "again", "third")  # the rounds of training, after "reading"


@dataclass(frozen=True)
class ShippedModel:
    "How a model that ships is made: its family's rounds of training, and what else is chosen for it."

    configs: Mapping[
        str, tuple[TextToImageConfig, ...]
    ]  # preset -> rounds, each from the average of the one before
    choices: tuple[dict[str, Any], ...]  # settings of sampling, to choose from
    words: dict[str, str]  # what each stage was, for the card
    watch: Callable[[], list[Callback]] = list  # on every round but the first
    built_on: tuple[str, ...] = ()  # names of models whose weights it begins with
    limits: str = ""  # sentences of the card on parts that do little

    def rounds(self, preset: str) -> list[tuple[str, TextToImageConfig]]:
        "Name and configuration of each round."
        return list(zip(STAGES, self.configs[preset]))


def twice_as_large(config: DiffusionConfig) -> DiffusionConfig:
    "The same round for 64 pixels: 2×2 patches in front of the network, and twice the noise, which then hides as much."
    old = config.config
    new = {
        "side": 2 * old["side"],
        "shift": 2 * old["shift"],
        "unet": old["unet"] | {"patch": 2},
        "layout": old["layout"] | {"cell": 8},
    }
    windows = tuple((2 * width, 2 * height) for width, height in config.mix.windows)
    return with_changes(
        config,
        config=old | new,
        mix=with_changes(config.mix, windows=windows),
        sigmas=with_changes(config.sigmas, quantile=lambda u: 2 * config.sigmas.quantile(u)),
    )


DIFFUSION_WORDS = {
    "train": "Encoder, reader and denoiser learned to draw",
    "again": "A second round went on from the average of the first, with a lesson that has more of what was hard",
    "third": "A third went on from the average of the second, with another lesson",
}
GUIDANCE = tuple({"guidance_scale": scale} for scale in (1.5, 2.0, 3.0, 4.0))

MODELS = {
    "shapes-diffusion": ShippedModel(DIFFUSION_ROUNDS, GUIDANCE, DIFFUSION_WORDS),
    "shapes-diffusion-64": ShippedModel(
        {preset: tuple(map(twice_as_large, own)) for preset, own in DIFFUSION_ROUNDS.items()},
        GUIDANCE,
        DIFFUSION_WORDS,
    ),
    "shapes-gan": ShippedModel(
        GAN_ROUNDS,
        (),
        {
            "train": "Then they, the generator and its inverse learned to rebuild true pictures",
            "again": "Then the game began, on top of the same supervised loss",
        },
        lambda: [GANMonitor(picture_diversity(), every=250)],
    ),
    "shapes-stable": ShippedModel(
        TWO_STAGE_ROUNDS,
        tuple({"refine_from": level} for level in (1.0, 1.5, 2.5)),
        {
            "train": "The generator of shapes-gan settled in with the encoder and the denoiser of shapes-diffusion, and shapes-gan as its teacher",
            "again": "Then generator, denoiser and coefficient were trained jointly",
        },
        built_on=("shapes-gan", "shapes-diffusion"),
        limits="In the joint round the denoiser receives one ten-thousandth of the bound's gradient. The round ends while its loss still falls, so the ends of the coefficient have not converged. Between them the coefficient is straight to within 0.21, over a range of 7.3. The joint round did not raise the score.",
    ),
    "shapes-captioner": ShippedModel(
        CAPTIONER_ROUNDS,
        (),
        {
            "train": "Encoder and decoder learned to describe rendered pictures, most of them soft or noisy"
        },
    ),
}

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def vocabulary(
    config: TextToImageConfig,  # of a round
) -> list[str]:
    "The words of the captions in training; those that people type too, where the mix has them."
    stream = CaptionedScenes(64, side=8)
    words = distinct_words(caption for step in range(40) for caption in stream(step).captions)
    return sorted({*words, *(all_wordings() if "free" in config.mix.task_weights else ())})


def run_callbacks(run: Path, stage: str, every: int = 250) -> list[Callback]:
    "Checkpoints and a log of one stage of training, and a bar."
    return [*callbacks_of(run, stage, every, 50), ProgressBar()]


def train(
    shipped: ShippedModel,
    stage: str,  # one of STAGES
    config: TextToImageConfig,
    run: Path,  # folder of checkpoints and logs
    init: torch.nn.Module,  # what the round begins with
) -> torch.nn.Module:  # the averaged model
    "Train a round, or go on training it."
    seed = STAGES.index(stage)
    fresh, _ = config.learner(seed=seed)
    precision = fastest_precision(
        fresh.model, config.data(), config.training_loss, checkpoint=run / f"{stage}.safetensors"
    )
    callbacks = run_callbacks(run, stage) + ([] if stage == STAGES[0] else shipped.watch())
    learner, ema = config.learner(callbacks, seed, precision, init=init)
    learner.fit(config.steps)
    return ema.model


def train_rounds(shipped: ShippedModel, name: str, preset: str, run: Path, last: bool) -> Pipeline:
    "A model, trained round by round; with `last` only the last, from the shipped weights."
    rounds = shipped.rounds(preset)
    model: Any = (
        load(name).model.requires_grad_()
        if last
        else rounds[0][1].pretrain(run_callbacks(run, "reading"))
    )
    for stage, config in rounds[-1:] if last else rounds:
        model = train(shipped, stage, config, run, model)
    model = rounds[-1][1].finish(model)
    model.config = model.config | {"words": vocabulary(rounds[-1][1])}
    return family_of(model.config).pipeline_class()(model, name)


def validation_score(
    pipe: Pipeline,
    prompts_per_task: int,
    edition: int,  # of the prompts
    seed: int = 0,  # of the noise
    **settings: Any,  # of the model's family
) -> float:
    "What settings and models are chosen by: the mean over the validation sets, that of an edition with free captions too."
    sets = sets_of_edition(edition, validation=True)
    report = evaluate(pipe, prompts_per_task, sets, edition=edition, seed=seed, **settings)
    means = [row["mean"] for row in (report["seen"], *report["held_out"].values())]
    return sum(means) / len(means)


def choose_settings(
    pipe: Pipeline, choices: Iterable[dict[str, Any]], prompts_per_task: int, edition: int
) -> dict[str, float]:
    "The score of each choice of settings on the validation prompts; the best become the model's own."
    scored = [
        (validation_score(pipe, prompts_per_task, edition, **choice), choice) for choice in choices
    ]
    if scored:
        best = max(scored, key=lambda pair: pair[0])[1]
        pipe.model.config["sampling"] = pipe.model.config["sampling"] | best
    return {
        ", ".join(f"{name} {value:g}" for name, value in choice.items()): score
        for score, choice in scored
    }


def draw_losses(logs: list[list[dict[str, Any]]], path: Path) -> None:
    "The loss over the steps of all rounds, as a picture beside the card."
    fig, done = make_figure(5, 2), 0
    ax = fig.subplots()
    for log in logs:
        ax.plot([done + row["step"] for row in log], [row["loss"] for row in log], color="#0072B2")
        done += log[-1]["step"]
    ax.set(xlabel="step", ylabel="loss", yscale="log")
    fig.savefig(path, bbox_inches="tight", metadata={"Software": None})


def describe_cost(steps: int, batch_size: int, log: list[dict[str, Any]]) -> str:
    "What one stage of training took, in words."
    return f"{steps:,} steps of {batch_size}, {log[-1]['seconds'] / 60:.0f} minutes, loss {log[-1]['loss']:.3f} at the end"


def describe_stage(
    shipped: ShippedModel, stage: str, config: TextToImageConfig, log: list[dict[str, Any]]
) -> str:
    "A sentence about a stage of training."
    if stage == "reading":
        return f"Encoder and reader learned to read from pictures of 8×8 ({describe_cost(config.pretrain_steps, 4 * config.batch_size, log)})."
    return f"{shipped.words[stage]} ({describe_cost(config.steps, config.batch_size, log)})."


def describe_eye(folder: Path) -> str:
    "What a reader's eye says of the oracle's verdicts on these weights; nothing where none read their pictures."
    file = folder / "eye.json"
    found = read_json(file) if file.is_file() else {}
    if found.get("sha256") != fingerprint(folder / "model.safetensors"):
        return ""
    six = found["GenEval's six"]
    return (
        "A reader who saw neither captions nor verdicts agreed with the oracle on "
        f"{six['agree where passed']:.2f} of the pictures that it passed and {six['agree where failed']:.2f} of those that it failed "
        f"({six['passed']} and {six['failed']} pictures of GenEval's six tasks; with sizes and textures "
        f"{found['agree where passed']:.2f} and {found['agree where failed']:.2f}). "
        "The oracle is the stricter of the two, above all with large outlines that have a gap. `tools/eye.py` has pictures and readings."
    )


def combination_table(report: dict[str, Any]) -> str:
    "The combinations that training left out, one by one; of a split with many, the lowest and the highest."
    rows = []
    for split, own in report["combinations"].items():
        names = [*own] if len(own) <= 4 else [*own][:2] + [*own][-2:]
        rows += [[split, name, str(own[name]["n"]), entry_text(own[name])] for name in names]
    return markdown_table(["split", "combination", "prompts", "score"], rows)


def entry_text(entry: dict[str, Any]) -> str:
    "A rate of a report, with its interval where it has one."
    ends = entry.get("interval")
    return f"{entry['rate']:.2f}" + (f" [{ends[0]:.2f}, {ends[1]:.2f}]" if ends else "")


def clause_table(report: dict[str, Any]) -> str:
    "The score by the number of clauses of a caption."
    rows = report["clauses"]
    columns = [*next(iter(rows.values()))]
    cells = [[number, *(entry_text(row[column]) for column in columns)] for number, row in rows.items()]
    return markdown_table(["number", *columns], cells)


def trained_captions(
    rounds: Iterable[TextToImageConfig],  # each with the seed of its place
    steps: int | None = None,  # of each round at most; all if not given
) -> set[str]:
    "Every caption of a training, from its streams: that of the stage before the first round too."
    configs = [*rounds]
    side = 8  # pixels: captions do not depend on it, and small pictures are soon rendered; windows are larger
    first = configs[0]
    count = min(first.pretrain_steps, steps or first.pretrain_steps)
    streams = [(first.pretrain_mix.batches(4 * first.batch_size, side, 1), count)]
    streams += [
        (
            config.mix.batches(
                config.batch_size, config.config["side"] if config.mix.windows else side, seed
            ),
            min(config.steps, steps or config.steps),
        )
        for seed, config in enumerate(configs)
    ]
    return {text for data, count in streams for step in range(count) for text in data(step).captions}


def unseen_shares(
    prompts: Iterable[Prompt],
    trained: set[str],  # captions
) -> dict[str, dict[str, float]]:  # split -> task -> share
    "The share of captions that never stood in training, by split and task."
    found: dict[str, dict[str, list[bool]]] = {}
    for prompt in prompts:
        found.setdefault(prompt.split, {}).setdefault(prompt.task, []).append(
            prompt.caption not in trained
        )
    return {
        split: {task: round(mean(flags), 4) for task, flags in tasks.items()}
        for split, tasks in found.items()
    }


def describe_unseen(shares: dict[str, dict[str, float]]) -> str:
    "A sentence about captions that never stood in training."
    seen = ", ".join(f"{task} {share:.2f}" for task, share in shares.get("seen", {}).items())
    others = [share for split, tasks in shares.items() if split != "seen" for share in tasks.values()]
    lowest = f"; in each other split at least {min(others):.2f}" if others else ""
    return f"The share of captions that never stood in training, of the split *seen* by task: {seen}{lowest}."


def describe_details(report: dict[str, Any]) -> str:
    "What stands beside the score: combinations, clauses, the note on unknown words."
    parts = [f"The combinations of the splits a to d:\n\n{combination_table(report)}"]
    if shares := report.get("never in training"):
        parts.append(describe_unseen(shares))
    if report["clauses"]:
        parts.append(
            "Captions as people type them, by the number of their clauses (columns: `t2i_learn.world.comparisons`, "
            f"`clause_rates`):\n\n{clause_table(report)}"
        )
    if notes := report["notes"]:
        named, alarms = notes["named"], notes["false alarms"]
        parts.append(
            f"Open vocabulary: of {named['n']} captions with one word that training never shows, the note names the word in "
            f"{named['rate']:.3f}; of {alarms['n']} captions in which every word was trained, it names one in {alarms['rate']:.3f}."
        )
    return "\n\n".join(parts)


def describe_choice(chosen: dict[str, float], validation: float, edition: int) -> str:
    "How the settings were chosen, and what the winner scores on other noises."
    if not chosen:
        return f"On the validation prompts of edition {edition}: {validation:.3f}. "
    return (
        f"Settings chosen among {len(chosen)} on the validation prompts of edition {edition} "
        f"({'; '.join(f'{k}: {v:.3f}' for k, v in chosen.items())}). "
        f"The winner scores {validation:.3f} on the same prompts with other noises. "
    )


def card_text(
    name: str,
    stages: list[str],  # a sentence about each stage of training
    choice: str,  # how the settings were chosen
    report: dict[str, Any],  # from `full_report`
    looks: str,  # the history of looks at the test
    eye: str = "",  # how a reader's eye agrees with the oracle
    side: int = 32,  # of the pictures, in pixels
) -> str:
    "The card's text."
    steps = f", {report['steps']} steps" if (report["steps"] or 1) > 1 else ""
    remarks = "\n\n".join(filter(None, [eye, looks]))
    return f"""# {name}

Draws the world of shapes at {side}×{side} from a caption. Trained by `python tools/weights.py {name}`, on captioned pictures of the
seen split that were drawn as they were needed. {" ".join(stages)}

![The loss over the steps of training, falling.](loss.png)

{choice}On the test prompts, edition {report["edition"]}, one picture a prompt, {report["prompts_per_task"]} prompts a task at most{steps},
{report["calls"]} network evaluations a picture (rate and its 95 % interval):

{score_table(report)}

The mean of *seen* is over GenEval's six tasks. Intervals of the splits a to d are those of combinations drawn anew. Chance:
{report["chance"]["noise"]["seen"]["mean"]:.2f} for pictures of noise, {report["chance"]["shuffled"]["seen"]["mean"]:.2f} for right pictures of other captions of the same task.

{describe_details(report)}

{remarks}
"""


def logs_of(run: Path, folder: Path) -> dict[str, list[dict[str, Any]]]:
    "The log of each stage, of this run or, where it did not run, of the weights that ship."
    where = {
        stage: next(
            (p for p in (run / f"{stage}.jsonl", folder / f"{stage}.jsonl") if p.is_file()), None
        )
        for stage in ("reading", *STAGES)
    }
    logs = {stage: read_log(path) for stage, path in where.items() if path}
    return {stage: log for stage, log in logs.items() if log}  # a preset may have no reading


def from_file(pipe: StoredModel, folder: Path) -> Any:  # of the same class
    "Write a model in half precision and load it again: what is measured is what the file holds."
    pipe.save_pretrained(folder, torch.float16)
    loaded = type(pipe).from_pretrained(folder)
    loaded.name = pipe.name
    return loaded


def beats(
    name: str,  # of the model
    validation: float,  # its score on other noises than those that chose its settings
    old: float | None,  # the same of the model that is in its place; None: there is none
) -> bool:
    "Say how a model scores on validation beside the one that is there; whether it is better, or there is none."
    before = "nothing" if old is None else f"{old:.3f}"
    print(f"{name}: {validation:.3f} on the validation prompts, before {before}")
    return old is None or validation > old


def score_in_place(
    folder: Path,  # of the weights that ship, or would
    prompts_per_task: int,
    edition: int,  # of the prompts
) -> float | None:  # None where no weights are there
    "What the model that a new one would replace scores on the same validation prompts and noises."
    if not (folder / "model.safetensors").is_file():
        return None
    return validation_score(Pipeline.from_pretrained(folder), prompts_per_task, edition, seed=1)


def write_logs(
    name: str,  # one of MODELS
    preset: str,
    folder: Path,  # where its weights are
    logs: dict[str, list[dict[str, Any]]],  # of each stage
) -> list[str]:  # a sentence about each stage, and what the card says of parts that do little
    "Put the logs of the loss and their picture beside a model's weights."
    shipped, configs = MODELS[name], dict(MODELS[name].rounds(preset))
    for stage, log in logs.items():
        write_atomic(folder / f"{stage}.jsonl", "".join(json.dumps(row) + "\n" for row in log).encode())
    draw_losses([logs[stage] for stage in STAGES if stage in logs], folder / "loss.png")
    stages = [
        describe_stage(shipped, stage, configs[stage if stage in configs else STAGES[0]], log)
        for stage, log in logs.items()
    ]
    return stages + [shipped.limits] * bool(shipped.limits)


def document(
    name: str,  # one of MODELS
    preset: str,
    folder: Path,  # where its weights are
    logs: dict[str, list[dict[str, Any]]],  # of each stage
    chosen: dict[str, float],  # from `choose_settings`
    validation: float,  # the score that decided
    report: dict[str, Any],  # from `full_report`
) -> None:
    "Put the logs of the loss, their picture and the card beside a model's weights."
    stages = write_logs(name, preset, folder, logs)
    facts = {
        "license": "mit",
        "sha256": fingerprint(folder / "model.safetensors"),
        "validation": validation,
        "scores": report,
    }
    choice = describe_choice(chosen, validation, report["edition"])
    looks = describe_looks(OPENED, report["model"], folder / "model.safetensors", report["edition"])
    side = read_config(folder)["side"]
    text = card_text(report["model"], stages, choice, report, looks, describe_eye(folder), side)
    write_whole_card(folder, report["model"], facts, text)


def write_whole_card(
    folder: Path,  # of a model
    name: str,  # of the model
    facts: dict[str, Any],  # that were measured
    text: str,  # for people
) -> None:
    "Write a card with all that the hub sorts models by."
    write_card(folder, complete_card(name, read_config(folder), facts), text)


def put_in_place(new: Path, folder: Path) -> None:
    "Copy a model's files, the card last: a copy that was cut short is one whose card has another checksum."
    for file in sorted(new.iterdir(), key=lambda file: file.name == "README.md"):
        write_atomic(folder / file.name, file.read_bytes())


def captioner_card(name: str, stages: list[str], measured: dict[str, Any], validation: float) -> str:
    "The card's text."
    columns = ("n", "true", "complete", "confidence", "calibration error", "AUROC")
    rows = [
        [key, *map(short_number, (row[c] for c in columns))] for key, row in measured["captions"].items()
    ]
    trip = [
        [key, *map(short_number, (row[c] for c in ("n", "all clauses", "passed", "failed")))]
        for key, row in measured["round trip"].items()
    ]
    return f"""# {name}

Describes pictures of the world of shapes, at 32×32, in one canonical wording, short or full. Trained by
`python tools/weights.py {name}`, on pictures of the seen split that were drawn as they were needed. {" ".join(stages)}

![The loss over the steps of training, falling.](loss.png)

On pictures that no training draws. A caption is true if all of its clauses hold in the scene, of generated pictures in the
scene that the oracle reads. It is complete as far as it says the clauses of the full caption:

{markdown_table(["pictures", *columns], rows)}

The share of a prompt's clauses that come back from its picture, with the pictures that the oracle passes and fails apart:

{markdown_table(["pictures of", "n", "all clauses", "passed", "failed"], trip)}

It was kept because it was the best so far on other rendered pictures ({validation:.3f}, the mean of true and complete at a
noise of 0.1). A picture of another world gets a caption too; its confidence is low, and the caption means nothing.
"""


def short_number(value: Any) -> str:
    "A number as a table shows it."
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def ship_captioner(
    name: str,  # one of MODELS
    pipe: Any,
    preset: str,
    run: Path,  # folder of checkpoints and logs
    scale: float,  # share of the pictures that are measured; 1 is all
    replace: bool,  # also a better model
) -> bool:
    "Calibrate and measure a captioner, and write it if it is better; whether it is the one that ships now."
    folder, new = WEIGHTS / pipe.name, run / "made"
    pipe = from_file(pipe, new)
    if read_card(folder).get("sha256") == fingerprint(new / "model.safetensors") and not replace:
        print(f"{pipe.name}: these weights ship already.")
        return True
    pipe.model.config = pipe.model.config | {"calibration": calibrate(pipe, scale)}
    pipe = from_file(pipe, new)
    validation = round(caption_score(pipe, scaled(600, scale)), 4)
    if not beats(pipe.name, validation, read_card(folder).get("validation")) and not replace:
        print(
            f"Not better than what is there: it stays in {new}. Give --replace to write it all the same."
        )
        return False
    sha256 = fingerprint(new / "model.safetensors")
    measured = measure(pipe, sha256, scale)
    write_measured(new, measured)
    stages = write_logs(name, preset, new, logs_of(run, folder))
    facts = {"license": "mit", "sha256": sha256, "validation": validation}
    write_whole_card(new, pipe.name, facts, captioner_card(pipe.name, stages, measured, validation))
    put_in_place(new, folder)
    return True


def ship(
    name: str,  # one of MODELS
    pipe: Pipeline,
    preset: str,
    run: Path,  # folder of checkpoints and logs
    prompts_per_task: int,
    replace: bool,  # also a better model
    edition: int,  # of the test
) -> bool:
    "Choose, measure, and write what ships if it is better; whether this model is the one that ships now."
    folder, new = WEIGHTS / pipe.name, run / "made"
    if family_of(pipe.model.config).kind == "image-to-text":
        return ship_captioner(name, pipe, preset, run, prompts_per_task / 100, replace)
    pipe = from_file(pipe, new)
    if read_card(folder).get("sha256") == fingerprint(new / "model.safetensors") and not replace:
        print(f"{pipe.name}: these weights ship already.")
        return True
    chosen = choose_settings(pipe, MODELS[name].choices, max(1, prompts_per_task // 2), edition)
    pipe = from_file(pipe, new)  # with the settings that were chosen
    validation = validation_score(pipe, prompts_per_task, edition, seed=1)
    old = score_in_place(folder, prompts_per_task, edition)
    if not beats(pipe.name, validation, old) and not replace:
        print(
            f"Not better than what is there: it stays in {new}. Give --replace to write it all the same."
        )
        return False
    record_opening(OPENED, new / "model.safetensors", f"the card of {pipe.name}", edition)
    report = full_report(
        pipe, prompts_per_task, edition=edition, validation=False, progress=True
    )  # all is chosen
    prompts = [
        p for own in sets_of_edition(edition) for p in load_prompts(own, prompts_per_task, edition)
    ]
    parts = [MODELS[part].configs[preset] for part in (name, *MODELS[name].built_on)]
    trained = set().union(*map(trained_captions, parts))
    report["never in training"] = unseen_shares(prompts, trained)
    document(name, preset, new, logs_of(run, folder), chosen, validation, report)
    put_in_place(new, folder)
    return True


SCORERS = {"shapes-clip": CONTRASTIVE_ROUNDS}  # models of the kind image-text-score: preset -> rounds
LENGTHS = (1, 2, 3, 4)  # things that a caption names
VALIDATION_SCENES, TEST_SCENES = 1_000_000, 2_000_000  # seeds of scenes; those of training begin at 0
POOLS = 5  # of 100 pictures, of each length


def scorer_precision(config: ContrastiveConfig, checkpoint: Path) -> str:
    "Which precision is faster for a round, measured on a few scenes."
    few = with_changes(config, mix=SceneMix(config.batch_size))
    return fastest_precision(ContrastiveModel(config.config), few.data(), few.training_loss, checkpoint)


def train_scorer(name: str, preset: str, run: Path) -> ScorePipeline:
    "A model that scores, trained round by round; or what is left of the training."
    model: Any = None
    for number, (stage, config) in enumerate(zip(STAGES, SCORERS[name][preset])):
        precision = scorer_precision(config, run / f"{stage}.safetensors")
        learner, ema = config.learner(run_callbacks(run, stage), number, precision, init=model)
        learner.fit(config.steps)
        model = ema.model
    return ScorePipeline(model, name)


def measure_recall(
    pipe: ScorePipeline, first_seed: int, pools: int = POOLS
) -> dict[str, dict[str, float]]:
    "Recall at 1 of 100 for each caption length, both ways, with the ceiling and the share of it."
    tests = {n: [retrieval_pool(n, first_seed + 100 * n + k) for k in range(pools)] for n in LENGTHS}
    found = {}
    for length, ways in retrieval_report(pipe.model, tests).items():
        for way, recall in zip(("caption to picture", "picture to caption"), ways):
            own = {"recall": recall.recall, "ceiling": recall.ceiling, "share": recall.relative}
            found[f"{length}, {way}"] = {key: round(value, 4) for key, value in own.items()}
    return found


def measure_swaps(pipe: ScorePipeline, count: int = 1000) -> dict[str, float]:
    "The swap test on trained combinations of colour and shape, and with one that training never shows."
    found = {}
    for name, held_out in (("trained", False), ("held out", True)):
        pictures, true, swapped = encode_swap_test(
            pipe.model, make_swap_test(count, TEST_SCENES, held_out)
        )
        found[name] = round(swap_accuracy((pictures * true).sum(1), (pictures * swapped).sum(1)), 4)
    return found


def scorer_card(name: str, stages: list[str], scores: dict[str, Any], validation: float) -> str:
    "The card's text."
    rows = [
        [key, *(f"{own[column]:.3f}" for column in ("recall", "ceiling", "share"))]
        for key, own in scores["recall"].items()
    ]
    table = markdown_table(["things named, way", "recall at 1 of 100", "ceiling", "share"], rows)
    swaps = "; ".join(f"{key} combinations {value:.3f}" for key, value in scores["swaps"].items())
    return f"""# {name}

Scores how well captions fit pictures of the world of shapes, at 32×32. Trained by `python tools/weights.py {name}`, from
random weights, on scenes of the seen split with captions as people type them and hard negatives. {" ".join(stages)}

![The loss over the steps of training, falling.](loss.png)

On fresh scenes, {POOLS} searches among 100 pictures for each caption length. The ceiling is that of a model which knows
exactly which candidates are true (by the oracle):

{table}

The swap test, a true caption against the one with exchanged colours, where chance is 0.5: {swaps}.

It was kept because its mean share of the ceiling on other fresh scenes, {validation:.3f}, was the best so far. It knows
nothing of pictures of another world: their scores mean nothing. It is no judge of details either; the oracle is.
"""


def ship_scorer(name: str, pipe: ScorePipeline, preset: str, run: Path, again: bool) -> bool:
    "Measure a model that scores, and write what ships if it is better; whether it is the one that ships now."
    folder, new = WEIGHTS / pipe.name, run / "made"
    pipe = from_file(pipe, new)
    shares = [own["share"] for own in measure_recall(pipe, VALIDATION_SCENES).values()]
    validation = round(sum(shares) / len(shares), 4)
    if not beats(pipe.name, validation, read_card(folder).get("validation")) and not again:
        print(
            f"Not better than what is there: it stays in {new}. Give --replace to write it all the same."
        )
        return False
    scores = {"recall": measure_recall(pipe, TEST_SCENES), "swaps": measure_swaps(pipe)}
    logs = logs_of(run, folder)
    rounds = dict(zip(STAGES, SCORERS[name][preset]))
    stages = [
        f"A round took {describe_cost(rounds[stage].steps, rounds[stage].batch_size, log)}."
        for stage, log in logs.items()
        if stage in rounds
    ]
    for stage, log in logs.items():
        write_atomic(new / f"{stage}.jsonl", "".join(json.dumps(row) + "\n" for row in log).encode())
    draw_losses([*logs.values()], new / "loss.png")
    facts = {"license": "mit", "sha256": fingerprint(new / "model.safetensors")}
    facts |= {"validation": validation, "scores": scores}
    write_whole_card(new, pipe.name, facts, scorer_card(pipe.name, stages, scores, validation))
    put_in_place(new, folder)
    return True


def make_scorer(name: str, preset: str, train_it: bool, again: bool) -> bool:
    "Train, measure and write a model that scores; whether it is the one that ships now."
    own = name if preset == "full" else f"{name}-{preset}"
    pipe: Any = train_scorer(name, preset, RUNS / own) if train_it else load(own)
    pipe.name = own
    return ship_scorer(name, pipe, preset, RUNS / own, again)


EMOJI_LICENCES = (
    "Apache-2.0 (noto, blob), MIT (fluent), CC-BY-4.0 (twemoji); data/README.md and NOTICE name them all"
)
PICTURE_MODELS: dict[str, dict[str, Any]] = {  # name -> arguments of `plan_training`
    "emoji-diffusion": {"source": "emoji", "size": 64, "licence": EMOJI_LICENCES},
}


def make_picture_model(name: str, preset: str, again: bool) -> bool:
    "Train a model on pictures that are not of the world of shapes; whether it is the one that ships now."
    own = name if preset == "full" else f"{name}-{preset}"
    new, folder = RUNS / own / own, WEIGHTS / own
    plan = plan_training(**PICTURE_MODELS[name], preset_name=preset)
    train_model(plan, new, overwrite=True, patience=0, dtype=torch.float16)
    error, before = (
        min(row["own"], row["none"]) if row else None
        for row in (read_card(place).get("validation") for place in (new, folder))
    )
    print(f"{own}: error of held-out pictures {error:.4f}, before {before or 'nothing'}")
    if before is not None and error >= before and not again:
        print(
            f"Not better than what is there: it stays in {new}. Give --replace to write it all the same."
        )
        return False
    put_in_place(new, folder)
    return True


@app.command()
def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="models; all that ship if none is named")
    ] = None,
    preset: Annotated[str, typer.Option(help="smoke, cpu or full")] = "full",
    last: Annotated[
        bool, typer.Option("--last", help="only the last round, from the weights that ship")
    ] = False,
    train_it: Annotated[
        bool, typer.Option("--train/--no-train", help="train, or only measure the shipped file")
    ] = True,
    prompts_per_task: Annotated[int, typer.Option(help="prompts of each task in the score")] = 100,
    replace: Annotated[bool, typer.Option(help="write over a better model")] = False,
    threads: Annotated[int, typer.Option(help="threads of the processor; 0 leaves it to torch")] = 0,
    edition: Annotated[
        int, typer.Option(min=1, help="of the test; a new model is measured on a new one")
    ] = 1,
) -> None:
    "Train, choose, measure, write."
    if threads:
        torch.set_num_threads(threads)
    for test_set in (*sets_of_edition(edition), *sets_of_edition(edition, validation=True)):
        load_prompts(test_set, 1, edition)  # better to miss a file now than after hours
    there = [*MODELS, *SCORERS, *PICTURE_MODELS]
    shipped = [name for name in there if (WEIGHTS / name).is_dir()]
    left = []
    for name in [choose(name, there, "model") for name in names or shipped]:
        own = name if preset == "full" else f"{name}-{preset}"
        if name in PICTURE_MODELS:
            if train_it:
                left += [] if make_picture_model(name, preset, replace) else [own]
            continue
        if name in SCORERS:
            left += [] if make_scorer(name, preset, train_it, replace or not train_it) else [own]
            continue
        pipe = train_rounds(MODELS[name], name, preset, RUNS / own, last) if train_it else load(own)
        pipe.name = own
        if not ship(name, pipe, preset, RUNS / own, prompts_per_task, replace or not train_it, edition):
            left.append(own)
    if left:
        raise SystemExit(f"Not written, since no better than what is there: {', '.join(left)}")


if __name__ == "__main__":
    app()
