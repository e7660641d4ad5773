"""Does everything work on this machine's GPU, and how fast? Started by tools/gpu_check.sh.

python tools/gpu_check.py [FOLDER]           at most 8 minutes; results go to FOLDER/check.json after each part
python tools/gpu_check.py FOLDER --tiny      small models and few steps, to try the script on a CPU

Three parts: training steps of each family's rounds at fp32 and at the 16-bit type that the device has units for; pictures of
each model that ships, which must be those of the CPU but for rounding; and a short training of shapes-diffusion, with its score
on validation prompts. A part that fails is a line of the report, and the others go on; then the script ends with 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from weights import validation_score

from t2i_learn.core.files import json_text, write_atomic
from t2i_learn.core.learner import json_value, make_accelerator
from t2i_learn.core.pipeline import load, models, Pipeline
from t2i_learn.core.settings import model_folder, read_config
from t2i_learn.diffusion.dit import DIT_MODEL_CONFIG
from t2i_learn.diffusion.text_to_image import COUNT_MIX, DIFFUSION_ROUNDS, DiffusionConfig
from t2i_learn.editing.inpainting import add_mask_channels, InpaintingConfig
from t2i_learn.gan.latent_code import LATENT_CODE_ROUNDS
from t2i_learn.gan.text_to_image import GAN_ROUNDS
from t2i_learn.language.captioner import CAPTIONER_ROUNDS
from t2i_learn.language.contrastive import CONTRASTIVE_ROUNDS
from t2i_learn.stable.two_stage import TWO_STAGE_ROUNDS

TRAINING_SECONDS = 150  # of shapes-diffusion
READING_SHARE = 0.2  # of its steps, before the first round
STEPS = 12  # of each round that is timed
EDITION = 1  # of the validation prompts
BASE = "shapes-diffusion"  # the model that is fine-tuned
PROMPT = "a red circle left of a blue star"


def rounds(preset: str) -> dict[str, Any]:
    "One round of training of each kind that the families have."
    first = DIFFUSION_ROUNDS[preset][0]
    dit = replace(first, config=DIT_MODEL_CONFIG)
    return {
        "diffusion": first,
        "inpainting": InpaintingConfig(
            first.steps,
            first.batch_size,
            mix=COUNT_MIX,
            config=read_config(model_folder(BASE)) | {"family": "inpainting"},
        ),
        "dit": DiffusionConfig(4, 4, config=DIT_MODEL_CONFIG) if preset == "smoke" else dit,
        "latent code": LATENT_CODE_ROUNDS[preset][-1],
        "gan, reconstruction": GAN_ROUNDS[preset][0],
        "gan, game": GAN_ROUNDS[preset][1],
        "two stages, settling in": TWO_STAGE_ROUNDS[preset][0],
        "two stages, joint": TWO_STAGE_ROUNDS[preset][1],
        "captioner": CAPTIONER_ROUNDS[preset][0],
        "contrastive": CONTRASTIVE_ROUNDS[preset][0],
    }


def initial_model(config: Any) -> torch.nn.Module | None:
    "What a round cannot begin without: inpainting goes on from a trained model."
    if config.config["family"] != "inpainting":
        return None
    return add_mask_channels(load(BASE, "cpu").model).requires_grad_()


def wait(device: torch.device) -> float:
    "The time when the device has done all that it was given."
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def half_type(device: torch.device) -> torch.dtype:
    "The 16-bit type that a device multiplies fast: bf16, or fp16 on a GPU without units for bf16."
    has_bf16 = device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bf16 else torch.float16


def timed_training(config: Any, precision: str, steps: int) -> dict[str, Any]:
    "Steps of a round on one batch, which is made before the clock runs."
    learner, _ = config.learner(precision=precision, init=initial_model(config))
    batch = learner.data(0)
    learner.data = lambda step: batch
    losses = [learner.loss for learner in learner.run(2)]
    start = wait(learner.device)
    losses += [learner.loss for learner in learner.run(2 + steps)]
    seconds = (wait(learner.device) - start) / steps
    if not all(map(torch.isfinite, map(torch.tensor, losses))):
        raise ValueError(f"the losses are {losses}")
    found = {"milliseconds": 1000 * seconds, "pictures a second": config.batch_size / seconds}
    if learner.device.type == "cuda":
        found["peak MB"] = torch.cuda.max_memory_allocated() / 2**20
        torch.cuda.reset_peak_memory_stats()
    return found | {"device": str(learner.device), "first loss": losses[0], "last loss": losses[-1]}


def training_check(config: Any, steps: int) -> dict[str, Any]:
    "A round at fp32, and at bf16 where the device has it: trainings have no fp16."
    has_bf16 = half_type(make_accelerator().device) is torch.bfloat16
    names = ("no", "bf16") if has_bf16 else ("no",)
    return {name: timed_training(config, name, steps) for name in names}


def draw(pipe: Pipeline, count: int, dtype: torch.dtype | None = None) -> tuple[torch.Tensor, float]:
    "Pictures of one prompt on the CPU, and the seconds that they took; under autocast where a type is given."
    device = next(pipe.model.parameters()).device
    cast = nullcontext() if dtype is None else torch.autocast(device.type, dtype)
    start = wait(device)
    with cast:
        pictures = pipe(PROMPT, num_images_per_prompt=count, seed=0, output_type="pt").images
    return pictures.float().cpu(), wait(device) - start


def sampling_check(name: str, count: int) -> dict[str, Any]:
    "Pictures of a model that ships: as fast as it goes, and the same as on the CPU."
    device = make_accelerator().device
    pipe = load(name)
    draw(pipe, 2)  # kernels are chosen when they are first needed
    pictures, seconds = draw(pipe, count)
    halves, half_seconds = draw(pipe, count, half_type(device))
    here, _ = draw(load(name, "cpu"), 2)
    difference = (pictures[:2] - here).abs()
    found = {
        "device": str(device),
        "pictures a second": count / seconds,
        f"pictures a second, {half_type(device)}": count / half_seconds,
        "mean difference to the CPU": difference.mean().item(),
        "largest difference to the CPU": difference.max().item(),
        f"mean difference to {half_type(device)}": (pictures - halves).abs().mean().item(),
    }
    if not (pictures.isfinite().all() and halves.isfinite().all()):
        raise ValueError("a picture is not finite")
    if found["mean difference to the CPU"] > 0.02:
        raise ValueError(f"the pictures are not those of the CPU: {found}")
    return found


def short_training(preset: str, seconds: float, prompts_per_task: int, run: Path) -> dict[str, Any]:
    "As many steps of shapes-diffusion's first round as fit, data included, and their score on validation prompts."
    config = DIFFUSION_ROUNDS[preset][0]
    precision = "bf16" if half_type(make_accelerator().device) is torch.bfloat16 else "no"
    trial, _ = config.learner(precision=precision)
    trial.fit(3)
    start = wait(trial.device)
    trial.fit(9)
    steps = max(4, min(config.steps, int(seconds / (wait(trial.device) - start) * 6)))
    reading = max(1, int(READING_SHARE * steps))
    short = replace(config, steps=steps - reading, pretrain_steps=reading)
    start = wait(trial.device)
    learner, ema = short.learner(precision=precision, init=short.pretrain())
    learner.fit(short.steps)
    trained = wait(learner.device) - start
    pipe = Pipeline(ema.model, "short")
    pipe.save_pretrained(run / "short", torch.float16)
    return {
        "steps": steps,
        "pictures": steps * config.batch_size,
        "seconds": trained,
        "precision": precision,
        "loss": learner.loss,
        "score on validation prompts": validation_score(pipe, prompts_per_task, EDITION),
        "prompts a task": prompts_per_task,
    }


def checks(tiny: bool, run: Path) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    "Name and call of each part, in order."
    preset, steps, count = ("smoke", 1, 2) if tiny else ("full", STEPS, 64)
    for name, config in rounds(preset).items():
        yield f"training, {name}", lambda config=config: training_check(config, steps)
    for name in models("text-to-image"):
        yield f"drawing, {name}", lambda name=name: sampling_check(name, count)
    seconds, prompts = (0.1, 1) if tiny else (TRAINING_SECONDS, 20)
    yield "short training", lambda: short_training(preset, seconds, prompts, run)


def attempt(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    "What a part found, or why it failed."
    try:
        return call()
    except Exception as error:  # the parts that come after it are worth their minutes all the same
        return {"failed": f"{type(error).__name__}: {error}"}


def machine() -> dict[str, Any]:
    "What the figures depend on."
    device = make_accelerator().device
    is_gpu = device.type == "cuda"
    return {
        "device": str(device),
        "name": torch.cuda.get_device_name() if is_gpu else None,
        "half type": str(half_type(device)),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def main(
    folder: Annotated[Path, typer.Argument(help="of the results")] = Path("runs/gpu_check"),
    tiny: Annotated[bool, typer.Option("--tiny", help="small models and few steps")] = False,
) -> None:
    "Run all parts; exit code 1 where one failed."
    folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"machine": machine(), "parts": {}}
    print(report["machine"])
    for name, call in checks(tiny, folder):
        start = time.perf_counter()
        found = attempt(call) | {"wall seconds": round(time.perf_counter() - start, 1)}
        report["parts"][name] = json_value(found)
        print(f"{name}: {found}")
        write_atomic(folder / "check.json", json_text(report, "the report", indent=1).encode())
    failed = [name for name, found in report["parts"].items() if "failed" in found]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    typer.run(main)
