"""Train the small two-stage model without one ingredient after another, and write t2i_learn/weights/ingredients.json.

python tools/ingredients.py               six arms, three trainings each, one after another; goes on where it stopped
python tools/ingredients.py --seeds 1     one training of each
python tools/ingredients.py --share 1/3   the first of three parts of the seeds, for processes side by side
python tools/ingredients.py --small       all kinds of work at a few steps and prompts, in a folder of its own
python tools/ingredients.py --table       train nothing: write and print the table of what is finished

All arms of a seed have the same text side, data, noise, rates and number of steps. The whole has a generator, alpha 1.8, a
schedule that learns, and a joint round. Each other arm lacks one of them: no generator; alpha 2 with the same law of the
level in training; a schedule that stays where it begins; a straight line between the ends that the whole has learned; and
more steps of the parts side by side in the place of the joint round. Every model is scored on validation prompts at five
calls, a generator counted, without guidance, from the level that is best for it. A verdict compares arms by seed, with
the interval of three trainings. Checkpoints and logs are kept in runs/ingredients/.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any, NamedTuple

import torch
import typer
from results import callbacks_of, share_of, student_reach
from short_game import keep

from t2i_learn.core.files import read_json, weights_path, write_atomic
from t2i_learn.core.settings import make_request
from t2i_learn.core.show import markdown_table
from t2i_learn.gan.diversity import DIVERSITY_FACTS, diversity_ratio
from t2i_learn.gan.short_game import pad_window, prompts_of_tasks
from t2i_learn.diffusion.sampling import run_to_end
from t2i_learn.stable.few_calls import network_calls
from t2i_learn.stable.from_nothing import (
    from_nothing_rounds,
    FromNothingConfig,
    Ingredients,
    MixedSigmas,
    WINDOW_TASKS,
)
from t2i_learn.stable.likelihood import bits_per_dimension
from t2i_learn.stable.two_stage import (
    elbo_terms,
    fixed_refinement_grid,
    refine_draft,
    round_to_levels,
    sample_draft,
)
from t2i_learn.world.captions import caption_of
from t2i_learn.world.comparisons import interval_verdict
from t2i_learn.world.reader import read_scene
from t2i_learn.world.score import evaluate_prompts

CALLS = 5  # a picture
LEVELS = (0.5, 1.0, 2.0)  # at which a draft is taken up
TOPS = (48.0, 20.0, 8.0)  # highest levels without a draft
HELD_OUT = 4242  # seed of pictures that no training draws


class Arm(NamedTuple):
    "How an arm differs from the whole."

    base: str  # a key of `first_rounds`
    joint: bool = True  # False: more steps of the parts side by side
    learns: str = "interior"  # of the schedule
    ends_of_whole: bool = False  # whether the schedule gets the ends that the whole has learned


ARMS = {
    "whole": Arm("three parts"),
    "no generator": Arm("denoiser alone", joint=False),
    "alpha 2": Arm("alpha 2"),
    "fixed schedule": Arm("three parts", learns="nothing"),
    "learned ends": Arm("three parts", learns="nothing", ends_of_whole=True),
    "apart": Arm("three parts", joint=False),
}


class Size(NamedTuple):
    "How much is done of each kind."

    steps: tuple[int, int] = (1200, 300)  # of both rounds
    width: int = 64
    batch: int = 32
    pretrain: int = 100
    prompts: int = 100  # a task
    noises: int = 4  # that a model is measured on, besides that by which its level is chosen
    copies: int = 40  # pictures of a caption, for the freedom
    held_out: int = 64  # pictures for the bound


SMALL = Size((2, 2), 32, 8, 1, 1, 1, 2, 4)


def first_rounds(size: Size) -> dict[str, FromNothingConfig]:
    "The rounds that arms begin with."
    how = {"ema": 0.99, "pretrain_steps": size.pretrain, "warmup": max(1, size.steps[0] // 10)}
    first, _ = from_nothing_rounds(size.steps, size.width, size.batch, **how)
    alpha = first.config["noise"]["alpha"]
    normal = first.config | {
        "noise": first.config["noise"] | {"alpha": 2.0},
        "sampling": first.config["sampling"] | {"alpha": 2.0},
    }
    same_levels = Ingredients(sigmas=MixedSigmas(alpha))
    return {
        "three parts": first,
        "alpha 2": replace(first, config=normal, ingredients=same_levels),
        "denoiser alone": replace(first, ingredients=Ingredients(draft=0.0)),
    }


def second_round(arm: Arm, size: Size) -> FromNothingConfig:
    "What an arm goes on with."
    first = first_rounds(size)[arm.base]
    ingredients = replace(first.ingredients, learns=arm.learns)
    warmup = max(1, size.steps[1] // 5)
    how = {"joint": arm.joint, "ingredients": ingredients, "lr": 1e-4 if arm.joint else 2e-4}
    return replace(first, steps=size.steps[1], warmup=warmup, **how)


def train(config: FromNothingConfig, name: str, seed: int, init: Any, folder: Path) -> Any:
    "One round, from its checkpoint if there is one; the average of its weights."
    learner, ema = config.learner(callbacks_of(folder, name, 50, 25), seed, init=init)
    learner.fit(config.steps)
    return ema.model.eval()


def begun(base: str, seed: int, folder: Path, size: Size) -> Any:
    "The model after a first round; the text side before it is the same for all."
    config = first_rounds(size)[base]
    text = first_rounds(size)["three parts"].pretrain(callbacks_of(folder, "text", 50, 25), seed)
    return train(config, base, seed, text, folder)


def trained(name: str, seed: int, folder: Path, size: Size) -> Any:
    "The model of an arm."
    arm = ARMS[name]
    model = copy.deepcopy(begun(arm.base, seed, folder, size))
    if arm.ends_of_whole:
        whole = trained("whole", seed, folder, size).learned_schedule
        model.learned_schedule.low.data = whole.low.detach().clone()
        model.learned_schedule.high.data = whole.high.detach().clone()
    return train(second_round(arm, size), name, seed, model, folder)


@torch.no_grad()
def draw(
    model: Any, generator: bool, level: float, captions: list[str], first: int, seed: int
) -> torch.Tensor:
    "Windows at `CALLS` calls, from a draft or from the mean picture under noise, padded."
    steps = max(n for n in range(1, CALLS + 1) if network_calls(n, draft=generator) <= CALLS)
    how = {"num_inference_steps": steps, "guidance_scale": 1.0, "refine_from": level}
    request = make_request(model.config, captions, seed=seed, first=first, **how)
    cond = model.encode(captions)
    if generator:
        states = refine_draft(model, request, cond, sample_draft(model, request, cond))
    else:
        side, average = model.config["side"], torch.tensor(model.config["mean"])
        start = average.view(-1, 1, 1).expand(len(captions), 3, side, side)
        states = refine_draft(model, request, cond, start, model.config["std"], fixed_refinement_grid)
    return pad_window(run_to_end(states))


@torch.no_grad()
def draw_drafts(model: Any, captions: list[str], first: int, seed: int) -> torch.Tensor:
    "Drafts alone, padded."
    request = make_request(model.config, captions, seed=seed, first=first)
    return pad_window(sample_draft(model, request, model.encode(captions)))


def score(way: Callable[..., torch.Tensor], size: Size, seed: int) -> float:
    "The share of right pictures."
    prompts = prompts_of_tasks(WINDOW_TASKS, size.prompts)
    return mean(ok for ok, _ in evaluate_prompts(partial(way, seed=seed), prompts))


@torch.no_grad()
def bits_of(model: Any, size: Size, config: FromNothingConfig) -> float:
    "The bound in bits per dimension on held-out pictures, from whole paths."
    batch = replace(config, batch_size=size.held_out).data(HELD_OUT)(0)
    x0, dice = round_to_levels(batch.pictures), torch.Generator().manual_seed(0)
    terms = elbo_terms(model, x0, model.encode(batch.captions), dice, full_path=True)
    return bits_per_dimension(torch.stack([*terms.values()]).sum(0).mean(), x0[0].numel()).item()


def measured(model: Any, arm: Arm, size: Size) -> dict[str, Any]:
    "Scores of draft and refined picture, the freedom, and the bound."
    config, generator = second_round(arm, size), arm.base != "denoiser alone"
    levels = LEVELS if generator else TOPS
    level = max(levels, key=lambda level: score(partial(draw, model, generator, level), size, 0))
    way, seeds = partial(draw, model, generator, level), range(1, size.noises + 1)
    shots = [way([caption_of(facts)] * size.copies, 0, 77) for facts in DIVERSITY_FACTS]
    real = replace(config, batch_size=4 * size.copies).data(HELD_OUT)(1).pictures
    true = [[read_scene(x) for x in pad_window(real)]] * len(DIVERSITY_FACTS)
    row = {
        "level": level,
        "refined": mean(score(way, size, seed) for seed in seeds),
        "freedom": diversity_ratio(shots, true, DIVERSITY_FACTS).place,
        "ends": [model.learned_schedule.low.item(), model.learned_schedule.high.item()],
    }
    if generator:
        drafts = partial(draw_drafts, model)
        row |= {"draft": mean(score(drafts, size, seed) for seed in seeds)}
        row |= {"bits": bits_of(model, size, config)}
    return row


def compare_trainings(gaps: list[float]) -> tuple[str, str]:  # the gap with its interval; a verdict
    "What trainings with the same seeds say together; one alone says nothing."
    if len(gaps) < 2:
        return f"{mean(gaps):+.3f}", "one training"
    reach = student_reach(gaps)
    low, high = mean(gaps) - reach, mean(gaps) + reach
    return f"{mean(gaps):+.3f} [{low:+.3f}, {high:+.3f}]", interval_verdict(low, high)


def spread(values: list[float], digits: int = 2) -> str:
    "A mean and the standard deviation between trainings."
    if not values:
        return ""
    around = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{around}"


def table_of(results: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    "A row for each arm."
    by_arm = {name: {r["seed"]: r for r in results if r["arm"] == name} for name in ARMS}
    table = {}
    for name, own in by_arm.items():
        values = lambda key, own=own: [r[key] for r in own.values() if key in r]
        row = {key: spread(values(key)) for key in ("draft", "refined", "freedom", "bits")}
        seeds = [seed for seed in own if seed in by_arm["whole"]]
        gaps = [own[seed]["refined"] - by_arm["whole"][seed]["refined"] for seed in seeds]
        difference, word = compare_trainings(gaps) if gaps and name != "whole" else ("", "")
        if own:
            table[name] = row | {"difference": difference, "verdict": word}
    return table


def write_table(runs: Path, out: Path) -> None:
    "Write what is finished, and print it."
    results = [read_json(file) for file in sorted(runs.glob("*/*.json"))]
    table = table_of(results)
    write_atomic(out, (json.dumps({"table": table, "results": results}, indent=1) + "\n").encode())
    columns = ["draft", "refined", "freedom", "bits", "difference", "verdict"]
    print(markdown_table(["", *columns], [[name, *row.values()] for name, row in table.items()]))


app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


@app.command()
def main(
    seeds: Annotated[int, typer.Option(help="trainings of each arm")] = 3,
    share: Annotated[str, typer.Option(help="k/n: the k-th of n parts of the seeds")] = "1/1",
    small: Annotated[bool, typer.Option("--small", help="a few of everything")] = False,
    table: Annotated[bool, typer.Option("--table", help="only write and print the table")] = False,
    runs: Annotated[Path | None, typer.Option(help="where all is kept")] = None,
    out: Annotated[Path | None, typer.Option(help="the table's file")] = None,
) -> None:
    "Train what is missing, then write the table."
    size, (part, parts) = SMALL if small else Size(), share_of(share)
    folder = runs or Path("runs/ingredients-small" if small else "runs/ingredients")
    path = out or (folder if small else weights_path()) / "ingredients.json"
    for seed in range(seeds) if not table else ():
        if seed % parts != part - 1:
            continue
        own = folder / f"seed {seed}"
        for name, arm in ARMS.items():
            make = lambda name=name, arm=arm, seed=seed, own=own: {
                "arm": name,
                "seed": seed,
                "steps": size.steps,
                **measured(trained(name, seed, own, size), arm, size),
            }
            keep(own / f"{name}.json", make)
            print(f"seed {seed}: {name} is done", flush=True)
    write_table(folder, path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    app()
