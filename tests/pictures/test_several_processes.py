"Training by the command's own functions: on streams and on two processes, taken up in mid-epoch, written once."

import json

import pytest
import torch
from processes import lines_of_two_processes
from test_datasets import own_cache, table_rows, write_folder, write_parquet  # noqa: F401
from test_training import run, Stop, weights_of
from tiny import tiny_folder

from t2i_learn.core.pipeline import load, read_card
from t2i_learn.pictures.datasets import CaptionedPictures
from t2i_learn.pictures.streams import StreamedPictures
from t2i_learn.pictures.training import open_data, plan_training, run_folder, train_model


@pytest.fixture
def table(tmp_path):
    "Sixty rows in groups of seven."
    return write_parquet(tmp_path / "rows.parquet", table_rows(60), row_group_size=7)


def test_a_stream_holds_pictures_out_wherever_they_come(tmp_path):
    rows = table_rows(60)
    table = write_parquet(tmp_path / "rows.parquet", [*rows, *rows], row_group_size=7)
    data, held_out = open_data(table, stream=True, scan=60)
    assert isinstance(data, StreamedPictures) and len(held_out) == 8
    out = {*held_out.captions}
    stream = data.batches(8, 32).source
    seen = {text for number in range(40) for text in stream(number).captions}
    assert not out & seen and len(out | seen) == 60, "the second copies are not trained on either"
    whole = StreamedPictures(table, scan=60)
    assert data.fingerprint != whole.fingerprint and not whole.held_out
    for share in (0, 1, 0.001):
        with pytest.raises(ValueError, match="leaves no two parts"):
            whole.divide(share)


def test_few_rows_of_a_stream_hold_none_out_and_emoji_have_their_own(tmp_path):
    few = write_parquet(tmp_path / "few.parquet", table_rows(12))
    data, held_out = open_data(few, stream=True)
    assert isinstance(data, StreamedPictures) and held_out is None
    data, held_out = open_data("emoji", stream=True, scan=20, lanes=2)
    assert isinstance(held_out, CaptionedPictures) and data.lanes == 2 and len(held_out) > 100


def test_captions_of_a_stream_get_a_tokenizer_where_the_shipped_one_does_badly(tmp_path):
    text = "vihreällä taustalla on sydämenmuotoinen esine, jonka reunat ovat keltaisenruskeat"
    rows = [row | {"text": f"{text} {number % 5}"} for number, row in enumerate(table_rows(48))]
    plan = plan_training(write_parquet(tmp_path / "rows.parquet", rows), 32, "smoke", stream=True)
    assert "tokenizer trained on these captions" in "\n".join(plan.lines())
    assert plan.data.inspector.tokenizer.merges == plan.config.new_model().tokenizer.merges


@pytest.mark.trains
def test_the_command_trains_on_a_stream(tmp_path, table):
    done = run(
        *("train", "--data", table, "--size", 16, "--preset", "smoke", "--steps", 2),
        *("--stream", "--out", tmp_path / "mine"),
    )
    assert done.exit_code == 0, done.output
    assert "16 pictures of a stream; 8 held out" in done.output
    facts = read_card(tmp_path / "mine")
    assert facts["data"]["pictures"] is None and "lanes" in facts["data"]["fingerprint"]
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "a stream of captioned pictures" in card and "Of the first 60 candidates" in card


@pytest.mark.trains
def test_a_training_on_a_stream_goes_on_in_mid_epoch(tmp_path, table):
    def train(name, *callbacks):
        plan = plan_training(table, 16, "smoke", steps=9, stream=True, buffer=20)
        return train_model(plan, tmp_path / name, callbacks=callbacks, say=str)

    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("part", Stop(5))
    part = weights_of(train("part"))
    assert all(torch.equal(part[name], tensor) for name, tensor in weights_of(whole).items())


@pytest.mark.trains
def test_a_checkpoint_knows_the_model_that_it_began_with(tmp_path):
    folder = write_folder(tmp_path / "own", [f"a thing of kind {k % 5}" for k in range(12)])
    one = tiny_folder(tmp_path / "one")
    other = tiny_folder(tmp_path / "other", mean=[0.1, 0.1, 0.1])
    pipe = load(other)
    torch.nn.init.zeros_(next(iter(pipe.model.parameters())))
    pipe.save_pretrained(other)

    def train(begin, steps):
        return train_model(
            plan_training(folder, 32, "smoke", init=begin, steps=steps),
            tmp_path / "mine",
            overwrite=True,
            say=str,
        )

    train(one, 1)
    with pytest.raises(ValueError, match=r"written by another run \(first weights is"):
        train(other, 2)
    (tmp_path / "moved").mkdir()
    train(one.rename(tmp_path / "moved" / "one"), 2)  # the weights count, not their place


SCRIPT = """
import json, os, sys
from t2i_learn.core.learner import Callback, content_hash
from t2i_learn.core.pipeline import load
from t2i_learn.pictures.training import plan_training, train_model

table, folder = sys.argv[1:]
written = []

def watch(event, arguments):
    "Note what this process writes into the folder of the models."
    if event == "open" and isinstance(arguments[0], str) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        written.append(str(arguments[0]))
    if event == "os.rename":
        written.append(str(arguments[1]))

sys.addaudithook(watch)
seen, lines = [], []

class Stop(Callback):
    order = 7
    def __init__(self, step):
        self.step = step
    def after_step(self, learner):
        if learner.step == self.step:
            raise KeyboardInterrupt

def train(name, stop=99, **options):
    plan = plan_training(table, 16, "smoke", steps=6, **options)
    return train_model(plan, f"{folder}/{name}", callbacks=[Stop(stop)], say=lines.append)

def weights(pipe):
    return content_hash(pipe.model.state_dict())[:16]

hashes = []
for kind, options in {"map": {}, "stream": {"stream": True, "buffer": 20}}.items():
    whole = weights(train(f"{kind}-whole", **options))
    try:
        train(f"{kind}-part", 3, **options)
    except KeyboardInterrupt:
        pass
    hashes += [whole, weights(train(f"{kind}-part", **options)), weights(load(f"{folder}/{kind}-whole"))]
mine = sorted({path for path in written if path.startswith(folder)})
rank = int(os.environ["RANK"])
sys.stdout.write("RUN " + json.dumps({"rank": rank, "hashes": hashes, "written": mine, "lines": lines}) + "\\n")
"""


@pytest.fixture
def script(tmp_path):
    "The training, as a file that `torchrun` starts."
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


@pytest.mark.slow
def test_two_processes_go_on_in_mid_epoch_and_one_of_them_writes(tmp_path, table, script):
    models = tmp_path / "models"
    models.mkdir()
    lines = lines_of_two_processes(script, str(table), str(models), word="RUN", timeout=400)
    rows = {row["rank"]: row for row in (json.loads(line[4:]) for line in lines)}
    hashes = [rows[rank]["hashes"] for rank in (0, 1)]
    assert hashes[0] == hashes[1], "both have the same weights"
    assert len({*hashes[0][:3]}) == len({*hashes[0][3:]}) == 1, "to the bit, and so has the file"
    assert hashes[0][0] != hashes[0][3]
    assert rows[1]["written"] == [] and rows[1]["lines"] == [], "one process writes and speaks"
    assert any(path.endswith("checkpoint.safetensors") for path in rows[0]["written"])
    assert "going on at step 3 of 6" in rows[0]["lines"]
    log = run_folder(models / "stream-part") / "log.jsonl"
    steps = [json.loads(line).get("step") for line in log.read_text().splitlines()]
    assert steps == [None, 1, 2, 3, 4, 5, 6]
    plan = plan_training(table, 16, "smoke", steps=7)
    with pytest.raises(ValueError, match=r"processes is unknown here and 2 in the file"):
        train_model(plan, models / "map-part", overwrite=True, say=str)
