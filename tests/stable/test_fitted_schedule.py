"A schedule with knots, its fit without derivatives, the table that gives the bound as a sum, and the joint step."

import math

import pytest
import torch
from torch import nn

from t2i_learn.stable.fitted_schedule import (
    bits_by_picture,
    BoundTable,
    constant_weights,
    ControlledLikelihood,
    ErrorTable,
    fit_schedule,
    joint_terms,
    KnotRamp,
    minimise_by_parabolas,
    parabola_vertex,
    tabulate_bound,
    tabulate_errors,
)
from t2i_learn.stable.likelihood import discrete_decoder, LearnedSchedule, Likelihood
from t2i_learn.stable.two_stage import PIXEL_LEVELS, round_to_levels


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


def noisy_copy(y, sigma, cond=None):
    "A denoiser whose squared error is the variance of the noise."
    return y


READ = discrete_decoder(PIXEL_LEVELS)
PICTURES = round_to_levels(torch.rand(6, 3, 4, 4, generator=dice()) * 2 - 1)
CLOCKS = torch.linspace(-12, 4, 17)


def flat(value, log_ratios):
    "A table of one error everywhere."
    errors = torch.full((len(CLOCKS), len(log_ratios)), value, dtype=torch.float64)
    return ErrorTable(CLOCKS.double(), log_ratios.double(), errors)


def bent(*shift):
    ramp = KnotRamp(len(shift))
    ramp.shift.data = torch.tensor(shift)
    return ramp


@pytest.mark.parametrize("shift", [(0.0,), (1.0, -2.0, 0.5), (9.0, -9.0, 9.0, -9.0, 9.0, -9.0)])
def test_any_knots_make_a_rising_line_with_a_true_slope(shift):
    ramp, t = bent(*shift), torch.linspace(0.013, 0.987, 50, dtype=torch.float64)
    share, slope = ramp(t, None, None)
    ends, _ = ramp(torch.tensor([0.0, 1.0], dtype=torch.float64), None, None)
    assert ends[0] == 0 and abs(ends[1] - 1) < 1e-12
    assert (share.diff() > -1e-12).all() and (slope >= 0).all()
    further, _ = ramp(t + 1e-7, None, None)
    inside = (t * (len(shift) + 1)).frac() < 0.999
    assert torch.allclose(((further - share) / 1e-7)[inside], slope[inside], rtol=1e-4, atol=1e-6)


def test_a_knot_moves_itself_most():
    t = torch.arange(1, 7, dtype=torch.float64) / 7
    moved = bent(0.0, 0.0, 0.3, 0.0, 0.0, 0.0)(t, None, None)[0] - t
    assert moved.argmax() == 2 and moved[2] > 3 * moved[torch.arange(6) != 2].abs().max()


@pytest.mark.parametrize("minimum", [-3.0, -0.4, 0.0, 2.5])
def test_a_parabola_s_vertex_is_found_at_once(minimum):
    values = [3 * (x - minimum) ** 2 + 7 for x in (-1.0, 0.0, 1.0)]
    assert abs(parabola_vertex(*values) - minimum) < 1e-12


@pytest.mark.parametrize(
    ("values", "move"),
    [
        ((3.0, 2.0, 1.0), 4.0),
        ((0.0, 1.0, 0.5), -4.0),
        ((9.0, 1.0, -6.9), 4.0),
        ((math.inf, 1.0, 2.0), 4.0),
    ],
    ids=["a line", "a hill", "far away", "a wall"],
)
def test_without_a_near_vertex_the_move_is_limited(values, move):
    assert parabola_vertex(*values) == move


def test_the_search_spends_no_more_than_it_may_and_never_gets_worse():
    seen = []

    def valley(v):
        seen.append(float((1 - v[0]) ** 2 + 5 * (v[1] - v[0] ** 2) ** 2) if v[0] < 3 else math.inf)
        return seen[-1]

    best, value = minimise_by_parabolas(valley, torch.tensor([-1.0, 1.0]), torch.ones(2), 50)
    assert len(seen) <= 50 and value == min(seen) < 0.1 * seen[0]
    assert float((1 - best[0]) ** 2 + 5 * (best[1] - best[0] ** 2) ** 2) == value


def test_a_fit_keeps_the_ends_in_order_and_finds_a_known_best():
    model = Likelihood(noisy_copy, LearnedSchedule(-9.0, 3.0, KnotRamp(2)), READ, 4)
    bits = lambda model: ((model.schedule.low + 6) ** 2 + (model.schedule.high - 1) ** 2).item()
    assert fit_schedule(model, bits, 40) < 1e-6
    assert abs(model.schedule.low + 6) < 1e-3 and abs(model.schedule.high - 1) < 1e-3
    crossing = lambda model: (model.schedule.high - model.schedule.low).item()
    fit_schedule(model, crossing, 60)
    assert model.schedule.low + 0.5 < model.schedule.high


def test_equal_seeds_are_equal_draws_and_pictures_are_apart():
    model = Likelihood(noisy_copy, LearnedSchedule(-6.0, 2.0), READ, 4, 1.7, kind="pixelwise")
    start = {"mean": PICTURES / 2, "std": torch.tensor(0.5)}
    bits = bits_by_picture(model, PICTURES, 2, 3, batch=4, **start)
    assert bits.shape == (6,) and torch.equal(
        bits, bits_by_picture(model, PICTURES, 2, 3, batch=4, **start)
    )
    assert torch.equal(
        bits[:4],
        bits_by_picture(model, PICTURES[:4], 2, 3, batch=4, mean=PICTURES[:4] / 2, std=start["std"]),
    )
    assert not torch.equal(bits, bits_by_picture(model, PICTURES, 2, 4, batch=4, **start))


@pytest.mark.parametrize("alpha", [2.0, 1.8, 1.3])
def test_a_constant_error_costs_what_the_ends_say(alpha):
    "The sum telescopes to the mean of 1/nu at the ends, whatever the knots are."
    ratios = torch.linspace(-3, 20, 24) if alpha < 2 else torch.zeros(1)
    table, schedule = flat(0.02, ratios), LearnedSchedule(-7.0, 1.0, bent(0.5, -1.0))
    exact = 0.01 * (math.exp(7.0) - math.exp(-1.0)) * math.gamma(1 + 2 / alpha)
    assert abs(table.expected_nats(schedule, 6, alpha).item() / exact - 1) < 0.01


def test_a_table_gives_its_own_values_back_and_is_smooth_between():
    errors = torch.rand(17, 5, generator=dice(), dtype=torch.float64) + 0.1
    table = ErrorTable(CLOCKS.double(), torch.arange(5.0).double(), errors)
    clock, ratio = torch.meshgrid(table.clocks, table.log_ratios, indexing="ij")
    assert torch.allclose(table(ratio, clock), errors)
    assert torch.allclose(table(ratio + 100, clock)[:, -1], errors[:, -1])
    left, right = (
        table(torch.ones((), dtype=torch.float64), table.clocks[3:9] + side * 1e-5) for side in (-1, 1)
    )
    middle = table(torch.ones((), dtype=torch.float64), table.clocks[3:9])
    assert torch.allclose((right - middle) / 1e-5, (middle - left) / 1e-5, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("kind", ["isotropic", "pixelwise", "componentwise"])
def test_errors_are_tabulated_at_their_own_level(kind):
    pictures = PICTURES.repeat(60, 1, 1, 1)
    ratios = torch.tensor([0.0, 1.0, 2.0])
    table = tabulate_errors(
        noisy_copy, pictures, 1.8, CLOCKS[:3], ratios, kind, 0.9, generator=dice(), batch=360
    )
    expected = (CLOCKS[:3, None] + ratios).double().exp()
    assert (table.errors / expected - 1).abs().max() < (0.3 if kind == "isotropic" else 0.1)


@pytest.mark.parametrize(("alpha", "kind"), [(2.0, "isotropic"), (1.8, "pixelwise"), (1.8, "isotropic")])
def test_a_control_variate_moves_no_mean_and_saves_draws(alpha, kind):
    "The denoiser answers with a constant, so that its error is known: 0.04 everywhere."
    pictures = torch.full((4000, 1, 2, 2), 0.2)
    ratios = torch.linspace(-3, 20, 24) if alpha < 2 else torch.zeros(1)
    blank, schedule = (
        lambda y, sigma, cond=None: torch.zeros_like(y),
        LearnedSchedule(-4.0, 1.0, bent(0.5, -0.5)),
    )
    plain = Likelihood(blank, schedule, READ, 8, alpha, kind=kind)
    nats = {"plain": plain.diffusion_term(pictures, generator=dice())}
    for name, value in (("exact", 0.04), ("half", 0.02), ("double", 0.08)):
        model = ControlledLikelihood(
            blank, schedule, READ, 8, alpha, kind=kind, table=flat(value, ratios)
        )
        nats[name] = model.diffusion_term(pictures, generator=dice())
    exact = 0.08 * (math.exp(4.0) - math.exp(-1.0)) * math.gamma(1 + 2 / alpha)
    for v in nats.values():
        assert abs(v.mean() - exact) < 5 * v.std() / len(v) ** 0.5 + 0.01 * exact
    assert nats["exact"].std() < 1e-3 * nats["plain"].std()
    assert abs(nats["half"].std() / nats["plain"].std() - 0.5) < 1e-3


def test_a_control_variate_has_the_gradient_of_its_expectation():
    "A perfect control leaves no chance in the value, and none in the gradient of the ends."
    pictures, blank = torch.full((500, 1, 2, 2), 0.2), lambda y, sigma, cond=None: torch.zeros_like(y)
    schedule = LearnedSchedule(-4.0, 1.0)
    model = ControlledLikelihood(
        blank, schedule, READ, 8, 1.8, table=flat(0.04, torch.linspace(-3, 20, 24))
    )
    slopes = [
        torch.autograd.grad(model.diffusion_term(pictures, generator=dice(k)).mean(), schedule.low)[0]
        for k in range(2)
    ]
    exact = -0.08 * math.exp(4.0) * math.gamma(1 + 2 / 1.8)
    assert torch.allclose(*slopes, rtol=1e-3) and abs(slopes[0] / exact - 1) < 0.02


def test_a_control_variate_needs_steps():
    with pytest.raises(ValueError, match="steps to be a number"):
        ControlledLikelihood(noisy_copy, LearnedSchedule(), READ, table=flat(1.0, torch.zeros(1)))


def test_the_whole_bound_is_a_sum():
    "Against draws, for a denoiser that always answers with the same picture."
    pictures, ratios = PICTURES.repeat(60, 1, 1, 1), torch.linspace(-3, 20, 24)
    levels = torch.linspace(-10, 6, 33)
    bound = tabulate_bound(flat(0.3, ratios), PICTURES, READ, log_levels=levels, generator=dice())
    assert abs(bound.start_error - PICTURES.square().mean()) < 1e-6
    bound.errors = flat(bound.start_error, ratios)  # of a denoiser that answers with the start's mean
    blank = lambda y, sigma, cond=None: torch.zeros_like(y)
    model = Likelihood(blank, LearnedSchedule(-3.0, 1.0), READ, 4, 1.8, std=0.6, kind="pixelwise")
    bits, own = (
        bits_by_picture(model, pictures, 2, batch=360),
        bound.bits(model.schedule, 4, 1.8, 0.6).item(),
    )
    assert isinstance(bound, BoundTable) and abs(own - bits.mean()) < 5 * bits.std() / 360**0.5 + 0.03


def test_weights_are_constants_inside_and_learn_again_outside():
    network = nn.Linear(3, 3)
    network.bias.requires_grad_(False)
    x = torch.ones(2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="stop"), constant_weights(network):
        network(x).sum().backward()
        assert x.grad is not None and network.weight.grad is None
        raise RuntimeError("stop")
    assert network.weight.requires_grad and not network.bias.requires_grad


def test_a_joint_step_moves_schedule_and_start_by_the_bound_and_weights_by_their_own_loss():
    class Shrink(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor(0.7))

        def forward(self, y, sigma, cond=None):
            return self.w * y

    model = Likelihood(Shrink(), LearnedSchedule(-5.0, 1.0, KnotRamp(2)), READ, 4, 1.8, kind="pixelwise")
    mean = torch.zeros_like(PICTURES, requires_grad=True)
    own = lambda x0, cond, generator: (model.denoiser.w - 1) ** 2
    parts = joint_terms(model, PICTURES, own, None, dice(), mean=mean, std=torch.tensor(0.5))
    sum(parts.values()).backward()
    assert torch.isclose(model.denoiser.w.grad, torch.tensor(2 * (0.7 - 1)))
    assert mean.grad.abs().sum() > 0 and all(
        p.grad is not None and p.grad.abs().sum() > 0 for p in model.schedule.parameters()
    )
