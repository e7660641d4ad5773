"Likelihood along the flow, divergence and orders of convergence."

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steady import no_deadline, seeded, wide
from diffusion_examples import seeds
from t2i_learn.diffusion.schedules import karras_grid
from t2i_learn.diffusion.sampling import euler_step, State
from t2i_learn.diffusion.continuous import convergence_order, divergence, log_likelihood, sde_step

no_deadline()


@pytest.mark.parametrize("v, low, seed", [(0.3, 0.1, 0), (2.0, 0.5, 1)])
def test_the_flow_s_likelihood_of_a_normal_law(v, low, seed):
    denoiser = lambda y, sigma, cond=None: v * y / (v + sigma**2)
    y = torch.randn(4, 1, 2, 2, generator=seeded(seed)).double()
    grid = karras_grid(101, low, 50.0)[:-1].double()
    exact = torch.distributions.Normal(0.0, math.sqrt(v + low**2)).log_prob(y).flatten(1).sum(1)
    found = log_likelihood(denoiser, y, grid, std=math.sqrt(v))
    assert torch.allclose(found, exact, rtol=1e-3, atol=5e-2)
    guess = log_likelihood(
        denoiser,
        y,
        grid,
        std=math.sqrt(v),
        probes=torch.randn(y.shape, generator=seeded(seed)).sign().double(),
    )
    assert torch.allclose(guess, found)  # the Jacobian is a multiple of one: every guess is right


@given(seeds)
@settings(max_examples=10)
def test_the_divergence_is_the_trace(seed):
    matrix = torch.randn(6, 6, generator=seeded(seed)).double()
    state = State(0, wide(1.0)[0], torch.zeros(3, 2, 3).double(), torch.zeros(1), torch.zeros(1))
    turn = lambda y, sigma, cond=None: (y.flatten(1) @ matrix.T).reshape(y.shape)
    assert torch.allclose(divergence(turn, state), matrix.trace().expand(3))


@given(st.floats(0.3, 4), st.floats(1e-3, 1e3))
def test_order_is_the_exponent(p, scale):
    counts = [10, 30, 50]
    assert abs(convergence_order([scale * n**-p for n in counts], counts) - p) < 1e-6


@given(st.floats(0.2, 20), st.floats(0.5, 0.999))
def test_without_stirring_the_sde_is_the_flow(sigma, share):
    state = State(0, wide(sigma)[0], wide(1.0), wide(0.3), wide(0.7 / sigma))
    low = wide(share * sigma)[0]
    assert torch.equal(
        sde_step(state, low, lambda: wide(9.0), noise_scale=0.0),
        euler_step(state, low, lambda: wide(9.0)),
    )
