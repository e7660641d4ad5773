"""README.md out of nbs/index.ipynb: its text, its code, what the code shows. With --check: is the README in step?"""

from __future__ import annotations

import base64
import posixpath
import re
from collections.abc import Iterator
from typing import Annotated

import typer
from nbformat import NotebookNode
from nbs import ROOT, directives, read

from t2i_learn.core.files import write_atomic

INDEX = ROOT / "nbs" / "index.ipynb"
README = ROOT / "README.md"
PICTURES = "nbs/images"  # where the README's pictures are kept
HIDDEN = ("hide", "default_exp")
NOTE = "<!-- Made from nbs/index.ipynb by tools/readme.py: change that. -->\n"


def is_hidden(
    cell: NotebookNode,  # a cell
) -> bool:
    "Whether readers are spared a cell."
    return any(d.split()[0] in HIDDEN for d in directives(cell))


def code_of(
    cell: NotebookNode,  # a code cell
) -> str:
    "The code without nbdev's directives."
    return re.sub(r"^\s*#\|.*\n?", "", cell.source, flags=re.MULTILINE).strip()


def from_root(
    text: str,  # markdown with links as they hold in nbs/
) -> str:  # with links as they hold at the root
    "Let relative links start at the root of the repository."

    def moved(match: re.Match[str]) -> str:
        return f"{match[1]}{posixpath.normpath(posixpath.join('nbs', match[2]))}{match[3]}"

    text = re.sub(r"(\]\()(?![a-z]+:|#|/)([^)\s#]+)([^)]*\))", moved, text)
    return re.sub(r"(<img[^>]*\bsrc=\")(?![a-z]+:|/)([^\"]+)(\")", moved, text)


def plain(
    markdown: str,  # a paragraph
) -> str:  # fit to stand between the brackets of a picture
    "Text without markup."
    return re.sub(r"[\[\]`*_$]|\(http[^)]*\)", "", " ".join(markdown.split()))


def alt_text(
    cell: NotebookNode,  # a code cell that shows a picture
    before: str,  # the markdown above it
) -> str:
    "What a picture shows: the directive `#| fig-alt: ...`, or the paragraph above it."
    given = [d.partition(":")[2].strip() for d in directives(cell) if d.startswith("fig-alt:")]
    return given[0] if given else plain(before.strip().split("\n\n")[-1])


def fenced(
    text: str,  # code or output
    language: str = "",  # for colours
) -> str:
    "A block of code."
    return f"```{language}\n{text.rstrip()}\n```"


def shown(
    cell: NotebookNode,  # a code cell
    before: str,  # the markdown above it
) -> Iterator[tuple[str, bytes | None, str]]:  # markdown; or a picture, with its path
    "What a cell's outputs look like in the README."
    for number, output in enumerate(cell.outputs):
        data = output.get("data", {})
        path = f"{PICTURES}/{cell.id}-{number}.png"
        if output.get("name") == "stdout":
            yield fenced(output.text), None, ""
        elif "image/png" in data:
            yield f"![{alt_text(cell, before)}]({path})", base64.b64decode(data["image/png"]), path
        elif "text/markdown" in data or "text/html" in data:
            yield from_root(data.get("text/markdown") or data["text/html"]), None, ""
        elif "text/plain" in data:
            yield fenced(data["text/plain"]), None, ""


def convert(
    notebook: NotebookNode,  # the index
) -> tuple[str, dict[str, bytes]]:  # the README, and its pictures by path
    "Turn a notebook into markdown and pictures."
    parts, pictures, before = [NOTE], {}, ""
    for cell in notebook.cells:
        if is_hidden(cell):
            continue
        if cell.cell_type != "code":
            before = cell.source
            parts.append(from_root(cell.source))
            continue
        if code_of(cell) and "echo: false" not in directives(cell):
            parts.append(fenced(code_of(cell), "python"))
        for text, picture, path in shown(cell, before):
            parts.append(text)
            pictures |= {path: picture} if picture else {}
    return "\n\n".join(part.strip() for part in parts) + "\n", pictures


def stale(
    text: str,  # the README as it should be
    pictures: dict[str, bytes],  # its pictures by path
) -> list[str]:  # paths
    "Files that are missing, differ, or belong to no cell any more."
    wanted = {README.relative_to(ROOT).as_posix(): text.encode(), **pictures}
    wrong = [p for p, b in wanted.items() if not (ROOT / p).is_file() or (ROOT / p).read_bytes() != b]
    left = [f.relative_to(ROOT).as_posix() for f in (ROOT / PICTURES).glob("*.png")]
    return wrong + [p for p in left if p not in pictures]


def main(
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; exit with 1 if it would change")
    ] = False,
) -> None:
    "Write README.md and its pictures."
    text, pictures = convert(read(INDEX))
    changed = stale(text, pictures)
    if check and changed:
        raise SystemExit(f"Not in step with nbs/index.ipynb: {', '.join(changed)}. Run tools/readme.py.")
    for path in changed:
        content = {**pictures, README.name: text.encode()}.get(path)
        target = ROOT / path
        if content is None:
            target.unlink()
        else:
            write_atomic(target, content)


if __name__ == "__main__":
    typer.run(main)
