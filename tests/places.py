"Where things are in this clone, for the tests that look at it as a whole."

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "t2i_learn"
NOTEBOOKS = [f for f in sorted((ROOT / "nbs").rglob("*.ipynb")) if ".ipynb_checkpoints" not in f.parts]
EXPORTED = [f for f in sorted(PACKAGE.rglob("*.py")) if f.name not in ("__init__.py", "_modidx.py", "cli.py")]
KERNEL = {"kernelspec": {"display_name": "python3", "language": "python", "name": "python3"}}


def notebook_name(path):
    "A notebook's path as readers of the course know it."
    return path.relative_to(ROOT / "nbs").as_posix()
