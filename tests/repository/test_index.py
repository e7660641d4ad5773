"The index, which is the README too: it leads to every notebook, and its table of scores copes with what a card holds."

import json
import re

import course
import nbs
import pytest
from places import NOTEBOOKS, ROOT

import t2i_learn.core.pipeline

INDEX = ROOT / "nbs" / "index.ipynb"


def test_the_index_leads_to_every_notebook():
    text = next(cell.source for cell in nbs.read(INDEX).cells if cell.id == course.TABLE_CELL)
    linked = re.findall(r"\]\(([^)#\s]+\.ipynb)\)", text)
    ordered = [page for pages in course.reading_order().values() for page in pages]
    assert linked == [f.relative_to(ROOT / "nbs").as_posix() for f in ordered], "in reading order"
    assert sorted(ordered) == [f for f in NOTEBOOKS if f != INDEX], "each notebook once"


def test_the_table_says_what_the_pages_say():
    cells = {cell.id: cell.source for cell in nbs.read(INDEX).cells}
    assert cells[course.TABLE_CELL] == course.contents_table()
    text = "\n".join(cells.values())
    for name, route in (("short", course.SHORT_ROUTE), ("mission's", course.MISSION_ROUTE)):
        assert f"the {name} route**, about {course.route_minutes(route) / 60:.0f} hours" in text
        assert len(set(route)) == len(route)


def test_the_readme_opens_with_pictures_and_then_the_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert (
        0
        < re.search(r'\]\(nbs/images/|<img src="nbs/images/', readme).start()
        < readme.index("make lab")
        < readme.index("make test")
        < readme.index("prompt_box(")
    )


def table_for(scores, monkeypatch):
    "What the cells with the scores show for a model whose card holds these."
    facts = {
        "family": "diffusion",
        "kind": "text-to-image",
        "side": 32,
        "megabytes": 9.9,
        **({"scores": scores} if scores else {}),
    }
    monkeypatch.setattr(t2i_learn.core.pipeline, "models", lambda kind=None: {"shapes-diffusion": facts})
    imports, cell = (
        next(c.source for c in nbs.code_cells(nbs.read(INDEX)) if sign in c.source)
        for sign in ("Markdown\n", "ASKED = ")
    )
    head, _, last = cell.rpartition("\nMarkdown(")
    space: dict = {}
    exec(imports + "\n" + head + "\nshown = Markdown(" + last, space)
    models_cell = next(c.source for c in nbs.code_cells(nbs.read(INDEX)) if "ROLES = " in c.source)
    head, _, last = models_cell.rpartition("\nMarkdown(")
    exec(head + "\nmodels_shown = Markdown(" + last, space)
    assert "| `shapes-diffusion` | noise becomes a picture, step by step |" in space["models_shown"].data
    return space["shown"].data


@pytest.mark.parametrize("scores", [None, {}, {"seen": {"mean": 0.0}, "held_out": {}}])
def test_no_scores_are_no_table(scores, monkeypatch):
    assert "|" not in table_for(scores, monkeypatch)


def test_scores_are_shown_with_their_errors_and_chance(monkeypatch):
    rates = {
        "seen": {"single": 0.98, "size": 0.5, "mean": 0.91},
        "held_out": {"a": {"color": 0.8, "mean": 0.8}},
    }
    errors = {
        "seen": {"single": 0.01, "size": 0.02, "mean": 0.03},
        "held_out": {"a": {"color": 0.04, "mean": 0.04}},
    }
    scores = {
        **rates,
        "standard_error": errors,
        "chance": {"shuffled": {"seen": {"mean": 0.07}, "held_out": {}}},
        "steps": 20,
    }
    table = table_for(json.loads(json.dumps(scores)), monkeypatch)
    assert "| 0.91 ± 0.03 | 0.07 |" in table and "| seen | 0.98 ± 0.01 | 0.50 ± 0.02 |" in table
    assert "a colour on a shape never drawn in that colour | 0.80 ± 0.04 |" in table


DOCUMENTS = [*(f for f in sorted(ROOT.glob("*.md"))), ROOT / "data" / "README.md", *NOTEBOOKS]


def markdown_of(document):
    "What a reader sees of a document, without its blocks of code."
    if document.suffix == ".md":
        text = document.read_text(encoding="utf-8")
    else:
        text = "\n\n".join(
            cell.source for cell in nbs.read(document).cells if cell.cell_type == "markdown"
        )
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors_of(document):
    "Anchors of a document's headings, as Jupyter and GitHub write them."
    headings = re.findall(r"^#+ +(.+?)\s*$", markdown_of(document), re.MULTILINE)
    return {
        write(h)
        for h in headings
        for write in (
            lambda h: h.replace(" ", "-"),
            lambda h: re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-"),
        )
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(document):
    text = re.sub(r"```.*?```|`[^`\n]+`", "", markdown_of(document), flags=re.DOTALL)  # code is no link
    links = re.findall(r"\]\(<?([^)\s>]+)>?[^)]*\)|\b(?:href|src)=\"([^\"]+)\"", text)
    for link in (a or b for a, b in links):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = document.parent / path if path else document
        assert target.exists(), f"{link}: there is no such file"
        assert not anchor or anchor in anchors_of(target), f"{link}: no heading of that name"
    for page in re.findall(r"`(?:nbs/)?(\d\d_\w+/\d\d_\w+)(?:\.ipynb)?`", text):
        assert (ROOT / "nbs" / f"{page}.ipynb").exists(), f"{page}: there is no such notebook"
