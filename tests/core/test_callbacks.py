"Callbacks: schedules at their ends, logs that are JSON and somebody's."

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from t2i_learn.core.callbacks import EMA, JSONLogger, read_log, warmup_cosine, warmup_trapezoid
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
