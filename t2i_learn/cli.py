"The command `t2i-learn`: draw and describe pictures, list models, score them, train them, open the course."

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from t2i_learn.core.pipeline import PipelineOutput
    from t2i_learn.core.settings import SampleRequest

# torch and all that needs it is imported inside the commands, after their arguments are checked: --help, and an error,
# should not take seconds.

app = typer.Typer(
    help="From a caption to a picture.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Model = Annotated[
    str, typer.Option(help="a model that ships (see `t2i-learn models`), or the folder of one")
]
Steps = Annotated[int | None, typer.Option(help="steps of the sampler; the model's own if not given")]
Scale = Annotated[float | None, typer.Option(help="how closely to follow the prompt; 1 is off")]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="ddim, dpmpp_2m, heun, ...; a wrong name lists them all; with ten steps or fewer take ddpm, at scale 3"
    ),
]
More = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="a setting that only this model's family has; may be repeated, a wrong name lists them all",
    ),
]
Column = Annotated[str | None, typer.Option(help="of a table; a usual name if not given")]
Template = Annotated[str, typer.Option(help="a caption from the name of a class")]
Split = Annotated[str, typer.Option(help="of a data set that has several")]
Fit = Annotated[str, typer.Option(help="how pictures get their size: crop, pad or stretch")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
MAX_ZOOM = 64


def say(
    text: str,
    *,
    err: bool = False,  # on standard error
) -> None:
    "Print a line; what a terminal's encoding cannot show is escaped instead of being an error."
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    typer.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


def one_line(
    text: str,  # perhaps with a name from a user or a file
) -> str:  # what a terminal could act on is an escape
    "Text that can be printed whatever it holds."
    from t2i_learn.core.files import printable

    return printable(text, 5000)


def warn(
    message: Any,  # a text, or a warning
    *_: Any,  # what else Python says of a warning
) -> None:
    "Say in one line on standard error what to know."
    say(f"t2i-learn: {one_line(' '.join(str(message).split()))}", err=True)


def fail(
    message: str,  # what was wrong and what to do
) -> typer.Exit:  # to be raised
    "Say in one line on standard error what went wrong."
    warn(message)
    return typer.Exit(2)


# What the package calls its arguments, and how they are given here.
OPTIONS = {
    "pass truncation=True": "add --truncate",
    "num_inference_steps": "--steps",
    "guidance_scale": "--guidance-scale",
    "num_images_per_prompt": "--num-images",
    "prompts_per_task": "--prompts-per-task",
    "negative_prompt": "--negative-prompt",
    "a smaller scale": "a smaller --zoom",
}


@contextmanager
def plain_words() -> Iterator[None]:
    "What a user can cause ends in a line and exit code 2, not in a traceback; a warning is a line, too."
    with warnings.catch_warnings():
        warnings.showwarning = warn
        try:
            yield
        except (ValueError, OSError) as error:
            message = str(error)
            for name, option in OPTIONS.items():
                message = message.replace(name, option)
            raise fail(message) from None
        except KeyboardInterrupt:
            raise fail("stopped") from None


def show_version(
    wanted: bool,
) -> None:
    "Print the version and leave."
    if wanted:
        from t2i_learn import __version__

        say(f"t2i-learn {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="print the version and leave"
        ),
    ] = False,
) -> None:
    "From a caption to a picture."
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
        os.environ["OMP_WAIT_POLICY"] = (
            "PASSIVE"  # threads that wait should not keep other programs from their cores
        )


def chosen_settings(
    config: dict[str, Any],  # of the model
    more: list[str] | None,  # NAME=VALUE of each --set
    **options: Any,  # None: not given
) -> dict[str, Any]:  # by name; of --set as text
    "What the user asked for; what was not given is left to the model's own settings."
    from t2i_learn.core.settings import family_of

    settings = {name: value for name, value in options.items() if value is not None}
    for pair in more or []:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ValueError(f"--set takes NAME=VALUE, not {pair!r}")
        if name in settings:
            raise ValueError(f"{name} is given twice")
        settings[name] = value
    # A name such as seed would go to the call, past the option of that name.
    family_of(config).settings_class().check_names(settings)
    return settings


def read_prompts(
    prompts: list[str],  # from the command line
    file: Path | None,  # a text file with one prompt a line
) -> list[str]:  # at least one
    "All prompts of a call; ValueError if there is none."
    from t2i_learn.core.files import read_text

    lines = [] if file is None else [line.strip() for line in read_text(file).splitlines()]
    found = [*prompts, *(line for line in lines if line)]
    if not found:
        raise ValueError("say what to draw: give a prompt, or --prompts-file with one a line")
    return found


def check_sheets(
    config: dict[str, Any],  # of the model
    request: SampleRequest,
    files: int,  # how many the pictures go to
    zoom: int,  # each pixel becomes zoom by zoom
) -> None:
    "Turn down sheets that no memory holds before anything is drawn."
    from t2i_learn.core.show import sheet_size

    given = request.settings.as_dict()
    side = config.get("side")
    own = dict(zip(("height", "width"), side if isinstance(side, list) else [side, side]))
    size = [given.get(name, own.get(name)) for name in ("width", "height")]
    width, height = (side if isinstance(side, int) else 1 for side in size)
    sheet_size(len(request.prompts) // files, (width, height), scale=zoom)


def output_files(
    out: Path,  # file name; of several files, numbers are added
    count: int,  # how many there will be
    overwrite: bool,
) -> list[Path]:
    "Where pictures are to go; a place that cannot be written is turned down before anything is computed."
    if out.suffix.lower() not in PICTURES:
        raise ValueError(f"{out} does not end in {', '.join(PICTURES)}: choose one of these for --out")
    files = [out] if count == 1 else [out.with_stem(f"{out.stem}-{k}") for k in range(1, count + 1)]
    for file in files:
        if file.is_dir():
            raise ValueError(f"{file} is a folder: choose a file name for --out")
        if file.exists() and not overwrite:
            raise ValueError(
                f"{file} is there already: choose another --out, or give --overwrite to replace it"
            )
    out.parent.mkdir(parents=True, exist_ok=True)
    return files


def step_bar(
    request: SampleRequest,
) -> Any:  # a callback for a pipeline; None where nobody would see a bar
    "Progress with the time that is left, on a terminal."
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    steps = request.settings.as_dict().get("num_inference_steps", 1)
    bar = tqdm(total=steps * sum(1 for _ in request.parts()), unit="step", leave=False)
    return lambda pipe, step, state: bar.update()


def save_pictures(
    drawn: PipelineOutput,  # pictures that say how they were made
    files: list[Path],
    zoom: int,  # each pixel becomes zoom by zoom
) -> None:
    "Write the pictures, as many to a file as there are files to go round."
    from t2i_learn.core.files import save_image
    from t2i_learn.core.show import make_image_grid

    size = len(drawn.images) // len(files)
    for k, file in enumerate(files):
        group = drawn.images[k * size : (k + 1) * size]
        facts = group[0].info | ({"pictures": str(len(group))} if len(group) > 1 else {})
        save_image(make_image_grid(group, scale=zoom), file, facts)


@app.command()
def generate(
    prompts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PROMPT...",
            help='what to draw, such as "two red hearts on a mint background"; several are drawn one by one',
        ),
    ] = None,
    model: Model = "shapes-diffusion",
    num_images: Annotated[int, typer.Option(help="how many pictures of each prompt")] = 1,
    steps: Steps = None,
    guidance_scale: Scale = None,
    sampler: Sampler = None,
    more: More = None,
    height: Annotated[
        int | None, typer.Option(help="of the picture in pixels, where a model can")
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="of the picture in pixels, where a model can")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="same seed, same pictures; a new one if not given")
    ] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="what to keep away from")] = None,
    prompts_file: Annotated[
        Path | None, typer.Option(help="a text file with a prompt in each line")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="a .png, .jpg or .webp file; folders on the way are made")
    ] = Path("picture.png"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace a file that is there already")
    ] = False,
    separate: Annotated[
        bool, typer.Option("--separate", help="one file each: picture-1.png, picture-2.png, ...")
    ] = False,
    zoom: Annotated[int, typer.Option(help="how often each pixel is repeated, across and down")] = 8,
    truncate: Annotated[
        bool, typer.Option("--truncate", help="read only the beginning of a prompt that is too long")
    ] = False,
) -> None:
    "Draw pictures of a prompt."
    with plain_words():
        from t2i_learn.core.settings import check_integer, make_request, model_folder, read_config

        check_integer(zoom, "--zoom", 1, MAX_ZOOM)
        texts = read_prompts(prompts or [], prompts_file)
        config = read_config(model_folder(model))
        call: dict[str, Any] = chosen_settings(
            config,
            more,
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            sampler=sampler,
            height=height,
            width=width,
        )
        call |= {
            "negative_prompt": negative_prompt,
            "num_images_per_prompt": num_images,
            "seed": seed,
            "truncation": truncate,
        }
        request = make_request(config, texts, **call)  # checked before torch is imported
        count = len(request.prompts) if separate else len(texts)
        check_sheets(config, request, count, zoom)
        files = output_files(out, count, overwrite)
        from t2i_learn.core.pipeline import load

        pipe = load(model)
        call["seed"] = request.seed  # the one that was picked, where none was given
        drawn = pipe(texts, callback_on_step_end=step_bar(request), **call)
        save_pictures(drawn, files, zoom)
        for file in files:
            say(one_line(f"{file} (seed {request.seed})"))


def caption_line(
    file: Path,  # of a picture
    found: Any,  # its `Description`
) -> str:
    "A caption with how sure the model is, for a terminal."
    doubt = "; not sure: the picture may show another world" if found.confidence < 0.5 else ""
    return f"{file}: {found.caption} (confidence {found.confidence:.2f}{doubt})"


@app.command()
def describe(
    pictures: Annotated[
        list[Path],
        typer.Argument(
            metavar="PICTURE...",
            help="PNG, JPEG, WebP, ... of any size; several are described one by one",
        ),
    ],
    model: Model = "shapes-captioner",
    style: Annotated[
        str | None, typer.Option(help="short: colours, shapes and numbers; full: all that is seen")
    ] = None,
    more: More = None,
    seed: Annotated[
        int | None, typer.Option(help="of words that are drawn, where temperature is above 0")
    ] = None,
    as_json: AsJson = False,
) -> None:
    "Describe pictures in words, and say how sure the model is."
    with plain_words():
        from t2i_learn.core.settings import family_of, model_folder, read_config

        config = read_config(model_folder(model))
        family = family_of(config)
        if family.kind != "image-to-text":
            raise ValueError(f"{model} is a model of kind {family.kind}: it does not describe pictures")
        settings = chosen_settings(config, more, style=style)
        family.settings_class().check(config["sampling"], settings)  # checked before torch is imported
        from t2i_learn.core.pipeline import load

        pipe: Any = load(model)  # of the family's own class, which describes
        found = pipe.describe(pictures, seed=seed, **settings)
        if as_json:
            facts = [{"file": str(file), **vars(one)} for file, one in zip(pictures, found)]
            say(json.dumps(facts, indent=2, ensure_ascii=False))
            return
        for file, one in zip(pictures, found):
            say(one_line(caption_line(file, one)))


def check_original(
    original: Path,  # that is only read
    files: list[Path],  # that are to be written
    what: str = "the picture that is edited",
) -> None:
    "Turn down an edit that would be written over what it reads, --overwrite or not."
    if any(file.exists() and file.samefile(original) for file in files if original.exists()):
        raise ValueError(f"{original} is {what}: choose another --out")


@app.command()
def edit(
    picture: Annotated[Path, typer.Argument(help="a .png, .jpg or .webp file; it is only read")],
    prompt: Annotated[
        str | None,
        typer.Argument(help="what the whole picture should show; left out: variations of the picture"),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="a picture of the same size, white where this one may change")
    ] = None,
    strength: Annotated[
        float | None, typer.Option(help="share of the steps that are taken, above 0 to 1")
    ] = None,
    source_prompt: Annotated[
        str | None, typer.Option(help="what the picture shows, where it does not carry its prompt")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="exact, which is the usual one, maps, sdedit, words, diffedit or ledits; not with a mask"
        ),
    ] = None,
    model: Model = "shapes-diffusion",
    num_images: Annotated[int, typer.Option(help="how many pictures")] = 1,
    steps: Steps = None,
    guidance_scale: Scale = None,
    sampler: Sampler = None,
    more: More = None,
    seed: Annotated[
        int | None, typer.Option(help="same seed, same pictures; a new one if not given")
    ] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="what to keep away from")] = None,
    out: Annotated[
        Path, typer.Option(help="a .png, .jpg or .webp file; folders on the way are made")
    ] = Path("edited.png"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace a file that is there already")
    ] = False,
    zoom: Annotated[int, typer.Option(help="how often each pixel is repeated, across and down")] = 8,
) -> None:
    "Change what a picture shows: its prompt, what a mask covers, or nothing in particular."
    with plain_words():
        from t2i_learn.core.settings import check_integer, make_request, model_folder, read_config

        check_integer(zoom, "--zoom", 1, MAX_ZOOM)
        if mask is not None and (method or source_prompt):
            raise ValueError("--method and --source-prompt are for edits without a mask: leave them out")
        if prompt is None and (mask is not None or method):
            raise ValueError("say what the picture should show: give a prompt")
        config = read_config(model_folder(model))
        call: dict[str, Any] = chosen_settings(
            config,
            more,
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            sampler=sampler,
        )
        call |= {"negative_prompt": negative_prompt, "num_images_per_prompt": num_images}
        request = make_request(
            config, prompt or "a", seed=seed, **call
        )  # checked before torch is imported
        check_sheets(config, request, 1, zoom)
        files = output_files(out, 1, overwrite)
        check_original(picture, files)
        if mask is not None:
            check_original(mask, files, "the mask of this edit")
        from t2i_learn.core.pipeline import load

        pipe = load(model)
        call["seed"] = request.seed  # the one that was picked, where none was given
        given = {"strength": strength, "source_prompt": source_prompt, "method": method}
        call |= {name: value for name, value in given.items() if value is not None}
        if mask is not None:
            changed = pipe.inpaint(picture, mask, prompt or "", **call)
        elif prompt is not None:
            changed = pipe.edit(picture, prompt, **call)
        else:
            changed = pipe.vary(picture, call.pop("source_prompt", None), **call)
        save_pictures(changed, files, zoom)
        say(one_line(f"{files[0]} ({changed.settings['edit']}, seed {changed.settings['seed']})"))


def format_mean(
    scores: dict[str, Any],  # {seen: {..., mean}, held_out: {a: {..., mean}, ...}}; may be empty
    split: str,  # seen, or a to f
) -> str:  # e.g. 0.93
    "The mean of a split, for a table."
    row = scores.get(split) or scores.get("held_out", {}).get(split)
    return f"{row['mean']:.2f}" if row else "-"


def size_text(
    side: Any,  # of a configuration: pixels, or height and width
) -> str:
    "A size for a table."
    return f"{side[1]}×{side[0]}" if isinstance(side, list) and len(side) == 2 else str(side)


@app.command()
def models(
    kind: Annotated[
        str | None,
        typer.Option(help="only models of this kind: text-to-image, image-to-text or image-text-score"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    "List the models that ship, with their scores on seen prompts and on those that training left out."
    with plain_words():
        from t2i_learn.core import pipeline

        found = pipeline.models(kind)
        if as_json:
            say(json.dumps(found, indent=2, ensure_ascii=False))
            return
        scores = [facts.get("scores", {}) for facts in found.values()]
        splits = list(
            dict.fromkeys(["seen", *(split for own in scores for split in own.get("held_out", {}))])
        )
        say(
            f"{'model':<20}{'family':<14}{'kind':<18}{'pixels':>6}{'MB':>6}  "
            + "".join(f"{split:>8}" for split in splits)
        )
        for name, facts in found.items():
            means = "".join(f"{format_mean(facts.get('scores', {}), split):>8}" for split in splits)
            say(
                f"{name:<20}{facts['family']:<14}{facts['kind']:<18}{size_text(facts['side']):>6}{facts['megabytes']:>6}  {means}"
            )
        editions = {str(own.get("edition", 1)) for own in scores if own}
        if editions:
            say(
                f"Means over tasks on edition {' and '.join(sorted(editions))} of the test; --json adds their 95 % intervals."
            )


def clause_lines(
    clauses: dict[str, dict[str, Any]],  # of a report: number of clauses -> column -> rate
) -> Iterator[str]:
    "Scores by the number of clauses, a line for each."
    if clauses:
        columns = [*next(iter(clauses.values()))]
        yield "clauses".ljust(9) + "".join(f"{column:>19}" for column in columns)
        for number, row in clauses.items():
            yield f"{number:<9}" + "".join(f"{row[column]['rate']:>19.2f}" for column in columns)


def score_lines(
    report: dict[str, Any],  # from `full_report`
) -> Iterator[str]:
    "A score as text: a line for each task of each split."
    steps = report["steps"] or 1  # a model that draws in one pass has none
    calls = (
        ""
        if report.get("calls") is None
        else f", {report['calls']} network evaluation{'s' * (report['calls'] != 1)} a picture"
    )
    yield f"{report['model']}, {steps} step{'s' * (steps > 1)}{calls}, at most {report['prompts_per_task']} prompts a task, edition {report['edition']} of the prompts"
    yield f"{'split':<9}{'task':<13}{'score':>6}{'95 % interval':>16}{'chance':>8}"
    intervals, chance = report["interval"], report["chance"].get("shuffled", {})
    for split, tasks in [("seen", report["seen"]), *report["held_out"].items()]:
        interval, by_chance = (
            table["seen"] if split == "seen" else table["held_out"][split]
            for table in (intervals, chance)
        )
        for task, rate in tasks.items():
            between = "{:.2f} to {:.2f}".format(*interval[task])
            yield f"{split:<9}{task:<13}{rate:>6.2f}{between:>16}{by_chance[task]:>8.2f}"
    for split, rows in report.get("combinations", {}).items():
        for name, row in rows.items():
            between = "{:.2f} to {:.2f}".format(*row["interval"])
            yield f"{split:<9}{name:<33}{row['rate']:>6.2f}{between:>16}"
    yield from clause_lines(report.get("clauses", {}))
    for name, row in report.get("notes", {}).items():
        yield f"note on unknown words: {name} {row['rate']:.3f} of {row['n']} prompts"


def check_sheet(
    sheet: Path,  # where the pictures that are most like training pictures go
) -> None:
    "Insist on a .png file that is new, or that an earlier evaluation wrote."
    from t2i_learn.core.files import read_image_facts
    from t2i_learn.pictures.measures import SHEET_FACTS

    if sheet.suffix.lower() != ".png":
        raise ValueError(f"{sheet} does not end in .png: choose such a name for --sheet")
    facts: dict[str, str] = {}
    with suppress(ValueError):  # it is no picture
        facts = read_image_facts(sheet)
    if sheet.exists() and not SHEET_FACTS.items() <= facts.items():
        raise ValueError(f"{sheet} is there already, and it is no sheet: choose another --sheet")
    sheet.parent.mkdir(parents=True, exist_ok=True)


def check_unused(
    context: typer.Context,  # of a call
    names: tuple[str, ...],  # of parameters that this call has no use for
    reason: str,  # why not
) -> None:
    "Turn down an option that would be ignored."
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ValueError(f"--{name.replace('_', '-')} is {reason}: leave it out")


WITH_DATA = (  # options of `evaluate` that mean nothing without --data
    *("count", "features", "sheet", "picture_column", "caption_column", "template", "split", "fit"),
)
WITHOUT_DATA = ("shapes", "prompts_per_task", "test", "edition")  # and those that mean nothing with it


def evaluate_data(
    source: str,  # of captioned pictures
    model: str,
    count: int,  # pictures to draw, at most
    features: str | None,
    sheet: Path | None,  # a .png file for the pictures that are most like training pictures
    seed: int,  # of the noise
    as_json: bool,
    options: dict[
        str, Any
    ],  # of `CaptionedPictures`: columns of a table, how pictures get their size, ...
    settings: dict[str, Any],  # of the model's family
) -> None:
    "Compare what a model draws with held-out pictures of its data."
    from tqdm import tqdm

    from t2i_learn.core.pipeline import load, read_card
    from t2i_learn.core.settings import model_folder
    from t2i_learn.pictures.measures import evaluate_on_data, measure_lines, open_features
    from t2i_learn.pictures.training import open_data

    if sheet is not None:
        check_sheet(sheet)
    network = open_features(features)
    pipe = load(model)
    data, held_out = open_data(source, tokenizer=pipe.model.tokenizer, **options)
    if held_out is None:
        raise ValueError(f"{source} has too few pictures to hold some out: it takes 40 or more")
    trained_on = read_card(model_folder(model)).get("data", {}).get("fingerprint")
    if trained_on not in (None, data.fingerprint):
        warn(
            f"{model} was trained on other data than {source}: what is held out here may be known to it"
        )
    bar = (lambda parts: tqdm(parts, leave=False)) if sys.stderr.isatty() else iter
    report = evaluate_on_data(
        pipe, data, held_out, count, network, sheet, seed=seed, progress=bar, **settings
    )
    lines = map(one_line, measure_lines(report))
    say(json.dumps(report, indent=2) if as_json else "\n".join(lines))


def saw_shapes(
    config: dict[str, Any],  # of a model
    card: dict[str, Any],  # of its card
) -> bool:
    "Whether a model was trained on scenes of shapes, as far as its folder says."
    from t2i_learn.world.scenes import COLORS, SHAPES

    words = config.get("words")
    return not card.get("data") and (words is None or {*SHAPES, *COLORS} <= {*words})


def evaluate_shapes(
    model: str,
    prompts_per_task: int,
    edition: int,  # of the prompts
    validation: bool,  # the prompts that settings are chosen on; False: the test
    seed: int,  # of the noise
    as_json: bool,
    settings: dict[str, Any],  # of the model's family
) -> None:
    "Score a model on fixed prompts for shapes, whose pictures are read back."
    from t2i_learn.core.pipeline import load
    from t2i_learn.world import score
    from t2i_learn.world.comparisons import full_report

    pipe, sets = load(model), score.sets_of_edition(edition, validation)
    if not as_json:
        count, seconds = score.evaluation_cost(pipe, prompts_per_task, sets, edition=edition, **settings)
        say(f"{count} pictures, about {max(1, round(seconds / 60))} minutes", err=True)
    report = full_report(
        pipe,
        prompts_per_task,
        edition=edition,
        validation=validation,
        seed=seed,
        progress=sys.stderr.isatty(),
        **settings,
    )
    lines = map(one_line, score_lines(report))
    say(json.dumps(report, indent=2) if as_json else "\n".join(lines))


@app.command()
def evaluate(
    context: typer.Context,
    model: Model = "shapes-diffusion",
    data: Annotated[
        str | None,
        typer.Option(help="captioned pictures, as for `train`: compare with some that are held out"),
    ] = None,
    count: Annotated[int, typer.Option(help="with --data: pictures to draw, at most")] = 200,
    features: Annotated[
        str | None, typer.Option(help="with --data: imagenet or random; imagenet if it is installed")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(help="with --data: a .png file, drawn pictures above the most similar ones"),
    ] = None,
    picture_column: Column = None,
    caption_column: Column = None,
    template: Template = "{label}",
    split: Split = "train",
    fit: Fit = "crop",
    shapes: Annotated[
        bool, typer.Option("--shapes", help="ask for shapes also where training had other pictures")
    ] = False,
    prompts_per_task: Annotated[
        int, typer.Option(help="at most so many prompts of each task, one picture a prompt")
    ] = 100,
    test: Annotated[
        bool,
        typer.Option(
            "--test",
            help="the test prompts and those that training left out, instead of the validation prompts",
        ),
    ] = False,
    edition: Annotated[
        int, typer.Option(help="of the prompts; data/make_prompts.py makes those after 1")
    ] = 1,
    steps: Steps = None,
    guidance_scale: Scale = None,
    sampler: Sampler = None,
    more: More = None,
    seed: Annotated[int, typer.Option(help="of the noise")] = 0,
    as_json: AsJson = False,
) -> None:
    "Score a model on fixed prompts for shapes, whose pictures are read back; or, with --data, beside real pictures."
    with plain_words():
        from t2i_learn.core.settings import check_integer, make_request, model_folder, read_config

        check_integer(prompts_per_task, "--prompts-per-task", 1, 10**6)
        check_integer(edition, "--edition", 1, 10**6)
        if data is None:
            check_unused(context, WITH_DATA, "for an evaluation with --data")
        else:
            check_unused(
                context, WITHOUT_DATA, "for prompts for shapes, not for an evaluation with --data"
            )
        config = read_config(model_folder(model))
        settings = chosen_settings(
            config, more, num_inference_steps=steps, guidance_scale=guidance_scale, sampler=sampler
        )
        make_request(config, "a", seed=seed, **settings)  # checked before torch is imported
        if data is not None:
            check_integer(count, "--count", 8, 10**5)
            options = {
                "picture_column": picture_column,
                "caption_column": caption_column,
                "template": template,
                "split": split,
                "fit": fit,
            }
            evaluate_data(data, model, count, features, sheet, seed, as_json, options, settings)
            return
        from t2i_learn.core.pipeline import read_card

        if not shapes and not saw_shapes(config, read_card(model_folder(model))):
            raise ValueError(
                f"{model} was not trained on scenes of shapes: score it on its own pictures with --data, or give "
                "--shapes to ask it for shapes all the same"
            )
        evaluate_shapes(model, prompts_per_task, edition, not test, seed, as_json, settings)


def parse_size(
    text: str,  # of --size
) -> int | list[int]:  # pixels of a side; or height and width
    "A size as someone types it."
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) > 2 or not all(part.strip().isdecimal() for part in parts):
        raise ValueError(f"--size is a number of pixels, or WIDTHxHEIGHT, not {text!r}")
    sides = [int(part) for part in reversed(parts)]
    return sides if len(sides) == 2 else sides[0]


@app.command()
def train(
    data: Annotated[
        str,
        typer.Option(
            help="a folder of captioned pictures, a .parquet file, a data set of the hub by name, or emoji"
        ),
    ],
    out: Annotated[Path, typer.Option(help="the folder of the new model")],
    size: Annotated[str, typer.Option(help="pixels of a side, or WIDTHxHEIGHT")] = "64",
    preset: Annotated[
        str | None, typer.Option(help="how much it may cost: smoke (a trial), cpu (minutes) or full")
    ] = None,
    init: Annotated[
        str | None, typer.Option(help="a model to begin with, such as shapes-diffusion")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="the family of the new model: diffusion or dit")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="steps of training; by the preset if not given")
    ] = None,
    patience: Annotated[
        int, typer.Option(help="checks of held-out pictures without a gain until it stops; 0: never")
    ] = 6,
    seed: Annotated[int, typer.Option(help="of the first weights, the order and the noise")] = 0,
    picture_column: Column = None,
    caption_column: Column = None,
    template: Template = "{label}",
    split: Split = "train",
    fit: Fit = "crop",
    licence: Annotated[str, typer.Option("--license", help="of the data, for the model's card")] = "",
    stream: Annotated[
        bool, typer.Option("--stream", help="read the data while the model trains: for very large sets")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace a model that is there already")
    ] = False,
) -> None:
    "Train a model on captioned pictures; the same call goes on where it was interrupted."
    with plain_words():
        from t2i_learn.core.settings import check_integer

        sides = parse_size(size)
        check_integer(patience, "--patience", 0, 1000)
        check_integer(seed, "--seed", 0, 2**63 - 1)
        if steps is not None:
            check_integer(steps, "--steps", 1, 10**8)
        from t2i_learn.core.learner import make_accelerator
        from t2i_learn.pictures.training import check_out, plan_training, train_model

        check_out(out, overwrite)
        plan = plan_training(
            data,
            sides,
            preset,
            model,
            init,
            steps,
            seed,
            licence,
            stream,
            picture_column=picture_column,
            caption_column=caption_column,
            template=template,
            split=split,
            fit=fit,
        )
        call = ["t2i-learn", "generate", plan.data.captions[0], "--model", str(out)]
        is_main = make_accelerator().is_main_process  # the one of several that speaks
        tell = (lambda text: say(one_line(text))) if is_main else (lambda text: None)
        for line in (*plan.data.report.lines(), *plan.lines()):
            tell(line)
        train_model(plan, out, patience=patience, overwrite=overwrite, say=tell)
        tell(f"{out} is a model: {shlex.join(call)}")


def course_folder() -> Path:  # nbs/ of this clone; ValueError if there is none
    "Where the notebooks of the course are."
    course = Path(__file__).resolve().parent.parent / "nbs"
    if not (course / "index.ipynb").is_file():
        raise ValueError(
            "the course's notebooks are not part of the installed package: clone the project's repository, "
            "then `make lab` in its folder"
        )
    return course


def copy_course(
    course: Path,  # nbs/
    copy: Path,  # beside it, so that links which leave the folder hold in the copy too
) -> tuple[int, int]:  # pages that were copied, pages that were there
    "Copy the course; a file that is there stays as it is."
    from t2i_learn.core.files import write_atomic

    copied, there = 0, 0
    for source in sorted(course.rglob("[!._]*.*")):
        path = source.relative_to(course)
        if not source.is_file() or any(part.startswith(".") for part in path.parts):
            continue
        is_new = not (copy / path).exists()
        if is_new:
            write_atomic(copy / path, source.read_bytes())
        copied += is_new and path.suffix == ".ipynb"
        there += not is_new and path.suffix == ".ipynb"
    return copied, there


def lab_command(
    more: list[str],  # options for JupyterLab, such as --port=9999 or --no-browser
    course: Path,  # the folder to open
) -> list[str]:  # program and arguments; ValueError if JupyterLab is not there
    "How to start JupyterLab on the course: for this machine only, and with its token."
    from importlib.util import find_spec

    if find_spec("jupyterlab") is None:
        raise ValueError("JupyterLab is not installed: pip install 't2i_learn[lab]'")
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        "--ServerApp.ip=127.0.0.1",
        "--LabApp.default_url=/lab/tree/index.ipynb",  # the printed address opens the course, too
        *more,
        str(course / "index.ipynb"),
    ]


def lab_environment() -> dict[str, str]:
    "The environment for JupyterLab: a folder of settings more, in which it does not ask whether it may send news."
    settings = str(Path(__file__).resolve().parent / "jupyter")
    given = os.environ.get("JUPYTER_CONFIG_PATH")
    return {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, [settings, given]))}


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
    work: Annotated[
        bool,
        typer.Option(
            "--work", help="open a copy of the course, in the folder work/; pages that are there stay"
        ),
    ] = False,
) -> None:
    "Open the course in JupyterLab; its own options, such as --no-browser, may follow."
    import subprocess

    with plain_words():
        course = course_folder()
        folder = course.parent / "work" if work else course
        command = lab_command(context.args, folder)
        if work:
            copied, there = copy_course(course, folder)
            say(
                f"work/: {copied} of {copied + there} pages copied, those that were there stay as they are; "
                "for a fresh copy of a page, delete it in work/ and start again"
            )
    # Ctrl-C goes to JupyterLab too, which asks before it ends its kernels; SIG_IGN would be passed on to it.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        raise typer.Exit(subprocess.Popen(command, env=lab_environment()).wait())
    finally:
        signal.signal(signal.SIGINT, before)


def run() -> None:
    "The program: a pipe that was closed early, or a full disk behind standard output, is no traceback."
    try:
        app()
    except BrokenPipeError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        raise SystemExit(f"t2i-learn: {error}") from None


if __name__ == "__main__":
    run()
