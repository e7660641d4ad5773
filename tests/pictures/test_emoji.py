"The emoji that ship: what the splits promise holds, licences are named, and the script that draws them makes what it says."

import io
import json
import runpy
import tarfile

import numpy as np
import pyarrow.parquet as parquet
import pytest
from PIL import Image
from places import ROOT

SPLITS = ("train", "val", "combo", "test")
STYLES = {"noto": "Apache-2.0", "blob": "Apache-2.0", "fluent": "MIT", "twemoji": "CC-BY-4.0"}
SCRIPT = runpy.run_path(str(ROOT / "data" / "build_emoji.py"))


@pytest.fixture(scope="module")
def rows():
    return {s: parquet.read_table(ROOT / "data" / "emoji" / f"{s}.parquet").to_pylist() for s in SPLITS}


def test_every_picture_is_small_on_white_and_said(rows):
    for row in (row for split in SPLITS for row in rows[split]):
        with Image.open(io.BytesIO(row["image"]["bytes"])) as image:
            assert image.size == (64, 64) and image.mode in ("RGB", "P", "L")
        assert row["license"] == STYLES[row["style"]] and 2 <= len(row["captions"]) <= 3
        assert all(row["style"] in text and row["label"] in text for text in row["captions"])
        assert not [tag for tag in row["tags"] if any(c.isdigit() for c in tag) or tag in ("lol", "omg")]


def test_splits_hold_what_they_promise(rows):
    pairs = {s: {(row["label"], row["style"]) for row in rows[s]} for s in SPLITS}
    labels = {s: {label for label, _ in pairs[s]} for s in SPLITS}
    assert sum(len(pairs[s]) for s in SPLITS) == sum(len(rows[s]) for s in SPLITS) == 5832
    assert not labels["test"] & (labels["train"] | labels["val"] | labels["combo"])
    for split in ("val", "combo"):
        assert labels[split] <= labels["train"] and not pairs[split] & pairs["train"]
    assert {style for _, style in pairs["train"]} == {*STYLES}
    drawings = {s: {row["image"]["bytes"] for row in rows[s]} for s in SPLITS}
    assert not drawings["train"] & (drawings["val"] | drawings["combo"] | drawings["test"])
    words = {word for label in labels["train"] for word in label.lower().split()}
    composed = [label for label in labels["test"] if {*label.lower().split()} <= words]
    assert (len(labels["test"]), len(composed)) == (98, 41)


def test_what_is_left_out(rows):
    labels = {row["label"] for s in SPLITS for row in rows[s]}
    assert not [
        label for label in labels if "flag:" in label or "skin tone" in label or "keycap" in label
    ]
    assert not {"COOL button", "input latin letters", "information"} & labels
    assert {"red apple", "play button", "one o’clock", "red heart"} <= labels


def test_figures_of_the_data_card(rows):
    card = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for split in SPLITS:
        assert f"| {split} | {len(rows[split]):,} |" in card
    for style, spdx in STYLES.items():
        count = sum(row["style"] == style for s in SPLITS for row in rows[s])
        assert f"| {spdx} | {count:,} |" in next(
            line for line in card.splitlines() if line.startswith(f"| {style} ")
        )


def test_all_licences_are_named():
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for style in SCRIPT["STYLES"]:
        name, version = style.package.rsplit("@", 1)
        assert f"{name} {version}" in notice and f'"{style.name}"' in notice
    assert "Copyright (c) Microsoft Corporation" in notice
    assert "creativecommons.org/licenses/by/4.0" in notice
    apache = (ROOT / "data" / "emoji" / "LICENSE.Apache-2.0.txt").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in apache


# --- the script


def write_package(folder, name, files):
    "A package as npm packs it."
    with tarfile.open(folder / name, "w:gz") as tar:
        for path, value in files.items():
            data = json.dumps(value).encode()
            info = tarfile.TarInfo(f"package/{path}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def write_packages(folder):
    "Five packages with a few emoji."
    messages = {
        "groups": [{"order": 4, "message": "food"}, {"order": 9, "message": "flags"}],
        "subgroups": [
            {"order": 1, "key": "fruit", "message": "fruit"},
            {"order": 2, "key": "keycap", "message": "keycap"},
        ],
    }
    apple = {
        "label": "red apple",
        "hexcode": "1F34E",
        "order": 2,
        "tags": ["red", "lol", "fruit", "2nd"],
    }
    pear = {"label": "pear", "hexcode": "1F350-FE0F", "order": 1}
    key = {"label": "keycap: 1", "hexcode": "31", "order": 3}
    flag = {"label": "flag: X", "hexcode": "1F1E6", "order": 4, "group": 9, "subgroup": 1}
    data = [apple | {"group": 4, "subgroup": 1}, pear | {"group": 4, "subgroup": 1}]
    data += [key | {"group": 4, "subgroup": 2}, flag]
    labels = {"en/data.json": data, "en/messages.json": messages}
    write_package(folder, "emojibase-data-17.0.0.tgz", labels)
    icons = {
        "icons": {"red-apple": {"body": "<a/>"}, "p": {"body": "<b/>", "width": 20}},
        "width": 32,
        "height": 32,
    }
    icons["aliases"] = {"pear": {"parent": "p"}}
    for style in SCRIPT["STYLES"]:
        name = style.package.removeprefix("@").replace("/", "-").replace("@", "-")
        chars = {"1f34e": "red-apple", "1f350": "p"} if style.name != "blob" else {}
        write_package(folder, f"{name}.tgz", {"icons.json": icons, "chars.json": chars})


def test_the_script_reads_packages_and_writes_splits(tmp_path, monkeypatch, capsys):
    write_packages(tmp_path)
    drawn = []
    space = SCRIPT["main"].__globals__
    monkeypatch.setitem(space, "draw", lambda svg: drawn.append(svg) or b"%d" % len(drawn))
    monkeypatch.setitem(space, "TARGET", tmp_path / "out")
    SCRIPT["main"](tmp_path)
    rows = [
        row
        for split in SPLITS
        for row in parquet.read_table(tmp_path / "out" / f"{split}.parquet").to_pylist()
    ]
    assert len(rows) == len(drawn) == 8 and {row["label"] for row in rows} == {"red apple", "pear"}
    apple = next(row for row in rows if row["label"] == "red apple" and row["style"] == "blob")
    assert apple["captions"] == ["blob red apple", "red apple in blob style", "blob red apple, fruit"]
    assert apple["tags"] == ["red", "fruit"] and apple["group"] == "food"
    assert 'viewBox="0 0 20 32"' in drawn[0] and "<b/>" in drawn[0], "the pear comes first, by its alias"
    assert "train:" in capsys.readouterr().out


def test_a_held_out_picture_is_not_trained_under_another_label():
    assign = SCRIPT["assign_splits"]
    rows = [
        {"hexcode": f"{k:X}", "style": style, "image": {"bytes": f"{k // 2} {style}".encode()}}
        for k in range(0x1F300, 0x1F500)
        for style in STYLES
    ]
    splits = assign(rows)
    trained = {row["hexcode"] for row in splits["train"]}
    drawings = {name: {row["image"]["bytes"] for row in found} for name, found in splits.items()}
    assert all(len(splits[name]) > 20 for name in SPLITS)
    assert all(row["hexcode"] in trained for name in ("val", "combo") for row in splits[name])
    assert not drawings["train"] & (drawings["val"] | drawings["combo"] | drawings["test"])
    alone = assign(splits["combo"])
    assert not any(alone.values()), "with no other style, a label is not seen"


def test_colours_at_an_edge_are_weighted_by_how_much_they_cover():
    pytest.importorskip("resvg_py")
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 64" width="128" height="128">'
        '<rect x="0" y="0" width="65" height="64" fill="#f00"/></svg>'
    )
    image = np.asarray(Image.open(io.BytesIO(SCRIPT["draw"](svg))).convert("RGB")).astype(int)
    assert image.shape == (64, 64, 3) and tuple(image[32, 10]) == (255, 0, 0)
    assert tuple(image[2, 10]) == (255, 255, 255), "a wide drawing stands in the middle"
    edge = image[32, 32]
    assert edge[0] == 255 and abs(edge[1] - 128) < 4, "half red over white, not darker"
