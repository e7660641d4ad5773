"""The docs site, in _docs/, built without network: every notebook as a lesson, a reference page for every module.

python tools/docs.py            into _docs/
python tools/docs.py --out DIR  somewhere else
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from importlib.metadata import files
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import badges
import live
import nbformat
import typer
from course import NBS, reading_order
from excerpts import SCRIPT, SITE
from fastcore.docments import MarkdownRenderer
from nbs import ROOT, code_cells, notebooks, read, write
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from readme import alt_text, code_of, hides_code, is_hidden
from sphinx.application import Sphinx
from student import tags, without_solutions

GLOSSARY = "glossary.ipynb"
MATHJAX = "tex-svg-full.js"  # one file: no fonts, no parts to load later
SETTINGS: dict[str, Any] = {
    "project": "t2i_learn",
    "author": "t2i_learn contributors",
    "html_theme": "furo",
    "html_title": "t2i_learn",
    "html_static_path": ["_static"],
    "html_extra_path": ["_extra"],
    "html_show_copyright": False,
    "html_copy_source": False,
    "html_css_files": ["site.css"],
    # Sphinx's own excerpts need a server; see tools/excerpts.py.
    "html_show_search_summary": False,
    "extensions": ["myst_nb", "sphinx.ext.mathjax", "sphinx_copybutton", "excerpts"],
    "copybutton_selector": "div:not(.output) > div.highlight pre",
    "exclude_patterns": ["downloads"],
    "mathjax_path": MATHJAX,
    # The menu offers parts of MathJax that are not shipped.
    "mathjax3_config": {"options": {"enableMenu": False}},
    "myst_enable_extensions": ["dollarmath", "amsmath", "attrs_block", "attrs_inline"],
    "myst_heading_anchors": 4,
    "nb_execution_mode": "off",
    "nb_ipywidgets_js": {},  # its default comes from another machine
    "nb_merge_streams": True,
    "nb_render_markdown_format": "myst",  # its default knows no tables
    "suppress_warnings": ["myst.header"],
}


def modules() -> list[str]:  # such as "diffusion.forward", in reading order of the notebooks
    "The modules that notebooks export."
    sources = ("\n".join(cell.source for cell in code_cells(read(f))) for f in notebooks())
    found = (re.search(r"^#\|\s*default_exp\s+(\S+)", source, re.MULTILINE) for source in sources)
    return [match[1] for match in found if match]


def public(
    module: ModuleType,  # an exported module
) -> dict[str, Any]:  # by name
    "Functions and classes that a module defines and offers."
    named = {name: getattr(module, name) for name in getattr(module, "__all__", [])}
    return {n: o for n, o in named.items() if inspect.isroutine(o) or inspect.isclass(o)}


def methods(
    owner: type,  # a class
) -> Iterator[tuple[str, Any]]:
    "Public methods and properties that a class itself defines and describes."
    for name, member in vars(owner).items():
        function = getattr(member, "__func__", getattr(member, "fget", member))
        own = inspect.isfunction(function) and function.__qualname__.startswith(owner.__name__)
        if own and function.__doc__ and not name.startswith("_"):
            yield f"{owner.__name__}.{name}", function


def entry(
    name: str,  # as a reader would write it
    thing: Any,  # a function or a class
    level: int,  # of the heading
) -> str:  # markdown
    "Signature with its comments, and docstring."
    return f"{'#' * level} {name}\n\n{MarkdownRenderer(thing, name=name)._repr_markdown_()}"


def constants(
    module: ModuleType,  # an exported module
) -> str:  # markdown
    "Names a module offers that are neither functions nor classes."
    names = [n for n in getattr(module, "__all__", []) if n not in public(module)]
    return "Constants: " + ", ".join(f"`{n}`" for n in names) if names else ""


def resolve_annotations(
    modules: Collection[ModuleType],  # all that are exported
) -> None:
    "Give modules the names that only annotations use: signatures are read with their types, also in subclasses elsewhere."
    names: dict[str, Any] = {}
    for module in modules:
        names |= {name: getattr(module, name) for name in getattr(module, "__all__", [])}
        names |= {
            n: o for n, o in vars(module).items() if getattr(o, "__module__", "") == module.__name__
        }
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                found: dict[str, Any] = {"__package__": module.__package__}
                exec(compile(ast.Module(node.body, []), str(module.__file__), "exec"), found)
                names |= {name: thing for name, thing in found.items() if not name.startswith("__")}
    for module in modules:
        vars(module).update(names | vars(module))


def reference(
    module: ModuleType,  # an exported module
    lesson: str,  # path of the notebook, from the root of the site
) -> str:  # markdown
    "The reference page of a module."
    title = f"# {module.__name__}\n\n{inspect.getdoc(module) or ''}\n\n[The lesson that builds it](/{lesson})"
    parts = [title, constants(module)]
    for name, thing in public(module).items():
        parts.append(entry(name, thing, 2))
        parts += [entry(n, m, 3) for n, m in methods(thing)] if inspect.isclass(thing) else []
    return "\n\n".join(filter(None, parts)) + "\n"


def anchors(
    pages: dict[str, ModuleType],  # by name without the package's
) -> dict[str, str]:  # where each public name is explained
    "Addresses of public names in the reference; a name that two modules use has none."
    every = [
        (name, f"/api/{page}.md#{name.lower()}")
        for page, module in pages.items()
        for name in public(module)
    ]
    names = [name for name, _ in every]
    return {name: address for name, address in every if names.count(name) == 1}


def linked(
    text: str,  # markdown
    address: dict[str, str],  # see `anchors`
) -> str:
    "Turn `name` and `name()` into links to the reference, outside blocks of code, headings and other links."

    def link(match: re.Match[str]) -> str:
        target = address.get(match[2])
        return f"[{match[1]}]({target})" if target else match[0]

    blocks = re.split(r"(^```.*?^```|^#.*?$|\[[^\]]*\]\([^)]*\))", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(b if i % 2 else re.sub(r"(`(\w+)(?:\(\))?`)", link, b) for i, b in enumerate(blocks))


def picture_options(
    cell: NotebookNode,  # a code cell
    before: str,  # the markdown above it
    output: NotebookNode,  # of the cell, with a picture; changed in place
) -> dict[str, Any]:  # as myst-nb wants them
    "Words for those who cannot see a picture, and how wide it is; its height follows."
    facts = output.metadata.pop("image/png", {})
    width = {"width": str(facts["width"])} if "width" in facts else {}
    return {"alt": alt_text(cell, before, facts), **width}


def one_picture_each(
    cell: NotebookNode,  # a code cell
    before: str,  # the markdown above it
) -> list[NotebookNode]:
    "The cell, and one without code for each picture after its first: myst-nb has one alternative text a cell."
    parts: list[NotebookNode] = [cell]
    outputs, cell.outputs = cell.outputs, []
    for output in outputs:
        is_picture = "image/png" in output.get("data", {})
        if is_picture and "image" in parts[-1].metadata.get("mystnb", {}):
            parts.append(new_code_cell(metadata={"tags": ["remove-input"], "mystnb": {}}))
        if is_picture:
            options = parts[-1].metadata.setdefault("mystnb", {})
            options["image"] = picture_options(cell, before, output)
        parts[-1].outputs.append(output)
    return parts


def shown_code(
    cell: NotebookNode,  # a code cell; changed in place
    before: str,  # the markdown above it
) -> list[NotebookNode]:
    "A cell as readers of the site see it: without directives, a solution folded, what makes tables hidden."
    parts = one_picture_each(cell, before)
    for output in (output for part in parts for output in part.outputs):
        if "text/markdown" in output.get("data", {}):  # a rate and its error stay on one line
            output.data["text/markdown"] = output.data["text/markdown"].replace(" ± ", "\u00a0±\u00a0")
    if hides_code(cell):
        cell.metadata["tags"] = [*tags(cell), "remove-input"]
    elif "solution" in tags(cell):
        cell.metadata["tags"] = [*tags(cell), "hide-input"]
        prompts = {"code_prompt_show": "Show the solution", "code_prompt_hide": "Hide the solution"}
        cell.metadata.setdefault("mystnb", {}).update(prompts)
    cell.source = code_of(cell)
    return parts


def link_line(
    links: list[str],  # markdown
) -> str:
    "A paragraph of links, or nothing."
    return "{.page-links}\n" + " ".join(links) if links else ""


def links_above(
    notebook: NotebookNode,  # as committed
    page: str,  # such as 01_world/01_scenes.ipynb
    place: badges.Project | None,
) -> str:
    "The notebook to take along, without solutions where it has some, and the badges."
    exercises = any("solution" in tags(cell) for cell in notebook.cells)
    label = "Download this notebook" + exercises * " without solutions"
    return link_line([f"{{download}}`{label} </downloads/{page}>`", *badges.links(page, place, True)])


def links_below(
    page: str,  # such as 01_world/01_scenes.ipynb
    place: badges.Project | None,
) -> str:
    "Where terms are explained, and where the page can be changed."
    glossary = [] if page == GLOSSARY else [f"[Look up a term in the glossary](/{GLOSSARY})"]
    return link_line([*glossary, *badges.links(page, place, False)])


def with_links(
    notebook: NotebookNode,  # as readers of the site see it; changed in place
    above: str,  # a paragraph below the title and its line
    below: str,  # the last paragraph
) -> NotebookNode:  # the same notebook
    "A page with its links."
    for cell in notebook.cells[:1]:
        cell.source = re.sub(r"(?m)\A# .+(\n+> .+)?$", lambda head: f"{head[0]}\n\n{above}", cell.source)
    notebook.cells += [new_markdown_cell(below)] if below else []
    return notebook


def lesson(
    notebook: NotebookNode,  # as committed
    address: dict[str, str],  # see `anchors`
) -> NotebookNode:  # as readers of the site see it
    "A notebook without hidden cells and directives, with links to the reference."
    cells: list[NotebookNode] = []
    before = ""
    for cell in notebook.cells:
        if is_hidden(cell):
            continue
        if cell.cell_type == "code":
            cells += shown_code(cell, before)
            continue
        before = cell.source
        cell.source = linked(cell.source, address)
        cells.append(cell)
    return new_notebook(cells=cells, metadata=notebook.metadata)


def contents(
    names: list[str],  # modules
) -> str:  # markdown
    "Tables of contents: a chapter each, then the reference."
    chapters = {
        title: [page.relative_to(NBS).with_suffix("").as_posix() for page in pages]
        for title, pages in reading_order().items()
    }
    tables = {**chapters, "To play with": ["live"], "Reference": [f"api/{name}" for name in names]}
    trees = [
        f"```{{toctree}}\n:caption: {c}\n:hidden:\n\n" + "\n".join(e) + "\n```"
        for c, e in tables.items()
        if e
    ]
    return "\n\n".join(trees)


def write_lessons(
    source: Path,  # folder that Sphinx reads
    address: dict[str, str],  # see `anchors`
    names: list[str],  # modules
) -> None:
    "Put every notebook in its place; the index, or a bare title, carries the tables of contents."
    place = badges.project()
    for path in notebooks():
        page = path.relative_to(NBS).as_posix()
        target, download = source / page, source / "downloads" / page
        target.parent.mkdir(exist_ok=True)
        download.parent.mkdir(parents=True, exist_ok=True)
        above, below = links_above(read(path), page, place), links_below(page, place)
        nbformat.write(with_links(lesson(read(path), address), above, below), target)
        write(without_solutions(read(path)), download)
    shutil.copytree(NBS / "images" / "diagrams", source / "images" / "diagrams", dirs_exist_ok=True)
    index = source / "index.ipynb"
    start = read(index) if index.exists() else new_notebook(cells=[new_markdown_cell("# t2i_learn")])
    start.cells.append(new_markdown_cell(contents(names)))
    nbformat.write(start, index)


LIVE = (
    "forward",
    "stable_forward",
    "stable_distribution",
    "plane",
    "reverse",
)  # the widgets that show all they can without a kernel
LIVE_PAGE = """# Without a kernel

Five of the course's widgets, each a file of its own that your browser runs: nothing is installed, nothing is asked of another machine.
*Forward process*, the same *with stable noise*, *Stable laws* and *Diffusion in the plane* work everything out in the page. *Reverse process* shows a recording of the model's own run;
to type another prompt, open its notebook. Every control can be reached with Tab and moved with the arrow keys.

{widgets}

## Pictures of all of them

{shots}

```{{raw}} html
<style>
  iframe.live {{ width: 100%; height: 900px; border: 1px solid var(--color-background-border); border-radius: 4px; }}
  body[data-theme="light"] iframe.live {{ color-scheme: light; }}
  body[data-theme="dark"] iframe.live {{ color-scheme: dark; }}
</style>
<script>
  addEventListener("message", ({{ data, source }}) => {{
    const frame = [...document.querySelectorAll("iframe.live")].find((f) => f.contentWindow === source);
    if (frame && data && Number.isFinite(data.height)) frame.style.height = `${{Math.min(3000, data.height + 30)}}px`;
  }});
</script>
```
"""


def write_live(
    source: Path,  # folder that Sphinx reads
) -> None:
    "The page on which widgets live without a kernel, and pictures of every widget in light and in dark."
    folder, shots = source / "_extra" / "live", ROOT / "nbs" / "images" / "widgets"
    folder.mkdir(parents=True)
    frame = '## {title}\n\n```{{raw}} html\n<iframe class="live" src="live/{name}.html" title="{title}"></iframe>\n```'
    widgets = [frame.format(name=name, title=title) for name, title in live.write(folder, LIVE).items()]
    shown = []
    for picture in sorted(shots.glob("*.png")):
        name, _, scheme = picture.stem.rpartition("-")
        shown.append(
            f"```{{image}} images/widgets/{picture.name}\n:alt: The widget {name}, {scheme}\n:class: only-{scheme}\n```"
        )
    shutil.copytree(shots, source / "images" / "widgets", dirs_exist_ok=True)
    text = LIVE_PAGE.format(widgets="\n\n".join(widgets), shots="\n\n".join(shown))
    (source / "live.md").write_text(text, encoding="utf-8")


def lesson_of(
    name: str,  # module without the package's name
) -> str:
    "Path of the notebook that exports a module."
    pages = [p.relative_to(ROOT / "nbs") for p in notebooks()]
    return next(
        p.as_posix()
        for p in pages
        if re.sub(r"(^|/)\d+_", r"\1", p.as_posix()) == f"{name.replace('.', '/')}.ipynb"
    )


def write_source(
    source: Path,  # folder that Sphinx reads, empty
) -> None:
    "Write everything the site is made from."
    modules_by_name = {name: importlib.import_module(f"t2i_learn.{name}") for name in modules()}
    resolve_annotations(modules_by_name.values())
    (source / "api").mkdir()
    (source / "_static").mkdir()
    for name, module in modules_by_name.items():
        (source / "api" / f"{name}.md").write_text(reference(module, lesson_of(name)), encoding="utf-8")
    write_live(source)
    write_lessons(source, anchors(modules_by_name), list(modules_by_name))
    script = next(f for f in files("sphinx-mathjax-offline") or [] if f.name == MATHJAX)
    shutil.copy(script.locate(), source / "_static" / MATHJAX)
    for name in (SCRIPT, "site.css"):
        shutil.copy(SITE / name, source / "_static" / name)


def check_target(
    out: Path,  # where the site is to go
) -> None:
    "Insist on a place that is new, empty, or holds a site of ours: what stood there goes."
    inventory = out / "objects.inv"  # Sphinx writes the project's name into its head
    ours = f"# Project: {SETTINGS['project']}\n".encode()
    if inventory.is_file() and ours in inventory.read_bytes()[:200]:
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SystemExit(f"{out} holds something else than this site: choose a new folder for --out.")


def main(out: Annotated[Path, typer.Option(help="where the site goes")] = ROOT / "_docs") -> None:
    "Build the site; a broken link or an unknown name in it is an error, and the old site stays."
    sys.path.insert(0, str(ROOT))
    out = out.resolve()
    check_target(out)
    with tempfile.TemporaryDirectory() as folder:
        source, doctrees, built = (Path(folder, name) for name in ("source", "doctrees", "site"))
        source.mkdir()
        write_source(source)
        site = Sphinx(
            str(source),
            None,
            str(built),
            str(doctrees),
            "html",
            SETTINGS,
            status=None,
            warningiserror=True,
        )
        site.build()
        if site.statuscode:
            raise typer.Exit(1)
        if out.exists():
            shutil.rmtree(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(built, out)
    typer.echo(f"Open {out / 'index.html'}")


if __name__ == "__main__":
    typer.run(main)
