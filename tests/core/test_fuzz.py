"""Odd files, calls and messages, by hundreds: each is taken or answered by a sentence, and costs neither the machine nor the day.

T2I_EXAMPLES says how many of each kind. Without it they are the same 200 in every run; with it they are new ones.
"""

import base64
import copy
import io
import json
import os
import re
import select
import struct
import subprocess
import sys
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from places import ROOT

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="pipes and memory are asked for as Unix has them"
)
EXAMPLES = int(os.environ.get("T2I_EXAMPLES") or 0)
TIME_LIMIT = 30  # seconds for one case
MEMORY_LIMIT = 500  # megabytes that one case may add to the peak

steadily = settings(deadline=None, derandomize=not EXAMPLES, database=None, max_examples=EXAMPLES or 200, print_blob=True,
                    suppress_health_check=list(HealthCheck))  # fmt: skip


class Child:
    "A process of `fuzz_server.py`, started anew when a case ends it."

    def __init__(self, kind, folder):
        self.kind, self.folder, self.process = kind, folder, None
        self.facts = self.start()

    def start(self):
        "Begin, and hear what there is to know of the kind."
        command = [sys.executable, str(ROOT / "tests" / "fuzz_server.py"), self.kind, str(self.folder)]
        paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
        environment = {
            **os.environ,
            "PYTHONPATH": paths,
            "OMP_NUM_THREADS": "1",
            "T2I_PRESET": "smoke",
            "T2I_DEVICE": "cpu",
        }
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        return json.loads(self.process.stdout.readline())

    def stop(self):
        "End it."
        self.process.kill()
        self.process.communicate()

    def answer(self, case):
        "What comes of a case; None if the process has died, or does not answer in time."
        print(json.dumps(case), file=self.process.stdin, flush=True)
        ready, _, _ = select.select([self.process.stdout], [], [], TIME_LIMIT)
        line = self.process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        self.stop()
        self.start()
        return None

    def check(self, case):
        'Try a case: the sentence that came of it, "" if it was taken.'
        found = self.answer(case)
        assert found is not None, f"no answer in {TIME_LIMIT} seconds, or the process died"
        assert found["error"] == "", found["error"]
        assert re.fullmatch(r".{0,500}", found["said"]), f"not one line: {found['said']!r}"
        assert found["said"].isprintable(), f"a terminal could act on this: {found['said']!r}"
        assert found["seconds"] < TIME_LIMIT, found
        assert found["megabytes"] < MEMORY_LIMIT, found
        return found["said"]


@pytest.fixture(scope="module")
def child_of(tmp_path_factory):
    "Kind -> its process, which stays alive."
    children = {}

    def start(kind):
        if kind not in children:
            children[kind] = Child(kind, tmp_path_factory.mktemp(kind))
        return children[kind]

    yield start
    for child in children.values():
        child.stop()


# ---- what is odd ----

NUMBERS = [
    0,
    1,
    -1,
    2,
    3,
    5,
    0.5,
    -0.5,
    1e-9,
    7,
    33,
    1000,
    4096,
    4097,
    10**5,
    10**9,
    2**31,
    2**63,
    10**30,
    -(10**9),
    1e30,
    1e300,
    1.5,
]
TEXTS = [
    "",
    "a",
    "diffusion",
    "NaN",
    "1",
    "[]",
    "../x",
    "\x1b[2J",
    "\n",
    "心",
    "\ud800",
    "%s",
    "a" * 2000,
]
THINGS = [
    *NUMBERS,
    *TEXTS,
    None,
    True,
    False,
    [],
    {},
    [[]],
    [1],
    [0, 0, 0],
    ["a", 1],
    {"a": 1},
    {"": {}},
]
RAW = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e999",
    "[" * 100_000,
    '{"a":' * 100_000,
    "[" * 900 + "]" * 900,
    "1" * 5000,
    "nul",
]
SPELLED = [
    {"float": "nan"},
    {"float": "inf"},
    {"float": "-inf"},
    {"nested": 300},
    {"times": ["a", 100_000]},
    {"times": [[0], 100_000]},
]
ODD_FILES = ["pipe", "folder", "endless", "loop", "nothing"]


class Whole(bytes):
    "Contents of a file, which hypothesis need not spell out."

    def __repr__(self):
        return f"{bytes(self[:40])!r}… ({len(self)} bytes)"


def as_bytes(content):
    "Bytes as a case spells them."
    return {"bytes": base64.b64encode(content).decode()}


def paths_of(tree, above=()):
    "Where there is something in a tree of dicts and lists, the whole of it left out; of a long list, the first few."
    pairs = (
        tree.items() if isinstance(tree, dict) else enumerate(tree[:3]) if isinstance(tree, list) else ()
    )
    for name, inside in pairs:
        yield (*above, name)
        yield from paths_of(inside, (*above, name))


@st.composite
def changed_json(draw, tree):
    "The text of a tree of which up to three places are something else."
    tree = copy.deepcopy(tree)
    raws = {}

    def odd():
        return copy.deepcopy(draw(st.sampled_from(THINGS)))

    for _ in range(draw(st.integers(1, 3))):
        places = [*paths_of(tree)]
        if not places:
            break
        *above, name = draw(st.sampled_from(places))
        part = tree
        for key in above:
            part = part[key]
        kind = draw(
            st.sampled_from(
                ["thing", "thing", "thing", "raw", "gone", "more", "twice", "neighbour", "number"]
            )
        )
        if kind == "gone":
            del part[name]
        elif kind == "twice":
            part[name] = copy.deepcopy([part[name]]) * draw(st.sampled_from([1, 2, 4, 9]))
        elif kind == "more" and isinstance(part, dict):
            part[draw(st.sampled_from(["extra", "side", "heads", "", "self", *map(str, part)]))] = odd()
        elif kind == "neighbour":
            part[name] = copy.deepcopy(
                draw(st.sampled_from([*part.values()] if isinstance(part, dict) else part))
            )
        elif kind == "number" and type(part[name]) in (int, float):
            part[name] = part[name] * draw(st.sampled_from([-1, 0, 2, 3, 0.5, 100, 1e4])) + draw(
                st.sampled_from([0, 1, -1, 0.5])
            )
        elif kind == "raw":
            mark = f"RAW{len(raws)}"
            raws[json.dumps(mark)] = draw(st.sampled_from(RAW))
            part[name] = mark
        else:
            part[name] = odd()
    text = json.dumps(tree)
    for mark, raw in raws.items():
        text = text.replace(mark, raw)
    return Whole(text.encode())


@st.composite
def changed_bytes(draw, whole):
    "Contents that are cut, longer, or other at a few places, the first hundred most of all."
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["byte", "byte", "word", "cut", "put in", "leave out"]))
        near = draw(st.booleans())
        at = draw(st.integers(0, min(len(data), 100) if near else len(data)))
        if kind == "byte" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif kind == "word":
            data[at : at + 4] = draw(
                st.sampled_from(
                    [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\xff\xff", b"\0\1\0\0"]
                )
            )
        elif kind == "cut":
            del data[at:]
        elif kind == "put in":
            data[at:at] = draw(st.binary(min_size=1, max_size=9))
        elif kind == "leave out":
            del data[at : at + draw(st.integers(1, 99))]
    return Whole(data)


# ---- models ----


@given(data=st.data())
@steadily
def test_configurations(child_of, data):
    child = child_of("models")
    family = data.draw(st.sampled_from(sorted(child.facts["configs"])))
    content = data.draw(changed_json(child.facts["configs"][family]))
    child.check({"family": family, "file": "config.json", "content": as_bytes(content)})


@pytest.mark.parametrize("content", ODD_FILES)
@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_of_a_model_that_is_no_file(child_of, file, content):
    assert child_of("models").check({"family": "diffusion", "file": file, "content": content})


@given(data=st.data())
@steadily
def test_tokenizers(child_of, data):
    child = child_of("tokenizers")
    whole = child.facts["tokenizer"]
    if data.draw(st.booleans()):
        few = whole["merges"][: data.draw(st.integers(0, 9))]
        last = 258 + len(few)
        more = data.draw(
            st.lists(
                st.tuples(*2 * [st.integers(-2, 9).map(lambda back: last + back)]).map(list), max_size=9
            )
        )
        doubled = [[last + k, last + k] for k in range(data.draw(st.sampled_from([0, 0, 9, 40, 2000])))]
        whole = whole | {"merges": few + doubled + more}
    content = data.draw(st.one_of(st.just(json.dumps(whole).encode()), changed_json(whole)))
    child.check({"content": as_bytes(content)})


@pytest.mark.parametrize("content", ODD_FILES)
def test_a_tokenizer_that_is_no_file(child_of, content):
    assert child_of("tokenizers").check({"content": content})


# ---- checkpoints ----


def changed_metadata(header):
    "Strategy: a header whose entry for the learner, which is JSON as text, says something else."
    tree = json.loads(header)
    facts = changed_json(json.loads(tree["__metadata__"]["learner"]))
    return facts.map(
        lambda text: json.dumps(
            tree | {"__metadata__": {"learner": text.decode("utf-8", "replace")}}
        ).encode()
    )


@st.composite
def changed_tensors(draw, whole):
    "A safetensors file: bytes, header or metadata are others."
    header = whole[8 : 8 + int.from_bytes(whole[:8], "little")]
    kind = draw(st.sampled_from(["bytes", "header"] + ["metadata"] * (b"__metadata__" in header)))
    if kind == "bytes":
        return draw(changed_bytes(whole))
    changed = draw(changed_json(json.loads(header)) if kind == "header" else changed_metadata(header))
    return Whole(len(changed).to_bytes(8, "little") + changed + whole[8 + len(header) :])


@given(data=st.data())
@steadily
def test_checkpoints(child_of, data):
    child = child_of("checkpoints")
    content = data.draw(changed_tensors(Whole(base64.b64decode(child.facts["checkpoint"]))))
    child.check({"content": as_bytes(content)})


@given(data=st.data())
@steadily
def test_weights(child_of, data):
    child = child_of("models")
    content = data.draw(changed_tensors(Whole(base64.b64decode(child.facts["weights"]))))
    child.check({"family": "diffusion", "file": "model.safetensors", "content": as_bytes(content)})


# ---- calls ----

WORDS = [
    "a red heart",
    "two",
    "left of",
    "\0",
    "\x1b[31m",
    "\n",
    "$x$",
    "{}",
    "%n",
    "👩‍👩‍👧",
    "‮",
    "İ",
    "心" * 40,
    "a " * 45,
    "\ud800",
    "ﬀ",
    "'",
    "\u3000",
]
PROMPT = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join),
                   st.sampled_from([{"times": ["a ", 60_000]}, {"times": ["心", 3000]}, {"times": ["x", 99_999]}, {"times": [" a", 50_000]}]))  # fmt: skip
ODD = st.sampled_from([*THINGS, *SPELLED])
FEW = st.integers(-1, 3)
CALL = {
    "num_inference_steps": st.one_of(FEW, st.sampled_from([*SPELLED, 10_001, 10**9, 1.0, 2.5, "2", True])),
    "guidance_scale": st.one_of(st.floats(-200, 200), ODD), "sampler": st.one_of(st.sampled_from(["ddim", "heun", "lms", "unipc", "dim"]), ODD),
    "alpha": st.one_of(st.floats(0.9, 2.1), ODD), "refine_from": st.one_of(st.floats(-1, 2000), ODD), "seed": st.one_of(FEW, st.lists(FEW, max_size=3), ODD),
    "num_images_per_prompt": st.one_of(FEW, st.sampled_from([10_001, 10**8, 1.0, "2", *SPELLED])), "first": st.one_of(FEW, ODD),
    "negative_prompt": st.one_of(PROMPT, st.lists(PROMPT, max_size=3), ODD), "generator": ODD, "output_type": st.sampled_from(["pt", "pil", "jpeg", None, 3]),
    "truncation": st.one_of(st.booleans(), ODD), "callback_on_step_end": st.sampled_from([None, 3, "a"]), "height": ODD, "prompt": ODD, "self": ODD,
}  # fmt: skip


@given(
    family=st.sampled_from(["diffusion", "gan", "two-stage"]),
    prompt=st.one_of(PROMPT, st.lists(PROMPT, max_size=3), ODD),
    data=st.data(),
)
@steadily
def test_calls(child_of, family, prompt, data):
    names = data.draw(
        st.lists(st.sampled_from(sorted(CALL.keys() - {"prompt", "self"})), unique=True, max_size=4)
    )
    child_of("calls").check(
        {"family": family, "prompt": prompt, "call": {name: data.draw(CALL[name]) for name in names}}
    )


# ---- messages ----


def fitting(key):
    "Strategy: what may stand under a key of a message."
    low, high = max(key["low"], -1000), min(key["high"], 1000)
    if key["choices"]:
        return st.sampled_from(key["choices"])
    if key["kind"] == "list":
        return (
            st.lists(fitting(key["items"]), max_size=4)
            if key["items"]
            else st.lists(st.integers(-3, 3), max_size=4)
        )
    if key["kind"] == "dict":
        return messages(key["keys"] or {})
    return {
        "bool": st.booleans(),
        "int": st.integers(int(low), int(high)),
        "float": st.floats(low, high),
        "str": PROMPT,
    }[key["kind"]]


@st.composite
def messages(draw, keys):
    "Names and values of a message, most of them fitting."
    content = {}
    for name, key in keys.items():
        if draw(st.integers(0, 9)) < (9 if key["required"] else 5):
            content[name] = draw(fitting(key) if draw(st.integers(0, 9)) else ODD)
    if not draw(st.integers(0, 19)):
        content["extra"] = draw(ODD)
    return content


@given(data=st.data())
@steadily
def test_messages(child_of, data):
    child = child_of("widgets")
    name = data.draw(st.sampled_from(sorted(child.facts["requests"])))
    requests = child.facts["requests"][name] | {"ready": {}}
    if data.draw(st.integers(0, 4)) == 0:
        traits = data.draw(
            st.lists(st.sampled_from(child.facts["traits"][name]), unique=True, max_size=2)
        )
        child.check({"widget": name, "state": {trait: data.draw(ODD) for trait in traits}})
        return
    kind = data.draw(st.sampled_from([*requests, *requests, "boom"]))
    content = data.draw(messages(requests.get(kind, {})))
    message = data.draw(st.sampled_from([content | {"type": kind}] * 19 + [kind]))
    child.check({"widget": name, "message": message})


# ---- pictures ----


def picture_file(kind, mode="RGB", size=(20, 13)):
    "A small picture as a file's contents."
    buffer = io.BytesIO()
    image = Image.linear_gradient("L").resize(size).convert(mode)
    image.save(buffer, kind)
    return buffer.getvalue()


FILES = [picture_file(kind, mode) for kind, mode in [
    ("BMP", "RGB"), ("GIF", "P"), ("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "1"), ("PNG", "P"), ("PNG", "I;16"), ("PPM", "L"),
    ("TIFF", "RGB"), ("TIFF", "F"), ("TIFF", "I"), ("TIFF", "CMYK"), ("TIFF", "LAB"), ("WEBP", "RGBA")]]  # fmt: skip


@given(data=st.data())
@steadily
def test_pictures(child_of, data):
    content = data.draw(changed_bytes(data.draw(st.sampled_from(FILES))))
    child_of("pictures").check({"content": as_bytes(content)})


@pytest.mark.parametrize("content", ODD_FILES)
def test_a_picture_that_is_no_file(child_of, content):
    assert child_of("pictures").check({"content": content})


def empty_png(width, height, depth, color):
    "A PNG file of zeros that is small on the disk: bits a channel, and PNG's number for the channels."
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    rows = zlib.compress(bytes(height * (1 + (width * channels * depth + 7) // 8)), 9)
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, depth, color, 0, 0, 0))]
    chunks += (
        [(b"PLTE", bytes(6))] * (color == 3)
        + [(b"tRNS", bytes(2))] * (color == 3)
        + [(b"IDAT", rows), (b"IEND", b"")]
    )
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


slowly = [pytest.param(*kind, marks=pytest.mark.slow) for kind in ((8, 2), (8, 3), (16, 4), (16, 6))]


@pytest.mark.parametrize(("depth", "color"), [(8, 6), (16, 0), (1, 0), *slowly])
def test_the_largest_pictures_fit_into_the_memory(child_of, depth, color):
    assert child_of("pictures").check({"content": as_bytes(empty_png(5792, 5792, depth, color))}) == ""
    said = child_of("pictures").check({"content": as_bytes(empty_png(13_000, 13_000, 1, 0))})
    assert "13000×13000 pixels" in said
