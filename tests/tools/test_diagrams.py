"The diagrams of the course: as their script draws them, legible, and each on a page with words for those who cannot see it."

import re
from functools import cache
from itertools import combinations
from xml.etree import ElementTree

import diagrams
import nbs
import pytest
from diagrams import DIAGRAMS, FOLDER
from places import NOTEBOOKS
from typer.testing import CliRunner


def test_the_files_are_what_the_script_draws():
    drawn = {f"{name}.svg": diagrams.svg(diagram) for name, diagram in DIAGRAMS.items()}
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.svg")} == drawn


@pytest.mark.parametrize("name", DIAGRAMS)
def test_boxes_stand_apart_and_arrows_join_them(name):
    boxes, arrows = DIAGRAMS[name].boxes, DIAGRAMS[name].arrows
    for a, b in combinations(boxes.values(), 2):
        gaps = [abs(p - q) - (h + k) for p, q, h, k in zip(a.center, b.center, a.half, b.half)]
        assert max(gaps) >= 8, f"{a.text!r} and {b.text!r} are too close"
    assert {end for arrow in arrows for end in (arrow.start, arrow.end)} <= boxes.keys()
    texts = [
        node.text for node in ElementTree.fromstring(diagrams.svg(DIAGRAMS[name])).iter() if node.text
    ]
    assert all(line in texts for box in boxes.values() for line in box.text.split("\n"))


@cache
def pages():
    return ["\n".join(cell.source for cell in nbs.read(path).cells) for path in NOTEBOOKS]


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_page_shows_it_and_says_what_it_shows(name):
    shown = re.compile(rf"!\[{re.escape(DIAGRAMS[name].alt)}\]\([./]*images/diagrams/{name}\.svg\)")
    assert any(shown.search(page) for page in pages())


def test_a_file_that_differs_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(diagrams, "FOLDER", tmp_path)
    app = diagrams.typer.Typer()
    app.command()(diagrams.main)
    assert CliRunner().invoke(app, []).exit_code == 0
    (tmp_path / "unet.svg").write_text("<svg/>", encoding="utf-8")
    found = CliRunner().invoke(app, ["--check"])
    assert found.exit_code == 1 and "unet.svg" in found.output and "dit.svg" not in found.output
