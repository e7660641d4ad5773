"Properties of the tokenizer and the text encoder that a notebook has no room for."

from __future__ import annotations

import importlib.util
import json
import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from t2i_learn.text.encoder import Condition, TextEncoder, as_torch_transformer, attention, attention_weights, sinusoidal_embedding
from t2i_learn.text.tokenizer import (
    BOS_ID,
    BPE,
    EOS_ID,
    FIRST_BYTE_ID,
    FIRST_MERGE_ID,
    PAD_ID,
    SPECIAL_TOKENS,
    Tokenizer,
    byte_ids,
    normalize_text,
    default_tokenizer,
    learn_merges,
    merge_pair,
    token_strings,
    split_words,
)
from t2i_learn.world.captions import SPLIT_TASKS, CaptionedPictures

ROOT = Path(__file__).parents[1]
TOKENIZER = default_tokenizer()
patient = settings(deadline=None)  # a busy machine is not a failure


# ---------------------------------------------------------------- tokenizer


@patient
@given(st.text())
def test_round_trip_of_any_text(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text
    assert BPE([]).decode(BPE([]).encode(text)) == text


@patient
@given(st.text())
def test_words_joined_are_the_text(text):
    assert "".join(split_words(text)) == text


@patient
@given(st.text(max_size=30))
def test_no_text_contains_a_special_token(text):
    ids = TOKENIZER.encode(text + "".join(SPECIAL_TOKENS))
    assert all(FIRST_BYTE_ID <= i < len(TOKENIZER) for i in ids)


@patient
@given(st.text(alphabet="ab ", max_size=40), st.integers(0, 12))
def test_merges_are_those_of_counting_from_scratch(text, count):
    assert learn_merges([text], count) == slow_merges(text, count)


def slow_merges(text: str, count: int) -> list[tuple[int, int]]:
    "Byte-pair encoding with all pairs counted again after each merge."
    words, merges = [byte_ids(word) for word in split_words(text)], []
    for new in range(FIRST_MERGE_ID, FIRST_MERGE_ID + count):
        pairs = Counter(pair for word in words for pair in pairwise(word))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < 2:
            break
        words = [merge_pair(word, best, new) for word in words]
        merges.append(best)
    return merges


@patient
@given(st.text(alphabet="abc ", min_size=1, max_size=60))
def test_encoding_spells_as_learning_did(text):
    merges = learn_merges([text], 20)
    words = {word: byte_ids(word) for word in split_words(text)}
    for k, pair in enumerate(merges):
        words = {word: merge_pair(ids, pair, FIRST_MERGE_ID + k) for word, ids in words.items()}
    assert all(BPE(merges).encode(word) == ids for word, ids in words.items())


@patient
@given(st.text())
def test_clean_is_idempotent_and_ignores_spaces_and_case_of_ascii(text):
    assert normalize_text(normalize_text(text)) == normalize_text(text)
    assert normalize_text(f"  {text}\n") == normalize_text(text)
    assert normalize_text("A Red\tHEART") == normalize_text("a red heart")


@patient
@given(st.lists(st.text(max_size=8), min_size=1, max_size=5))
def test_batches_are_framed_and_padded_to_the_longest(texts):
    tokens, mask = TOKENIZER(texts)
    assert tokens.dtype == torch.int64 and mask.dtype == torch.bool and tokens.shape == mask.shape
    assert (tokens[:, 0] == BOS_ID).all() and mask[:, 0].all() and mask.sum(1).max() == tokens.shape[1]
    for text, row, real in zip(texts, tokens, mask, strict=True):
        assert (row[~real] == PAD_ID).all() and row[real][-1] == EOS_ID
        assert TOKENIZER.decode(row[real].tolist()) == normalize_text(text)


def test_the_empty_prompt_is_two_specials():
    tokens, mask = TOKENIZER([""])
    assert tokens.tolist() == [[BOS_ID, EOS_ID]] and mask.all()
    assert torch.equal(TOKENIZER([" \n"])[0], tokens)


@pytest.mark.parametrize("text", ["a red heart " * 900, "x" * 10_000, "心" * 10_000])
def test_an_overlong_prompt_is_an_error_that_names_the_limit(text):
    with pytest.raises(ValueError, match=f"reads {TOKENIZER.max_length - 2} at most"):
        TOKENIZER([text])
    with pytest.warns(UserWarning, match="the rest is not read"):
        tokens, mask = TOKENIZER([text], overlong="cut")
    assert tokens.shape == (1, TOKENIZER.max_length) and tokens[0, -1] == EOS_ID and mask.all()


def test_a_prompt_that_just_fits_is_neither_cut_nor_warned_about():
    text = " a" * (TOKENIZER.max_length - 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert TOKENIZER([text], overlong="cut")[0].shape == (1, TOKENIZER.max_length)
    with pytest.raises(ValueError, match="error"):
        TOKENIZER(["a"], overlong="wrap")


@pytest.mark.parametrize("text", ["一颗红心", "❤️ 👩‍🚀", "\U0010ffff\x00", "Ünïcode"])
def test_characters_never_seen_still_encode(text):
    tokens, mask = TOKENIZER([text])
    assert TOKENIZER.decode(tokens[mask].tolist()) == normalize_text(text)
    assert all(token_strings(TOKENIZER, text))


def test_half_a_character_is_replaced_and_does_not_stop_the_program():
    assert TOKENIZER.decode(TOKENIZER.encode("a \ud83d b")) == "a ? b"
    assert "\ufffd" in TOKENIZER.decode(byte_ids("心")[:2])


def test_saved_and_loaded_is_the_same(tmp_path):
    TOKENIZER.save(tmp_path / "t.json")
    again = Tokenizer.load(tmp_path / "t.json")
    assert again.merges == TOKENIZER.merges and again.max_length == TOKENIZER.max_length


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"merges": [[1, 2]], "max_length": 40}', '{"merges": [[300, 4]], "max_length": 40}',
     '{"merges": [[5, "x"]], "max_length": 40}', '{"merges": [[5]], "max_length": 40}', "\x00\xff"],
)
def test_a_damaged_file_is_one_sentence(tmp_path, content):
    (tmp_path / "t.json").write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"t\.json is not a tokenizer's file, or it is damaged"):
        Tokenizer.load(tmp_path / "t.json")


def test_the_shipped_tokenizer_is_what_the_tool_trains():
    spec = importlib.util.spec_from_file_location("train_tokenizer", ROOT / "tools" / "tokenizer.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.train().merges == TOKENIZER.merges
    shipped = json.loads(tool.TARGET.read_text(encoding="utf-8"))
    assert len(TOKENIZER) == tool.VOCAB_SIZE == FIRST_MERGE_ID + len(shipped["merges"])


def test_every_word_of_a_training_caption_is_one_token():
    stream = CaptionedPictures(64, side=8, seed=7)
    for caption in (caption for step in range(4) for caption in stream(step).captions):
        assert len(TOKENIZER.encode(normalize_text(caption))) == len(caption.split()), caption
        assert len(caption.split()) + 2 <= TOKENIZER.max_length
    assert set(stream.weights) == set(SPLIT_TASKS["seen"])


def test_emoji_labels_stand_beside_their_licence():
    labels = (ROOT / "data" / "emoji_labels.txt").read_text(encoding="utf-8").splitlines()
    assert len(labels) == len(set(labels)) == 1644 and labels[0] == "grinning face"
    licence = (ROOT / "data" / "LICENSE.emoji_labels.txt").read_text(encoding="utf-8")
    assert "UNICODE LICENSE V3" in licence and "Miles Johnson" in licence


# ---------------------------------------------------------------- encoder

captions = st.lists(st.lists(st.integers(FIRST_BYTE_ID, 299), min_size=1, max_size=9), min_size=1, max_size=4)


def batch(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    "Rows of ids as tokens and mask."
    tokens = torch.nn.utils.rnn.pad_sequence([torch.tensor([BOS_ID, *row]) for row in rows], batch_first=True)
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
    mine = ours.blocks[0].attend.qkv.weight.grad
    assert (mine - theirs.layers[0].self_attn.in_proj_weight.grad).abs().max() < 1e-5 * mine.abs().max()


@patient
@given(captions, st.integers(0, 3))
def test_padding_and_neighbours_change_nothing(rows, extra):
    ours, (tokens, mask) = encoder(), batch(rows)
    together = ours(F.pad(tokens, (0, min(extra, 12 - tokens.shape[1])), value=PAD_ID), F.pad(mask, (0, min(extra, 12 - tokens.shape[1]))))
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
    assert torch.allclose(attention(big, big, big, real), attention_weights(big, big, real) @ big, atol=1e-6)


@patient
@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-50, 50))
def test_waves_compare_by_distance(a, b, shift):
    x = torch.tensor([a, b, a + shift, b + shift], dtype=torch.float64)
    waves = sinusoidal_embedding(x, 16)
    assert torch.isclose(waves[0] @ waves[1], waves[2] @ waves[3], atol=1e-9)


def test_conditions_are_cut_and_joined():
    ours = encoder()
    short, long = ours(*batch([[5], [6]])), ours(*batch([[5, 6, 7]]))
    both = Condition.cat([short, long])
    assert len(both) == 3 and both.context.shape == (3, 4, 24) and both.mask.sum(1).tolist() == [2, 2, 4]
    assert torch.equal(both[2:].context, long.context) and torch.equal(both[:2].pooled, short.pooled)
    assert torch.equal(both[torch.tensor([2, 0])].mask, both.mask[[2, 0]]) and both.picture is None
    assert both.to("cpu").context.device.type == "cpu"


def test_conditions_carry_pictures_along():
    plain = encoder()(*batch([[5], [6]]))
    shown = Condition(plain.context, plain.mask, plain.pooled, torch.arange(2.0).view(2, 1, 1, 1))
    again = Condition.cat([shown[1:], shown[:1]])
    assert again.picture.flatten().tolist() == [1, 0]
