"Pictures of one's own: folders, tables and data sets as they are found, every fault by name, batches that can be asked for again."

import csv
import io
import itertools
import json
import os
import random
import re
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch
from PIL import Image
from torch import nn

from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.files import data_path, open_image
from t2i_learn.core.learner import Learner
from t2i_learn.diffusion.text_to_image import DIFFUSION_ROUNDS
from t2i_learn.pictures import datasets as pictures
from t2i_learn.pictures.datasets import (
    FAULT_KINDS,
    CaptionedPictures,
    ScanRules,
    contact_sheet,
    epoch_order,
    fit_picture,
    load_hub_dataset,
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    "Scans are kept in the test's own folder."
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))


def picture(seed, size=(40, 40), mode="RGB"):
    "Coarse noise, different for each seed."
    rng = np.random.default_rng(seed)
    channels = {"RGB": 3, "L": 1, "RGBA": 4}[mode]
    levels = rng.integers(0, 256, (5, 5, channels), dtype=np.uint8).squeeze()
    return Image.fromarray(levels).resize(size, Image.Resampling.NEAREST)


def png(image, **options):
    "A picture's file."
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def write_folder(folder, captions):
    "A PNG and a text file for each caption."
    folder.mkdir(parents=True, exist_ok=True)
    for number, caption in enumerate(captions):
        (folder / f"{number:03}.png").write_bytes(png(picture(number)))
        (folder / f"{number:03}.txt").write_text(caption, encoding="utf-8")
    return folder


def write_metadata(folder, rows):
    "A table of names and captions."
    with open(folder / "metadata.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["file_name", "caption"])
        table.writeheader()
        table.writerows({"file_name": name, "caption": caption} for name, caption in rows)


# --- the report before training

TEN_WAYS = (
    *("no caption", "no picture", "damaged", "other format", "too small", "blank", "duplicate"),
    *("animated", "transparent", "long caption"),
)


def spoil(folder, rows, kind, name):
    "Spoil a picture of a folder in one way."
    path = folder / name
    if kind == "no caption":
        rows[name] = " "
    elif kind == "no picture":
        path.unlink()
    elif kind == "damaged":
        path.write_bytes(path.read_bytes()[:90])
    elif kind == "other format":
        path.unlink()
        path.with_suffix(".heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
        rows[path.with_suffix(".heic").name] = rows.pop(name)
    elif kind == "too small":
        path.write_bytes(png(picture(300 + int(path.stem), (15, 40))))
    elif kind == "blank":
        path.write_bytes(png(Image.new("RGB", (40, 40), "white")))
    elif kind == "duplicate":
        path.write_bytes((folder / "000.png").read_bytes())
    elif kind == "animated":
        frames = [picture(first + int(path.stem)) for first in (500, 800)]
        path.write_bytes(png(frames[0], save_all=True, append_images=[frames[1]]))
    elif kind == "transparent":
        clear = picture(int(path.stem), mode="RGB").convert("RGBA")
        clear.paste((0, 0, 0, 0), (0, 0, 20, 40))
        path.write_bytes(png(clear))
    elif kind == "long caption":
        rows[name] = "red heart " * 40


def make_spoilt_folder(folder):
    "200 pictures, two spoilt in each of ten ways; what is wrong with which."
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}.png").write_bytes(png(picture(number)))
    rows = {f"{number:03}.png": f"a thing of kind {number % 7}" for number in range(200)}
    wrong = {}
    for place, number in enumerate(random.Random(5).sample(range(1, 200), 20)):
        kind = TEN_WAYS[place // 2]
        name = f"{number:03}.png"
        spoil(folder, rows, kind, name)
        wrong[name.replace(".png", ".heic") if kind == "other format" else name] = kind
    write_metadata(folder, rows.items())
    return wrong


def test_twenty_bad_pictures_in_ten_ways_are_all_named_and_the_rest_is_training_data(tmp_path):
    wrong = make_spoilt_folder(tmp_path / "own")
    strict = ScanRules(actions=dict.fromkeys(("animated", "transparent", "long caption"), "leave out"))
    data = CaptionedPictures(tmp_path / "own", rules=strict)
    report = data.report
    assert {finding.name: finding.kind for finding in report.findings} == wrong
    assert len(report.findings) == 20 and report.counts == dict.fromkeys(TEN_WAYS, 2)
    assert report.total == 200 and report.used == len(data) == 180
    assert all(name in "\n".join(report.lines()) for name in wrong)
    assert all(finding.action == "left out" and finding.detail for finding in report.findings)
    used = {data[number]["name"] for number in range(len(data))}
    assert not used & {*wrong} and len(used) == 180


def test_what_can_be_mended_is_used_unless_asked_otherwise(tmp_path):
    make_spoilt_folder(tmp_path / "own")
    data = CaptionedPictures(tmp_path / "own")
    assert len(data) == 186 and data.report.total == 200
    actions = {finding.kind: finding.action for finding in data.report.findings}
    assert actions["transparent"] == "is laid over white" and actions["damaged"] == "left out"
    rows = {data[number]["name"]: data[number] for number in range(len(data))}
    kinds = {finding.kind: finding.name for finding in data.report.findings}
    assert rows[kinds["transparent"]]["image"].getpixel((3, 3)) == (255, 255, 255)
    cut = rows[kinds["long caption"]]["caption"]
    assert cut.startswith("red heart red") and len(cut) < 300
    learner = Learner(Guess(), data.batches(16, 32), guess_loss, lr=0.1).fit(2)
    assert learner.loss < 2


def one_row(value, caption="a thing"):
    "A data set of one good row and another."
    return [{"image": picture(1), "caption": "good"}, {"image": value, "caption": caption}]


ODD_ROWS = {
    "no picture": (None, "a thing"),
    "no caption": (picture(2), None),
    "no text": (picture(2), 7),
    "blank captions": (picture(2), ["", "  "]),
    "damaged": (b"not a picture", "a thing"),
    "empty": (b"", "a thing"),
    "a number": (12, "a thing"),
    "an odd array": (np.zeros((3, 4, 5, 6), np.uint8), "a thing"),
    "missing file": ("no/such.png", "a thing"),
    "too large": (png(Image.new("1", (9000, 9000))), "a thing"),
    "too small": (picture(2, (8, 8)), "a thing"),
    "transparent all over": (Image.new("RGBA", (40, 40)), "a thing"),
    "one colour": (Image.new("L", (40, 40), 9), "a thing"),
    "again": (picture(1), "another caption"),
    "narrow": (picture(2, (200, 40)), "a thing"),
    "long word": (picture(2), "ab" * 5000),
}


@pytest.mark.parametrize(("kind", "name"), [
    ("no picture", "no picture"), ("no caption", "no caption"), ("no caption", "no text"),
    ("no caption", "blank captions"), ("damaged", "damaged"), ("damaged", "empty"), ("damaged", "a number"), ("damaged", "an odd array"),
    ("no picture", "missing file"), ("too large", "too large"), ("too small", "too small"),
    ("blank", "transparent all over"), ("blank", "one colour"), ("duplicate", "again"), ("narrow", "narrow"),
    ("long caption", "long word"),
])  # fmt: skip
def test_each_kind_of_fault_is_named(kind, name):
    data = CaptionedPictures(one_row(*ODD_ROWS[name]))
    kinds = [finding.kind for finding in data.report.findings]
    assert kind in kinds and all(finding.name == "row 1" for finding in data.report.findings)
    kept = not FAULT_KINDS[kinds[-1]].leave_out
    assert len(data) == 1 + kept
    assert data.report.lines and "row 1" in str(data.report)


def test_a_kind_can_be_kept_or_left_out():
    rows = one_row(picture(2), None)
    kept = CaptionedPictures(rows, rules=ScanRules(actions={"no caption": "keep"}))
    assert kept.captions == ["good", ""]
    small = one_row(picture(2, (8, 8)))
    assert len(CaptionedPictures(small, rules=ScanRules(min_side=8))) == 2
    narrow = one_row(picture(2, (200, 40)))
    assert len(CaptionedPictures(narrow, rules=ScanRules(actions={"narrow": "leave out"}))) == 1


def test_control_characters_of_names_and_captions_do_not_reach_the_report(tmp_path):
    folder = write_folder(tmp_path / "own", ["good", "bad"])
    (folder / "001.png").rename(folder / "\x1b[31m.png")
    (folder / "001.txt").rename(folder / "\x1b[31m.txt")
    (folder / "\x1b[31m.png").write_bytes(b"x")
    report = CaptionedPictures(folder).report
    assert "\x1b" not in str(report) and report.counts == {"damaged": 1}


# --- where pictures come from


def test_a_folder_with_texts(tmp_path):
    folder = write_folder(tmp_path / "own", ["a red heart", "one\n\nanother  one\n"])
    (folder / "README.txt").write_text("not a caption")
    (folder / "lost.txt").write_text("a caption of nothing")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "002.png").write_bytes(png(picture(9)))
    data = CaptionedPictures(folder)
    assert data.captions == ["a red heart", "one", "another one"]
    found = {finding.name: finding.kind for finding in data.report.findings}
    assert found == {"002.png": "no caption", "lost.txt": "no picture"}


def test_a_folder_with_classes(tmp_path):
    for number, name in enumerate(["red_apple", "old-boat", "train/cat"]):
        (tmp_path / "own" / name).mkdir(parents=True)
        (tmp_path / "own" / name / "1.png").write_bytes(png(picture(number)))
    data = CaptionedPictures(tmp_path / "own", template="a picture of a {label}")
    assert sorted(data.captions) == [
        f"a picture of a {name}" for name in ("cat", "old boat", "red apple")
    ]


@pytest.mark.parametrize("channels", [(), (3,)])
def test_arrays_are_pictures(channels):
    levels = np.random.default_rng(0).integers(0, 256, (20, 30, *channels), np.uint8)
    data = CaptionedPictures([{"image": levels, "caption": "x"}])
    assert data[0]["image"].size == (30, 20) and data[0]["image"].mode == "RGB"


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_folder_with_a_table(tmp_path, kind):
    folder = write_folder(tmp_path / "own" / "train", ["wrong"] * 3)
    rows = [("000.png", "first"), ("000.png", "again"), ("./001.png", "second, with a comma")]
    rows += [("../../escape.png", "outside"), ("", "nothing")]
    if kind == "csv":
        write_metadata(folder, rows)
    else:
        lines = [json.dumps({"file_name": name, "caption": caption}) for name, caption in rows]
        (folder / "metadata.jsonl").write_text("\n".join([*lines, "{damaged"]), encoding="utf-8")
    data = CaptionedPictures(tmp_path / "own")
    assert data.captions == ["first", "again", "second, with a comma"]
    found = {finding.name: finding.kind for finding in data.report.findings}
    assert found["train/002.png"] == "no caption"
    assert sum(kind == "unreadable row" for kind in found.values()) == (2 if kind == "csv" else 3)


def test_rows_of_a_table_that_lack_something(tmp_path):
    folder = write_folder(tmp_path / "own", ["x"] * 3)
    lines = ['{"file_name": 5, "caption": "x"}', '{"file_name": "000.png"}', "[" * 10**5]
    lines += ['{"file_name": "001.png", "caption": ["one", 3, null, "two"]}', '{"caption": "y"}']
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    data = CaptionedPictures(folder)
    assert data.captions == ["one", "two"]
    assert data.report.counts == {"unreadable row": 3, "no caption": 2}
    assert sorted(f.name for f in data.report.findings if f.kind == "unreadable row") == [
        f"metadata.jsonl, line {k}" for k in (1, 3, 5)
    ]


def test_files_that_are_none(tmp_path):
    folder = write_folder(tmp_path / "own", ["x"] * 2)
    for name in ("link", "pipe"):
        (folder / f"{name}.txt").write_text("a thing")
    (folder / "link.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe.png")
    data = CaptionedPictures(folder)
    assert {f.name: f.kind for f in data.report.findings} == {
        "link.png": "no picture",
        "pipe.png": "damaged",
    }


def test_other_columns(tmp_path):
    folder = write_folder(tmp_path / "own", ["x"])
    (folder / "metadata.csv").write_text("picture_of,words\n000.png,two words\n")
    with pytest.raises(ValueError, match=r"no column is called .*there are: picture_of, words"):
        CaptionedPictures(folder)
    data = CaptionedPictures(folder, picture_column="picture_of", caption_column="words")
    assert data.captions == ["two words"] and data.words == ["two", "words"]


def write_parquet(path, rows, **options):
    "A table as the hub has it."
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), path, **options)
    return path


def table_rows(count, first=0):
    "Pictures as bytes, with their captions."
    return [
        {"image": {"bytes": png(picture(first + k)), "path": None}, "text": f"number {first + k}"}
        for k in range(count)
    ]


def test_parquet_files(tmp_path):
    one = write_parquet(tmp_path / "own" / "train-0.parquet", table_rows(5), row_group_size=2)
    write_parquet(tmp_path / "own" / "train-1.parquet", table_rows(3, 5))
    write_parquet(tmp_path / "own" / "test-0.parquet", table_rows(2, 8))
    assert CaptionedPictures(one).captions == [f"number {k}" for k in range(5)]
    assert len(CaptionedPictures(tmp_path / "own")) == 8
    test = CaptionedPictures(tmp_path / "own", split="test")
    assert test.captions == ["number 8", "number 9"] and test[0]["name"] == "test-0.parquet, row 0"


def hub_dataset(tmp_path):
    "A data set with classes, as `datasets` opens it."
    from datasets import ClassLabel, Dataset, Features, Image as ImageFeature

    features = Features({"image": ImageFeature(), "label": ClassLabel(names=["red_apple", "pear"])})
    rows = {"image": [picture(k) for k in range(6)], "label": [0, 1, 0, 1, 0, 1]}
    return Dataset.from_dict(rows, features)


def test_data_sets_of_the_hub_by_name_and_open(tmp_path, monkeypatch):
    import datasets

    dataset = hub_dataset(tmp_path)
    (tmp_path / "local").mkdir()
    dataset.to_parquet(tmp_path / "local" / "train.parquet")
    loaded = load_hub_dataset(str(tmp_path / "local"), "train")
    real = datasets.load_dataset
    monkeypatch.setattr(
        datasets, "load_dataset", lambda name, **options: real(str(tmp_path / "local"), **options)
    )
    wanted = ["a red apple", "a pear"] * 3
    for source in (dataset, loaded, "somebody/fruit", loaded.to_iterable_dataset()):
        assert CaptionedPictures(source, template="a {label}").captions == wanted
    dataset.save_to_disk(tmp_path / "saved")
    assert CaptionedPictures(tmp_path / "saved", template="a {label}").captions == wanted
    both = datasets.DatasetDict({"train": dataset, "test": dataset.select([0])})
    assert len(CaptionedPictures(both, split="test")) == 1


def test_what_passes_is_a_data_set(tmp_path):
    from datasets import Dataset

    data = CaptionedPictures(table_rows(4))
    assert isinstance(data.dataset, Dataset) and data.dataset.column_names == [
        "name",
        "image",
        "captions",
    ]
    assert data.dataset[2]["image"].size == (40, 40) and data.dataset[2]["captions"] == ["number 2"]
    assert CaptionedPictures(data.dataset).fingerprint == data.fingerprint, "and can be read again"


SOURCES = {
    "a folder that is not there": (lambda f: f / "none", "there is no folder or file"),
    "an empty folder": (lambda f: f, "holds no picture"),
    "a file of another kind": (lambda f: f / "x.txt", "neither a folder nor a .parquet file"),
    "a name that nobody has": (lambda f: "nobody/nothing", "no data set of this name could be loaded"),
    "no Parquet file": (
        lambda f: f / "x.parquet",
        "is no Parquet file, or it is damaged .*: put a good copy back",
    ),
    "a number": (lambda f: 7, "training data is a folder"),
    "no rows": (lambda f: [], "none of 0 candidates"),
    "rows that are none": (lambda f: [1, "x"], r"none of 2 candidates .*2 unreadable row"),
    "rows without captions": (lambda f: [{"image": picture(1)}], "no column is called captions"),
    "only bad rows": (lambda f: one_row(b"x")[1:], "1 damaged"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_cannot_be_read_is_a_sentence(tmp_path, name):
    (tmp_path / "x.txt").write_text("x")
    if name == "no Parquet file":
        (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    make, sentence = SOURCES[name]
    with pytest.raises(ValueError, match=sentence) as caught:
        CaptionedPictures(make(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("options", "sentence"), [
    ({"fit": "squash"}, "there is no fit 'squash'"), ({"template": "a picture"}, "a template holds"),
    ({"caption_column": "txet"}, "there is no column 'txet': did you mean 'text'"),
])  # fmt: skip
def test_options_that_make_no_sense_are_a_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        CaptionedPictures(table_rows(2), **options)


# --- as the project's one decoder sees them


def test_pictures_are_upright_on_white_and_of_eight_bits(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    wide = picture(1, (100, 60))
    deep = Image.fromarray(np.linspace(0, 65535, 1600).reshape(40, 40).astype(np.uint16))
    clear = Image.new("RGBA", (40, 40), (0, 0, 255, 0))
    clear.paste((0, 0, 255, 255), (0, 0, 20, 40))
    rows = [(png(wide, exif=turned), "upright"), (png(deep), "deep"), (png(clear), "clear")]
    data = CaptionedPictures([{"image": image, "caption": caption} for image, caption in rows])
    assert data[0]["image"].size == (60, 100)
    assert abs(data[1]["image"].getpixel((20, 20))[0] - 131) < 4
    assert data[2]["image"].getpixel((30, 20)) == (255, 255, 255)


def test_large_photographs_are_stored_small(tmp_path):
    buffer = io.BytesIO()
    picture(3, (900, 600)).save(buffer, "JPEG", exif=b"Exif\0\0secret place")
    data = CaptionedPictures([{"image": buffer.getvalue(), "caption": "x"}])
    assert data[0]["image"].size == (384, 256) and data.report.sizes == {"900×600": 1}
    stored = (data.folder / "pictures.arrow").read_bytes()
    assert b"secret place" not in stored and len(stored) < 60_000


def test_mean_and_spread_are_those_of_the_pixels():
    data = CaptionedPictures(table_rows(20))
    pixels = np.asarray(data.pixels(64)) / 127.5 - 1
    assert np.allclose(data.mean, pixels.mean((0, 1, 2)), atol=1e-3)
    assert abs(data.sd - np.sqrt(((pixels - data.mean) ** 2).mean())) < 1e-3


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(32, 32), (24, 48), (1, 1)])
def test_every_fit_gives_the_size_that_is_asked_for(fit, size):
    for shape in ((40, 40), (40, 90), (90, 40), (7, 3)):
        assert fit_picture(picture(1, shape), size, fit).size == size[::-1]


# --- the cache


def test_a_second_start_opens_the_cache(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "own", ["one", "two", "three"])
    first = CaptionedPictures(folder)
    monkeypatch.setattr(pictures, "open_image", None)  # nothing is decoded again
    second = CaptionedPictures(folder)
    assert second.report == first.report and second.captions == first.captions


def test_a_change_is_noticed(tmp_path):
    folder = write_folder(tmp_path / "own", ["one", "two", "three"])
    before = CaptionedPictures(folder)
    (folder / "001.txt").write_text("another caption")
    after = CaptionedPictures(folder)
    assert after.captions[1] == "another caption" and after.fingerprint != before.fingerprint
    padded = CaptionedPictures(folder, fit="pad", rules=ScanRules(min_side=20))
    assert padded.folder != after.folder
    shutil.copytree(folder, tmp_path / "copy")
    assert CaptionedPictures(tmp_path / "copy").fingerprint == after.fingerprint, "what counts is inside"


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"total": 3}', b"\xff"])
def test_a_damaged_cache_is_made_anew(tmp_path, damage):
    folder = write_folder(tmp_path / "own", ["one", "two"])
    report = CaptionedPictures(folder).report
    (CaptionedPictures(folder).folder / "report.json").write_bytes(damage)
    assert CaptionedPictures(folder).report == report


def test_a_scan_that_is_stopped_leaves_nothing(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "own", ["one", "two"])

    def stop(*rest):
        raise KeyboardInterrupt

    monkeypatch.setattr(pictures, "fit_picture", stop)
    with pytest.raises(KeyboardInterrupt):
        CaptionedPictures(folder)
    assert [*(tmp_path / "cache" / "pictures").iterdir()] == []


def test_two_processes_may_make_the_same_scan(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "own", ["one", "two"])
    real = pictures._write_arrow

    def write(path, rows):
        real(path, rows)
        monkeypatch.setattr(pictures, "_write_arrow", real)
        CaptionedPictures(folder)  # the other one is faster
        raise OSError(39, "Directory not empty")

    monkeypatch.setattr(pictures, "_write_arrow", write)
    assert CaptionedPictures(folder).captions == ["one", "two"]


def test_rows_in_memory_leave_no_cache(tmp_path):
    data = CaptionedPictures(table_rows(3))
    folder = data.folder
    assert folder.exists() and not (tmp_path / "cache").exists()
    del data
    assert not folder.exists()


# --- batches


class Guess(nn.Module):
    "A picture for every caption, and noise to be drawn with: enough to see whether two runs are the same."

    def __init__(self, side=32):
        super().__init__()
        self.picture = nn.Parameter(torch.zeros(3, side, side))


def guess_loss(model, batch, generator):
    weight = torch.tensor([1 + len(caption) % 5 for caption in batch.captions]).view(-1, 1, 1, 1)
    noise = torch.randn(batch.pictures.shape, generator=generator)
    return (weight * (model.picture - batch.pictures - 0.1 * noise).square()).mean()


@pytest.mark.parametrize("batch_size", [1, 4, 7, 20])
def test_each_picture_comes_once_an_epoch(batch_size):
    data = CaptionedPictures(table_rows(7))
    stream = data.batches(batch_size, 32, seed=3)
    captions = [c for number in range(42 // batch_size + 1) for c in stream(number).captions]
    for epoch in range(42 // 7):
        assert sorted(captions[7 * epoch : 7 * epoch + 7]) == [f"number {k}" for k in range(7)]
    assert captions[:7] != captions[7:14], "in another order"
    assert captions[:7] != data.batches(7, 32, seed=4)(0).captions


def test_pictures_and_captions_stay_together():
    data = CaptionedPictures(table_rows(9))
    batch = data.batches(9, (24, 36), seed=1)(5)
    assert batch.pictures.shape == (9, 3, 24, 36)
    for tensor, caption in zip(batch.pictures, batch.captions, strict=True):
        number = int(caption.split()[1])
        wanted = np.asarray(fit_picture(picture(number), (24, 36))) / 127.5 - 1
        assert np.allclose(tensor.permute(1, 2, 0).numpy(), wanted, atol=1e-5)


def test_several_captions_come_in_turn():
    rows = [{"image": picture(k), "captions": [f"{k} a", f"{k} b", f"{k} c"]} for k in range(4)]
    stream = CaptionedPictures(rows).batches(4, 32)
    seen = [stream(epoch).captions for epoch in range(3)]
    assert sorted(itertools.chain(*seen)) == sorted(
        f"{k} {letter}" for k in range(4) for letter in "abc"
    )
    assert len({caption.split()[1] for caption in seen[0]}) > 1, "not all begin with their first"


def test_the_order_of_an_epoch_is_a_permutation():
    for epoch in range(5):
        assert sorted(epoch_order(50, 1, epoch)) == [*range(50)]
    assert [*epoch_order(50, 1, 0)] != [*epoch_order(50, 1, 1)] != [*epoch_order(50, 2, 1)]


def test_some_pictures_and_two_parts():
    data = CaptionedPictures(table_rows(20))
    training, held_out = data.divide(0.2, seed=1)
    assert (len(training), len(held_out)) == (16, 4)
    assert sorted(training.captions + held_out.captions) == sorted(data.captions)
    assert len({data.fingerprint, training.fingerprint, held_out.fingerprint}) == 3
    assert {*training.batches(16, 32)(0).captions} == {*training.captions}
    assert held_out.select([1])[0]["caption"] == held_out.captions[1]
    for share in (0, 1, 1.5):
        with pytest.raises(ValueError, match="leaves no two parts"):
            data.divide(share)
    with pytest.raises(IndexError, match="there are 4 pictures"):
        held_out[4]


def test_a_contact_sheet_shows_what_is_used():
    data = CaptionedPictures(table_rows(10))
    sheet = contact_sheet(data, 4, side=16, columns=2)
    assert sheet.size == (33, 33)
    assert sheet.getpixel((8, 8)) == fit_picture(picture(0), 16).getpixel((8, 8))


def test_a_training_goes_on_in_the_middle_of_an_epoch(tmp_path):
    data = CaptionedPictures(table_rows(30))

    def learner(*callbacks, source=data, seed=0):
        return Learner(Guess(), source.batches(7, 32, seed), guess_loss, callbacks, lr=0.05)

    whole = learner().fit(9).model.picture
    path = tmp_path / "run.safetensors"
    learner(Checkpoint(path, every=2)).fit(4)
    assert (4 * 7) % 30, "this is in the middle"
    assert torch.equal(learner(Checkpoint(path)).fit(9).model.picture, whole), "to the bit"
    others = [
        learner(Checkpoint(path), source=CaptionedPictures(table_rows(30, 1))),
        learner(Checkpoint(path), seed=1),
    ]
    for other in others:
        with pytest.raises(ValueError, match=r"written by another run \(data is"):
            other.fit(12)


@pytest.mark.trains
def test_a_configuration_of_a_model_takes_them_as_they_are():
    data = CaptionedPictures(table_rows(12))
    own = DIFFUSION_ROUNDS["smoke"][0]
    config = own.config | {"mean": data.mean, "std": data.sd, "words": data.words}
    learner, _ = replace(own, mix=data, pretrain_mix=data, config=config).learner()
    learner.fit(2)
    assert np.isfinite(learner.loss) and data.fingerprint in learner.data_facts["data"]


def test_the_emoji_that_ship_are_read():
    data = CaptionedPictures(data_path("emoji/val.parquet"))
    assert not data.report.counts.keys() - {"duplicate"} and {"noto", "fluent", "blob"} <= {*data.words}
    assert data.report.sizes == {"64×64": len(data)} and len(data.captions) > 2 * len(data)
    assert re.fullmatch(r"[0-9a-f]{16}", data.fingerprint)
    assert open_image(data[0]["image"]).size == (64, 64) and os.path.exists(data.folder)
