"""Compare two models, or two versions of one, on the same prompts and noises.

python tools/compare.py OLD_FOLDER shapes-diffusion --margin 0.03            on the validation prompts
python tools/compare.py OLD_FOLDER shapes-diffusion --test --edition 2       on the seen test of an edition: once, at the end

Pictures are judged batch by batch and kept in a file, so what is stopped goes on. The verdict is that of
`t2i_learn.world.comparisons.compare`: better, no difference, no worse, worse, or not resolved. The weights of a model before a
commit can be had by `git archive COMMIT t2i_learn/weights/shapes-diffusion | tar -x -C FOLDER`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from results import fingerprint, record_opening
from tqdm import tqdm

from t2i_learn.core.files import read_json, write_atomic
from t2i_learn.core.pipeline import load
from t2i_learn.core.settings import model_folder
from t2i_learn.world.captions import Prompt, load_prompts
from t2i_learn.world.comparisons import compare
from t2i_learn.world.score import evaluate_prompts, pictures_of_prompts
from t2i_learn.world.tasks import GENEVAL_TASKS

ROOT = Path(__file__).resolve().parent.parent
OPENED = ROOT / "data" / "prompts" / "opened.jsonl"
BATCH = 50


def verdicts(
    name: str,  # of a model, or its folder
    prompts: list[Prompt],
    noises: int,  # pictures a prompt
    file: Path,  # where a 1 or 0 for each picture is kept
    key: str,  # what the file calls this run
) -> list[bool]:  # noise by noise
    "Draw and judge what the file does not hold yet."
    pipe = load(name)
    marks: dict[str, str] = read_json(file) if file.is_file() else {}
    total = noises * len(prompts)
    bar = tqdm(total=total, initial=len(marks.get(key, "")), desc=pipe.name)
    while len(done := marks.get(key, "")) < total:
        seed, first = divmod(len(done), len(prompts))
        batch = prompts[first : first + BATCH]
        draw = pictures_of_prompts(pipe, prompts, seed)
        found = evaluate_prompts(
            lambda captions, _, first=first, draw=draw: draw(captions, first), batch
        )
        marks[key] = done + "".join(str(int(ok)) for ok, _ in found)
        write_atomic(file, (json.dumps(marks, indent=1) + "\n").encode())
        bar.update(len(batch))
    bar.close()
    return [mark == "1" for mark in marks[key][:total]]


def main(
    old: Annotated[str, typer.Argument(help="a model that ships, or its folder")],
    new: Annotated[str, typer.Argument(help="another one")],
    prompts_per_task: Annotated[int, typer.Option(min=1)] = 400,
    noises: Annotated[int, typer.Option(min=1, help="pictures of each prompt")] = 1,
    margin: Annotated[float, typer.Option(help="the largest loss that would be accepted")] = 0.03,
    edition: Annotated[int, typer.Option(min=1, help="of the prompts")] = 1,
    test: Annotated[bool, typer.Option("--test", help="the seen test, instead of validation")] = False,
    out: Annotated[Path, typer.Option(help="file of verdicts")] = ROOT / "runs" / "compare.json",
) -> None:
    "Draw GenEval's six tasks with both, and print the paired difference."
    found = load_prompts("test" if test else "validation", prompts_per_task, edition)
    prompts = [p for p in found if p.task in GENEVAL_TASKS]
    out.parent.mkdir(parents=True, exist_ok=True)
    passed: list[list[bool]] = []
    for name in (old, new):
        weights = model_folder(name) / "model.safetensors"
        key = f"{fingerprint(weights)[:16]}, edition {edition}, {'test' if test else 'validation'}, {prompts_per_task}"
        if test and key not in (read_json(out) if out.is_file() else {}):
            record_opening(OPENED, weights, f"a paired comparison of {load(name).name}", edition)
        passed.append(verdicts(name, prompts, noises, out, key))
    result: dict[str, Any] = compare(passed[1], passed[0], prompts * noises, margin)._asdict()
    rates = {name: round(sum(oks) / len(oks), 4) for name, oks in zip(("old", "new"), passed)}
    print(json.dumps(rates | result | {"margin": margin, "edition": edition}, indent=1))


if __name__ == "__main__":
    typer.run(main)
