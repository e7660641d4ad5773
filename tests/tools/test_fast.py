"Which tests a change needs."

import os
import subprocess
import sys

import fast
import pytest
from places import NOTEBOOKS, ROOT, notebook_name


def chosen(*files):
    "What is chosen besides the rules of the repository: files of tests, and the names of notebooks."
    found = fast.pytest_arguments([*files])
    assert found[: len(fast.RULES)] == fast.RULES and len({*found}) == len(found)
    start = "tests/repository/test_notebooks.py::test_notebook["
    more = found[len(fast.RULES) :]
    return [a for a in more if not a.startswith(start)], [
        a[len(start) : -1] for a in more if a.startswith(start)
    ]


def test_without_a_change_the_rules_are_all():
    assert fast.pytest_arguments([]) == fast.RULES
    assert chosen("README.md", ".github/workflows/ci.yml", "NOTICE", "t2i_learn/_modidx.py") == ([], [])


@pytest.mark.parametrize("file", ["t2i_learn/gan/networks.py", "nbs/03_gan/05_networks.ipynb"])
def test_a_chapter_runs_what_imports_the_change(file):
    tests, notebooks = chosen(file)
    assert {"tests/gan/test_gan_networks.py", "tests/gan/test_gan_text_to_image.py"} <= {*tests}
    assert "tests/gan/test_gan_losses.py" not in tests and all(
        test.startswith("tests/gan/") for test in tests
    )
    assert notebooks[0] == "03_gan/05_networks.ipynb" and "03_gan/10_text_to_image.ipynb" in notebooks
    assert all(name.startswith("03_gan/") for name in notebooks)


def test_a_page_without_code_runs_alone():
    assert chosen("nbs/03_gan/15_trouble.ipynb") == ([], ["03_gan/15_trouble.ipynb"])
    assert chosen("nbs/index.ipynb") == ([], ["index.ipynb"])


def test_a_chapter_that_all_of_it_imports_is_bounded():
    tests, notebooks = chosen("nbs/04_diffusion/01_schedules.ipynb")
    assert len(tests) > 5 and len(notebooks) == fast.MOST_NOTEBOOKS
    assert notebooks[0] == "04_diffusion/01_schedules.ipynb"


def test_two_chapters_are_two_choices():
    tests, notebooks = chosen("t2i_learn/diffusion/dit.py", "t2i_learn/text/layout.py")
    assert {"tests/diffusion/test_unet.py", "tests/text/test_layout.py"} <= {*tests}
    assert {"04_diffusion/21_dit.ipynb", "02_text/06_layout.ipynb"} <= {*notebooks}


@pytest.mark.parametrize(
    "file", ["t2i_learn/core/files.py", "nbs/00_core/03_files.ipynb", "tests/tiny.py", "pyproject.toml"]
)
def test_for_the_core_all_units_run_that_train_nothing(file):
    found = fast.pytest_arguments([file])
    assert found[:2] == ["-m", "not(slow)and(not(trains))"]
    folders = {
        f"tests/{name}" for name in ("core", "world", "text", "gan", "diffusion", "stable", "widgets")
    }
    assert folders <= {*found} and not {"tests", "tests/browser", "tests/repository", "tests/tools"} & {
        *found
    }
    assert sum("test_notebook[" in argument for argument in found) == 3


@pytest.mark.parametrize(("file", "test"), [
    ("t2i_learn/widgets/plane.js", "tests/widgets/test_widget_plane.py"),
    ("t2i_learn/widgets/common.js", "tests/widgets/test_widget_base.py"),
    ("t2i_learn/cli.py", "tests/test_cli.py"), ("tools/fast.py", "tests/tools/test_fast.py"),
    ("data/prompts/a.parquet", "tests/world"), ("tests/gan/test_gan_losses.py", "tests/gan/test_gan_losses.py"),
])  # fmt: skip
def test_other_files_lead_to_the_tests_of_what_they_are(file, test):
    assert test in chosen(file)[0]


def test_what_is_gone_needs_no_test_of_its_own():
    assert chosen("tests/gan/test_gone.py", "nbs/03_gan/99_gone.ipynb") == ([], [])


def test_all_that_is_chosen_exists():
    files = [
        f.relative_to(ROOT).as_posix() for f in (*NOTEBOOKS, *sorted((ROOT / "tools").glob("*.py")))
    ]
    names = {notebook_name(f) for f in NOTEBOOKS}
    for file in files:
        found = fast.pytest_arguments([file])
        for argument in found[2:] if found[0] == "-m" else found:
            path, _, test = argument.partition("::")
            assert (ROOT / path).exists(), argument
            assert not test or test.removeprefix("test_notebook[").removesuffix("]") in names, argument


def test_imports_are_followed_backwards():
    graph = {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"e"}, "e": {"d"}}
    assert fast.importers(["a"], graph) == {"a", "b", "c"} and fast.importers(["c"], graph) == {"c"}
    assert fast.importers(["e"], graph) == {"d", "e"}
    assert {*fast.imports_of("from .m import x\nimport q", "t.u.v")} == {"t.u.m", "t.u.m.x", "q"}


def test_changes_are_those_of_the_branch_and_those_that_git_does_not_know(tmp_path, monkeypatch):
    def git(*arguments):
        identity = {
            f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        command = ["git", "-c", "init.defaultBranch=main", *arguments]
        subprocess.run(command, cwd=tmp_path, env=os.environ | identity, check=True, capture_output=True)

    monkeypatch.setattr(fast, "ROOT", tmp_path)
    git("init")
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
        git("add", "-A")
        git("commit", "-m", name)
    assert fast.changed_files("HEAD") == []
    (tmp_path / "first").write_text("other")
    (tmp_path / "third").write_text("new")
    assert fast.changed_files("HEAD") == ["first", "third"] and fast.changed_files("HEAD~1") == [
        "first",
        "second",
        "third",
    ]


def test_the_shell_takes_what_is_printed_apart_as_it_was_put_together():
    done = subprocess.run(
        [sys.executable, "tools/fast.py", "--base", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.split()[-1].startswith("tests/"), done.stderr
    assert not any(
        set(argument) & set(" '\"$") for argument in fast.pytest_arguments(["t2i_learn/core/files.py"])
    )
