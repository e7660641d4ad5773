"The desk, a notebook with all five widgets of diffusion, each drawn: as it is committed it is small, and pictures stand for them."

import ast
import io
from base64 import b64decode

import nbformat
import pytest
from nbs import SIZE_LIMIT
from PIL import Image
from places import KERNEL, notebook_name, NOTEBOOKS, ROOT

from t2i_learn.widgets.base import still_picture

DESK = ROOT / "nbs" / "widgets" / "17_desk.ipynb"
FIVE = ("forward_widget(", "plane_widget(", "reverse_widget(", "guidance_widget(", "attention_widget(")


def test_it_is_small_and_holds_no_widget():
    text = DESK.read_text(encoding="utf-8")
    assert DESK.stat().st_size < SIZE_LIMIT
    assert "vnd.jupyter.widget" not in text and "model not found" not in text.lower()
    assert nbformat.read(DESK, as_version=4).metadata == KERNEL, "no state of widgets"


@pytest.mark.parametrize("made", FIVE)
def test_a_picture_stands_for_each(made):
    (cell,) = (
        cell
        for cell in nbformat.read(DESK, as_version=4).cells
        if cell.cell_type == "code" and made in cell.source
    )
    (output,) = cell.outputs
    assert list(output.data) == ["image/png"]
    shown = Image.open(io.BytesIO(b64decode(output.data["image/png"])))
    assert shown.height > still_picture("", [], []).height, "something is drawn in it"


def shown_names(cells):
    "Names of the variables that cells show as widgets: of their output nothing but a still picture is kept."
    names = set()
    for cell in cells:
        kept = [list(output.get("data", ())) for output in cell.get("outputs", ())]
        last = ast.parse(cell.source).body[-1] if ["image/png"] in kept else None
        names |= {node.id for node in ast.walk(last) if isinstance(node, ast.Name)} if last else set()
    return names


def closed_names(cells):
    "Names of the variables whose `close` is called."
    calls = [
        node for cell in cells for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)
    ]
    ends = [
        call.func for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "close"
    ]
    return {end.value.id for end in ends if isinstance(end.value, ast.Name)}


def code_cells(notebook):
    return [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=notebook_name)
def test_no_page_closes_what_it_shows(notebook):
    cells = code_cells(notebook)
    assert not shown_names(cells) & closed_names(cells)


def test_the_readers_of_pages_find_what_they_look_for():
    cells = code_cells(ROOT / "nbs" / "widgets" / "08_plane.ipynb")
    assert "widget" in shown_names(cells) and "tried" in closed_names(cells)
