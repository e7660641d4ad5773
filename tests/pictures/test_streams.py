"Streams and mixtures: shards and blocks that can be read again, exact shares, several processes, constant memory."

import sys
from collections import Counter

import numpy as np
import pytest
import torch
from processes import lines_of_two_processes
from test_datasets import Guess, guess_loss, picture, png, table_rows, write_folder, write_parquet

from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.learner import Learner
from t2i_learn.pictures import streams
from t2i_learn.pictures.datasets import CaptionedPictures, ScanRules
from t2i_learn.pictures.streams import MixedPictures, StreamedPictures
from t2i_learn.text.layout import CaptionMix
from t2i_learn.text.tokenizer import default_tokenizer, normalize_text


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    "Scans are kept in the test's own folder."
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def table(tmp_path):
    "Fifty rows in groups of seven."
    return write_parquet(tmp_path / "rows.parquet", table_rows(50), row_group_size=7)


def captions_of(stream, numbers):
    return [caption for number in numbers for caption in stream(number).captions]


@pytest.mark.parametrize("buffer", [1, 10, 50, 1000])
def test_each_row_comes_once_an_epoch_up_to_the_buffer(table, buffer):
    stream = StreamedPictures(table, buffer=buffer).batches(5, 32)
    captions = captions_of(stream, range(60))
    counts = Counter(captions)
    assert len(counts) == 50 and max(counts.values()) - min(counts.values()) <= (1 if buffer > 10 else 2)
    if buffer in (1, 50, 1000):
        for epoch in range(6):
            assert len({*captions[50 * epoch : 50 * epoch + 50]}) == 50
    assert captions[:50] != captions[50:100] != [f"number {k}" for k in range(50)]


@pytest.mark.parametrize("kind", ["parquet", "folder", "list", "hub"])
def test_a_batch_from_the_middle_is_the_same(tmp_path, table, kind):
    def source():
        if kind == "parquet":
            return table
        if kind == "folder":
            return write_folder(tmp_path / "own", [f"number {k}" for k in range(50)])
        if kind == "list":
            return table_rows(50)
        from datasets import load_dataset

        return load_dataset("parquet", data_files=str(table), split="train", streaming=True)

    make = lambda: StreamedPictures(source(), buffer=12).batches(5, 32, seed=2)
    stream = make()
    wanted = [stream(number) for number in range(27)]
    for number in (26, 3, 4, 17):
        found = make()(number)
        assert found.captions == wanted[number].captions
        assert torch.equal(found.pictures, wanted[number].pictures)


def test_shards_that_are_skipped_are_not_read(table, monkeypatch):
    read = []
    real = streams.read_row_group
    monkeypatch.setattr(
        streams,
        "read_row_group",
        lambda path, group, *rest: (read.append(group), real(path, group, *rest))[1],
    )
    data = StreamedPictures(table, buffer=5, scan=1)
    read.clear()
    data.batches(5, 32).source(9)  # rows 45 to 49 of the epoch's order
    assert len(read) <= 2


def test_lanes_share_the_shards_among_processes(table):
    data = StreamedPictures(table, buffer=20, lanes=2)
    of_one = StreamedPictures(table, buffer=20, lanes=2).batches(4, 32)
    captions = {rank: {*captions_of(data.batches(4, 32), range(rank, 60, 2))} for rank in (0, 1)}
    assert captions[0].isdisjoint(captions[1]) and len(captions[0] | captions[1]) == 50
    alone = StreamedPictures(table, buffer=20, lanes=2).batches(4, 32).source
    for number in range(1, 40, 2):
        assert alone(number).captions == of_one(number).captions
    assert alone.lanes[0].number == -1, "the other lane was never opened"
    with pytest.raises(ValueError, match="9 lanes want as many shards, and there are 8"):
        StreamedPictures(table, lanes=9)


def test_bad_rows_are_replaced_and_named(tmp_path):
    rows = table_rows(40)
    for k in (30, 31, 35):
        rows[k]["image"]["bytes"] = rows[k]["image"]["bytes"][:60]
    rows[2]["text"] = ""
    table = write_parquet(tmp_path / "rows.parquet", rows)
    data = StreamedPictures(table, scan=10, buffer=10)
    assert data.report.total == 10 and data.report.counts == {"no caption": 1}
    captions = captions_of(data.batches(8, 32), range(10))
    assert len({*captions}) == 36 and len(captions) == 80
    found = {finding.name: finding.kind for finding in data.findings.values()}
    assert found == {f"rows.parquet, row {k}": "damaged" for k in (30, 31, 35)} | {
        "rows.parquet, row 2": "no caption"
    }


def test_streams_that_cannot_be_read_are_a_sentence(tmp_path):
    rows = table_rows(30)
    for row in rows[10:]:
        row["image"]["bytes"] = b"x"
    table = write_parquet(tmp_path / "rows.parquet", rows, row_group_size=10)
    with pytest.raises(ValueError, match="none of 10 rows in sequence can be training data"):
        captions_of(StreamedPictures(table, scan=10, buffer=10).batches(5, 32).source, range(6))
    with pytest.raises(ValueError, match="an iterator is read once"):
        StreamedPictures(iter(table_rows(3)))
    with pytest.raises(ValueError, match="none of 0 candidates"):
        StreamedPictures([])
    with pytest.raises(ValueError, match="there is no folder or file"):
        StreamedPictures(tmp_path / "none")


def test_what_a_stream_says_of_itself(table):
    data = StreamedPictures(table, scan=20)
    same = StreamedPictures(table, scan=20)
    assert data.fingerprint == same.fingerprint != StreamedPictures(table, scan=20, lanes=2).fingerprint
    whole = CaptionedPictures(table)
    assert StreamedPictures(table).mean == whole.mean and StreamedPictures(table).sd == whole.sd
    assert data.captions == [f"number {k}" for k in range(20)] and "number" in data.words
    room = len(default_tokenizer().encode(normalize_text("number")))
    short = StreamedPictures(table, rules=ScanRules(max_tokens=room))
    assert short.report.counts == {"long caption": 50} and short.captions == ["number"] * 50


# --- mixtures


@pytest.mark.parametrize("weights", [[1, 1], [0.9, 0.1], [1, 2, 7], [1e6, 1e-6]])
def test_shares_are_exact_over_a_cycle(weights):
    parts = [CaptionedPictures(table_rows(3, 10 * k)) for k in range(len(weights))]
    batches = MixedPictures(parts, weights).batches(50, 16).source
    drawn = Counter(batches.place(example)[0] for example in range(1000))
    wanted = [max(1, 1000 * weight / sum(weights)) for weight in weights]
    assert all(abs(drawn[k] - wanted[k]) <= len(weights) for k in range(len(weights)))
    for k in range(len(weights)):
        numbers = [n for s, n in map(batches.place, range(2500)) if s == k]
        assert numbers == [*range(len(numbers))]


def test_a_mixture_with_the_world_of_shapes():
    own = CaptionedPictures(table_rows(12))
    mixture = MixedPictures([own, CaptionMix({"color": 1.0, "two": 1.0})], [1, 1])
    batch = mixture.batches(32, 32)(3)
    assert batch.pictures.shape == (32, 3, 32, 32)
    mine = [caption for caption in batch.captions if caption.startswith("number")]
    assert 8 <= len(mine) <= 24
    assert min(own.sd, 0.3) < mixture.sd < 1 and "circle" in mixture.words and "number" in mixture.words
    assert mixture.batches(32, 32).source(3).captions == batch.captions


def test_mean_and_spread_of_a_mixture():
    parts = [CaptionedPictures(table_rows(9)), CaptionedPictures(table_rows(30, 50))]
    mixture = MixedPictures(parts, [3, 1])
    pixels = [np.asarray(part.pixels(64), dtype=float) / 127.5 - 1 for part in parts]
    mean = 0.75 * pixels[0].mean((0, 1, 2)) + 0.25 * pixels[1].mean((0, 1, 2))
    variance = 0.75 * ((pixels[0] - mean) ** 2).mean() + 0.25 * ((pixels[1] - mean) ** 2).mean()
    assert np.allclose(mixture.mean, mean, atol=2e-3) and abs(mixture.sd - variance**0.5) < 2e-3


def test_mixtures_that_make_no_sense_are_a_sentence():
    own = CaptionedPictures(table_rows(3))
    for weights in ([1], [1, 0], [1, float("nan")], [1, "2"]):
        with pytest.raises(ValueError, match="weights"):
            MixedPictures([own, own], weights)
    with pytest.raises(ValueError, match="weights are finite numbers"):
        MixedPictures([])


# --- going on, and several processes


@pytest.mark.parametrize("kind", ["streamed", "two lanes", "mixed"])
def test_a_streamed_training_goes_on_where_it_was(tmp_path, table, kind):
    def learner(*callbacks):
        if kind == "mixed":
            parts = [StreamedPictures(table, buffer=12), CaptionedPictures(table_rows(5, 60))]
            data = MixedPictures(parts, [2, 1])
        else:
            data = StreamedPictures(table, buffer=12, lanes=2 if kind == "two lanes" else 1)
        return Learner(Guess(), data.batches(7, 32), guess_loss, callbacks, lr=0.05)

    whole = learner().fit(15).model.picture
    path = tmp_path / "run.safetensors"
    learner(Checkpoint(path, every=4)).fit(8)
    assert torch.equal(learner(Checkpoint(path)).fit(15).model.picture, whole), "to the bit"


PROCESSES = """
import sys
from test_datasets import Guess, guess_loss, table_rows
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.learner import Learner, content_hash
from t2i_learn.pictures.datasets import CaptionedPictures
from t2i_learn.pictures.streams import StreamedPictures

table, folder = sys.argv[1:]
for data in (CaptionedPictures(table, cache=folder), StreamedPictures(table, buffer=12, lanes=2)):
    def learner(*callbacks):
        return Learner(Guess(), data.batches(5, 32), guess_loss, callbacks, lr=0.05)
    def resumed(path):
        one = learner(Checkpoint(path, every=3)).fit(6)
        one.accelerator.wait_for_everyone()
        return learner(Checkpoint(path)).fit(11)
    whole, again = learner().fit(11), resumed(f"{folder}/{type(data).__name__}.safetensors")
    hashes = [content_hash(run.model.picture)[:16] for run in (whole, again)]
    numbers = range(whole.accelerator.process_index, 22, 2)
    seen = content_hash([sorted(data.batches(5, 32)(number).captions) for number in numbers])[:8]
    sys.stdout.write(f"RUN {type(data).__name__} {hashes[0]} {hashes[1]} {seen}\\n")
"""


@pytest.mark.trains
def test_two_processes_go_on_with_the_same_batches_and_weights(tmp_path, table):
    script = tmp_path / "train.py"
    paths = [p for p in sys.path if p.endswith("tests")]
    folder = str(streams.Path(__file__).parent)
    head = f"import sys; sys.path[:0] = {[folder, *paths]!r}\n"
    script.write_text(head + PROCESSES)
    lines = lines_of_two_processes(script, str(table), str(tmp_path), word="RUN", timeout=200)
    rows = [line.split()[1:] for line in lines]
    for name in ("CaptionedPictures", "StreamedPictures"):
        mine = [row for row in rows if row[0] == name]
        assert len(mine) == 2 and len({digest for row in mine for digest in row[1:3]}) == 1
        assert mine[0][3] != mine[1][3], "each has batches of its own"


FLAT = """
import resource, sys
from t2i_learn.pictures.streams import StreamedPictures

def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20

stream = StreamedPictures(sys.argv[1], buffer=500, scan=200).batches(50, 64).source
sizes = []
for number in range(400):
    assert len(stream(number).captions) == 50
    if number % 50 == 49:
        sizes.append(round(megabytes(), 1))
print("MEGABYTES", *sizes)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_streaming_20000_pictures_takes_constant_memory(tmp_path):
    import subprocess

    for shard in range(10):
        rows = [
            {
                "image": {"bytes": png(picture(2000 * shard + k, (64, 64))), "path": None},
                "text": f"number {k}",
            }
            for k in range(2000)
        ]
        write_parquet(tmp_path / "own" / f"train-{shard}.parquet", rows, row_group_size=250)
    done = subprocess.run(
        [sys.executable, "-c", FLAT, str(tmp_path / "own")], capture_output=True, text=True, timeout=800
    )
    assert done.returncode == 0, done.stderr[-2000:]
    sizes = [float(word) for word in done.stdout.split()[1:]]
    assert len(sizes) == 8 and max(sizes[1:]) - sizes[0] < 40, sizes
