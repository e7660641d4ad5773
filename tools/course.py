"""In which order the course is read, and the table of the index that says so.

python tools/course.py            write the table into nbs/index.ipynb
python tools/course.py --check    only say whether it is what the pages say

Modules are imported in the order of folders and numbers. Lessons are read in this order: the first model comes before
everything, and how the tools work comes last. Title and line of a row are those of its page. Its minutes are an estimate,
from the words and the lines of code that there are to read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from nbs import ROOT, code_cells, read, write

NBS = ROOT / "nbs"
INDEX = NBS / "index.ipynb"
TABLE_CELL = "contents"  # of the index
CHAPTERS = {  # title -> folder of nbs/, its notebooks in the order of their numbers
    "1 · World": "01_world",
    "2 · Text": "02_text",
    "3 · GAN": "03_gan",
    "4 · Diffusion": "04_diffusion",
    "5 · Stable diffusion, literally": "05_stable",
    "6 · Pictures of your own": "06_pictures",
    "7 · Words from a picture": "07_language",
    "8 · Editing": "08_editing",
    "Widgets": "widgets",
    "How the tools work": "00_core",
}
SHORT_ROUTE = (
    "first_model",
    *(
        f"04_diffusion/{page}"
        for page in (
            "02_forward",
            "07_unet",
            "09_sampling",
            "13_guidance",
            "15_text_to_image",
            "16_shipped_model",
        )
    ),
)
MISSION_ROUTE = (
    *SHORT_ROUTE,
    *("01_world/01_scenes", "01_world/03_captions", "02_text/01_tokenizer", "02_text/04_encoder", "02_text/06_layout"),
    *("03_gan/01_losses", "03_gan/04_points", "03_gan/05_networks", "03_gan/08_picture_losses", "03_gan/10_text_to_image"),
    *("04_diffusion/01_schedules", "04_diffusion/12_bound"),
    *(f"05_stable/{page}" for page in ("01_distribution", "03_process", "06_likelihood", "09_two_stage", "10_drafts", "12_refinement")),
)  # fmt: skip
READ_AFTER = {
    "05_stable/17_fitted_schedule": "05_stable/11_joint_training",
    "05_stable/18_few_calls": "05_stable/12_refinement",
    "05_stable/19_from_nothing": "05_stable/12_refinement",
}  # where a number says another place
WORDS, LINES = 130, 12  # read in a minute


def reading_order() -> dict[str, list[Path]]:  # title of a chapter -> its notebooks
    "Every notebook but the index, once."
    place = lambda path: (READ_AFTER.get(page_name(path), page_name(path)), page_name(path))
    chapters = {
        title: sorted((NBS / folder).glob("[!._]*.ipynb"), key=place)
        for title, folder in CHAPTERS.items()
    }
    return {
        "Start here": [NBS / "first_model.ipynb"],
        **chapters,
        "To look up": [NBS / "glossary.ipynb", NBS / "what_we_tried.ipynb"],
    }


def page_name(path: Path) -> str:  # such as "01_world/01_scenes"
    "How the routes name a page."
    return path.relative_to(NBS).with_suffix("").as_posix()


def minutes(path: Path) -> int:
    "How long a page takes to read, to five minutes."
    notebook = read(path)
    text = " ".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    lines = "\n".join(cell.source for cell in code_cells(notebook)).count("\n")
    return 5 * max(1, round((len(text.split()) / WORDS + lines / LINES) / 5))


def title_and_line(path: Path) -> tuple[str, str]:
    "What a page calls itself, and the line below."
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    found = re.search(r"^# (.+)\n+> (.+)$", text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"{page_name(path)} needs a title, `# …`, and a line below it, `> …`.")
    return found[1], found[2]


def row(path: Path) -> str:
    "A page's row in the table."
    name = page_name(path)
    title, line = title_and_line(path)
    route = "● ■" if name in SHORT_ROUTE else "■" if name in MISSION_ROUTE else ""
    return f"| [{title}]({name}.ipynb) | {line} | {minutes(path)} | {route} |"


def contents_table() -> str:
    "The table of the index."
    lines = ["| page | what it is about | minutes | route |", "|---|---|---|---|"]
    for chapter, pages in reading_order().items():
        lines += [f"| **{chapter}** | | | |", *map(row, pages)]
    return "\n".join(lines)


def route_minutes(route: tuple[str, ...]) -> int:
    "The minutes of a route together."
    return sum(minutes(NBS / f"{name}.ipynb") for name in route)


def main(
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; exit with 1 if it differs")
    ] = False,
) -> None:
    "Write the table, and print how long the routes take."
    index = read(INDEX)
    cell = next(cell for cell in index.cells if cell.id == TABLE_CELL)
    if check and cell.source != contents_table():
        raise SystemExit("The table of nbs/index.ipynb is old: run `python tools/course.py`.")
    cell.source = contents_table()
    if not check:
        write(index, INDEX)
    print({"short": route_minutes(SHORT_ROUTE), "mission": route_minutes(MISSION_ROUTE)})


if __name__ == "__main__":
    typer.run(main)
