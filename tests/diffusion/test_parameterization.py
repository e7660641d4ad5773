"Five parameterizations are one, and a denoiser computes in fp32 at least."

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steady import no_deadline, seeded, wide
from t2i_learn.diffusion.parameterization import Denoiser, network_target, PARAMETERIZATIONS, to_x0

no_deadline()


@pytest.mark.parametrize("name", PARAMETERIZATIONS)
@given(st.floats(0.02, 50), st.floats(0.1, 2), st.integers(0, 1000))
def test_a_target_turns_back_into_its_picture(name, sigma, std, seed):
    x0, y = torch.randn(2, 3, 4, generator=seeded(seed)).double()
    target = network_target(name, y, x0, wide(sigma), std)
    assert torch.allclose(to_x0(name, y, target, wide(sigma), std), x0, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", PARAMETERIZATIONS)
@pytest.mark.parametrize("sigma", [1, 3, np.int64(3), torch.tensor(3)])
def test_levels_may_be_whole_numbers(name, sigma):
    x0, y = torch.randn(2, 3, 4, generator=seeded(0))
    assert torch.allclose(network_target(name, y, x0, sigma), network_target(name, y, x0, float(sigma)))
    assert torch.allclose(to_x0(name, y, x0, sigma), to_x0(name, y, x0, float(sigma)))


def test_an_unknown_parameterization_is_named():
    with pytest.raises(ValueError, match=r"'epsilon'.*edm, eps, flow, v, x0"):
        network_target("epsilon", torch.ones(1), torch.ones(1), 1.0)


@pytest.mark.parametrize("name", PARAMETERIZATIONS)
@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.int64]
)
def test_a_denoiser_answers_in_fp32_at_least(name, dtype):
    half = Denoiser(lambda y, sigma, cond: y.bfloat16(), (0.1, 0.2, 0.3), 0.4, name)
    x0_hat = half(torch.ones(2, 3, 4, 4, dtype=dtype), 2)
    assert x0_hat.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.allclose(
        x0_hat.float(), half(torch.ones(2, 3, 4, 4), torch.tensor([2.0, 2.0])), atol=1e-6
    )
