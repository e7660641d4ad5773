"""Notebooks without a browser: run them, check that their outputs are fresh, measure and clean them.

python tools/nbs.py run nbs/04_diffusion/02_forward.ipynb   new outputs, cleaned; slow cells keep theirs
python tools/nbs.py run --slow nbs/04_diffusion             slow cells too
python tools/nbs.py check                                   all again in memory, compared with what is committed
python tools/nbs.py size                                    bytes of each notebook, none over the limit
python tools/nbs.py clean                                   no run counts, no widget state

Outputs are made at the preset `cpu` unless T2I_PRESET says otherwise, and checked at the same one.
"""

from __future__ import annotations

import asyncio
import copy
import math
import os
import re
import tempfile
from collections.abc import Callable, Coroutine, Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import nbformat
import typer
from execnb.nbio import dict2nb, nb2str
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbdev.clean import clean_nb
from nbformat import NotebookNode
from traitlets.config import Config

from t2i_learn.core.files import write_atomic

ROOT = Path(__file__).resolve().parent.parent
SIZE_LIMIT = 400_000
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
CELL_METADATA = ["tags", "jupyter"]  # what a cell keeps when it is cleaned, as in settings.ini
SKIP_TAG = "skip-execution"  # nbclient leaves a cell with this tag as it is

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
Files = Annotated[
    list[Path] | None, typer.Argument(help="notebooks or folders of them; all of nbs/ if none")
]
Slow = Annotated[bool, typer.Option("--slow", help="run the cells marked `#| slow` too")]
Jobs = Annotated[int, typer.Option(help="notebooks that run side by side")]
Timeout = Annotated[int, typer.Option(help="seconds that one cell may take")]


def notebooks(
    paths: list[Path] | None = None,  # notebooks or folders of them; None for all of nbs/
) -> list[Path]:  # in reading order
    "The notebooks under `paths`, without Jupyter's checkpoints."
    found: list[Path] = []
    for path in paths or [ROOT / "nbs"]:
        found += sorted(path.rglob("[!._]*.ipynb")) if path.is_dir() else [path]
    if missing := [str(f) for f in found if not f.is_file()]:
        raise SystemExit(f"There is no notebook {', '.join(missing)}.")
    return [f for f in found if ".ipynb_checkpoints" not in f.parts]


def read(
    path: Path,  # a notebook
) -> NotebookNode:
    "Read a notebook; sources and texts are joined strings."
    return nbformat.read(path, as_version=4)


def write(
    notebook: NotebookNode,  # what to write
    path: Path,  # where; other writers see the old file or the new one
) -> None:
    "Write a notebook to the byte as `nbdev_clean` would."
    write_atomic(path, nb2str(dict2nb(nbformat.from_dict(notebook))).encode())


def directives(
    cell: NotebookNode,  # a cell of a notebook
) -> set[str]:  # such as {"export"}, {"slow"}, {"eval: false"}
    "The nbdev directives of a cell."
    return {d.strip() for d in re.findall(r"^[ \t]*#\|[ \t]*(\S.*)$", cell.source, re.MULTILINE)}


def code_cells(
    notebook: NotebookNode,  # a notebook
) -> list[NotebookNode]:
    "The code cells, in order."
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def is_skipped(
    cell: NotebookNode,  # a code cell
    slow: bool = False,  # run slow cells?
) -> bool:
    "Whether a cell keeps the outputs it has."
    found = directives(cell)
    return "eval: false" in found or ("slow" in found and not slow)


def clean_outputs(
    outputs: list[NotebookNode],  # outputs of one cell
) -> list[NotebookNode]:
    "Drop what lives only in a browser (a widget's view, not its poster), comes twice, or is a progress bar."
    kept = []
    for output in outputs:
        data = output.get("data", {})
        if data.pop(WIDGET_VIEW, None) is not None:
            data.pop("text/plain", None)
        if "image/png" in data:
            data.pop("image/jpeg", None)
        empty = "data" in output and not data
        progress = output.get("name") == "stderr" and "\r" in output.get("text", "")
        if not empty and not progress:
            kept.append(output)
    return kept


def clean_notebook(
    notebook: NotebookNode,  # changed in place
) -> NotebookNode:  # the same notebook
    "What nbdev's cleaning does, and no trace of widgets."
    for cell in code_cells(notebook):
        cell.outputs = clean_outputs(cell.outputs)
        tags = [tag for tag in cell.metadata.pop("tags", []) if tag != SKIP_TAG]
        if tags:
            cell.metadata["tags"] = tags
    clean_nb(notebook, allowed_cell_metadata_keys=CELL_METADATA)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.pop("jupytext", None)
    return notebook


def environment(
    slow: bool = False,  # slow cells use every core
) -> dict[str, str]:  # for the kernel
    "The kernel's environment: this clone's package, a preset, one thread unless the cells are slow ones."
    given = dict(os.environ)
    given.pop("IN_TEST", None)
    given.setdefault("T2I_PRESET", "cpu")
    given.setdefault("T2I_DEVICE", "cpu")
    given["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), given.get("PYTHONPATH")]))
    return given if slow else {"OMP_NUM_THREADS": "1", **given}


def transport(
    folder: str,  # an empty one, this kernel's own
) -> Config:
    "Sockets in a folder: ports of notebooks that run side by side can collide. Windows has ports only."
    return (
        Config()
        if os.name == "nt"
        else Config(KernelManager={"transport": "ipc", "ip": f"{folder}/kernel"})
    )


async def execute(
    notebook: NotebookNode,  # changed in place
    path: Path,  # where it lives: cells run in that folder
    slow: bool = False,  # run slow cells too?
    timeout: int = 600,  # seconds for one cell
) -> NotebookNode:  # the same notebook, with new outputs, cleaned
    "Run a notebook in a kernel of its own."
    for cell in code_cells(notebook):
        if is_skipped(cell, slow):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), SKIP_TAG]
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,
            config=transport(folder),
            resources={"metadata": {"path": str(path.resolve().parent)}},
        )
        await client.async_execute(env=environment(slow))
    return clean_notebook(notebook)


async def attempt(
    work: Callable[
        [Path], Coroutine[Any, Any, str]
    ],  # what to do with one notebook; gives a line of report
    path: Path,  # the notebook
    gate: asyncio.Semaphore,  # how many at once
) -> bool:  # whether it went well
    "Do the work on one notebook and say how it went."
    async with gate:
        try:
            message, ok = await work(path), True
        except (CellExecutionError, CellTimeoutError, DeadKernelError, AssertionError) as error:
            message, ok = str(error), False
    typer.echo(f"{'ok    ' if ok else 'FAILED'} {path}  {message}".rstrip())
    return ok


def for_each(
    work: Callable[[Path], Coroutine[Any, Any, str]],  # as in `attempt`
    paths: list[Path],  # notebooks
    jobs: int,  # how many at once
) -> None:
    "Do the work on every notebook; exit with 1 if it failed on any."

    async def all_of_them() -> list[bool]:
        gate = asyncio.Semaphore(jobs)
        return await asyncio.gather(*(attempt(work, path, gate) for path in paths))

    if not all(asyncio.run(all_of_them())):
        raise typer.Exit(1)


ADDRESS = re.compile(
    r"\b0x[0-9a-fA-F]+\b| at 0x[0-9a-fA-F]+|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b"
)
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]*\w)")


def shape(
    text: str,  # what a cell printed
) -> str:
    "The text with addresses, ids and numbers masked."
    return NUMBER.sub("#", ADDRESS.sub("@", text)).strip()


def is_close(
    old: str,  # a printed number
    new: str,  # the one in its place
) -> bool:
    "Whole numbers are equal; others differ by two of their last digit or 0.2 per cent: machines round differently."
    if "." not in old and "e" not in old:
        return old == new
    mantissa, _, exponent = old.partition("e")
    last_digit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return math.isclose(float(old), float(new), rel_tol=0.002, abs_tol=2.01 * last_digit)


def same_words(
    old: str,  # committed
    new: str,  # just made
) -> bool:
    "Whether two texts differ in numbers at most."
    return shape(old) == shape(new)


def same_text(
    old: str,  # committed
    new: str,  # just made
) -> bool:
    "Whether two texts say the same."
    pairs = zip_longest(*(NUMBER.findall(ADDRESS.sub("@", text)) for text in (old, new)), fillvalue="")
    return same_words(old, new) and all(is_close(a, b) for a, b in pairs)


def said(
    cell: NotebookNode,  # a code cell
) -> list[tuple[str, str]]:  # kind and text of each output; a picture's text is empty
    "What a cell shows, in a form that can be compared; warnings are left out, they depend on versions."
    parts: list[tuple[str, str]] = []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stdout":
            parts.append(("stdout", output.text))
        for kind, content in sorted(output.get("data", {}).items()):
            parts.append((kind, content if kind.startswith("text/") else ""))
    return parts


def difference(
    old: NotebookNode,  # committed cell
    new: NotebookNode,  # the same cell after a run
) -> str | None:  # a sentence, or None
    "How the outputs of a cell differ; of a chaotic one the words count, for in a long game rounding grows without bound."
    before, after = said(old), said(new)
    same = same_words if "chaotic" in directives(old) else same_text
    if [kind for kind, _ in before] != [kind for kind, _ in after]:
        return f"shows {[k for k, _ in after]} where {[k for k, _ in before]} is committed"
    changed = [(a, b) for (_, a), (_, b) in zip(before, after) if not same(a, b)]
    return f"says\n{changed[0][1]}\nwhere this is committed:\n{changed[0][0]}" if changed else None


def differences(
    old: NotebookNode,  # committed notebook
    new: NotebookNode,  # the same after a run
) -> Iterable[str]:
    "A sentence for each cell that shows something else than what is committed; slow cells are left out."
    for before, after in zip(code_cells(old), code_cells(new), strict=True):
        found = None if is_skipped(before) else difference(before, after)
        if found:
            yield f"cell {before.get('id')}, `{before.source.splitlines()[0]}`, {found}"


@app.command()
def run(files: Files = None, slow: Slow = False, jobs: Jobs = 1, timeout: Timeout = 3600) -> None:
    "Execute notebooks and write their outputs, cleaned."

    async def refresh(path: Path) -> str:
        write(await execute(read(path), path, slow, timeout), path)
        return f"{path.stat().st_size / 1000:.0f} KB"

    for_each(refresh, notebooks(files), jobs)


@app.command()
def check(files: Files = None, jobs: Jobs = 2, timeout: Timeout = 600) -> None:
    "Execute copies of notebooks and compare what they show with what is committed."

    async def compare(path: Path) -> str:
        old = read(path)
        found = list(differences(old, await execute(copy.deepcopy(old), path, timeout=timeout)))
        assert not found, "is not fresh: " + "\n".join(found)
        return ""

    for_each(compare, notebooks(files), jobs)


@app.command()
def size(files: Files = None) -> None:
    "Print the size of notebooks; exit with 1 if one is over the limit."
    sizes = {path: path.stat().st_size for path in notebooks(files)}
    for path, count in sizes.items():
        typer.echo(f"{count / 1000:7.0f} KB  {path}{'  too large' * (count > SIZE_LIMIT)}")
    if sizes and max(sizes.values()) > SIZE_LIMIT:
        raise typer.Exit(1)


@app.command()
def clean(files: Files = None) -> None:
    "Clean notebooks without running them."
    for path in notebooks(files):
        write(clean_notebook(read(path)), path)


if __name__ == "__main__":
    app()
