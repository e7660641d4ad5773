"""Train the small networks of *Robustness, measured*, and write t2i_learn/weights/robustness.json.

python tools/robustness.py                 63 trainings of pictures and 15 of points; goes on where it stopped
python tools/robustness.py --seeds 1       a third of them
python tools/robustness.py --share 1/2     every second of them, for two processes side by side
python tools/robustness.py --smoke         all kinds, a few steps each, into a table of their own

A training of pictures takes one to two minutes on one thread, its pictures about one more. In all of them, one picture
in a hundred is of a rare shape. What is tried: sets with 0, 5 and 15 % spoiled pictures under three losses, told the level, where one
network serves every alpha; blind networks at alpha 1.8 and 1.5 (at 2 blind and told are the same); component-wise noise at
1.5; and alpha 1.5 without control over the law of the level. A result is written when its training ends, one file each,
a line for each alpha; the table is made of all files that are there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from results import share_of

from t2i_learn.core.files import write_atomic
from t2i_learn.core.callbacks import ProgressBar
from t2i_learn.core.files import weights_path
from t2i_learn.stable.robustness import HEAVY_TAIL_TRIALS, ROBUST_LOSSES, RobustnessTrial, TrialSize

SHARES = (0.0, 0.05, 0.15)
SMOKE = TrialSize(64, 2, 4, (8, 32), 8, 1)  # that all runs
Rows = list[dict[str, Any]]

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def trials(seeds: int) -> list[RobustnessTrial]:
    "The trainings of pictures, seed by seed."
    known = [RobustnessTrial(share, loss) for share in SHARES for loss in ROBUST_LOSSES]
    blind = [
        RobustnessTrial(share, loss, alpha, blind=True)
        for share in (0.0, 0.15)
        for loss in ("mean-square", "root")
        for alpha in (1.8, 1.5)
    ]
    impulses = [
        RobustnessTrial(share, loss, 1.5, kind="componentwise")
        for share, loss in ((0.0, "mean-square"), (0.15, "mean-square"), (0.15, "root"))
    ]
    loose = [RobustnessTrial(0.15, alpha=1.5, level_matched=False)]
    return [
        replace(trial, seed=seed)
        for seed in range(seeds)
        for trial in (*known, *blind, *impulses, *loose)
    ]


def jobs(seeds: int, smoke: bool) -> dict[str, Callable[[], Rows]]:
    "What there is to do, by the name of its file; the points, which take seconds, come last."
    size = SMOKE if smoke else TrialSize()
    pictures = {f"pictures {trial.name}": partial(picture_rows, trial, size) for trial in trials(seeds)}
    settings = {"steps": 2, "n": 200} if smoke else {}
    points = {
        f"points {name}, seed {seed}": partial(point_rows, name, seed, settings)
        for seed in range(seeds)
        for name in HEAVY_TAIL_TRIALS
    }
    return pictures | points


def picture_rows(trial: RobustnessTrial, size: TrialSize) -> Rows:
    "A training of pictures."
    return trial.run(size, [ProgressBar()])


def point_rows(name: str, seed: int, settings: dict[str, int]) -> Rows:
    "A training of points."
    return [HEAVY_TAIL_TRIALS[name].run(seed, **settings)]


def done(file: Path) -> Rows:
    "The rows of a result."
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def table(runs: Path) -> dict[str, Rows]:
    "All results so far."
    return {
        part: [row for file in sorted(runs.glob(f"{part} *.jsonl")) for row in done(file)]
        for part in ("pictures", "points")
    }


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    "Four digits are enough."
    return {
        key: round(v, 4) if isinstance(v, float) else rounded(v) if isinstance(v, dict) else v
        for key, v in row.items()
    }


@app.command()
def main(
    seeds: Annotated[int, typer.Option(help="trainings of each kind")] = 3,
    share: Annotated[str, typer.Option(help="k/n: the k-th of n parts of the work")] = "1/1",
    smoke: Annotated[
        bool, typer.Option("--smoke", help="a few steps each, to see that all runs")
    ] = False,
    runs: Annotated[
        Path | None, typer.Option(help="where results are kept; runs/robustness by default")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="the table; beside the weights by default, at smoke beside the results"),
    ] = None,
) -> None:
    "Train what is missing, then write the table."
    part, parts = share_of(share)
    runs = runs or Path("runs/robustness-smoke" if smoke else "runs/robustness")
    for k, (name, job) in enumerate(jobs(seeds, smoke).items()):
        file = runs / f"{name}.jsonl"
        if k % parts == part - 1 and not file.is_file():
            began, rows = time.perf_counter(), job()
            lines = [
                json.dumps(
                    rounded({**row, "seconds": round(time.perf_counter() - began)}), ensure_ascii=False
                )
                for row in rows
            ]
            write_atomic(file, ("\n".join(lines) + "\n").encode())
            print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    write_atomic(
        out or (runs if smoke else weights_path()) / "robustness.json",
        (json.dumps(table(runs), indent=1, ensure_ascii=False) + "\n").encode(),
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    app()
