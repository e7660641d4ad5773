"""Seconds of `t2i-learn generate` for four pictures: on a quiet machine, and beside two busy programs.

python benchmarks/load.py

A busy program multiplies matrices without end, on one thread, or (without a bar) on two. Quiet and loaded runs alternate,
so that a change of the machine's speed touches both; what is compared are their medians.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bars import against

RUNS, PROGRAMS = 5, 2
BUSY = """
import sys, torch
torch.set_num_threads(int(sys.argv[1]))
matrix = torch.randn(512, 512)
print("busy", flush=True)
while True:
    matrix @ matrix
"""


@contextmanager
def busy_programs(
    threads: int,  # of each program; 0: no program
) -> Iterator[None]:
    "Programs that multiply matrices until the block ends."
    command = [sys.executable, "-c", BUSY, str(threads)]
    programs = [
        subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(PROGRAMS if threads else 0)
    ]
    try:
        for program in programs:
            assert program.stdout is not None
            program.stdout.readline()  # it has loaded torch, and begins
        yield
    finally:
        for program in programs:
            program.kill()
            program.communicate()


def seconds_to_draw(
    folder: Path,  # for the pictures
) -> float:
    "The time of the command, from its start to its end."
    command = ["generate", "three orange stars on a sky background", "--num-images", "4"]
    picture = ["--out", str(folder / "picture.png"), "--overwrite"]
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "t2i_learn.cli", *command, *picture], check=True, capture_output=True
    )
    return time.perf_counter() - start


def measure() -> dict[int, list[float]]:  # threads of each busy program -> seconds of every run
    "Quiet and loaded runs, in turn."
    seconds: dict[int, list[float]] = {0: [], 1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        seconds_to_draw(Path(folder))  # files come from the disk once
        for _ in range(RUNS):
            for threads, times in seconds.items():
                with busy_programs(threads):
                    times.append(seconds_to_draw(Path(folder)))
    return seconds


if __name__ == "__main__":
    times = measure()
    quiet = statistics.median(times[0])
    print(f"quiet: {quiet:.2f} s ({min(times[0]):.2f} to {max(times[0]):.2f})")
    for threads in (1, 2):
        loaded = statistics.median(times[threads])
        spread = f"{min(times[threads]):.2f} to {max(times[threads]):.2f}"
        bar = against(loaded / quiet, 2.5, least=False) if threads == 1 else "no bar"
        print(
            f"beside {PROGRAMS} programs of {threads} thread{'s' * (threads > 1)}: {loaded:.2f} s "
            f"({spread}), {loaded / quiet:.2f} times as long ({bar})"
        )
