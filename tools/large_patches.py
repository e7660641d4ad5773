"""Train the small networks of *Large patches*, and write t2i_learn/weights/large_patches.json.

python tools/large_patches.py              48 narrow networks and 12 wide ones; goes on where it stopped
python tools/large_patches.py --seeds 1    a third of them
python tools/large_patches.py --smoke      all kinds, three steps each, into a table of their own

Each row is one training: what the network outputs, how many numbers a place has, how many features a layer has, the loss of
the last hundred steps, and the energy distance between 1,000 places that it draws and true ones. A row is written when its
training ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from t2i_learn.core.callbacks import ProgressBar
from t2i_learn.core.files import read_json, weights_path, write_atomic
from t2i_learn.pictures.large_patches import draw_places, place_error, PlaceRun

OUTPUTS = ("x0", "flow", "eps", "edm")
SIZES = ((128, 2), (128, 16), (128, 128), (128, 512), (1024, 512))  # features, numbers of a place

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def runs(seeds: int, smoke: bool) -> Iterator[PlaceRun]:
    "The trainings, seed by seed, the wide ones last."
    for width, dimension in SIZES:
        for seed in range(seeds):
            for output in OUTPUTS:
                yield PlaceRun(output, dimension, width, 3 if smoke else 3000, seed)


def row_of(run: PlaceRun) -> dict[str, Any]:
    "Train, draw, measure."
    learner = run.learner([ProgressBar()])
    losses = [loop.loss for loop in learner.run(run.steps)][-100:]
    drawn = draw_places(learner.model.eval(), run.dimension)
    facts = {name: getattr(run, name) for name in ("output", "dimension", "width", "steps", "seed")}
    measured = {"loss": sum(losses) / len(losses), "distance": place_error(drawn)}
    return facts | {name: round(value, 4) for name, value in measured.items()}


@app.command()
def main(
    seeds: Annotated[int, typer.Option(min=1, help="trainings of each kind")] = 3,
    smoke: Annotated[bool, typer.Option("--smoke", help="a few steps of all kinds")] = False,
    out: Annotated[Path | None, typer.Option(help="the table; the one that ships if not given")] = None,
) -> None:
    "Train what is missing, and write the table after each training."
    name = "large_patches-smoke.json" if smoke else "large_patches.json"
    path = out or (Path("runs") / name if smoke else weights_path() / name)
    rows = read_json(path)["rows"] if path.is_file() else []
    path.parent.mkdir(parents=True, exist_ok=True)
    for run in runs(seeds, smoke):
        facts = {name: getattr(run, name) for name in ("output", "dimension", "width", "steps", "seed")}
        if any(facts.items() <= row.items() for row in rows):
            continue
        rows.append(row_of(run))
        print(rows[-1])
        write_atomic(path, (json.dumps({"rows": rows}, indent=1) + "\n").encode())


if __name__ == "__main__":
    app()
