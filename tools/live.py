"""The widgets as pages without a kernel, each one file: for the docs, and for their pictures.

python tools/live.py DIR       DIR/forward.html and the others
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from nbs import ROOT

sys.path.insert(0, str(ROOT))

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def chromium() -> str | None:  # path
    "The machine's own browser, if it has one."
    return next(filter(None, map(shutil.which, NAMES)), None)


def forward() -> Any:  # a widget
    "Two schedules side by side."
    from t2i_learn.widgets.forward import forward_widget

    return forward_widget(compare="linear")


def plane() -> Any:  # a widget
    "DDPM beside DDIM, with a network that was trained for it."
    from t2i_learn.diffusion.points import point_learner
    from t2i_learn.widgets.plane import plane_widget
    from t2i_learn.world.points import moons

    return plane_widget("moons", point_learner(moons()).fit(1500).model.eval(), shown_step=14)


def reverse() -> Any:  # a widget
    "Two prompts, drawn and recorded."
    from t2i_learn.widgets.reverse import reverse_widget

    return reverse_widget().draw("ab")


def guidance() -> Any:  # a widget
    "A row of scales, drawn and recorded."
    from t2i_learn.widgets.guidance import guidance_widget

    return guidance_widget().draw()


def attention() -> Any:  # a widget
    "The words of a prompt, recorded."
    from t2i_learn.widgets.attention import attention_widget

    return attention_widget().draw()


def gan_lab() -> Any:  # a widget
    "Eight modes found, step by step, recorded."
    from t2i_learn.widgets.gan_lab import gan_lab

    return gan_lab(every=10).play(600)


def stable_forward() -> Any:  # a widget
    "Normal noise beside component-wise stable noise."
    from t2i_learn.widgets.stable_forward import stable_forward_widget

    return stable_forward_widget()


def stable_distribution() -> Any:  # a widget
    "A symmetric law with heavy tails."
    from t2i_learn.widgets.stable_distribution import stable_distribution_widget

    return stable_distribution_widget()


def learned_schedule() -> Any:  # a widget
    "A noise schedule that learns, ends and all, recorded."
    from t2i_learn.widgets.learned_schedule import schedule_lab

    return schedule_lab().train()


def two_stage() -> Any:  # a widget
    "A draft, and what becomes of it from eight levels, recorded."
    from t2i_learn.widgets.two_stage import two_stage_widget

    return two_stage_widget().draw()


def editor() -> Any:  # a widget
    "A circle that gets another colour under a mask, recorded."
    import torch

    from t2i_learn.widgets.editor import edit_widget
    from t2i_learn.world.scenes import render, Scene, Thing

    circle, star = Thing("circle", "red", 0.3, 0.35, 0.18), Thing("star", "blue", 0.7, 0.62, 0.18)
    axis = torch.arange(32) - 9.5
    mask = axis[:, None] ** 2 + axis**2 < 49
    return edit_widget(picture=render(Scene((circle, star))), source_prompt="", mask=mask).draw()


def latent_walk() -> Any:  # a widget
    "A walk in the model that draws in one pass."
    from t2i_learn.widgets.latent_walk import latent_walk

    return latent_walk()


EVERY = (
    forward,
    reverse,
    plane,
    guidance,
    attention,
    gan_lab,
    latent_walk,
    stable_forward,
    stable_distribution,
    learned_schedule,
    two_stage,
    editor,
)
MAKERS: dict[str, Callable[[], Any]] = {f.__name__: f for f in EVERY}


def write(
    folder: Path,  # where they go
    names: Iterable[str] = tuple(MAKERS),  # which of them
) -> dict[str, str]:  # title of each, by name
    "Make widgets, wait for what they draw, and save them as pages."
    titles = {}
    for name in names:
        widget = MAKERS[name]()
        widget.background.wait()
        widget.export_html(folder / f"{name}.html")
        titles[name] = widget.title
        widget.close()
    return titles


def main(folder: Annotated[Path, typer.Argument(help="where the pages go")]) -> None:
    "Write all of them."
    folder.mkdir(parents=True, exist_ok=True)
    for name, title in write(folder).items():
        typer.echo(
            f"{(folder / name).with_suffix('.html').stat().st_size / 1000:6.0f} kB  {name}.html  {title}"
        )


if __name__ == "__main__":
    typer.run(main)
