"""How the pages read: the rules of prose that can be counted, and the terms that each page introduces.

python tools/prose.py                        every page, the glossary and the README's text
python tools/prose.py nbs/02_text            some pages
python tools/prose.py --long nbs/02_text     also their longest sentences

Rules: no sentence over 40 words, none with more than two figures after a point, a median of 10 to 20 words a page, no
decimal without its zero (also where a cell prints one), no word of HOUSE_WORDS, and every term of the glossary in bold on
the page that introduces it. A sentence ends at . ! ? or : before a capital, at an empty line and at a list item. Formulas,
code and tables do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median
from typing import Annotated

import typer
from nbformat import NotebookNode
from nbs import ROOT, Files, code_cells, notebooks, read

LONGEST, DECIMALS, MEDIAN = 40, 2, (10, 20)
HOUSE_WORDS = (
    *("told", "bill", "felt", "promise", "promises", "promised", "stranger", "strangers"),
    *("jolted", "softly", "whoever", "lest"),
)
GLOSSARY = ROOT / "nbs" / "glossary.ipynb"
TERM_ROW = re.compile(r"^\| \*\*(.+?)\*\* \|.*\]\(([^)#]+\.ipynb)\) \|", re.MULTILINE)
ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|et al|cf|vs|eq|fig|sec|approx)\.", re.IGNORECASE)

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def prose_of(
    source: str,  # of a markdown cell
) -> str:  # blocks apart by an empty line
    "The text without code, formulas, tables, pictures, links' targets and headings."
    text = re.sub(r"^( *)(```|~~~).*?^ *\2\s*$", "", source, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
    text = re.sub(r"\$[^$\n]+\$", "x", text)
    text = re.sub(r"`[^`\n]*`", "code", text)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"<[^>\n]+>", "", text)
    lines = [line for line in text.splitlines() if not re.match(r"\s*(\||#)", line)]
    return re.sub(r"^\s*([-*+]|\d+\.)\s+", "\n\n", "\n".join(lines), flags=re.MULTILINE)


def sentences(
    source: str,  # of a markdown cell
) -> list[str]:
    "The sentences of a cell, in order."
    found: list[str] = []
    for block in re.split(r"\n\s*\n", ABBREVIATIONS.sub(r"\1", prose_of(source))):
        text = " ".join(block.replace("*", "").replace(">", " ").split())
        found += re.split(r"(?<=[.!?:])[\"”’)]*\s+(?=[\"“‘(]?[A-ZΑ-Ω])", text)
    return [sentence for sentence in found if re.search(r"\w", sentence)]


def words(sentence: str) -> list[str]:
    "What stands between spaces and holds a letter or a digit."
    return [word for word in sentence.split() if re.search(r"\w", word)]


def printed(
    cell: NotebookNode,  # a code cell
) -> str:
    "What a cell printed or shows as text."
    parts = [output.get("text", "") for output in cell.outputs]
    parts += [
        text
        for output in cell.outputs
        for kind, text in output.get("data", {}).items()
        if kind in ("text/plain", "text/markdown")
    ]
    return "\n".join(parts)


def terms() -> dict[str, list[str]]:  # page -> terms
    "The terms of the glossary, by the page that introduces them."
    found: dict[str, list[str]] = {}
    if GLOSSARY.is_file():
        text = "\n".join(cell.source for cell in read(GLOSSARY).cells if cell.cell_type == "markdown")
        for term, page in TERM_ROW.findall(text):
            found.setdefault(page, []).append(term)
    return found


def sentence_faults(sentence: str) -> Iterator[str]:
    "What is wrong with one sentence."
    if len(words(sentence)) > LONGEST:
        yield f"{len(words(sentence))} words"
    if len(re.findall(r"\d\.\d", sentence)) > DECIMALS:
        yield f"more than {DECIMALS} decimals"
    if re.search(r"(?<![\w.])\.\d", sentence):
        yield "a decimal without its zero"
    for word in re.findall(r"[a-z]+", sentence.lower()):
        if word in HOUSE_WORDS:
            yield f"the word {word!r}"


def faults(
    notebook: NotebookNode,
    page: str,  # its path in nbs/
) -> Iterator[str]:
    "What is wrong with a page, a line each."
    markdown = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    found = [sentence for source in markdown for sentence in sentences(source)]
    for sentence in found:
        for fault in sentence_faults(sentence):
            yield f"{fault}: {sentence[:90]}"
    length = median([len(words(sentence)) for sentence in found] or [15])
    if not MEDIAN[0] <= length <= MEDIAN[1]:
        yield f"the median sentence has {length:g} words, not {MEDIAN[0]} to {MEDIAN[1]}"
    for cell in code_cells(notebook):
        if match := re.search(r"(?<![\w.)\]])\.\d+", printed(cell)):
            yield f"cell {cell.get('id')} prints {match[0]!r} without its zero"
    bold = {text.lower() for text in re.findall(r"\*\*([^*\n]+)\*\*", "\n".join(markdown))}
    for term in terms().get(page, []):
        if term.lower() not in bold:
            yield f"the glossary's term {term!r} is not in bold"


@app.command()
def main(
    files: Files = None,
    long: Annotated[
        bool, typer.Option("--long", help="show the three longest sentences of a page")
    ] = False,
) -> None:
    "Print what is wrong; exit with 1 if anything is."
    total = 0
    for path in notebooks(files):
        notebook = read(path)
        page = path.resolve().relative_to(ROOT / "nbs").as_posix()
        lines = [*faults(notebook, page)]
        total += len(lines)
        for line in lines:
            typer.echo(f"{page}: {line}")
        if long:
            found = [s for c in notebook.cells if c.cell_type == "markdown" for s in sentences(c.source)]
            for sentence in sorted(found, key=lambda s: -len(words(s)))[:3]:
                typer.echo(f"{page}: {len(words(sentence))} words: {sentence}")
    typer.echo(f"{total} to mend")
    if total:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
