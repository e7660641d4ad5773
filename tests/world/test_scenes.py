"Scenes: any of them renders at any size, things keep apart, and relations exclude each other."

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steady import steady
from t2i_learn.world.captions import sample_example, SPLIT_TASKS, SPLITS
from t2i_learn.world.scenes import (
    arrange,
    BACKGROUNDS,
    COLORS,
    MIN_GAP,
    relation_holds,
    RELATION_MARGIN,
    RELATIONS,
    render,
    ring_distance,
    Scene,
    SHAPES,
    signed_distance,
    SIZES,
    TEXTURES,
    Thing,
)
from t2i_learn.world.tasks import INVERSE_RELATION

steady(40)

seeds = st.integers(0, 2**31)
places = st.sampled_from([(split, task) for split in SPLITS for task in SPLIT_TASKS[split]])
unit = st.floats(0, 1)
things = st.builds(
    Thing,
    st.sampled_from(SHAPES),
    st.sampled_from(list(COLORS)),
    unit,
    unit,
    st.floats(0.02, 0.5),
    texture=st.sampled_from(TEXTURES),
    angle=st.floats(-4, 4),
)
scenes = st.builds(Scene, st.lists(things, max_size=4).map(tuple), st.sampled_from(list(BACKGROUNDS)))


def example(place, seed):
    split, task = place
    return sample_example(task, split, torch.Generator().manual_seed(seed))


@given(scenes, st.integers(8, 70))
def test_any_scene_renders_at_any_size(scene, side):
    "Things may overlap, be tiny, or leave the picture."
    picture = render(scene, side)
    assert picture.shape == (3, side, side) and picture.dtype == torch.float32
    assert picture.isfinite().all() and picture.abs().max() <= 1 + 1e-6


@given(places, seeds)
def test_resolution_does_not_matter(place, seed):
    scene = example(place, seed).scene
    averaged = torch.nn.functional.avg_pool2d(render(scene, 64), 2)
    assert (averaged - render(scene, 32)).abs().mean() < 0.02


@given(st.sampled_from(SHAPES), seeds)
def test_distances_are_distances(shape, seed):
    "Between two points the distance to the outline changes by no more than the points are apart."
    p, q = np.random.default_rng(seed).uniform(-2, 2, (2, 40, 2))
    change = np.abs(signed_distance(shape, p) - signed_distance(shape, q))
    assert (change <= np.hypot(*(p - q).T) + 1e-9).all()
    assert (signed_distance(shape, p) > -1).all()  # nothing is deeper inside than the radius
    assert signed_distance(shape, np.zeros((1, 2)))[0] < 0 < signed_distance(shape, 3 + np.abs(p)).min()


@given(places, seeds)
def test_things_keep_apart_and_inside(place, seed):
    e = example(place, seed)
    for a, b in itertools.combinations(e.scene.things, 2):
        assert np.hypot(a.x - b.x, a.y - b.y) >= a.radius + b.radius + MIN_GAP - 1e-9
    for t in e.scene.things:
        assert t.radius <= t.x <= 1 - t.radius and t.radius <= t.y <= 1 - t.radius
        assert SIZES[t.size][0] <= t.radius <= SIZES[t.size][1]
    corners = render(e.scene)[:, [0, 0, -1, -1], [0, -1, 0, -1]].mT
    assert torch.allclose(corners, torch.tensor(BACKGROUNDS[e.scene.background]) * 2 - 1, atol=1e-6)


@given(unit, unit, unit, unit)
def test_relations_turn_round_and_exclude_each_other(x, y, v, w):
    a, b = Thing("star", "red", x, y, 0.1), Thing("heart", "red", v, w, 0.1)
    true = [r for r in RELATIONS if relation_holds(r, a, b)]
    assert len(true) <= 1 and true == [r for r in RELATIONS if relation_holds(INVERSE_RELATION[r], b, a)]
    assert not true or max(abs(x - v), abs(y - w)) >= RELATION_MARGIN


@pytest.mark.parametrize("x", [-0.6, -0.3, 0.0, 1.2, 3.0, -1e6])
@pytest.mark.parametrize("y", [-0.6, 0.5, 1.7])
def test_what_lies_beyond_the_border_is_not_drawn(x, y):
    picture = render(Scene((Thing("heart", "red", x, y, 0.2),), "mint"))
    assert picture.shape == (3, 32, 32)
    assert torch.equal(picture, render(Scene((), "mint"))) == ((x, y) != (0.0, 0.5))


def test_a_thing_that_leaves_the_picture_is_cut_off_there():
    whole, half = (render(Scene((Thing("square", "black", x, 0.5, 0.2),)), 64) for x in (0.5, 0.0))
    assert torch.allclose(half[:, :, :32], whole[:, :, 32:], atol=1e-6) and (half[:, :, 32:] == 1).all()


def test_things_without_room_are_refused():
    pair = [Thing("circle", "blue", 0, 0, 0.18), Thing("cross", "orange", 0, 0, 0.18)]
    with pytest.raises(ValueError, match=r"no room for 2 things in 0\.5 by 0\.5 of a picture"):
        arrange(pair, part=(0.5, 0.5))


NO_THINGS = [
    *({name: value} for name in ("x", "y", "radius", "angle") for value in (math.nan, math.inf, 1e308)),
    *({"radius": value} for value in (0.0, -1.0, -0.0)),
    *({"tint": (value, 0.0, 0.0)} for value in (math.nan, -math.inf)),
    {"tint": (0.0, 0.0)},
]


@pytest.mark.parametrize("wrong", NO_THINGS, ids=str)
def test_a_thing_that_cannot_be_drawn_is_a_sentence(wrong):
    right = {"shape": "heart", "color": "red", "x": 0.5, "y": 0.5, "radius": 0.2}
    with pytest.raises(ValueError, match="a thing needs finite numbers"):
        Thing(**right | wrong)
    with pytest.raises(ValueError, match="a thing needs finite numbers"):
        replace(Thing(**right), **wrong)


def test_further_outlines_are_drawn_beside_the_seven():
    rings = {"ring": ring_distance}
    both = Scene((Thing("ring", "red", 0.3, 0.3, 0.2), Thing("star", "blue", 0.7, 0.7, 0.2)))
    picture = render(both, 32, rings)
    assert not torch.equal(picture, render(Scene(both.things[1:]))), "the ring is there"
    middle = render(Scene(both.things[:1]), 64, rings)[:, 19, 19]
    assert torch.equal(middle, torch.ones(3)), "a ring has a hole in its middle"
    for shape in SHAPES:
        scene = Scene((Thing(shape, "red", 0.5, 0.5, 0.2, angle=0.1),))
        assert torch.equal(render(scene, 32, rings), render(scene)), shape
