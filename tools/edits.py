"""Edit pictures in every way there is, judge each edit, and write t2i_learn/weights/<model>/edits.json.

python tools/edits.py                        the 120 edits for choosing: about an hour on one core; goes on where it stopped
python tools/edits.py --per-kind 4           fewer of each kind, for a try
python tools/edits.py --only "maps"          the ways whose names begin so
python tools/edits.py --edits choose-m       pictures that a model drew (data/make_edits.py --drawn makes them): edits-choose-m.json
python tools/edits.py --edits test-r         the test on rendered scenes, of the ways in CHOSEN only: chooses nothing, run it once
python tools/edits.py --edits test-m         the same on drawn pictures

A way is measured when its row is not there yet. Rows hold the verdict on every edit, so that ways can be compared in pairs.
Opening a test set is written into data/edits/opened.jsonl, once a run that measures something.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from results import fingerprint, record_opening
from torch import Tensor

from t2i_learn.core.files import data_path, weights_path, write_atomic
from t2i_learn.core.pipeline import Pipeline, load
from t2i_learn.diffusion.sampling import get_step, run_to_end, sample_loop
from t2i_learn.editing.image_to_image import (
    ddim_invert,
    edit_from_states,
    edit_tensors,
    inputs_for,
    levels_below,
)
from t2i_learn.editing.inpainting import inpaint_tensors
from t2i_learn.editing.prompt_to_prompt import edit_difference, edit_grounded, edit_words
from t2i_learn.world.edits import (
    Edit,
    EditBatch,
    EditFunction,
    copy_pictures,
    count_calls,
    evaluate_edits,
    load_edits,
    paint_edits,
    redraw_control,
)
from t2i_learn.world.score import estimate_rate

STRENGTHS = (0.3, 0.4, 0.5, 0.6, 0.7)

ANOTHER_SEED = 1_000_003  # added to the edits' own
INPAINTING = Path("runs/inpainting/model")  # that tools/inpainting.py leaves
CHOSEN = (
    "copy",
    "painter",
    "redraw",
    "redraw, another seed",
    "SDEdit 0.5",
    "maps 0.6",
    "own noise 0.6",
    "DDIM inversion 0.6",
    "masked maps 0.6",
    "replacement 1",
    "resampling 1",
    "channels 1",
    "words 0.7",
    "DiffEdit 0.6",
    "LEDITS++ 0.7",
)
CONTROLS = ("copy", "painter", "redraw", "redraw, another seed")
MASK_BAR = 0.85  # for both, of the edits of a test on rendered scenes, where the mask is given
KIND_BARS = {  # where it is not, by kind of edit
    "color": 0.80,
    "remove": 0.75,
    "background": 0.70,
    "shape": 0.60,
    "size": 0.60,
    "add": 0.60,
}


FOUND: tuple[tuple[str, Callable[..., Tensor], float, dict[str, Any]], ...] = (
    *(("words", edit_words, s, {}) for s in (0.6, 0.7, 0.8)),
    *(("words", edit_words, 0.7, {"self_share": share}) for share in (0.2, 0.5)),
    ("words", edit_words, 0.7, {"cross_share": 0.4}),
    *(("DiffEdit", edit_difference, s, {}) for s in (0.5, 0.6, 0.7, 0.8)),
    *(("DiffEdit", edit_difference, 0.6, {"threshold": t}) for t in (0.3, 0.45, 0.75)),
    *(("DiffEdit", edit_difference, s, {"redraw": True}) for s in (0.75, 1.0)),
    *(("LEDITS++", edit_grounded, s, {}) for s in (0.6, 0.7, 0.8)),
    *(("LEDITS++", edit_grounded, 0.7, {"threshold": t}) for t in (0.1, 0.2, 0.5)),
    *(("LEDITS++", edit_grounded, 0.7, {"scale": scale}) for scale in (1.0, 3.0)),
)


class Way(NamedTuple):
    "A method with its setting."

    method: str
    strength: float | None  # None: it has none
    change: Callable[[Pipeline], EditFunction]
    mask: bool = False  # whether it is given the mask
    own: Pipeline | None = None  # a model of its own, instead of the one that is measured
    needs_drawn: bool = False  # whether it works on pictures that the model drew from the edits' seeds

    @property
    def name(self) -> str:
        "Method and strength."
        return self.method if self.strength is None else f"{self.method} {self.strength:g}"


def request_of(pipe: Pipeline, batch: EditBatch, **settings: Any) -> Any:
    "The call that draws the new captions from the edits' own seeds."
    return pipe.request(batch.new_captions, seed=batch.seeds, **settings)


def edit_way(pipe: Pipeline, method: str, strength: float, captioned: bool = True) -> EditFunction:
    "SDEdit or recorded maps, of a whole picture."

    def change(batch: EditBatch) -> Tensor:
        sources = batch.captions if captioned else None
        return edit_tensors(pipe, batch.pictures, request_of(pipe, batch), sources, strength, method)

    return change


def own_noise_way(pipe: Pipeline, strength: float) -> EditFunction:
    "Go back in the drawing of the picture, and go on under the new caption with its own noise."

    def change(batch: EditBatch) -> Tensor:
        drawn = pipe.request(batch.captions, seed=batch.seeds)
        states = list(pipe.model.trajectory(drawn))
        changed = edit_from_states(pipe, states, drawn, request_of(pipe, batch), strength)
        if changed is None:
            raise ValueError(f"{pipe.name} does not draw down the levels of an edit")
        return changed

    return change


def found_way(
    pipe: Pipeline,
    method: Callable[..., Tensor],  # of nbs/08_editing/03_prompt_to_prompt
    strength: float,
    **options: Any,  # of the method
) -> EditFunction:
    "A method that finds the place of the edit by itself."

    def change(batch: EditBatch) -> Tensor:
        request = request_of(pipe, batch)
        changed = method(pipe, batch.pictures, request, batch.captions, strength, **options)
        return pipe.model.decode(changed).cpu()

    return change


def masked(change: EditFunction) -> EditFunction:
    "The same, pasted under the mask."
    return lambda batch: torch.where(batch.masks, change(batch), batch.pictures)


def inpaint_way(pipe: Pipeline, strength: float, jumps: int = 0, sampler: str = "ddpm") -> EditFunction:
    "Replacement at each step, or mask channels where the model has them."

    def change(batch: EditBatch) -> Tensor:
        request = request_of(pipe, batch, sampler=sampler)
        return inpaint_tensors(pipe, batch.pictures, batch.masks, request, strength, jumps)

    return change


def inversion_way(pipe: Pipeline, strength: float) -> EditFunction:
    "DDIM inversion without guidance, and DDIM under the new caption with it."

    def change(batch: EditBatch) -> Tensor:
        request = request_of(pipe, batch, sampler="ddim")
        y = ddim_invert(inputs_for(pipe, request, batch.captions, 1.0), batch.pictures, strength)
        inputs = inputs_for(pipe, request)
        sigmas = levels_below(inputs.sigmas, strength)
        return run_to_end(sample_loop(get_step("ddim"), inputs.denoiser, y, sigmas, inputs.cond))

    return change


def found_ways() -> list[Way]:
    "Prompt-to-prompt, DiffEdit and LEDITS++: each at several strengths, and with one setting changed at a time."
    ways = []
    for name, method, strength, options in FOUND:
        way = partial(found_way, method=method, strength=strength, **options)
        more = "".join(f", {key} {value:g}" for key, value in options.items())
        ways.append(Way(name + more, strength, way))
    return ways


def all_ways() -> list[Way]:
    "Controls, ways without a mask, ways with one."
    ways = [
        Way("copy", None, lambda pipe: copy_pictures),
        Way("painter", None, lambda pipe: paint_edits),
        Way("redraw", None, redraw_control),
        Way("redraw, another seed", None, partial(redraw_control, shift=ANOTHER_SEED)),
    ]
    ways += [Way("maps", s, partial(edit_way, method="exact", strength=s)) for s in (0.6, 0.5, 0.7, 0.8)]
    ways += [Way("SDEdit", s, partial(edit_way, method="sdedit", strength=s)) for s in STRENGTHS]
    ways += [
        Way("own noise", s, partial(own_noise_way, strength=s), needs_drawn=True)
        for s in (0.6, 0.5, 0.7, 0.8)
    ]
    ways += [Way("DDIM inversion", s, partial(inversion_way, strength=s)) for s in (0.6, 0.8)]
    ways += found_ways()
    ways += [
        Way("maps, no caption", 0.6, partial(edit_way, method="exact", strength=0.6, captioned=False)),
        Way("paste", None, lambda pipe: masked(redraw_control(pipe)), True),
    ]
    ways += [Way("replacement", s, partial(inpaint_way, strength=s), True) for s in (1.0, 0.75, 0.6)]
    ways += [Way("resampling", s, partial(inpaint_way, strength=s, jumps=1), True) for s in (1.0, 0.75)]
    ways += [
        Way("masked maps", s, lambda pipe, s=s: masked(edit_way(pipe, "exact", s)), True)
        for s in (0.6, 0.7)
    ]
    if (INPAINTING / "config.json").is_file():
        own = load(INPAINTING)
        ways += [Way("channels", s, partial(inpaint_way, strength=s), True, own) for s in (1.0, 0.75)]
    return ways


def measured(way: Way, pipe: Pipeline, edits: Sequence[Edit]) -> dict[str, Any]:
    "The row of a way."
    pipe = way.own or pipe
    with warnings.catch_warnings(), count_calls(pipe.model.denoiser) as count:
        warnings.simplefilter("ignore")  # words that training never held
        verdicts = evaluate_edits(way.change(pipe), edits)
    both = estimate_rate([v.both for v in verdicts])
    return {
        "name": way.name,
        "method": way.method,
        "strength": way.strength,
        "mask": way.mask,
        "calls": round(count.rows / len(edits), 1),
        "interval": [round(both.low, 3), round(both.high, 3)],
        "outside": round(sum(v.outside for v in verdicts) / len(verdicts), 2),
        **{part: [int(getattr(v, part)) for v in verdicts] for part in ("success", "preserved", "both")},
    }


def best_row(
    rows: Sequence[dict[str, Any]],  # of the edits for choosing
    chosen: Sequence[int],  # numbers of edits
    mask: bool,  # whether the method is given the mask
    names: Sequence[str],  # that there are in the test
) -> str | None:  # a name; None where there is no such row
    "The method that did best on some edits."
    own = [row for row in rows if row["mask"] == mask and row["name"] in names]
    own = [row for row in own if row["name"] not in CONTROLS]
    best = max(own, key=lambda row: sum(row["both"][k] for k in chosen), default=None)
    return None if best is None else best["name"]


def edit_numbers(
    report: dict[str, Any],
    kind: str | None,  # None: all
) -> list[int]:
    "Which edits are of a kind: those of two things, where the set has such."
    own = [k for k, name in enumerate(report["kinds"]) if kind in (None, name)]
    return [k for k in own if report["things"][k] == 2] or own


def bar_rows(
    report: dict[str, Any],  # of the test
    choosing: dict[str, Any],  # of the edits for choosing
) -> list[dict[str, Any]]:
    "What the best methods reach on the test, beside their bars; the best are those of the edits for choosing."
    found = {row["name"]: row for row in report["rows"]}
    bars = [("all kinds, with a mask", None, True, MASK_BAR)]
    bars += [(f"{kind}, without a mask", kind, False, bar) for kind, bar in KIND_BARS.items()]
    rows = []
    for what, kind, mask, bar in bars:
        name = best_row(choosing["rows"], edit_numbers(choosing, kind), mask, [*found])
        own = edit_numbers(report, kind)
        if name is None or not own:
            continue
        both = estimate_rate([bool(found[name]["both"][k]) for k in own])
        value = {"value": both.rate, "low": both.low, "high": both.high, "n": both.n}
        rows.append({"what": what, "method": name, **value, "bar": bar, "met": both.rate >= bar})
    return rows


def is_test(
    edits: str,  # name of a set
) -> bool:
    "Whether a set chooses nothing."
    return not edits.startswith("choose")


def kept_report(file: Path, facts: dict[str, Any]) -> dict[str, Any]:
    "What was measured before, if it was of the same weights and edits; else nothing."
    if file.is_file():
        report = json.loads(file.read_text(encoding="utf-8"))
        if all(report.get(name) == value for name, value in facts.items()):
            return report
    return facts | {"rows": []}


def write_report(
    file: Path,
    report: dict[str, Any],
    choosing: Path,  # the report of the edits for choosing, for the bars of a test
) -> None:
    "Write what is measured; for the test on rendered scenes with its bars."
    if report["set"] == "test-r" and choosing.is_file():
        chosen_by = json.loads(choosing.read_text(encoding="utf-8"))
        report["bars"] = bar_rows(report, chosen_by)
    write_atomic(file, (json.dumps(report) + "\n").encode())


def main(
    model: Annotated[str, typer.Option(help="that draws")] = "shapes-diffusion",
    per_kind: Annotated[
        int | None, typer.Option(min=1, help="edits of each kind; all if not given")
    ] = None,
    only: Annotated[str, typer.Option(help="how the names of the ways begin")] = "",
    edits: Annotated[
        str, typer.Option(help="a set: choose, test-r, and where they are made choose-m, test-m")
    ] = "choose",
    out: Annotated[Path | None, typer.Option(help="the JSON file")] = None,
) -> None:
    "Measure what is not measured yet."
    torch.manual_seed(0)
    pipe = load(model)
    found = load_edits(edits, per_kind)
    file = out or weights_path() / model / ("edits.json" if edits == "choose" else f"edits-{edits}.json")
    weights = weights_path() / model / "model.safetensors"
    facts = {"set": edits, "sha256": fingerprint(weights), "kinds": [e.kind for e in found]}
    report = kept_report(file, facts)
    report["things"] = [len(edit.source.things) for edit in found]
    choosing = file.with_name("edits.json")
    there = {row["name"] for row in report["rows"]}
    missing = [
        way
        for way in all_ways()
        if way.name.startswith(only)
        and way.name not in there
        and (way.name in CHOSEN or not is_test(edits))
        and (bool(found[0].picture) or not way.needs_drawn)
    ]
    if missing and is_test(edits):
        record_opening(
            data_path("edits") / "opened.jsonl", weights, f"{edits}, {len(missing)} ways of editing"
        )
    for way in missing:
        row = measured(way, pipe, found)
        report["rows"].append(row)
        write_report(file, report, choosing)
        rates = {
            part: round(sum(row[part]) / len(found), 3) for part in ("success", "preserved", "both")
        }
        print(way.name, rates, f"{row['calls']:g} calls", flush=True)
    if report["rows"]:
        write_report(file, report, choosing)


if __name__ == "__main__":
    typer.run(main)
