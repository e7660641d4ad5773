"Callbacks: schedules at their ends, logs that are JSON and somebody's."

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from t2i_learn.core.callbacks import (
    EMA,
    JSONLogger,
    read_log,
    SampleGrid,
    warmup_cosine,
    warmup_trapezoid,
)
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.learner import Learner


def loss(model, batch, generator):
    return model(batch).pow(2).mean()


def a_learner(*callbacks, lr=1e-3, seed=0, loss=loss, data=lambda number: torch.ones(2, 3)):
    torch.manual_seed(0)
    return Learner(nn.Linear(3, 1), data, loss, callbacks, lr=lr, seed=seed)


@pytest.mark.parametrize(
    ("multiplier", "part"),
    [
        (warmup_trapezoid(0, 0.3), 0.0),
        (warmup_trapezoid(0, 0.3), 0.5),
        (warmup_trapezoid(0.1, 0), 1.0),
        (warmup_trapezoid(0.1, 0), 0.5),
        (warmup_trapezoid(0, 0), 0.0),
        (warmup_trapezoid(0, 0), 1.0),
        (warmup_cosine(1.0), 1.0),
        (warmup_cosine(0.0), 0.0),
    ],
)
def test_a_schedule_without_a_rise_or_a_fall_stays_at_one(multiplier, part):
    assert multiplier(part) == 1


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_schedule_is_finite_everywhere(warmup, decay, part):
    assert (
        0 <= warmup_trapezoid(warmup, decay)(part) <= 1 and 0 <= warmup_cosine(warmup)(part) <= 1 + 1e-9
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [float, np.float32, torch.tensor])
def test_a_log_is_json_whatever_the_loss_is(tmp_path, value, wrap):
    def metric(model, batch, generator):
        return loss(model, batch, generator) * 0 + value, {"extra": wrap(value), "fine": wrap(0.5)}

    a_learner(JSONLogger(tmp_path / "x.jsonl", 1), loss=metric).fit(2)

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    for line in (tmp_path / "x.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    assert [(row["loss"], row["extra"], row["fine"]) for row in read_log(tmp_path / "x.jsonl")] == 2 * [
        (None, None, 0.5)
    ]


@pytest.mark.parametrize("change", [{"lr": 2e-3}, {"seed": 1}, {}])
def test_the_log_of_an_earlier_run_is_kept(tmp_path, change):
    path = tmp_path / "run.jsonl"
    a_learner(JSONLogger(path, 1)).fit(3)
    whole = path.read_bytes()
    a_learner(JSONLogger(path, 1), **change).fit(2)
    assert (tmp_path / "run.1.jsonl").read_bytes() == whole and len(read_log(path)) == 2
    a_learner(JSONLogger(path, 1), **change).fit(1)
    assert len(read_log(tmp_path / "run.2.jsonl")) == 2 and len(read_log(path)) == 1


def test_a_run_that_goes_on_keeps_its_log_and_only_that(tmp_path):
    def parts(lr=1e-3, log="run.jsonl"):
        return a_learner(
            Checkpoint(tmp_path / f"{lr}.safetensors", 2), JSONLogger(tmp_path / log, 1), lr=lr
        )

    for learner in parts().run(10):
        if learner.step == 3:
            break
    parts().fit(5)
    assert [row["step"] for row in read_log(tmp_path / "run.jsonl")] == [1, 2, 3, 4, 5]
    assert not (tmp_path / "run.1.jsonl").exists()
    parts(2e-3, "other.jsonl").fit(2)
    parts(2e-3).fit(4)  # resumes at 2, with the other run's log
    assert [row["step"] for row in read_log(tmp_path / "run.1.jsonl")] == [1, 2, 3, 4, 5]
    assert [row["step"] for row in read_log(tmp_path / "run.jsonl")] == [3, 4]


def test_a_learner_that_goes_on_in_memory_goes_on_with_its_log(tmp_path):
    learner = a_learner(JSONLogger(tmp_path / "x.jsonl", 1)).fit(2)
    learner.fit(4)
    assert [row["step"] for row in read_log(tmp_path / "x.jsonl")] == [1, 2, 3, 4]


@pytest.mark.parametrize("line", ["{}", "[]", "3", '{"loss": 1}', '{"step": "a"}', '{"step": null}', ""])
def test_a_row_without_a_step_is_no_row(tmp_path, line):
    path = tmp_path / "x.jsonl"
    path.write_text(f'{{"step": 1, "loss": 2}}\n{line}\n{{"step": 2, "loss": NaN}}\n')
    assert read_log(path) == [{"step": 1, "loss": 2}, {"step": 2, "loss": None}]
    learner = a_learner(JSONLogger(path, 1))
    learner.step = 1
    learner.fit(2)
    assert [row["step"] for row in read_log(path)] == [1, 2]


@pytest.mark.parametrize("line", ["not json", "{", "[" * 100_000])
def test_what_is_no_log_is_a_sentence_and_stays(tmp_path, line):
    path = tmp_path / "notes.txt"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=r"notes.txt is not a log: each line of one is a JSON object$"):
        read_log(path)
    with pytest.raises(ValueError, match="is not a log"):
        a_learner(JSONLogger(path)).fit(1)
    assert path.read_text() == line + "\n"


def test_two_averages_of_one_run_are_told_apart():
    assert [EMA(0.9).name, EMA(0.999).name] == ["EMA 0.9", "EMA 0.999"]
    averages = [EMA(d, w) for d in (0.9, 0.9999999, 0.99999995, np.float32(0.5)) for w in (True, False)]
    assert len({ema.name for ema in averages}) == 8


FOREIGN = {
    "rows without a step": '{"text": "mine"}\n{"text": "more"}\n',
    "one row": '{"text": "mine"}\n',
    "steps that are floats": '{"step": 1.0, "loss": 3}\n{"step": 2.0, "loss": 1}\n',
    "steps that are true": '{"step": true}\n',
    "lists": "[1, 2]\n[3, 4]\n",
    "a text without a newline": "hello, this is a text",
    "an object without a newline": '{"step": 1, "loss": 2}',
    "a number": "3\n",
    "blank lines": "\n\n",
    "a run of somebody else": '{"run": "7", "text": "mine"}\n',
    "a run and more": '{"run": {"seed": 0}}\n{"text": "mine"}\n',
    "another trainer's": '{"step": 10, "loss": 0.5}\n',
}


@pytest.mark.parametrize("step", [0, 2])
@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_is_no_log_of_this_run_is_kept(tmp_path, text, step):
    path = tmp_path / "data.jsonl"
    path.write_text(text)
    learner = a_learner(JSONLogger(path, 1))
    learner.step = step
    learner.fit(step + 1)
    assert (tmp_path / "data.1.jsonl").read_text() == text
    assert [row["step"] for row in read_log(path)] == [step + 1]


def test_lines_of_another_kind_in_a_run_s_log_stay_when_it_goes_on(tmp_path):
    path = tmp_path / "run.jsonl"

    def run(steps):
        return a_learner(JSONLogger(path, 1), Checkpoint(tmp_path / "run.safetensors", 1)).fit(steps)

    run(1)
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"note": "a good start"}\n')
    run(2)
    assert '{"note": "a good start"}' in path.read_text().splitlines()
    assert [row["step"] for row in read_log(path)] == [1, 2]


def test_an_object_that_logs_two_runs_loses_neither(tmp_path):
    log = JSONLogger(tmp_path / "run.jsonl", 1)
    a_learner(log).fit(3)
    a_learner(log).fit(2)
    assert [len(read_log(tmp_path / name)) for name in ("run.1.jsonl", "run.jsonl")] == [3, 2]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ([math.nan, 1.0], [None, 1.0]),
        ({"c": math.inf, "d": {"e": [-math.inf]}}, {"c": None, "d": {"e": [None]}}),
        ((1, math.nan), [1, None]),
        (np.array([1.0, np.nan]), [1.0, None]),
        (np.array([[1, 2]]), [[1, 2]]),
        (torch.tensor([1.0, math.inf]), [1.0, None]),
        (torch.ones(1, requires_grad=True), 1.0),
        (np.bool_(True), True),
        ({1}, [1]),
        ({2: "a"}, {"2": "a"}),
        (3j, "3j"),
        (None, None),
    ],
)
def test_metrics_of_every_kind_are_json(tmp_path, value, written):
    path = tmp_path / "x.jsonl"
    a_learner(
        JSONLogger(path, 1), loss=lambda *call: (loss(*call), {"metric": value, "step": "mine"})
    ).fit(1)
    row = json.loads(path.read_text().splitlines()[-1], parse_constant=pytest.fail)
    assert row["metric"] == written and row["step"] == 1


def test_a_row_that_is_kept_is_json_again(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"step": 1, "loss": 1e999, "more": [NaN, -Infinity]}\n')
    learner = a_learner(JSONLogger(path, 1))
    learner.step = 1
    learner.fit(2)
    rows = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert rows[1] == {"step": 1, "loss": None, "more": [None, None]}


@pytest.mark.parametrize("every", [0, -1, 1.5, "2", None, True])
@pytest.mark.parametrize("make", [JSONLogger, Checkpoint, SampleGrid])
def test_every_how_many_steps_is_a_whole_number(make, every):
    with pytest.raises(ValueError, match=r"^every must be a whole number, at least 1, not "):
        make("x", every)
