"""Copy the course for somebody who does the exercises: the same pages without the solutions.

python tools/student.py              write student/; pages that are there already stay as they are
python tools/student.py --progress   which exercises of student/ have passed their check
python tools/student.py --overwrite  write all pages anew; what was solved is kept as <page>.old.ipynb
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Annotated

import typer
from nbformat import NotebookNode
from nbs import ROOT, code_cells, notebooks, read, write

NBS, STUDENT = ROOT / "nbs", ROOT / "student"
CALL = re.compile(r"^check_(\w+)\(\1\)", re.MULTILINE)  # the line that checks an answer


def tags(cell: NotebookNode) -> list[str]:
    "The tags of a cell."
    return list(cell.metadata.get("tags", []))


def without_solutions(notebook: NotebookNode) -> NotebookNode:
    "The notebook without its solutions; checks and what builds on answers show nothing yet."
    if not any("solution" in tags(cell) for cell in notebook.cells):
        return notebook
    notebook.cells = [cell for cell in notebook.cells if "solution" not in tags(cell)]
    first = next(k for k, cell in enumerate(notebook.cells) if "exercise" in tags(cell))
    for cell in notebook.cells[first:]:
        if cell.cell_type == "code":
            cell.outputs = []
    return notebook


def copy_page(
    path: Path,  # in nbs/
    overwrite: bool = False,  # else a page that is there stays
) -> bool:  # whether it was written
    "Write one page of the student's copy."
    target = STUDENT / path.relative_to(NBS)
    if target.exists() and not overwrite:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    page = without_solutions(read(path))
    if target.exists() and read(target) != page:
        shutil.copy2(target, target.with_suffix(".old.ipynb"))
    write(page, target)
    return True


def exercises(notebook: NotebookNode) -> dict[str, bool]:  # exercise -> whether its check ran and passed
    "The exercises of a student's page."
    found: dict[str, bool] = {}
    for cell in code_cells(notebook):
        failed = any(output.output_type == "error" for output in cell.outputs)
        for name in CALL.findall(cell.source):
            found[name] = cell.execution_count is not None and not failed
    return found


def progress() -> str:
    "A line for each page that has exercises."
    lines = []
    for path in notebooks([STUDENT]):
        found = exercises(read(path))
        if found and ".old" not in path.suffixes:
            marks = "  ".join(
                f"{'done' if passed else 'open'}: {name}" for name, passed in found.items()
            )
            lines.append(
                f"{path.relative_to(STUDENT).as_posix():45} {sum(found.values())} of {len(found)}   {marks}"
            )
    return "\n".join(lines)


def main(
    show_progress: Annotated[
        bool, typer.Option("--progress", help="say which exercises are done")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="write pages that are there anew")
    ] = False,
) -> None:
    "Write the copy, or say how far its reader is."
    if show_progress:
        if not STUDENT.is_dir():
            raise SystemExit("There is no student/ yet: run `make student` first.")
        typer.echo(progress())
        return
    pages = notebooks()
    written = sum(copy_page(path, overwrite) for path in pages)
    shutil.copytree(NBS / "images", STUDENT / "images", dirs_exist_ok=True)
    typer.echo(
        f"student/: {written} of {len(pages)} pages written; open student/index.ipynb in JupyterLab"
    )


if __name__ == "__main__":
    typer.run(main)
