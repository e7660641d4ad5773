"The game in the plane: losses, penalties, two players by turns, coverage, and what is said when it goes wrong."

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import nn
from torch.nn import functional as F

from steady import seeded, steady
from t2i_learn.core import learner as core
from t2i_learn.gan import plane
from t2i_learn.gan.plane import GAN_LOSSES, GANLearner, GANLoss, GANMonitor, mode_mass, point_gan_learner, gradient_norm
from t2i_learn.world.points import GaussianMixture, clusters

ROOT = Path(__file__).resolve().parent.parent

steady(25)

numbers = st.floats(-20, 20, width=32)
batches = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=9).map(lambda rows: torch.tensor(rows, dtype=torch.float64).unbind(1))


def quiet(note):
    "What is said is kept in the notes anyway."


def small(game="relativistic", **options):
    return point_gan_learner(clusters(), game, batch=32, width=16, **options)


# Losses


@given(batches)
def test_cross_entropy_is_torchs(logits):
    real, fake = logits
    peer = F.binary_cross_entropy_with_logits
    expected = peer(real, torch.ones_like(real)) + peer(fake, torch.zeros_like(fake))
    for name in ("minimax", "non-saturating"):
        assert torch.isclose(GAN_LOSSES[name].d_loss(real, fake), expected)
    assert torch.isclose(GAN_LOSSES["minimax"].g_loss(real, fake), -peer(fake, torch.zeros_like(fake)))
    assert torch.isclose(GAN_LOSSES["non-saturating"].g_loss(real, fake), peer(fake, torch.ones_like(fake)))


@given(batches)
def test_hinge_is_torchs_and_wasserstein_a_difference_of_means(logits):
    real, fake = logits
    hinge = F.margin_ranking_loss(real, 0 * real, torch.ones_like(real), 1) + F.margin_ranking_loss(fake, 0 * fake, -torch.ones_like(fake), 1)
    assert torch.isclose(GAN_LOSSES["hinge"].d_loss(real, fake), hinge)
    assert torch.isclose(GAN_LOSSES["wasserstein"].d_loss(real, fake), fake.mean() - real.mean())
    for name in ("hinge", "wasserstein"):
        assert torch.equal(GAN_LOSSES[name].g_loss(real, fake), -fake.mean())


@given(batches, numbers)
def test_relativistic_knows_only_differences_and_is_zero_sum_in_them(logits, shift):
    real, fake = logits
    game = GAN_LOSSES["relativistic"]
    assert torch.isclose(game.d_loss(real, fake), F.binary_cross_entropy_with_logits(real - fake, torch.ones_like(real)))
    assert torch.isclose(game.d_loss(real + shift, fake + shift), game.d_loss(real, fake))
    assert torch.equal(game.g_loss(real, fake), game.d_loss(fake, real)), "the generator plays the mirrored game"


VALUES = {  # by hand, at logits real = (0, 2), fake = (-1, 1)
    "minimax": ((math.log(2) + math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)) + math.log1p(math.e)) / 2, -(math.log1p(math.exp(-1)) + math.log1p(math.e)) / 2),
    "non-saturating": ((math.log(2) + math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)) + math.log1p(math.e)) / 2, (math.log1p(math.e) + math.log1p(math.exp(-1))) / 2),
    "wasserstein": (-1.0, 0.0),
    "hinge": (0.5 + 1.0, 0.0),
    "relativistic": (math.log1p(math.exp(-1)), math.log1p(math.e)),
}


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_values_on_hand_made_numbers(name):
    real, fake = torch.tensor([0.0, 2.0]), torch.tensor([-1.0, 1.0])
    assert float(GAN_LOSSES[name].d_loss(real, fake)) == pytest.approx(VALUES[name][0], rel=1e-6)
    assert float(GAN_LOSSES[name].g_loss(real, fake)) == pytest.approx(VALUES[name][1], rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_gradients_by_finite_differences(name):
    real, fake = (torch.randn(5, generator=seeded(s), dtype=torch.float64).mul(2).requires_grad_() for s in (0, 1))
    assert torch.autograd.gradcheck(GAN_LOSSES[name].d_loss, (real, fake))
    assert torch.autograd.gradcheck(lambda f: GAN_LOSSES[name].g_loss(real.detach(), f), (fake,))


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_equal_clouds_and_a_judge_without_opinion_are_a_fixed_point(name):
    "No first-order change of the logits at equal densities pays, and a flat judge moves no generated point."
    logits = torch.zeros(6, requires_grad=True)
    push = torch.autograd.grad(GAN_LOSSES[name].d_loss(logits, logits), logits)[0]
    assert push.abs().max() < 1e-7
    model = plane.GANPair(plane.PointGenerator(), plane.PointDiscriminator(8))
    nn.init.zeros_(model.discriminator.out.weight)
    x = clusters().sample(20, seeded(0))
    assert plane.descent_directions(GAN_LOSSES[name], model, x, x).abs().max() == 0


@given(st.floats(0.01, 5), st.floats(0.01, 5))
def test_the_best_judge_pointwise(p, q):
    "log p - log q for cross-entropy, sign(p - q) for the hinge."
    at = torch.tensor(math.log(p / q), dtype=torch.float64, requires_grad=True)
    cost = p * F.softplus(-at) + q * F.softplus(at)
    assert abs(torch.autograd.grad(cost, at)[0]) < 1e-6 * (p + q)
    probability = p / (p + q)
    assert cost.item() == pytest.approx(-p * math.log(probability) - q * math.log(1 - probability), rel=1e-6)
    hinge = lambda v: p * max(0, 1 - v) + q * max(0, 1 + v)
    assert min(hinge(-1), hinge(1)) == pytest.approx(2 * min(p, q)) and hinge(0.3) >= 2 * min(p, q) - 1e-9


# Slopes and penalties


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_slope_of_a_plane_is_its_length_everywhere(a, b):
    weight = torch.tensor([a, b])
    x, y = (torch.randn(7, 2, generator=seeded(s)) for s in (0, 1))
    critic = lambda v: v @ weight
    length = math.hypot(a, b)
    assert torch.allclose(gradient_norm(critic, x), torch.full((7,), length), atol=1e-5)
    assert float(plane.r1_penalty(critic, x)) == pytest.approx(length**2 / 2, abs=1e-5)
    assert float(plane.wgan_gp(critic, x, y, seeded(2))) == pytest.approx((length - 1) ** 2, abs=1e-4)
    assert float(plane.r1_r2_penalty(critic, x, y)) == pytest.approx(length**2, abs=1e-5)


def test_penalties_of_a_constant_are_zero_and_one_and_can_be_trained_away_from():
    x, y = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
    for constant in (lambda v: torch.full((len(v),), 3.0), lambda v: torch.ones(len(v), requires_grad=True) * 2):
        assert plane.r1_r2_penalty(constant, x, y) == 0
        assert plane.wgan_gp(constant, x, y) == 1
    weight = torch.zeros(2, requires_grad=True)
    gradient = torch.autograd.grad(plane.r1_penalty(lambda v: v @ weight, torch.randn(5, 2)), weight)[0]
    assert torch.equal(gradient, torch.zeros(2)), "finite where the slope is zero"


def test_penalties_differentiate_twice():
    "The gradient in the critic's weights, by finite differences, in double precision."
    weight = torch.randn(3, 2, generator=seeded(0), dtype=torch.float64).requires_grad_()
    x, y = (torch.randn(4, 2, generator=seeded(s)) for s in (1, 2))
    critic = lambda w: lambda v: torch.tanh(v.double() @ w.T).sum(1)

    def total(w):
        return plane.r1_r2_penalty(critic(w), x, y) + plane.wgan_gp(critic(w), x, y, seeded(3))

    gradient = torch.autograd.grad(total(weight), weight)[0]
    for i in range(3):
        step = torch.zeros_like(weight)
        step[i, 0] = 1e-2
        rise = (total(weight + step) - total(weight - step)) / 2e-2
        assert rise.item() == pytest.approx(gradient[i, 0].item(), rel=2e-2, abs=1e-3)


def test_the_penalty_looks_between_the_clouds():
    seen = []
    real, fake = torch.zeros(200, 2), torch.full((200, 2), 4.0)
    plane.wgan_gp(lambda v: seen.append(v.detach()) or v.sum(1), real, fake, seeded(0))
    assert 0 <= seen[0].min() < 0.4 and 3.6 < seen[0].max() <= 4
    assert torch.equal(seen[0][:, 0], seen[0][:, 1]), "one share for a whole point"


def test_slopes_of_several_inputs_count_together():
    both = gradient_norm(lambda a, b: 3 * a.sum(1) + 4 * b.sum(1), torch.randn(5, 1), torch.randn(5, 1))
    assert torch.allclose(both, torch.full((5,), 5.0))


def test_slopes_are_float32_under_autocast():
    critic = plane.PointDiscriminator(32)
    x = torch.randn(20, 2, generator=seeded(0))
    plain = gradient_norm(critic, x)
    with torch.autocast("cpu", torch.bfloat16):
        assert critic(x).dtype == torch.bfloat16
        assert torch.equal(gradient_norm(critic, x), plain) and torch.equal(gradient_norm(critic, x.bfloat16().float()), gradient_norm(critic, x.bfloat16()))
    with torch.no_grad():
        assert torch.equal(gradient_norm(critic, x), plain), "callers need not switch gradients on"


# By turns


def test_each_side_moves_its_own_weights_only():
    duel = small()
    kept = {name: p.clone() for name, p in duel.model.named_parameters()}
    for side in ("discriminator", "generator"):
        duel.only(side)
        moved = {name for name, p in duel.model.named_parameters() if not torch.equal(p, kept[name])}
        assert moved and all(name.startswith(side) for name in moved)
        kept = {name: p.clone() for name, p in duel.model.named_parameters()}
    assert duel.step == 2 and all(p.requires_grad for p in duel.model.parameters())


class Trio(nn.Module):
    "Two players, a text encoder beside them, and frozen weights."

    def __init__(self):
        super().__init__()
        self.generator, self.discriminator, self.encoder = nn.Linear(2, 2), nn.Linear(2, 1), nn.Linear(2, 2)
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
    duel = GANLearner(model, lambda number: torch.randn(8, 2, generator=seeded(number)), *trio_losses())
    before = {name: p.clone() for name, p in model.named_parameters()}
    duel.move("generator", torch.randn(8, 2, generator=seeded(5)))
    moved = {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"generator", "encoder"}
    assert duel.metrics == {"extra": 0.25, "g_loss": duel.loss}
    duel.fit(2)
    assert torch.equal(model.frozen.weight, before["frozen.weight"]) and not model.frozen.weight.requires_grad


def test_a_step_is_some_moves_of_the_judge_on_batches_of_their_own_and_one_of_the_generator():
    moves, asked = [], []

    class Moves(core.Callback):
        def after_backward(self, learner):
            moves.append((learner.loss, {id(p) for p in learner.params}))

    def data(number):
        asked.append(number)
        return clusters().sample(16, seeded(number))

    model = plane.GANPair(plane.PointGenerator(width=8), plane.PointDiscriminator(8))
    duel = GANLearner(model, data, *plane.point_gan_losses(GAN_LOSSES["hinge"]), [Moves()], d_steps=3)
    duel.fit(2)
    assert asked == list(range(6)) and len(moves) == 8
    judge, maker = ({id(p) for p in side.parameters()} for side in (model.discriminator, model.generator))
    assert [params for _, params in moves] == 2 * [judge, judge, judge, maker]
    assert duel.metrics["d_loss"] == moves[-2][0] and duel.metrics["g_loss"] == moves[-1][0] == duel.loss


def test_clipping_and_rate_are_those_of_who_moves():
    seen = []

    class Norms(core.Callback):
        order = 5

        def after_backward(self, learner):
            grads = [p.grad for p in learner.params]
            assert all(g is not None for g in grads)
            seen.append((float(learner.grad_norm), learner.lr, float(torch.nn.utils.get_total_norm(grads))))

    small(callbacks=[core.ClipGrad(1e-3), Norms()], lr=1e-3, d_lr=4e-3).fit(1)
    assert [rate for _, rate, _ in seen] == [4e-3, 1e-3], "the discriminator moves first"
    assert all(norm > after and after == pytest.approx(1e-3, rel=1e-2) for norm, _, after in seen)
    assert seen[0][0] != seen[1][0]


def test_the_schedule_scales_both_rates():
    duel = small(callbacks=[core.LRSchedule(lambda part: part / 2)], lr=1e-3, d_lr=4e-3).fit(1)
    assert [group["lr"] for group in duel.optimizer.param_groups] == [5e-4, 2e-3]


def test_other_optimizers_can_play():
    model = plane.GANPair(plane.PointGenerator(width=8), plane.PointDiscriminator(8))
    parts = [torch.optim.Muon([p for p in params if p.ndim == 2], lr=1e-3) for params in plane.parameters_by_network(model).values()]
    rest = torch.optim.SGD([p for p in model.parameters() if p.ndim != 2], lr=1e-2)
    duel = GANLearner(model, lambda n: clusters().sample(16, seeded(n)), *plane.point_gan_losses(GAN_LOSSES["hinge"]), optimizer=core.CombinedOptimizer([*parts, rest]))
    before = [p.clone() for p in model.generator.parameters()]
    duel.only("discriminator")
    assert all(torch.equal(a, b) for a, b in zip(before, model.generator.parameters(), strict=True))
    duel.fit(3)
    assert not torch.equal(before[0], next(model.generator.parameters()))


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_duel_resumes_to_the_last_bit(tmp_path, precision):
    def made(path):
        kit = [core.Checkpoint(path, every=4), core.EMA(0.9), core.ClipGrad(1.0), core.LRSchedule(core.warmup_cosine()), GANMonitor(say=quiet)]
        return small(callbacks=kit, precision=precision, d_steps=2)

    whole = made(tmp_path / "whole.safetensors").fit(10)
    cut = made(tmp_path / "cut.safetensors")
    for _ in cut.run(10):
        if cut.step == 6:
            break
    again = made(tmp_path / "cut.safetensors")
    steps = [again.step for _ in again.run(10)]
    assert steps[0] == 5, "it went on from the checkpoint"
    left, right = (core.read_tensors(tmp_path / f"{name}.safetensors")[0] for name in ("whole", "cut"))
    assert left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True))


def test_mixed_precision_plays_with_float32_penalties():
    dtypes = []
    model = plane.GANPair(plane.PointGenerator(width=8), plane.PointDiscriminator(8))

    def d_loss(model, batch, generator):
        dtypes.append(model.discriminator(batch).dtype)
        dtypes.append(gradient_norm(model.discriminator, batch).dtype)
        return plane.point_gan_losses(GAN_LOSSES["relativistic"], 1.0)[0](model, batch, generator)

    duel = GANLearner(model, lambda n: clusters().sample(16, seeded(n)), d_loss, plane.point_gan_losses(GAN_LOSSES["relativistic"])[1], precision="bf16")
    duel.fit(1)
    assert dtypes == [torch.bfloat16, torch.float32]
    assert {p.dtype for p in model.parameters()} == {torch.float32} and math.isfinite(duel.metrics["d_loss"])


def test_seeds_decide_everything_and_leave_the_global_stream_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    ends = [small(seed=seed).fit(3).model.generator.out.weight for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


def test_an_unknown_game_is_named():
    with pytest.raises(ValueError, match="unknown game 'chess': choose one of minimax, non-saturating"):
        point_gan_learner(clusters(), "chess")
    assert small(GANLoss(lambda real, fake: (real - fake).mean(), lambda real, fake: fake.mean())).fit(1).step == 1


PROCESSES = """
import sys, torch
from torch import nn
from t2i_learn.core import learner as core
from t2i_learn.gan import plane

torch.manual_seed(0)
model = plane.Players(plane.PointGenerator(width=4, depth=1), plane.PointDiscriminator(4, depth=1))

def d_loss(model, batch, generator):
    return plane.point_losses(plane.GAMES["relativistic"], .5)[0](model, batch, torch.Generator().manual_seed(1))

def g_loss(model, batch, generator):
    return plane.point_losses(plane.GAMES["relativistic"])[1](model, batch, torch.Generator().manual_seed(1))

data = lambda number: torch.randn(6, 2, generator=torch.Generator().manual_seed(number))
optimizer = core.Together(torch.optim.SGD(params, lr=.1) for params in plane.sides(model).values())
duel = plane.Duel(model, data, d_loss, g_loss, [core.ClipGrad(1e3)], optimizer=optimizer).fit(3)
sums = [round(float(p.double().sum()), 5) for p in model.parameters()]
sys.stdout.write(f"DUEL {duel.accelerator.num_processes} {sums}\\n")  # in one piece: both write to the same pipe
"""


def test_two_processes_agree_on_both_players(tmp_path):
    script = tmp_path / "duel.py"
    script.write_text(PROCESSES)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(launch, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("DUEL")]
    assert len(lines) == 2 and lines[0] == lines[1] and lines[0].startswith("DUEL 2")


# Coverage


def test_covered_counts_mass_within_three_standard_deviations():
    ring = clusters()
    x = ring.means.float().repeat_interleave(torch.tensor([8, 0, 1, 2, 4, 8, 8, 8]), 0)
    share = mode_mass(x, ring)
    assert torch.allclose(share, torch.tensor([8, 0, 1, 2, 4, 8, 8, 8]) / 39 * 8 / (1 - math.exp(-4.5)), atol=1e-5)
    edge = ring.means[:1].float() + torch.tensor([[0.12 * 2.999, 0.0]])
    assert mode_mass(edge, ring)[0] > 0 and mode_mass(edge + torch.tensor([[0.001, 0.0]]), ring)[0] == 0


@given(st.integers(1, 6), st.floats(1.0, 3.5))
def test_the_data_covers_itself_in_any_dimension(dimension, within):
    means = 40 * torch.eye(dimension)[: max(1, dimension - 1)]
    root = torch.randn(dimension, dimension, generator=seeded(dimension))
    law = GaussianMixture(means, (root @ root.T + 0.1 * torch.eye(dimension)).expand(len(means), -1, -1), list(range(1, len(means) + 1)))
    expected = 20_000 * law.weights * stats.chi2.cdf(within**2, dimension)
    share = mode_mass(law.sample(20_000, seeded(1)), law, within)
    assert ((share - 1).abs() < 5 / expected.sqrt()).all()


@given(st.integers(0, 200), st.integers(1, 4))
def test_coverage_by_hand(seed, k):
    real, fake = torch.randn(9, 2, generator=seeded(seed)), torch.randn(5, 2, generator=seeded(seed + 1))
    caught = 0
    for i, x in enumerate(real):
        others = sorted((x - y).norm().item() for j, y in enumerate(real) if j != i)
        caught += any((x - y).norm().item() <= others[k - 1] for y in fake)
    assert plane.coverage(real, fake, k).item() == pytest.approx(caught / 9)


def test_readings_are_an_area_under_the_curve():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0, 3.0])
    facts = plane.logit_metrics(real, fake)
    assert facts["won"] == pytest.approx((1 + 2.5) / 6) and facts["real"] == 2 and facts["fake"] == pytest.approx(5 / 3)
    assert plane.logit_metrics(real, real)["won"] == 0.5


# Training


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_recommended_game_covers_all_eight_modes(seed):
    watch = GANMonitor(plane.point_diversity(clusters()), say=quiet)
    duel = point_gan_learner(clusters(), seed=seed, callbacks=[watch]).fit(600)
    with torch.no_grad():
        share = mode_mass(duel.model.generator.draw(4000, seeded(9)), clusters())
    assert (share >= 0.25).all(), share
    assert not watch.notes, watch.notes


def test_a_hinge_game_improves_too():
    duel = point_gan_learner(GaussianMixture(torch.zeros(1, 2), 0.3), "hinge", width=32, lr=3e-3).fit(150)
    with torch.no_grad():
        x = duel.model.generator.draw(1000, seeded(0))
    assert x.mean(0).norm() < 0.5 and x.std() < 1


# What is said when it goes wrong


class Told:
    "A duel that stands still and reports what it is told to."

    def __init__(self, **metrics):
        self.metrics, self.step, self.loss, self.grad_norm = metrics, 0, 1.0, None


def sentences(watch, **metrics):
    learner = Told(**metrics)
    for _ in range(800):
        learner.step += 1
        watch.after_step(learner)
    return watch.notes


def test_nothing_is_said_of_a_good_duel_and_each_trouble_once():
    said = []
    assert sentences(GANMonitor(lambda duel: 0.9, say=said.append), won=0.6, real=1.0, fake=-1.0) == {} and said == []
    watch = GANMonitor(lambda duel: 0.1, say=said.append)
    notes = sentences(watch, won=1.0, real=90.0, fake=-30.0)
    assert set(notes) == {"strong", "wild", "collapsed"} and sorted(said) == sorted(notes.values())
    assert "d_lr" in notes["strong"] and "penalty" in notes["wild"] and "10%" in notes["collapsed"]
    assert all(note.startswith("step 300: ") for note in said), "not before it has had time"


def test_losses_without_readings_are_no_trouble():
    assert sentences(GANMonitor(), other=1.0) == {}


def test_the_default_is_a_warning():
    with pytest.warns(UserWarning, match="step 300: real and generated logits are 120 apart"):
        sentences(GANMonitor(), won=0.9, real=90.0, fake=-30.0)


@pytest.mark.parametrize("side", ["discriminator", "generator"])
def test_values_that_are_not_finite_stop_the_duel_before_the_weights_are_spoilt(side):
    duel = small(callbacks=[GANMonitor(say=quiet)])
    duel.fit(1)
    losses = dict(zip(("discriminator", "generator"), plane.point_gan_losses(GAN_LOSSES["relativistic"]), strict=True))

    def broken(model, batch, generator):
        result = losses[side](model, batch, generator)
        loss = result[0] if isinstance(result, tuple) else result
        return loss * math.nan

    duel.forwards[side] = core.LossModule(duel.model, broken)
    with pytest.raises(core.NonFiniteLoss, match=r"at step 1 .*try a lower learning rate"):
        duel.fit(3)
    assert all(p.isfinite().all() and p.requires_grad for p in duel.model.parameters())


def test_the_watch_remembers_across_a_checkpoint():
    old, new = GANMonitor(say=quiet), GANMonitor(say=quiet)
    sentences(old, won=0.9)
    new.load_state(old.state())
    assert new.won == old.won == pytest.approx(0.9, abs=1e-3)


# Drawing


def test_warped_lines_cross_where_the_grid_does():
    lines = plane.warp_grid(lambda z: 3 * z + 1, 5, 2.0, 9)
    assert lines.shape == (10, 9, 2)
    assert torch.equal(lines[1, 2], lines[5 + 1, 2]), "noise (-1, -1) lies on both"
    assert (lines[0, :, 0] == -5).all() and (lines[5, :, 1] == -5).all()


def test_arrows_point_up_the_discriminator():
    model = plane.GANPair(plane.PointGenerator(), plane.PointDiscriminator())
    x, y = clusters().sample(30, seeded(0)), torch.randn(30, 2, generator=seeded(1))
    up = plane.input_gradients(model.discriminator, y).detach()
    for name, factor in (("hinge", torch.ones(30)), ("non-saturating", torch.sigmoid(-model.discriminator(y)).detach())):
        assert torch.allclose(plane.descent_directions(GAN_LOSSES[name], model, x, y), factor[:, None] * up, atol=1e-5)


def test_a_duel_can_be_drawn():
    from t2i_learn.core.show import figure_to_image, make_figure

    fig = make_figure(2, 2)
    duel = small()
    x = clusters().sample(50, seeded(0))
    plane.draw_point_gan(fig.subplots(), duel.model, x, duel.model.generator.draw(20, seeded(0)).detach(), "start")
    assert figure_to_image(fig).size == (144, 144)
