"Files: replaced whole or not at all, read within bounds, and every picture through one door."

import io
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from places import ROOT
from safetensors.torch import save
from torch import nn

from t2i_learn.core import files
from t2i_learn.core.files import (
    choose,
    data_path,
    describe_value,
    json_text,
    load_model_tensors,
    model_tensors,
    open_image,
    parse_json,
    printable,
    read_bytes,
    read_image_facts,
    read_json,
    read_png_fields,
    read_tensor_header,
    read_tensors,
    read_text,
    replace_folder,
    save_image,
    save_png,
    tensor_mismatch,
    write_atomic,
)


def sentence(*words):
    "An error of one line with these words in this order."
    return pytest.raises(ValueError, match=r"^[^\n\x1b]*" + r"[^\n\x1b]*".join(words) + r"[^\n\x1b]*$")


def leftovers(folder):
    return [file.name for file in folder.iterdir() if file.name.endswith((".part", ".old"))]


def test_a_name_that_is_none_is_answered_with_those_that_are():
    assert choose("b", ("c", "b"), "letter") == "b"
    with sentence("there is no preset 'smok': did you mean 'smoke'", "Known: cpu, smoke"):
        choose("smok", ["smoke", "cpu"], "preset")
    with sentence("there is no x ", "Known: none"):
        choose("\x1b[2J\n", [], "x")


def test_joined_emoji_stay_whole():
    assert printable("👩‍👩‍👧") == "👩‍👩‍👧"


@pytest.mark.parametrize("text", ["\x1b[31m", "a\nb", "\x00", "\u202e", "x" * 10**6])
def test_what_a_terminal_could_act_on_is_shown_as_an_escape(text):
    assert printable(text).isprintable() and len(printable(text)) < 500


ENDLESS = []
ENDLESS.append(ENDLESS)
DEEP = []
for _ in range(100_000):
    DEEP = [DEEP]


ODD = {
    "large": 10**400,
    "larger": -(10**5000),
    "in a list": [10**5000],
    "control": "\x1b[2J\n",
    "lines": torch.zeros(3, 3),
    "endless": ENDLESS,
    "deep": DEEP,
}


@pytest.mark.parametrize("name", ODD)
def test_any_value_is_shown_in_a_line(name):
    shown = describe_value(ODD[name])
    assert shown.isprintable() and 3 < len(shown) <= 61


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "emoji_label.txt",
            ["there is no file in", "'emoji_label.txt'", "did you mean 'emoji_labels.txt'"],
        ),
        ("nowhere/x", ["there is no file in", "'x'"]),
        ("a\x1b[31m", ["there is no file in"]),
        ("a\x1b[31m/x", ["there is no file in"]),
    ],
)
def test_a_data_file_that_does_not_exist(name, words):
    with sentence(*words):
        data_path(name)


# --- writing


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, error):
    write_atomic(tmp_path / "x", b"old")

    def fails(descriptor):
        raise error

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(type(error)):
        write_atomic(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"old" and leftovers(tmp_path) == []


def test_a_write_that_is_killed_leaves_the_old_file(tmp_path):
    code = "import os, sys; from t2i_learn.core.files import write_atomic; os.fsync = lambda d: os.kill(os.getpid(), 9); write_atomic(sys.argv[1], b'new')"
    write_atomic(tmp_path / "x", b"old")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], timeout=60, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL and (tmp_path / "x").read_bytes() == b"old"


def test_two_writers_never_show_a_reader_half_of_each(tmp_path):
    path, torn = tmp_path / "x", []
    write_atomic(path, b"0" * 50_000)
    writers = [
        threading.Thread(target=lambda d=digit: [write_atomic(path, d * 50_000) for _ in range(40)])
        for digit in (b"1", b"2")
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        data = path.read_bytes()
        torn += [data] if len(set(data)) != 1 or len(data) != 50_000 else []
    assert torn == [] and leftovers(tmp_path) == []


def test_no_link_is_followed(tmp_path, monkeypatch):
    "Neither one with the temporary name, which nobody can foresee, nor the file's own."
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "x").symlink_to(tmp_path / "theirs")
    write_atomic(tmp_path / "x", b"mine")
    assert (tmp_path / "theirs").read_bytes() == b"theirs" and (tmp_path / "x").read_bytes() == b"mine"
    monkeypatch.setattr("secrets.token_hex", lambda n: "same")
    (tmp_path / ".y.same.part").symlink_to(tmp_path / "theirs")
    with pytest.raises(FileExistsError):
        write_atomic(tmp_path / "y", b"mine")
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


def test_a_file_keeps_its_mode_and_a_long_name_has_room(tmp_path):
    write_atomic(tmp_path / "secret", b"1")
    (tmp_path / "secret").chmod(0o600)
    write_atomic(tmp_path / "secret", b"2")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    write_atomic(tmp_path / ("心" * 80), b"3")


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_only_a_file_is_written_over(tmp_path, kind):
    path = tmp_path / "x"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with sentence("is not a file that can be replaced", "choose another name"):
        write_atomic(path, b"x")


@pytest.mark.parametrize("place", ["new", "old", "with folders", "here"])
def test_a_folder_of_files_is_replaced_as_one(tmp_path, monkeypatch, place):
    folder = tmp_path / "model"
    if place != "new":
        for name in ("config.json", "weights", "notes.txt"):
            write_atomic(folder / name, b"old")
    if place == "with folders":
        (folder / "sub").mkdir()
    if place == "here":
        monkeypatch.chdir(folder)
    before = sorted(file.name for file in folder.iterdir()) if folder.exists() else []
    with pytest.raises(OSError, match="disk full"), replace_folder(folder) as new:
        (new / "config.json").write_bytes(b"new")
        raise OSError("disk full")
    assert (sorted(file.name for file in folder.iterdir()) if folder.exists() else []) == before
    assert all((folder / name).read_bytes() == b"old" for name in before if name != "sub")
    with replace_folder(folder if place != "here" else ".") as new:
        for name in ("config.json", "weights"):
            (new / name).write_bytes(b"new")
    assert (folder / "config.json").read_bytes() == (folder / "weights").read_bytes() == b"new"
    assert place == "new" or (folder / "notes.txt").read_bytes() == b"old", (
        "a file of the reader's own stays"
    )
    assert leftovers(tmp_path) == leftovers(folder) == [] and (
        place != "with folders" or (folder / "sub").is_dir()
    )


NAMES = ("config.json", "tokenizer.json", "weights")


def contents(folder):
    return {name: (folder / name).read_bytes() for name in NAMES if (folder / name).exists()}


def whole(data):
    return dict.fromkeys(NAMES, data)


def old_folder(tmp_path, monkeypatch, place):
    "A folder of the old, with a reader's note; where it cannot be renamed, or the system cannot exchange two."
    folder = tmp_path / "model"
    for name in NAMES:
        write_atomic(folder / name, b"old")
    write_atomic(folder / "notes.txt", b"mine")
    if place == "with folders":
        write_atomic(folder / "sub" / "x", b"mine")
    if place == "here":
        monkeypatch.chdir(folder)
    if place == "another system":
        monkeypatch.setattr(files, "_exchange", lambda first, second: False)
    return folder


PLACES = ["old", "with folders", "here", "another system"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("error", [OSError("disk trouble"), KeyboardInterrupt()])
def test_a_move_that_fails_anywhere_leaves_the_old_folder(tmp_path, monkeypatch, place, error):
    folder = old_folder(tmp_path, monkeypatch, place)
    real, failed = os.replace, 0
    for fails_at in range(len(NAMES) * 2 + 2):
        moves = iter(range(100))

        def replace(source, target, moves=moves, fails_at=fails_at):
            if next(moves) == fails_at:
                raise error
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        try:
            with replace_folder(folder) as new:
                for name in (*NAMES, "another"):
                    (new / name).write_bytes(b"new")
        except type(error):
            failed += 1
            assert contents(folder) == whole(b"old") and not (folder / "another").exists()
        else:
            assert contents(folder) == whole(b"new")
            break
        assert leftovers(folder) == leftovers(tmp_path) == []
    assert failed or place == "old", "two folders that change places are one move"
    assert (folder / "notes.txt").read_bytes() == b"mine"


@pytest.mark.skipif(sys.platform == "win32", reason="a folder is not exchanged there")
@pytest.mark.parametrize("place", PLACES)
def test_a_folder_whose_writer_is_killed_in_the_move_is_whole_or_no_model(tmp_path, monkeypatch, place):
    "At every move: never half of each. Where two folders can change places, there is always one."
    folder = old_folder(tmp_path, monkeypatch, place)
    code = """
import os, sys
from t2i_learn.core import files
folder, place, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
def kill(event, arguments):
    global left
    if event == "os.rename":
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
if place == "another system":
    files._exchange = lambda first, second: False
with files.replace_folder(folder) as new:
    for name in ("config.json", "tokenizer.json", "weights"):
        (new / name).write_bytes(b"new")
    sys.addaudithook(kill)
"""
    where = folder if place == "here" else ROOT
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for moves in range(20):
        command = [sys.executable, "-c", code, str(folder), place, str(moves)]
        done = subprocess.run(command, timeout=60, cwd=where, env=environment)
        found = contents(folder)
        assert (folder / "notes.txt").read_bytes() == b"mine"
        if done.returncode == 0:
            break
        assert found in (whole(b"old"), whole(b"new")) or "config.json" not in found
        kept = [*tmp_path.rglob("*.old/*"), *folder.iterdir()]
        assert {file.name for file in kept if file.is_file() and file.read_bytes() == b"old"} >= {*NAMES}
        for name in NAMES:
            write_atomic(folder / name, b"old")
    assert found == whole(b"new")


def test_a_folder_whose_writer_is_killed_is_the_old_one(tmp_path):
    write_atomic(tmp_path / "model" / "weights", b"old")
    code = """
import os, sys
from t2i_learn.core.files import replace_folder
with replace_folder(sys.argv[1]) as new:
    (new / "weights").write_bytes(b"new")
    os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "model")], timeout=60, cwd=ROOT)
    assert (tmp_path / "model" / "weights").read_bytes() == b"old"
    with replace_folder(tmp_path / "model") as new:
        (new / "weights").write_bytes(b"new")
    assert (tmp_path / "model" / "weights").read_bytes() == b"new"


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    write_atomic(tmp_path / "models" / "v1" / "weights", b"old")
    (tmp_path / "latest").symlink_to(tmp_path / "models" / "v1")
    with replace_folder(tmp_path / "latest") as new:
        (new / "weights").write_bytes(b"new")
    assert (tmp_path / "latest").is_symlink() and (
        tmp_path / "models" / "v1" / "weights"
    ).read_bytes() == b"new"


def test_a_file_is_no_folder_to_write_into(tmp_path):
    write_atomic(tmp_path / "x", b"old")
    with sentence("is a file", "choose the name of a folder"), replace_folder(tmp_path / "x"):
        pass


def test_a_folder_is_not_written_over_by_a_file(tmp_path):
    write_atomic(tmp_path / "model" / "weights" / "mine", b"old")
    with sentence("weights is a folder", "move it away"), replace_folder(tmp_path / "model") as new:
        (new / "weights").write_bytes(b"new")
    assert (tmp_path / "model" / "weights" / "mine").read_bytes() == b"old"
    assert leftovers(tmp_path / "model") == []


# --- reading

READERS = {
    "text": lambda path: parse_json(read_text(path), "text"),
    "json": read_json,
    "tensors": read_tensors,
    "header": read_tensor_header,
    "picture": open_image,
    "fields": read_png_fields,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "missing", "empty"])
def test_what_is_no_regular_file_is_a_sentence_at_once(tmp_path, reader, kind):
    path = tmp_path / "x"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = "/dev/zero"
    elif kind == "empty":
        path.touch()
    start = time.monotonic()
    with sentence(""):
        READERS[reader](path)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("reader", READERS)
def test_a_file_s_name_is_printed_without_its_control_characters(tmp_path, reader):
    path = tmp_path / "a\x1b[31m\nb"
    path.write_bytes(b"nothing of ours")
    with sentence(""):
        READERS[reader](path)


def test_a_file_larger_than_expected_is_not_read(tmp_path):
    with open(tmp_path / "big", "wb") as file:
        file.truncate(10**12)  # takes no room
    with sentence("larger than the 1,000 bytes"):
        read_bytes(tmp_path / "big", 1000)
    for reader in (read_text, read_json, open_image):
        with sentence("larger than"):
            reader(tmp_path / "big")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"a":' * 200_000,
        "{",
        '{"a": NaN}',
        '{"a": [1, Infinity]}',
        "-Infinity",
        "1e999",
        "9" * 100_000,
        b"\xff\xfe\x00",
        "",
    ],
)
def test_json_that_is_none_is_a_sentence(text):
    with sentence("config.json is damaged"):
        parse_json(text, "config.json")


def test_json_comes_back_as_it_was(tmp_path):
    value = {"a": [1, 2.5, None, True, "心"], "b": {}}
    write_atomic(tmp_path / "x", json.dumps(value).encode())
    assert read_json(tmp_path / "x") == value


def test_a_text_is_read_as_it_is_meant(tmp_path):
    (tmp_path / "x").write_bytes("\ufeffred 心\r\nblue\n".encode())
    assert read_text(tmp_path / "x") == "red 心\nblue\n"
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    with sentence("x is not UTF-8", "save it as UTF-8"):
        read_text(tmp_path / "x")


@pytest.mark.parametrize(
    "value",
    [np.float32(0.5), np.int64(3), np.bool_(True), np.ones(2), torch.tensor(0.5), torch.ones(2)],
)
def test_numbers_of_numpy_and_torch_are_written_as_numbers(value):
    assert parse_json(json_text({"a": [value]}, "it"), "it") == {"a": [value.tolist()]}


@pytest.mark.parametrize(
    "value",
    [float("nan"), np.float32("inf"), torch.tensor(float("nan")), {1}, 1j, b"x", nn, ENDLESS, {(1,): 2}],
)
def test_what_json_has_no_word_for_is_a_sentence(value):
    with sentence("the card cannot be written", "finite numbers"):
        json_text({"a": [value]}, "the card")


def header_only(header, data=b""):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        struct.pack("<Q", 2**40),
        struct.pack("<Q", 17 * 2**20) + b" " * 100,
        header_only(b"notjson"),
        header_only({"x": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}, b"1234"),
        header_only({"x": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}}, b"1234"),
        header_only({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}}, b"1234"),
        header_only({"x\x1b[2J": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
        header_only({"x": {"dtype": "Z99", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        save({"x": torch.zeros(100)})[:-1],
    ],
)
@pytest.mark.parametrize("reader", [read_tensors, read_tensor_header])
def test_a_damaged_file_of_tensors_is_a_sentence(tmp_path, data, reader):
    (tmp_path / "x").write_bytes(data)
    with sentence("is damaged or cut off", "put a good copy back"):
        reader(tmp_path / "x")


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.float64],
)
def test_a_header_says_names_shapes_and_types(tmp_path, dtype):
    write_atomic(
        tmp_path / "x",
        save({"a": torch.zeros(2, 3, dtype=dtype), "b": torch.zeros((), dtype=dtype)}, {"k": "v"}),
    )
    header, metadata = read_tensor_header(tmp_path / "x")
    tensors, same = read_tensors(tmp_path / "x")
    assert metadata == same == {"k": "v"} and tensor_mismatch(tensors, header) is None
    assert (
        {name: t.dtype for name, t in header.items()}
        == {name: t.dtype for name, t in tensors.items()}
        == {"a": dtype, "b": dtype}
    )
    assert all(t.is_meta for t in header.values())


def test_a_file_that_was_read_is_let_go(tmp_path):
    "Numbers do not change with the file, and nothing of it stays mapped."
    path = tmp_path / "x.safetensors"
    path.write_bytes(save({"x": torch.ones(10_000)}))
    tensors, _ = read_tensors(path)
    with open(path, "r+b") as file:
        file.truncate(0)
    assert tensors["x"].sum() == 10_000
    maps = Path("/proc/self/maps")
    assert not maps.exists() or path.name not in maps.read_text(encoding="utf-8")


def test_a_strange_name_in_a_file_is_shown_without_its_control_characters():
    assert "\x1b" not in tensor_mismatch({}, {"\x1b[2J": torch.zeros(1)})


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.out = nn.Embedding(7, 3), nn.Linear(3, 7, bias=False)
        self.out.weight = self.embed.weight
        self.register_buffer("first_rows", self.embed.weight.data[:3])

    def forward(self, x):
        return self.out(self.embed(x))


@pytest.mark.parametrize(
    "wrap", [lambda m: m, torch.compile, lambda m: nn.ModuleDict({"inner": torch.compile(m)})]
)
@pytest.mark.parametrize("make", [lambda: nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), Tied])
def test_a_model_is_saved_and_loaded_under_its_own_names(tmp_path, wrap, make):
    model, other = wrap(make()), wrap(make())
    write_atomic(tmp_path / "x", save(model_tensors(model)))
    tensors, _ = read_tensors(tmp_path / "x")
    assert not any("_orig_mod" in name for name in tensors)
    assert tensor_mismatch(model_tensors(other), tensors) is None
    load_model_tensors(other, tensors)
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_a_compiled_model_and_a_plain_one_read_each_other_s_files():
    plain, compiled = nn.Linear(2, 2), torch.compile(nn.Linear(2, 2))
    load_model_tensors(compiled, model_tensors(plain))
    assert torch.equal(compiled.weight, plain.weight)
    load_model_tensors(plain, model_tensors(torch.compile(nn.Linear(2, 2))))


# --- pictures


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("door", ["name", "bytes", "picture"])
@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGBA", (2, 2), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.fromarray(np.full((2, 2), 257 * 60, dtype=np.uint16)), (60, 60, 60)),
        (Image.new("1", (2, 2), 1), (255, 255, 255)),
        (Image.new("L", (2, 2), 9), (9, 9, 9)),
        (Image.new("RGB", (2, 2), (1, 2, 3)).quantize(4), (1, 2, 3)),
    ],
)
def test_every_door_sees_the_same_picture(tmp_path, door, image, expected):
    data = encoded(image)
    (tmp_path / "x.png").write_bytes(data)
    opened = open_image(
        {"name": tmp_path / "x.png", "bytes": data, "picture": Image.open(io.BytesIO(data))}[door]
    )
    assert opened.mode == "RGB" and opened.getpixel((0, 0)) == expected


SUFFIXES = [".png", ".jpg", ".jpeg", ".webp"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGBA", (8, 8), (255, 0, 0, 0)), (255, 255, 255)),
        (Image.new("LA", (8, 8), (0, 0)), (255, 255, 255)),
        (Image.fromarray(np.full((8, 8), 257 * 100, dtype=np.uint16)), (100, 100, 100)),
        (Image.fromarray(np.full((8, 8), 0.5, dtype=np.float32)), (128, 128, 128)),
        (Image.fromarray(np.full((8, 8), 100, dtype=np.int32)), (100, 100, 100)),
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), (255, 0, 0)),
    ],
)
def test_a_picture_is_saved_as_it_is_meant_to_be_seen(tmp_path, suffix, image, expected):
    save_image(image, tmp_path / f"x{suffix}", {})
    found = open_image(tmp_path / f"x{suffix}").getpixel((0, 0))
    assert np.abs(np.subtract(found, expected)).max() <= (2 if suffix.startswith(".j") else 0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_picture_is_saved_upright(tmp_path, suffix):
    image = Image.new("RGB", (16, 8))
    image.getexif()[0x0112] = 6
    save_image(image, tmp_path / f"x{suffix}", {})
    assert open_image(tmp_path / f"x{suffix}").size == (8, 16)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "NaN"),
        (np.float32(0.5), "0.5"),
        (np.arange(2), "[0, 1]"),
        (Path("a"), '"a"'),
        (True, "true"),
        ("a heart \udcff", r"a heart \udcff"),
        ("心" * 40_000, "心" * 300),
    ],
)
def test_no_fact_loses_a_picture_that_was_drawn(tmp_path, suffix, value, text):
    save_image(Image.new("RGB", (2, 2)), tmp_path / f"x{suffix}", {"fact": value})
    assert read_image_facts(tmp_path / f"x{suffix}")["fact"].startswith(text)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_picture_that_lies_on_its_side_is_put_upright(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert open_image(encoded(Image.new("RGB", (100, 60)), kind, exif=exif)).size == (60, 100)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        encoded(Image.new("RGB", (9, 9)))[:40],
        encoded(Image.effect_noise((64, 64), 90))[:1000],
        b"GIF89a" + bytes(20),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"P6\n9999999 9999999\n255\n",
        b"\x89PNG\r\n\x1a\n" + b"\xff" * 100,
    ],
)
def test_what_is_no_picture_is_a_sentence(data):
    with sentence("the picture", "(is not a picture that can be read|pixels)"):
        open_image(data)


def test_a_picture_that_unfolds_to_gigabytes_is_refused_by_its_size(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(encoded(Image.new("1", (13_000, 13_000)), optimize=False))
    assert path.stat().st_size < 10**6
    start = time.monotonic()
    with sentence("bomb.png", "13000×13000", "make it smaller"):
        open_image(path)
    with sentence("13000×13000"):
        read_png_fields(path)
    assert time.monotonic() - start < 2
    with sentence("10×10", "more than 50"):
        open_image(Image.new("RGB", (10, 10)), max_pixels=50)


def test_an_undecodable_prompt_is_not_lost_and_numpy_s_numbers_are_numbers(tmp_path):
    settings = {
        "prompt": "a heart \udcff",
        "seed": np.int64(5),
        "scale": np.float32(0.5),
        "sampler": "ddim",
    }
    save_png(Image.new("RGB", (2, 2)), tmp_path / "x.png", settings)
    fields = read_png_fields(tmp_path / "x.png")
    assert fields == {"prompt": r"a heart \udcff", "seed": "5", "scale": "0.5", "sampler": "ddim"}


def test_an_old_picture_stays_when_a_new_one_cannot_be_written(tmp_path, monkeypatch):
    save_png(Image.new("RGB", (2, 2)), tmp_path / "x.png", {"prompt": "old"})

    def full(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        save_png(Image.new("RGB", (4, 4)), tmp_path / "x.png", {"prompt": "new"})
    assert read_png_fields(tmp_path / "x.png")["prompt"] == "old"


def test_a_file_of_names_and_paths_is_read_without_torch():
    code = "import sys; import t2i_learn.core.files; print([m for m in ('torch', 'matplotlib', 'datasets') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert done.stdout.strip() == "[]", done.stderr
