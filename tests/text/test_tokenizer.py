"Properties of the tokenizer that a notebook has no room for, and files and prompts that nobody should have to trust."

from __future__ import annotations

import importlib.util
import random
import os
import sys
import tracemalloc
import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from t2i_learn.core.files import weights_path
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
from t2i_learn.world.captions import SPLIT_TASKS, CaptionedScenes
from t2i_learn.world.wording import free_example

ROOT = Path(__file__).parents[2]
TOKENIZER = default_tokenizer()
patient = settings(deadline=None)  # a busy machine is not a failure


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
        tokens, mask = TOKENIZER([text], truncation=True)
    assert tokens.shape == (1, TOKENIZER.max_length) and tokens[0, -1] == EOS_ID and mask.all()


def test_a_prompt_that_just_fits_is_neither_cut_nor_warned_about():
    text = " a" * (TOKENIZER.max_length - 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert TOKENIZER([text], truncation=True)[0].shape == (1, TOKENIZER.max_length)
    with pytest.raises(ValueError, match="truncation is True or False, not 'wrap'"):
        TOKENIZER(["a"], truncation="wrap")


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
    [
        "",
        "[]",
        "{}",
        '{"merges": [[1, 2]], "max_length": 40}',
        '{"merges": [[300, 4]], "max_length": 40}',
        '{"merges": [[5, "x"]], "max_length": 40}',
        '{"merges": [[5]], "max_length": 40}',
        "\x00\xff",
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, content):
    (tmp_path / "t.json").write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"t\.json is (not a tokenizer's file, or it is )?damaged"):
        Tokenizer.load(tmp_path / "t.json")


def test_the_shipped_tokenizers_are_what_the_tool_trains():
    spec = importlib.util.spec_from_file_location("train_tokenizer", ROOT / "tools" / "tokenizer.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    trained = tool.train()
    for name, tokenizer in trained.items():
        shipped = Tokenizer.load(weights_path() / name)
        assert (shipped.merges, shipped.max_length) == (tokenizer.merges, tokenizer.max_length)
        assert len(shipped) == tool.VOCAB_SIZE == FIRST_MERGE_ID + len(shipped.merges)
    assert trained["tokenizer.json"].merges == TOKENIZER.merges


def test_every_free_caption_fits_into_the_tokenizer_for_them():
    tokenizer = Tokenizer.load(weights_path() / "tokenizer-free.json")
    rng = random.Random(11)
    captions = [free_example(rng, split).caption for split in ("seen", "g") for _ in range(100)]
    tokens, mask = tokenizer(captions)
    assert tokens.shape == mask.shape and tokens.shape[1] <= tokenizer.max_length == 80


def test_every_word_of_a_training_caption_is_one_token():
    stream = CaptionedScenes(64, side=8, seed=7)
    for caption in (caption for step in range(4) for caption in stream(step).captions):
        assert len(TOKENIZER.encode(normalize_text(caption))) == len(caption.split()), caption
        assert len(caption.split()) + 2 <= TOKENIZER.max_length
    assert set(stream.task_weights) == set(SPLIT_TASKS["seen"])


def test_emoji_labels_stand_beside_their_licence():
    labels = (ROOT / "data" / "emoji_labels.txt").read_text(encoding="utf-8").splitlines()
    assert len(labels) == len(set(labels)) == 1644 and labels[0] == "grinning face"
    licence = (ROOT / "data" / "LICENSE.emoji_labels.txt").read_text(encoding="utf-8")
    assert "UNICODE LICENSE V3" in licence and "Miles Johnson" in licence


@pytest.mark.parametrize(
    "call",
    [TOKENIZER, lambda text: learn_merges(text, 3), lambda text: Tokenizer.train(text, 300).merges],
)
def test_one_text_is_a_list_of_one(call):
    one, several = call("red heart red heart"), call(["red heart red heart"])
    assert (
        all(torch.equal(a, b) for a, b in zip(one, several))
        if isinstance(one, tuple)
        else one == several
    )


@pytest.mark.parametrize(
    "texts", [None, 7, [None], [["a red heart"]], ["a", 3], b"red heart", [b"red heart"]]
)
@pytest.mark.parametrize("call", [TOKENIZER, lambda texts: learn_merges(texts, 3), Tokenizer.train])
def test_what_is_no_text_is_one_sentence(call, texts):
    with pytest.raises(
        ValueError, match=r"a text is wanted, or a list of texts|each text must be a str"
    ):
        call(texts)


def test_no_prompt_at_all_is_one_sentence():
    with pytest.raises(ValueError, match="there is no prompt"):
        TOKENIZER([])


@pytest.mark.parametrize(
    "text", ["x" * 1_000_000, "心" * 1_000_000, "a red heart " * 100_000, "\n" * 1_000_000 + "a"]
)
def test_a_million_letters_take_work_in_proportion(text):
    calls = Counter()
    sys.setprofile(lambda frame, event, what: calls.update([event]))
    try:
        _read_long_text(text)
    finally:
        sys.setprofile(None)
    assert sum(calls.values()) < 2 * len(text)  # in proportion to its length


def _read_long_text(text):
    if text.isspace() or (len(text.split()) == 1 and len(text.strip()) == 1):
        assert TOKENIZER(text)[0].shape == (1, 3)
    else:
        with pytest.raises(
            ValueError, match=r"letters long, more than 38 tokens, and this model reads 38 at most"
        ):
            TOKENIZER(text)
        with pytest.warns(UserWarning, match="the rest is not read"):
            assert TOKENIZER(text, truncation=True)[0].shape == (1, TOKENIZER.max_length)


def test_what_is_cut_before_it_is_spelled_is_cut_at_the_same_place():
    text = " ".join(["a red heart left of a blue star on a mint background"] * 200)
    ids = TOKENIZER.encode(normalize_text(text))
    with pytest.warns(UserWarning, match="the rest is not read"):
        assert TOKENIZER(text, truncation=True)[0][0, 1:-1].tolist() == ids[: TOKENIZER.max_length - 2]


def doubling(times):
    "Merges that double a byte's token again and again: a small file, and gigabytes of tokens."
    return [[3, 3], *([FIRST_MERGE_ID + k] * 2 for k in range(times))]


def file_of(merges="[]", max_length="40"):
    return f'{{"kind": "byte-level BPE", "max_length": {max_length}, "merges": {merges}}}'


@pytest.mark.parametrize(
    "content",
    [
        file_of(doubling(30)),
        file_of(doubling(200)),
        file_of("[[3, 4], [3, 4]]"),
        file_of("[[3, 260]]"),
        file_of("[[0, 4]]"),
        file_of("[[3, -4]]"),
        file_of("[[3, Infinity]]"),
        file_of("[[3, 4.0]]"),
        file_of("[[3, true]]"),
        file_of('[["3", "4"]]'),
        file_of("[[3, 4, 5]]"),
        file_of("[3, 4]"),
        file_of('"34"'),
        file_of("{}"),
        file_of("null"),
        file_of("[" * 200_000 + "]" * 200_000),
        file_of(max_length="1e9"),
        file_of(max_length="1000000000"),
        file_of(max_length="NaN"),
        file_of(max_length="2"),
        file_of(max_length="-1"),
        file_of(max_length="null"),
        file_of(max_length='"40"'),
        "[]",
        "7",
        "null",
        "",
        "{",
        "\x00" * 50,
    ],
)
def test_a_strangers_file_is_one_sentence_and_takes_no_memory(tmp_path, content):
    (tmp_path / "t.json").write_text(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match="damaged") as error:
        Tokenizer.load(tmp_path / "t.json")
    assert tracemalloc.get_traced_memory()[1] < 50 * 2**20 and "\n" not in str(error.value)
    tracemalloc.stop()


def test_files_that_are_none_are_one_sentence(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "large.json").write_bytes(b" " * 2**24)
    for name, words in {
        "none": "there is no file",
        "pipe.json": "is not a regular file",
        "large.json": "is larger than",
        ".": "is not a regular file",
    }.items():
        with pytest.raises(ValueError, match=words):
            Tokenizer.load(tmp_path / name)


def test_the_old_file_stays_when_saving_fails(tmp_path, monkeypatch):
    TOKENIZER.save(tmp_path / "t.json")
    before = (tmp_path / "t.json").read_bytes()

    def full(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        Tokenizer([(3, 4)]).save(tmp_path / "t.json")
    assert (tmp_path / "t.json").read_bytes() == before and [f.name for f in tmp_path.iterdir()] == [
        "t.json"
    ]


def test_strangers_words_do_not_fill_the_memory():
    tokenizer = Tokenizer(TOKENIZER.merges)
    tokenizer.cache = dict.fromkeys(range(50_001))
    assert (
        tokenizer.encode(" a red heart") == TOKENIZER.encode(" a red heart")
        and len(tokenizer.cache) == 3
    )
