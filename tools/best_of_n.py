"""What the best of n pictures by contrastive score gains, and what it loses: t2i_learn/weights/shapes-clip/best_of_n.json.

python tools/best_of_n.py                    every model that draws and ships; pictures that are drawn already are not drawn again
python tools/best_of_n.py --draw             only draw, which needs no scorer
python tools/best_of_n.py --scorer FOLDER    a scorer of one's own
python tools/best_of_n.py --copies 12 --per-task 2    fewer pictures, for a try

Each model draws 32 pictures for each of 60 validation prompts. They are kept in runs/captioner/. The oracle says which are
right, and where their things stand. Three choosers take the best of 1, 2, 4 and 8: the score, the oracle, and one that
chooses at random. All choices of n candidates are counted, none is drawn. Intervals are of 95 %, over prompts drawn anew within
each task.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Annotated, Any

import torch
import typer
from captioner import drawn_pictures, oracle_scenes, painters
from results import fingerprint
from torch import Tensor

from t2i_learn.core.files import weights_path, write_atomic
from t2i_learn.core.pipeline import load
from t2i_learn.core.settings import model_folder
from t2i_learn.language.clip_score import best_of_n, middle_of_things
from t2i_learn.language.contrastive import ScorePipeline
from t2i_learn.world.captions import load_prompts, Prompt
from t2i_learn.world.score import check_spec, paired_bootstrap

TASKS = ("count", "position", "attribution", "color", "two")
SIZES = (1, 2, 4, 8)

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def chosen_prompts(per_task: int) -> list[Prompt]:
    "Validation prompts of the tasks at which models still fail."
    return [prompt for prompt in load_prompts("validation", per_task) if prompt.task in TASKS]


def candidates(
    name: str,  # of a model that draws
    prompts: Sequence[Prompt],
    copies: int,
) -> Tensor:  # (prompts, copies, 3, side, side)
    "The pictures of each prompt; number k has noise k."
    repeated = [prompt for prompt in prompts for _ in range(copies)]
    return drawn_pictures(name, repeated, f"best-of-{copies}").unflatten(0, (len(prompts), copies))


def verdicts_and_places(
    prompts: Sequence[Prompt],
    pictures: Tensor,  # (prompts, copies, 3, side, side)
) -> tuple[Tensor, Tensor]:  # (prompts, copies) bool, and (prompts, copies, 2)
    "Which pictures are right, and where their things stand."
    right, places = [], []
    for prompt, own in zip(prompts, pictures, strict=True):
        scenes = oracle_scenes(own)
        right.append(torch.tensor([check_spec(prompt.spec, scene)[0] for scene in scenes]))
        places.append(middle_of_things(scenes))
    return torch.stack(right), torch.stack(places)


def scores_of(
    scorer: ScorePipeline,
    prompts: Sequence[Prompt],
    pictures: Tensor,  # (prompts, copies, 3, side, side)
) -> Tensor:  # (prompts, copies)
    "How well each picture fits its prompt, as the scorer says."
    return torch.stack(
        [scorer.score(own, prompt.caption)[:, 0] for prompt, own in zip(prompts, pictures, strict=True)]
    )


def estimate(
    values: Sequence[float],  # of each prompt
    groups: Sequence[str],  # the task of each
) -> list[float | None]:  # mean over tasks, and the ends of its interval; None where there is no value
    "A mean with its interval; prompts without a number are left out."
    kept = [(value, group) for value, group in zip(values, groups, strict=True) if math.isfinite(value)]
    if not kept:
        return [None, None, None]
    own, names = zip(*kept, strict=True)
    return [round(value, 4) for value in paired_bootstrap(own, [0.0] * len(own), names)]


def table_of(
    scores: Tensor,  # (prompts, copies)
    right: Tensor,  # (prompts, copies) bool
    places: Tensor,  # (prompts, copies, 2)
    tasks: Sequence[str],  # of the prompts
) -> list[dict[str, Any]]:
    "A row for each chooser and each n."
    choosers = {"random": torch.zeros_like(scores), "score": scores, "oracle": right.double()}
    rows = []
    for name, given in choosers.items():
        for n in (n for n in SIZES if n <= scores.shape[1]):
            found = [best_of_n(s, r, p, n) for s, r, p in zip(given, right, places, strict=True)]
            shares = [row.right for row in found]
            gains = [share - float(own.double().mean()) for share, own in zip(shares, right)]
            by_task = {
                task: round(sum(own) / len(own), 4)
                for task in dict.fromkeys(tasks)
                if (own := [share for share, other in zip(shares, tasks) if other == task])
            }
            rows.append(
                {
                    "chosen by": name,
                    "n": n,
                    "right": estimate(shares, tasks),
                    "gain": estimate(gains, tasks),
                    "spread": estimate([row.spread for row in found], tasks),
                    "tasks": by_task,
                }
            )
    return rows


@app.command()
def main(
    scorer: Annotated[str, typer.Option(help="a model that scores, or its folder")] = "shapes-clip",
    draw: Annotated[bool, typer.Option("--draw", help="only draw the pictures")] = False,
    copies: Annotated[int, typer.Option(min=2, help="candidates of each prompt")] = 32,
    per_task: Annotated[int, typer.Option(min=1, help="prompts of each task")] = 12,
) -> None:
    "Draw what is missing, score, write, print."
    prompts = chosen_prompts(per_task)
    pictures = {name: candidates(name, prompts, copies) for name in painters()}
    if draw:
        return
    pipe: Any = load(scorer)
    tasks = [prompt.task for prompt in prompts]
    report: dict[str, Any] = {
        "scorer": pipe.name,
        "weights": fingerprint(model_folder(scorer) / "model.safetensors"),
        "prompts": len(prompts),
        "candidates": copies,
        "models": {},
    }
    for name, own in pictures.items():
        right, places = verdicts_and_places(prompts, own)
        rows = table_of(scores_of(pipe, prompts, own), right, places, tasks)
        report["models"][name] = {
            "weights": fingerprint(model_folder(name) / "model.safetensors"),
            "rows": rows,
        }
        for row in rows:
            print(name, row["chosen by"], row["n"], "right", row["right"], "spread", row["spread"])
    file = weights_path() / "shapes-clip" / "best_of_n.json"
    write_atomic(file, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    app()
