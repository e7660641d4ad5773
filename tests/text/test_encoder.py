"The text encoder: PyTorch's own numbers, blind to padding and neighbours, and not to order; conditions in one piece."

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from t2i_learn.text.encoder import as_torch_transformer, Condition, TextEncoder
from t2i_learn.text.tokenizer import BOS_ID, FIRST_BYTE_ID, PAD_ID

patient = settings(deadline=None)  # a busy machine is not a failure

captions = st.lists(
    st.lists(st.integers(FIRST_BYTE_ID, 299), min_size=1, max_size=9), min_size=1, max_size=4
)


def batch(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    "Rows of ids as tokens and mask."
    tokens = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor([BOS_ID, *row]) for row in rows], batch_first=True
    )
    return tokens, tokens != PAD_ID


def encoder(width: int = 24, depth: int = 2, heads: int = 3) -> TextEncoder:
    "A small one, always the same."
    torch.manual_seed(0)
    return TextEncoder(300, width, depth, heads, max_length=12)


@patient
@given(captions, st.sampled_from([(24, 1, 3), (24, 2, 1), (32, 3, 8)]))
def test_parity_with_torch(rows, size):
    ours, (tokens, mask) = encoder(*size), batch(rows)
    x = ours.tokens(tokens) + ours.positions[: tokens.shape[1]]
    theirs = as_torch_transformer(ours)(x, src_key_padding_mask=~mask)
    assert (ours(tokens, mask).context - theirs)[mask].abs().max() < 1e-5


def test_gradients_are_those_of_torch():
    ours, (tokens, mask) = encoder(), batch([[5, 6, 7], [8]])
    theirs = as_torch_transformer(ours)
    towards = torch.randn(int(mask.sum()), 24, generator=torch.Generator().manual_seed(0))
    (ours(tokens, mask).context[mask] * towards).sum().backward()
    x = ours.tokens(tokens) + ours.positions[: tokens.shape[1]]
    (theirs(x.detach(), src_key_padding_mask=~mask)[mask] * towards).sum().backward()
    mine = ours.blocks[0].self_attn.qkv.weight.grad
    assert (mine - theirs.layers[0].self_attn.in_proj_weight.grad).abs().max() < 1e-5 * mine.abs().max()


@patient
@given(captions, st.integers(0, 3))
def test_padding_and_neighbours_change_nothing(rows, extra):
    ours, (tokens, mask) = encoder(), batch(rows)
    together = ours(
        F.pad(tokens, (0, min(extra, 12 - tokens.shape[1])), value=PAD_ID),
        F.pad(mask, (0, min(extra, 12 - tokens.shape[1]))),
    )
    for i, row in enumerate(rows):
        alone = ours(*batch([row]))
        assert torch.allclose(together.context[i, : len(row) + 1], alone.context[0], atol=1e-5)
        assert torch.allclose(together.pooled[i], alone.pooled[0], atol=1e-5)


@patient
@given(st.permutations([5, 6, 7, 8, 9]))
def test_without_positions_order_is_lost_and_with_them_it_is_not(order):
    ours, start = encoder(), [5, 6, 7, 8, 9]
    (first, mask), (second, _) = batch([start]), batch([order])
    if order != start:
        assert not torch.allclose(ours(first, mask).pooled, ours(second, mask).pooled, atol=1e-4)
    torch.nn.init.zeros_(ours.positions)
    assert torch.allclose(ours(first, mask).pooled, ours(second, mask).pooled, atol=1e-5)


def test_conditions_are_cut_and_joined():
    ours = encoder()
    short, long = ours(*batch([[5], [6]])), ours(*batch([[5, 6, 7]]))
    both = Condition.cat([short, long])
    assert len(both) == 3 and both.context.shape == (3, 4, 24) and both.mask.sum(1).tolist() == [2, 2, 4]
    assert torch.equal(both[2:].context, long.context) and torch.equal(both[:2].pooled, short.pooled)
    assert torch.equal(both[torch.tensor([2, 0])].mask, both.mask[[2, 0]]) and both.layout is None
    assert both.to("cpu").context.device.type == "cpu"


def test_conditions_carry_pictures_along():
    plain = encoder()(*batch([[5], [6]]))
    shown = Condition(plain.context, plain.mask, plain.pooled, torch.arange(2.0).view(2, 1, 1, 1))
    again = Condition.cat([shown[1:], shown[:1]])
    assert again.layout.flatten().tolist() == [1, 0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_an_encoder_works_in_another_dtype(dtype):
    tokens, mask = batch([[5], [6, 7, 8]])
    made, wanted = encoder().to(dtype)(tokens, mask), encoder()(tokens, mask)
    assert made.context.dtype == made.pooled.dtype == dtype
    assert torch.allclose(
        made.context.float(), wanted.context, atol=1e-5 if dtype == torch.float64 else 0.1
    )


def test_an_encoder_is_built_in_torchs_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        made = encoder()(*batch([[5], [6, 7]]))
    finally:
        torch.set_default_dtype(torch.float32)
    assert made.context.dtype == torch.float64 and made.context.isfinite().all()


def test_conditions_with_and_without_a_layout_do_not_mix():
    plain = encoder()(*batch([[5], [6]]))
    shown = Condition(plain.context, plain.mask, plain.pooled, torch.zeros(2, 1, 4, 4))
    with pytest.raises(ValueError, match="some of these conditions have a layout and some have none"):
        Condition.cat([plain, shown])
