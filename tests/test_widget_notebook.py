"A notebook with all five widgets of diffusion, each drawn: as it would be committed it is small, and pictures stand for them."

import asyncio
import io
from base64 import b64decode

import nbs
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from places import KERNEL

from t2i_learn.widgets.base import still

CELLS = {
    "load": "from t2i_learn import load\npipe = load('shapes-diffusion')",
    "forward": "from t2i_learn.widgets.forward import forward\nforward(compare='linear')",
    "plane": "from t2i_learn.widgets.plane import plane\nplane()",
    "reverse": "from t2i_learn.widgets.reverse import reverse\nreverse(pipe, num_inference_steps=8).draw('ab')",
    "guidance": "from t2i_learn.widgets.guidance import guidance\nguidance(pipe, num_inference_steps=6).draw()",
    "attention": "from t2i_learn.widgets.attention import attention\nattention(pipe, num_inference_steps=4).draw()",
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    "The notebook, run and cleaned as `tools/nbs.py run` does it."
    path = tmp_path_factory.mktemp("notebook") / "widgets.ipynb"
    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS.values()], metadata=KERNEL)
    nbs.write(asyncio.run(nbs.execute(notebook, path)), path)
    return path


def test_it_is_small_and_holds_no_widget(path):
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < nbs.SIZE_LIMIT
    assert "vnd.jupyter.widget" not in text and "model not found" not in text.lower()
    assert nbformat.read(path, as_version=4).metadata == KERNEL, "no state of widgets"


@pytest.mark.parametrize("name", [*CELLS][1:])
def test_a_picture_stands_for_each(path, name):
    cell = nbformat.read(path, as_version=4).cells[[*CELLS].index(name)]
    (output,) = cell.outputs
    assert list(output.data) == ["image/png"]
    shown = Image.open(io.BytesIO(b64decode(output.data["image/png"])))
    assert shown.height > still("", [], []).height, "something is drawn in it"
