"Divergences of normal distributions, and of a step."

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steady import no_deadline, wide
from diffusion_examples import levels
from t2i_learn.diffusion.sampling import q_posterior
from t2i_learn.diffusion.bound import normal_kl, step_kl

no_deadline()


@given(st.floats(0, 4), levels, st.floats(0.01, 0.99))
def test_a_step_s_divergence_is_weighted_error(error, sigma, share):
    sigma, low = wide(sigma), wide(share * sigma)
    mean, variance = q_posterior(wide(1.0), wide(error), sigma, low)
    wrong, _ = q_posterior(wide(1.0), wide(0.0), sigma, low)
    direct = normal_kl(mean, variance, wrong, variance)
    assert torch.allclose(direct, step_kl(wide(error) ** 2, sigma, low), rtol=1e-6, atol=1e-12)


@given(st.floats(-3, 3), st.floats(0.01, 9), st.floats(-3, 3), st.floats(0.01, 9))
def test_divergence_is_never_negative(mean, variance, mean_2, variance_2):
    assert normal_kl(wide(mean), wide(variance), mean_2, variance_2) >= -1e-12


@pytest.mark.parametrize("kind", [int, np.int64, torch.tensor])
def test_levels_may_be_whole_numbers(kind):
    assert step_kl(torch.tensor(0.5), kind(2), kind(1)) == pytest.approx(0.1875)
    assert normal_kl(torch.tensor(0), torch.tensor(1), 0, 2) == pytest.approx(
        (0.5 - 1 + math.log(2)) / 2
    )
