"""Make data/emoji/*.parquet: emoji in four styles at 64 pixels, with captions, in four splits.

python data/build_emoji.py              asks npm for the packages
python data/build_emoji.py FOLDER       takes them, as `npm pack` writes them (.tgz), from a folder, without network

The pictures are SVG inside JSON, in packages of Iconify; their names and tags are those of emojibase (CLDR). The rasteriser is
an extra of its own: pip install "t2i_learn[emoji]". Left out are flags, skin tones, parts of other emoji, and what is mainly
text (keycaps and buttons with letters): a picture of 64 pixels is too small to learn spelling from. Some drawings serve for
several labels: where one of them is held out, the others are left out of training.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as parquet
import typer
from PIL import Image

from t2i_learn.core.files import write_atomic

TARGET = Path(__file__).resolve().parent / "emoji"
SIDE = 64  # pixels; drawn at twice the size, then averaged
LABELS = "emojibase-data@17.0.0"
LEFT_OUT = (None, 2, 9)  # groups: regional indicators, parts of other emoji, flags
TEXT_SUBGROUPS = ("alphanum", "keycap")
SLANG = (
    "ass aww bae bday bff brb brr bruh bs btw bummed cmon dang dope duh dunno eek ew eww fam fleek fml fosho ftw "
    "geez gotta gtg haha hahaha hehe heyo hm hmm homie idk ily imo jeez jelly jk k legit lit lmao lol meh muah mwah "
    "nah nooo nope oh ok okay omg omw oof ooh oops ouch phew pls rawr rofl roflmao shh slay smh sup swag tbt thx "
    "tmi totes ttfn ttyl turd ugh uh uhh um vs welp whoa woah wow wtf xoxo yay yeah yikes yolo yum yup zzz"
)


class Style(NamedTuple):
    "A set of emoji by one maker."

    name: str  # as captions call it
    package: str  # of npm, with its version
    license: str  # SPDX


STYLES = (
    Style("noto", "@iconify-json/noto@1.2.9", "Apache-2.0"),
    Style("blob", "@iconify-json/noto-v1@1.2.5", "Apache-2.0"),
    Style("fluent", "@iconify-json/fluent-emoji-flat@1.2.6", "MIT"),
    Style("twemoji", "@iconify-json/twemoji@1.2.5", "CC-BY-4.0"),
)

SPLITS = ("train", "val", "combo", "test")
TEXTS = ("label", "group", "subgroup", "hexcode", "style", "license")
STRINGS = pa.list_(pa.string())
TEXT = {"dtype": "string", "_type": "Value"}
FEATURES = {  # by which `datasets` knows the columns
    "image": {"_type": "Image"},
    "captions": {"feature": TEXT, "_type": "List"},
    "tags": {"feature": TEXT, "_type": "List"},
    **dict.fromkeys(TEXTS, TEXT),
}
SCHEMA = pa.schema(
    [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("captions", STRINGS),
        ("tags", STRINGS),
        *((name, pa.string()) for name in TEXTS),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": FEATURES}})},
)


def find_archive(
    package: str,  # such as @iconify-json/noto@1.2.9
    folder: Path,  # where archives lie, or go
) -> Path:
    "A package as npm packs it; npm is asked where the folder does not have it."
    name = package.removeprefix("@").replace("/", "-").replace("@", "-") + ".tgz"
    if not (folder / name).exists():
        command = ["npm", "pack", package, "--silent"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / name


def read_member(
    archive: Path,  # of npm
    name: str,  # of a JSON file in it
) -> Any:
    "A JSON file of a package, read without unpacking the rest."
    with tarfile.open(archive) as tar:
        file = tar.extractfile(f"package/{name}")
        if file is None:
            raise SystemExit(f"{archive} has no {name}: delete it, and run this again.")
        return json.load(file)


def wanted_emoji(
    archive: Path,  # of emojibase-data
) -> list[dict[str, Any]]:  # with group and subgroup as words
    "All emoji that are drawn, in Unicode's order."
    messages = read_member(archive, "en/messages.json")
    groups = {row["order"]: row["message"] for row in messages["groups"]}
    keys = {row["order"]: row["key"] for row in messages["subgroups"]}
    subgroups = {row["order"]: row["message"] for row in messages["subgroups"]}
    emoji = [
        row | {"group": groups[row["group"]], "subgroup": subgroups[row["subgroup"]]}
        for row in read_member(archive, "en/data.json")
        if row.get("group") not in LEFT_OUT and keys[row["subgroup"]] not in TEXT_SUBGROUPS
    ]
    return sorted(emoji, key=lambda row: row["order"])


def plain_code(hexcode: str) -> str:
    "A code point or a sequence, without the mark that asks for colour, as Iconify writes it."
    return "-".join(part for part in hexcode.lower().split("-") if part != "fe0f")


def slug(label: str) -> str:
    "A label as a name of Iconify's."
    return re.sub(r"[^a-z0-9]+", "-", re.sub("[’'“”]", "", label.lower())).strip("-")


def clean_tags(row: dict[str, Any]) -> list[str]:
    "Tags that describe: no digits, no slang, not the label again."
    return [
        tag
        for tag in row.get("tags", ())
        if re.fullmatch(r"[a-z][a-z \-’']*", tag)
        and tag not in SLANG.split()
        and tag != row["label"].lower()
    ]


def captions_of(
    label: str,
    style: str,
    tags: list[str],  # in the order of CLDR
) -> list[str]:  # two or three
    "What is said of a picture: a style is a word like any other."
    said = set(label.lower().split())
    more = [tag for tag in tags if not said & set(tag.split())][:2]
    captions = [f"{style} {label}", f"{label} in {style} style"]
    return captions + ([f"{style} {label}, {', '.join(more)}"] if more else [])


def svg_texts(
    archive: Path,  # of one style
    emoji: list[dict[str, Any]],
) -> dict[str, str]:  # hexcode -> SVG
    "The drawings of a style, by code point where the package knows them, else by name."
    icons = read_member(archive, "icons.json")
    names = {plain_code(code): name for code, name in read_member(archive, "chars.json").items()}
    found = {}
    for row in emoji:
        name = names.get(plain_code(row["hexcode"])) if names else slug(row["label"])
        name = icons.get("aliases", {}).get(name, {}).get("parent", name)
        if icon := icons["icons"].get(name):
            width = icon.get("width", icons["width"])
            height = icon.get("height", icons["height"])
            found[row["hexcode"]] = (
                '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
                f'viewBox="0 0 {width} {height}" width="{2 * SIDE}" height="{2 * SIDE}">{icon["body"]}</svg>'
            )
    return found


def draw(svg: str) -> bytes:  # a PNG file
    "A drawing over white: drawn at twice the size, averaged with colours weighted by how much they cover."
    import resvg_py

    large = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    small = Image.open(io.BytesIO(large)).convert("RGBa").reduce(2).convert("RGBA")
    white = Image.new("RGBA", small.size, "white")
    buffer = io.BytesIO()
    Image.alpha_composite(white, small).convert("RGB").save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def fraction(text: str) -> float:  # in [0, 1)
    "A number that a text always has, as good as drawn."
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def first_split(hexcode: str, style: str) -> str:
    "The split of a picture, if its label is seen in another style."
    code = plain_code(hexcode)
    if fraction(code) < 0.06:
        return "test"
    pair = fraction(f"{code}|{style}")
    return "combo" if pair < 0.06 else "val" if pair < 0.09 else "train"


def assign_splits(
    rows: list[dict[str, Any]],  # with hexcode, style and image
) -> dict[str, list[dict[str, Any]]]:  # split -> its rows
    "Deal rows out: no held-out drawing is trained, and in combo and val, label and style are seen, never together."
    splits: dict[str, list[dict[str, Any]]] = {name: [] for name in SPLITS}
    for row in rows:
        splits[first_split(row["hexcode"], row["style"])].append(row)
    held_out = {row["image"]["bytes"] for name in SPLITS[1:] for row in splits[name]}
    splits["train"] = [row for row in splits["train"] if row["image"]["bytes"] not in held_out]
    trained = {row["hexcode"] for row in splits["train"]}
    for name in ("val", "combo"):
        splits[name] = [row for row in splits[name] if row["hexcode"] in trained]
    return splits


def picture_rows(
    folder: Path,  # where the packages lie
) -> Iterator[dict[str, Any]]:
    "A row a picture, style by style, without its split."
    emoji = wanted_emoji(find_archive(LABELS, folder))
    for style in STYLES:
        drawings = svg_texts(find_archive(style.package, folder), emoji)
        for row in emoji:
            if row["hexcode"] in drawings:
                tags = clean_tags(row)
                facts = {name: row[name] for name in ("label", "group", "subgroup", "hexcode")}
                yield facts | {
                    "image": {"bytes": draw(drawings[row["hexcode"]]), "path": None},
                    "captions": captions_of(row["label"], style.name, tags),
                    "tags": tags,
                    "style": style.name,
                    "license": style.license,
                }


def write_split(
    name: str,  # of the split
    rows: list[dict[str, Any]],
) -> None:
    "Write a file, whole or not at all, and say how large it is."
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows, SCHEMA)
    parquet.write_table(table, sink, compression="zstd", row_group_size=500)
    data = sink.getvalue().to_pybytes()
    write_atomic(TARGET / f"{name}.parquet", data)
    print(f"{name}: {len(rows):,} pictures, {len(data) / 1e6:.1f} MB")


def main(
    folder: Annotated[Path | None, typer.Argument(help="where the packages lie, or go")] = None,
) -> None:
    "Write the four files."
    with tempfile.TemporaryDirectory() as scratch:
        rows = [*picture_rows(folder or Path(scratch))]
    for name, found in assign_splits(rows).items():
        write_split(name, found)


if __name__ == "__main__":
    typer.run(main)
