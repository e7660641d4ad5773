"Tasks are rows: what a row says is what captions, scenes, specifications and falsehoods do; and the old rows do what they did."

import hashlib
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steady import steady
from t2i_learn.world.captions import (
    CaptionedScenes,
    changeable_attributes,
    false_caption,
    held_out_splits,
    sample_example,
    SPLIT_TASKS,
    SPLITS,
)
from t2i_learn.world.reader import read_scene
from t2i_learn.world.scenes import render, SHAPES
from t2i_learn.world.score import check_spec
from t2i_learn.world.tasks import CHANGES, noun_phrase, plural, spec_item, Task, TASKS

steady(40)

# of 25 examples of each task of each split, with all their falsehoods, as the code made them before tasks were rows
HASHES = {
    "seen/single": "be94853447bd4b8a",
    "seen/two": "2671da512610207b",
    "seen/count": "af6811508215e731",
    "seen/color": "a030e0f9e0f2cfd7",
    "seen/position": "1f4e5af4bb5fe284",
    "seen/attribution": "a8f04f0de470149c",
    "seen/size": "c3e46be6d7609ca1",
    "seen/texture": "48f4d705103c17bc",
    "a/color": "b0f67037c682c6fd",
    "a/count": "213665808d39480e",
    "a/attribution": "4750bf357cfc99de",
    "b/position": "97f19ec2cbe67eae",
    "c/count": "670b9dd0625a75bb",
    "d/attribution": "9cac80ff7bf9a9d1",
    "e/three": "5f2cc5871acf8920",
    "f/single": "f8ff35494b51b3f3",
    "f/two": "0b01ec056d7d0e9f",
    "f/count": "e4ef79270f83a771",
    "f/color": "d285a087687254a6",
    "f/position": "c9404f78baad09e2",
    "f/attribution": "612495df1d0d5da7",
    "f/size": "0ed4f033ad269845",
    "f/texture": "26d87d2b56eb7dff",
}
BATCHES = {
    "plain": "7b045548b39e3ebc",
    "pretrain": "ceb73ff9943fe067",
    "bands": "f9a76e746b77e0f7",
}
TRAINING = {
    "single": 0.4,
    "two": 1.0,
    "count": 2.0,
    "color": 0.8,
    "position": 6.0,
    "attribution": 3.0,
    "size": 0.75,
    "texture": 1.0,
}
STREAMS = {
    "plain": (3, None, 0.0, 0.0, ()),
    "pretrain": (4, TRAINING, 0.5, 0.7, ()),
    "bands": (5, {"position": 1.0, "two": 1.0}, 0.5, 0.5, [(8, 16), (16, 8)]),
}


def plain(facts):
    return [
        facts.task,
        [list(k) for k in facts.kinds],
        facts.template,
        facts.count,
        facts.relation,
        facts.synonym,
        facts.background,
        facts.says_background,
    ]


def things_of(scene):
    return [
        [t.shape, t.color, t.x, t.y, t.radius, t.size, t.texture, t.angle, list(t.tint)]
        for t in scene.things
    ] + [scene.background]


def all_about(e, generator):
    "An example, each of its falsehoods, and one drawn at random."
    names = changeable_attributes(e.facts)
    rows = [e.caption, e.spec, plain(e.facts), things_of(e.scene), names]
    return (
        rows
        + [[name, *false_caption(e, generator, name)] for name in names]
        + [list(false_caption(e, generator))]
    )


@pytest.mark.parametrize("place", HASHES)
def test_the_same_seed_gives_the_same_examples_as_ever(place):
    split, task = place.split("/")
    generator, whole = torch.Generator().manual_seed(7), hashlib.sha256()
    for _ in range(25):
        whole.update(json.dumps(all_about(sample_example(task, split, generator), generator)).encode())
    assert whole.hexdigest()[:16] == HASHES[place]


@pytest.mark.parametrize("name", BATCHES)
def test_the_same_seed_gives_the_same_batches_as_ever(name):
    stream, whole = CaptionedScenes(16, 16, *STREAMS[name]), hashlib.sha256()
    for step in range(4):
        batch = stream(step)
        specs, scenes = [e.spec for e in batch.examples], [things_of(e.scene) for e in batch.examples]
        whole.update(json.dumps([batch.captions, specs, scenes]).encode())
    assert whole.hexdigest()[:16] == BATCHES[name]


def test_every_task_of_every_split_is_compared():
    assert [*HASHES] == [f"{split}/{task}" for split in SPLITS for task in SPLIT_TASKS[split]]


# a new task is a row


def star_but_no_heart(facts, says):
    "The claims of a caption that names a thing and what is missing."
    there, missing = (spec_item(kind, says) for kind in facts.kinds)
    return {"include": [there], "exclude": [missing], "exact": True}


def swap_kinds(facts, rng):
    "A heart and no star."
    return facts.__class__(**{**vars(facts), "kinds": facts.kinds[::-1]})


@pytest.fixture
def negation(monkeypatch):
    row = Task(
        ("{a} and no {b}", "{a} without {b}"),
        "{a}, but not {b}",
        num_kinds=2,
        num_shown=1,
        specify=star_but_no_heart,
        changes={"shape": CHANGES["shape"], "negation": swap_kinds},
    )
    monkeypatch.setitem(TASKS, "negation", row)
    return "negation"


@pytest.mark.parametrize("split", ["seen", "f"])
def test_a_new_task_is_one_row(negation, split):
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        e = sample_example(negation, split, generator)
        there, missing = e.facts.kinds
        assert [t.shape for t in e.scene.things] == [there.shape] and not held_out_splits(e.facts)
        assert (
            there.shape in e.caption
            and missing.shape in e.caption
            and e.spec["exclude"][0]["shape"] == missing.shape
        )
        assert check_spec(e.spec, read_scene(render(e.scene))) == (True, "")
        assert set(changeable_attributes(e.facts)) - {"background"} == {"shape", "negation"}
        for name in changeable_attributes(e.facts):
            caption, spec = false_caption(e, generator, name)
            assert caption != e.caption and not check_spec(spec, e.scene)[0], (name, e.caption, caption)


def test_a_new_task_is_trained_beside_the_others(negation):
    batch = CaptionedScenes(64, side=8, seed=1)(0)
    assert {e.task for e in batch.examples} == {*SPLIT_TASKS["seen"], negation}
    only = CaptionedScenes(8, side=8, task_weights={negation: 1.0})(0)
    assert all(" no " in caption or " without " in caption for caption in only.captions)


def test_a_row_without_a_paraphrase_is_not_trained(monkeypatch):
    monkeypatch.setitem(TASKS, "four", Task(("{a}",)))
    with pytest.raises(ValueError, match="split 'seen' has no task 'four'"):
        sample_example("four")


# words


@given(
    st.sampled_from(SHAPES),
    st.sampled_from([(), ("color",), ("size", "color"), ("texture", "color")]),
    st.integers(1, 6),
)
def test_a_noun_phrase_says_what_its_entry_says(shape, says, count):
    from t2i_learn.world.grammar import parse_prompt
    from t2i_learn.world.tasks import ThingKind

    item = spec_item(ThingKind(shape, "orange", "small", "striped"), says, count)
    words = noun_phrase(item)
    assert words.endswith(shape if count == 1 else plural(shape)) and words.endswith(
        noun_phrase(item, quantity=False)
    )
    assert count > 5 or parse_prompt(words)["include"] == [item]


def test_plurals():
    assert {shape: plural(shape) for shape in SHAPES} == {
        "circle": "circles",
        "square": "squares",
        "triangle": "triangles",
        "diamond": "diamonds",
        "cross": "crosses",
        "star": "stars",
        "heart": "hearts",
    }
