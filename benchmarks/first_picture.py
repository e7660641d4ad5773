"""Seconds from a new process to the first picture, to the next one, and of `import t2i_learn`, in separate processes.

python benchmarks/first_picture.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from bars import against

IMPORT = """
import time
start = time.perf_counter()
import t2i_learn
print(time.perf_counter() - start)
"""
PICTURES = """
import time
start = time.perf_counter()
import t2i_learn
pipe = t2i_learn.load("shapes-diffusion")
pipe("a red heart", seed=1)
first = time.perf_counter()
pipe("a blue star", seed=2)
print(first - start, time.perf_counter() - first)
"""


def measure(
    code: str,  # prints seconds
    times: int = 5,
) -> list[float]:  # median of each number printed
    "Run code in new processes."
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(times)
    ]
    return [statistics.median(column) for column in zip(*(map(float, run.split()) for run in runs))]


if __name__ == "__main__":
    (imported,), (first, then) = measure(IMPORT), measure(PICTURES)
    print(f"import t2i_learn: {imported:.3f} s ({against(imported, 0.1, least=False)})")
    print(
        f"first picture: {first:.2f} s ({against(first, 5, least=False)}), next: {then:.2f} s ({against(then, 1, least=False)})"
    )
