"Captions as people type them: true of their scenes, in words of the table, and nothing of training is held out."

import random
import string

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from t2i_learn.world import wording as module
from t2i_learn.world.captions import held_out_splits
from t2i_learn.world.reader import read_scene
from t2i_learn.world.scenes import relation_holds, render
from t2i_learn.world.score import check_spec
from t2i_learn.world.tasks import Facts, ThingKind
from t2i_learn.world.wording import (
    HELD_OUT_FORMS,
    FreeCaptions,
    plain_example,
    Writer,
    all_wordings,
    free_example,
    is_held_out,
    misspellings,
    random_statement,
    spec_of_statement,
    ways_to_say,
    wording_table,
    write_caption,
)

SEEDS = st.integers(0, 2**32)
WAYS = sorted({w for row in wording_table().values() for ways in row.values() for w in ways})


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from(["seen", "g"]), st.sampled_from([1, 2, 3, 4, None]))
def test_a_free_caption_is_true_of_its_scene(seed, split, num_things):
    example = free_example(random.Random(seed), split, num_things)
    assert check_spec(example.spec, example.scene)[0]
    assert example.caption == free_example(random.Random(seed), split, num_things).caption
    assert "  " not in example.caption and ". ." not in example.caption
    assert num_things is None or len(example.spec["include"]) == num_things


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_the_oracle_reads_it_so(seed):
    example = free_example(random.Random(seed))
    assert check_spec(example.spec, read_scene(render(example.scene, 32))) == (True, "")


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 4))
def test_nothing_that_is_held_out_is_drawn_or_said_in_training(seed, num_things):
    rng = random.Random(seed)
    statement = random_statement(num_things, rng)
    kinds = [ThingKind(t.shape, t.color) for t in statement.scene.things[: len(statement.items)]]
    facts = [Facts("color", (kind,), "") for kind in kinds]
    facts += [Facts("attribution", (a, b), "") for a in kinds for b in kinds if a.shape < b.shape]
    facts += [Facts("position", (kinds[i], kinds[j]), "", relation=r) for i, r, j in statement.relations]
    assert not any(held_out_splits(fact) for fact in facts)
    writer = Writer(rng, error_rate=0.5)
    caption = write_caption(statement, writer)
    assert not writer.held_out and writer.used and caption
    assert {form for _, form in writer.used}.isdisjoint(HELD_OUT_FORMS)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(2, 4), st.integers(0, 3))
def test_the_relations_of_a_statement_plainly_hold_and_none_comes_twice(seed, num_things, wanted):
    statement = random_statement(num_things, random.Random(seed), wanted)
    things = statement.scene.things
    assert len(statement.relations) <= wanted
    assert all(relation_holds(r, things[i], things[j]) for i, r, j in statement.relations)
    assert len({frozenset((i, j)) for i, _, j in statement.relations}) == len(statement.relations)
    assert len({i for i, _, _ in statement.relations}) == len(statement.relations)
    placed = [item["position"] for item in spec_of_statement(statement)["include"] if "position" in item]
    assert placed == [[r, j] for _, r, j in statement.relations]


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_what_split_g_asks_is_held_out_and_its_words_are_known(seed):
    rng = random.Random(seed)
    writer_used = []
    original = Writer.say

    def say(self, *args, **options):
        word = original(self, *args, **options)
        writer_used.append(self.used[-1])
        return word

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "say", say)
        example = free_example(rng, "g")
    assert any(is_held_out(*pair) for pair in writer_used)
    words = {word.strip(".,") for word in example.caption.split()}
    assert words <= set(all_wordings())


def test_every_word_and_every_error_is_trained_in_some_form():
    forms = {
        "relation": ["relation", "inverse", "fronted", "apart"],
        "background": [
            f"background {where}" for where in ("last", "first", "in the middle", "in a sentence")
        ],
    }
    things = ["plain", "bare", "reversed", "that is"]
    for kind in ("shape", "color", "size", "texture", "number", "relation", "background"):
        for ways in wording_table()[kind].values():
            for way in ways:
                words = [way, *misspellings(way)]
                assert all(any(not is_held_out(w, f) for f in forms.get(kind, things)) for w in words)


def test_every_held_out_form_is_asked_in_split_g():
    found = set()
    for seed in range(400):
        writer = Writer(random.Random(seed), seen=False)
        write_caption(random_statement(2, random.Random(seed), 1), writer)
        found |= {form for _, form in writer.used}
    assert set(HELD_OUT_FORMS) <= found


@pytest.mark.parametrize("way", WAYS)
def test_a_misspelling_is_one_slip_away_and_no_other_word(way):
    known = {word for other in WAYS for word in other.split()}
    for error in misspellings(way):
        ((right, wrong),) = [(a, b) for a, b in zip(way.split(), error.split(), strict=True) if a != b]
        assert wrong not in known and wrong[0] == right[0]
        assert abs(len(wrong) - len(right)) <= 1
        assert set(wrong) <= set(string.ascii_lowercase)


def test_one_typing_error_a_caption_at_most():
    for seed in range(200):
        writer = Writer(random.Random(seed), error_rate=1.0)
        said = [(c, writer.say("color", c, "plain")) for c in module.COLORS]
        assert sum(word not in ways_to_say("color", color) for color, word in said) <= 1


def test_a_stream_of_free_captions_is_one_of_captioned_pictures():
    stream = FreeCaptions(8, side=16, seed=3, task_weights={"free": 3.0, "color": 1.0})
    batch, again = stream(5), stream(5)
    assert batch.captions == again.captions and torch.equal(batch.pictures, again.pictures)
    assert {e.task for k in range(4) for e in stream(k).examples} == {"free", "color"}
    assert batch.pictures.shape == (8, 3, 16, 16)


@pytest.mark.parametrize("number", [0, 5, 2.5, "two"])
def test_a_scene_of_no_things_or_too_many_is_a_sentence(number):
    with pytest.raises(ValueError, match="num_things"):
        random_statement(number, random.Random(0))


@pytest.mark.parametrize("num_things", [2, 3, 4])
def test_a_plain_list_says_the_colors_and_no_relations(num_things):
    for seed in range(20):
        example = plain_example(random.Random(seed), num_things)
        assert check_spec(example.spec, example.scene)[0] and len(example.spec["include"]) == num_things
        assert all("color" in item and "position" not in item for item in example.spec["include"])
        assert all(item["color"] in example.caption for item in example.spec["include"])
