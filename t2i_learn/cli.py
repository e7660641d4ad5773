"The command `t2i-learn`: draw pictures, list models, score them, open the course."

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from t2i_learn.core.pipeline import PipelineOutput

# torch and all that needs it is imported inside the commands: --help should not take seconds.

app = typer.Typer(
    help="From a caption to a picture.", no_args_is_help=True, add_completion=False,
    rich_markup_mode=None, pretty_exceptions_enable=False,
)

Model = Annotated[str, typer.Option(help="a model that ships (see `t2i-learn models`), or the folder of one")]
Steps = Annotated[int | None, typer.Option(help="steps of the sampler; the model's own if not given")]
Scale = Annotated[float | None, typer.Option(help="how closely to follow the prompt; 1 is off")]
Sampler = Annotated[str | None, typer.Option(help="ddim, dpmpp_2m, heun, ...; a wrong name lists them all; with ten steps or fewer take ddpm, at scale 3")]
Alpha = Annotated[float | None, typer.Option(help="of a model with stable noise: its stability index, above 1; 2 is normal noise")]
RefineFrom = Annotated[float | None, typer.Option(help="of a model with two stages: the level of noise that its draft is refined from")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]


def fail(
    message: str,  # what was wrong and what to do
) -> typer.Exit:  # to be raised
    "Say in one line on standard error what went wrong."
    typer.echo(f"t2i-learn: {' '.join(message.split())}", err=True)
    return typer.Exit(2)


# What the package calls its arguments, and how they are given here.
OPTIONS = {
    'pass overlong="cut"': "add --cut", "num_inference_steps": "--steps", "guidance_scale": "--guidance-scale",
    "num_images_per_prompt": "--num-images", "prompts_per_task": "--prompts-per-task", "refine_from": "--refine-from",
}


@contextmanager
def plain_words() -> Iterator[None]:
    "What a user can cause ends in a line and exit code 2, not in a traceback; a warning is a line, too."
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest, **more: typer.echo(f"t2i-learn: {message}", err=True)
        try:
            yield
        except (ValueError, OSError) as error:
            message = str(error)
            for name, option in OPTIONS.items():
                message = message.replace(name, option)
            raise fail(message) from None


def given(
    **options: Any,  # None: not given
) -> dict[str, Any]:  # those that were
    "Leave out what the user did not ask for, so that the model's own settings hold."
    return {name: value for name, value in options.items() if value is not None}


def check_out(
    out: Path,  # where the picture is to go
) -> None:
    "Turn down a place that cannot be written before anything is computed."
    if out.suffix.lower() != ".png":
        raise ValueError(f"{out} does not end in .png: pictures are PNG files, whose text fields say how they were made")
    if not out.parent.is_dir():
        raise ValueError(f"the folder {out.parent} does not exist: make it first, or choose another --out")
    if out.is_dir():
        raise ValueError(f"{out} is a folder: choose a file name for --out")


def save(
    drawn: PipelineOutput,          # pictures as tensors, and settings
    facts: dict[str, Any],  # what else goes into the text fields
    out: Path,              # file name; of several files, numbers are added
    separate: bool,         # one file each
    zoom: int,              # each pixel becomes zoom by zoom
) -> list[Path]:  # the files
    "Write one sheet of all pictures, or a file for each."
    from t2i_learn.core.pipeline import save_png
    from t2i_learn.core.show import make_image_grid
    several = separate and len(drawn.images) > 1
    groups = [[picture] for picture in drawn.images] if several else [drawn.images]
    files = [out.with_stem(f"{out.stem}-{k}") if several else out for k in range(1, len(groups) + 1)]
    for k, (pictures, file) in enumerate(zip(groups, files, strict=True)):
        number = {"picture": k} if several else {"pictures": len(pictures)}
        save_png(make_image_grid(pictures, scale=zoom), file, facts | drawn.settings | number)
    return files


@app.command()
def generate(
    prompt: Annotated[str, typer.Argument(help="what to draw, such as \"two red hearts on a mint background\"")],
    model: Model = "shapes-diffusion",
    num_images: Annotated[int, typer.Option(help="how many pictures")] = 1,
    steps: Steps = None,
    guidance_scale: Scale = None,
    sampler: Sampler = None,
    seed: Annotated[int | None, typer.Option(help="same seed, same pictures; a new one if not given")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="what to keep away from")] = None,
    alpha: Alpha = None,
    refine_from: RefineFrom = None,
    out: Annotated[Path, typer.Option(help="a .png file; an old one is replaced")] = Path("picture.png"),
    separate: Annotated[bool, typer.Option("--separate", help="one file each: picture-1.png, picture-2.png, ...")] = False,
    zoom: Annotated[int, typer.Option(help="how often each pixel is repeated, across and down")] = 8,
    cut: Annotated[bool, typer.Option("--cut", help="read only the beginning of a prompt that is too long")] = False,
) -> None:
    "Draw pictures of a prompt."
    with plain_words():
        check_out(out)
        from t2i_learn.core.pipeline import expand_prompts, load, check_integer
        expand_prompts(prompt, num_images)  # before the model is loaded
        check_integer(zoom, "--zoom", 1)
        drawn = load(model)(
            prompt, negative_prompt=negative_prompt, num_images_per_prompt=num_images, num_inference_steps=steps,
            guidance_scale=guidance_scale, sampler=sampler, seed=seed, alpha=alpha, refine_from=refine_from, output_type="pt",
            overlong="cut" if cut else "error")
        facts = {"prompt": prompt, "negative_prompt": negative_prompt or "", "model": model}
        files = save(drawn, facts, out, separate, zoom)
    for file in files:
        typer.echo(f"{file} (seed {drawn.settings['seed']})")


def mean_of(
    scores: dict[str, Any],  # {seen: {..., mean}, held_out: {a: {..., mean}, ...}}; may be empty
    split: str,              # seen, or a to f
) -> str:  # e.g. 0.93
    "The mean of a split, for a table."
    row = scores.get(split) or scores.get("held_out", {}).get(split)
    return f"{row['mean']:.2f}" if row else "-"


@app.command()
def models(
    as_json: AsJson = False,
) -> None:
    "List the models that ship, with their scores on seen prompts and on the held-out ones, a to f."
    with plain_words():
        from t2i_learn.core import pipeline
        found = pipeline.models()
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    splits = ("seen", *"abcdef")
    typer.echo(f"{'model':<20}{'kind':<26}{'pixels':>6}{'MB':>6}  " + "".join(f"{split:>6}" for split in splits))
    for name, facts in found.items():
        means = "".join(f"{mean_of(facts.get('scores', {}), split):>6}" for split in splits)
        typer.echo(f"{name:<20}{facts['kind']:<26}{facts['side']!s:>6}{facts['megabytes']:>6}  {means}")


def score_lines(
    report: dict[str, Any],  # from `evaluate`
) -> Iterator[str]:
    "A score as text: a line for each task of each split."
    yield f"{report['model']}, {report['steps']} step{'s' * (report['steps'] > 1)}, at most {report['prompts_per_task']} prompts a task"
    yield f"{'split':<6}{'task':<13}{'score':>6}{'± s.e.':>9}{'chance':>8}"
    errors, chance = report["standard_error"], report["chance"].get("shuffled", {})
    for split, tasks in [("seen", report["seen"]), *report["held_out"].items()]:
        error, by_chance = (table["seen"] if split == "seen" else table["held_out"][split] for table in (errors, chance))
        for task, rate in tasks.items():
            yield f"{split:<6}{task:<13}{rate:>6.2f}{error[task]:>9.3f}{by_chance[task]:>8.2f}"


@app.command()
def evaluate(
    model: Model = "shapes-diffusion",
    prompts_per_task: Annotated[int, typer.Option(help="at most so many prompts of each task, one picture a prompt")] = 100,
    steps: Steps = None,
    guidance_scale: Scale = None,
    sampler: Sampler = None,
    alpha: Alpha = None,
    refine_from: RefineFrom = None,
    seed: Annotated[int, typer.Option(help="of the noise")] = 0,
    as_json: AsJson = False,
) -> None:
    "Score a model: draw the fixed prompts, read the pictures back, count which clauses hold."
    with plain_words():
        from t2i_learn.core import pipeline
        settings = given(num_inference_steps=steps, guidance_scale=guidance_scale, sampler=sampler, alpha=alpha, refine_from=refine_from)
        report = pipeline.evaluate(
            pipeline.load(model), prompts_per_task, seed=seed, progress=sys.stderr.isatty(), **settings)
    typer.echo(json.dumps(report, indent=2) if as_json else "\n".join(score_lines(report)))


def lab_command(
    more: list[str],  # options for JupyterLab, such as --port=9999 or --no-browser
) -> list[str]:  # program and arguments; ValueError if the course or JupyterLab is not there
    "How to start JupyterLab on the course: for this machine only, and with its token."
    from importlib.util import find_spec
    course = Path(__file__).resolve().parent.parent / "nbs"
    if not (course / "index.ipynb").is_file():
        raise ValueError("the course's notebooks are not part of the installed package: clone the project's repository, "
                         "then `make lab` in its folder")
    if find_spec("jupyterlab") is None:
        raise ValueError("JupyterLab is not installed: pip install 't2i_learn[lab]'")
    return [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", *more, str(course / "index.ipynb")]


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
) -> None:
    "Open the course in JupyterLab; its own options, such as --no-browser, may follow."
    import subprocess
    with plain_words():
        command = lab_command(context.args)
    raise typer.Exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    app()
