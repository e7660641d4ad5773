"""Measure a captioner: truth, completeness, calibration, agreement with the oracle, and the round trip of each model.

python tools/captioner.py                     shapes-captioner; pictures that are drawn already are not drawn again
python tools/captioner.py runs/shapes-captioner/made    a folder
python tools/captioner.py --scale 0.1         a tenth of the pictures, to try it
python tools/captioner.py --bars              measure nothing: hold what is there, also of shapes-clip, against the bars

Rendered pictures are fresh: no training draws from their seeds. Generated pictures are drawn by every text-to-image model
that ships, for half of the validation prompts and for lists of three and four things, at which the models often fail; they
are kept in runs/captioner/. The other half of the validation prompts is what slope and shift of the confidence are fitted
on (`calibrate`, which `tools/weights.py` calls). The oracle only judges. The tables go to measured.json beside the
weights, which belongs to the weights whose checksum it names. Intervals are of 95 %, over pictures or prompts drawn anew.
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from results import fingerprint
from safetensors.torch import save as safetensors_bytes
from torch import Tensor
from tqdm import tqdm

from t2i_learn.core.files import read_json, read_tensors, weights_path, write_atomic
from t2i_learn.core.pipeline import load, models, read_card
from t2i_learn.core.settings import model_folder
from t2i_learn.language.captioner import CAPTIONER_TASKS, CanonicalCaptions
from t2i_learn.language.decoding import (
    CaptionPipeline,
    DecodedText,
    caption_confidence,
    decode_captions,
)
from t2i_learn.language.clip_score import area_under_curve
from t2i_learn.language.there_and_back import (
    calibration_error,
    clauses_hold,
    clauses_said,
    cohen_kappa,
    fit_calibration,
    judge_caption,
    risk_coverage,
)
from t2i_learn.world.captions import SPLIT_TASKS, Prompt, load_prompts, sample_example
from t2i_learn.world.grammar import clauses_of
from t2i_learn.world.reader import read_scene
from t2i_learn.world.scenes import Scene, render
from t2i_learn.world.score import reference_picture, wilson_interval
from t2i_learn.world.wording import plain_example

ROOT = Path(__file__).resolve().parent.parent
DRAWN = ROOT / "runs" / "captioner"
FRESH, FITTING = 10_007, 10_009  # seeds of rendered pictures that no training draws
NOISE = (0.0, 0.1, 0.2, 0.3)  # standard deviations
BATCH = 20
RESAMPLES = 500
CALIBRATED = (
    "clean",
    *(f"noise {sd}" for sd in NOISE[1:]),
    "generated",
)  # groups on which confidences are judged
SEARCHES = 500  # of each caption length on the card of a model that scores

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


@dataclass
class Group:
    "Pictures of one kind, what they show, and what the captioner wrote."

    pictures: Tensor  # (n, 3, side, side)
    scenes: Sequence[Scene]  # known for rendered pictures, read by the oracle for generated ones
    texts: list[DecodedText]
    captions: list[str]

    @property
    def outcomes(self) -> Tensor:
        "Whether each caption is true in all clauses."
        verdicts = (judge_caption(c, scene) for c, scene in zip(self.captions, self.scenes))
        return torch.tensor([verdict.true for verdict in verdicts])

    @property
    def log_probs(self) -> Tensor:
        "Of each caption."
        return torch.tensor([text.log_prob for text in self.texts], dtype=torch.float64)


def describe_group(
    pipe: CaptionPipeline,
    pictures: Tensor,
    scenes: Sequence[Scene],
    style: str = "full",
) -> Group:
    "Let the captioner describe pictures, sixty-four at a time."
    texts = [t for part in pictures.split(64) for t in decode_captions(pipe.model, part, style)]
    return Group(pictures, scenes, texts, [pipe.model.text_of(text.tokens) for text in texts])


def with_noise(
    pictures: Tensor,
    sd: float,  # standard deviation
    seed: int = 0,
) -> Tensor:
    "Pictures with noise, always the same."
    generator = torch.Generator().manual_seed(seed)
    return pictures + sd * torch.randn(pictures.shape, generator=generator)


def rendered(count: int, seed: int) -> tuple[Tensor, list[Scene]]:
    "Fresh pictures of the kinds that training draws from."
    batch = CanonicalCaptions(count, seed=seed, task_weights=CAPTIONER_TASKS)(0)
    return batch.pictures, batch.scenes


def rendered_held_out(count: int, seed: int) -> tuple[Tensor, list[Scene]]:
    "Pictures with a pair of colour and shape that training never shows (split a)."
    generator = torch.Generator().manual_seed(seed)
    tasks = SPLIT_TASKS["a"]
    scenes = [sample_example(tasks[k % len(tasks)], "a", generator).scene for k in range(count)]
    return torch.stack([render(scene) for scene in scenes]), scenes


def listed_prompts(count: int, seed: int) -> list[Prompt]:
    "Lists of three and four things, at which the models often fail."
    rng = random.Random(seed)
    found = [plain_example(rng, 3 + k % 2) for k in range(count)]
    return [Prompt(e.task, "seen", e.caption, e.spec, scene=e.scene) for e in found]


def half_of_validation(
    half: int,  # 0 or 1
    per_task: int,
) -> list[Prompt]:
    "Every other validation prompt."
    return load_prompts("validation", 2 * per_task)[half::2]


def drawn_pictures(
    name: str,  # of a model that draws
    prompts: Sequence[Prompt],
    label: str,  # of the set, for the file
) -> Tensor:  # (n, 3, side, side)
    "Pictures of prompts, one each; what is drawn already is read from its file, which grows with every batch."
    weights = fingerprint(model_folder(name) / "model.safetensors")[:12]
    path = DRAWN / f"{name}-{label}-{weights}.safetensors"
    done = read_tensors(path)[0]["pictures"] if path.is_file() else torch.empty(0, 3, 32, 32)
    if len(done) >= len(prompts):
        return done[: len(prompts)]
    pipe = load(name)
    for first in tqdm(range(len(done), len(prompts), BATCH), f"{name}, {label}"):
        captions = [prompt.caption for prompt in prompts[first : first + BATCH]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            new = pipe(captions, seed=FRESH, first=first, output_type="pt", truncation=True).images
        done = torch.cat([done, new])
        write_atomic(path, safetensors_bytes({"pictures": done}))
    return done


def scaled(count: int, scale: float) -> int:
    "A share of a number of pictures; 4 at least."
    return max(4, round(count * scale))


def painters() -> list[str]:
    "The models that draw and ship."
    return [*models("text-to-image")]


def interval_of(
    statistic: Callable[[Tensor], float],  # of the numbers of rows
    names: Sequence[Any],  # of the rows; those with one name are drawn together
) -> list[float]:  # the ends of the middle 95 %
    "How far a statistic varies if as many pictures or prompts are drawn anew."
    groups: dict[Any, list[int]] = {}
    for row, name in enumerate(names):
        groups.setdefault(name, []).append(row)
    rows = [torch.tensor(own) for own in groups.values()]
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(RESAMPLES):
        drawn = torch.randint(len(rows), (len(rows),), generator=generator).tolist()
        values.append(statistic(torch.cat([rows[k] for k in drawn])))
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    return torch.tensor(values, dtype=torch.float64).quantile(ends).tolist()


def ranking(confidence: Tensor, outcomes: Tensor) -> float:
    "How often a true caption has more confidence than a false one."
    return area_under_curve(confidence[outcomes], confidence[~outcomes])


def caption_row(
    group: Group,
    calibration: dict[str, float],  # slope, shift
    names: Sequence[Any] | None = None,  # of the pictures; those with one name are drawn together
) -> dict[str, Any]:
    "A row of the table of captions."
    outcomes = group.outcomes
    confidence = caption_confidence(group.log_probs, **calibration)
    verdicts = [judge_caption(c, scene) for c, scene in zip(group.captions, group.scenes)]
    complete = torch.tensor([v.complete for v in verdicts], dtype=torch.float64)
    statistics: dict[str, Callable[[Tensor], float]] = {
        "true": lambda rows: outcomes[rows].double().mean().item(),
        "complete": lambda rows: complete[rows].mean().item(),
        "confidence": lambda rows: confidence[rows].mean().item(),
        "calibration error": lambda rows: calibration_error(confidence[rows], outcomes[rows]),
        "AUROC": lambda rows: ranking(confidence[rows], outcomes[rows]),
    }
    every = torch.arange(len(outcomes))
    found = {name: statistic(every) for name, statistic in statistics.items()}
    named = names or range(len(outcomes))
    intervals = {name: interval_of(statistic, named) for name, statistic in statistics.items()}
    low, high = wilson_interval(int(outcomes.sum()), len(outcomes))
    intervals["true"] = [min(low, intervals["true"][0]), max(high, intervals["true"][1])]
    return {"n": len(outcomes), **found, "intervals": intervals}


def oracle_scenes(pictures: Tensor) -> list[Scene]:
    "What the oracle reads."
    return [read_scene(picture) for picture in pictures]


def calibrate(pipe: CaptionPipeline, scale: float = 1.0) -> dict[str, float]:  # slope, shift
    "Fit the confidence on validation pictures: clean, noisy and generated ones."
    pictures, scenes = rendered(scaled(400, scale), FITTING)
    groups = [describe_group(pipe, with_noise(pictures, sd, 1), scenes) for sd in NOISE]
    for name in painters():
        prompts = half_of_validation(0, max(1, int(25 * scale)))
        drawn = drawn_pictures(name, prompts, "fitting")
        groups.append(describe_group(pipe, drawn, oracle_scenes(drawn)))
    log_probs = torch.cat([group.log_probs for group in groups])
    return fit_calibration(log_probs, torch.cat([group.outcomes for group in groups]))


def validation_score(pipe: CaptionPipeline, count: int = 600) -> float:
    "The number by which weights are chosen: true and complete, the mean, on validation renders with a little noise."
    pictures, scenes = rendered(count, FITTING)
    row = caption_row(describe_group(pipe, with_noise(pictures, 0.1, 1), scenes), {})
    return (row["true"] + row["complete"]) / 2


def measure_captions(
    pipe: CaptionPipeline,
    generated: Group,
    prompts: Sequence[Prompt],  # of the generated pictures
    scale: float,
) -> tuple[dict[str, Any], dict[str, Any]]:  # rows, and curves of risk and coverage
    "The table of captions: rendered pictures with and without noise, held-out pairs, and generated pictures."
    pictures, scenes = rendered(scaled(600, scale), FRESH)
    groups = {"clean": describe_group(pipe, pictures, scenes)}
    groups["clean, short"] = describe_group(pipe, pictures, scenes, "short")
    held = rendered_held_out(scaled(400, scale), FRESH)
    groups["clean, split a"] = describe_group(pipe, *held)
    for sd in NOISE[1:]:
        groups[f"noise {sd}"] = describe_group(pipe, with_noise(pictures, sd), scenes)
    groups["generated"] = generated
    calibration = pipe.model.config["calibration"]
    captions = {"generated": [prompt.caption for prompt in prompts]}
    rows = {name: caption_row(group, calibration, captions.get(name)) for name, group in groups.items()}
    rows["constant confidence"] = constant_row([groups[name].outcomes for name in CALIBRATED])
    return rows, {
        name: curve_of(group, calibration) for name, group in groups.items() if name != "clean, short"
    }


def constant_row(
    groups: Sequence[Tensor],  # (n,) bool, the outcomes of each
) -> dict[str, Any]:
    "The control: the same confidence for every caption, the share of all that are true."
    outcomes = torch.cat([*groups])
    share = outcomes.double().mean()
    constant = torch.full((len(outcomes),), share.item(), dtype=torch.float64)
    gaps = [abs(share - own.double().mean()).item() for own in groups]
    return {
        "n": len(outcomes),
        "true": share.item(),
        "complete": "",
        "confidence": share.item(),
        "calibration error": calibration_error(constant, outcomes, 1),
        "largest error of a group": max(gaps),
        "AUROC": ranking(constant, outcomes),
    }


def curve_of(
    group: Group,
    calibration: dict[str, float],
    points: int = 50,
) -> list[list[float]]:  # coverage, risk
    "A curve of risk and coverage, thinned."
    curve = risk_coverage(caption_confidence(group.log_probs, **calibration), group.outcomes)
    kept = torch.linspace(0, len(curve[0]) - 1, min(points, len(curve[0]))).round().long()
    return [[round(v, 4) for v in axis[kept].tolist()] for axis in curve]


Flags = Sequence[Sequence[bool]]  # for each prompt its clauses, confirmed or not


def clause_kind(
    claim: dict[str, Any],  # of `clauses_of`
) -> str:
    "What a clause is about."
    if "bg" in claim:
        return "background"
    if not claim["include"]:
        return "no other thing"
    first = claim["include"][0]
    return "relation" if "position" in first else "number" if first["count"] > 1 else "thing"


def clause_kinds(prompts: Sequence[Prompt]) -> list[list[str]]:
    "The kinds of the clauses of each prompt."
    return [[clause_kind(claim) for _, claim in clauses_of(prompt.spec)] for prompt in prompts]


def share_of(flags: Flags) -> float | str:
    "The share of clauses that are confirmed; empty where there are none."
    every = [flag for row in flags for flag in row]
    return sum(every) / len(every) if every else ""


def share_interval(flags: Flags) -> list[float] | str:
    "The interval of `share_of`, over prompts; empty where there is no clause."
    kept = [row for row in flags if row]
    if not kept:
        return ""
    hits, sizes = (torch.tensor([f(row) for row in kept], dtype=torch.float64) for f in (sum, len))
    return interval_of(lambda rows: (hits[rows].sum() / sizes[rows].sum()).item(), range(len(kept)))


def share_row(
    said: Flags,
    passed: Sequence[bool] | None = None,  # whether the oracle passes each picture
    kinds: Sequence[Sequence[str]] | None = None,  # of the clauses
) -> dict[str, Any]:
    "A row of the round trip: shares of clauses, all and by kind, with intervals over prompts; passed and failed apart."
    parts = {"all clauses": said, "passed": [], "failed": []}
    every = kinds or [[""] * len(row) for row in said]
    names: dict[str, Sequence[Sequence[str]]] = {"all clauses": every, "passed": [], "failed": []}
    if passed is not None:
        for name, wanted in (("passed", True), ("failed", False)):
            parts[name] = [row for row, ok in zip(said, passed) if ok == wanted]
            names[name] = [row for row, ok in zip(every, passed) if ok == wanted]
    means = torch.tensor([sum(row) / len(row) for row in said], dtype=torch.float64)
    return {
        "n": len(said),
        **{name: share_of(own) for name, own in parts.items()},
        "standard error": (means.std() / len(means) ** 0.5).item(),
        "pictures": {name: len(own) for name, own in parts.items()},
        "intervals": {name: share_interval(own) for name, own in parts.items()},
        "by clause": {name: shares_by_kind(own, names[name]) for name, own in parts.items()},
    }


def shares_by_kind(
    said: Flags,
    kinds: Sequence[Sequence[str]],  # of the clauses
) -> dict[str, dict[str, Any]]:
    "Shares of clauses of each kind, with intervals over prompts."
    found = {}
    for kind in sorted({kind for row in kinds for kind in row} - {""}):
        own = [[f for f, k in zip(row, names) if k == kind] for row, names in zip(said, kinds)]
        clauses = sum(map(len, own))
        found[kind] = {"clauses": clauses, "share": share_of(own), "interval": share_interval(own)}
    return found


def said_by(pipe: CaptionPipeline, prompts: Sequence[Prompt], pictures: Tensor) -> list[list[bool]]:
    "For each prompt, which of its clauses the caption of a picture confirms."
    group = describe_group(pipe, pictures, ())
    return [clauses_said(p.spec, caption) for p, caption in zip(prompts, group.captions)]


def measure_round_trip(pipe: CaptionPipeline, per_task: int) -> dict[str, Any]:
    "The table of the round trip, with its three rows of control."
    prompts = half_of_validation(1, per_task)
    true = torch.stack([reference_picture(prompt) for prompt in prompts])
    neighbours = next_of_task(prompts)
    mean = true.mean(0, keepdim=True).expand_as(true)
    kinds = clause_kinds(prompts)
    shown = {"reference": true, "another prompt": true[neighbours], "mean picture": mean}
    rows = {
        name: share_row(said_by(pipe, prompts, pictures), None, kinds)
        for name, pictures in shown.items()
    }
    for name in painters():
        pictures = drawn_pictures(name, prompts, "trip")
        scenes = oracle_scenes(pictures)
        holds = [clauses_hold(p.spec, scene) for p, scene in zip(prompts, scenes)]
        passed = [all(row) for row in holds]
        rows[name] = share_row(said_by(pipe, prompts, pictures), passed, kinds)
        failing = [row for row, ok in zip(holds, passed) if not ok]
        rows[name]["failed, by the oracle"] = share_of(failing)
    return rows


def next_of_task(prompts: Sequence[Prompt]) -> list[int]:
    "For each prompt the number of the next one of its task."
    groups: dict[str, list[int]] = {}
    for k, prompt in enumerate(prompts):
        groups.setdefault(prompt.task, []).append(k)
    following = {a: b for own in groups.values() for a, b in zip(own, own[1:] + own[:1])}
    return [following[k] for k in range(len(prompts))]


def agreement_row(
    prompts: Sequence[Prompt],
    scenes: Sequence[Scene],  # as the oracle reads the pictures
    captions: Sequence[str],
) -> dict[str, Any]:
    "How often captioner and oracle say the same of a clause, where the picture fails its prompt."
    ours: list[bool] = []
    theirs: list[bool] = []
    kinds: list[str] = []
    names: list[str] = []  # the prompt of each clause
    count = 0
    for prompt, scene, caption in zip(prompts, scenes, captions):
        holds = clauses_hold(prompt.spec, scene)
        if all(holds):
            continue
        count += 1
        theirs += holds
        ours += clauses_said(prompt.spec, caption)
        kinds += clause_kinds([prompt])[0]
        names += [prompt.caption] * len(holds)
    found = agreement(ours, theirs, names)
    parts = {
        kind: agreement(*zip(*rows, strict=True))
        for kind in sorted({*kinds})
        if (rows := [(a, b, n) for a, b, n, k in zip(ours, theirs, names, kinds) if k == kind])
    }
    return {"pictures": count, **found, "by clause": parts}


def agreement(
    ours: Sequence[bool],  # of each clause
    theirs: Sequence[bool],
    names: Sequence[str] = (),  # clauses with one name are drawn together
) -> dict[str, Any]:
    "Share of agreement and kappa, with intervals."
    if not ours:
        return {"clauses": 0, "agree": 0.0, "kappa": 0.0, "intervals": {}}
    a, b = torch.tensor([*ours]), torch.tensor([*theirs])
    statistics: dict[str, Callable[[Tensor], float]] = {
        "agree": lambda rows: (a[rows] == b[rows]).double().mean().item(),
        "kappa": lambda rows: cohen_kappa(a[rows].tolist(), b[rows].tolist()),
    }
    every = torch.arange(len(a))
    return {
        "clauses": len(a),
        **{name: statistic(every) for name, statistic in statistics.items()},
        "intervals": {name: interval_of(statistic, names) for name, statistic in statistics.items()},
    }


def measure_generated(
    pipe: CaptionPipeline, per_task: int, lists: int
) -> tuple[
    Group, list[Prompt], dict[str, Any]
]:  # all generated pictures with their prompts, and the table of agreement
    "What the models draw for validation prompts and for lists, described."
    groups: list[Group] = []
    rows: dict[str, Any] = {}
    prompts = [*half_of_validation(1, per_task), *listed_prompts(lists, FRESH)]
    for name in painters():
        parts = {"trip": prompts[:-lists], "lists": prompts[-lists:]}
        pictures = torch.cat([drawn_pictures(name, own, label) for label, own in parts.items()])
        groups.append(describe_group(pipe, pictures, oracle_scenes(pictures)))
        rows[name] = agreement_row(prompts, groups[-1].scenes, groups[-1].captions)
    together = join_groups(groups)
    every = prompts * len(groups)
    rows["all"] = agreement_row(every, together.scenes, together.captions)
    return together, every, rows


def join_groups(groups: Sequence[Group]) -> Group:
    "Groups one after the other."
    return Group(
        torch.cat([group.pictures for group in groups]),
        [scene for group in groups for scene in group.scenes],
        [text for group in groups for text in group.texts],
        [caption for group in groups for caption in group.captions],
    )


def other_worlds(count: int) -> dict[str, Tensor]:  # name -> pictures (n, 3, 32, 32)
    "Pictures that are not of our world; training has seen nothing of their kind but random colours in blocks."
    generator = torch.Generator().manual_seed(FRESH)
    pictures, _ = rendered(count, FRESH)
    waves = torch.linspace(-3, 3, 32) * (1 + 3 * torch.rand(count, 3, 1, 1, generator=generator))
    return {
        "random pixels": 2 * torch.rand(count, 3, 32, 32, generator=generator) - 1,
        "waves": (waves + waves.transpose(2, 3) + torch.arange(count).view(-1, 1, 1, 1)).sin(),
        "negatives": -pictures,
        "two pictures in one": (pictures + pictures.roll(1, 0)) / 2,
    }


def measure_other_worlds(pipe: CaptionPipeline, count: int) -> dict[str, Any]:
    "How sure the captioner is of pictures that it cannot know."
    rows = {}
    for name, pictures in other_worlds(count).items():
        group = describe_group(pipe, pictures, ())
        confidence = caption_confidence(group.log_probs, **pipe.model.config["calibration"])
        rows[name] = {
            "n": len(pictures),
            "confidence": confidence.mean().item(),
            "below one half": (confidence < 0.5).double().mean().item(),
        }
    return rows


def bar_row(
    what: str,
    value: float,
    interval: Sequence[float] | None,  # None: it is a count
    bar: float,
    largest: bool = False,  # whether the bar is the largest value that is allowed, instead of the smallest
) -> dict[str, Any]:
    "A measured value beside its bar."
    low, high = interval or (value, value)
    met = value <= bar if largest else value >= bar
    sure = high <= bar if largest else low >= bar
    return {"what": what, "value": value, "low": low, "high": high, "bar": bar} | {
        "largest": largest,
        "met": met,
        "sure": sure,
    }


def caption_bars(rows: dict[str, Any]) -> list[dict[str, Any]]:
    "Truth, completeness and confidence of captions."

    def bar(group: str, column: str, value: float, largest: bool = False) -> dict[str, Any]:
        row = rows[group]
        return bar_row(f"{column}, {group}", row[column], row["intervals"][column], value, largest)

    found = [bar("clean", "true", 0.97), bar("clean, split a", "true", 0.95)]
    found += [bar("noise 0.1", "true", 0.90), bar("clean", "complete", 0.90)]
    found += [bar(group, "calibration error", 0.05, True) for group in CALIBRATED]
    found += [bar(group, "AUROC", 0.85) for group in CALIBRATED]
    pictures = sum(rows[group]["n"] for group in CALIBRATED)
    return [*found, bar_row("pictures of the five groups", pictures, None, 2000)]


def agreement_bars(row: dict[str, Any]) -> list[dict[str, Any]]:
    "Agreement with the oracle on generated pictures that fail."
    agree = bar_row("agreement on failing pictures", row["agree"], row["intervals"].get("agree"), 0.85)
    return [bar_row("failing pictures", row["pictures"], None, 150), agree]


def recall_bars(
    recall: dict[str, dict[str, float]],  # of the card of a model that scores
) -> list[dict[str, Any]]:
    "Recall at 1 as a share of its ceiling, for each caption length and way."
    rows = []
    for name, own in recall.items():
        ends = wilson_interval(round(own["recall"] * SEARCHES), SEARCHES)
        interval = [end / own["ceiling"] for end in ends]
        rows.append(bar_row(f"share of the recall's ceiling, {name}", own["share"], interval, 0.90))
    return rows


def bars_of(measured: dict[str, Any]) -> list[dict[str, Any]]:
    "Every bar of the chapter that is a number; those of `shapes-clip` where it ships."
    scores = read_card(weights_path() / "shapes-clip").get("scores", {})
    found = caption_bars(measured["captions"]) + agreement_bars(measured["agreement"]["all"])
    return found + recall_bars(scores.get("recall", {}))


def measure(pipe: CaptionPipeline, weights: str, scale: float = 1.0) -> dict[str, Any]:
    "All tables, as measured.json holds them."
    per_task = max(2, int(25 * scale))
    generated, prompts, agreement = measure_generated(pipe, per_task, scaled(100, scale))
    rows, curves = measure_captions(pipe, generated, prompts, scale)
    found = {
        "model": pipe.name,
        "weights": weights,
        "captions": rows,
        "round trip": measure_round_trip(pipe, per_task),
        "agreement": agreement,
        "other worlds": measure_other_worlds(pipe, scaled(100, scale)),
        "risk and coverage": curves,
    }
    return found | {"bars": bars_of(found)}


def write_measured(folder: Path, measured: dict[str, Any]) -> None:
    "Write the tables beside the weights."
    write_atomic(folder / "measured.json", (json.dumps(measured, indent=1) + "\n").encode())


@app.command()
def main(
    model: Annotated[
        str, typer.Argument(help="a captioner that ships, or its folder")
    ] = "shapes-captioner",
    scale: Annotated[float, typer.Option(help="share of the pictures; 1 is all")] = 1.0,
    bars: Annotated[
        bool, typer.Option("--bars", help="measure nothing, only hold what is there against the bars")
    ] = False,
) -> None:
    "Measure, write, print."
    folder = model_folder(model)
    if bars:
        measured = read_json(folder / "measured.json")
        measured["bars"] = bars_of(measured)
    else:
        pipe: Any = load(model)
        measured = measure(pipe, fingerprint(folder / "model.safetensors"), scale)
    write_measured(folder, measured)
    shown = ("bars",) if bars else [*measured.keys() - {"risk and coverage"}]
    print(json.dumps({k: v for k, v in measured.items() if k in shown}, indent=1))


if __name__ == "__main__":
    app()
