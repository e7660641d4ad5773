"The training loop: what callbacks see, averages, schedules, logs, several processes."

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from t2i_learn.core import learner as core


ROOT = Path(__file__).resolve().parent.parent


def ones(number):
    return torch.ones(2, 3)


def mean_square(model, batch, generator):
    return model(batch).pow(2).mean()


class Recorder(core.Callback):
    "Writes down the name of each moment."

    def __init__(self, order=0):
        self.order, self.moments = order, []

    def __getattribute__(self, name):
        if name in ("before_fit", "before_step", "after_backward", "after_step", "after_fit"):
            self.moments.append(name)
        return super().__getattribute__(name)


def test_callbacks_are_told_every_moment_in_order():
    recorder = Recorder()
    core.Learner(nn.Linear(3, 1), ones, mean_square, [recorder]).fit(2)
    step = ["before_step", "after_backward", "after_step"]
    assert recorder.moments == ["before_fit", *step, *step, "after_fit"]


def test_a_loop_that_is_left_early_still_ends_properly():
    recorder = Recorder()
    run = core.Learner(nn.Linear(3, 1), ones, mean_square, [recorder]).run(10)
    next(run)
    run.close()
    assert recorder.moments[-1] == "after_fit"


def test_callbacks_run_by_order_then_as_given():
    first, second, last = Recorder(), Recorder(), Recorder(order=3)
    assert core.Loop(ones, [last, first, second]).callbacks == [first, second, last]


def test_a_batch_is_asked_for_by_its_number():
    asked = []
    core.Learner(nn.Linear(3, 1), lambda number: asked.append(number) or ones(number), mean_square).fit(4)
    assert asked == [0, 1, 2, 3]


def test_noise_depends_on_seed_and_step_only():
    def draws(seed, disturb):
        seen = []

        def loss(model, batch, generator):
            seen.append(torch.rand(3 if disturb else 2, generator=generator)[0].item())
            return mean_square(model, batch, generator)

        core.Learner(nn.Linear(3, 1), ones, loss, seed=seed).fit(3)
        return seen

    assert draws(1, False) == draws(1, True), "a step that draws more does not move the next one's noise"
    assert len({*draws(1, False), *draws(2, False)}) == 6


def test_bf16_computes_in_bf16_and_keeps_float32_weights():
    seen = []

    def loss(model, batch, generator):
        seen.append(model(batch).dtype)
        return model(batch).float().pow(2).mean()

    model = nn.Conv2d(3, 4, 3)
    learner = core.Learner(model, lambda number: torch.ones(1, 3, 5, 5), loss, precision="bf16").fit(1)
    assert seen == [torch.bfloat16]
    assert {p.dtype for p in learner.params} == {torch.float32} == {p.grad.dtype for p in learner.params}
    assert model.weight.is_contiguous(memory_format=torch.channels_last)


def test_precisions_can_differ_between_learners_of_one_process():
    kinds = {}
    for precision in ("no", "bf16", "no"):
        def loss(model, batch, generator):
            kinds.setdefault(precision, model(batch).dtype)  # noqa: B023
            return model(batch).float().sum()

        assert core.Learner(nn.Linear(3, 1), ones, loss, precision=precision).fit(1).precision == precision
    assert kinds == {"no": torch.float32, "bf16": torch.bfloat16}


def test_work_stays_on_the_cpu_unless_asked(monkeypatch):
    code = "from accelerate import state; state.is_mps_available = lambda *a, **k: True\nfrom t2i_learn.core import learner; print(learner.make_accelerator().device)"
    for told, device in ({}, "cpu"), ({"T2I_DEVICE": "cpu"}, "cpu"), ({"T2I_DEVICE": "auto"}, "mps"):  # on a Mac
        environment = {name: value for name, value in os.environ.items() if name != "T2I_DEVICE"} | told
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=100, cwd=ROOT)
        assert done.stdout.strip() == device, done.stderr
    monkeypatch.setenv("T2I_DEVICE", "tpu")
    with pytest.raises(ValueError, match="unknown device T2I_DEVICE=tpu: choose one of cpu, auto"):
        core.make_accelerator()
    monkeypatch.setenv("T2I_DEVICE", "auto")
    assert not core.cpu_only()


def test_unknown_precision_and_preset_are_named():
    with pytest.raises(ValueError, match=r"unknown precision 'int8': choose one of no, bf16$"):
        core.Learner(nn.Linear(3, 1), ones, mean_square, precision="int8")
    with pytest.raises(ValueError, match="unknown preset 'fast': choose one of smoke, cpu, full"):
        core.preset("fast")


def test_preset_asks_argument_then_environment_then_test(monkeypatch):
    monkeypatch.setenv("T2I_PRESET", "full")
    assert (core.preset("cpu"), core.preset()) == ("cpu", "full")
    monkeypatch.delenv("T2I_PRESET")
    monkeypatch.setenv("IN_TEST", "1")
    assert core.preset() == "smoke"
    monkeypatch.delenv("IN_TEST")
    assert core.preset() == "cpu"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.floats(0.5, 0.999), st.booleans())
def test_ema_is_the_weighted_mean_it_promises(values, decay, warmup):
    model, ema, expected = nn.Linear(1, 1), core.EMA(decay, warmup), 7.0
    loop = core.Loop(ones)
    loop.model = model
    model.weight.data.fill_(7.0)
    ema.before_fit(loop)
    for step, value in enumerate(values):
        model.weight.data.fill_(value)
        loop.step = step + 1
        ema.after_step(loop)
        d = min(decay, (1 + step) / (10 + step)) if warmup else decay
        expected = d * expected + (1 - d) * value
    assert math.isclose(ema.model.weight.item(), expected, rel_tol=1e-4, abs_tol=1e-4)
    assert not any(p.requires_grad for p in ema.model.parameters())


def test_ema_follows_batch_statistics():
    model, ema = nn.BatchNorm1d(3), core.EMA()
    core.Learner(model, lambda number: torch.randn(4, 3), mean_square, [ema]).fit(3)
    assert torch.equal(ema.model.running_mean, model.running_mean) and ema.model.num_batches_tracked == 3
    assert not ema.model.training


@settings(max_examples=30, deadline=None)
@given(st.floats(0.001, 0.5), st.floats(0, 1), st.floats(0, 1))
def test_warmup_cosine_stays_between_zero_and_one(warmup, floor, fraction):
    factor = core.warmup_cosine(warmup, floor)
    assert 0 <= factor(fraction) <= 1 + 1e-9
    assert math.isclose(factor(1.0), floor, abs_tol=1e-9) and math.isclose(factor(warmup), 1.0)


def test_schedule_knows_each_group_of_an_optimizer():
    a, b = nn.Linear(3, 3), nn.Linear(3, 1)
    groups = [{"params": a.parameters(), "lr": 1.0}, {"params": b.parameters(), "lr": 0.1}]
    optimizer = torch.optim.SGD(groups)
    core.Learner(nn.Sequential(a, b), ones, mean_square, [core.LRSchedule(lambda u: 1 - u / 2)], optimizer=optimizer).fit(4)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5, 0.05])


def test_prefetch_gives_the_batches_and_their_errors():
    def data(number):
        if number == 5:
            raise KeyError("no batch 5")
        return number * 10

    ready = core.Prefetch(data, depth=2)
    assert [ready(n) for n in (0, 1, 2, 3, 4)] == [0, 10, 20, 30, 40]
    with pytest.raises(KeyError, match="no batch 5"):
        ready(5)
    assert ready(6) == 60 and ready(0) == 0


@given(st.integers(1, 6), st.lists(st.integers(0, 30), max_size=20))
def test_repeat_makes_each_batch_once(batches, numbers):
    made = []
    repeat = core.CachedBatches(lambda n: made.append(n) or [n], batches)
    assert [repeat(n) for n in numbers] == [[n % batches] for n in numbers]
    assert sorted(made) == sorted({n % batches for n in numbers})


def test_a_gradient_that_is_not_finite_stops_before_the_update():
    model = nn.Linear(3, 1, bias=False)
    before = model.weight.detach().clone()

    def loss(model, batch, generator):
        return (model(batch) * 0).sqrt().sum()  # the value is 0, the slope infinite

    with pytest.raises(core.NonFiniteLoss, match=r"the loss is 0 at step 0 \(learning rate 0.001, gradient norm nan"):
        core.Learner(model, ones, loss, [core.StopNonFinite(), core.ClipGrad()]).fit(1)
    assert torch.equal(model.weight, before)


def test_log_means_metrics_and_lines_that_a_kill_has_undone(tmp_path):
    path = tmp_path / "logs" / "run.jsonl"

    def loss(model, batch, generator):
        return model(batch).sum() * 0 + next(values), {"extra": 0.5}

    values = iter([1.0, 3.0, 5.0, 7.0, 9.0])
    core.Learner(nn.Linear(3, 1), ones, loss, [core.JSONLogger(path, every=2)]).fit(5)
    rows = core.read_log(path)
    assert [(row["step"], row["loss"], row["extra"]) for row in rows] == [(2, 2, 0.5), (4, 6, 0.5), (5, 9, 0.5)]
    values = iter([1.0])
    fresh = core.Learner(nn.Linear(3, 1), ones, loss, [core.JSONLogger(path, every=2)])
    fresh.step = 3
    fresh.fit(4)
    assert [row["step"] for row in core.read_log(path)] == [2, 4]
    assert core.read_log(path)[1]["loss"] == 1.0


def test_a_run_can_be_taken_up_in_memory_without_its_file(tmp_path):
    checkpoint = core.Checkpoint(tmp_path / "run.safetensors", every=3)
    learner = core.Learner(nn.Linear(3, 1), ones, mean_square, [checkpoint]).fit(3)
    for _ in learner.run(6):
        if learner.step == 5:
            break
    weights = learner.model.weight.detach().clone()
    seen = [learner.step for _ in learner.run(6)]
    assert seen == [6] and not torch.equal(weights, learner.model.weight)


def test_precision_of_a_run_to_resume_is_kept(tmp_path):
    path = tmp_path / "run.safetensors"
    core.Learner(nn.Linear(3, 1), ones, mean_square, [core.Checkpoint(path)], precision="bf16").fit(1)
    assert core.fastest_precision(nn.Linear(3, 1), ones, mean_square, path) == "bf16"
    assert json.loads(core.read_tensors(path)[1]["learner"])["step"] == 1


def test_progress_is_silent_in_a_pipe(capsys):
    core.Learner(nn.Linear(3, 1), ones, mean_square, [core.ProgressBar()]).fit(2)
    assert capsys.readouterr() == ("", "")


PROCESSES = """
import sys, torch
from torch import nn
from t2i_learn.core import learner as core

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4))
    def distance(self, batch):  # not forward: the wrapper has to hold all the same
        return (self.weight - batch).pow(2).mean()

data = lambda number: torch.eye(4)[number % 4] * (number + 1)
learner = core.Learner(Model(), data, lambda model, batch, generator: model.distance(batch),
                       [core.EMA(0.5), core.Checkpoint(sys.argv[1], every=2)], lr=0.1)
learner.fit(4)
weights = [round(w, 6) for w in learner.model.weight.tolist()]
sys.stdout.write(f"PROCESSES {learner.accelerator.num_processes} {weights}\\n")  # in one piece: both write to the same pipe
"""


def test_two_processes_share_the_batches_and_agree_on_the_weights(tmp_path):
    script, single = tmp_path / "train.py", nn.Module()
    script.write_text(PROCESSES)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*launch, str(tmp_path / "x.safetensors")], env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("PROCESSES")]
    single.weight = nn.Parameter(torch.zeros(4))
    batches = [torch.eye(4)[n % 4] * (n + 1) for n in range(8)]
    optimizer = core.default_optimizer(single.parameters(), 0.1)
    for a, b in zip(batches[::2], batches[1::2], strict=True):
        optimizer.zero_grad()
        (((single.weight - a).pow(2).mean() + (single.weight - b).pow(2).mean()) / 2).backward()
        optimizer.step()
    assert lines == 2 * [f"PROCESSES 2 {[round(w, 6) for w in single.weight.tolist()]}"]
