"""Run the study of binding, and write t2i_learn/weights/binding.json, which *binding* shows.

python tools/binding.py                      fourteen cells, three seeds each, one after another; goes on where it stopped
python tools/binding.py --seeds 1            one of each
python tools/binding.py --cells centre --cells complete     some of them
python tools/binding.py --table              train nothing: write the summary of what is there, and print it

The cells are STUDY_CELLS of nbs/07_language/02_binding.ipynb: the same network, scenes and steps, and one property of the
captions or the batches that differs. Scenes are rendered once and kept in runs/binding/scenes/. A training saves its state
about every two minutes in runs/binding/state/, and its row, when it ends, in runs/binding/rows/<cell>-<seed>.json: a row that
is there is not trained again. All are tested on the same 1,000 pictures of trained combinations, and on 1,000 that hold a
combination which training never shows. Probes and the linear map are fitted on scenes of their own, whose combinations are not
among those that they are tested on. The summary is written after each row.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from input_ablation import mean_and_sd
from safetensors.torch import save as safetensors_bytes

from t2i_learn.core.callbacks import JSONLogger, read_log
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.files import choose, read_json, read_tensors, weights_path, write_atomic
from t2i_learn.core.show import markdown_table
from t2i_learn.language.binding import (
    binding_config,
    binding_report,
    ColoredScenes,
    make_fit_scenes,
    make_swap_test,
    render_colored_scenes,
    STUDY_CELLS,
    SwapTest,
)

SEEDS, SCENES, TEST_SIZE = 3, 20_000, 1000
FIT_REPEATS = 4  # of the 756 scenes that probes and the linear map are fitted on
SAVE_EVERY = 500  # steps

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def stored_scenes(
    folder: Path,
    num_things: int,  # in each
    count: int,
) -> ColoredScenes:
    "The scenes of a number of things, rendered the first time."
    file = folder / f"{count}-scenes-of-{num_things}.safetensors"
    if not file.is_file():
        scenes = render_colored_scenes(count, num_things)
        write_atomic(file, safetensors_bytes(scenes._asdict()))
    tensors, _ = read_tensors(file)
    return ColoredScenes(tensors["pictures"], tensors["shapes"], tensors["colors"])


def make_tests(size: int) -> dict[str, SwapTest]:
    "The fixed tests, by name."
    return {"trained": make_swap_test(size), "held out": make_swap_test(size, held_out=True)}


def row_name(cell: str, seed: int) -> str:
    "The name of a training's files."
    return f"{cell.replace(', ', '-').replace(' ', '-')}-{seed}"


def make_row(
    cell: str,  # of STUDY_CELLS
    seed: int,
    scenes: ColoredScenes,
    fit_scenes: ColoredScenes,  # of probes and map
    tests: dict[str, SwapTest],
    folder: Path,  # of its checkpoint and log
    steps: int | None = None,  # None: as many as the study has
) -> dict[str, Any]:
    "Train a cell from a seed, or go on training it, and test it."
    more = {} if steps is None else {"steps": steps}
    config = binding_config(scenes, STUDY_CELLS[cell], **more)
    log = folder / "log.jsonl"
    callbacks = [Checkpoint(folder / "state.safetensors", SAVE_EVERY), JSONLogger(log, 50)]
    learner, ema = config.learner(callbacks, seed)
    learner.fit(config.steps)
    report = {
        name: round(value, 4) for name, value in binding_report(ema.model, fit_scenes, tests).items()
    }
    last = read_log(log)[-1]
    return {
        "cell": cell,
        "seed": seed,
        "steps": config.steps,
        "seconds": last["seconds"],
        "loss": last["loss"],
    } | report


def read_rows(folder: Path) -> list[dict[str, Any]]:
    "The trainings that are finished, in the order of cells and seeds."
    cells = [*STUDY_CELLS]
    found = [read_json(file) for file in folder.glob("*.json")]
    return sorted(found, key=lambda row: (cells.index(row["cell"]), row["seed"]))


def summary(
    rows: list[dict[str, Any]],
) -> dict[str, Any]:  # cells and rows, for JSON
    "Mean and standard deviation over the seeds of each cell."
    cells: dict[str, Any] = {}
    for name in dict.fromkeys(row["cell"] for row in rows):
        own = [row for row in rows if row["cell"] == name]
        measured = [key for key in own[0] if key not in ("cell", "seed")]
        cells[name] = {"seeds": [row["seed"] for row in own]}
        cells[name] |= {key: mean_and_sd([row[key] for row in own]) for key in measured}
    return {"cells": cells, "rows": rows}


def show_summary(table: dict[str, Any]) -> str:  # Markdown
    "The swap test of each cell, on trained and on held-out combinations."

    def entry(pair: list[float | None]) -> str:
        return f"{pair[0]:.3f}" + ("" if pair[1] is None else f" ± {pair[1]:.3f}")

    rows = [
        [name, str(len(cell["seeds"])), entry(cell["trained"]), entry(cell["held out"])]
        for name, cell in table["cells"].items()
    ]
    return markdown_table(["cell", "seeds", "trained", "held out"], rows)


@app.command()
def main(
    seeds: Annotated[int, typer.Option(help="trainings of each cell")] = SEEDS,
    cells: Annotated[list[str] | None, typer.Option(help="cells; all if none is named")] = None,
    steps: Annotated[
        int | None, typer.Option(help="of each training; the study's own if not given")
    ] = None,
    count: Annotated[int, typer.Option(help="scenes to train on")] = SCENES,
    size: Annotated[int, typer.Option(help="pictures of each test")] = TEST_SIZE,
    table: Annotated[
        bool, typer.Option("--table", help="train nothing, only write and print the summary")
    ] = False,
    runs: Annotated[Path, typer.Option(help="where scenes, rows, checkpoints and logs are kept")] = Path(
        "runs/binding"
    ),
    threads: Annotated[int, typer.Option(help="threads of the processor; 0 leaves it to torch")] = 0,
) -> None:
    "Train what is missing, and write the summary after each training."
    if threads:
        torch.set_num_threads(threads)
    wanted = [choose(name, STUDY_CELLS, "cell") for name in cells or STUDY_CELLS]
    rows = runs / "rows"
    left = [
        (seed, cell)
        for seed, cell in product(range(seeds), wanted)
        if not (rows / f"{row_name(cell, seed)}.json").is_file()
    ]
    if left and not table:
        tests = make_tests(size)
        fit_scenes = make_fit_scenes(FIT_REPEATS)
        for seed, cell in left:
            name = row_name(cell, seed)
            scenes = stored_scenes(runs / "scenes", STUDY_CELLS[cell].things, count)
            row = make_row(cell, seed, scenes, fit_scenes, tests, runs / "state" / name, steps)
            write_atomic(rows / f"{name}.json", (json.dumps(row, indent=1) + "\n").encode())
            write_summary(read_rows(rows))
            print(f"{name}: {row['trained']:.3f} trained, {row['held out']:.3f} held out", flush=True)
    if not (finished := read_rows(rows)):
        raise typer.BadParameter(
            f"there are no rows in {rows}: train first, or say with --runs where they are"
        )
    write_summary(finished)
    print(show_summary(summary(finished)))


def write_summary(rows: list[dict[str, Any]]) -> None:
    "Put the table beside the weights."
    text = json.dumps(summary(rows), indent=1) + "\n"
    write_atomic(weights_path() / "binding.json", text.encode())


if __name__ == "__main__":
    app()
