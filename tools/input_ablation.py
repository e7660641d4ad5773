"""Train the small diffusion model without one of its inputs, and write t2i_learn/weights/input_ablation.json.

python tools/input_ablation.py               fifteen trainings at the preset cpu, one after another; goes on where it stopped
python tools/input_ablation.py --seeds 1     one of each
python tools/input_ablation.py --table       train nothing: write the summary of what is there, and print it

Five arms, three seeds each: all inputs; no layout input (the denoiser does not read the layout, while the planner and its
loss stay); no pooled input; no layout loss; no pretraining of the text conditioner. All have the rounds of the preset cpu,
the same captions and noise for the same seed, and one precision. Each is scored on the validation prompts with guidance 1,
1.5 and 2. A training saves its state about once a minute in runs/input_ablation/state/, and its scores, when it ends, in
runs/input_ablation/rows/<arm>-<seed>.json: a row that is there is not trained again. Speed and rounding depend on the
processor, so that one table has rows of one kind of processor.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import torch
import typer
from results import callbacks_of, mean_and_sd, student_reach
from torch import nn

from t2i_learn.core.callbacks import read_log
from t2i_learn.core.files import read_json, weights_path, write_atomic
from t2i_learn.core.pipeline import Pipeline
from t2i_learn.core.show import markdown_table
from t2i_learn.diffusion.text_to_image import DIFFUSION_ROUNDS, DiffusionConfig
from t2i_learn.text.layout import pretrain_conditioner
from t2i_learn.world.score import evaluate

ALL, NO_PRETRAINING = "all", "no pretraining"
UNET_CHANGES: dict[str, dict[str, Any]] = {  # arm -> what its config["unet"] says
    ALL: {},
    "no layout input": {"layout": 0},
    "no pooled input": {"pooled": False},
    "no layout loss": {},
    NO_PRETRAINING: {},
}
GUIDANCE = (1.0, 1.5, 2.0)
SEEDS = 3
PRETRAIN_STEPS, PRETRAIN_CAPTIONS, PRETRAIN_LR = 200, 192, 2e-3
FLAGS = ("amx_bf16", "avx512_bf16")  # of a processor: what its matrix products are made with

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def rounds_of(arm: str) -> list[DiffusionConfig]:
    "The rounds of the preset cpu, as an arm has them."
    layout_weight = {"layout_weight": 0.0} if arm == "no layout loss" else {}
    rounds = []
    for config in DIFFUSION_ROUNDS["cpu"]:
        unet = config.config["unet"] | UNET_CHANGES[arm]
        rounds.append(replace(config, config=config.config | {"unet": unet}, **layout_weight))
    return rounds


def initial_model(
    config: DiffusionConfig,  # of the round
    seed: int,
    before: nn.Module | None = None,  # the pretrained conditioner, or the average of the round before
) -> nn.Module:
    "What a round begins with; without a pooled input the other first weights are as they are with it."
    pooled = config.config | {"unet": config.config["unet"] | {"pooled": True}}
    return replace(config, config=pooled).initial_model(seed, before)


def train(
    arm: str,
    seed: int,
    folder: Path,  # of its checkpoints and logs
) -> nn.Module:  # the averaged model
    "All rounds of one training, or what is left of them."
    rounds = rounds_of(arm)
    model: nn.Module | None = None
    if arm != NO_PRETRAINING:
        callbacks = callbacks_of(folder, "pretrain", 50, 25)
        model = pretrain_conditioner(
            rounds[0].config, PRETRAIN_STEPS, PRETRAIN_CAPTIONS, PRETRAIN_LR, callbacks, seed
        )
    for number, config in enumerate(rounds):
        own_seed = 100 * seed + number
        init = initial_model(config, own_seed, model)
        learner, ema = config.learner(
            callbacks_of(folder, f"round-{number}", 100, 50), own_seed, init=init
        )
        learner.fit(config.steps)
        model = ema.model
    assert model is not None
    return model


def processor_flags(path: Path = Path("/proc/cpuinfo")) -> list[str]:
    "Which of FLAGS this machine's processor has; none where that cannot be read."
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [flag for flag in FLAGS if flag in text]


def row_name(arm: str, seed: int) -> str:
    "The name of a training's files."
    return f"{arm.replace(' ', '-')}-{seed}"


def make_row(arm: str, seed: int, folder: Path, prompts: int) -> dict[str, Any]:
    "Train and score."
    pipe = Pipeline(train(arm, seed, folder), row_name(arm, seed))
    row: dict[str, Any] = {"arm": arm, "seed": seed, "flags": processor_flags()}
    for scale in GUIDANCE:
        row[f"guidance {scale:g}"] = evaluate(pipe, prompts, ("validation",), guidance_scale=scale)[
            "seen"
        ]
    row["seconds"] = {log.stem: read_log(log)[-1]["seconds"] for log in sorted(folder.glob("*.jsonl"))}
    return row


def read_rows(folder: Path) -> list[dict[str, Any]]:
    "The trainings that are finished, in the order of arms and seeds."
    found = [read_json(file) for file in sorted(folder.glob("*.json"))]
    arms = [*UNET_CHANGES]
    return sorted(found, key=lambda row: (arms.index(row["arm"]), row["seed"]))


def summary(
    rows: list[dict[str, Any]],  # one or more
    wanted: int = SEEDS,  # seeds an arm
) -> dict[str, Any]:
    "Mean and standard deviation over seeds for each arm and guidance, of the kind of processor that has the most rows."
    flags = list(Counter(tuple(row["flags"]) for row in rows).most_common(1)[0][0])
    counted = [row for row in rows if row["flags"] == flags]
    left_out = [row_name(row["arm"], row["seed"]) for row in rows if row["flags"] != flags]
    arms: dict[str, Any] = {}
    everything = [row for row in counted if row["arm"] == ALL]
    for arm in UNET_CHANGES:
        own = [row for row in counted if row["arm"] == arm]
        arms[arm] = {"seeds": [row["seed"] for row in own], "finished": len(own) >= wanted}
        for key in [f"guidance {scale:g}" for scale in GUIDANCE] if own else ():
            scores = {task: [row[key][task] for row in own] for task in own[0][key]}
            arms[arm][key] = {task: mean_and_sd(values) for task, values in scores.items()}
            if arm != ALL:
                arms[arm][key]["difference from all"] = {
                    task: paired_difference(own, everything, key, task) for task in own[0][key]
                }
    return {
        "processor": flags,
        "wanted seeds": wanted,
        "arms": arms,
        "left out": left_out,
        "rows": counted,
    }


def paired_difference(
    rows: list[dict[str, Any]],  # of one arm
    others: list[dict[str, Any]],  # of the arm it is compared with
    key: str,  # the guidance
    task: str,  # or mean
) -> list[float | None]:  # mean difference, and half the width of Student's 95 % interval for it
    "How far a score moves, paired by seed: the same seed has the same captions and noise."
    scores = {row["seed"]: row[key][task] for row in others}
    moves = [row[key][task] - scores[row["seed"]] for row in rows if row["seed"] in scores]
    if len(moves) < 2:
        return [round(mean(moves), 4) if moves else None, None]
    return [round(mean(moves), 4), round(student_reach(moves), 4)]


def show_summary(table: dict[str, Any]) -> str:  # Markdown
    "The mean score of each arm; what is not finished says so."

    def cell(arm: dict[str, Any], scale: float) -> str:
        if f"guidance {scale:g}" not in arm:
            return ""
        score, sd = arm[f"guidance {scale:g}"]["mean"]
        return f"{score:.3f}" + ("" if sd is None else f" ± {sd:.3f}")

    def seeds(arm: dict[str, Any]) -> str:
        count = f"{len(arm['seeds'])} of {table['wanted seeds']}"
        return count if arm["finished"] else f"{count}, not finished"

    def difference(arm: dict[str, Any]) -> str:
        found = arm.get(f"guidance {GUIDANCE[1]:g}", {}).get("difference from all", {})
        change, half_width = found.get("mean", [None, None])
        if change is None:
            return ""
        interval = (
            "" if half_width is None else f" [{change - half_width:+.3f}, {change + half_width:+.3f}]"
        )
        return f"{change:+.3f}{interval}"

    rows = [
        [name, seeds(arm), *(cell(arm, scale) for scale in GUIDANCE), difference(arm)]
        for name, arm in table["arms"].items()
    ]
    heads = [f"guidance {scale:g}" for scale in GUIDANCE]
    text = markdown_table(["arm", "seeds", *heads, f"difference from {ALL} at {GUIDANCE[1]:g}"], rows)
    text += (
        "\n\nMean score on the validation prompts ± standard deviation over seeds; the difference is paired by "
        f"seed, with Student's 95 % interval; processor: {', '.join(table['processor']) or 'unknown'}."
    )
    if table["left out"]:
        text += f"\nLeft out, made on another kind of processor: {', '.join(table['left out'])}."
    return text


@app.command()
def main(
    seeds: Annotated[int, typer.Option(help="trainings of each arm")] = SEEDS,
    prompts: Annotated[int, typer.Option(help="validation prompts of each task, 100 at most")] = 100,
    table: Annotated[
        bool, typer.Option("--table", help="train nothing, only write and print the summary")
    ] = False,
    runs: Annotated[Path, typer.Option(help="where rows, checkpoints and logs are kept")] = Path(
        "runs/input_ablation"
    ),
) -> None:
    "Train what is missing, then write the summary."
    rows, here = runs / "rows", processor_flags()
    for seed, arm in product(range(seeds), UNET_CHANGES) if not table else ():
        file = rows / f"{row_name(arm, seed)}.json"
        if file.is_file():
            continue
        others = [row for row in read_rows(rows) if row["flags"] != here]
        if others:
            there = row_name(others[0]["arm"], others[0]["seed"])
            raise typer.BadParameter(
                f"{there} was made on a processor with {others[0]['flags']}, this one has {here}: "
                "go on there, or give another folder with --runs"
            )
        row = make_row(arm, seed, runs / "state" / row_name(arm, seed), prompts)
        write_atomic(file, (json.dumps(row, indent=1) + "\n").encode())
        print(f"{file.stem}: {row['guidance 1.5']['mean']:.3f} at guidance 1.5", flush=True)
    finished = read_rows(rows)
    if not finished:
        raise typer.BadParameter(
            f"there are no rows in {rows}: train first, or say with --runs where they are"
        )
    found = summary(finished, seeds)
    write_atomic(weights_path() / "input_ablation.json", (json.dumps(found, indent=1) + "\n").encode())
    print(show_summary(found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    app()
