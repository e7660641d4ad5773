"""What emoji-diffusion composes and what it memorises: measure it, and write t2i_learn/weights/emoji.json.

python tools/emoji_measures.py                all of it; goes on where it stopped
python tools/emoji_measures.py --draw         only the drawings of the model
python tools/emoji_measures.py --memorise     only the model that is made to memorise, its training and its drawings
python tools/emoji_measures.py --model FOLDER --smoke    few pairs, steps and drawings, into runs/emoji_measures-smoke

Guidance is chosen on the split `val`, by recall at 5 of the label. Then the whole split `combo` is drawn, four times each pair,
on noises of its own. The labels that a picture's own has to stand out from are drawn once, by a seed. A second model is trained on 100
training pictures for 500 epochs: those that have a label of `combo`, in another style. Every measure of copies must flag what it
draws of its own captions.

Drawings lie in runs/emoji_measures/, a file for each drawing of a split, under the checksum of their weights; the memorising
model's training has a checkpoint there. Nothing that is there is made again. sheet.png shows 64 prompts, drawn once by a seed;
nearest.png the drawings that are most like training pictures.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from results import fingerprint
from torch import Tensor
from tqdm import tqdm

from t2i_learn.core.files import json_text, read_json, save_png, weights_path, write_atomic
from t2i_learn.core.pipeline import load, Pipeline
from t2i_learn.core.settings import model_folder
from t2i_learn.core.show import make_image_grid, to_image
from t2i_learn.diffusion.text_to_image import DiffusionConfig
from t2i_learn.pictures.datasets import CaptionedPictures, to_pictures
from t2i_learn.pictures.emoji import (
    copying_report,
    EmojiSet,
    label_ranks,
    other_style_rows,
    ratio_interval,
    read_emoji,
    reference_distances,
    ReferenceDistances,
    style_hits,
)
from t2i_learn.pictures.measures import (
    CaptionRetriever,
    Features,
    nearest_sheet,
    nearest_training,
    open_features,
    RandomFeatures,
    retrieval_recall,
)
from t2i_learn.pictures.training import train_model, TrainingPlan

DRAWINGS = 4  # of each pair
CHOICES = (1.5, 2.0, 3.0, 4.0)  # of guidance, on val
BARS = {"recall at 5": 0.75, "style": 0.85}  # of the lower end, and of the value
COPIES = 100  # pictures of the memorising model
EPOCHS = 500
BATCH = 32
VAL_SEED, COMBO_SEED, SHEET_SEED = 1, 2, 3  # of the noises, and of the choice of prompts

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True)
class Scale:
    "How much is measured."

    run: Path  # folder of what is drawn and trained
    out: Path  # the results
    pairs: int | None = None  # of each split; None: all
    train: int | None = None  # training pictures that features are fitted on; None: all
    steps: int | None = None  # of sampling; None: the model's own
    choices: tuple[float, ...] = CHOICES
    drawings: int = DRAWINGS
    copies: int = COPIES
    epochs: int = EPOCHS
    preset: str = "cpu"  # of the memorising model

    def asked(
        self,
        split: str,  # val or combo
    ) -> EmojiSet:
        "The pairs that are asked for."
        whole = read_emoji(split)
        return whole.select(range(len(whole.labels))[: self.pairs])

    def known(self) -> EmojiSet:
        "The training pictures; those of labels that are asked for come first, where not all are taken."
        whole = read_emoji("train")
        if self.train is None:
            return whole
        asked = {label for split in ("val", "combo") for label in self.asked(split).labels}
        order = sorted(range(len(whole.labels)), key=lambda k: whole.labels[k] not in asked)
        return whole.select(order[: self.train])


def scale_of(smoke: bool) -> Scale:
    "All, or little."
    if not smoke:
        return Scale(Path("runs/emoji_measures"), weights_path() / "emoji.json")
    run = Path("runs/emoji_measures-smoke")
    return Scale(run, run / "emoji.json", 10, 120, 2, (2.0,), 2, 10, 2, "smoke")


def drawn(
    pipe: Pipeline,
    captions: list[str],
    path: Path,  # an .npy file; read where it is there
    seed: int,
    **settings: Any,  # of the model's family
) -> Tensor:  # (N, 3, H, W) in [-1, 1]
    "Draw each caption once, or read what was drawn."
    if not path.is_file():
        parts = []
        for first in tqdm(range(0, len(captions), 40), path.stem):
            texts = captions[first : first + 40]
            call = {"seed": seed, "first": first, "truncation": True, "output_type": "pt"}
            parts.append(pipe(texts, **call, **settings).images)
        levels = (127.5 * (torch.cat(parts) + 1)).round().clamp(0, 255).byte()
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.save(buffer, levels.permute(0, 2, 3, 1).numpy())
        write_atomic(path, buffer.getvalue())
    return to_pictures(np.load(path))


def place_of(scale: Scale, name: str) -> tuple[Path, str]:
    "Where a model's drawings lie, and the checksum of its weights."
    sha256 = fingerprint(model_folder(name) / "model.safetensors")
    return scale.run / sha256[:12], sha256


class Judge:
    "Says of pictures whether they show their label in their style, and how near they are to training pictures."

    def __init__(
        self,
        features: Features,
        train: EmojiSet,
    ):
        self.features = features
        known = features(train.pictures)
        self.retriever = CaptionRetriever(known, train.labels)
        self.probe = CaptionRetriever(known, train.styles)

    def hits(
        self,
        pictures: Tensor,  # (N, 3, H, W)
        asked: EmojiSet,  # N of them
    ) -> dict[str, Tensor]:  # (N,) bool each
        "Whether the label is among the best 1, 5, 10 of its candidates, and whether the style is right."
        rows = self.features(pictures)
        ranks = label_ranks(self.retriever, rows, asked.labels)
        found = {str(k): ranks <= k for k in retrieval_recall(ranks)}
        return found | {"style": style_hits(self.probe, rows, asked.styles)}


def choose_guidance(pipe: Pipeline, judge: Judge, scale: Scale, place: Path) -> dict[str, Any]:
    "Recall at 5 on val for each choice, and the best one."
    val = scale.asked("val")
    found = {}
    for guidance in scale.choices:
        settings = {"guidance_scale": guidance, "num_inference_steps": scale.steps}
        path = place / f"val-{guidance:g}.npy"
        pictures = drawn(pipe, val.captions, path, VAL_SEED, **settings)
        found[guidance] = judge.hits(pictures, val)["5"].double().mean().item()
    best = max(found, key=lambda guidance: found[guidance])
    shares = {f"{guidance:g}": round(share, 4) for guidance, share in found.items()}
    return {"guidance_scale": best, "recall at 5 on val": shares}


def combo_drawings(
    pipe: Pipeline, asked: EmojiSet, scale: Scale, place: Path, guidance: float
) -> Tensor:
    "All drawings of the split, (drawings, N, 3, H, W)."
    settings = {"guidance_scale": guidance, "num_inference_steps": scale.steps}
    return torch.stack(
        [
            drawn(
                pipe,
                asked.captions,
                place / f"combo-{guidance:g}-{k}.npy",
                COMBO_SEED + 1000 * k,
                **settings,
            )
            for k in range(scale.drawings)
        ]
    )


def rates(hits: dict[str, Tensor]) -> dict[str, float]:
    "The share of each kind of hit."
    return {name: round(found.double().mean().item(), 4) for name, found in hits.items()}


def bars(ours: dict[str, Tensor], real: dict[str, Tensor]) -> dict[str, Any]:
    "The two ratios that were asked for, and whether they reach what was set before."
    found = {
        "recall at 5": ratio_interval(ours["5"].double(), real["5"]),
        "style": ratio_interval(ours["style"].double(), real["style"]),
    }
    reached = {"recall at 5": found["recall at 5"].low, "style": found["style"].value}
    return {
        name: {key: round(value, 4) for key, value in ratio._asdict().items()}
        | {"bar": BARS[name], "met": reached[name] >= BARS[name]}
        for name, ratio in found.items()
    }


def memorised_pictures(train: EmojiSet, asked: EmojiSet, count: int) -> EmojiSet:
    "The training pictures of the memorising model: labels that are asked for, in another style, each once."
    rows = dict.fromkeys(other_style_rows(asked, train).tolist())
    return train.select([*rows][:count])


def memorising_model(pictures: EmojiSet, scale: Scale) -> Pipeline:
    "Train it, or go on, or read it."
    out = scale.run / "memoriser"
    if (out / "config.json").is_file():
        return load(out)
    rows = [
        {"image": to_image(picture), "caption": caption}
        for picture, caption in zip(pictures.pictures, pictures.captions, strict=True)
    ]
    data = CaptionedPictures(rows, cache=scale.run / "cache")
    steps = max(1, round(scale.epochs * len(data) / BATCH))
    config = DiffusionConfig.for_data(data, 64, scale.preset, steps=steps)
    return train_model(TrainingPlan(data, None, config), out, patience=0)


def distances(pictures: Tensor, labels: list[str], known: EmojiSet) -> ReferenceDistances:
    "How near pictures are to those that a model was trained on, by features that small details do not change."
    coarse = RandomFeatures()
    return reference_distances(coarse(pictures), labels, coarse(known.pictures), known.labels)


def joined(parts: list[ReferenceDistances]) -> ReferenceDistances:
    "The distances of several sets of pictures."
    return ReferenceDistances(*map(torch.cat, zip(*parts, strict=True)))


def memoriser_rows(asked: EmojiSet, train: EmojiSet, scale: Scale) -> dict[str, Any]:
    "What the measures of copies say of a model that must be flagged."
    known = memorised_pictures(train, asked, scale.copies)
    pipe = memorising_model(known, scale)
    place, _ = place_of(scale, str(scale.run / "memoriser"))
    held_out = distances(asked.pictures, asked.labels, known)
    found = {}
    for name, wanted in (("its own captions", known), ("the pairs of combo", asked)):
        path = place / f"{name.replace(' ', '-')}.npy"
        pictures = drawn(pipe, wanted.captions, path, COMBO_SEED, num_inference_steps=scale.steps)
        report = copying_report(distances(pictures, wanted.labels, known), held_out)
        found[f"memoriser, {name}"] = report
    return found


def copying_rows(drawings: Tensor, asked: EmojiSet, train: EmojiSet) -> dict[str, Any]:
    "What the measures of copies say of the model, of the copier, and of real pictures that were never trained on."
    real = distances(asked.pictures, asked.labels, train)
    ours = joined([distances(pictures, asked.labels, train) for pictures in drawings])
    copies = train.select(other_style_rows(asked, train))
    first, second = (ReferenceDistances(*(part[start::2] for part in real)) for start in (0, 1))
    return {
        "drawn": copying_report(ours, real),
        "held-out, every second": copying_report(first, second),
        "copier": copying_report(distances(copies.pictures, asked.labels, train), real),
    }


def write_sheets(
    pipe: Pipeline, drawings: Tensor, asked: EmojiSet, train: EmojiSet, scale: Scale
) -> None:
    "The sheet of 64 prompts, drawn once, and the drawings that are most like training pictures."
    chosen = np.random.default_rng(SHEET_SEED).permutation(len(asked.captions))[:64].tolist()
    prompts = " | ".join(asked.captions[k] for k in chosen)
    grid = make_image_grid(drawings[0][chosen], columns=8, scale=2, gap=2)
    save_png(grid, scale.run / "sheet.png", {"prompts": prompts, "model": pipe.name})
    coarse = RandomFeatures()
    near = nearest_training(coarse(drawings[0]), coarse(train.pictures))
    sheet = nearest_sheet(drawings[0], train.pictures, near, 16)
    save_png(sheet, scale.run / "nearest.png", {"pictures": "drawn, nearest", "model": pipe.name})


def measure_model(name: str, scale: Scale, features: Features) -> dict[str, Any]:
    "All that is said of the model; its drawings are kept."
    train, asked = scale.known(), scale.asked("combo")
    pipe, judge = load(name), Judge(features, train)
    place, sha256 = place_of(scale, name)
    settings = choose_guidance(pipe, judge, scale, place)
    drawings = combo_drawings(pipe, asked, scale, place, settings["guidance_scale"])
    each = [judge.hits(pictures, asked) for pictures in drawings]
    ours = {kind: torch.stack([hits[kind] for hits in each], 1) for kind in each[0]}
    real = judge.hits(asked.pictures, asked)
    copier = judge.hits(train.select(other_style_rows(asked, train)).pictures, asked)
    write_sheets(pipe, drawings, asked, train, scale)
    found = {"drawn": ours, "real": real, "copier": copier}
    return {
        "model": pipe.name,
        "sha256": sha256,
        "features": features.name,
        "settings": settings | {"pairs": len(asked.labels), "drawings": scale.drawings},
        "rates": {kind: rates(hits) for kind, hits in found.items()},
        "bars": bars(ours, real),
        "copying": copying_rows(drawings, asked, train),
    }


@app.command()
def main(
    model: Annotated[str, typer.Option(help="a model that ships, or its folder")] = "emoji-diffusion",
    draw_it: Annotated[bool, typer.Option("--draw", help="only the model's part")] = False,
    memorise: Annotated[bool, typer.Option("--memorise", help="only the memorising model")] = False,
    features: Annotated[
        str | None, typer.Option(help="imagenet or random; imagenet if it is installed")
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="little of everything")] = False,
) -> None:
    "Draw, train, measure, write."
    scale = scale_of(smoke)
    if not memorise:
        report = measure_model(model, scale, open_features(features))
        kept = read_json(scale.out) if scale.out.is_file() else {}
        old = {k: v for k, v in kept.get("copying", {}).items() if k.startswith("memoriser")}
        report["copying"] = report["copying"] | old
        write_atomic(scale.out, json_text(report, "the report", indent=1).encode())
    if not draw_it:
        rows = memoriser_rows(scale.asked("combo"), scale.known(), scale)
        for name, row in rows.items():
            print(name, {kind: found["copying_score"] for kind, found in row.items()})
        if scale.out.is_file():
            report = read_json(scale.out)
            report["copying"] = report["copying"] | rows
            write_atomic(scale.out, json_text(report, "the report", indent=1).encode())
    if scale.out.is_file():
        for name, row in read_json(scale.out)["bars"].items():
            print(name, row)


if __name__ == "__main__":
    app()
