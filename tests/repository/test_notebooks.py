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
) -> subprocess.CompletedProcess[str]:
    "Test one notebook with nbdev: shared processes would leak seeds, threads and folders from one to the next."
    script = "import sys; from nbdev.test import nbdev_test; nbdev_test(sys.argv[1], n_workers=0)"
    command = [sys.executable, "-c", script, str(notebook)]
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
