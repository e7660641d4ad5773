"""Search, train and measure the two-stage model at two to four network calls, and write t2i_learn/weights/<model>/few_calls.json.

python tools/few_calls.py               all parts in order, until the bars are met; goes on where it stopped
python tools/few_calls.py --only sweep  stop after the search; `guidance`, `levels` and `game` stop after these trainings
python tools/few_calls.py --all         go on also where the bars are met
python tools/few_calls.py --small       all kinds of work at a few prompts and steps, in a folder of their own

First the best settings of both shipped models are searched at 2, 3, 4 and 8 calls, a generator counted: for shapes-stable
the level at which a draft is taken up, guidance and sampler; for shapes-diffusion every sampler, guidance and the highest
level. Every candidate draws some validation prompts, the best ones all of them, and the winner is measured again on other
noises. Then the denoiser learns the guided answer, then the levels that it will meet on drafts that correspond, then a game
on refined pictures, each from what was best at four calls before; after each, the search is done again. Beside a score stand
the freedom (spread of places among right pictures over the true spread), calls, and milliseconds for one picture alone.
Work is kept in runs/few_calls/, trained models too. The test is not opened.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean, median
from typing import Annotated, Any, NamedTuple

import torch
import typer
from coefficient import Store
from results import callbacks_of, fingerprint, prompts_of

from t2i_learn.core.files import choose, weights_path, write_atomic
from t2i_learn.core.pipeline import load, Pipeline
from t2i_learn.core.settings import make_request
from t2i_learn.core.show import markdown_table
from t2i_learn.core.training import fastest_precision
from t2i_learn.diffusion.sampling import run_to_end, SAMPLERS
from t2i_learn.gan.diversity import DIVERSITY_FACTS, diversity_ratio
from t2i_learn.stable.few_calls import (
    FEW_CALLS,
    FEW_CALLS_PARTS,
    FewCallPlan,
    FewCallsConfig,
    network_calls,
)
from t2i_learn.stable.two_stage import fixed_refinement_grid
from t2i_learn.world.captions import caption_of, sample_example
from t2i_learn.world.comparisons import compare
from t2i_learn.world.score import estimate_rate, evaluate_prompts

BUDGETS = (2, 3, 4, 8)  # calls
TRAINED_FOR = 4  # calls
BARS = {4: 0.93, 2: 0.85}  # scores by calls
LEAD = 0.05  # that the lower end of a lead's interval should exceed
LEVELS = (0.3, 0.5, 0.7, 1.0, 1.5, 2.5, 6.0)  # at which a draft is taken up
TOPS = (48.0, 20.0, 8.0)  # highest levels of diffusion without a draft
SCALES = (1.0, 1.5, 2.0, 3.0)
RIVAL = "shapes-diffusion"
BATCH = 50


class Size(NamedTuple):
    "How much is done of each kind."

    searched: int = 25  # prompts a task for every candidate
    chosen: int = 100  # prompts a task for the best candidates, and for the winner
    finalists: int = 4  # candidates
    noises: int = 4  # that a winner is measured on again
    copies: int = 60  # pictures of a caption, for the freedom
    timed: int = 9  # single pictures
    steps: int = 600  # of each training
    batch: int = 32


SMALL = Size(1, 1, 1, 1, 2, 1, 2, 4)


class Way(NamedTuple):
    "A model and its settings."

    model: str  # a name of `Models`
    steps: int
    scale: float  # of guidance
    sampler: str
    level: float  # at which a draft is taken up, or the highest without one

    @property
    def calls(self) -> int:
        "Network evaluations a picture."
        return network_calls(self.steps, self.scale, self.sampler, self.model != RIVAL)

    @property
    def settings(self) -> str:
        "The settings in words."
        word = "steps" if self.steps > 1 else "step"
        return f"{self.steps} {word} of {self.sampler} from {self.level:g}, guidance {self.scale:g}"


class Models(dict[str, Pipeline]):
    "The shipped models, loaded when they are needed, and those that were trained."

    def __missing__(self, name: str) -> Pipeline:
        self[name] = load(name)
        return self[name]


def steps_within(calls: int, scale: float, sampler: str, draft: bool) -> int:
    "The most steps that a number of calls pays for; 0 if there is none."
    cost = lambda n: network_calls(n, scale, sampler, draft)
    return max((n for n in range(1, calls + 1) if cost(n) <= calls), default=0)


def candidates(model: str, calls: int, scales: tuple[float, ...] = SCALES) -> Iterator[Way]:
    "All that is tried with so many calls, each once: with a single step all samplers are one."
    rival = model == RIVAL
    samplers = [name for name in SAMPLERS if name != "euler"] if rival else ["ddim", "ddpm"]
    for scale, sampler in product(scales, samplers):
        steps = steps_within(calls, scale, sampler, not rival)
        if steps > 1 or (steps == 1 and sampler == "ddim"):
            for level in TOPS if rival else LEVELS:
                yield Way(model, steps, scale, sampler, level)


@torch.no_grad()
def draw(models: Models, way: Way, captions: list[str], seed: int, first: int = 0) -> torch.Tensor:
    "Pictures (B, 3, H, W) of one way."
    pipe = models[way.model]
    how = {"num_inference_steps": way.steps, "guidance_scale": way.scale, "sampler": way.sampler}
    if way.model != RIVAL:
        how |= {"refine_from": way.level}
        return pipe(captions, seed=seed, first=first, output_type="pt", **how).images
    request = make_request(pipe.model.config, captions, seed=seed, first=first, **how)
    levels = lambda schedule, steps: fixed_refinement_grid(pipe.model, way.level, steps)
    return run_to_end(pipe.model.trajectory(request, levels))


class Measures:
    "What is known of each way, kept piece by piece."

    def __init__(self, store: Store, models: Models, size: Size):
        self.store, self.models, self.size = store, models, size
        self.prompts = prompts_of("validation", size.chosen)

    def passed(self, way: Way, per_task: int, seed: int = 0) -> list[int]:
        "Whether the picture of each prompt is right, 1 or 0."
        prompts = self.prompts[: per_task * len({p.task for p in self.prompts})]

        def piece(k: int) -> str:
            first = k * BATCH
            shots = lambda captions, at: draw(self.models, way, captions, seed, first + at)
            verdicts = evaluate_prompts(shots, self.prompts[first : first + BATCH], BATCH)
            return "".join(str(int(ok)) for ok, _ in verdicts)

        count = -(-len(prompts) // BATCH)
        name = f"{way.model}, {way.settings}, seed {seed}"
        return [int(mark) for mark in "".join(self.store.collect(name, count, piece))][: len(prompts)]

    def again(self, way: Way) -> list[list[int]]:  # by noise and prompt
        "Whether pictures are right, with other noises than those of the search."
        return [self.passed(way, self.size.chosen, seed) for seed in range(1, self.size.noises + 1)]

    def best(self, ways: list[Way]) -> Way:
        "The best of all on some prompts, then of these on all."
        score = lambda way, count: mean(self.passed(way, count))
        few = sorted(ways, key=lambda way: score(way, self.size.searched), reverse=True)
        return max(few[: self.size.finalists], key=lambda way: score(way, self.size.chosen))

    def freedom(self, way: Way) -> dict[str, float]:
        "Spread of place, size and background among right pictures, over that of the truth."

        def piece(_: int) -> dict[str, float]:
            true = [
                sample_example("color", generator=torch.Generator().manual_seed(k)).scene
                for k in range(4 * self.size.copies)
            ]
            shots = lambda facts, k: draw(self.models, way, [caption_of(facts)] * self.size.copies, k)
            pictures = [shots(facts, k) for k, facts in enumerate(DIVERSITY_FACTS)]
            ratio = diversity_ratio(pictures, [true] * len(DIVERSITY_FACTS), DIVERSITY_FACTS)
            return {name: round(value, 3) for name, value in ratio._asdict().items()}

        return self.store.collect(f"freedom, {way.model}, {way.settings}", 1, piece)[0]

    def milliseconds(self, way: Way) -> float:
        "The median time of one picture alone."

        def piece(_: int) -> float:
            times = []
            for k in range(self.size.timed + 1):  # the first warms up
                began = time.perf_counter()
                draw(self.models, way, ["a red heart"], k)
                times.append(1000 * (time.perf_counter() - began))
            return round(median(times[1:]), 1)

        return self.store.collect(f"time, {way.model}, {way.settings}", 1, piece)[0]


def row_of(measures: Measures, budget: int, way: Way, tried: int, rival: Way) -> dict[str, Any]:
    "A row of the table: a winner on other noises, beside the winner of diffusion."
    rows = measures.again(way)
    captions = [p.caption for p in measures.prompts] * len(rows)  # one caption's noises share its luck
    rate = estimate_rate([bool(ok) for row in rows for ok in row], captions)
    free = measures.freedom(way)
    row = {"budget": budget, "calls": way.calls, "model": way.model, "settings": way.settings}
    row |= {"value": round(rate.rate, 4)}
    row |= {"score": f"{rate.rate:.3f} [{rate.low:.3f}, {rate.high:.3f}]"}
    row |= {
        "freedom": f"{free['place']:.2f}",
        "freedoms": free,
        "milliseconds": measures.milliseconds(way),
    }
    row |= {"candidates": tried, "prompts": len(measures.prompts), "noises": len(rows)}
    if way.model == RIVAL:
        return row | {"lead": "", "interval": None}
    flat = lambda rows: [bool(ok) for row in rows for ok in row]
    lead = compare(flat(rows), flat(measures.again(rival)), measures.prompts * len(rows))
    return row | {
        "lead": f"{lead.gap:+.3f} [{lead.low:+.3f}, {lead.high:+.3f}]",
        "interval": [round(v, 4) for v in (lead.gap, lead.low, lead.high)],
    }


def bars_met(table: list[dict[str, Any]]) -> bool:
    "Whether some row at each budget with a bar has the score and the lead."
    good = lambda row: row["interval"] and row["interval"][1] > LEAD
    return all(
        any(row["budget"] == n and row["value"] >= bar and good(row) for row in table)
        for n, bar in BARS.items()
    )


def guidance_worth(measures: Measures, model: str) -> float:
    "The scale that is best with three steps, whatever it costs now: distilled, it costs one call a step."
    ways = [
        Way(model, 3, scale, sampler, level)
        for scale, sampler, level in product(SCALES[1:], ("ddim", "ddpm"), LEVELS)
    ]
    return measures.best(ways).scale


def train_part(part: str, config: FewCallsConfig, init: Any, folder: Path) -> Pipeline:
    "One training, from its checkpoint if there is one; its model is saved beside it."
    file = folder / f"{part}.safetensors"
    how = config.initial_model(0, init), config.data(), config.training_loss
    precision = fastest_precision(*how, checkpoint=file)
    learner, ema = config.learner(callbacks_of(folder, part, 25, 25), 0, precision, init=init)
    learner.fit(config.steps)
    pipe = Pipeline(config.finish(ema.model).eval().requires_grad_(False), part)
    pipe.save_pretrained(folder / part)
    return pipe


class Search:
    "The table as it grows: for each model and number of calls the winner of a search."

    def __init__(self, measures: Measures, path: Path, facts: dict[str, Any]):
        self.measures, self.path, self.facts = measures, path, facts
        self.winners: dict[tuple[str, int], Way] = {}
        self.table: list[dict[str, Any]] = []

    def add(self, model: str, scales: tuple[float, ...] = SCALES) -> None:
        "Search a model's settings at every budget, and write the table."
        for budget in BUDGETS:
            ways = [*candidates(model, budget, scales)]
            winner = self.winners[model, budget] = self.measures.best(ways)
            rival = self.winners[RIVAL, budget]
            self.table.append(row_of(self.measures, budget, winner, len(ways), rival))
            self.save()

    def best_at(self, budget: int) -> Way:
        "The winner with a draft, of all models so far, by the prompts and noises of the search."
        ways = [
            way for (model, calls), way in self.winners.items() if calls == budget and model != RIVAL
        ]
        return max(ways, key=lambda way: mean(self.measures.passed(way, self.measures.size.chosen)))

    def save(self) -> None:
        "Write what is there."
        content = self.facts | {"met": bars_met(self.table), "table": self.table}
        write_atomic(self.path, (json.dumps(content, indent=1) + "\n").encode())


def part_config(part: str, search: Search, best: Way) -> FewCallsConfig:
    "A training for what is best so far at four calls."
    size, network = search.measures.size, search.measures.models[best.model].model.config
    how: dict[str, Any] = {"steps": size.steps, "batch_size": size.batch, "config": network}
    how["warmup"] = max(1, size.steps // 10)
    if part == "guidance":
        how["guidance_scale"] = guidance_worth(search.measures, search.facts["model"])
    steps = steps_within(TRAINED_FOR, 1.0, best.sampler, True)
    plan = FewCallPlan(best.level, steps, best.sampler if best.steps > 1 else "ddpm")
    return replace(FEW_CALLS["full"][part], plan=plan, **how)


def run_parts(search: Search, last: str, go_on: bool) -> dict[str, Any]:
    "The search among what ships, then one training after the other, each with a search."
    model, measures = search.facts["model"], search.measures
    search.add(RIVAL)
    search.add(model)
    for part in FEW_CALLS_PARTS:
        if last == "sweep" or (bars_met(search.table) and not go_on):
            break
        best = search.best_at(TRAINED_FOR) if part != "guidance" else Way(model, 3, 1.0, "ddpm", 1.0)
        config = part_config(part, search, best)
        init = measures.models[best.model].model
        measures.models[part] = train_part(part, config, init, measures.store.folder)
        plan, scale = config.plan, config.guidance_scale
        trained = {"from": best.model, "steps": config.steps, "plan": plan.settings}
        search.facts["trained"] = search.facts.get("trained", {}) | {
            part: trained | ({"distilled scale": scale} if part == "guidance" else {})
        }
        search.add(part, (1.0,))
        if part == last:
            break
    search.save()
    return {"table": search.table} | search.facts


app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


@app.command()
def main(
    model: Annotated[str, typer.Option(help="a model of two stages")] = "shapes-stable",
    only: Annotated[str, typer.Option(help="where to stop: sweep, guidance, levels or game")] = "game",
    go_on: Annotated[bool, typer.Option("--all", help="also where the bars are met")] = False,
    small: Annotated[bool, typer.Option("--small", help="a few of everything")] = False,
    steps: Annotated[int | None, typer.Option(help="of each training, instead of 600")] = None,
    runs: Annotated[Path | None, typer.Option(help="where work is kept")] = None,
    out: Annotated[Path | None, typer.Option(help="the table's file")] = None,
    threads: Annotated[int, typer.Option(help="threads of the processor")] = 1,
) -> None:
    "Search, train, and write the table after each piece."
    torch.set_num_threads(threads)
    choose(only, ("sweep", *FEW_CALLS_PARTS), "part")
    size = SMALL if small else Size()
    size = size._replace(steps=steps or size.steps)
    weights = [fingerprint(weights_path() / m / "model.safetensors")[:16] for m in (model, RIVAL)]
    folder = (runs or Path("runs/few_calls-small" if small else "runs/few_calls")) / weights[0]
    path = out or (folder if small else weights_path() / model) / "few_calls.json"
    facts = {"model": model, "weights": weights, "size": size._asdict()}
    search = Search(Measures(Store(folder), Models(), size), path, facts)
    table = run_parts(search, only, go_on)["table"]
    columns = ["budget", "calls", "model", "settings", "score", "freedom", "milliseconds", "lead"]
    print(markdown_table(columns, [[str(row[c]) for c in columns] for row in table]))


if __name__ == "__main__":
    app()
