"The student's copy of the course: no solutions, nothing of the student's is lost, and what is done is counted."

import nbformat
import nbs
import pytest
import student
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from places import KERNEL
from typer.testing import CliRunner


def tagged(source, *tags):
    cell = new_code_cell(source, outputs=[new_output("stream", name="stdout", text="seen")])
    cell.metadata["tags"] = list(tags)
    return cell


@pytest.fixture
def course(tmp_path, monkeypatch):
    "A course of one page with an exercise, and no copy yet."
    page = tmp_path / "nbs" / "01_world" / "page.ipynb"
    page.parent.mkdir(parents=True)
    (tmp_path / "nbs" / "images").mkdir()
    cells = [
        new_markdown_cell("# Page"),
        tagged("x = 1"),
        tagged("def double(x):\n    raise NotImplementedError('twice the number')", "exercise"),
        tagged("def double(x):\n    return 2 * x", "solution"),
        tagged("def check_double(double):\n    assert double(3) == 6\n\n\ncheck_double(double)"),
    ]
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), page)
    monkeypatch.setattr(student, "NBS", tmp_path / "nbs")
    monkeypatch.setattr(student, "STUDENT", tmp_path / "student")
    monkeypatch.setattr(
        student, "notebooks", lambda paths=None: nbs.notebooks(paths or [tmp_path / "nbs"])
    )
    return tmp_path / "student" / "01_world" / "page.ipynb"


def make(*arguments):
    app = student.typer.Typer()
    app.command()(student.main)
    return CliRunner().invoke(app, list(arguments))


def test_a_copy_has_the_stubs_and_no_solutions(course):
    assert make().exit_code == 0
    sources = [cell.source for cell in nbs.code_cells(nbs.read(course))]
    assert len(sources) == 3 and "NotImplementedError" in sources[1] and "2 * x" not in "".join(sources)
    assert [len(cell.outputs) for cell in nbs.code_cells(nbs.read(course))] == [1, 0, 0]


def test_what_a_student_has_written_stays(course):
    make()
    mine = nbs.read(course)
    mine.cells.append(new_code_cell("mine = 3"))
    nbformat.write(mine, course)
    assert "0 of 1 pages written" in make().output and "mine = 3" in course.read_text(encoding="utf-8")
    make("--overwrite")
    assert "mine = 3" not in course.read_text(encoding="utf-8")
    assert "mine = 3" in course.with_suffix(".old.ipynb").read_text(encoding="utf-8")


def test_progress_counts_checks_that_passed(course):
    missing = make("--progress")
    assert missing.exit_code == 1 and "make student" in missing.output
    make()
    assert "0 of 1   open: double" in make("--progress").output
    page = nbs.read(course)
    page.cells[-1].execution_count = 7
    nbformat.write(page, course)
    assert "1 of 1   done: double" in make("--progress").output
    page.cells[-1].outputs = [new_output("error", ename="AssertionError", evalue="no", traceback=[])]
    nbformat.write(page, course)
    assert "0 of 1   open: double" in make("--progress").output
