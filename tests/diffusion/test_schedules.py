"Properties of noise schedules and of lists of levels."

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steady import no_deadline, wide
from diffusion_examples import SCHEDULES, levels, schedules
from t2i_learn.core.tensors import as_float_tensor
from t2i_learn.diffusion.schedules import (
    b_flow,
    b_ve,
    b_vp,
    betas_of,
    check_levels,
    interpolate_table,
    cosine_schedule,
    flow_schedule,
    karras_grid,
    linear_schedule,
    log_linear_schedule,
    NoiseSchedule,
    shift_schedule,
    sigma_grid,
    SIGMA_SPACINGS,
)

no_deadline()


@given(schedules, st.floats(0.01, 0.99))
def test_time_and_sigma_invert_each_other(schedule, t):
    sigma = schedule.sigma(wide(t))
    assert torch.allclose(schedule.t_of(sigma), wide(t), atol=1e-9)


@given(schedules, st.floats(0, 1), st.floats(0, 1))
def test_sigma_rises_and_stays_finite(schedule, a, b):
    low, high = sorted((a, b))
    assert schedule.sigma(wide(low)) <= schedule.sigma(wide(high)) < math.inf
    assert schedule.s(wide(high)).isfinite().all() and 0 < schedule.b(wide(high)) <= 1


@given(levels)
def test_views_size_the_picture(sigma):
    sigma = wide(sigma)
    assert torch.isclose(b_vp(sigma) ** 2 * (1 + sigma**2), wide(1))
    assert torch.isclose(b_flow(sigma) * (1 + sigma), wide(1))
    assert b_ve(sigma) == 1


@given(schedules, st.floats(0.1, 10), st.floats(0.02, 0.98))
def test_a_shift_moves_the_log_snr(schedule, shift, t):
    moved = shift_schedule(schedule, shift)
    difference = schedule.log_snr(wide(t)) - moved.log_snr(wide(t))
    assert torch.isclose(difference, wide(2 * math.log(shift)), atol=1e-9)


@given(schedules, st.integers(1, 200))
def test_grids_fall_to_zero(schedule, steps):
    for grid in (sigma_grid(schedule, steps), *(make(steps) for make in SIGMA_SPACINGS.values())):
        assert grid.shape == (steps + 1,) and grid.dtype == torch.float32
        assert grid[-1] == 0 and (grid.diff() < 0).all()


@pytest.mark.parametrize("steps", [0, -3])
def test_no_steps_is_an_error(steps):
    with pytest.raises(ValueError, match=f"at least 1 step, not {steps}"):
        sigma_grid(flow_schedule(), steps)
    with pytest.raises(ValueError, match=f"at least 1 step, not {steps}"):
        karras_grid(steps)


@pytest.mark.parametrize("name", SIGMA_SPACINGS)
@given(st.integers(2, 100), st.floats(0.01, 0.5), st.floats(2, 90))
def test_even_grids_begin_and_end_where_they_are_told(name, steps, low, high):
    grid = SIGMA_SPACINGS[name](steps, low, high)
    assert torch.allclose(grid[[0, -2]], torch.tensor([high, low]), rtol=1e-3) and grid[-1] == 0


@given(st.sampled_from([linear_schedule(), cosine_schedule()]), st.integers(1, 300))
def test_betas_multiply_to_the_schedule(schedule, steps):
    betas = betas_of(schedule, steps)
    assert ((betas > 0) & (betas < 1)).all()
    alpha_bar = schedule.b(torch.tensor(schedule.t_max, dtype=torch.float64)) ** 2
    assert torch.isclose((1 - betas).prod(), alpha_bar)


def test_levels_can_be_a_schedule_of_one_s_own():
    own = NoiseSchedule("own", lambda t: t**2 * 9)
    assert torch.allclose(sigma_grid(own, 3), torch.tensor([9.0, 4.0, 1.0, 0.0]))


# Whole numbers and NumPy's


NUMBERS = {  # ways to write a whole number
    "int": int,
    "numpy int": np.int64,
    "numpy float": np.float64,
    "tensor": lambda n: torch.tensor(int(n)),
    "short tensor": lambda n: torch.tensor([int(n)] * 2, dtype=torch.int16),
}


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("method", ["sigma", "b", "s", "log_snr", "t_of"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
@pytest.mark.parametrize("n", [0, 1])
def test_a_whole_number_is_a_number(schedule, method, n, kind):
    expected = getattr(schedule, method)(wide(n))
    found = getattr(schedule, method)(NUMBERS[kind](n))
    assert found.is_floating_point() and torch.allclose(found.double(), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", NUMBERS)
def test_right_values_of_whole_numbers(kind):
    number = NUMBERS[kind]
    assert cosine_schedule().t_of(number(1)).flatten()[0] == pytest.approx(0.49605, abs=1e-5)
    assert log_linear_schedule().sigma(number(0)).flatten()[0] == pytest.approx(0.002, rel=1e-5)
    assert linear_schedule().sigma(number(1)).flatten()[0] == pytest.approx(157.407, abs=1e-3)


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("b_of", [b_vp, b_flow, b_ve])
def test_a_view_takes_whole_numbers(b_of, kind):
    found = b_of(NUMBERS[kind](2))
    assert found.is_floating_point() and torch.allclose(found.double(), b_of(wide(2.0)), rtol=1e-6)


def test_numbers_of_torch_and_numpy_keep_their_precision():
    assert (
        as_float_tensor(np.float64(0.5)).dtype == torch.float64
        and as_float_tensor(0.5).dtype == torch.float32
    )
    assert as_float_tensor(torch.tensor(1, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert linear_schedule().sigma(np.float64(0.5)).dtype == torch.float64


@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_grids_are_float32_whatever_torch_s_default(default):
    torch.set_default_dtype(default)
    try:
        for make in [*SIGMA_SPACINGS.values(), lambda steps: sigma_grid(cosine_schedule(), steps)]:
            assert make(np.int64(5)).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


# What is no schedule


@pytest.mark.parametrize("t_max", [2, 1.0001, 0, -1, math.nan, math.inf])
@pytest.mark.parametrize(
    "make", [cosine_schedule, flow_schedule, lambda t_max: NoiseSchedule("own", torch.exp, t_max=t_max)]
)
def test_a_time_past_the_end_is_refused(make, t_max):
    with pytest.raises(
        ValueError, match="t_max is the last time of a schedule, above 0 and at most 1, not"
    ):
        make(t_max=t_max)


@pytest.mark.parametrize(
    "low, high", [(3.0, 3.0), (5.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (0.1, math.inf), (math.nan, 1.0)]
)
def test_ends_that_are_none_are_refused(low, high):
    for make in (
        log_linear_schedule,
        *(lambda a, b, grid=grid: grid(5, a, b) for grid in SIGMA_SPACINGS.values()),
    ):
        with pytest.raises(ValueError, match="sigma_min must be above 0 and below sigma_max"):
            make(low, high)


@pytest.mark.parametrize("shift", [0.0, -1.0, math.nan, math.inf])
def test_a_shift_that_is_none_is_refused(shift):
    with pytest.raises(ValueError, match="A shift multiplies sigma"):
        shift_schedule(flow_schedule(), shift)


@pytest.mark.parametrize("name", SIGMA_SPACINGS)
def test_no_level_comes_twice(name):
    with pytest.raises(ValueError, match="Levels must fall at every step: 1000 steps from 1 to"):
        SIGMA_SPACINGS[name](1000, 1 - 1e-6, 1.0)


def test_a_schedule_that_stands_still_makes_no_grid():
    with pytest.raises(ValueError, match="Levels must fall at every step"):
        sigma_grid(NoiseSchedule("flat", lambda t: 1 + 0 * t), 3)
    with pytest.raises(
        ValueError, match="The first level is not finite: give the schedule a t_max below 1"
    ):
        sigma_grid(flow_schedule(t_max=1.0), 3)


@pytest.mark.parametrize("steps", [2.5, "4", None])
def test_steps_are_counted_in_whole_numbers(steps):
    for make in (
        karras_grid,
        lambda n: sigma_grid(flow_schedule(), n),
        lambda n: betas_of(flow_schedule(), n),
    ):
        with pytest.raises(ValueError, match="The number of steps must be whole"):
            make(steps)


@pytest.mark.parametrize("x", [0.5, 1, torch.tensor([0.5, 1.5])])
def test_a_table_may_hold_whole_numbers(x):
    table = torch.tensor([0, 10, 25])
    assert torch.equal(interpolate_table(table, x), interpolate_table(table.float(), x))


GOOD_LEVELS = torch.tensor([2.0, 1.0, 0.0])


@pytest.mark.parametrize(
    "levels", [[1.0, 2.0], [2.0, 2.0], [2.0, 0.0, 0.0], [1.0, -1.0], [math.nan, 1.0], [math.inf, 1.0]]
)
@pytest.mark.parametrize("to_zero", [True, False])
def test_levels_are_checked(levels, to_zero):
    with pytest.raises(ValueError, match=r"Levels must (be finite and above 0|fall at every step)"):
        check_levels(torch.tensor(levels), to_zero)


def test_the_last_level_is_zero_where_that_is_asked_for():
    assert torch.equal(check_levels(GOOD_LEVELS, to_zero=True), GOOD_LEVELS)
    assert check_levels(torch.tensor([2, 1])).is_floating_point()
    with pytest.raises(ValueError, match="above 0"):
        check_levels(GOOD_LEVELS)
