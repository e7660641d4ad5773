"Where things are in this clone, for the tests that look at it as a whole."

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "t2i_learn"
NOTEBOOKS = [f for f in sorted((ROOT / "nbs").rglob("*.ipynb")) if ".ipynb_checkpoints" not in f.parts]
BY_HAND = ("__init__.py", "_modidx.py", "cli.py", "contents.py")
EXPORTED = [f for f in sorted(PACKAGE.rglob("*.py")) if f.name not in BY_HAND]
KERNEL = {"kernelspec": {"display_name": "python3", "language": "python", "name": "python3"}}


def offline(*folders):
    "Environment of a new process that imports from these folders first, and that no network is there for."
    path = os.pathsep.join(map(str, [*folders, ROOT / "tests" / "offline"]))
    return {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": path}


def notebook_name(path):
    "A notebook's path as readers of the course know it."
    return path.relative_to(ROOT / "nbs").as_posix()
