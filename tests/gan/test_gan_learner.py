"Two networks on one learner, in turns, and what the monitor reports when it goes wrong."

import math
from pathlib import Path

import pytest
import torch
from steady import seeded, steady
from torch import nn
from processes import lines_of_two_processes

from t2i_learn.core.callbacks import ClipGrad, EMA, LRSchedule, NonFiniteLoss, warmup_cosine
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.files import read_tensors
from t2i_learn.core.learner import Callback, LossModule
from t2i_learn.core.training import CombinedOptimizer
from t2i_learn.gan.losses import GAN_LOSSES, gradient_norm
from t2i_learn.gan.learner import GANLearner, GANMonitor, GANPair, parameters_by_network
from t2i_learn.gan.points import point_gan_learner, point_gan_losses, PointDiscriminator, PointGenerator
from t2i_learn.world.points import clusters

ROOT = Path(__file__).resolve().parents[2]

steady(25)


def quiet(message):
    "What is reported is kept in the messages anyway."


def small(gan_loss="relativistic", **options):
    return point_gan_learner(clusters(), gan_loss, batch=32, width=16, **options)


# In turns


def test_each_side_moves_its_own_weights_only():
    learner = small()
    kept = {name: p.clone() for name, p in learner.model.named_parameters()}
    for side in ("discriminator", "generator"):
        learner.update_only(side)
        moved = {name for name, p in learner.model.named_parameters() if not torch.equal(p, kept[name])}
        assert moved and all(name.startswith(side) for name in moved)
        kept = {name: p.clone() for name, p in learner.model.named_parameters()}
    assert learner.step == 2 and all(p.requires_grad for p in learner.model.parameters())


class Trio(nn.Module):
    "Two players, a text encoder beside them, and frozen weights."

    def __init__(self):
        super().__init__()
        self.generator, self.discriminator, self.encoder = (
            nn.Linear(2, 2),
            nn.Linear(2, 1),
            nn.Linear(2, 2),
        )
        self.frozen = nn.Linear(2, 2).requires_grad_(False)


def trio_losses():
    def make(model, batch):
        return model.generator(model.encoder(batch))

    def d_loss(model, batch, generator):
        fake = make(model, batch)
        return model.discriminator(fake).mean() - model.discriminator(batch).mean()

    def g_loss(model, batch, generator):
        return -model.discriminator(make(model, batch)).mean(), {"extra": 0.25}

    return d_loss, g_loss


def test_what_is_not_the_discriminator_moves_with_the_generator():
    model = Trio()
    learner = GANLearner(
        model, lambda number: torch.randn(8, 2, generator=seeded(number)), *trio_losses()
    )
    before = {name: p.clone() for name, p in model.named_parameters()}
    learner.update("generator", torch.randn(8, 2, generator=seeded(5)))
    moved = {
        name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])
    }
    assert moved == {"generator", "encoder"}
    assert learner.metrics == {"extra": 0.25, "g_loss": learner.loss}
    learner.fit(2)
    assert (
        torch.equal(model.frozen.weight, before["frozen.weight"])
        and not model.frozen.weight.requires_grad
    )


def test_a_step_is_some_moves_of_the_judge_on_batches_of_their_own_and_one_of_the_generator():
    moves, asked = [], []

    class Moves(Callback):
        def after_backward(self, learner):
            moves.append((learner.loss, {id(p) for p in learner.params}))

    def data(number):
        asked.append(number)
        return clusters().sample(16, seeded(number))

    model = GANPair(PointGenerator(width=8), PointDiscriminator(8))
    learner = GANLearner(model, data, *point_gan_losses(GAN_LOSSES["hinge"]), [Moves()], d_steps=3)
    learner.fit(2)
    assert asked == list(range(6)) and len(moves) == 8
    judge, maker = (
        {id(p) for p in side.parameters()} for side in (model.discriminator, model.generator)
    )
    assert [params for _, params in moves] == 2 * [judge, judge, judge, maker]
    assert (
        learner.metrics["d_loss"] == moves[-2][0]
        and learner.metrics["g_loss"] == moves[-1][0] == learner.loss
    )


def test_clipping_and_rate_are_those_of_who_moves():
    seen = []

    class Norms(Callback):
        order = 5

        def after_backward(self, learner):
            grads = [p.grad for p in learner.params]
            assert all(g is not None for g in grads)
            seen.append(
                (float(learner.grad_norm), learner.lr, float(torch.nn.utils.get_total_norm(grads)))
            )

    small(callbacks=[ClipGrad(1e-3), Norms()], lr=1e-3, d_lr=4e-3).fit(1)
    assert [rate for _, rate, _ in seen] == [4e-3, 1e-3], "the discriminator moves first"
    assert all(norm > after and after == pytest.approx(1e-3, rel=1e-2) for norm, _, after in seen)
    assert seen[0][0] != seen[1][0]


def test_the_schedule_scales_both_rates():
    learner = small(callbacks=[LRSchedule(lambda part: part / 2)], lr=1e-3, d_lr=4e-3).fit(1)
    assert [group["lr"] for group in learner.optimizer.param_groups] == [5e-4, 2e-3]


def test_other_optimizers_can_play():
    model = GANPair(PointGenerator(width=8), PointDiscriminator(8))
    parts = [
        torch.optim.Muon([p for p in params if p.ndim == 2], lr=1e-3)
        for params in parameters_by_network(model).values()
    ]
    rest = torch.optim.SGD([p for p in model.parameters() if p.ndim != 2], lr=1e-2)
    learner = GANLearner(
        model,
        lambda n: clusters().sample(16, seeded(n)),
        *point_gan_losses(GAN_LOSSES["hinge"]),
        optimizer=CombinedOptimizer([*parts, rest]),
    )
    before = [p.clone() for p in model.generator.parameters()]
    learner.update_only("discriminator")
    assert all(torch.equal(a, b) for a, b in zip(before, model.generator.parameters(), strict=True))
    learner.fit(3)
    assert not torch.equal(before[0], next(model.generator.parameters()))


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_training_resumes_to_the_last_bit(tmp_path, precision):
    def made(path):
        kit = [
            Checkpoint(path, every=4),
            EMA(0.9),
            ClipGrad(1.0),
            LRSchedule(warmup_cosine()),
            GANMonitor(report=quiet),
        ]
        return small(callbacks=kit, precision=precision, d_steps=2)

    whole = made(tmp_path / "whole.safetensors").fit(10)
    cut = made(tmp_path / "cut.safetensors")
    for _ in cut.run(10):
        if cut.step == 6:
            break
    again = made(tmp_path / "cut.safetensors")
    steps = [again.step for _ in again.run(10)]
    assert steps[0] == 5, "it went on from the checkpoint"
    left, right = (read_tensors(tmp_path / f"{name}.safetensors")[0] for name in ("whole", "cut"))
    assert left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True)
    )


def test_mixed_precision_plays_with_float32_penalties():
    dtypes = []
    model = GANPair(PointGenerator(width=8), PointDiscriminator(8))

    def d_loss(model, batch, generator):
        dtypes.append(model.discriminator(batch).dtype)
        dtypes.append(gradient_norm(model.discriminator, batch).dtype)
        return point_gan_losses(GAN_LOSSES["relativistic"], 1.0)[0](model, batch, generator)

    learner = GANLearner(
        model,
        lambda n: clusters().sample(16, seeded(n)),
        d_loss,
        point_gan_losses(GAN_LOSSES["relativistic"])[1],
        precision="bf16",
    )
    learner.fit(1)
    assert dtypes == [torch.bfloat16, torch.float32]
    assert {p.dtype for p in model.parameters()} == {torch.float32} and math.isfinite(
        learner.metrics["d_loss"]
    )


def test_seeds_decide_everything_and_leave_the_global_stream_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    ends = [small(seed=seed).fit(3).model.generator.out.weight for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


PROCESSES = """
import sys, torch
from torch import nn
from t2i_learn.core.callbacks import ClipGrad
from t2i_learn.core.training import CombinedOptimizer
from t2i_learn.gan.losses import GAN_LOSSES
from t2i_learn.gan.learner import GANLearner, GANPair, parameters_by_network
from t2i_learn.gan.points import point_gan_losses, PointDiscriminator, PointGenerator

torch.manual_seed(0)
model = GANPair(PointGenerator(width=4, depth=1), PointDiscriminator(4, depth=1))

def d_loss(model, batch, generator):
    return point_gan_losses(GAN_LOSSES["relativistic"], .5)[0](model, batch, torch.Generator().manual_seed(1))

def g_loss(model, batch, generator):
    return point_gan_losses(GAN_LOSSES["relativistic"])[1](model, batch, torch.Generator().manual_seed(1))

data = lambda number: torch.randn(6, 2, generator=torch.Generator().manual_seed(number))
optimizer = CombinedOptimizer(torch.optim.SGD(params, lr=.1) for params in parameters_by_network(model).values())
learner = GANLearner(model, data, d_loss, g_loss, [ClipGrad(1e3)], optimizer=optimizer).fit(3)
sums = [round(float(p.double().sum()), 5) for p in model.parameters()]
sys.stdout.write(f"GAN {learner.accelerator.num_processes} {sums}\\n")  # in one piece: both write to the same pipe
"""


@pytest.mark.trains
def test_two_processes_agree_on_both_players(tmp_path):
    script = tmp_path / "learner.py"
    script.write_text(PROCESSES)
    lines = lines_of_two_processes(script, word="GAN", timeout=400)
    assert len(lines) == 2 and lines[0] == lines[1] and lines[0].startswith("GAN 2")


# What is reported when it goes wrong


class StandingStill:
    "A learner that stands still and reports what it is told to."

    def __init__(self, **metrics):
        self.metrics, self.step, self.loss, self.grad_norm = metrics, 0, 1.0, None


def sentences(monitor, **metrics):
    learner = StandingStill(**metrics)
    for _ in range(800):
        learner.step += 1
        monitor.after_step(learner)
    return monitor.messages


def test_nothing_is_said_of_a_good_training_and_each_trouble_once():
    said = []
    assert (
        sentences(GANMonitor(lambda learner: 0.9, report=said.append), auc=0.6, real=1.0, fake=-1.0)
        == {}
        and said == []
    )
    monitor = GANMonitor(lambda learner: 0.1, report=said.append)
    notes = sentences(monitor, auc=1.0, real=90.0, fake=-30.0)
    assert set(notes) == {"strong_discriminator", "unbounded_logits", "mode_collapse"} and sorted(
        said
    ) == sorted(notes.values())
    assert (
        "d_lr" in notes["strong_discriminator"]
        and "penalty" in notes["unbounded_logits"]
        and "10%" in notes["mode_collapse"]
    )
    assert all(note.startswith("step 300: ") for note in said), "not before it has had time"


def test_losses_without_readings_are_no_trouble():
    assert sentences(GANMonitor(), other=1.0) == {}


def test_the_default_is_a_warning():
    with pytest.warns(UserWarning, match="step 300: real and generated logits are 120 apart"):
        sentences(GANMonitor(), auc=0.9, real=90.0, fake=-30.0)


@pytest.mark.parametrize("side", ["discriminator", "generator"])
def test_values_that_are_not_finite_stop_the_training_before_the_weights_are_spoilt(side):
    learner = small(callbacks=[GANMonitor(report=quiet)])
    learner.fit(1)
    losses = dict(
        zip(("discriminator", "generator"), point_gan_losses(GAN_LOSSES["relativistic"]), strict=True)
    )

    def broken(model, batch, generator):
        result = losses[side](model, batch, generator)
        loss = result[0] if isinstance(result, tuple) else result
        return loss * math.nan

    learner.loss_modules[side] = LossModule(learner.model, broken)
    with pytest.raises(NonFiniteLoss, match=r"at step 1 .*try a lower learning rate"):
        learner.fit(3)
    assert all(p.isfinite().all() and p.requires_grad for p in learner.model.parameters())


def test_the_watch_remembers_across_a_checkpoint():
    old, new = GANMonitor(report=quiet), GANMonitor(report=quiet)
    sentences(old, auc=0.9)
    new.load_state_dict(old.state_dict())
    assert new.auc == old.auc == pytest.approx(0.9, abs=1e-3)
