"The training loop: what callbacks see, averages, schedules, logs, several processes."

import json
import math
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT
from torch import nn
from processes import lines_of_two_processes

from t2i_learn.core.callbacks import (
    ClipGrad,
    EMA,
    JSONLogger,
    LRSchedule,
    NonFiniteLoss,
    ProgressBar,
    read_log,
    StopNonFinite,
    warmup_cosine,
)
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.files import read_tensors
from t2i_learn.core.learner import (
    CachedBatches,
    Callback,
    check_batch,
    cpu_only,
    default_optimizer,
    Learner,
    Loop,
    make_accelerator,
    numbered_batches,
    Prefetch,
)
from t2i_learn.core.training import fastest_precision, preset


def ones(number):
    return torch.ones(2, 3)


def mean_square(model, batch, generator):
    return model(batch).pow(2).mean()


class Recorder(Callback):
    "Writes down the name of each moment."

    def __init__(self, order=0):
        self.order, self.moments = order, []

    def __getattribute__(self, name):
        if name in ("before_fit", "before_step", "after_backward", "after_step", "after_fit"):
            self.moments.append(name)
        return super().__getattribute__(name)


def test_callbacks_run_at_every_moment_in_order():
    recorder = Recorder()
    Learner(nn.Linear(3, 1), ones, mean_square, [recorder]).fit(2)
    step = ["before_step", "after_backward", "after_step"]
    assert recorder.moments == ["before_fit", *step, *step, "after_fit"]


def test_a_loop_that_is_left_early_still_ends_properly():
    recorder = Recorder()
    run = Learner(nn.Linear(3, 1), ones, mean_square, [recorder]).run(10)
    next(run)
    run.close()
    assert recorder.moments[-1] == "after_fit"


def test_callbacks_run_by_order_then_as_given():
    first, second, last = Recorder(), Recorder(), Recorder(order=3)
    assert Loop(ones, [last, first, second]).callbacks == [first, second, last]


def test_a_batch_is_asked_for_by_its_number():
    asked = []
    Learner(nn.Linear(3, 1), lambda number: asked.append(number) or ones(number), mean_square).fit(4)
    assert asked == [0, 1, 2, 3]


def test_noise_depends_on_seed_and_step_only():
    def draws(seed, disturb):
        seen = []

        def loss(model, batch, generator):
            seen.append(torch.rand(3 if disturb else 2, generator=generator)[0].item())
            return mean_square(model, batch, generator)

        Learner(nn.Linear(3, 1), ones, loss, seed=seed).fit(3)
        return seen

    assert draws(1, False) == draws(1, True), "a step that draws more does not move the next one's noise"
    assert len({*draws(1, False), *draws(2, False)}) == 6


def test_bf16_computes_in_bf16_and_keeps_float32_weights():
    seen = []

    def loss(model, batch, generator):
        seen.append(model(batch).dtype)
        return model(batch).float().pow(2).mean()

    model = nn.Conv2d(3, 4, 3)
    learner = Learner(model, lambda number: torch.ones(1, 3, 5, 5), loss, precision="bf16").fit(1)
    assert seen == [torch.bfloat16]
    assert {p.dtype for p in learner.params} == {torch.float32} == {p.grad.dtype for p in learner.params}
    assert model.weight.is_contiguous(memory_format=torch.channels_last)


def test_precisions_can_differ_between_learners_of_one_process():
    kinds = {}
    for precision in ("no", "bf16", "no"):

        def loss(model, batch, generator):
            kinds.setdefault(precision, model(batch).dtype)  # noqa: B023
            return model(batch).float().sum()

        assert Learner(nn.Linear(3, 1), ones, loss, precision=precision).fit(1).precision == precision
    assert kinds == {"no": torch.float32, "bf16": torch.bfloat16}


@pytest.mark.trains
def test_a_gpu_is_used_where_there_is_one_unless_the_environment_says_cpu(monkeypatch):
    code = "from accelerate import state; state.is_mps_available = lambda *a, **k: True\nfrom t2i_learn.core import learner; print(learner.make_accelerator().device)"
    for settings_here, device in (
        ({}, "mps"),
        ({"T2I_DEVICE": "cpu"}, "cpu"),
        ({"T2I_DEVICE": "auto"}, "mps"),
    ):  # on a Mac
        environment = {
            name: value for name, value in os.environ.items() if name != "T2I_DEVICE"
        } | settings_here
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            cwd=ROOT,
        )
        assert done.stdout.strip() == device, done.stderr
    monkeypatch.setenv("T2I_DEVICE", "tpu")
    with pytest.raises(ValueError, match=r"there is no T2I_DEVICE 'tpu': .*Known: auto, cpu"):
        make_accelerator()
    monkeypatch.setenv("T2I_DEVICE", "auto")
    assert not cpu_only()


def test_unknown_precision_and_preset_are_named():
    with pytest.raises(ValueError, match=r"there is no precision 'int8': Known: bf16, no$"):
        Learner(nn.Linear(3, 1), ones, mean_square, precision="int8")
    with pytest.raises(ValueError, match="there is no preset 'fast': Known: cpu, full, smoke"):
        preset("fast")


def test_preset_asks_argument_then_environment_then_test(monkeypatch):
    monkeypatch.setenv("T2I_PRESET", "full")
    assert (preset("cpu"), preset()) == ("cpu", "full")
    monkeypatch.delenv("T2I_PRESET")
    monkeypatch.setenv("IN_TEST", "1")
    assert preset() == "smoke"
    monkeypatch.delenv("IN_TEST")
    assert preset() == "cpu"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.floats(0.5, 0.999), st.booleans())
def test_ema_is_the_weighted_mean_it_promises(values, decay, warmup):
    model, ema, expected = nn.Linear(1, 1), EMA(decay, warmup), 7.0
    loop = Loop(ones)
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
    model, ema = nn.BatchNorm1d(3), EMA()
    Learner(model, lambda number: torch.randn(4, 3), mean_square, [ema]).fit(3)
    assert torch.equal(ema.model.running_mean, model.running_mean) and ema.model.num_batches_tracked == 3
    assert not ema.model.training


@settings(max_examples=30, deadline=None)
@given(st.floats(0.001, 0.5), st.floats(0, 1), st.floats(0, 1))
def test_warmup_cosine_stays_between_zero_and_one(warmup, floor, fraction):
    factor = warmup_cosine(warmup, floor)
    assert 0 <= factor(fraction) <= 1 + 1e-9
    assert math.isclose(factor(1.0), floor, abs_tol=1e-9) and math.isclose(factor(warmup), 1.0)


def test_schedule_knows_each_group_of_an_optimizer():
    a, b = nn.Linear(3, 3), nn.Linear(3, 1)
    groups = [{"params": a.parameters(), "lr": 1.0}, {"params": b.parameters(), "lr": 0.1}]
    optimizer = torch.optim.SGD(groups)
    Learner(
        nn.Sequential(a, b), ones, mean_square, [LRSchedule(lambda u: 1 - u / 2)], optimizer=optimizer
    ).fit(4)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5, 0.05])


def test_prefetch_gives_the_batches_and_their_errors():
    def data(number):
        if number == 5:
            raise KeyError("no batch 5")
        return number * 10

    ready = Prefetch(data, depth=2)
    assert [ready(n) for n in (0, 1, 2, 3, 4)] == [0, 10, 20, 30, 40]
    with pytest.raises(KeyError, match="no batch 5"):
        ready(5)
    assert ready(6) == 60 and ready(0) == 0


@given(st.integers(1, 6), st.lists(st.integers(0, 30), max_size=20))
def test_repeat_makes_each_batch_once(batches, numbers):
    made = []
    repeat = CachedBatches(lambda n: made.append(n) or [n], batches)
    assert [repeat(n) for n in numbers] == [[n % batches] for n in numbers]
    assert sorted(made) == sorted({n % batches for n in numbers})


def test_a_gradient_that_is_not_finite_stops_before_the_update():
    model = nn.Linear(3, 1, bias=False)
    before = model.weight.detach().clone()

    def loss(model, batch, generator):
        return (model(batch) * 0).sqrt().sum()  # the value is 0, the slope infinite

    with pytest.raises(
        NonFiniteLoss, match=r"the loss is 0 at step 0 \(learning rate 0.001, gradient norm nan"
    ):
        Learner(model, ones, loss, [StopNonFinite(), ClipGrad()]).fit(1)
    assert torch.equal(model.weight, before)


def test_log_means_metrics_and_lines_that_a_kill_has_undone(tmp_path):
    path = tmp_path / "logs" / "run.jsonl"

    def loss(model, batch, generator):
        return model(batch).sum() * 0 + next(values), {"extra": 0.5}

    values = iter([1.0, 3.0, 5.0, 7.0, 9.0])
    Learner(nn.Linear(3, 1), ones, loss, [JSONLogger(path, every=2)]).fit(5)
    rows = read_log(path)
    assert [(row["step"], row["loss"], row["extra"]) for row in rows] == [
        (2, 2, 0.5),
        (4, 6, 0.5),
        (5, 9, 0.5),
    ]
    values = iter([1.0])
    fresh = Learner(nn.Linear(3, 1), ones, loss, [JSONLogger(path, every=2)])
    fresh.step = 3
    fresh.fit(4)
    assert [row["step"] for row in read_log(path)] == [2, 4]
    assert read_log(path)[1]["loss"] == 1.0


def test_a_run_can_be_taken_up_in_memory_without_its_file(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run.safetensors", every=3)
    learner = Learner(nn.Linear(3, 1), ones, mean_square, [checkpoint]).fit(3)
    for _ in learner.run(6):
        if learner.step == 5:
            break
    weights = learner.model.weight.detach().clone()
    seen = [learner.step for _ in learner.run(6)]
    assert seen == [6] and not torch.equal(weights, learner.model.weight)


def test_precision_of_a_run_to_resume_is_kept(tmp_path):
    path = tmp_path / "run.safetensors"
    Learner(nn.Linear(3, 1), ones, mean_square, [Checkpoint(path)], precision="bf16").fit(1)
    assert fastest_precision(nn.Linear(3, 1), ones, mean_square, path) == "bf16"
    assert json.loads(read_tensors(path)[1]["learner"])["step"] == 1


def test_progress_is_silent_in_a_pipe(capsys):
    Learner(nn.Linear(3, 1), ones, mean_square, [ProgressBar()]).fit(2)
    assert capsys.readouterr() == ("", "")


PROCESSES = """
import sys, torch
from torch import nn
from t2i_learn.core.callbacks import EMA
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.learner import Learner

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4))
    def distance(self, batch):  # not forward: the wrapper has to hold all the same
        return (self.weight - batch).pow(2).mean()

data = lambda number: torch.eye(4)[number % 4] * (number + 1)
learner = Learner(Model(), data, lambda model, batch, generator: model.distance(batch),
                       [EMA(0.5), Checkpoint(sys.argv[1], every=2)], lr=0.1)
learner.fit(4)
weights = [round(w, 6) for w in learner.model.weight.tolist()]
sys.stdout.write(f"PROCESSES {learner.accelerator.num_processes} {weights}\\n")  # in one piece: both write to the same pipe
"""


@pytest.mark.trains
def test_two_processes_share_the_batches_and_agree_on_the_weights(tmp_path):
    script, single = tmp_path / "train.py", nn.Module()
    script.write_text(PROCESSES)
    lines = lines_of_two_processes(
        script, str(tmp_path / "x.safetensors"), word="PROCESSES", timeout=200
    )
    single.weight = nn.Parameter(torch.zeros(4))
    batches = [torch.eye(4)[n % 4] * (n + 1) for n in range(8)]
    optimizer = default_optimizer(single.parameters(), 0.1)
    for a, b in zip(batches[::2], batches[1::2], strict=True):
        optimizer.zero_grad()
        (((single.weight - a).pow(2).mean() + (single.weight - b).pow(2).mean()) / 2).backward()
        optimizer.step()
    assert lines == 2 * [f"PROCESSES 2 {[round(w, 6) for w in single.weight.tolist()]}"]


# --- arguments that are not ignored


def test_gradient_accumulation_is_refused_in_a_sentence():
    from accelerate import Accelerator

    with pytest.raises(
        ValueError,
        match=r"a learner takes one batch a step: set gradient_accumulation_steps to 1, not 4",
    ):
        Learner(
            nn.Linear(3, 1),
            ones,
            mean_square,
            accelerator=Accelerator(gradient_accumulation_steps=4, cpu=True),
        )
    assert (
        Learner(nn.Linear(3, 1), ones, mean_square, accelerator=Accelerator(cpu=True)).fit(1).step == 1
    )


def test_a_precision_beside_an_accelerator_of_another_is_refused():
    from accelerate import Accelerator

    with pytest.raises(
        ValueError, match="precision 'bf16' and an Accelerator of 'no': give one of the two"
    ):
        Learner(nn.Linear(3, 1), ones, mean_square, accelerator=Accelerator(cpu=True), precision="bf16")


@pytest.mark.parametrize("wanted", ["bad", "cuda:7", "CPU", " "])
def test_a_device_that_is_none_is_a_sentence_with_and_without_a_gpu(monkeypatch, wanted):
    monkeypatch.setenv("T2I_DEVICE", wanted)
    for use in (cpu_only, make_accelerator, lambda: Learner(nn.Linear(3, 1), ones, mean_square)):
        with pytest.raises(ValueError, match=r"there is no T2I_DEVICE .*Known: auto, cpu"):
            use()


# --- data


class Drawing(nn.Module):
    "What a model of pictures looks like to a learner."

    def __init__(self, side=32):
        super().__init__()
        self.config, self.weight = {"side": side}, nn.Parameter(torch.zeros(3, 1, 1))


def picture_loss(model, batch, generator):
    assert len(batch.captions) == len(batch.pictures)
    return (batch.pictures - model.weight).square().mean()


def captioned(pictures, captions=("a heart", "a star")):
    return {"image": pictures, "caption": list(captions)}


GOOD = torch.rand(2, 3, 32, 32) * 2 - 1


@pytest.mark.parametrize("network", ["alone", "with others"])
@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (
            captioned((GOOD + 1) * 127.5),
            r"go from .* to 25\d, not from -1 to 1: 8-bit values v become v / 127.5 - 1",
        ),
        (captioned(((GOOD + 1) * 127.5).byte()), "are floats in .*, not torch.uint8: 8-bit values"),
        (captioned(GOOD[:, :1]), r"a tensor \(B, 3, H, W\), not \(2, 1, 32, 32\)"),
        (captioned(torch.cat([GOOD, GOOD[:, :1]], 1)), r"not \(2, 4, 32, 32\)"),
        (captioned(GOOD[0]), r"not \(3, 32, 32\)"),
        (captioned(GOOD.movedim(1, -1)), r"not \(2, 32, 32, 3\)"),
        (captioned(list(GOOD)), "not a list"),
        (captioned(GOOD[..., :28, :28]), "are 28×28, and this model takes 32×32"),
        (captioned(GOOD[..., :28]), "are 28×32, and this model takes 32×32"),
        (captioned(torch.where(GOOD > 0.99, float("nan"), GOOD)), "hold numbers that are not finite"),
        (captioned(torch.where(GOOD > 0.99, float("inf"), GOOD)), "hold numbers that are not finite"),
        (captioned(GOOD, ["a heart", None]), "captions are a list of texts, not of NoneType"),
        (captioned(GOOD, [["a"], ["b"]]), "captions are a list of texts, not of list"),
        ({"image": GOOD, "caption": None}, None),
        ({"image": GOOD, "caption": "a heart"}, "captions are a list of texts, not of NoneType"),
        (captioned(GOOD, ["a heart"]), "1 captions for 2 pictures"),
        ({"image": GOOD}, None),
    ],
)
def test_data_is_looked_at_before_the_first_step(network, batch, words):
    model = Drawing()
    options = {} if network == "alone" else {"batches_per_step": 2}
    one = (
        picture_loss
        if network == "alone"
        else lambda model, batches, generator: picture_loss(model, batches[-1], generator)
    )
    learner = Learner(model, lambda number: batch, one, **options)
    with pytest.raises(
        ValueError if words else (AttributeError, TypeError), match=words or "captions|NoneType"
    ):
        learner.fit(1)
    assert learner.step == 0 and model.weight.abs().sum() == 0


@pytest.mark.parametrize(
    "batch",
    [
        captioned(GOOD),
        {"pictures": GOOD, "captions": ("a", "b")},
        {"pixel_values": GOOD, "text": ["", ""]},
        (GOOD, ["a", "b"]),
        [GOOD, ("a", "b")],
    ],
)
def test_pictures_and_captions_come_under_many_names(batch):
    assert Learner(Drawing(), lambda number: batch, picture_loss).fit(2).step == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.ones(2, 3),
        lambda: (torch.ones(2, 3), 4),
        lambda: {"x": torch.ones(2, 3)},
        lambda: "text",
        lambda: None,
    ],
)
def test_batches_of_another_kind_reach_the_loss_as_they_are(make):
    seen = []
    Learner(
        nn.Linear(3, 1),
        lambda number: make(),
        lambda model, batch, generator: seen.append(batch) or model.weight.sum(),
    ).fit(1)
    assert type(make()) is type(seen[0]) or dict(seen[0]).keys() == make().keys()


def test_data_may_say_that_it_makes_other_sizes_on_purpose():
    class Windows:
        sizes = ((16, 32),)

        def __call__(self, number):
            return captioned(GOOD[:, :, :16])

    assert Learner(Drawing(), Prefetch(CachedBatches(Windows(), 2)), picture_loss).fit(2).step == 2
    with pytest.raises(ValueError, match="are 32×32, and this model takes 32×16"):
        check_batch(captioned(GOOD), Windows.sizes)


LOADERS = {
    "DataLoader": lambda: torch.utils.data.DataLoader(torch.ones(6, 3), batch_size=2, shuffle=True),
    "list": lambda: [torch.ones(2, 3)] * 3,
    "iterator": lambda: iter([torch.ones(2, 3)] * 3),
    "generator": lambda: (torch.ones(2, 3) for _ in range(3)),
}


@pytest.mark.parametrize("wrap", [lambda data: data, Prefetch])
@pytest.mark.parametrize("kind", LOADERS)
def test_streams_of_batches_work_or_say_when_they_ran_dry(kind, wrap):
    learner = Learner(nn.Linear(3, 1), wrap(LOADERS[kind]()), mean_square)
    if kind in ("DataLoader", "list"):
        assert learner.fit(10).step == 10
    else:
        with pytest.raises(
            ValueError,
            match="the data ran dry after 3 batches: train for 3 steps at most, or give a DataLoader",
        ):
            learner.fit(10)
        assert learner.step == 3


def test_a_function_whose_iterator_ran_dry_says_so():
    batches = iter([torch.ones(2, 3)] * 3)
    learner = Learner(nn.Linear(3, 1), lambda number: next(batches), mean_square)
    with pytest.raises(ValueError, match="the data ran dry at step 3"):
        learner.fit(10)


@pytest.mark.parametrize(
    ("data", "words"), [([], "holds no batch"), (3, "not int"), (None, "not NoneType")]
)
def test_what_is_no_data_is_a_sentence(data, words):
    with pytest.raises(ValueError, match=words):
        Learner(nn.Linear(3, 1), data, mean_square).fit(1)


def test_a_stream_has_each_item_once_a_round_and_leaves_the_global_generator_alone():
    loader = torch.utils.data.DataLoader(torch.arange(10), batch_size=2, shuffle=True)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    batches = numbered_batches(loader, seed=1)
    rounds = [
        sorted(item for k in range(5) for item in batches(5 * turn + k).tolist()) for turn in range(3)
    ]
    assert rounds == 3 * [list(range(10))] and torch.equal(torch.rand(1), expected)
    with pytest.raises(ValueError, match="does not go back to batch 2 from 14"):
        batches(2)
