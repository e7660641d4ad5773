"""Teach shapes-diffusion new words in several ways, and write t2i_learn/weights/shapes-diffusion/new_words.json.

python tools/new_words.py                          every row, three seeds each; goes on where it stopped
python tools/new_words.py --row ring-lora-rehearsal --seeds 1
python tools/new_words.py --old 0                  do not measure what was forgotten: that takes the longest
python tools/new_words.py --table                  train and measure nothing: write the summary of what is there

A row is a lesson (ring or teal), a method (the vector alone, LoRA, all weights), with rehearsal or without; the control has
the pictures of each batch shuffled. Every row sees as many pictures of the lesson, for as many steps. What is measured:

- *new*: the share of right pictures for prompts of one thing, seen and unseen colours (for teal: shapes), and a ring beside
  another thing, eight noises each; the spread of places beside the world's; the distance to the nearest of the lesson's four
  pictures beside that of held-out pictures.
- *old*: validation prompts of all tasks, one picture for each noise, paired with the pictures of the model before.

A training saves its state in runs/new_words/<row>-<seed>/ every 50 steps, and what was measured in two files of its own
there. Adapters of seed 0 of SHIPPED go to t2i_learn/weights/shapes-diffusion/, where `load_lora` finds them by name.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, NamedTuple

import torch
import typer
from results import mean_and_sd
from torch import Tensor

from t2i_learn.core.callbacks import JSONLogger, read_log
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.files import choose, read_json, weights_path, write_atomic
from t2i_learn.core.pipeline import load, Pipeline
from t2i_learn.core.show import markdown_table
from t2i_learn.editing.new_words import (
    Lesson,
    LESSON_COLORS,
    LESSON_SHAPES,
    LessonBatches,
    merge_adapters,
    nearest_distance,
    place_spread,
    ring_lesson,
    save_lora,
    TEAL,
    teal_lesson,
    WordTraining,
)
from t2i_learn.text.layout import CaptionMix, TASK_WEIGHTS
from t2i_learn.world.captions import load_prompts, Prompt
from t2i_learn.world.comparisons import compare
from t2i_learn.world.reader import read_scene
from t2i_learn.world.scenes import (
    arrange,
    BACKGROUNDS,
    COLORS,
    random_thing,
    render,
    ring_distance,
    Scene,
    SHAPES,
)
from t2i_learn.world.score import check_spec, estimate_rate
from t2i_learn.world.tasks import noun_phrase, TASKS

BASE = "shapes-diffusion"
RINGS = {"ring": ring_distance}
TEAL_ERROR = (
    0.15  # from the true colour, at most; the nearest of the nine colours lies more than twice as far
)
BATCH = 40
MARGIN = 0.03  # of what may be forgotten


class Row(NamedTuple):
    "One way to learn a word."

    lesson: str  # ring or teal
    method: str  # a key of `WORD_METHODS`
    rehearsal: bool = False
    shuffled: bool = False


BEFORE = "before"  # the model as it ships
ROWS: dict[str, Row] = {
    "teal-vector": Row("teal", "vector"),
    "teal-lora-rehearsal": Row("teal", "lora", True),
    "ring-vector": Row("ring", "vector"),
    "ring-lora": Row("ring", "lora"),
    "ring-lora-rehearsal": Row("ring", "lora", True),
    "ring-all": Row("ring", "all"),
    "ring-all-rehearsal": Row("ring", "all", True),
    "ring-shuffled": Row("ring", "lora", True, True),
}
SHIPPED = {"ring-lora-rehearsal": "ring", "ring-vector": "ring-vector", "teal-vector": "teal-vector"}

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def lesson_of(row: Row) -> Lesson:
    "The lesson of a row: the same four pictures for every seed."
    return ring_lesson() if row.lesson == "ring" else teal_lesson()


def train(
    row: Row,
    seed: int,
    steps: int,
    folder: Path,  # of its checkpoint and log
) -> Any:  # the model, its adapter beside the frozen weights
    "Train, or do what is left of it."
    rehearsal = CaptionMix(TASK_WEIGHTS).batches(8, 32, 100 + seed) if row.rehearsal else None
    batches = LessonBatches(lesson_of(row), 8, rehearsal, row.shuffled, seed)
    callbacks = [Checkpoint(folder / "state.safetensors", 50), JSONLogger(folder / "log.jsonl", 25)]
    training = WordTraining(row.method, steps)
    return training.learner(load(BASE).model, batches, callbacks, seed).fit(steps).model


class Question(NamedTuple):
    "A prompt and what it claims."

    group: str
    caption: str
    include: list[dict[str, Any]]


def item(shape: str, color: str | None = None) -> dict[str, Any]:
    "An entry of a specification."
    return {"shape": shape, "count": 1} | ({} if color is None else {"color": color})


def ring_questions() -> list[Question]:
    "Prompts about rings."
    task = TASKS["single"]
    single = [t.format(a="a ring") for t in (*task.templates, task.paraphrase or "")]
    questions = [Question("single", caption, [item("ring")]) for caption in single]
    for color in COLORS:
        group = "seen" if color in LESSON_COLORS else "unseen"
        ring = item("ring", color)
        questions.append(Question(group, noun_phrase(ring), [ring]))
        if group == "unseen":
            star = item("star", "blue")
            words = f"{noun_phrase(ring)} and {noun_phrase(star)}"
            questions.append(Question("beside a star", words, [ring, star]))
    return questions


def teal_questions() -> list[Question]:
    "Prompts about teal; its colour is measured, since it has no name."
    return [
        Question("seen" if shape in LESSON_SHAPES else "unseen", f"a teal {shape}", [item(shape)])
        for shape in SHAPES
    ]


def draw(
    pipe: Pipeline,
    captions: Sequence[str],
    seed: int,  # picture k has noise k of this seed
) -> Tensor:  # (N, 3, 32, 32)
    "One picture a caption."
    parts = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the model before does not know the word
        for first in range(0, len(captions), BATCH):
            part = list(captions[first : first + BATCH])
            parts.append(pipe(part, seed=seed, first=first, output_type="pt").images)
    return torch.cat(parts)


def is_teal(thing: Any) -> bool:
    "Whether a thing that was read has the colour of the lesson."
    near = COLORS.get(thing.color, (0.0, 0.0, 0.0))
    found = torch.tensor([a + b for a, b in zip(near, thing.tint)])
    return float((found - torch.tensor(TEAL)).norm()) <= TEAL_ERROR


def is_right(lesson: str, question: Question, scene: Scene) -> bool:
    "Whether a picture shows what its prompt claims, and nothing else."
    ok, _ = check_spec({"include": question.include, "exact": True}, scene)
    return ok and (lesson == "ring" or all(is_teal(thing) for thing in scene.things))


def world_things(
    lesson: str,
    colors: Sequence[str],  # of the rings, in turn
    count: int,
) -> list[Scene]:
    "Scenes as the world would draw them, none of them in the lesson."
    generator = torch.Generator().manual_seed(99)
    grounds = [*BACKGROUNDS]
    scenes = []
    for k in range(count):
        thing = random_thing("ring", colors[k % len(colors)], generator=generator)
        scenes.append(Scene(arrange([thing], generator=generator), grounds[k % 5]))
    return scenes


def places_of(scenes: Sequence[Scene]) -> Tensor:  # (n, 2)
    "Where the only thing stands, in scenes with one thing."
    return torch.tensor([[s.things[0].x, s.things[0].y] for s in scenes if len(s.things) == 1])


def copying(
    lesson: Lesson,
    pictures: Tensor,  # of unseen colours
) -> dict[str, float]:
    "How near pictures come to the nearest of the lesson's four, and how near held-out rings of the same colours do."
    unseen = [color for color in COLORS if color not in LESSON_COLORS]
    held_out = torch.stack([render(s, outlines=RINGS) for s in world_things("ring", unseen, 200)])
    drawn, other = (nearest_distance(p, lesson.pictures) for p in (pictures, held_out))
    return {"drawn": round(float(drawn.mean()), 4), "held out": round(float(other.mean()), 4)}


def measure_new(
    pipe: Pipeline,
    row: Row,
    noises: int,  # of each prompt
    seed: int,
) -> dict[str, Any]:
    "What was learned."
    questions = (ring_questions() if row.lesson == "ring" else teal_questions()) * noises
    pictures = draw(pipe, [q.caption for q in questions], 1000 + seed)
    scenes = [read_scene(picture, RINGS) for picture in pictures]
    found: dict[str, Any] = {"noises": noises, "right": {}}
    for group in dict.fromkeys(q.group for q in questions):
        passed = [is_right(row.lesson, q, s) for q, s in zip(questions, scenes) if q.group == group]
        found["right"][group] = [sum(passed), len(passed)]
    world = place_spread(places_of(world_things(row.lesson, [*COLORS], 400)))
    alone = [s for q, s in zip(questions, scenes) if len(q.include) == 1]
    spread = place_spread(places_of(alone))
    found["spread"] = {"drawn": round(spread, 4), "world": round(world, 4)}
    if row.lesson == "ring":
        chosen = torch.tensor([q.group == "unseen" for q in questions])
        found["nearest"] = copying(lesson_of(row), pictures[chosen])
    return found


def old_prompts(per_task: int, noises: int) -> list[Prompt]:
    "Validation prompts of all tasks, each once for every noise."
    return load_prompts("validation", per_task) * noises


def measure_old(
    pipe: Pipeline,
    per_task: int,
    noises: int,
) -> dict[str, Any]:
    "Which validation prompts pass; picture k has noise k."
    prompts = old_prompts(per_task, noises)
    pictures = draw(pipe, [p.caption for p in prompts], 0)
    passed = [check_spec(p.spec, read_scene(x))[0] for p, x in zip(prompts, pictures)]
    return {"per_task": per_task, "noises": noises, "passed": "".join("01"[ok] for ok in passed)}


def write_json(path: Path, content: Any) -> None:
    "Write a result."
    write_atomic(path, (json.dumps(content, indent=1) + "\n").encode())


def run_row(
    name: str,
    seed: int,
    folder: Path,  # of all rows
    steps: int,
    noises: int,
    old: int,  # validation prompts a task; 0: do not measure
    old_noises: int,
) -> None:
    "Do what is missing of a row."
    place = folder / f"{name}-{seed}"
    if (place / "new.json").is_file() and (not old or (place / "old.json").is_file()):
        return
    pipe, row = load(BASE), ROWS.get(name, Row("ring", "vector"))
    if name != BEFORE:
        model = train(row, seed, steps, place)
        if row.method != "all":
            save_lora(model, place / "adapter", [row.lesson], pipe)
        merge_adapters(model)
        pipe = Pipeline(model, name)
    if not (place / "new.json").is_file():
        write_json(place / "new.json", {"steps": steps} | measure_new(pipe, row, noises, seed))
    if old and not (place / "old.json").is_file():
        write_json(place / "old.json", measure_old(pipe, old, old_noises))


def rate(counts: Sequence[Sequence[int]]) -> dict[str, Any]:
    "Passed and asked of each seed, together: rate, 95 % interval, and each seed's own rate."
    passed, asked = (sum(column) for column in zip(*counts))
    found = estimate_rate([True] * passed + [False] * (asked - passed))
    own = [round(a / b, 4) for a, b in counts]
    return {
        "rate": round(found.rate, 4),
        "n": asked,
        "interval": [round(found.low, 4), round(found.high, 4)],
        "seeds": own,
    }


def forgotten(
    folder: Path,
    name: str,
    seed: int,
) -> list[float] | None:  # gap and its 95 % interval; None where it was not measured
    "How much better the model before was, paired; a loss is negative."
    files = [folder / place / "old.json" for place in (f"{name}-{seed}", f"{BEFORE}-0")]
    if not all(file.is_file() for file in files):
        return None
    ours, theirs = map(read_json, files)
    prompts = old_prompts(ours["per_task"], ours["noises"])
    flags = [[c == "1" for c in side["passed"]] for side in (ours, theirs)]
    if len(flags[0]) != len(flags[1]):
        return None
    found = compare(flags[0], flags[1], prompts, MARGIN)
    return [round(found.gap, 4), round(found.low, 4), round(found.high, 4)]


def average(values: Sequence[float]) -> dict[str, Any]:
    "Mean over seeds, and their standard deviation where there are several."
    return dict(zip(("mean", "sd"), mean_and_sd([*values]), strict=True))


def summarize_row(folder: Path, name: str, seeds: Sequence[int]) -> dict[str, Any]:
    "All that is known of a row."
    new = [read_json(folder / f"{name}-{seed}" / "new.json") for seed in seeds]
    found: dict[str, Any] = {"seeds": list(seeds), "steps": new[0]["steps"]}
    found["right"] = {
        group: rate([result["right"][group] for result in new]) for group in new[0]["right"]
    }
    found["spread"] = average([r["spread"]["drawn"] / r["spread"]["world"] for r in new])
    if "nearest" in new[0]:
        found["nearest"] = average([r["nearest"]["drawn"] / r["nearest"]["held out"] for r in new])
    gaps = [gap for seed in seeds if (gap := forgotten(folder, name, seed))] if name != BEFORE else []
    if gaps:
        found["forgotten"] = {
            "gap": average([gap[0] for gap in gaps]),
            "intervals": [g[1:] for g in gaps],
        }
    logs = [folder / f"{name}-{seed}" / "log.jsonl" for seed in seeds]
    seconds = [read_log(log)[-1]["seconds"] for log in logs if log.is_file()]
    return found | ({"seconds": round(mean(seconds))} if seconds else {})


def summary(folder: Path) -> dict[str, Any]:
    "All rows that were measured."
    rows = {}
    for name in (BEFORE, *ROWS):
        seeds = [s for s in range(100) if (folder / f"{name}-{s}" / "new.json").is_file()]
        if seeds:
            rows[name] = summarize_row(folder, name, seeds)
    return {"base": BASE, "base_sha256": load(BASE).sha256, "margin": MARGIN, "rows": rows}


def ship_adapters(folder: Path, weights: Path) -> None:
    "Copy the adapters that the page loads."
    for name, short in SHIPPED.items():
        adapter = folder / f"{name}-0" / "adapter"
        if adapter.is_dir():
            (weights / short).mkdir(exist_ok=True)
            for file in sorted(adapter.iterdir()):
                shutil.copyfile(file, weights / short / file.name)


def show_summary(table: dict[str, Any]) -> str:  # Markdown
    "One line a row."

    def cell(found: dict[str, Any] | None, key: str = "rate") -> str:
        return "" if found is None else f"{found[key]:.2f}"

    rows = []
    for name, row in table["rows"].items():
        right, lost = row["right"], row.get("forgotten")
        rows.append(
            [name, str(len(row["seeds"]))]
            + [cell(right.get(group)) for group in ("single", "seen", "unseen", "beside a star")]
            + [cell(row["spread"], "mean"), cell(row.get("nearest"), "mean")]
            + ["" if lost is None else f"{lost['gap']['mean']:+.3f}"]
        )
    heads = ["row", "seeds", "single", "seen", "unseen", "beside a star", "spread", "nearest", "old"]
    return markdown_table(heads, rows)


@app.command()
def main(
    row: Annotated[list[str] | None, typer.Option(help="only these rows; may be repeated")] = None,
    seeds: Annotated[int, typer.Option(help="trainings of each row")] = 3,
    steps: Annotated[int, typer.Option(help="of a training")] = 1000,
    noises: Annotated[int, typer.Option(help="of each prompt about the new word")] = 8,
    old: Annotated[int, typer.Option(help="validation prompts a task, 100 at most; 0: none")] = 100,
    old_noises: Annotated[int, typer.Option(help="of each validation prompt")] = 2,
    table: Annotated[bool, typer.Option("--table", help="only write and print the summary")] = False,
    runs: Annotated[Path, typer.Option(help="where states and results are kept")] = Path(
        "runs/new_words"
    ),
    weights: Annotated[Path | None, typer.Option(help="where the summary goes")] = None,
) -> None:
    "Train and measure what is missing, then write the summary."
    names = [choose(name, (BEFORE, *ROWS), "row") for name in row or (BEFORE, *ROWS)]
    for seed, name in product(range(seeds), names) if not table else ():
        if name != BEFORE or seed == 0:
            run_row(name, seed, runs, steps, noises, old, old_noises)
            print(f"{name}-{seed} is done", flush=True)
    found = summary(runs)
    if not found["rows"]:
        raise typer.BadParameter(f"there are no results in {runs}: train first")
    place = weights_path() / BASE if weights is None else weights
    write_json(place / "new_words.json", found)
    ship_adapters(runs, place)
    print(show_summary(found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    app()
