"Properties of the forward process."

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steady import bank, no_deadline, seeded, wide
from diffusion_examples import SCHEDULES, schedules, seeds
from t2i_learn.core.tensors import append_dims
from t2i_learn.diffusion.schedules import (
    betas_of,
    cosine_schedule,
)
from t2i_learn.diffusion.forward import noising_trajectory, q_sample, q_sample_at, q_step

no_deadline()


@given(st.integers(1, 40), seeds)
@settings(max_examples=20)
def test_the_chain_is_one_jump_with_the_chain_s_own_noise(steps, seed):
    x0 = bank(2, seed=1).double()
    x, noise = x0, torch.zeros_like(x0)
    generator, again = seeded(seed), seeded(seed)
    for beta in betas_of(cosine_schedule(), steps)[:-1]:
        x = q_step(x, beta, generator)
        noise = q_step(noise, beta, again)
    b = cosine_schedule().b(wide(0.999 * (steps - 1) / steps))
    assert torch.allclose(x, b * x0 + noise, atol=1e-9)


@given(schedules, st.floats(0.01, 0.99), seeds)
def test_the_views_hold_the_same_picture(schedule, t, seed):
    x0 = bank(3)
    x, z = q_sample_at(x0, t, schedule, seeded(seed))
    y, same = q_sample(x0, schedule.sigma(t), seeded(seed))
    assert torch.equal(z, same)
    assert torch.allclose(x, schedule.b(t) * y)


def test_levels_broadcast_one_for_all_one_a_picture_or_a_map():
    y = torch.zeros(5, 3, 4, 4)
    assert append_dims(2.0, y).shape == append_dims(torch.arange(5), y).shape == (5, 1, 1, 1)
    assert append_dims(torch.ones(5, 1, 4, 4), y).shape == (5, 1, 4, 4)
    with pytest.raises(RuntimeError):
        append_dims(torch.ones(4), y)


@pytest.mark.parametrize("kind", [int, np.int64, np.float64, torch.tensor])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
@pytest.mark.parametrize("t", [0, 1])
def test_times_levels_and_pictures_may_be_whole_numbers(schedule, t, kind):
    x0 = bank(3).sign()
    expected, z = q_sample_at(x0, float(t), schedule, seeded(0))
    for pictures in (x0, x0.long()):
        found, same = q_sample_at(pictures, kind(t), schedule, seeded(0))
        assert (
            found.dtype == x0.dtype
            and torch.equal(z, same)
            and torch.allclose(found, expected, rtol=1e-5)
        )
    times = torch.tensor([0, 1])
    whole = noising_trajectory(x0[0].long(), schedule, times, seeded(1))
    assert torch.allclose(
        whole, noising_trajectory(x0[0], schedule, times.float(), seeded(1)), rtol=1e-5
    )


@pytest.mark.parametrize("beta", [1, np.int64(1), np.float64(0.5), torch.tensor(1)])
def test_a_step_of_the_chain_takes_any_number(beta):
    x = bank(3).sign()
    expected = q_step(x, float(beta), seeded(0))
    for pictures in (x, x.long()):
        assert torch.allclose(q_step(pictures, beta, seeded(0)), expected)
    assert torch.allclose(q_sample(x.long(), 2, seeded(0))[0], q_sample(x, 2.0, seeded(0))[0])
