"Comparisons: verdicts that hold, and what stands beside a score."

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from t2i_learn.core.pipeline import load
from t2i_learn.world.captions import Prompt, load_prompts
from t2i_learn.world.comparisons import (
    clause_rates,
    combination_rates,
    compare,
    full_report,
    note_rates,
    prompts_needed,
    score_entry,
    score_table,
)
from t2i_learn.world.score import evaluate
from t2i_learn.world.wording import all_wordings, free_example, open_caption

BITS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=4, max_size=60)


def prompts_like(count: int, captions: int = 1000) -> list[Prompt]:
    return [Prompt("two", "seen", f"caption {k % captions}", {"include": []}) for k in range(count)]


@settings(max_examples=40, deadline=None)
@given(BITS)
def test_a_comparison_is_antisymmetric(pairs):
    ours, theirs = map(list, zip(*pairs))
    prompts = prompts_like(len(pairs))
    one, other = compare(ours, theirs, prompts), compare(theirs, ours, prompts)
    assert math.isclose(one.gap, -other.gap, abs_tol=1e-12)
    assert math.isclose(one.low, -other.high, abs_tol=1e-9)
    assert one.low - 1e-9 <= one.gap <= one.high + 1e-9
    assert one.discordance == sum(a != b for a, b in pairs) / len(pairs)


@settings(max_examples=40, deadline=None)
@given(BITS)
def test_better_and_worse_are_never_both(pairs):
    ours, theirs = map(list, zip(*pairs))
    prompts = prompts_like(len(pairs))
    verdicts = {compare(ours, theirs, prompts).verdict, compare(theirs, ours, prompts).verdict}
    assert verdicts not in ({"better"}, {"worse"})


def test_few_captions_with_many_noises_are_no_certainty():
    "Two captions of fifty noises each, one won and one lost: the interval reaches from loss to gain."
    ours = [k % 2 == 0 for k in range(100)]
    few = compare(ours, [not ok for ok in ours], prompts_like(100, captions=2))
    many = compare(ours, [not ok for ok in ours], prompts_like(100))
    assert (few.low, few.high) == (-1.0, 1.0) and many.high < 0.3


def test_tasks_count_alike_however_many_prompts_they_have():
    prompts = [p._replace(task="two" if k < 90 else "count") for k, p in enumerate(prompts_like(100))]
    assert math.isclose(compare([k >= 90 for k in range(100)], [False] * 100, prompts).gap, 0.5)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.005, 0.2), st.floats(0.01, 1.0))
def test_prompts_needed_is_the_least_number(margin, discordance):
    n = prompts_needed(margin, discordance)
    assert 1.96 * math.sqrt(discordance / n) <= margin * (1 + 1e-9)
    assert n == 1 or 1.96 * math.sqrt(discordance / (n - 1)) > margin * (1 - 1e-9)


@pytest.mark.parametrize("wrong", [(0, 0.1), (1, 0.1), (0.02, 0), (0.02, 1.5), (float("nan"), 0.1)])
def test_prompts_needed_refuses_what_is_no_share(wrong):
    with pytest.raises(ValueError, match="margin"):
        prompts_needed(*wrong)


def test_combinations_are_those_of_the_splits():
    prompts = [p for split in "abcd" for p in load_prompts(split)]
    rates = combination_rates(prompts, [True] * len(prompts))
    assert set(rates) == set("abcd") and set(rates["c"]) == {"4 stars", "5 hearts"}
    assert sum(rate.n for own in rates.values() for rate in own.values()) == len(prompts)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_clauses_of_right_scenes_all_hold(seed):
    example = free_example(random.Random(seed))
    prompt = Prompt("free", "free", example.caption, example.spec, scene=example.scene)
    ((_, row),) = clause_rates([prompt], [example.scene]).items()
    assert (
        row["clauses"].rate
        == row["all"].rate
        == row["independent"]
        == row["colours exchanged"].rate
        == 1
    )


def test_the_note_names_what_nobody_taught():
    rates = note_rates(all_wordings(), ["a scarlet disc", "draw two hearts, please"], count=400)
    assert (
        rates["named"].rate == 1 and rates["false alarms"].rate == 0.5
    )  # "please" stands in no caption


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_an_open_caption_has_its_word_once(seed):
    caption, word = open_caption(random.Random(seed))
    assert caption.split().count(word) + sum(caption.count(f"{word}{mark}") for mark in ".,") >= 1
    assert word not in all_wordings()


class Blank:
    "A pipeline's face with white pictures: enough for a report."

    def __init__(self, pipe):
        self.pipe, self.model, self.name = pipe, pipe.model, "blank"

    def request(self, *args, **call):
        return self.pipe.request(*args, **call)

    def __call__(self, captions, **call):
        captions = [captions] if isinstance(captions, str) else captions
        return type("Output", (), {"images": torch.ones(len(captions), 3, 32, 32)})


def test_a_report_agrees_with_evaluate_and_says_all():
    pipe = Blank(load("shapes-diffusion"))
    short, full = evaluate(pipe, 2), full_report(pipe, 2)
    assert short.items() <= {name: full[name] for name in short}.items()
    assert full["edition"] == 1 and {"calls", "combinations", "clauses", "notes"} <= set(full)
    assert full["notes"]["false alarms"]["rate"] == 0
    assert score_entry(full) == "0.00 [0.00, 0.11]" or score_entry(full).startswith("0.00 [0.00, ")
    table = score_table(full).splitlines()
    assert len(table) == 3 and table[2].count("[") == len(full["seen"])


def test_an_older_report_shows_its_standard_error():
    old = {
        "seen": {"mean": 0.5},
        "held_out": {},
        "standard_error": {"seen": {"mean": 0.031}, "held_out": {}},
    }
    assert score_entry(old) == "0.50 ± 0.03" and score_entry(old, "a") == ""
