"""How often a person agrees with the oracle: pictures to read without their captions, and what the readings say.

python tools/eye.py draw shapes-gan      choose 200 pictures that the model drew, half of them passed by the oracle
python tools/eye.py sheets shapes-gan    write them as numbered sheets for a reader, into runs/eye/shapes-gan/
python tools/eye.py table                compare the readings with captions and verdicts: t2i_learn/weights/<model>/eye.json

The pictures are drawn for validation prompts of the seen split, with a noise of their own. All are in one file,
benchmarks/eye/<model>/pictures.png, shuffled, and 50 of them come a second time. A reader gets the sheets only: neither
captions nor verdicts, which are in key.json beside it. For each number the reader writes a line into labels.tsv:

    number <tab> background <tab> things, with a semicolon between two of them
    17	grey	red heart 3 5; small blue star 7 5

A thing is a color, a shape, and the place of its centre in tenths of the side, to the right and downwards. The words small
and large, striped and hollow stand before the color, where they apply. A color or a shape that cannot be named is "unknown".
Where a relation is claimed, the reading decides it by the places: one thing has to be farther left of the other than above
or below it, by a tenth of the side at least.
"""

from __future__ import annotations

import json
import random
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from unittest.mock import patch

import typer
from nbs import ROOT
from PIL import Image, ImageDraw
from results import fingerprint
from tqdm import tqdm

from t2i_learn.core.files import read_json, weights_path, write_atomic
from t2i_learn.core.pipeline import Pipeline, load, models, read_card
from t2i_learn.core.show import make_image_grid, markdown_table, png_bytes, to_image
from t2i_learn.world import score as world_score
from t2i_learn.world.captions import Prompt, load_prompts
from t2i_learn.world.reader import read_scene
from t2i_learn.world.scenes import BACKGROUNDS, COLORS, SHAPES, Scene, Thing, relation_holds, render
from t2i_learn.world.score import check_spec
from t2i_learn.world.tasks import GENEVAL_TASKS

WANTED, AGAIN = 100, 50  # pictures of each verdict, and how many are read a second time
SEED, MOST = 11, 2400  # of the noise, and how many pictures are drawn at most
SIDE, COLUMNS, SCALE, MARGIN = (
    32,
    5,
    6,
    22,
)  # of a sheet: pixels of a picture, pictures in a row, enlargement, frame
FOLDER = ROOT / "benchmarks" / "eye"
RADII = {"small": 0.13, "medium": 0.18, "large": 0.24}
UNKNOWN = "unknown"
SHARES = ("agree where passed", "agree where failed", "kappa")

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


class Drawn(NamedTuple):
    "A picture and what it was drawn for."

    image: Image.Image
    prompt: Prompt
    passed: bool
    reason: str  # why the oracle refuses it; empty where it passes


def judge_pictures(pipe: Pipeline, prompts: Sequence[Prompt], batch: int = 25) -> Iterator[Drawn]:
    "Draw one picture after another, and let the oracle check each."
    for first in range(0, len(prompts), batch):
        group = prompts[first : first + batch]
        images = pipe([p.caption for p in group], seed=SEED, first=first, output_type="pt").images
        for prompt, picture in zip(group, images, strict=True):
            yield Drawn(to_image(picture), prompt, *check_spec(prompt.spec, read_scene(picture)))


def choose_pictures(pipe: Pipeline, prompts: Sequence[Prompt]) -> list[Drawn]:
    "WANTED pictures of each verdict, the first that come; fewer where there are no more."
    found: dict[bool, list[Drawn]] = {True: [], False: []}
    for drawn in tqdm(judge_pictures(pipe, prompts), total=len(prompts)):
        found[drawn.passed].append(drawn)
        if min(map(len, found.values())) >= WANTED:
            break
    return [drawn for group in found.values() for drawn in group[:WANTED]]


def key_of(drawn: Drawn, of: int) -> dict[str, Any]:
    "What the reader does not see."
    prompt = drawn.prompt
    said = {"picture": of, "task": prompt.task, "caption": prompt.caption, "spec": prompt.spec}
    return said | {"passed": drawn.passed, "reason": drawn.reason}


def folder_of(model: str) -> Path:
    "Where the pictures, the readings and the key of a model are."
    return FOLDER / model


@app.command()
def draw(model: Annotated[str, typer.Argument(help="a model that ships")]) -> None:
    "Choose and shuffle the pictures of a model."
    chance = random.Random(SEED)
    prompts = load_prompts("validation")
    prompts *= -(-MOST // len(prompts))
    order = [p for p in prompts if p.split == "seen"][:MOST]
    chance.shuffle(order)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about words that the model does not know
        chosen = choose_pictures(load(model), order)
    chance.shuffle(chosen)
    numbers = [*range(len(chosen)), *chance.sample(range(len(chosen)), min(AGAIN, len(chosen)))]
    sheet = make_image_grid([chosen[k].image for k in numbers], columns=25, gap=0)
    key = {
        "model": model,
        "sha256": fingerprint(weights_path() / model / "model.safetensors"),
        "rows": [key_of(chosen[k], k) for k in numbers],
    }
    folder_of(model).mkdir(parents=True, exist_ok=True)
    write_atomic(folder_of(model) / "pictures.png", png_bytes(sheet, optimize=True))
    write_atomic(folder_of(model) / "key.json", (json.dumps(key, indent=1) + "\n").encode())
    passed = sum(drawn.passed for drawn in chosen)
    print(f"{model}: {passed} pictures that pass, {len(chosen) - passed} that do not")


def draw_sheet(pictures: Sequence[Image.Image], titles: Sequence[str]) -> Image.Image:
    "A sheet with a title above each picture, and a scale of tenths around it."
    side = SIDE * SCALE
    cell = side + 2 * MARGIN
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * cell, rows * cell), "white")
    pen = ImageDraw.Draw(sheet)
    for k, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        left, top = k % COLUMNS * cell + MARGIN, k // COLUMNS * cell + MARGIN
        sheet.paste(picture.resize((side, side), Image.Resampling.NEAREST), (left, top))
        pen.text((left, top - MARGIN + 2), title, fill="black")
        for tenth in range(1, 10):
            at = round(side * tenth / 10)
            pen.text((left + at - 3, top + side + 1), str(tenth), fill="grey")
            pen.text((left - 9, top + at - 6), str(tenth), fill="grey")
    return sheet


def draw_reference() -> Image.Image:
    "What the words mean: every shape, color, background, size and texture, as the world draws them."
    cycle = [list(words) for words in (COLORS, BACKGROUNDS)]
    things = [(shape, "medium", "solid") for shape in SHAPES]
    things += [("square", size, "solid") for size in RADII]
    things += [(shape, "large", texture) for texture in ("striped", "hollow") for shape in SHAPES]
    pictures, titles = [], []
    for k, (shape, size, texture) in enumerate(things):
        color, background = (words[k % len(words)] for words in cycle)
        thing = Thing(shape, color, 0.5, 0.5, RADII[size], size, texture)
        pictures.append(to_image(render(Scene((thing,), background), SIDE)))
        titles.append(f"{size} {texture} {color} {shape}, {background}")
    return draw_sheet(pictures, titles)


@app.command()
def sheets(
    model: Annotated[str, typer.Argument(help="a model whose pictures are chosen")],
    out: Annotated[Path, typer.Option(help="where the sheets go")] = Path("runs/eye"),
) -> None:
    "Write the sheets of 25 pictures that a reader gets."
    grid = Image.open(folder_of(model) / "pictures.png").convert("RGB")
    count = len(read_json(folder_of(model) / "key.json")["rows"])
    places = [(k % 25 * SIDE, k // 25 * SIDE) for k in range(count)]
    pictures = [grid.crop((x, y, x + SIDE, y + SIDE)) for x, y in places]
    (out / model).mkdir(parents=True, exist_ok=True)
    for first in range(0, count, 25):
        own = pictures[first : first + 25]
        sheet = draw_sheet(own, [f"no. {first + k}" for k in range(len(own))])
        write_atomic(out / model / f"sheet-{first:03}.png", png_bytes(sheet))
    write_atomic(out / "reference.png", png_bytes(draw_reference()))
    print(f"{-(-count // 25)} sheets in {out / model}")


def read_thing(text: str) -> Thing:  # ValueError for what is no thing
    "A thing, as a reader writes it."
    *words, x, y = text.split()
    size = next((word for word in words if word in RADII), "medium")
    texture = next((word for word in words if word in ("striped", "hollow")), "solid")
    color, shape = [word for word in words if word not in (size, texture)]
    if color not in (*COLORS, UNKNOWN) or shape not in (*SHAPES, UNKNOWN):
        raise ValueError(f"{text!r} names no color and shape of this world")
    return Thing(shape, color, float(x) / 10, float(y) / 10, RADII[size], size, texture)


def read_label(line: str) -> tuple[int, Scene]:  # ValueError where the form is another
    "A line of the readings: a number and a scene."
    number, background, things = [*line.rstrip("\n").split("\t"), ""][:3]
    if background not in (*BACKGROUNDS, UNKNOWN):
        raise ValueError(f"line {line!r}: {background!r} is no background of this world")
    return int(number), Scene(tuple(map(read_thing, filter(str.strip, things.split(";")))), background)


def relation_by_eye(relation: str, a: Thing, b: Thing) -> bool:
    "Whether a reader's places let a relation hold: a tenth of the side, and more than the other way."
    return relation_holds(relation, a, b, margin=0.1, ratio=1.0)


def agrees(spec: dict[str, Any], scene: Scene) -> bool:
    "Whether a reading satisfies a caption, sizes and textures only where the caption names them."
    with patch.object(world_score, "relation_holds_leniently", relation_by_eye):
        return check_spec(spec, scene)[0]


def kappa(pairs: Sequence[tuple[bool, bool]]) -> float:  # at most 1
    "Cohen's kappa: the agreement of two judges beyond what their shares give by chance."
    n = len(pairs)
    same = sum(a == b for a, b in pairs) / n
    first, second = (sum(pair[k] for pair in pairs) / n for k in range(2))
    chance = first * second + (1 - first) * (1 - second)
    return (same - chance) / (1 - chance) if chance < 1 else 1.0


def agreement(pairs: Sequence[tuple[bool, bool]]) -> dict[str, float]:
    "How often the eye (first) agrees with the oracle (second), where it passes and where it fails."
    judged = {
        verdict: [eye == verdict for eye, oracle in pairs if oracle == verdict]
        for verdict in (True, False)
    }
    found: dict[str, float] = {name: len(judged[v]) for name, v in (("passed", True), ("failed", False))}
    for verdict, name in ((True, "agree where passed"), (False, "agree where failed")):
        found[name] = round(sum(judged[verdict]) / max(len(judged[verdict]), 1), 4)
    return found | {"kappa": round(kappa(pairs), 4)}


def corrected(score: float, found: dict[str, float]) -> float:
    "A score as the eye would give it: what it passes of the passed, and of the failed."
    return score * found["agree where passed"] + (1 - score) * (1 - found["agree where failed"])


def compare(key: dict[str, Any], readings: dict[int, Scene]) -> dict[str, Any]:
    "Agreement of the eye with the oracle, and of the eye with itself."
    rows = key["rows"]
    if missing := [k for k in range(len(rows)) if k not in readings]:
        raise SystemExit(f"{key['model']}: pictures {missing[:5]} of {len(missing)} are not read yet")
    seen = [agrees(row["spec"], readings[k]) for k, row in enumerate(rows)]
    once = [k for k, row in enumerate(rows) if row["picture"] == k]
    twice = [k for k, row in enumerate(rows) if row["picture"] != k]
    six = [k for k in once if rows[k]["task"] in GENEVAL_TASKS]
    apart = [
        {"number": k, **{f: rows[k][f] for f in ("caption", "passed", "reason")}, "read": say(readings[k])}
        for k in once
        if seen[k] != rows[k]["passed"]
    ]  # fmt: skip
    return {
        "sha256": key["sha256"],
        **agreement([(seen[k], rows[k]["passed"]) for k in once]),
        "GenEval's six": agreement([(seen[k], rows[k]["passed"]) for k in six]),
        "read twice": len(twice),
        "same verdict both times": sum(seen[k] == seen[rows[k]["picture"]] for k in twice),
        "disagreements": apart,
    }


def say(scene: Scene) -> str:
    "A reading in words."
    things = ", ".join(
        f"{t.size} {t.texture} {t.color} {t.shape} at {t.x:.1f} {t.y:.1f}".replace("medium ", "").replace("solid ", "")
        for t in scene.things
    )  # fmt: skip
    return f"{things or 'nothing'} on {scene.background}"


def read_labels(file: Path) -> dict[int, Scene]:
    "All readings of a file, by number."
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(read_label(line) for line in lines if re.match(r"\d", line))


@app.command()
def table() -> None:
    "Write the agreement of every model that has readings, and print it."
    rows = []
    for model in models(kind="text-to-image"):
        if not (folder_of(model) / "labels.tsv").is_file():
            continue
        key = read_json(folder_of(model) / "key.json")
        found = compare(key, read_labels(folder_of(model) / "labels.tsv"))
        score = read_card(weights_path() / model)["scores"]["seen"]["mean"]
        found["score"] = {"oracle": score, "eye": round(corrected(score, found["GenEval's six"]), 4)}
        write_atomic(weights_path() / model / "eye.json", (json.dumps(found, indent=1) + "\n").encode())
        for name, part in (("all tasks", found), ("GenEval's six", found["GenEval's six"])):
            counts = [str(part[column]) for column in ("passed", "failed")]
            shares = [f"{part[column]:.3f}" for column in SHARES]
            rows.append([f"`{model}`", name, *counts, *shares])
        print(f"{model}: score {score:.3f} by the oracle, {found['score']['eye']:.3f} by the eye; "
              f"{found['same verdict both times']} of {found['read twice']} the same when read again")  # fmt: skip
    print(markdown_table(["model", "tasks", "passed", "failed", *SHARES], rows))


if __name__ == "__main__":
    app()
