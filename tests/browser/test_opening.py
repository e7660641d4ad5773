"A page of the course that is opened in JupyterLab stays as it is, and one that is saved changes where it was changed."

import json
import shutil
from urllib.parse import urljoin

import nbs
import pytest
from driving import START, until
from places import ROOT

IDLE = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
SETTLED = """async () => {
  const { context, sessionContext } = window.jupyterapp.shell.currentWidget;
  const { kernel } = sessionContext.session;
  await Promise.all([context.ready, sessionContext.ready, kernel.info, kernel.spec]);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return context.model.dirty;
}"""  # what JupyterLab writes into a page, it writes once it has these
EDIT = """async () => {
  const { content, context } = window.jupyterapp.shell.currentWidget;
  content.model.cells.get(0).sharedModel.setSource("# Changed");
  const dirty = context.model.dirty;
  await window.jupyterapp.commands.execute("docmanager:save");
  return dirty;
}"""


@pytest.fixture
def opened(lab, open_page, quiet):
    "Opens a notebook in JupyterLab, and waits until its kernel has said what it is."

    def open_one(name):
        page = open_page()
        page.goto(urljoin(lab.url, f"/doc/tree/{name}?reset"))
        until(page, IDLE, timeout=START)
        return page

    return open_one


def stripped(notebook):
    "A notebook, but for the line end after a picture's data, which JupyterLab leaves out."
    for output in (output for cell in nbs.code_cells(notebook) for output in cell.outputs):
        data = output.get("data", {})
        data |= {kind: text.strip() for kind, text in data.items() if kind == "image/png"}
    return notebook


def test_an_opened_page_is_not_changed_and_a_saved_one_only_where_it_was(lab, opened):
    ours, file = ROOT / "nbs" / "index.ipynb", lab.notebooks / "index.ipynb"
    shutil.copy(ours, file)
    shutil.copytree(ROOT / "nbs" / "images", lab.notebooks / "images")
    page = opened("index.ipynb")
    assert page.evaluate(SETTLED) is False
    assert page.locator(".jp-mod-dirty").count() == 0
    assert file.read_bytes() == ours.read_bytes()
    assert page.evaluate(EDIT) is True
    before, after = (stripped(nbs.read(f)) for f in (ours, file))
    assert after.cells[0].pop("source") == "# Changed"
    del before.cells[0]["source"]
    assert after == before


def test_a_page_that_jupyterlab_would_change_is_seen_to_be_changed(lab, opened):
    "So the test above would see it."
    notebook = json.loads((ROOT / "nbs" / "glossary.ipynb").read_text("utf-8"))
    notebook["metadata"]["kernelspec"]["language"] = "another"
    (lab.notebooks / "changed.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    assert opened("changed.ipynb").evaluate(SETTLED) is True
