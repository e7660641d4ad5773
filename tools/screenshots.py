"""Pictures of the widgets, light and dark, for the docs: nbs/images/widgets/<name>-<light or dark>.png.

python tools/screenshots.py                 all of them
python tools/screenshots.py forward plane   some

It needs Chromium, as the tests of the widgets do. Look at what it makes before committing it.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Annotated

import live
import typer
from nbs import ROOT
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from t2i_learn.core.files import write_atomic
from t2i_learn.core.show import png_bytes

TARGET = ROOT / "nbs" / "images" / "widgets"
WIDTH = 1010  # pixels: room for a widget's widest row


def shot(
    browser: Browser,
    page_file: Path,  # an exported page
    scheme: str,  # light or dark
) -> Image.Image:
    "What a reader sees of the widget, in few colours."
    context = browser.new_context(color_scheme=scheme, viewport={"width": WIDTH, "height": 700})  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.wait_for_selector("section.t2i canvas, section.t2i svg")
    # Recordings are replayed by timers, pictures are drawn before a frame: wait for both.
    page.evaluate(
        "() => new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 500))"
    )
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    context.close()
    return picture.quantize(256, dither=Image.Dither.NONE)


def main(
    names: Annotated[list[str] | None, typer.Argument(help="which widgets; all if none")] = None,
) -> None:
    "Make the pictures."
    if (chromium := live.chromium()) is None:
        raise SystemExit("Chromium is not installed.")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=live.FLAGS)
        for name in live.write(Path(folder), names or list(live.MAKERS)):
            for scheme in ("light", "dark"):
                file = TARGET / f"{name}-{scheme}.png"
                picture = shot(browser, Path(folder, f"{name}.html"), scheme)
                write_atomic(file, png_bytes(picture, optimize=True))
                typer.echo(f"{file.stat().st_size / 1000:6.0f} kB  {file.relative_to(ROOT)}")
        browser.close()


if __name__ == "__main__":
    typer.run(main)
