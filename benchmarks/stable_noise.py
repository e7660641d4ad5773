"""Stable noise from this package against `scipy.stats.levy_stable.rvs`: numbers a second on one thread.

python benchmarks/stable_noise.py            about ten seconds; --rounds 5 for a quick look

The two sides take turns, so that a machine that is busy is busy for both; a ratio is that of one turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import torch
import typer
from bars import against
from scipy.stats import levy_stable

from t2i_learn.stable.distribution import sample_positive_stable, sample_stable

ALPHA = 1.7


def cases(n: int) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    "What is drawn: by us, by scipy."
    g, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    levy_stable.parameterization = "S1"
    return {
        "mixing variable A": (
            lambda: sample_positive_stable(ALPHA, (n,), g),
            lambda: levy_stable.rvs(ALPHA / 2, 1.0, size=n, random_state=rng),
        ),
        "symmetric noise": (
            lambda: sample_positive_stable(ALPHA, (n,), g).sqrt() * torch.randn(n, generator=g),
            lambda: levy_stable.rvs(ALPHA, 0.0, size=n, random_state=rng),
        ),
        "any stable law": (
            lambda: sample_stable(ALPHA, 0.5, (n,), g),
            lambda: levy_stable.rvs(ALPHA, 0.5, size=n, random_state=rng),
        ),
    }


def seconds(draw: Callable[[], Any], repeats: int) -> float:
    "How long one call takes, on average over several."
    start = time.perf_counter()
    for _ in range(repeats):
        draw()
    return (time.perf_counter() - start) / repeats


def main(rounds: Annotated[int, typer.Option(help="turns of each pair")] = 15) -> None:
    "Print rates and ratios with their spread, for a large draw and for one batch."
    torch.set_num_threads(1)
    for n, repeats in ((200_000, 1), (256, 200)):
        for name, (ours, theirs) in cases(n).items():
            ours(), theirs()
            pairs = [(seconds(ours, repeats), seconds(theirs, repeats)) for _ in range(rounds)]
            own, peer = (n / statistics.median(side) / 1e6 for side in zip(*pairs))
            ratios = sorted(b / a for a, b in pairs)
            middle = statistics.median(ratios)
            print(
                f"{n:7} numbers  {name:18} ours {own:5.2f}  scipy {peer:5.2f} million/s   "
                f"ratio {middle:.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f}; {against(middle, 2)})"
            )


if __name__ == "__main__":
    typer.run(main)
