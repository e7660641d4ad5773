"The oracle's bars: what it must pass, and what it must never let through."

import itertools
import json

import numpy as np
import pytest
import torch

from t2i_learn.world.captions import TASKS, Prompt, changeable_attributes, sample_example, false_caption
from t2i_learn.world.oracle import (
    UNKNOWN, gaussian_blur, chance_rates, check_spec, connected_components, fill_holes, mean_rate, relation_holds_leniently, estimate_rate, read_scene, redraw_scene, score_report, score_prompts, group_rates)
from t2i_learn.world.scenes import BACKGROUNDS, COLORS, RELATIONS, SHAPES, SIZES, TEXTURES, Scene, Thing, render

SCENES = 200  # a task


@pytest.fixture(scope="module")
def examples():
    generator = torch.Generator().manual_seed(0)
    return {task: [sample_example(task, "e" if task == "three" else "seen", generator) for _ in range(SCENES)] for task in TASKS}


def noise(picture, sd, seed=0):
    return picture + sd * torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))


def passing(examples, draw_picture):
    "The share of scenes that pass, by task."
    return {task: np.mean([check_spec(e.spec, read_scene(draw_picture(e, i)))[0] for i, e in enumerate(group)])
            for task, group in examples.items()}


@pytest.mark.parametrize("side", [32, 64])
def test_clean_renders_pass(examples, side):
    rates = passing(examples, lambda e, i: render(e.scene, side))
    assert min(rates.values()) >= .99, rates


def test_renders_with_noise_pass(examples):
    rates = passing(examples, lambda e, i: noise(render(e.scene), .1, i))
    assert min(rates.values()) >= .97, rates


def test_blurred_renders_pass(examples):
    rates = passing(examples, lambda e, i: gaussian_blur(render(e.scene), .8))
    assert min(rates.values()) >= .97, rates


def test_the_flaws_of_a_small_model_are_forgiven(examples):
    "A little blur, noise and a shift of all colours at once."
    def draw_picture(e, i):
        shift = torch.tensor([.03, -.03, .03]).roll(i)[:, None, None]
        return noise(gaussian_blur(render(e.scene), .4), .03, i) + shift
    rates = passing({task: group[:60] for task, group in examples.items()}, draw_picture)
    assert min(rates.values()) >= .95, rates


def test_near_misses_never_pass(examples):
    generator = torch.Generator().manual_seed(1)
    tried = 0
    for e in itertools.chain.from_iterable(group[:30] for group in examples.values()):
        scene = read_scene(render(e.scene))
        for change in changeable_attributes(e.facts):
            caption, spec = false_caption(e, generator, change)
            assert not check_spec(spec, scene)[0], f"{caption!r} passed for a picture of {e.caption!r}"
            tried += 1
    assert tried >= 480


def test_blank_and_noise_pictures_fail(examples):
    generator = torch.Generator().manual_seed(2)
    grains = [torch.randn(3, 32, 32, generator=generator) * scale for scale in (.1, .5, 1., 3.) for _ in range(10)]
    smooth = [gaussian_blur(2 * g, sd) * sd for g in grains[20:30] for sd in (1., 2., 4.)]
    blanks = [torch.tensor(rgb)[:, None, None].expand(3, 32, 32) * 2 - 1 for rgb in (*BACKGROUNDS.values(), *COLORS.values())]
    scenes = [read_scene(p) for p in (*grains, *smooth, *blanks)]
    for task, group in examples.items():
        passed = [check_spec(e.spec, scene)[0] for e, scene in itertools.product(group[:20], scenes)]
        assert np.mean(passed) < .03, task
    assert not any(check_spec(e.spec, read_scene(p))[0] for e in examples["single"][:20] for p in blanks[:3])


def test_pictures_that_are_not_finite_fail(examples):
    for bad in (torch.full((3, 32, 32), torch.nan), torch.full((3, 64, 64), torch.inf)):
        assert not any(check_spec(group[0].spec, read_scene(bad))[0] for group in examples.values())


def test_one_thing_more_or_less_fails(examples):
    for e in (*examples["two"][:40], *examples["count"][:40]):
        things = e.scene.things
        fewer = Scene(things[1:], e.scene.background)
        assert not check_spec(e.spec, read_scene(render(fewer)))[0]
        spots = [(x, y) for x, y in itertools.product((.15, .5, .85), repeat=2)
                 if all(np.hypot(x - t.x, y - t.y) > t.radius + .2 for t in things)]
        for x, y in spots[:1]:
            more = Scene((*things, Thing("circle", things[0].color, x, y, .1, "small")), e.scene.background)
            assert not check_spec(e.spec, read_scene(render(more)))[0]


def blot(inside, radius=.2, side=32, color="blue"):
    "A picture of whatever covers the points (u, v) where `inside` holds, antialiased, on white."
    v, u = (np.mgrid[:side * 8, :side * 8] + .5) / (side * 8)
    share = inside((u - .51) / radius, (v - .49) / radius).reshape(side, 8, side, 8).mean((1, 3))
    return torch.from_numpy(1 - share[None] * (1 - np.array(COLORS[color]))[:, None, None]).float() * 2 - 1


BLOTS = {
    "half disc": lambda u, v: (np.hypot(u, v) < 1) & (v < 0),
    "oval": lambda u, v: np.hypot(u, 1.5 * v) < 1,
    "bar": lambda u, v: (abs(u) < 1) & (abs(v) < .4),
    "bitten disc": lambda u, v: (np.hypot(u, v) < 1) & (np.hypot(u - .7, v) > .5),
    "two discs": lambda u, v: np.hypot(abs(u) - .6, v) < .7,
    "broken ring": lambda u, v: (abs(np.hypot(u, v) - .8) < .2) & (v < .3),
    "corner": lambda u, v: (abs(u) < .8) & (abs(v) < .8) & ((u < 0) | (v < 0)),
    "arrow": lambda u, v: ((abs(v) < .25) & (u < .1)) | ((u > 0) & (abs(v) < .9 - u)),
    "disc with a blob": lambda u, v: (np.hypot(u, v) < .8) | (np.hypot(u - .8, v - .5) < .35),
}


@pytest.mark.parametrize("name", BLOTS)
@pytest.mark.parametrize("radius", [.18, .24])
def test_what_is_not_a_shape_is_unknown(name, radius):
    things = read_scene(blot(BLOTS[name], radius)).things
    assert [t.shape for t in things] == [UNKNOWN]


def test_a_thing_of_two_colours_is_unknown():
    red, blue = (render(Scene((Thing("circle", c, .5, .5, .2),))) for c in ("red", "blue"))
    red[:, :, 16:] = blue[:, :, 16:]
    assert [t.shape for t in read_scene(red).things] == [UNKNOWN]


def test_things_that_overlap_are_unknown():
    scene = Scene((Thing("square", "red", .4, .5, .17), Thing("heart", "blue", .62, .5, .17)))
    assert UNKNOWN in {t.shape for t in read_scene(render(scene)).things}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_attribute_is_read(shape):
    for color, (size, band), background in itertools.product(COLORS, SIZES.items(), BACKGROUNDS):
        thing = Thing(shape, color, .47, .53, sum(band) / 2, size, angle=.1)
        scene = read_scene(render(Scene((thing,), background)))
        seen, = scene.things
        assert (seen.shape, seen.color, seen.size, seen.texture) == (shape, color, size, "solid")
        assert scene.background == background
        assert abs(seen.x - thing.x) < .01 and abs(seen.y - thing.y) < .01
        assert abs(seen.radius / thing.radius - 1) < .04


@pytest.mark.parametrize("texture", TEXTURES)
def test_textures_are_read(texture):
    for shape, color in itertools.product(SHAPES, COLORS):
        thing = Thing(shape, color, .5, .48, .24, "large", texture, -.12)
        assert [(t.shape, t.color, t.texture) for t in read_scene(render(Scene((thing,), "cream"))).things] == [(shape, color, texture)]


def test_reading_what_was_redrawn_changes_nothing(examples):
    for group in examples.values():
        for e in group[:10]:
            first = read_scene(render(e.scene))
            second = read_scene(redraw_scene(first))
            assert [(t.shape, t.color, t.size) for t in first.things] == [(t.shape, t.color, t.size) for t in second.things]


def test_check_follows_the_specification():
    a, b = Thing("star", "red", .2, .5, .12, "small"), Thing("heart", "blue", .8, .5, .12, "small")
    scene = Scene((a, b), "mint")
    star, heart = {"shape": "star", "count": 1}, {"shape": "heart", "count": 1}
    assert check_spec({"include": [star]}, scene) == (True, "")
    assert check_spec({"include": [star], "exact": True}, scene) == (False, "1 more than the caption says")
    assert check_spec({"include": [star, heart], "exact": True, "bg": "mint"}, scene)[0]
    assert check_spec({"include": [star, heart], "bg": "sky"}, scene) == (False, "mint instead of sky background")
    assert check_spec({"include": [star], "exclude": [{"color": "blue"}]}, scene) == (False, "should not be there: blue")
    assert check_spec({"include": [{**star, "position": ["left of", 1]}, heart]}, scene)[0]
    assert check_spec({"include": [{**star, "position": ["right of", 1]}, heart]}, scene) == (False, "not right of the heart: star")
    assert check_spec({"include": [{**star, "count": 2}]}, scene) == (False, "1 instead of 2: star")
    stranger = Scene((a, Thing(UNKNOWN, "red", .7, .7, .1)))
    assert check_spec({"include": [star]}, stranger)[0] and not check_spec({"include": [star], "exact": True}, stranger)[0]


def test_relations_exclude_each_other():
    for x, y in np.random.default_rng(0).uniform(size=(500, 2)):
        a, b = Thing("star", "red", .5, .5, .1), Thing("heart", "red", x, y, .1)
        assert sum(relation_holds_leniently(relation, a, b) for relation in RELATIONS) <= 1


def test_components_are_those_of_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(0)
    for density, diagonal in itertools.product((.3, .5, .6), (False, True)):
        mask = rng.random((40, 40)) < density
        wanted, count = ndimage.label(mask, np.ones((3, 3)) if diagonal else None)
        ours = connected_components(mask, diagonal)
        assert ours.max() == count and len({*zip(ours.ravel(), wanted.ravel())}) == count + 1
        assert (fill_holes(mask) == ndimage.binary_fill_holes(mask)).all()


def test_a_picture_of_another_shape_is_refused():
    for shape in ((1, 32, 32), (32, 32), (2, 3, 32, 32), (3, 16, 16)):
        with pytest.raises(ValueError, match=r"a picture is \(3, H, W\) with at least 32 pixels"):
            read_scene(torch.zeros(shape))


def prompts_of(examples, n=6):
    return [Prompt(e.task, e.split, e.caption, e.spec, b"") for group in examples.values() for e in group[:n]]


def test_scores_are_counted_by_split_and_task(examples):
    prompts = prompts_of(examples)
    scenes = [e.scene for group in examples.values() for e in group[:6]]

    def draw_pictures(captions, first):
        assert captions == [p.caption for p in prompts[first:first + len(captions)]]
        blank = torch.ones(3, 32, 32)
        return torch.stack([blank if p.task == "count" else render(s) for p, s in zip(prompts, scenes)][first:first + len(captions)])

    rates = score_prompts(draw_pictures, prompts, batch_size=7)
    assert set(rates) == {"seen", "e"} and set(rates["e"]) == {"three"}
    assert {task: r.rate for task, r in rates["seen"].items()} == {task: float(task != "count") for task in TASKS[:-1]}
    assert mean_rate(rates["seen"]).rate == pytest.approx(5 / 6) and mean_rate(rates["e"]).rate == 1
    row = score_report("test", 20, rates)
    assert json.loads(json.dumps(row)) == row
    assert (row["model"], row["steps"], row["prompts_per_task"]) == ("test", 20, 6)
    assert set(row["seen"]) == {*TASKS[:-1], "mean"} and row["held_out"] == {"e": {"three": 1., "mean": 1.}}
    assert row["standard_error"]["seen"]["mean"] == pytest.approx(mean_rate(rates["seen"]).standard_error, abs=1e-4)


def test_a_model_that_returns_too_few_pictures_is_an_error(examples):
    with pytest.raises(ValueError, match="shorter"):
        score_prompts(lambda captions, first: torch.zeros(1, 3, 32, 32), prompts_of(examples), 4)


def test_standard_errors_are_those_of_a_share():
    assert estimate_rate([True] * 540 + [False] * 60).standard_error == pytest.approx(.0123, abs=1e-4)
    assert 0 < estimate_rate([True] * 100).standard_error < .02
    assert group_rates([], []) == {}


def test_chance_is_low():
    from t2i_learn.world.captions import load_prompts
    by_chance = chance_rates(load_prompts("validation", 25), 25)
    assert mean_rate(by_chance["noise"]["seen"]).rate < .03 and mean_rate(by_chance["shuffled"]["seen"]).rate < .1
