"""Find out what a picture follows: swap one part of the condition with another caption's, and draw.

python tools/swaps.py                    every text-to-image model that ships; goes on where it stopped
python tools/swaps.py shapes-gan         one of them
python tools/swaps.py --prompts 100      pairs of captions of each kind of change; more keep those that are there
python tools/swaps.py --table            only print what the files say

Two captions differ in one fact: a shape, a color, a count, a relation, a size, a texture, or the background. Both are
validation captions: of the seen split, in the fifth that `in_validation` sets apart. A picture is drawn for the first
caption, with the model's own settings, while one part of its condition is the second caption's: the words (context and
mask), the pooled vector, or the layout. Two controls swap nothing and everything. A picture *follows* if it satisfies the
second caption and not the first, and *stays* if it satisfies the first and not the second; what is neither is a bad
picture. In a GAN's generator the caption enters the style vector ("latent code") through the pooled vector alone, so that
to swap the pooled vector is to swap the code. Results, pair by pair, and a table with standard errors go to
t2i_learn/weights/<model>/swaps.json, which belongs to the weights whose checksum it names.
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from unittest.mock import patch

import torch
import typer
from results import fingerprint
from tqdm import tqdm

from t2i_learn.core.files import choose, read_json, weights_path, write_atomic
from t2i_learn.core.pipeline import Pipeline, load, models
from t2i_learn.core.show import markdown_table
from t2i_learn.text.encoder import Condition
from t2i_learn.world.captions import (
    SPLIT_TASKS,
    caption_of,
    held_out_splits,
    in_validation,
    random_facts,
    spec_of,
)
from t2i_learn.world.reader import read_scene
from t2i_learn.world.score import check_spec, estimate_rate
from t2i_learn.world.tasks import CHANGES, TASKS, Facts

PARTS: dict[str, tuple[str, ...]] = {  # what is swapped -> fields of `Condition`
    "nothing": (),
    "words": ("context", "mask"),
    "pooled": ("pooled",),
    "layout": ("layout",),
    "everything": ("context", "mask", "pooled", "layout"),
}
KINDS = (
    "shape",
    "color",
    "count",
    "position",
    "size",
    "texture",
    "background",
)  # of change, each of one fact
FOLLOWS, STAYS, NEITHER = "f", "s", "-"  # the verdict on a picture
BATCH = 20

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


class Pair(NamedTuple):
    "Two captions that differ in one fact, and what they claim."

    caption: str
    other: str
    spec: dict[str, Any]
    other_spec: dict[str, Any]
    facts: Facts  # of the first caption, from which true pictures of it are drawn


def _changeable(task: str, kind: str) -> bool:
    "Whether captions of a task can differ in this."
    return kind == "background" or kind in TASKS[task].changes


def _may_be_drawn(facts: Facts) -> bool:
    "Whether a caption was left to validation, and not to a test."
    return not held_out_splits(facts) and in_validation(caption_of(facts))


def make_pairs(
    kind: str,  # one of KINDS
    count: int,  # pairs
) -> list[Pair]:  # always the same, and the first ones of a longer list
    "Pairs of validation captions that differ in one fact, each first caption once, the tasks in turn."
    rng = random.Random(f"swaps/{kind}")
    pairs: dict[str, Pair] = {}
    for task in cycle(task for task in SPLIT_TASKS["seen"] if _changeable(task, kind)):
        if len(pairs) == count:
            break
        facts = random_facts(task, "seen", rng)
        facts = replace(facts, says_background=facts.says_background or kind == "background")
        other = CHANGES[kind](facts, rng)
        if _may_be_drawn(facts) and _may_be_drawn(other):
            pair = Pair(caption_of(facts), caption_of(other), spec_of(facts), spec_of(other), facts)
            pairs.setdefault(pair.caption, pair)
    return list(pairs.values())


def swap_part(
    cond: Condition,  # of the captions that are drawn
    other: Condition,  # of as many others
    part: str,  # one of PARTS
) -> Condition:
    "The condition with a part of the other's."
    return replace(cond, **{name: getattr(other, name) for name in PARTS[part]})


@contextmanager
def swapped_encoding(
    model: Any,  # of any family: its networks know of a caption what `encode` says
    others: dict[str, str],  # caption -> the other one
    part: str,  # one of PARTS
) -> Iterator[None]:
    "While it lasts, `encode` swaps a part of these captions' condition; other texts, such as the empty one, keep theirs."
    encode = model.encode

    def swapped(captions: str | list[str], truncation: bool = False) -> Condition:
        texts = [captions] if isinstance(captions, str) else captions
        other = encode([others.get(text, text) for text in texts], truncation)
        return swap_part(encode(texts, truncation), other, part)

    with patch.object(model, "encode", swapped):
        yield


def draw(
    pipe: Pipeline,
    pairs: list[Pair],
    part: str,  # one of PARTS
    first: int,  # number of the first pair
) -> torch.Tensor:  # (B, 3, H, W)
    "Pictures of the first captions, a part of their condition swapped, each from the noise of its pair's number."
    with swapped_encoding(pipe.model, {pair.caption: pair.other for pair in pairs}, part):
        return pipe([pair.caption for pair in pairs], seed=0, first=first, output_type="pt").images


def verdict(pair: Pair, picture: torch.Tensor) -> str:  # FOLLOWS, STAYS or NEITHER
    "Which of its two captions a picture satisfies; one that satisfies both is neither."
    scene = read_scene(picture)
    own, other = (check_spec(spec, scene)[0] for spec in (pair.spec, pair.other_spec))
    return NEITHER if own == other else STAYS if own else FOLLOWS


def parts_of(pipe: Pipeline) -> list[str]:
    "The parts that this model's condition has."
    layout = pipe.model.encode(["a star"]).layout
    return [part for part in PARTS if part != "layout" or layout is not None]


class Swaps:
    "A model's file of results: for each kind of change the pairs, and for each part a verdict a pair."

    def __init__(
        self,
        path: Path,
        pipe: Pipeline,
        weights: str,  # fingerprint of the weights
    ):
        self.path, self.pipe = path, pipe
        settings = pipe.model.config.get("sampling", {})
        facts = {
            "model": pipe.name,
            "weights": weights,
            "settings": settings,
            "seed": 0,
            "prompts": "validation",
        }
        self.content: dict[str, Any] = read_json(path) if path.is_file() else {}
        if any(
            self.content.get(name) != value for name, value in facts.items()
        ):  # of other weights or settings
            self.content = {**facts, "pairs": {}, "verdicts": {}, "table": {}}

    def run(self, kind: str, part: str, pairs: list[Pair]) -> None:
        "Draw and judge what is missing; the file is written after every batch."
        named, before = (
            [[pair.caption, pair.other] for pair in pairs],
            self.content["pairs"].get(kind, []),
        )
        if any(old != new for old, new in zip(before, named)):  # pairs are made in another way now
            self.content["verdicts"].pop(kind)
            before = []
        self.content["pairs"][kind] = max(before, named, key=len)
        marks = self.content["verdicts"].setdefault(kind, {})
        while len(done := marks.get(part, "")) < len(pairs):
            batch = pairs[len(done) : len(done) + BATCH]
            pictures = draw(self.pipe, batch, part, len(done))
            marks[part] = done + "".join(map(verdict, batch, pictures))
            self.save()

    def save(self) -> None:
        "Write verdicts and table, whole or not at all."
        self.content["table"] = summary(self.content["verdicts"])
        write_atomic(self.path, (json.dumps(self.content, indent=1) + "\n").encode())


Table = dict[str, dict[str, dict[str, Any]]]  # kind of change, or "all" -> part -> n, follows, stays


def summary(verdicts: dict[str, dict[str, str]]) -> Table:
    "Shares with their standard errors, for each kind of change and for all of them together."
    together = {part: "".join(marks.get(part, "") for marks in verdicts.values()) for part in PARTS}
    table: Table = {}
    for kind, marks in {**verdicts, "all": together}.items():
        table[kind] = {}
        for part, row in marks.items():
            if row:
                follows, stays = (
                    estimate_rate([mark == wanted for mark in row]) for wanted in (FOLLOWS, STAYS)
                )
                shares = {"follows": follows, "stays": stays}
                table[kind][part] = {"n": len(row)} | {
                    name: [round(rate.rate, 3), round(rate.standard_error, 3)]
                    for name, rate in shares.items()
                }
    return table


def show_table(table: Table, share: str) -> str:  # Markdown
    "One of the shares, a row for each kind of change."
    parts = [part for part in PARTS if part in table["all"]]

    def cell(row: dict[str, Any]) -> str:
        return f"{row[share][0]:.2f} ± {row[share][1]:.2f}"

    rows = [
        [
            kind,
            str(max(row["n"] for row in own.values())),
            *(cell(own[p]) if p in own else "" for p in parts),
        ]
        for kind, own in table.items()
    ]
    return markdown_table([f"{share}; what differs", "pairs", *parts], rows)


@app.command()
def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="models; all that ship if none is named")
    ] = None,
    prompts: Annotated[int, typer.Option(help="pairs of captions of each kind of change")] = 40,
    table: Annotated[
        bool, typer.Option("--table", help="draw nothing: print what the files say")
    ] = False,
) -> None:
    "Swap, draw, judge, count."
    shipped = models("text-to-image")
    for name in [choose(name, shipped, "model that draws") for name in names or shipped]:
        path = weights_path() / name / "swaps.json"
        if not table:
            pipe = load(name)
            swaps = Swaps(path, pipe, fingerprint(weights_path() / name / "model.safetensors")[:16])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of words that captions in training did not hold
                for kind in tqdm(KINDS, name):
                    pairs = make_pairs(kind, prompts)
                    for part in parts_of(pipe):
                        swaps.run(kind, part, pairs)
        found = read_json(path)["table"]
        print(f"\n{name}\n\n{show_table(found, 'follows')}\n\n{show_table(found, 'stays')}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    app()
