"Attention: PyTorch's own numbers, in the dtype of its module; codes of a place."

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from t2i_learn.text.attention import (
    attention,
    attention_weights,
    MixFFN,
    MultiHeadAttention,
    sincos_2d,
    sinusoidal_embedding,
)

patient = settings(deadline=None)  # a busy machine is not a failure


def test_attention_is_torchs_and_stays_in_float32_under_autocast():
    q, k, v = torch.randn(3, 2, 4, 7, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[True] * 7, [True] * 3 + [False] * 4])
    with torch.autocast("cpu", torch.bfloat16):
        ours = attention(q, k, v, mask)
    assert ours.dtype == torch.float32
    assert torch.allclose(ours, F.scaled_dot_product_attention(q, k, v, mask[:, None, None]), atol=1e-6)
    assert torch.allclose(attention(q, k, v), F.scaled_dot_product_attention(q, k, v), atol=1e-6)
    big = torch.randn(1, 2, 50, 8, generator=torch.Generator().manual_seed(1))
    real = torch.arange(50)[None] < 41
    assert torch.allclose(
        attention(big, big, big, real), attention_weights(big, big, real) @ big, atol=1e-6
    )


@patient
@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-50, 50))
def test_waves_compare_by_distance(a, b, shift):
    x = torch.tensor([a, b, a + shift, b + shift], dtype=torch.float64)
    waves = sinusoidal_embedding(x, 16)
    assert torch.isclose(waves[0] @ waves[1], waves[2] @ waves[3], atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_modules_work_in_their_own_dtype(dtype):
    torch.manual_seed(0)
    cross, mlp = MultiHeadAttention(32, 4, context_width=24), MixFFN(32)
    x, words = torch.randn(2, 64, 32), torch.randn(2, 9, 24)
    wanted = mlp(cross(x, words))
    made = mlp.to(dtype)(cross.to(dtype)(x.to(dtype), words.to(dtype)))
    assert made.dtype == dtype and torch.allclose(
        made.float(), wanted, atol=1e-5 if dtype == torch.float64 else 0.03
    )


@pytest.mark.parametrize(
    "x", [torch.arange(50), torch.linspace(0, 40, 7), torch.linspace(0, 40, 7, dtype=torch.float64)]
)
@pytest.mark.parametrize("dtype", [None, torch.float32, torch.float64, torch.bfloat16])
def test_waves_come_in_the_dtype_that_is_asked_for(x, dtype):
    made = sinusoidal_embedding(x, 16, dtype=dtype)
    assert made.dtype == (dtype or (x.dtype if x.is_floating_point() else torch.float32))
    exact = sinusoidal_embedding(x.double(), 16)
    assert (made - exact).abs().max() < (5e-3 if dtype == torch.bfloat16 else 1e-5)


def test_waves_follow_torchs_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        assert sinusoidal_embedding(torch.arange(5), 8).dtype == sincos_2d(4, 8).dtype == torch.float64
        assert (
            sinusoidal_embedding(torch.linspace(0, 1, 5, dtype=torch.float32), 8).dtype == torch.float32
        )
    finally:
        torch.set_default_dtype(torch.float32)
