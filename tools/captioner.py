"""Measure a captioner: truth, completeness, calibration, agreement with the oracle, and the round trip of each model.

python tools/captioner.py                     shapes-captioner; pictures that are drawn already are not drawn again
python tools/captioner.py runs/shapes-captioner/made    a folder
python tools/captioner.py --scale 0.1         a tenth of the pictures, to try it

Rendered pictures are fresh: no training draws from their seeds. Generated pictures are drawn by every text-to-image model
that ships, for half of the validation prompts and for lists of three and four things, at which the models often fail; they
are kept in runs/captioner/. The other half of the validation prompts is what slope and shift of the confidence are fitted
on (`calibrate`, which `tools/weights.py` calls). The oracle only judges. The tables go to measured.json beside the
weights, which belongs to the weights whose checksum it names.
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from results import fingerprint
from safetensors.torch import save as safetensors_bytes
from torch import Tensor
from tqdm import tqdm

from t2i_learn.core.files import read_tensors, write_atomic
from t2i_learn.core.pipeline import load, models
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
from t2i_learn.world.reader import read_scene
from t2i_learn.world.scenes import Scene, render
from t2i_learn.world.score import reference_picture
from t2i_learn.world.wording import plain_example

ROOT = Path(__file__).resolve().parent.parent
DRAWN = ROOT / "runs" / "captioner"
FRESH, FITTING = 10_007, 10_009  # seeds of rendered pictures that no training draws
NOISE = (0.0, 0.1, 0.2, 0.3)  # standard deviations
BATCH = 20

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


def caption_row(
    group: Group,
    calibration: dict[str, float],  # slope, shift
) -> dict[str, Any]:
    "A row of the table of captions."
    outcomes = group.outcomes
    confidence = caption_confidence(group.log_probs, **calibration)
    verdicts = [judge_caption(c, scene) for c, scene in zip(group.captions, group.scenes)]
    return {
        "n": len(outcomes),
        "true": outcomes.double().mean().item(),
        "complete": sum(v.complete for v in verdicts) / len(verdicts),
        "confidence": confidence.mean().item(),
        "calibration error": calibration_error(confidence, outcomes),
        "AUROC": area_under_curve(confidence[outcomes], confidence[~outcomes]),
    }


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
    rows = {name: caption_row(group, calibration) for name, group in groups.items()}
    together = torch.cat([group.outcomes for group in groups.values()])
    rows["constant confidence"] = constant_row(together)
    return rows, {
        name: curve_of(group, calibration) for name, group in groups.items() if name != "clean, short"
    }


def constant_row(outcomes: Tensor) -> dict[str, Any]:
    "The control: the same confidence for every caption."
    share = outcomes.double().mean()
    constant = torch.full((len(outcomes),), share.item(), dtype=torch.float64)
    return {
        "n": len(outcomes),
        "true": share.item(),
        "complete": "",
        "confidence": share.item(),
        "calibration error": calibration_error(constant, outcomes, 1),
        "AUROC": area_under_curve(constant[outcomes], constant[~outcomes]),
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


def share_row(
    said: Sequence[Sequence[bool]],  # for each prompt its clauses, confirmed or not
    passed: Sequence[bool] | None = None,  # whether the oracle passes each picture
) -> dict[str, Any]:
    "A row of the round trip: shares of clauses, with a standard error over prompts."

    def share(rows: Sequence[Sequence[bool]]) -> float | str:
        flags = [flag for row in rows for flag in row]
        return sum(flags) / len(flags) if flags else ""

    means = torch.tensor([sum(row) / len(row) for row in said], dtype=torch.float64)
    parts = {"passed": "", "failed": ""}
    if passed is not None:
        parts = {
            name: share([row for row, ok in zip(said, passed) if ok == wanted])
            for name, wanted in (("passed", True), ("failed", False))
        }
    error = (means.std() / len(means) ** 0.5).item()
    return {"n": len(said), "all clauses": share(said), "standard error": error, **parts}


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
    rows = {
        "reference": share_row(said_by(pipe, prompts, true)),
        "another prompt": share_row(said_by(pipe, prompts, true[neighbours])),
        "mean picture": share_row(said_by(pipe, prompts, mean)),
    }
    for name in painters():
        pictures = drawn_pictures(name, prompts, "trip")
        scenes = oracle_scenes(pictures)
        passed = [all(clauses_hold(p.spec, scene)) for p, scene in zip(prompts, scenes)]
        rows[name] = share_row(said_by(pipe, prompts, pictures), passed)
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
    count = 0
    for prompt, scene, caption in zip(prompts, scenes, captions):
        holds = clauses_hold(prompt.spec, scene)
        if all(holds):
            continue
        count += 1
        theirs += holds
        ours += clauses_said(prompt.spec, caption)
    agree = sum(a == b for a, b in zip(ours, theirs)) / max(1, len(ours))
    kappa = cohen_kappa(ours, theirs) if ours else 0.0
    return {"pictures": count, "clauses": len(ours), "agree": agree, "kappa": kappa}


def measure_generated(
    pipe: CaptionPipeline, per_task: int, lists: int
) -> tuple[Group, dict[str, Any]]:  # all generated pictures, and the table of agreement
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
    rows["all"] = agreement_row(prompts * len(groups), together.scenes, together.captions)
    return together, rows


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


def measure(pipe: CaptionPipeline, weights: str, scale: float = 1.0) -> dict[str, Any]:
    "All tables, as measured.json holds them."
    per_task = max(2, int(25 * scale))
    generated, agreement = measure_generated(pipe, per_task, scaled(100, scale))
    rows, curves = measure_captions(pipe, generated, scale)
    return {
        "model": pipe.name,
        "weights": weights,
        "captions": rows,
        "round trip": measure_round_trip(pipe, per_task),
        "agreement": agreement,
        "other worlds": measure_other_worlds(pipe, scaled(100, scale)),
        "risk and coverage": curves,
    }


def write_measured(folder: Path, measured: dict[str, Any]) -> None:
    "Write the tables beside the weights."
    write_atomic(folder / "measured.json", (json.dumps(measured, indent=1) + "\n").encode())


@app.command()
def main(
    model: Annotated[
        str, typer.Argument(help="a captioner that ships, or its folder")
    ] = "shapes-captioner",
    scale: Annotated[float, typer.Option(help="share of the pictures; 1 is all")] = 1.0,
) -> None:
    "Measure, write, print."
    folder = model_folder(model)
    pipe: Any = load(model)
    measured = measure(pipe, fingerprint(folder / "model.safetensors"), scale)
    write_measured(folder, measured)
    print(json.dumps({k: v for k, v in measured.items() if k != "risk and coverage"}, indent=1))


if __name__ == "__main__":
    app()
