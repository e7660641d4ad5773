"""What must pass through a latent code: train with 1, 2, 4 and 8 slots, with words beside them, with words alone.

python tools/latent_code.py                        six trainings at the small size; goes on where it stopped
python tools/latent_code.py --only "code, k = 4"   one of them
python tools/latent_code.py --share 1/2            every second of them, for two processes side by side
python tools/latent_code.py --full                 the shipped size, one arm: --only names it, "code, k = 4" by default
python tools/latent_code.py --table                train nothing: write and print the table of what is finished

All trainings have the same networks but for the way of the text, and equal steps: the text side first, then the three
rounds of `make_latent_code_rounds`. Checkpoints and logs of every stage are kept in runs/latent_code/<training>/, and a result is
written when a training ends. It holds the score by task on validation prompts with 95 % intervals, a fresh linear probe on
the code before and after the rounds, how many pictures follow when the code is swapped at fixed noise and when the caption
of a rebuilt picture is swapped at fixed z (pairs of captions as in `tools/swaps.py`), and the freedom that is left. The
table goes to t2i_learn/weights/latent-code.json, a trained model to runs/latent_code/<training>/model/, and 64 of its
pictures to pictures.png beside it. A price that is too low is seen in the last two columns: raise --beta.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import torch
import typer
from results import callbacks_of, prompts_of, share_of
from swaps import FOLLOWS, KINDS, make_pairs, Pair, verdict

from t2i_learn.core.callbacks import read_log
from t2i_learn.core.files import choose, read_json, save_png, weights_path, write_atomic
from t2i_learn.core.pipeline import Pipeline
from t2i_learn.core.show import make_image_grid, markdown_table
from t2i_learn.core.tensors import Noise
from t2i_learn.gan.diversity import picture_diversity
from t2i_learn.gan.latent_code import (
    fit_spec_reader,
    make_latent_code_rounds,
    LATENT_CODE_ROUNDS,
    LatentCodeConfig,
    LatentCodeGAN,
    probe_accuracy,
    scale_latent_code_config,
)
from t2i_learn.text.layout import PRETRAIN_MIX
from t2i_learn.world.captions import load_prompts, scene_of
from t2i_learn.world.scenes import render
from t2i_learn.world.score import (
    estimate_rate,
    evaluate_prompts,
    group_rates,
    mean_rate,
    pictures_of_prompts,
    RateEstimate,
)

ARMS: dict[str, dict[str, int]] = {  # name -> how the text gets in
    "code, k = 1": {"slots": 1},
    "code, k = 2": {"slots": 2},
    "code, k = 4": {"slots": 4},
    "code, k = 8": {"slots": 8},
    "code, k = 4, and words": {"slots": 4, "attention_blocks": 2},
    "words": {"slots": 0, "attention_blocks": 2},
}
STEPS = (1500, 4000, 1500)  # of the three rounds, at the small size
PRETRAIN_STEPS = 800
SIDE_OF_TEXT = 8  # pixels: pictures that are not looked at
COLUMNS = ("mean", "single", "color", "two", "count", "position", "attribution")
PROBES = 1000  # captions that a probe is fitted to

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def rounds_of(arm: str, beta: float, full: bool, smoke: bool) -> tuple[LatentCodeConfig, ...]:
    "The three rounds of an arm."
    if smoke:
        how = {"warmup": 2, "pretrain_steps": 3, "config": scale_latent_code_config(32, **ARMS[arm])}
        return make_latent_code_rounds((2, 2, 2), 8, beta=beta, **how)
    if full:
        steps = tuple(config.steps for config in LATENT_CODE_ROUNDS["full"])
        network = LATENT_CODE_ROUNDS["full"][0].config
        config = network | {"generator": network["generator"] | ARMS[arm]}
        return make_latent_code_rounds(steps, beta=beta, pretrain_steps=1500, config=config)  # type: ignore[arg-type]
    config = scale_latent_code_config(64, **ARMS[arm])
    return make_latent_code_rounds(
        STEPS, beta=beta, ema=0.998, pretrain_steps=PRETRAIN_STEPS, config=config
    )


@torch.no_grad()
def encode_specs(model: LatentCodeGAN, captions: list[str]) -> torch.Tensor:  # (n, slots, 64)
    "The codes of captions, a hundred at a time."
    assert model.generator.code is not None
    parts = [captions[k : k + 100] for k in range(0, len(captions), 100)]
    return torch.cat([model.generator.code(model.encode(part)) for part in parts])


def probe_of(model: LatentCodeGAN, prompts: int) -> dict[str, float]:  # empty without a code
    "A fresh probe, fitted to captions of the training and measured on validation prompts."
    if model.generator.code is None:
        return {}
    stream = PRETRAIN_MIX.batches(100, SIDE_OF_TEXT, 99)
    examples = [example for k in range(PROBES // 100) for example in stream(k).examples]
    probe = fit_spec_reader(
        encode_specs(model, [e.caption for e in examples]), [e.spec for e in examples]
    )
    held_out = load_prompts("validation", prompts)
    code = encode_specs(model, [p.caption for p in held_out])
    found = probe_accuracy(probe, code, [p.spec for p in held_out])
    return {group: round(share, 4) for group, share in found.items()}


def numbers(rate: RateEstimate) -> dict[str, Any]:
    "A rate with its interval, for JSON."
    ends = [round(rate.low, 4), round(rate.high, 4)]
    return {"rate": round(rate.rate, 4), "n": rate.n, "interval": ends}


def score_of(pipe: Pipeline, prompts: int) -> dict[str, Any]:
    "The rates by task on validation prompts, with the mean over GenEval's six."
    rows = load_prompts("validation", prompts)
    found = evaluate_prompts(pictures_of_prompts(pipe, rows), rows)
    rates = group_rates(rows, [ok for ok, _ in found])["seen"]
    return {task: numbers(rate) for task, rate in (rates | {"mean": mean_rate(rates)}).items()}


def follow_rate(
    pairs: list[Pair],
    draw: Callable[[list[Pair], int], torch.Tensor],  # (pairs, number of the first) -> pictures
) -> RateEstimate:
    "The share of pictures that satisfy the second caption of their pair and not the first."
    marks: list[bool] = []
    for first in range(0, len(pairs), 20):
        part = pairs[first : first + 20]
        marks += [verdict(pair, picture) == FOLLOWS for pair, picture in zip(part, draw(part, first))]
    return estimate_rate(marks)


@torch.no_grad()
def with_swapped_code(model: LatentCodeGAN, pairs: list[Pair], first: int) -> torch.Tensor:
    "Pictures of the first captions, with the second captions' codes, each from the noise of its number."
    assert model.generator.code is not None
    z = Noise(0, first).normal((len(pairs), model.generator.noise), 0)
    own = model.encode([pair.caption for pair in pairs])
    other = model.encode([pair.other for pair in pairs])
    return model.generator(z, own, model.generator.code(other)).float()


@torch.no_grad()
def with_swapped_caption(model: LatentCodeGAN, pairs: list[Pair], first: int) -> torch.Tensor:
    "Pictures from the noise of true pictures of the first captions, drawn for the second captions."
    generator = torch.Generator().manual_seed(first)
    real = torch.stack([render(scene_of(pair.facts, generator)) for pair in pairs])
    own = model.encode([pair.caption for pair in pairs])
    other = model.encode([pair.other for pair in pairs])
    z = model.rebuild(real, own, generator).z
    return model(z, other)


def swaps_of(model: LatentCodeGAN, pairs: int) -> dict[str, dict[str, Any]]:
    "How many pictures follow a swap, for each kind of fact and over all."
    made = {kind: make_pairs(kind, pairs) for kind in KINDS}
    ways = {"caption swapped": with_swapped_caption}
    if model.generator.code is not None:
        ways["code swapped"] = with_swapped_code
    table = {}
    for name, way in ways.items():
        draw = lambda part, first, way=way: way(model, part, first)
        every = [pair for own in made.values() for pair in own]
        rates = {kind: follow_rate(own, draw) for kind, own in made.items()}
        table[name] = {
            kind: numbers(rate) for kind, rate in (rates | {"all": follow_rate(every, draw)}).items()
        }
    return table


def train(
    config: LatentCodeConfig, folder: Path, stage: str, seed: int, init: torch.nn.Module
) -> torch.nn.Module:  # the averaged model
    "One round, or what is left of it."
    learner, ema = config.learner(callbacks_of(folder, stage, 100, 50), seed, init=init)
    learner.fit(config.steps)
    return ema.model


def make_result(
    arm: str, seed: int, rounds: tuple[LatentCodeConfig, ...], folder: Path, prompts: int
) -> dict[str, Any]:
    "Train, measure, and keep the model and 64 of its pictures."
    model: Any = rounds[0].pretrain(callbacks_of(folder, "text", 100, 50), seed)
    before = probe_of(model, prompts)
    print(f"{folder.name}: probe before the rounds {before}", flush=True)
    for k, config in enumerate(rounds):
        model = train(config, folder, f"round-{k}", 10 * seed + k, model)
    model = rounds[-1].finish(model)
    pipe = Pipeline(model, folder.name)
    pipe.save_pretrained(folder / "model")
    captions = [prompt.caption for prompt in prompts_of("validation", 11)][:64]
    shown = pipe(captions, seed=1, output_type="pt").images
    save_png(make_image_grid(shown, 8, gap=1), folder / "pictures.png", {})
    return {
        "arm": arm,
        "seed": seed,
        "beta": rounds[-1].loss.kl,
        "steps": [rounds[0].pretrain_steps, *(config.steps for config in rounds)],
        "seconds": {
            log.stem: round(read_log(log)[-1]["seconds"]) for log in sorted(folder.glob("*.jsonl"))
        },
        "score": score_of(pipe, prompts),
        "probe before": before,
        "probe after": probe_of(model, prompts),
        "swaps": swaps_of(model, prompts),
        "freedom": round(picture_diversity(60, correct_only=True)(SimpleNamespace(model=model)), 3),
    }


def cell(entry: dict[str, Any] | None) -> str:
    "A rate with its interval; nothing where it was not measured."
    if entry is None:
        return ""
    low, high = entry["interval"]
    return f"{entry['rate']:.2f} [{low:.2f}, {high:.2f}]"


def summary(results: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    "A row a training, as the page shows it."
    table = {}
    for result in results:
        swaps = result["swaps"]
        row = {task: cell(result["score"].get(task)) for task in COLUMNS}
        row |= {
            name: cell(swaps.get(name, {}).get("all")) for name in ("code swapped", "caption swapped")
        }
        name = result["arm"] + (f", seed {result['seed']}" if result["seed"] else "")
        table[name] = row | {"freedom": f"{result['freedom']:.2f}"}
    return table


def write_table(runs: Path, out: Path) -> None:
    "Write what is finished, and print it."
    order = [*ARMS]
    found = [read_json(file) for file in sorted((runs / "results").glob("*.json"))]
    results = sorted(found, key=lambda result: (order.index(result["arm"]), result["seed"]))
    table = summary(results)
    text = json.dumps({"table": table, "results": results}, indent=1) + "\n"
    write_atomic(out, text.encode())
    columns = [*next(iter(table.values()), {})]
    print(markdown_table(["text", *columns], [[name, *row.values()] for name, row in table.items()]))


@app.command()
def main(
    only: Annotated[str | None, typer.Option(help="one arm, by its name")] = None,
    seeds: Annotated[int, typer.Option(help="trainings of each arm")] = 1,
    beta: Annotated[float, typer.Option(help="price of a nat of noise, 1 or more")] = 2.0,
    prompts: Annotated[int, typer.Option(help="validation prompts a task, and pairs a kind")] = 50,
    share: Annotated[str, typer.Option(help="k/n: the k-th of n parts of the work")] = "1/1",
    full: Annotated[bool, typer.Option("--full", help="the shipped size")] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="two steps a round, to try the tool")] = False,
    table: Annotated[bool, typer.Option("--table", help="only write and print the table")] = False,
    runs: Annotated[Path, typer.Option(help="where all is kept")] = Path("runs/latent_code"),
) -> None:
    "Train what is missing, then write the table."
    arms = [choose(only, ARMS, "arm")] if only else ["code, k = 4"] if full else [*ARMS]
    part, parts = share_of(share)
    runs = runs / "full" if full else runs
    work = [(seed, arm) for seed in range(seeds) for arm in arms]
    for k, (seed, arm) in enumerate([] if table else work):
        name = f"{arm.replace(', ', '-').replace(' ', '')}-{seed}"
        file = runs / "results" / f"{name}.json"
        if k % parts == part - 1 and not file.is_file():
            rounds = rounds_of(arm, beta, full, smoke)
            result = make_result(arm, seed, rounds, runs / name, prompts)
            write_atomic(file, (json.dumps(result, indent=1) + "\n").encode())
    write_table(runs, runs / "table.json" if full or smoke else weights_path() / "latent-code.json")


if __name__ == "__main__":
    torch.set_num_threads(1)
    app()
