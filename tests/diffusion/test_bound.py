"Divergences of normal distributions, and of a step."

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steady import no_deadline, seeded, wide
from diffusion_examples import levels
from t2i_learn.diffusion.sampling import q_posterior
from t2i_learn.diffusion.bound import elbo, normal_kl, step_kl
from t2i_learn.diffusion.continuous import log_likelihood
from t2i_learn.stable.process import stable_elbo, stable_elbo_loss

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


def shrink(y, sigma, cond=None):
    return y / (1 + sigma**2)


BOUNDS = {
    "elbo": lambda sigmas, x0: elbo(shrink, x0, sigmas, generator=seeded()).total,
    "log_likelihood": lambda sigmas, x0: log_likelihood(shrink, x0, sigmas),
    "stable_elbo": lambda sigmas, x0: stable_elbo(shrink, x0, sigmas, 1.7, generator=seeded()).total,
    "stable_elbo_loss": lambda sigmas, x0: stable_elbo_loss(shrink, x0, sigmas, 1.7, generator=seeded()),
}
LEVELS = {"rising": [1.0, 2.0, 3.0], "repeated": [2.0, 2.0], "up and down": [1.0, 3.0, 2.0]}


@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
@pytest.mark.parametrize("sigmas", LEVELS.values(), ids=LEVELS)
def test_levels_of_a_bound_must_fall(bound, sigmas):
    with pytest.raises(ValueError, match=r"must (be finite and above 0|fall at every step)"):
        for _ in range(9):  # one of the bounds draws a step
            bound(torch.tensor(sigmas), torch.zeros(8, 2))


@pytest.mark.parametrize("sigmas", [[2.0, 0.0], [1.0, -1.0], [math.inf, 1.0], [math.nan, 1.0]])
def test_levels_of_a_bound_are_above_zero(sigmas):
    for name in ("elbo", "log_likelihood"):
        with pytest.raises(ValueError, match="finite and above 0"):
            BOUNDS[name](torch.tensor(sigmas), torch.zeros(8, 2))


@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
def test_data_and_levels_of_a_bound_may_be_whole_numbers(bound):
    sigmas = torch.tensor([3, 2, 1])
    x0 = torch.tensor([[0, 1], [2, 1]])
    assert torch.equal(bound(sigmas, x0), bound(sigmas.float(), x0.float()))
