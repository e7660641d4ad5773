"""Make the prompt sets: captions, specifications, and reference pictures or scenes, as Parquet.

python data/make_prompts.py                           edition 1: data/prompts/*.parquet, the same prompts every time
python data/make_prompts.py --edition 2               the test of edition 2: data/prompts/edition-2/*.parquet
python data/make_prompts.py --edition 2 --validation  only its validation sets, with more prompts than edition 1 has

A new edition of the test is made when a new model is measured, after its settings are committed. Every row of it has a noise
seed of its own, for captions repeat where there are few of them, and a scene as JSON, which is rendered at any side.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as parquet
import torch
import typer

from t2i_learn.core.files import write_atomic
from t2i_learn.core.show import to_image
from t2i_learn.world.captions import (
    SPLIT_TASKS,
    Example,
    caption_of,
    in_validation,
    random_facts,
    scene_of,
    scene_to_json,
    spec_of,
)
from t2i_learn.world.scenes import Scene, render
from t2i_learn.world.score import sets_of_edition
from t2i_learn.world.tasks import Facts
from t2i_learn.world.wording import NUM_THINGS, free_example, plain_example

HERE = Path(__file__).resolve().parent
SIDE = 32  # pixels of a reference picture of edition 1
TRIES = 20_000  # facts drawn for a task; the smallest sets of captions are seen whole well before
NOISE_SEEDS = 2**48  # they are drawn below it

# name of a file: the split its facts come from, prompts a task
SETS = {
    "validation": ("seen", 100),
    "test": ("seen", 400),
    **{split: (split, 100) for split in "abcdef"},
}
LATER_SETS = {
    "validation": ("seen", 300),
    **{name: SETS[name] for name in sets_of_edition(2) if name in SETS},
}
FREE_SETS: dict[
    str, dict[str, tuple[Callable[[random.Random], Example], int]]
] = {  # set -> task -> maker, prompts
    "free": {f"things {n}": (partial(free_example, num_things=n), 150) for n in NUM_THINGS},
    "g": {f"things {n}": (partial(free_example, split="g", num_things=n), 300) for n in (1, 2)},
    "three": {"three": (partial(plain_example, num_things=3), 300)},
    "h": {"four": (partial(plain_example, num_things=4), 300)},
    "clauses": {f"things {n}": (partial(free_example, num_things=n), 150) for n in NUM_THINGS},
}

# `datasets` finds the type of each column in the schema's metadata, and so decodes the pictures.
TEXTS = ("caption", "task", "split", "spec")
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def schema_of(
    columns: dict[str, tuple[pa.DataType, dict[str, str]]],  # name -> type, and type for `datasets`
) -> pa.Schema:
    "The columns of a file."
    info = {"info": {"features": {name: feature for name, (_, feature) in columns.items()}}}
    fields = [(name, kind) for name, (kind, _) in columns.items()]
    return pa.schema(fields, metadata={"huggingface": json.dumps(info)})


def value(dtype: str) -> dict[str, str]:
    "A column of plain values, as `datasets` describes it."
    return {"dtype": dtype, "_type": "Value"}


SAID = {name: (pa.string(), value("string")) for name in TEXTS}
SCHEMA = schema_of({"image": (IMAGE, {"_type": "Image"}), **SAID})
LATER_SCHEMA = schema_of(
    SAID | {"noise_seed": (pa.int64(), value("int64")), "scene": (pa.string(), value("string"))}
)


def belongs(
    name: str,  # of a set
    caption: str,
) -> bool:
    "Whether a set may hold a caption: validation and test share none."
    return name not in ("validation", "test") or in_validation(caption) == (name == "validation")


def distinct(
    name: str,  # of a set
    task: str,
    split: str,
    wanted: int,
    rng: random.Random,
) -> list[Facts]:  # at least one
    "Facts with captions that all differ, in the order in which they were drawn."
    found: dict[str, Facts] = {}
    for _ in range(TRIES):
        facts = random_facts(task, split, rng)
        if belongs(name, caption := caption_of(facts)):
            found.setdefault(caption, facts)
        if len(found) == wanted:
            break
    return list(found.values())


def draw_scene(
    facts: Facts,
    rng: random.Random,
) -> Scene:
    "A scene in which the facts hold."
    return scene_of(facts, torch.Generator().manual_seed(rng.getrandbits(62)))


def picture(scene: Scene) -> bytes:  # a PNG file
    "A scene, rendered."
    buffer = io.BytesIO()
    to_image(render(scene, SIDE)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def said_columns(caption: str, task: str, split: str, spec: dict[str, Any]) -> dict[str, Any]:
    "What a row of any edition says."
    return {"caption": caption, "task": task, "split": split, "spec": json.dumps(spec)}


def scene_columns(
    scene: Scene,
    rng: random.Random,  # of the noise seed
) -> dict[str, Any]:
    "What a row holds, from edition 2 on, instead of a picture."
    return {"noise_seed": rng.randrange(NOISE_SEEDS), "scene": scene_to_json(scene)}


def rows(
    name: str,  # of a set
    edition: int = 1,
    per_task: int | None = None,  # fewer prompts of each task, for a try
) -> Iterator[dict[str, Any]]:
    "The prompts of a set, task by task; no caption comes again before all others have come."
    split, wanted = (SETS if edition == 1 else LATER_SETS)[name]
    wanted = wanted if per_task is None else min(per_task, wanted)
    for task in SPLIT_TASKS[split]:
        rng = random.Random(f"{name}/{task}" if edition == 1 else f"edition {edition}/{name}/{task}")
        kinds = distinct(name, task, split, wanted, rng)
        for i in range(wanted):
            facts = kinds[i % len(kinds)]
            scene = draw_scene(facts, rng)
            row = said_columns(caption_of(facts), task, split, spec_of(facts))
            if edition == 1:
                yield row | {"image": {"bytes": picture(scene), "path": None}}
            else:
                yield row | scene_columns(scene, rng)


def free_rows(
    name: str,  # a key of FREE_SETS
    edition: int,
    per_task: int | None = None,  # fewer prompts of each task, for a try
) -> Iterator[dict[str, Any]]:
    "The prompts of a set in free words: each caption once, and validation apart from the tests."
    for task, (make, wanted) in FREE_SETS[name].items():
        rng = random.Random(f"edition {edition}/{name}/{task}")
        found: set[str] = set()
        while len(found) < (wanted if per_task is None else min(per_task, wanted)):
            example = make(rng)
            if example.caption in found or in_validation(example.caption) != (name == "free"):
                continue
            found.add(example.caption)
            row = said_columns(example.caption, task, name, example.spec)
            yield row | scene_columns(example.scene, rng)


def write_set(
    path: Path,  # of the Parquet file
    name: str,  # of a set
    edition: int = 1,
    per_task: int | None = None,  # fewer prompts of each task, for a try
) -> None:
    "Write a set, whole or not at all, and say how large it is."
    make = free_rows if name in FREE_SETS else rows
    table = pa.Table.from_pylist(
        [*make(name, edition, per_task)], SCHEMA if edition == 1 else LATER_SCHEMA
    )
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    write_atomic(path, data)
    captions = len(set(table["caption"].to_pylist()))
    print(f"{name}: {table.num_rows} prompts, {captions} captions, {len(data) / 1e6:.2f} MB")


def main(
    edition: Annotated[
        int, typer.Option(min=1, help="of the prompts; its number seeds all that is drawn")
    ] = 1,
    validation: Annotated[
        bool,
        typer.Option(
            "--validation",
            help="only the validation sets of a later edition; they are not in the others",
        ),
    ] = False,
    per_task: Annotated[
        int | None, typer.Option(min=1, help="fewer prompts of each task, for a try; not for edition 1")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder of the prompts")] = HERE / "prompts",
) -> None:
    "Write every set of an edition and say how large it is."
    if edition == 1 and (validation or per_task):
        raise typer.BadParameter(
            "edition 1 is fixed; give --edition 2 or more with --validation and --per-task"
        )
    folder = out if edition == 1 else out / f"edition-{edition}"
    later = sets_of_edition(edition, validation)
    for name in SETS if edition == 1 else later:
        write_set(folder / f"{name}.parquet", name, edition, per_task)


if __name__ == "__main__":
    typer.run(main)
