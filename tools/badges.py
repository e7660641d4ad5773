"""Where a page of the course can be opened or changed: badges, edit links, and copies with a cell that installs.

python tools/badges.py          write the copies that Colab opens into _colab/
python tools/badges.py --out D  somewhere else

All of it comes from one table, SERVICES, and from the project's address, `git_url` in settings.ini. While that is empty,
there are no badges, no edit links and no copies.
"""

from __future__ import annotations

import configparser
import posixpath
import re
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from nbs import ROOT, code_cells, notebooks, read, write
from readme import relinked

SETTINGS = ROOT / "settings.ini"
COPIES = "colab"  # the branch that holds what this tool writes
PICTURES = (".png", ".svg", ".jpg", ".gif")


class Project(NamedTuple):
    "Where the project is kept."

    repository: str  # such as owner/name
    branch: str


class Service(NamedTuple):
    "A place that opens a page."

    label: str
    address: str  # with {repository}, {branch} and {page}, such as 01_world/01_scenes.ipynb
    is_badge: bool  # else a link at the end of the page


SERVICES = (
    Service(
        "Open in Colab",
        f"https://colab.research.google.com/github/{{repository}}/blob/{COPIES}/{{page}}",
        True,
    ),
    Service(
        "Open in Binder",
        "https://mybinder.org/v2/gh/{repository}/{branch}?urlpath=lab/tree/nbs/{page}",
        True,
    ),
    Service("Edit this page", "https://github.com/{repository}/edit/{branch}/nbs/{page}", False),
)


def project(
    settings: Path | None = None,  # settings.ini
) -> Project | None:  # None while the project has no address
    "The project's address, from the one place where it stands."
    parser = configparser.ConfigParser()
    parser.read(settings or SETTINGS, encoding="utf-8")
    address = parser["DEFAULT"]["git_url"].strip().removesuffix("/").removesuffix(".git")
    if not address:
        return None
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", address)
    if found is None:
        raise SystemExit(
            f"git_url of settings.ini is {address}: give it as https://github.com/OWNER/NAME, or leave it empty."
        )
    return Project(found[1], parser["DEFAULT"]["branch"].strip())


def links(
    page: str,  # such as 01_world/01_scenes.ipynb
    place: Project | None,  # of the course
    badges: bool,  # the badges, or the other links
) -> list[str]:  # markdown; empty while the project has no address
    "Links to the services that open a page."
    if place is None:
        return []
    chosen = [service for service in SERVICES if service.is_badge is badges]
    return [f"[{s.label}]({s.address.format(page=page, **place._asdict())})" for s in chosen]


def from_anywhere(
    text: str,  # markdown with links as they hold on the page
    page: str,  # such as 01_world/01_scenes.ipynb
    place: Project,
) -> str:
    "Let relative links lead to the project's own pages and pictures."

    def address(link: str) -> str:
        path = posixpath.normpath(posixpath.join("nbs", posixpath.dirname(page), link))
        kind = "raw" if path.endswith(PICTURES) else "blob"
        return f"https://github.com/{place.repository}/{kind}/{place.branch}/{path}"

    return relinked(text, address)


def install_cell(
    place: Project,
) -> NotebookNode:
    "The cell that a machine needs which has nothing of the course."
    source = (
        f'%pip install -q "t2i_learn[lab] @ git+https://github.com/{place.repository}@{place.branch}"'
    )
    return new_code_cell(source, id="install")


def with_install_cell(
    notebook: NotebookNode,  # changed in place
    page: str,  # such as 01_world/01_scenes.ipynb
    place: Project,
) -> NotebookNode:  # the same notebook
    "A page that runs where there is nothing of the course but this file."
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = from_anywhere(cell.source, page, place)
    first = code_cells(notebook)[:1]
    at = notebook.cells.index(first[0]) if first else len(notebook.cells)
    notebook.cells.insert(at, install_cell(place))
    return notebook


def main(
    out: Annotated[Path, typer.Option(help="the folder for the copies")] = ROOT / "_colab",
) -> None:
    "Write a copy of every page, with a cell that installs the course."
    place = project()
    if place is None:
        raise SystemExit("The project has no address yet: write it into settings.ini, at git_url.")
    pages = notebooks()
    for path in pages:
        page = path.relative_to(ROOT / "nbs").as_posix()
        write(with_install_cell(read(path), page, place), out / page)
    typer.echo(f"{out}: {len(pages)} pages, for the branch {COPIES} of {place.repository}")


if __name__ == "__main__":
    typer.run(main)
