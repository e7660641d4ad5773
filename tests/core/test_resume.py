"A training process that is killed at any moment and started again ends with the same weights, to the last bit."

import functools
import random
import subprocess
import sys

import pytest
import torch

from t2i_learn.core.files import read_tensors
from t2i_learn.core.callbacks import read_log

pytestmark = pytest.mark.trains
STEPS = 40

# Everything that could be forgotten is in it: dropout, batch statistics, noise, a schedule, an average, clipping.
TRAINING = """
import os, sys
import torch
from torch import nn
from t2i_learn.core.callbacks import ClipGrad, EMA, JSONLogger, LRSchedule, StopNonFinite, warmup_cosine
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.learner import Learner, Prefetch

folder, precision, fatal_write = sys.argv[1], sys.argv[2], int(sys.argv[3])

if fatal_write:
    whole_fsync, writes = os.fsync, []

    def fsync(descriptor):
        writes.append(descriptor)
        if len(writes) == fatal_write:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)  # the half that had been written by then
            whole_fsync(descriptor)
            os.kill(os.getpid(), 9)
        whole_fsync(descriptor)

    os.fsync = fsync

torch.manual_seed(0)
layers = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(), nn.Dropout(0.1), nn.Conv2d(8, 3, 3, padding=1)

def data(number):
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(number))

def loss(model, batch, generator):
    noise = torch.randn(batch.shape, generator=generator)
    return (model(batch + noise) - batch).pow(2).mean(), {"noise": round(noise.std().item(), 4)}

callbacks = [Checkpoint(f"{folder}/run.safetensors", every=7), EMA(0.99), ClipGrad(0.5),
             LRSchedule(warmup_cosine(0.1)), StopNonFinite()]
if not fatal_write:
    callbacks.append(JSONLogger(f"{folder}/run.jsonl", every=5))
learner = Learner(nn.Sequential(*layers), Prefetch(data), loss, callbacks, lr=1e-2, precision=precision)
for _ in learner.run(STEPS):
    print(learner.step, flush=True)
""".replace("STEPS", str(STEPS))


def start(folder, precision, fatal_write=0):
    "A training in a process of its own, which says each step on its standard output."
    arguments = [sys.executable, "-c", TRAINING, str(folder), precision, str(fatal_write)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def finish(folder, precision):
    "Train, or train on, to the end; the steps that this took and the file at the end."
    output, _ = start(folder, precision).communicate(timeout=120)
    steps = [int(line) for line in output.split()]
    assert steps[-1] == STEPS
    return steps, read_tensors(folder / "run.safetensors")


def kill_at(step, folder, precision):
    "Train and send SIGKILL when the process reports a step."
    with start(folder, precision) as process:
        for line in process.stdout:
            if int(line) == step:
                process.kill()
        assert process.wait() != 0


def assert_same(left, right):
    "Two checkpoints hold the same tensors, bit for bit, and the same facts."
    assert left[0].keys() == right[0].keys()
    assert [name for name, tensor in left[0].items() if not torch.equal(tensor, right[0][name])] == []
    assert left[1] == right[1]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    "Precision -> checkpoint and log of a run that nobody killed."

    @functools.cache
    def run(precision):
        folder = tmp_path_factory.mktemp(precision)
        steps, end = finish(folder, precision)
        assert steps == list(range(1, STEPS + 1))
        return end, read_log(folder / "run.jsonl")

    return run


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_killed_at_a_random_step(precision, undisturbed, tmp_path):
    end, log = undisturbed(precision)
    step = random.randrange(8, STEPS)
    print("killed at step", step)
    kill_at(step, tmp_path, precision)
    assert read_tensors(tmp_path / "run.safetensors")[1] != end[1], "it had not come to its end"
    steps, resumed = finish(tmp_path, precision)
    assert steps[0] > 7, "it went on from a checkpoint"
    assert_same(resumed, end)
    rows = [(row["step"], row["lr"], row["noise"]) for row in read_log(tmp_path / "run.jsonl")]
    assert rows == [(row["step"], row["lr"], row["noise"]) for row in log], (
        "the log has no gap and no line twice"
    )


def test_killed_while_a_checkpoint_is_written(undisturbed, tmp_path):
    with start(tmp_path, "no", fatal_write=3) as process:
        steps = [int(line) for line in process.stdout]
        assert process.wait() != 0
    assert steps[-1] == 20, "the third checkpoint is that of step 21"
    whole = tmp_path / "run.safetensors"
    (part,) = tmp_path.glob(".run.safetensors.*.part")
    assert 0 < part.stat().st_size < whole.stat().st_size, "half a file lies beside the one before"
    assert '"step": 14' in read_tensors(whole)[1]["learner"]
    steps, resumed = finish(tmp_path, "no")
    assert steps[0] == 15
    assert_same(resumed, undisturbed("no")[0])


# Waits for a line before each step but the first.
SHIPPED = """
import sys
import torch
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.diffusion.text_to_image import DIFFUSION_ROUNDS

torch.manual_seed(0)  # a checkpoint keeps the state of torch's global generator, which building a model leaves alone
config = DIFFUSION_ROUNDS["smoke"][0]
torch.manual_seed(0)  # of what a checkpoint keeps for dropout
learner = config.learner([Checkpoint(sys.argv[1], every=1)])[0]
for _ in learner.run(config.steps):
    print(learner.step, flush=True)
    input()
"""


def shipped(path, every):
    "The training of the shipped model at smoke, with its own optimizers; and how many steps it has."
    from t2i_learn.core.checkpoint import Checkpoint
    from t2i_learn.diffusion.text_to_image import DIFFUSION_ROUNDS

    torch.manual_seed(0)
    config = DIFFUSION_ROUNDS["smoke"][0]
    torch.manual_seed(0)  # of what a checkpoint keeps for dropout
    return config.learner([Checkpoint(path, every)])[0], config.steps


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    "Its checkpoint at the end of a run that nobody stopped."
    path = tmp_path_factory.mktemp("shipped") / "whole"
    learner, steps = shipped(path, 2)
    learner.fit(steps)
    return read_tensors(path)


def test_the_training_of_the_shipped_model_resumes_exactly(whole, tmp_path):
    "In this process: left between two checkpoints, taken up by a new learner."
    learner, steps = shipped(tmp_path / "halved", 2)
    run = learner.run(steps)
    assert [next(run).step for _ in range(3)] == [1, 2, 3]
    run.close()
    assert [step.step for step in shipped(tmp_path / "halved", 2)[0].run(steps)] == list(
        range(3, steps + 1)
    )
    assert_same(whole, read_tensors(tmp_path / "halved"))


def test_the_training_of_the_shipped_model_survives_a_kill(whole, tmp_path):
    "Somewhere in its fourth step, while a checkpoint is written or not."
    command = [sys.executable, "-c", SHIPPED, str(tmp_path / "killed")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for expected in ("1", "2", "3"):
            assert process.stdout.readline().strip() == expected
            print(file=process.stdin, flush=True)
        process.kill()
        assert process.wait() != 0
    learner, steps = shipped(tmp_path / "killed", 1)
    left = [step.step for step in learner.run(steps)]
    assert left in (list(range(4, steps + 1)), list(range(5, steps + 1)))
    assert_same(whole, read_tensors(tmp_path / "killed"))
