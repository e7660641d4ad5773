"""Print the pytest arguments for `make fast`: the tests that a change needs, about two minutes of them on two cores.

python tools/fast.py                 for what is not committed yet
python tools/fast.py --base main     for all that this branch has changed

The rules of the repository are always among them. A change in one chapter adds the unit tests and the notebooks of that chapter
that import what was changed, directly or by way of others. A change in the core, or in what all tests share, adds the unit tests
of all chapters that train nothing, and three notebooks. What a chapter's change does to later chapters is for `make test` to say.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parent.parent
RULES = [f"tests/repository/test_{name}.py" for name in ("repository", "index", "workflows")]
NO_TRAINING = ["-m", "not(slow)and(not(trains))"]  # no blanks: the shell cuts there
CORE_NOTEBOOKS = [
    "00_core/10_pipeline.ipynb",
    "02_text/04_encoder.ipynb",
    "04_diffusion/09_sampling.ipynb",
]
MOST_NOTEBOOKS = 8  # of one change: a notebook takes some seconds
EVERYBODY = re.compile(
    r"tests/[^/]+\.py|tests/offline/.*|pyproject\.toml|constraints\.txt"
)  # what all tests share
BY_PATH = {  # tests of what no module of the package is
    r"t2i_learn/(cli|__init__)\.py": ["tests/test_cli.py"],
    r"t2i_learn/weights/.*": ["tests/core/test_pipeline.py"],
    r"data/(?!emoji/|build_emoji).*": ["tests/world"],
    r"data/(emoji/.*|build_emoji\.py)": ["tests/pictures"],
}


def git(
    *arguments: str,
) -> list[str]:  # the lines of its answer
    "Ask git about this clone."
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def changed_files(
    base: str,  # a branch or a commit
) -> list[str]:  # paths from the root
    "What differs from where this branch left `base`, files that git does not know yet among it."
    (start,) = git("merge-base", base, "HEAD")
    return sorted(
        {*git("diff", "--name-only", start), *git("ls-files", "--others", "--exclude-standard")}
    )


def notebook_source(
    path: Path,  # a notebook
) -> str:  # Python
    "The code cells, without lines for the shell."
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    lines = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code").split("\n")
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def imports_of(
    source: str,  # Python
    module: str = "",  # that it is, for relative imports
) -> Iterator[str]:
    "Everything that is imported, also inside functions; of `from a import b` both a and a.b."
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            found = ".".join([*above, *([node.module] if node.module else [])])
            yield found
            yield from (f"{found}.{name.name}" for name in node.names)


@cache
def imports_in(
    path: Path,  # a source or a notebook
    module: str = "",  # that it is, for relative imports
) -> frozenset[str]:
    "Everything that a file imports."
    source = notebook_source(path) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
    return frozenset(imports_of(source, module))


@cache
def module_graph() -> dict[str, set[str]]:
    "Each module of the package with those that it imports."
    graph = {}
    for path in sorted((ROOT / "t2i_learn").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        graph[module] = imports_in(path, module)
    return {module: {*found} & graph.keys() for module, found in graph.items()}


def importers(
    modules: Iterable[str],
    graph: dict[str, set[str]],  # from `module_graph`
) -> set[str]:  # the modules themselves, and all that import them by any way
    "What a change of some modules can change."
    reached = set(modules)
    while more := {module for module, found in graph.items() if found & reached} - reached:
        reached |= more
    return reached


def module_of(
    path: str,  # a changed file, from the root
) -> str | None:  # None: no module of a chapter
    "The module that a file is, that a notebook exports, or whose page a script belongs to."
    if re.fullmatch(r"nbs/\w+/\w+\.ipynb", path):
        _, folder, name = Path(path).with_suffix("").parts
        return ".".join(["t2i_learn", *(re.sub(r"^\d+_", "", part) for part in (folder, name))])
    if re.fullmatch(r"t2i_learn/\w+/\w+\.(py|js|css)", path) and not path.endswith("__init__.py"):
        shared = not (ROOT / path).with_suffix(".py").exists() and path.endswith((".js", ".css"))
        return "t2i_learn.widgets.base" if shared else ".".join(Path(path).with_suffix("").parts)
    return None


def reaching(
    paths: Iterable[Path],  # tests or notebooks
    modules: set[str],
) -> list[str]:  # from the root
    "Those that import one of the modules."
    return [path.relative_to(ROOT).as_posix() for path in sorted(paths) if modules & imports_in(path)]


def notebook_tests(
    notebooks: Iterable[str],  # from the root
) -> list[str]:
    "The tests that run some notebooks."
    names = [path.removeprefix("nbs/") for path in notebooks]
    return [f"tests/repository/test_notebooks.py::test_notebook[{name}]" for name in names]


def chapter_tests(
    chapter: str,  # gan, diffusion, widgets, ...
    changed: set[str],  # modules
    first: Iterable[str],  # notebooks that were changed themselves
    graph: dict[str, set[str]],  # from `module_graph`
) -> tuple[list[str], list[str]]:  # files of tests, notebooks
    "What one chapter has to run."
    modules = importers(changed, graph)
    own = {module for module in modules if module.split(".")[1] == chapter}
    tests = reaching((ROOT / "tests" / chapter).glob("test_*.py"), own)
    pages = sorted((ROOT / "nbs").glob(f"*{chapter}/*.ipynb"))
    exported = [
        path for page in pages if module_of(path := page.relative_to(ROOT).as_posix()) in changed
    ]
    return tests, [*dict.fromkeys([*first, *exported, *reaching(pages, own)])][:MOST_NOTEBOOKS]


def pytest_arguments(
    files: list[str],  # changed, from the root
) -> list[str]:
    "The tests that a change of these files needs."
    files = [path for path in files if not path.startswith("t2i_learn/_modidx")]
    graph = module_graph()
    there = [path for path in files if (ROOT / path).exists()]
    notebooks = [path for path in there if path.startswith("nbs/") and path.endswith(".ipynb")]
    modules = {module for path in files if (module := module_of(path))}
    chapters = sorted({module.split(".")[1] for module in modules})
    if "core" in chapters or any(EVERYBODY.fullmatch(path) for path in files):
        folders = sorted(folder.parent.name for folder in (ROOT / "tests").glob("*/test_*.py"))
        units = [
            f"tests/{name}"
            for name in dict.fromkeys(folders)
            if name not in ("browser", "repository", "tools")
        ]
        pages = [*notebooks, *(f"nbs/{name}" for name in CORE_NOTEBOOKS)]
        return [
            *NO_TRAINING,
            *RULES,
            "tests/test_cli.py",
            *units,
            *notebook_tests(dict.fromkeys(pages[:3])),
        ]
    tests = [path for path in there if re.fullmatch(r"tests/.*/?test_\w+\.py", path)]
    for pattern, wanted in BY_PATH.items():
        tests += wanted * any(re.fullmatch(pattern, path) for path in files)
    scripts = {Path(path).stem for path in files if re.fullmatch(r"tools/\w+\.py", path)}
    tests += reaching((ROOT / "tests").rglob("test_*.py"), scripts)
    pages = [path for path in notebooks if module_of(path) is None]
    for chapter in chapters:
        own = [path for path in notebooks if (module_of(path) or "..").split(".")[1] == chapter]
        changed = {module for module in modules if module.split(".")[1] == chapter}
        more, found = chapter_tests(chapter, changed, own, graph)
        tests += more
        pages += found
    return [*dict.fromkeys([*RULES, *tests, *notebook_tests(dict.fromkeys(pages))])]


def main(
    base: Annotated[
        str, typer.Option(help="a branch or a commit: what has changed since it was left")
    ] = "HEAD",
) -> None:
    "Print the tests that a change needs, as arguments of pytest."
    print(" ".join(pytest_arguments(changed_files(base))))


if __name__ == "__main__":
    typer.run(main)
