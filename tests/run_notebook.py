"""Run a notebook as nbdev does, and hold each of its exercises to its answers.

python run_notebook.py nbs/first_model.ipynb              with the wrong answers of tests/exercises/first_model.py
python run_notebook.py some.ipynb wrong.py                with those of another file

After the cell that checks an exercise, the check must refuse the stub and each of the wrong answers in tests/exercises/,
every one with a sentence, and two wrong answers with two sentences. That the solution passes is what the cell itself says.
"""

import re
import sys
from pathlib import Path

import nbdev.test
from execnb.shell import CaptureShell

HERE = Path(__file__).resolve().parent
NBS = HERE.parent / "nbs"
WRONG = re.compile(r"^# wrong: (\w+): (.+)\n", re.MULTILINE)  # a header in a file of wrong answers
CALL = re.compile(r"^check_(\w+)\(\1\)", re.MULTILINE)  # the line that checks an answer


def answers_path(
    page: Path,  # a notebook
) -> Path:
    "Where the wrong answers to the exercises of a page of the course stand."
    page = page.resolve()
    name = page.relative_to(NBS) if page.is_relative_to(NBS) else Path(page.name)
    return (HERE / "exercises" / name).with_suffix(".py")


def wrong_answers(
    path: Path,  # need not be there
) -> dict[str, list[str]]:  # exercise -> sources
    "The wrong answers in a file."
    found: dict[str, list[str]] = {}
    if path.is_file():
        parts = WRONG.split(path.read_text(encoding="utf-8"))[1:]
        for name, source in zip(parts[::3], parts[2::3]):
            found.setdefault(name, []).append(source)
    return found


def refusal(check, namespace, source, name) -> str:
    "The sentence with which a check refuses an answer."
    own = dict(namespace)
    exec(source, own)
    try:
        check(own[name])
    except (AssertionError, NotImplementedError) as error:
        assert len(str(error).split()) > 3, f"check_{name} refuses without a sentence: {error!r}"
        return str(error)
    raise AssertionError(f"check_{name} takes a wrong answer:\n{source}")


class ExerciseShell(CaptureShell):
    "A shell that tries the exercises of the notebook that it runs."

    def run_all(self, nb, **options):
        self.stubs, self.answered = {}, set()
        super().run_all(nb, postproc=self.after, **options)
        if left := self.stubs.keys() - self.answered:
            self.exc = AssertionError(f"exercises without a check: {', '.join(left)}")
            raise self.exc

    def after(self, cell):
        "Remember a stub; after a check, try the stub and the wrong answers."
        if cell.cell_type != "code" or self.exc:
            return
        if "exercise" in cell.metadata.get("tags", []):
            self.stubs[re.search(r"^(?:def|class) (\w+)", cell.source, re.MULTILINE)[1]] = cell.source
        for name in CALL.findall(cell.source):
            try:
                self.try_answers(name)
            except AssertionError as error:
                self.exc = error

    def try_answers(self, name):
        "The check refuses the stub and the wrong answers of an exercise; one without a stub has none."
        if name not in self.stubs:
            return
        check, wrong = self.user_ns[f"check_{name}"], self.wrong.get(name, [])
        assert len(wrong) >= 2, f"{name} wants two wrong answers in tests/exercises"
        refusal(check, self.user_ns, self.stubs[name], name)
        sentences = [refusal(check, self.user_ns, source, name) for source in wrong]
        assert len(set(sentences)) > 1, (
            f"check_{name} says the same of all wrong answers: {sentences[0]}"
        )
        self.answered.add(name)


if __name__ == "__main__":
    page, *given = map(Path, sys.argv[1:])
    ExerciseShell.wrong = wrong_answers(given[0] if given else answers_path(page))
    nbdev.test.CaptureShell = ExerciseShell
    nbdev.test.nbdev_test(str(page), n_workers=0)
