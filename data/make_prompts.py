"""Make the fixed prompt sets: captions, specifications and reference pictures, as Parquet.

python data/make_prompts.py            writes data/prompts/*.parquet, the same bytes every time
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import torch

from t2i_learn.core.show import to_image
from t2i_learn.world.captions import SPLIT_TASKS, Facts, in_validation, random_facts, spec_of, scene_of, caption_of
from t2i_learn.world.scenes import render

HERE = Path(__file__).resolve().parent
SIDE = 32  # pixels of a reference picture
TRIES = 20_000  # facts drawn for a task; the smallest sets of captions are seen whole well before

# name of a file: the split its facts come from, prompts a task
SETS = {"validation": ("seen", 100), "test": ("seen", 400), **{split: (split, 100) for split in "abcdef"}}

# `datasets` finds the type of each column in the schema's metadata, and so decodes the pictures.
FEATURES = {
    "image": {"_type": "Image"},
    **{name: {"dtype": "string", "_type": "Value"} for name in ("caption", "task", "split", "spec")},
}
SCHEMA = pa.schema(
    [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
     *((name, pa.string()) for name in ("caption", "task", "split", "spec"))],
    metadata={"huggingface": json.dumps({"info": {"features": FEATURES}})},
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
    rng: random.Random,
) -> list[Facts]:  # at least one
    "Facts with captions that all differ, in the order in which they were drawn."
    split, wanted = SETS[name]
    found: dict[str, Facts] = {}
    for _ in range(TRIES):
        facts = random_facts(task, split, rng)
        if belongs(name, caption := caption_of(facts)):
            found.setdefault(caption, facts)
        if len(found) == wanted:
            break
    return list(found.values())


def picture(
    facts: Facts,
    rng: random.Random,
) -> bytes:  # a PNG file
    "A scene in which the facts hold, drawn."
    generator = torch.Generator().manual_seed(rng.getrandbits(62))
    buffer = io.BytesIO()
    to_image(render(scene_of(facts, generator), SIDE)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def rows(
    name: str,  # of a set
) -> Iterator[dict]:
    "The prompts of a set, task by task; no caption comes again before all others have come."
    split, wanted = SETS[name]
    for task in SPLIT_TASKS[split]:
        rng = random.Random(f"{name}/{task}")
        kinds = distinct(name, task, rng)
        for i in range(wanted):
            facts = kinds[i % len(kinds)]
            yield {"image": {"bytes": picture(facts, rng), "path": None}, "caption": caption_of(facts), "task": task,
                   "split": split, "spec": json.dumps(spec_of(facts))}


def main() -> None:
    "Write every set and say how large it is."
    folder = HERE / "prompts"
    folder.mkdir(exist_ok=True)
    for name in SETS:
        table = pa.Table.from_pylist(list(rows(name)), SCHEMA)
        parquet.write_table(table, folder / f"{name}.parquet", compression="zstd")
        captions = len(set(table["caption"].to_pylist()))
        size = (folder / f"{name}.parquet").stat().st_size
        print(f"{name}: {table.num_rows} prompts, {captions} captions, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
