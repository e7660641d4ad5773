"""Make the sets of edits: pictures, captions, and captions with one change, as JSON.

python data/make_edits.py                              data/edits/choose.json and test-r.json, on rendered scenes
python data/make_edits.py --drawn shapes-diffusion     data/edits/choose-m.json and test-m.json, on pictures that this model draws

Sets whose names begin with `choose` are for choosing settings, the others choose nothing. On drawn pictures the scene is what the oracle reads; only
pictures whose captions it finds true are kept.
"""

from __future__ import annotations

import io
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from t2i_learn.core.files import write_atomic
from t2i_learn.core.pipeline import Pipeline, load
from t2i_learn.core.show import to_tensor
from t2i_learn.world.captions import in_validation
from t2i_learn.world.edits import EDIT_KINDS, Edit, edit_to_row, random_edit, recast_edit
from t2i_learn.world.reader import read_scene

HERE = Path(__file__).resolve().parent
SETS = {"choose": 20, "test-r": 50}  # name of a file -> edits of each kind
DRAWN = {"choose-m": 20, "test-m": 50}
BATCH = 32  # pictures that a model draws at a time


def distinct_edits(
    name: str,  # of a set; its edits depend on it
    kind: str,
    count: int,
) -> list[Edit]:
    "Edits whose pairs of captions all differ; those for choosing share none with the tests."
    rng = random.Random(f"{name}/{kind}")
    found: dict[str, Edit] = {}
    while len(found) < count:
        edit = random_edit(kind, rng)
        pair = f"{edit.caption} -> {edit.new_caption}"
        if in_validation(pair) == name.startswith("choose"):
            found.setdefault(pair, edit)
    return list(found.values())


def drawn_edits(
    pipe: Pipeline,
    name: str,  # of a set
    kind: str,
    count: int,
) -> list[Edit]:  # with pictures
    "Edits of pictures that a model drew and the oracle reads right."
    found: list[Edit] = []
    wanted = distinct_edits(
        name, kind, 2 * count
    )  # more than enough: most pictures are right, and have room
    for first in range(0, len(wanted), BATCH):
        part = wanted[first : first + BATCH]
        images = pipe([edit.caption for edit in part], seed=[edit.noise_seed for edit in part]).images
        for edit, image in zip(part, images):
            buffer = io.BytesIO()
            image.save(buffer, "PNG", optimize=True)
            recast = recast_edit(edit, read_scene(to_tensor(image)))
            found += [] if recast is None else [replace(recast, picture=buffer.getvalue())]
        if len(found) >= count:
            return found[:count]
    raise ValueError(f"{pipe.name} drew only {len(found)} right pictures for edits of the kind {kind}")


def write_edits(
    path: Path,  # of the JSON file
    edits: list[Edit],
) -> None:
    "Write a set, whole or not at all, and say how large it is."
    lines = ",\n".join(json.dumps(edit_to_row(edit)) for edit in edits)
    write_atomic(path, f"[\n{lines}\n]\n".encode())
    print(f"{path.name}: {len(edits)} edits, {path.stat().st_size / 1e3:.0f} kB")


def main(
    drawn: Annotated[
        str | None, typer.Option(help="a model: make the sets on pictures that it draws, and no others")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder of the sets")] = HERE / "edits",
    per_kind: Annotated[
        int | None, typer.Option(min=1, help="fewer edits of each kind, for a try")
    ] = None,
) -> None:
    "Write the sets and say how large they are."
    if drawn is not None:
        pipe = load(drawn)
        for name, count in DRAWN.items():
            edits = [e for kind in EDIT_KINDS for e in drawn_edits(pipe, name, kind, per_kind or count)]
            write_edits(out / f"{name}.json", edits)
        return
    for name, count in SETS.items():
        edits = [e for kind in EDIT_KINDS for e in distinct_edits(name, kind, per_kind or count)]
        write_edits(out / f"{name}.json", edits)


if __name__ == "__main__":
    typer.run(main)
