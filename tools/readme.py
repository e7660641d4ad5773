"""README.md out of nbs/index.ipynb: its text, its code, what the code shows. With --check: is the README in step?"""

from __future__ import annotations

import base64
import html
import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any

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


def relinked(
    text: str,  # markdown
    address: Callable[[str], str],  # what becomes of a relative address
) -> str:
    "Change where relative links and pictures lead."

    def moved(match: re.Match[str]) -> str:
        return f"{match[1]}{address(match[2])}{match[3]}"

    text = re.sub(r"(\]\()(?![a-z]+:|#|/)([^)\s#]+)([^)]*\))", moved, text)
    return re.sub(r"(<img[^>]*\bsrc=\")(?![a-z]+:|/)([^\"]+)(\")", moved, text)


def from_root(
    text: str,  # markdown with links as they hold in nbs/
) -> str:  # with links as they hold at the root
    "Let relative links start at the root of the repository."
    return relinked(text, lambda link: posixpath.normpath(posixpath.join("nbs", link)))


def plain(
    markdown: str,  # a paragraph
) -> str:  # fit to stand between the brackets of a picture
    "Text without markup."
    return re.sub(r"[\[\]`*_$]|\(http[^)]*\)", "", " ".join(markdown.split()))


def hides_code(
    cell: NotebookNode,  # a code cell
) -> bool:
    "Whether readers see only what a cell shows; a solution is folded where it stands."
    is_folded = bool(cell.metadata.get("jupyter", {}).get("source_hidden"))
    is_solution = "solution" in cell.metadata.get("tags", [])
    return "echo: false" in directives(cell) or (is_folded and not is_solution)


def alt_text(
    cell: NotebookNode,  # a code cell that shows a picture
    before: str,  # the markdown above it
    facts: dict[str, Any],  # what the output says of the picture
) -> str:
    "What a picture shows: the directive `#| fig-alt: ...`, the output's own words, or the paragraph above."
    given = [d.partition(":")[2].strip() for d in directives(cell) if d.startswith("fig-alt:")]
    return [*given, facts.get("alt") or plain(before.strip().split("\n\n")[-1])][0]


def picture_of(
    path: str,  # from the root
    alt: str,  # what it shows
    width: int | None,  # on the screen, in CSS pixels; None for its own
) -> str:
    "Markdown for a picture."
    if width is None:
        return f"![{alt}]({path})"
    return f'<img src="{path}" alt="{html.escape(alt)}" width="{width}">'


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
            facts = output.get("metadata", {}).get("image/png", {})
            text = picture_of(path, alt_text(cell, before, facts), facts.get("width"))
            yield text, base64.b64decode(data["image/png"]), path
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
        if code_of(cell) and not hides_code(cell):
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
