"""What the tables of `tools/` share: prompts in a fair order, and results that are kept prompt by prompt.

A file of results belongs to the weights whose checksum it names, and is written after every batch: what is stopped goes on.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
import typer
from tqdm import tqdm

from t2i_learn.core.callbacks import JSONLogger
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.files import write_atomic
from t2i_learn.core.files import weights_path
from t2i_learn.core.learner import Callback
from t2i_learn.core.pipeline import Pipeline
from t2i_learn.core.show import markdown_table
from t2i_learn.world.tasks import GENEVAL_TASKS
from t2i_learn.world.captions import load_prompts, Prompt
from t2i_learn.world.score import evaluate_prompts

BATCH = 50


def mean_and_sd(values: list[float], digits: int = 4) -> list[float | None]:
    "Mean and standard deviation, rounded; a single value has none."
    return [round(mean(values), digits), round(stdev(values), digits) if len(values) > 1 else None]


def student_reach(
    values: list[float],  # two or more, such as the differences of trainings with the same seeds
) -> float:
    "Half the width of Student's 95 % interval for the mean."
    from scipy.stats import t as student_t  # slow to import, and few tools ask

    n = len(values)
    return float(student_t.ppf(0.975, n - 1)) * stdev(values) / n**0.5


def prompts_of(name: str, count: int) -> list[Prompt]:
    "So many prompts of each of GenEval's tasks in turn: more of them leave the first ones where they are."
    prompts = load_prompts(name, count)
    return [
        p
        for row in zip(*([p for p in prompts if p.task == task] for task in GENEVAL_TASKS), strict=True)
        for p in row
    ]


def fingerprint(path: Path) -> str:
    "The SHA-256 of a file."
    return hashlib.sha256(path.read_bytes()).hexdigest()


def record_opening(
    log: Path,  # data/prompts/opened.jsonl
    weights: Path,  # whose pictures the test prompts were drawn with
    reason: str,
    edition: int = 1,  # of the test
) -> None:
    "Write down that a test edition was opened: by which commit, with which weights, and why."
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    row = {
        "commit": done.stdout.strip() or None,
        "sha256": fingerprint(weights),
        "edition": edition,
        "reason": reason,
    }
    before = log.read_bytes() if log.is_file() else b""
    write_atomic(log, before + (json.dumps(row) + "\n").encode())


def count_openings(
    log: Path,  # data/prompts/opened.jsonl
    edition: int = 1,  # of the test
    sha256: str | None = None,  # of the weights; None: of any
) -> int:
    "How often a test edition was opened by the tools, in all or with these weights, also where they were saved again since."
    rows = (
        [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        if log.is_file()
        else []
    )
    return sum(
        row["edition"] == edition and sha256 in (None, row["sha256"], row.get("saved_again"))
        for row in rows
    )


def looks_of(
    log: Path,  # data/prompts/opened.jsonl
    name: str,  # of a model that ships
) -> list[dict[str, Any]]:  # rows of the log
    "Every opening of a test edition whose reason names a model."
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    return [row for row in map(json.loads, lines) if re.search(rf"\b{re.escape(name)}\b", row["reason"])]


def describe_looks(
    log: Path,  # data/prompts/opened.jsonl
    name: str,  # of the model that a card is about
    weights: Path,  # its file
    edition: int = 1,  # of the test that it was measured on
) -> str:
    "The history of looks, for a card: how often its edition was opened, and each opening for this model."
    counts = count_openings(log, edition), count_openings(log, edition, fingerprint(weights))
    times, own = ({1: "once", 2: "twice"}.get(count, f"{count} times") for count in counts)
    rows = [
        [str(row["edition"]), row["reason"], f"`{row['sha256'][:8]}`", f"`{(row['commit'] or '?')[:8]}`"]
        for row in looks_of(log, name)
    ]
    table = markdown_table(["edition", "reason", "weights", "commit"], rows)
    return (
        f"When this was written, the tools had opened edition {edition} of the test {times}, with these weights {own}. "
        f"All looks at a test for this model (`data/prompts/opened.jsonl`):\n\n{table}"
    )


def precision(name: str) -> AbstractContextManager[Any]:
    "Autocast to bf16, or nothing."
    return torch.autocast("cpu", torch.bfloat16, enabled=name == "bf16")


def faster(pipe: Pipeline) -> str:
    "The precision in which a batch is drawn sooner, by trying."
    seconds = {}
    for name in ("fp32", "bf16"):
        for steps in (1, 3):  # the first call warms up
            began = time.perf_counter()
            with precision(name):
                pipe(
                    "a red heart",
                    num_images_per_prompt=BATCH,
                    num_inference_steps=steps,
                    seed=0,
                    output_type="pt",
                )
            seconds[name] = time.perf_counter() - began
    return min(seconds, key=lambda name: seconds[name])


class Results:
    "A file of runs, in parts: a 1 or 0 for each prompt."

    def __init__(
        self, path: Path, pipe: Pipeline, model: str, parts: tuple[str, ...], **facts: Any
    ):  # facts: settings of all runs
        weights = fingerprint(weights_path() / model / "model.safetensors")[:16]
        self.path, self.pipe = path, pipe
        self.content: dict[str, Any] = (
            json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        )
        told = {"model": model, "weights": weights, **facts}
        if any(
            self.content.get(name) != value for name, value in told.items()
        ):  # runs of other weights or settings
            self.content = told | {"seed": 0, "precision": faster(pipe), "tasks": list(GENEVAL_TASKS)}
        self.content |= {
            part: self.content.get(part, {}) for part in parts
        }  # a file may be older than a part

    def save(self) -> None:
        "Write the file, whole or not at all."
        write_atomic(self.path, (json.dumps(self.content, indent=1) + "\n").encode())

    def lacks(
        self,
        part: str,  # of the file
        keys: Iterable[str],  # of runs
        prompts: list[Prompt],
    ) -> bool:
        "Whether something is still to be drawn: else the test is not opened."
        return any(len(self.content[part].get(key, "")) < len(prompts) for key in keys)

    def run(
        self,
        part: str,  # of the file
        key: str,  # of the run
        prompts: list[Prompt],
        draw: Callable[
            [list[str], int], torch.Tensor
        ],  # captions and the number of the first -> pictures
    ) -> str:  # a 1 or 0 for each prompt
        "Draw and judge what is missing, each prompt from the noise of its number."
        runs = self.content[part]
        bar = tqdm(
            total=len(prompts), initial=len(runs.get(key, "")), desc=f"{part}: {key}", leave=False
        )
        while len(done := runs.get(key, "")) < len(prompts):
            batch = prompts[len(done) : len(done) + BATCH]
            verdicts = evaluate_prompts(partial(self.drawn, draw, len(done)), batch, BATCH)
            runs[key] = done + "".join(str(int(ok)) for ok, _ in verdicts)
            self.save()
            bar.update(len(batch))
        bar.close()
        return runs[key][: len(prompts)]

    def drawn(
        self, draw: Callable[[list[str], int], torch.Tensor], done: int, captions: list[str], first: int
    ) -> torch.Tensor:
        "Pictures in the precision of the file; the oracle reads in its own."
        with precision(self.content["precision"]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return draw(captions, done + first).float()


def share_of(text: str) -> tuple[int, int]:  # k and n, 1 <= k <= n
    "Read `k/n`, the k-th of n parts of some work."
    k, _, n = text.partition("/")
    if not (k.isdecimal() and n.isdecimal() and 1 <= int(k) <= int(n)):
        raise typer.BadParameter(f"--share is k/n, such as 1/2 for the first of two parts, not {text!r}")
    return int(k), int(n)


def bits(passed: str) -> list[bool]:
    "The results as booleans."
    return [mark == "1" for mark in passed]


def show(label: str, passed: str, began: float) -> None:
    "A line for a run."
    print(
        f"{label:<36} {sum(bits(passed)) / len(passed):.3f}   {time.perf_counter() - began:.0f} s",
        flush=True,
    )


def callbacks_of(
    folder: Path,  # of a training's checkpoints and logs
    stage: str,  # of it: the name of its files
    save_every: int,  # steps
    log_every: int,  # steps
) -> list[Callback]:
    "Checkpoints and a log of one stage."
    return [
        Checkpoint(folder / f"{stage}.safetensors", save_every),
        JSONLogger(folder / f"{stage}.jsonl", log_every),
    ]
