"The training loop: what callbacks see, averages, schedules, logs, several processes."

import gc
import json
import math
import os
import subprocess
import sys
import threading
import weakref

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT
from torch import nn
from processes import lines_of_two_processes
from tiny import tiny_gan, tiny_pipeline

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
    content_hash,
    cpu_only,
    default_optimizer,
    json_value,
    Learner,
    Loop,
    make_accelerator,
    numbered_batches,
    Prefetch,
)
from t2i_learn.core.training import CombinedOptimizer, fastest_precision, preset, TrainConfig
from t2i_learn.diffusion.text_to_image import DiffusionConfig
from t2i_learn.gan.learner import GANLearner, GANMonitor, GANPair
from t2i_learn.gan.text_to_image import GANConfig


def ones(number):
    return torch.ones(2, 3)


def mean_square(model, batch, generator):
    return model(batch).pow(2).mean()


def seeded_linear():
    torch.manual_seed(0)
    return nn.Linear(3, 1)


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


def test_gradient_accumulation_adds_up_the_batches_of_a_step():
    from accelerate import Accelerator

    data = lambda number: torch.full((2, 3), float(number))
    of = lambda data, steps: Learner(
        seeded_linear(),
        data,
        mean_square,
        accelerator=Accelerator(gradient_accumulation_steps=steps, cpu=True),
    )
    together = of(lambda step: torch.cat([data(2 * step), data(2 * step + 1)]), 1)
    one_by_one = of(data, 2)
    assert one_by_one.run_facts()["batches a step"] == 2 and together.run_facts()["batches a step"] == 1
    of(data, 1)  # accelerate keeps one number a process; a learner keeps its own
    for _ in range(3):
        together.fit(together.step + 1)
        one_by_one.fit(one_by_one.step + 1)
        assert one_by_one.loss == pytest.approx(together.loss, rel=1e-6)
        assert torch.allclose(one_by_one.model.weight, together.model.weight, atol=1e-6)
    assert one_by_one.step == 3


def test_gradient_accumulation_is_asked_for_by_the_environment(monkeypatch):
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "3")
    asked = []
    learner = one_network(data=lambda number: asked.append(number) or ones(number))
    learner.fit(2)
    assert asked == [0, 1, 2, 3, 4, 5] and learner.accumulation == 3


def test_gradient_accumulation_beside_batches_that_belong_together_is_a_sentence():
    from accelerate import Accelerator

    accelerator = Accelerator(gradient_accumulation_steps=4, cpu=True)
    for make in (one_network, two_networks):
        options = {"batches_per_step": 2} if make is one_network else {"d_steps": 2}
        with pytest.raises(ValueError, match="set gradient_accumulation_steps to 1, not 4"):
            make(accelerator=accelerator, **options)
    assert one_network(accelerator=Accelerator(cpu=True)).fit(1).step == 1


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


def two_players():
    return GANPair(nn.Linear(3, 3), nn.Linear(3, 1))


def generator_loss(model, batch, generator):
    return model.discriminator(model.generator(batch)).mean()


def discriminator_loss(model, batch, generator):
    return model.discriminator(batch).square().mean()


def one_network(**options):
    return Learner(nn.Linear(3, 1), options.pop("data", ones), mean_square, **options)


def two_networks(**options):
    losses = discriminator_loss, generator_loss
    return GANLearner(two_players(), options.pop("data", ones), *losses, **options)


@pytest.mark.parametrize("make", [one_network, two_networks])
@pytest.mark.parametrize(
    "options",
    [
        {"seed": np.int64(3)},
        {"seed": torch.tensor(3).numpy()[()]},
        {"seed": 3.0},
        {"seed": 2**70},
        {"lr": np.float32(1e-3)},
        {"lr": np.int32(1)},
        {"lr": torch.tensor(1e-3)},
    ],
)
def test_numbers_of_any_library_are_numbers(tmp_path, make, options):
    path, log = tmp_path / "run.safetensors", tmp_path / "run.jsonl"
    for steps in (np.int64(2), 4.0):
        learner = make(
            callbacks=[Checkpoint(path, np.int64(1)), JSONLogger(log, np.int64(1))], **options
        )
        assert learner.fit(steps).step == steps
    assert [row["step"] for row in read_log(log)] == [1, 2, 3, 4]


def test_a_learner_that_nobody_holds_is_gone_with_its_weights(tmp_path):
    callbacks = [Checkpoint(tmp_path / "run.safetensors", 1), JSONLogger(tmp_path / "run.jsonl", 1)]
    learner = one_network(callbacks=callbacks, data=Prefetch([torch.ones(2, 3)])).fit(2)
    alive = weakref.ref(learner)
    gc.disable()  # references alone let it go: a callback that held it would keep its memory
    try:
        del learner
        assert alive() is None
    finally:
        gc.enable()


WHOLE_NUMBERS = {
    "steps": (0, lambda value: one_network().fit(value)),
    "steps of two networks": (0, lambda value: two_networks().fit(value)),
    "steps of a loop": (0, lambda value: Loop(ones).fit(value)),
    "seed": (0, lambda value: one_network(seed=value)),
    "seed of two networks": (0, lambda value: two_networks(seed=value)),
    "batches_per_step": (1, lambda value: one_network(batches_per_step=value)),
    "batches_per_step of two networks": (1, lambda value: two_networks(d_steps=value)),
    "depth": (0, lambda value: Prefetch(ones, value)),
    "workers": (1, lambda value: Prefetch(ones, 4, value)),
    "batches": (1, lambda value: CachedBatches(ones, value)),
    "steps of a round": (1, lambda value: TrainConfig(value)),
    "batch_size": (1, lambda value: TrainConfig(3, value)),
    "every": (1, lambda value: GANMonitor(every=value)),
}


@pytest.mark.parametrize("value", [-1, 1.5, "2", math.nan, math.inf, True, [1], np.float32(0.5)])
@pytest.mark.parametrize(("low", "use"), WHOLE_NUMBERS.values(), ids=WHOLE_NUMBERS)
def test_what_is_no_whole_number_is_a_sentence(low, use, value):
    with pytest.raises(ValueError, match=rf"^\w+ must be a whole number, at least {low}, not [^\n]+$"):
        use(value)
    if low:
        with pytest.raises(ValueError, match="at least 1, not 0"):
            use(0)


def test_none_is_no_number_of_steps():
    with pytest.raises(ValueError, match="steps must be a whole number, at least 0, not None"):
        one_network().fit(None)


@pytest.mark.parametrize("make", [one_network, two_networks])
@pytest.mark.parametrize("lr", [-1, math.nan, math.inf, "fast", [1e-3], True])
def test_what_is_no_learning_rate_is_a_sentence(make, lr):
    with pytest.raises(ValueError, match=r"^lr must be a finite number, at least 0, not "):
        make(lr=lr)


def an_optimizer(model):
    parts = [list(part.parameters()) for part in model.children()] or [list(model.parameters())]
    return CombinedOptimizer([torch.optim.SGD(part, 0.1 * (k + 1)) for k, part in enumerate(parts)])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": 123.0}, r"^lr 123 and an optimizer of 0.1( and 0.2)?: give one of the two$"),
        ({"d_lr": 0.1}, "^give an optimizer, or the d_lr and betas of the default one, not both$"),
        ({"betas": (0.0, 0.9)}, "^give an optimizer, or the d_lr and betas of the default one"),
    ],
)
@pytest.mark.parametrize("players", [1, 2])
def test_settings_of_an_optimizer_that_is_not_used_are_refused(options, words, players):
    model = nn.Linear(3, 1) if players == 1 else two_players()
    optimizer = an_optimizer(model)
    if players == 1 and "lr" not in options:
        return
    with pytest.raises(ValueError, match=words):
        if players == 1:
            Learner(model, ones, mean_square, optimizer=optimizer, **options)
        else:
            GANLearner(model, ones, discriminator_loss, generator_loss, optimizer=optimizer, **options)


def test_the_rate_of_an_optimizer_may_be_said_again():
    model = nn.Linear(3, 1)
    learner = Learner(
        model, ones, mean_square, optimizer=torch.optim.SGD(model.parameters(), 0.1), lr=0.1
    )
    assert learner.lr == 0.1 and learner.fit(1).lr == 0.1


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
        ({"image": GOOD, "caption": "a heart"}, "captions are a list of texts, and these are one text"),
        (captioned(GOOD, ["a heart"]), "1 captions for 2 pictures"),
        ({"image": GOOD}, "wants captions, and the batch, a dict of 'image', has none"),
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


NOT_CAPTIONED = {
    "a tensor": (GOOD, "a Tensor"),
    "a pair the other way round": ((["a", "b"], GOOD), "a tuple of list, Tensor"),
    "a pair with labels": ((GOOD, torch.zeros(2)), "a tuple of Tensor, Tensor"),
    "a list with labels": ([GOOD, torch.zeros(2)], "a list of Tensor, Tensor"),
    "three parts": ((GOOD, ["a", "b"], 3), "a tuple of Tensor, list, int"),
    "nothing": (None, "a NoneType"),
    "a text": ("a heart", "a str"),
    "a dictionary of other keys": ({"img": GOOD, "label": ["a", "b"]}, "a dict of 'img', 'label'"),
    "an empty dictionary": ({}, "a dict of nothing"),
    "only captions": ({"text": ["a", "b"]}, "a dict of 'text'"),
}


@pytest.mark.parametrize("kind", NOT_CAPTIONED)
@pytest.mark.parametrize("network", ["alone", "with others"])
def test_what_are_no_captioned_pictures_is_a_sentence(kind, network):
    batch, found = NOT_CAPTIONED[kind]
    model = Drawing()
    one = picture_loss
    if network == "with others":
        one = lambda model, batches, generator: picture_loss(model, batches[-1], generator)
    options = {} if network == "alone" else {"batches_per_step": 2}
    learner = Learner(model, lambda number: batch, one, **options)
    with pytest.raises(
        ValueError,
        match=rf"^this loss wants (captions|pictures), and the batch, {found}, has none: make it a pair of pictures",
    ):
        learner.fit(1)
    assert learner.step == 0 and model.weight.abs().sum() == 0


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ({"image": GOOD[:0], "caption": []}, "has no picture"),
        ((GOOD[:0], []), "has no picture"),
        ({"image": GOOD, "caption": np.array(["a", "b"])}, "these are of type ndarray"),
        ({"image": GOOD, "caption": 3}, "these are of type int"),
    ],
)
def test_a_batch_of_nothing_and_captions_of_another_kind_are_a_sentence(batch, words):
    with pytest.raises(ValueError, match=words):
        Learner(Drawing(), lambda number: batch, picture_loss).fit(1)


def test_a_loss_that_fails_for_reasons_of_its_own_says_its_own():
    for error in (AttributeError("no such thing"), ValueError("not this"), TypeError("nor that")):

        def loss(model, batch, generator):
            raise error  # noqa: B023

        with pytest.raises(type(error), match=str(error)):
            Learner(Drawing(), lambda number: (GOOD, ["a", "b"]), loss).fit(1)


class OneBatch:
    "Data that is one batch again and again."

    def __init__(self, captions):
        self.batch = torch.rand(len(captions), 3, 32, 32) * 2 - 1, captions

    def batches(self, batch_size, side, seed):
        return lambda number: self.batch


FAMILIES = {
    "diffusion": (DiffusionConfig, lambda: tiny_pipeline().model.config, {}),
    "gan": (GANConfig, lambda: tiny_gan().model.config, {"adversarial": True}),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_caption_that_is_too_long_is_named_in_training(family):
    config_class, config, options = FAMILIES[family]
    captions = ["a red heart", "a blue star", "heart " * 200, "a green circle"]
    config = config_class(4, 4, config=config(), mix=OneBatch(captions), **options)
    learner, _ = config.learner()
    with pytest.raises(
        ValueError,
        match=r"^caption 2 of the batch \('heart heart heart [^\n]*…\): the prompt is [\d,]+ \w+ long, .* at most[^,]*$",
    ):
        learner.fit(1)
    assert learner.step == 0


def hub_pictures(value=0.0):
    rows = {"image": [torch.full((3, 32, 32), value).tolist()] * 4, "caption": ["a heart", "a star"] * 2}
    return datasets.Dataset.from_dict(rows).with_format("torch")


@pytest.mark.parametrize("wrap", [lambda data: data, Prefetch, lambda data: CachedBatches(data, 2)])
def test_a_dataset_of_the_hub_trains_in_a_loader_or_cut_into_batches(wrap):
    whole = hub_pictures(0.5)
    for data in (torch.utils.data.DataLoader(whole, 2), whole.batch(2).with_format("torch")):
        assert Learner(Drawing(), wrap(data), picture_loss).fit(3).step == 3


def test_rows_of_a_dataset_that_nobody_cut_into_batches_are_a_sentence():
    with pytest.raises(ValueError, match=r"a tensor \(B, 3, H, W\), not \(3, 32, 32\)"):
        Learner(Drawing(), hub_pictures(), picture_loss).fit(1)


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


WRAPS = {
    "alone": lambda data: data,
    "prefetched": Prefetch,
    "kept": lambda data: CachedBatches(data, 5),
    "kept and prefetched": lambda data: Prefetch(CachedBatches(data, 5)),
    "kept and prefetched by three": lambda data: Prefetch(CachedBatches(data, 5), workers=3),
    "prefetched and kept": lambda data: CachedBatches(Prefetch(data), 5),
    "prefetched twice": lambda data: Prefetch(Prefetch(data)),
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_a_learner_s_seed_shuffles_a_stream_that_is_wrapped(wrap):
    def order(data, seed):
        batches = numbered_batches(data, seed)
        return [batches(number).tolist() for number in range(5)]

    loader = torch.utils.data.DataLoader(torch.arange(10), batch_size=2, shuffle=True)
    wrapped = wrap(loader)
    assert order(wrapped, 1) != order(wrapped, 2), "one object serves two runs"
    assert [order(wrapped, seed) for seed in (0, 1, 2)] == [order(loader, seed) for seed in (0, 1, 2)]
    seen = []
    Learner(
        nn.Linear(1, 1),
        wrap(loader),
        lambda model, batch, generator: seen.append(batch.tolist()) or model.weight.sum(),
        seed=2,
    ).fit(5)
    assert seen == order(loader, 2)


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_a_wrapped_stream_says_what_the_stream_says(wrap):
    class Loader(list):
        sizes, fingerprint = ((16, 32),), "mine"

    data = numbered_batches(wrap(Loader([torch.ones(2, 3)])), 1)
    learner = Learner(nn.Linear(3, 1), wrap(Loader([torch.ones(2, 3)])), mean_square)
    assert learner.run_facts()["data"] == "mine"
    if data.__class__.__name__ != "StreamBatches":
        assert (data.sizes, data.fingerprint) == (((16, 32),), "mine")


def test_a_function_that_is_wrapped_stays_the_one_object():
    for wrapped in (Prefetch(ones), CachedBatches(ones, 2), Prefetch(CachedBatches(ones, 2), workers=3)):
        assert numbered_batches(wrapped, 7) is wrapped


@pytest.mark.parametrize(
    "wrap", [lambda data: data, Prefetch, lambda data: CachedBatches(Prefetch(data), 3)]
)
def test_kept_batches_of_a_stream_come_in_any_order(wrap):
    kept = CachedBatches(wrap([0, 1, 2, 3]), 3)
    assert [kept(number) for number in (5, 0, 4, 2, 3)] == [2, 0, 1, 2, 0]


@pytest.mark.parametrize("make", [lambda data: data, numbered_batches, Prefetch])
def test_several_threads_do_not_read_one_stream(make):
    loader = torch.utils.data.DataLoader(torch.arange(6), batch_size=2)
    with pytest.raises(ValueError, match="a stream is read in order, by one thread: leave workers at 1"):
        Prefetch(make(loader), workers=3)


def test_two_processes_that_prefetch_one_stream_do_not_ask_it_to_go_back():
    "The second of two, which takes two batches a step: 2, 3, 6, 7, 10, 11."
    ready = Prefetch(range(12))
    assert [ready(number) for number in (2, 3, 6, 7, 10, 11)] == [2, 3, 6, 7, 10, 11]


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_a_round_begins_where_the_training_is_since_it_seeds_the_global_generators(wrap):
    threads = []

    class Loader:
        def __iter__(self):
            threads.append(threading.current_thread().name)
            return iter([torch.rand(2, 3) for _ in range(3)])

    torch.manual_seed(0)
    state = torch.get_rng_state()
    learner = Learner(nn.Linear(3, 1), wrap(Loader()), mean_square)
    initial = torch.get_rng_state()
    learner.fit(8)
    assert threads and {*threads} == {threading.current_thread().name}
    assert torch.equal(torch.get_rng_state(), initial) and not torch.equal(initial, state)


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_a_stream_s_own_sizes_are_asked_for(wrap):
    class Loader(list):
        sizes = ((16, 32),)

    batches = Loader([captioned(GOOD[:, :, :16])])
    assert Learner(Drawing(), wrap(batches), picture_loss).fit(2).step == 2


@pytest.mark.parametrize("data", [5, None, 1.5])
@pytest.mark.parametrize("wrap", [Prefetch, lambda data: CachedBatches(data, 2)])
def test_what_is_no_data_is_a_sentence_when_it_is_wrapped(wrap, data):
    with pytest.raises(ValueError, match="training data is a function of the batch number or a stream"):
        wrap(data)


@pytest.mark.parametrize("wrap", [lambda data: data, numbered_batches, Prefetch])
def test_measuring_takes_no_batch_away_from_an_iterator(wrap):
    data = (torch.full((2, 3), float(number)) for number in range(4))
    with pytest.raises(
        ValueError, match="measuring takes a batch, and an iterator does not give it twice"
    ):
        fastest_precision(nn.Linear(3, 1), wrap(data), mean_square, seconds=0.01)
    assert next(data)[0, 0] == 0


def test_values_for_json_are_json():
    value = {"a": np.float32(0.5), 2: [torch.ones(2), (math.nan, {"b"})], "c": Drawing}
    assert json.loads(json.dumps(json_value(value))) == {
        "a": 0.5,
        "2": [[1.0, 1.0], [None, ["b"]]],
        "c": str(Drawing),
    }


def test_a_hash_looks_at_types_shapes_and_all_numbers():
    values = [
        torch.zeros(2),
        torch.zeros(2, dtype=torch.float64),
        torch.zeros(2, dtype=torch.bfloat16),
        torch.zeros(2, dtype=torch.complex64),
        torch.zeros(1, 2),
        torch.tensor([0.0, 1e-30]),
        torch.zeros(()),
        torch.zeros(0),
        np.zeros(2),
        np.array([None, "a"]),
        [0, 0],
        [[0], 0],
        "0",
        0,
        None,
    ]
    assert len({content_hash(value) for value in values}) == len(values)
    assert content_hash(torch.zeros(4, 2).T) == content_hash(torch.zeros(2, 4))
