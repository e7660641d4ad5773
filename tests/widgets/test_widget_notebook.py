"The desk, a notebook with all five widgets of diffusion, each drawn: as it is committed it is small, and pictures stand for them."

import io
from base64 import b64decode

import nbformat
import pytest
from nbs import SIZE_LIMIT
from PIL import Image
from places import KERNEL, ROOT

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
