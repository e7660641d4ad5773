"Wherever a score stands, its uncertainty and its prompts stand beside it: cards, README, pages."

import json
import re
from pathlib import Path

import pytest

from t2i_learn.core.files import weights_path
from t2i_learn.core.pipeline import read_card

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "nbs").rglob("[!.]*.ipynb"))
TABLE = re.compile(r"(?m)^\|.*\|\n\|[ :|-]+\|\n(?:\|.*\|\n?)+")
SCORE_COLUMN = re.compile(
    r"^(score|its score|share right|mean of the six tasks|score of the six tasks|seen|set a)$"
)
UNCERTAIN = re.compile(r"±|\[\d|\d to \d|interval")
CARDS = sorted(path.parent.name for path in weights_path().glob("*/README.md"))


def tables_with_scores(text: str) -> list[tuple[list[str], list[str]]]:
    "Head and rows of the Markdown tables of a text that have a column of scores."
    found = []
    for table in TABLE.findall(text):
        head, _, *rows = table.strip().splitlines()
        names = [cell.strip() for cell in head.strip("|").split("|")]
        if any(SCORE_COLUMN.match(name) for name in names):
            found.append((names, rows))
    return found


def bare_scores(text: str) -> list[str]:
    "Rows in which a score stands without an interval or a standard error."
    bare = []
    for names, rows in tables_with_scores(text):
        columns = [k for k, name in enumerate(names) if SCORE_COLUMN.match(name)]
        told = any("interval" in name for name in names)
        for row in rows:
            cells = [cell.strip() for cell in row.strip().strip("|").split("|")]
            scores = [cells[k] for k in columns if k < len(cells) and re.match(r"\d\.\d", cells[k])]
            bare += [row] * (not told and any(not UNCERTAIN.search(cell) for cell in scores))
    return bare


def texts_of(page: Path) -> list[str]:
    "Every Markdown text of a page: its own, and what its cells show."
    texts = []
    for cell in json.loads(page.read_text(encoding="utf-8"))["cells"]:
        texts += ["".join(cell["source"])] * (cell["cell_type"] == "markdown")
        for output in cell.get("outputs", []):
            texts.append("".join(output.get("data", {}).get("text/markdown", "")))
    return texts


def test_a_bare_score_is_found():
    table = "| model | score |\n|---|---|\n| ours | 0.93 |\n| theirs | 0.91 ± 0.02 |\n| third | 0.90 [0.88, 0.92] |\n"
    assert bare_scores(table) == ["| ours | 0.93 |"]
    assert bare_scores(table.replace("model", "95 % interval")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_scores_of_pages_have_intervals(page):
    assert [row for text in texts_of(page) for row in bare_scores(text)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_with_scores_say_of_which_prompts(page):
    texts = texts_of(page)
    source = page.read_text(encoding="utf-8")
    if any(tables_with_scores(text) for text in texts) and "oracle" in source:
        assert re.search(r"edition|validation|test prompts", source), (
            "say on which prompts the score was measured"
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_scores_of_cards_are_shown_by_the_functions_that_know_intervals(page):
    source = page.read_text(encoding="utf-8")
    if re.search(r'models\(\)\[[^]]+\]\[\\"scores\\"\]', source) or 'card[\\"scores\\"]' in source:
        assert re.search(r"score_entry|score_table", source) and "edition" in source


def test_the_readme_has_intervals_and_the_edition():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert tables_with_scores(text) and bare_scores(text) == []
    assert re.search(r"edition \d+ of the test", text)


@pytest.mark.parametrize("name", CARDS)
def test_cards_have_intervals_the_edition_and_the_looks(name):
    text = (weights_path() / name / "README.md").read_text(encoding="utf-8")
    scores = read_card(weights_path() / name)["scores"]
    _, *rows = next(t for t in TABLE.findall(text) if t.startswith("| split")).strip().splitlines()
    cells = [cell.strip() for row in rows[1:] for cell in row.strip("|").split("|")[1:] if cell.strip()]
    assert cells and all(UNCERTAIN.search(cell) for cell in cells)
    assert f"edition {scores.get('edition', 1)}" in text
    assert "opened edition" in text, "a card says how often the test was looked at"
