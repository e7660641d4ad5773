"Every notebook runs from top to bottom at the smoke preset, each in a process of its own."

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from places import KERNEL, NOTEBOOKS, ROOT, notebook_name

TIME_LIMIT = 240  # seconds; one takes 30 at most, and may share its core


def run(
    notebook: Path,  # what to test
    *wrong: Path,  # a file of wrong answers, where it is not that of the page
) -> subprocess.CompletedProcess[str]:
    "Test one notebook and its exercises: shared processes would leak seeds, threads and folders from one to the next."
    command = [sys.executable, str(ROOT / "tests" / "run_notebook.py"), str(notebook), *map(str, wrong)]
    environment = {
        **os.environ,
        "IN_TEST": "1",
        "T2I_PRESET": "smoke",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT
    )


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=notebook_name)
def test_notebook(notebook):
    done = run(notebook)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "No files were eligible" not in said, "nbdev found nothing to test"
    assert "Success." in said, said


@pytest.mark.parametrize(("claim", "works"), [("1 + 1 == 2", True), ("1 + 1 == 3", False)])
def test_a_notebook_that_fails_is_noticed(tmp_path, claim, works):
    notebook = tmp_path / "claim.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(f"assert {claim}")], metadata=KERNEL), notebook)
    done = run(notebook)
    assert (done.returncode == 0 and "Success." in done.stdout) is works
    assert ("AssertionError" in done.stderr) is not works


STUB = "def double(x):\n    raise NotImplementedError('return twice the number')"
CHECK = """def check_double(double):
    assert double(0) == 0, "twice nothing is nothing"
    assert double(3) == 6, "twice three should be six"

check_double(double)"""
WRONG = "# wrong: double: adds one\ndef double(x):\n    return x + 1\n\n# wrong: double: the square\ndef double(x):\n    return x * x\n"


@pytest.mark.parametrize(
    ("check", "wrong", "fault"),
    [
        (CHECK, WRONG, None),
        (CHECK, "", "wants two wrong answers"),
        (CHECK.replace("== 6", ">= 6"), WRONG, "takes a wrong answer"),
        (CHECK.replace(', "twice nothing is nothing"', ""), WRONG, "without a sentence"),
        (CHECK.replace("twice nothing is nothing", "twice three should be six"), WRONG, "says the same"),
        ("", WRONG, "exercises without a check: double"),
    ],
    ids=["right", "none", "too lax", "wordless", "one sentence", "no check"],
)
def test_a_check_refuses_wrong_answers(tmp_path, check, wrong, fault):
    stub, solution = new_code_cell(STUB), new_code_cell("def double(x):\n    return 2 * x")
    stub.metadata["tags"], solution.metadata["tags"] = ["exercise"], ["solution"]
    notebook, answers = tmp_path / "page.ipynb", tmp_path / "wrong.py"
    nbformat.write(new_notebook(cells=[stub, solution, new_code_cell(check)], metadata=KERNEL), notebook)
    answers.write_text(wrong, encoding="utf-8")
    done = run(notebook, answers)
    assert (done.returncode == 0) is (fault is None), done.stderr
    assert fault is None or fault in done.stderr
