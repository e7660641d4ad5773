"""Draw visual anagrams of every possible pair of shapes, and count which ones read as both.

python tools/anagrams.py                  every pair, view and method, eight seeds each; goes on where it stopped
python tools/anagrams.py --seeds 2        fewer pictures; more keep those that are there
python tools/anagrams.py --table          only print what the file says

A pair is possible where one of its shapes changes in the view; `possible_pairs` finds them on rendered pictures. Both
captions name one color, which no held-out combination has, and one size. Each pair is drawn with the predictions of the two
views averaged, at several weights of the first view, and with the views in turn. Two controls stand beside them. The *ceiling*
draws each caption alone, from the same seeds: a pair counts where both pictures are right. The *mean of pictures* is the mean
of those two pictures, the second brought back from its view. Every picture is counted. A large shape of small ones is drawn
too: its blurred version follows one caption, and what the blur takes away the other. Results, picture by picture, go to
t2i_learn/weights/<model>/anagrams.json, which belongs to the weights whose checksum it names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from results import fingerprint
from torch import Tensor
from tqdm import tqdm

from t2i_learn.core.files import read_json, weights_path, write_atomic
from t2i_learn.core.pipeline import Pipeline, load
from t2i_learn.core.show import markdown_table
from t2i_learn.editing.anagrams import (
    VIEWS,
    blur_components,
    draw_anagram,
    draw_hybrid,
    possible_pairs,
    read_in_views,
)

MODEL = "shapes-diffusion"
CAPTION = "a small blue {}"
SETTINGS = {
    "sampler": "ddpm",
    "guidance_scale": 1.0,
    "num_inference_steps": 20,
}  # chosen on another seed than those that are reported
METHODS: dict[str, dict[str, Any]] = {  # name -> options of `draw_anagram`; the controls have none
    "average": {},
    "average, 0.35": {"weights": (0.35, 0.65)},
    "average, 0.42": {"weights": (0.42, 0.58)},
    "average, 0.65": {"weights": (0.65, 0.35)},
    "alternate": {"method": "alternate"},
}
CONTROLS = ("mean of pictures", "ceiling")
BLUR = 2.5  # pixels
HYBRID_SETTINGS = {**SETTINGS, "guidance_scale": 3.0}
HYBRIDS = (  # the shape of the blurred picture, and what the sharp one shows
    ("triangle", "three blue squares"),
    ("square", "four blue triangles"),
    ("diamond", "four blue squares"),
    ("cross", "five blue squares"),
)
TURNED = ("half-turn", "flip")
BOTH, FIRST, SECOND, NEITHER = "b12-"  # the verdict on a picture

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def verdict(readings: list[bool]) -> str:
    "One letter for what was read in the two views."
    return {(True, True): BOTH, (True, False): FIRST, (False, True): SECOND}.get(
        (readings[0], readings[1]), NEITHER
    )


class Anagrams:
    "A model's file of results: for each method, view and pair a verdict a seed."

    def __init__(
        self,
        path: Path,
        pipe: Pipeline,
        weights: str,  # fingerprint of the weights
    ):
        self.path, self.pipe = path, pipe
        self.alone: dict[tuple[str, int, int], Tensor] = {}  # (shape, first, count) -> pictures
        facts = {
            "model": pipe.name,
            "weights": weights,
            "caption": CAPTION,
            "settings": SETTINGS,
            "hybrids": {"blur": BLUR, **HYBRID_SETTINGS},
        }
        self.content: dict[str, Any] = read_json(path) if path.is_file() else {}
        if any(self.content.get(name) != value for name, value in facts.items()):  # of other weights
            self.content = {**facts, "verdicts": {}, "table": {}}

    def marks(self, method: str, view: str) -> dict[str, str]:  # pair -> verdicts
        "What is known of a method in a view; a new pair may be added."
        return self.content["verdicts"].setdefault(method, {}).setdefault(view, {})

    def run_pair(self, method: str, view: str, pair: tuple[str, str], seeds: int) -> None:
        "Draw and judge what is missing of one pair with one method."
        marks = self.marks(method, view)
        done = marks.get(", ".join(pair), "")
        if len(done) < seeds:
            judge = self.judge_control if method in CONTROLS else self.judge_method
            judge = self.judge_hybrid if method == "hybrid" else judge
            marks[", ".join(pair)] = done + judge(method, view, pair, len(done), seeds - len(done))
            self.save()

    def judge_method(self, method: str, view: str, pair: tuple[str, str], first: int, count: int) -> str:
        "Verdicts on pictures of a pair, drawn for both captions at once."
        prompts, views = [CAPTION.format(shape) for shape in pair], [VIEWS["upright"], VIEWS[view]]
        call = {"seed": 0, "first": first, **SETTINGS, **METHODS[method]}
        pictures = draw_anagram(self.pipe, prompts, views, count, **call)
        looks = [look.apply for look in views]
        return "".join(verdict(read_in_views(picture, prompts, looks)) for picture in pictures)

    def judge_control(
        self, method: str, view: str, pair: tuple[str, str], first: int, count: int
    ) -> str:
        "Verdicts on the pictures of each caption alone, or on their mean."
        prompts, looks = (
            [CAPTION.format(shape) for shape in pair],
            [VIEWS["upright"].apply, VIEWS[view].apply],
        )
        alone = [self.draw_alone(shape, first, count) for shape in pair]
        if method == "mean of pictures":
            mixed = (alone[0] + VIEWS[view].undo(alone[1])) / 2
            return "".join(verdict(read_in_views(picture, prompts, looks)) for picture in mixed)
        read = [[read_in_views(x, [p], looks[:1])[0] for x in own] for p, own in zip(prompts, alone)]
        return "".join(verdict([*row]) for row in zip(*read))

    def judge_hybrid(self, method: str, view: str, pair: tuple[str, str], first: int, count: int) -> str:
        "Verdicts on the blurred picture, where only the shape counts, and on the sharp one."
        far, near = pair
        call = {"seed": 0, "first": first, **HYBRID_SETTINGS}
        pictures = draw_hybrid(self.pipe, f"a large blue {far}", near, BLUR, count, **call)
        looks = [blur_components(BLUR)[0], VIEWS["upright"].apply]
        return "".join(
            verdict(read_in_views(picture, [f"a {far}", near], looks)) for picture in pictures
        )

    def draw_alone(self, shape: str, first: int, count: int) -> Tensor:  # (count, 3, H, W)
        "Pictures of one caption, drawn once for all pairs."
        key = (shape, first, count)
        if key not in self.alone:
            call = {"num_images_per_prompt": count, "seed": 0, "first": first, **SETTINGS}
            self.alone[key] = self.pipe(CAPTION.format(shape), output_type="pt", **call).images
        return self.alone[key]

    def save(self) -> None:
        "Write verdicts and table, whole or not at all."
        self.content["table"] = summary(self.content["verdicts"])
        write_atomic(self.path, (json.dumps(self.content, indent=1) + "\n").encode())


Verdicts = dict[str, dict[str, dict[str, str]]]  # method -> view -> pair -> a verdict a seed


def summary(verdicts: Verdicts) -> dict[str, dict[str, dict[str, Any]]]:  # method -> view -> figures
    "Share of pictures that read as both, share of pairs with one among their seeds, and which pairs these are."
    return {
        method: {view: summarise_view(marks) for view, marks in views.items()}
        for method, views in verdicts.items()
    }


def summarise_view(marks: dict[str, str]) -> dict[str, Any]:
    "The figures of one method in one view."
    joined = "".join(marks.values())
    good = [pair for pair, row in marks.items() if BOTH in row]
    return {
        "pairs": len(marks),
        "pictures": len(joined),
        "mean": round(joined.count(BOTH) / len(joined), 3),
        "best": round(len(good) / len(marks), 3),
        "first": round((joined.count(FIRST) + joined.count(BOTH)) / len(joined), 3),
        "second": round((joined.count(SECOND) + joined.count(BOTH)) / len(joined), 3),
        "succeeded": good,
    }


def show_table(table: dict[str, dict[str, dict[str, Any]]]) -> str:  # Markdown
    "A row for each method and view."
    rows = [
        [
            method,
            view,
            str(row["pictures"]),
            *(f"{row[name]:.2f}" for name in ("first", "second", "mean", "best")),
        ]
        for method, views in table.items()
        for view, row in views.items()
    ]
    return markdown_table(
        ["method", "view", "pictures", "upright", "in the view", "both", "best of a pair"], rows
    )


@app.command()
def main(
    seeds: Annotated[int, typer.Option(help="pictures of each pair, view and method")] = 8,
    table: Annotated[
        bool, typer.Option("--table", help="draw nothing: print what the file says")
    ] = False,
) -> None:
    "Draw, read, count."
    path = weights_path() / MODEL / "anagrams.json"
    if not table:
        weights = fingerprint(weights_path() / MODEL / "model.safetensors")[:16]
        results = Anagrams(path, load(MODEL), weights)
        jobs = [(method, view) for view in TURNED for method in (*METHODS, *CONTROLS)]
        for method, view in tqdm(jobs, MODEL):
            for pair in possible_pairs(VIEWS[view]):
                results.run_pair(method, view, pair, seeds)
        for pair in HYBRIDS:
            results.run_pair("hybrid", "blur", pair, seeds)
    print(show_table(read_json(path)["table"]), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    app()
