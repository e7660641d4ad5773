"Run All Cells in JupyterLab: every widget that a page shows is alive afterwards, and again after a second run."

import shutil

import nbformat
import pytest
from driving import START, until
from nbformat.v4 import new_code_cell, new_notebook
from places import KERNEL, ROOT

# For cells, by id: how many widgets are shown there, rendered and with a model that the kernel has not closed.
ALIVE = """ids => {
  const views = (widget) => (widget._view ? [widget._view] : [...widget.children()].flatMap(views));
  const isAlive = ({ model, el }) => model.comm_live && el.isConnected && el.childElementCount > 0;
  const cells = window.jupyterapp.shell.currentWidget.content.widgets;
  return ids.map((id) => views(cells.find((cell) => cell.model.id === id).outputArea).filter(isAlive).length);
}"""
SESSION = "window.jupyterapp?.shell.currentWidget?.sessionContext"
RUN_ALL = """async () => {
  await window.jupyterapp.commands.execute("notebook:run-all-cells");
  const cells = window.jupyterapp.shell.currentWidget.content.widgets.filter((cell) => cell.model.type === "code" && cell.model.sharedModel.source.trim());
  const errors = cells.flatMap((cell) => cell.model.sharedModel.outputs).filter((output) => output.output_type === "error");
  const skipped = cells.filter((cell) => !cell.model.executionCount).map((cell) => `not run: ${cell.model.sharedModel.source.slice(0, 80)}`);
  return [...errors.map((error) => error.traceback.join("\\n")), ...skipped];
}"""
OPEN_IN_KERNEL = """async () => {
  const count = "sum(hasattr(w, 'run_in_background') for w in __import__('ipywidgets').widget._instances.values())";
  const reply = await SESSION.session.kernel.requestExecute({ code: "", silent: true, user_expressions: { count } }).done;
  return Number(reply.content.user_expressions.count.data["text/plain"]);
}""".replace("SESSION", SESSION)


def widget_cells(notebook):
    "Ids of the cells that show a widget: of their output, a committed notebook keeps nothing but the still picture."
    shown = lambda cell: [list(output.get("data", ())) for output in cell.get("outputs", ())]
    return [
        cell.id for cell in nbformat.read(notebook, as_version=4).cells if ["image/png"] in shown(cell)
    ]


PAGES = {
    page.relative_to(ROOT / "nbs").as_posix(): widget_cells(page)
    for page in sorted((ROOT / "nbs").glob("**/*.ipynb"))
    if ".ipynb_checkpoints" not in page.parts and widget_cells(page)
}
QUICK = (
    "widgets/02_base.ipynb",
    "widgets/04_prompt_box.ipynb",
    "widgets/17_desk.ipynb",
)  # the others: make slow
CLOSED = """from t2i_learn.widgets.plane import plane_widget
widget = plane_widget()
widget"""


@pytest.fixture(scope="module")
def pages(open_page, start_lab, tmp_path_factory):
    "A page of a JupyterLab that has the whole course, at the smallest preset, the address of its notebooks, and their folder."
    folder = tmp_path_factory.mktemp("run_all")
    shutil.copytree(
        ROOT / "nbs", folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints")
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("T2I_PRESET", "smoke")
        patched.setenv("IN_TEST", "1")
        page, address = open_page(), start_lab(folder)
    yield page, address, folder / "notebooks"
    page.close()  # its widgets have lost their kernels: what they say of it is no other test's business


def test_there_is_a_page_for_every_widget():
    assert len([page for page in PAGES if page.startswith("widgets/")]) >= 15
    assert "index.ipynb" in PAGES and len(PAGES["widgets/17_desk.ipynb"]) == 5


def open_notebook(page, address):
    "Open a notebook, and wait for its kernel."
    page.goto(f"{address}?reset")
    until(page, f"() => {SESSION}?.session?.kernel?.status === 'idle'", timeout=START)


def end_kernel(page):
    "The next notebook needs the memory."
    page.evaluate(f"() => {SESSION}.shutdown().then(() => null)")


def test_a_widget_that_its_page_closes_is_noticed(pages):
    page, address, folder = pages
    cells = [new_code_cell(CLOSED), new_code_cell("widget.close()")]
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), folder / "closed.ipynb")
    open_notebook(page, f"{address}closed.ipynb")
    assert page.evaluate(RUN_ALL) == []
    assert page.evaluate(ALIVE, [cell.id for cell in cells]) == [0, 0]
    end_kernel(page)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in PAGES]
)
def test_every_widget_is_alive_after_run_all(pages, name):
    page, address, _ = pages
    ids = PAGES[name]
    open_notebook(page, f"{address}{name}")
    alive = f"([ids]) => ({ALIVE})(ids).every((count) => count === 1)"
    opened = []
    for _ in range(2):
        assert page.evaluate(RUN_ALL) == []
        until(page, alive, ids, None)
        assert page.evaluate(ALIVE, ids) == [1] * len(ids)
        opened.append(page.evaluate(OPEN_IN_KERNEL))
    assert opened[0] == opened[1], "the second run has closed what the first one showed"
    end_kernel(page)
