"The world of shapes: scenes, captions, false captions, the shipped prompts, and the desk at which to draw."

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steady import steady
from t2i_learn.world.captions import (
    INVERSE_RELATION, NUMBER_WORDS, RELATION_WORDS, SPLITS, SPLIT_TASKS, CaptionedPictures, changeable_attributes, sample_example, false_caption, held_out_splits,
    in_validation, along_longest_side, load_prompts, read_prompt_file)
from t2i_learn.world.oracle import _MENUS, SceneChoice, check_spec, facts_of_choice, explorer, render_choice, explorer_poster, read_scene, reference_picture
from t2i_learn.world.scenes import (
    RELATION_MARGIN, BACKGROUNDS, COLORS, MIN_GAP, RELATIONS, SHAPES, SIZES, TEXTURES, Scene, Thing, arrange, relation_holds, render,
    signed_distance)

ROOT = Path(__file__).resolve().parent.parent
SETS = ("validation", "test", *SPLITS[1:])

steady(40)

seeds = st.integers(0, 2**31)
places = st.sampled_from([(split, task) for split in SPLITS for task in SPLIT_TASKS[split]])
unit = st.floats(0, 1)
things = st.builds(Thing, st.sampled_from(SHAPES), st.sampled_from(list(COLORS)), unit, unit, st.floats(.02, .5),
                   texture=st.sampled_from(TEXTURES), angle=st.floats(-4, 4))
scenes = st.builds(Scene, st.lists(things, max_size=4).map(tuple), st.sampled_from(list(BACKGROUNDS)))


def example(place, seed):
    split, task = place
    return sample_example(task, split, torch.Generator().manual_seed(seed))


# scenes

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
    assert (averaged - render(scene, 32)).abs().mean() < .02


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
    a, b = Thing("star", "red", x, y, .1), Thing("heart", "red", v, w, .1)
    true = [r for r in RELATIONS if relation_holds(r, a, b)]
    assert len(true) <= 1 and true == [r for r in RELATIONS if relation_holds(INVERSE_RELATION[r], b, a)]
    assert not true or max(abs(x - v), abs(y - w)) >= RELATION_MARGIN


# captions

@given(places, seeds)
def test_examples_are_what_they_say(place, seed):
    e = example(place, seed)
    assert (e.split, e.task) == place and e == example(place, seed)
    assert held_out_splits(e.facts) == ({e.split} if e.split in "abcde" else set())
    assert check_spec(e.spec, e.scene) == (True, "")
    assert json.loads(json.dumps(e.spec)) == e.spec
    words = e.caption.replace(",", "").split()
    assert ("background" in words) == ("bg" in e.spec) and e.spec["exact"]
    assert sum(item["count"] for item in e.spec["include"]) == len(e.scene.things)
    said = {name for name in ("color", "size", "texture") if name in e.spec["include"][0]}
    for item in e.spec["include"]:
        assert any(word.startswith(item["shape"]) for word in words)
        assert all(item[name] in words for name in said)
    if e.task == "count":
        assert NUMBER_WORDS[e.facts.count] in words
    if e.task == "position":
        relation = e.spec["include"][0]["position"][0]
        assert any(w in e.caption for r in (relation, INVERSE_RELATION[relation]) for w in RELATION_WORDS[r])


@given(places, seeds)
def test_captions_with_the_article_that_english_asks_for(place, seed):
    words = example(place, seed).caption.replace(",", "").split()
    for article, word in itertools.pairwise(words):
        if article in ("a", "an"):
            assert (article == "an") == (word[0] in "aeiou"), words


@given(places, seeds)
def test_false_captions_are_false(place, seed):
    e, generator = example(place, seed), torch.Generator().manual_seed(seed)
    for change in changeable_attributes(e.facts):
        caption, spec = false_caption(e, generator, change)
        assert caption != e.caption and spec != e.spec
        ok, reason = check_spec(spec, e.scene)
        assert not ok and reason, f"{change}: {caption!r} is true of a picture of {e.caption!r}"
        assert len(spec["include"]) == len(e.spec["include"])


@given(places, seeds)
def test_a_false_caption_can_be_drawn_at_random(place, seed):
    e = example(place, seed)
    first, second = (false_caption(e, torch.Generator().manual_seed(seed)) for _ in range(2))
    assert first == second and not check_spec(first[1], e.scene)[0]


def test_a_task_that_a_split_does_not_have_is_refused():
    with pytest.raises(ValueError, match="split 'c' has no task 'single'; it has \\('count',\\)"):
        sample_example("single", "c")
    with pytest.raises(ValueError, match="split 'z' has no task"):
        sample_example("single", "z")


def test_training_never_sees_what_is_held_out():
    data = CaptionedPictures(64, seed=3)
    for step in range(12):
        for e in data(step).examples:
            assert e.split == "seen" and not held_out_splits(e.facts) and e.task != "three"
            kinds = {(t.shape, t.color) for t in e.scene.things}
            assert not any((4 * SHAPES.index(s) + list(COLORS).index(c)) % 9 == 0 for s, c in kinds)


@given(st.integers(0, 1000))
def test_a_batch_depends_on_its_number_alone(step):
    one, two = CaptionedPictures(4, seed=1)(step), CaptionedPictures(4, seed=1)(step)
    assert torch.equal(one.pictures, two.pictures) and one.captions == two.captions
    assert one.captions != CaptionedPictures(4, seed=2)(step).captions or not torch.equal(one.pictures, CaptionedPictures(4, seed=2)(step).pictures)


WINDOWS = [(16, 16), (32, 16), (16, 32), (20, 28)]


@given(st.integers(0, 1000), st.sampled_from(WINDOWS))
def test_a_window_shows_all_that_its_caption_speaks_of(step, window):
    tasks = {"single": 1., "color": 1.} | ({} if window in ((16, 16), (20, 28)) else {"two": 1., "position": 1.})
    pictures, _, examples = CaptionedPictures(4, seed=1, weights=tasks, windows=[window])(step)
    assert pictures.shape == (4, 3, window[1], window[0])
    for e in examples:
        for thing in e.scene.things:
            for centre, size in zip((thing.x, thing.y), window):
                assert abs(centre - .5) + thing.radius < size / 64, "nothing is cut off"
        assert e.facts.relation is None or relation_holds(e.facts.relation, *e.scene.things)
        assert along_longest_side(e.facts.relation, (float(window[0]), float(window[1])))


def test_windows_come_in_turn():
    stream = CaptionedPictures(2, weights={"two": 1.}, windows=[(32, 16), (16, 32)])
    assert [tuple(stream(k).pictures.shape[2:]) for k in range(4)] == [(16, 32), (32, 16)] * 2


def test_things_without_room_are_refused():
    pair = [Thing("circle", "blue", 0, 0, .18), Thing("cross", "orange", 0, 0, .18)]
    with pytest.raises(ValueError, match=r"no room for 2 things in 0\.5 by 0\.5 of a picture"):
        arrange(pair, part=(.5, .5))


# the shipped prompts

@pytest.fixture(scope="module")
def prompts():
    return {name: load_prompts(name) for name in SETS}


def test_prompt_sets_are_complete(prompts):
    for name, rows in prompts.items():
        split = "seen" if name in ("validation", "test") else name
        counts = {task: sum(p.task == task for p in rows) for task in {p.task for p in rows}}
        assert counts == dict.fromkeys(SPLIT_TASKS[split], 400 if name == "test" else 100)
        assert {p.split for p in rows} == {split}


def test_validation_and_test_share_no_caption(prompts):
    assert all(in_validation(p.caption) for p in prompts["validation"])
    assert not any(in_validation(p.caption) for p in prompts["test"])


def test_captions_repeat_only_when_there_are_no_more(prompts):
    for rows in prompts.values():
        for task in {p.task for p in rows}:
            captions = [p.caption for p in rows if p.task == task]
            distinct = len(set(captions))
            assert distinct == len(captions) or task == "single"
            assert captions[:distinct] == list(dict.fromkeys(captions))  # each once before any twice


def test_prompts_per_task_are_the_first(prompts):
    few = load_prompts("test", 7)
    assert len(few) == 7 * 8
    assert [p for p in few if p.task == "count"] == [p for p in prompts["test"] if p.task == "count"][:7]


def test_reference_pictures_hold_what_their_captions_say(prompts):
    for rows in prompts.values():
        for p in rows[::25]:
            assert check_spec(p.spec, read_scene(reference_picture(p))) == (True, ""), p.caption


def test_prompts_open_with_datasets(tmp_path, prompts):
    datasets = pytest.importorskip("datasets")
    opened = datasets.load_dataset(str(ROOT / "data"), "prompts", cache_dir=str(tmp_path))
    assert set(opened) == set(SETS)
    for name, rows in opened.items():
        assert rows.column_names == ["image", "caption", "task", "split", "spec"]
        assert rows["caption"][:] == [p.caption for p in prompts[name]]
        image = rows[0]["image"]
        assert (image.format, image.size, image.mode) == ("PNG", (32, 32), "RGB")
        assert json.loads(rows[0]["spec"]) == prompts[name][0].spec


def test_prompts_are_small():
    assert sum(f.stat().st_size for f in (ROOT / "data" / "prompts").iterdir()) < 5_000_000


def test_prompts_are_made_by_their_script():
    "The smallest sets, made again: the same captions, specifications and pictures."
    import runpy
    script = runpy.run_path(str(ROOT / "data" / "make_prompts.py"))
    for name in ("b", "e"):
        made = list(script["rows"](name))
        assert [(r["caption"], json.loads(r["spec"])) for r in made] == [(p.caption, p.spec) for p in load_prompts(name)]
        for row, prompt in zip(made[:5], load_prompts(name)):
            assert torch.equal(reference_picture(prompt._replace(picture=row["image"]["bytes"])), reference_picture(prompt))


def test_damaged_or_missing_prompts_say_what_to_do(tmp_path):
    damaged = tmp_path / "test.parquet"
    shutil.copy(ROOT / "data" / "prompts" / "b.parquet", damaged)
    damaged.write_bytes(damaged.read_bytes()[:2000])
    for path in (damaged, tmp_path / "none.parquet"):
        with pytest.raises(ValueError, match=r"is not a readable prompt set .* make it again with data/make_prompts.py"):
            read_prompt_file(path)


def test_a_table_of_something_else_is_not_a_prompt_set(tmp_path):
    import pyarrow
    import pyarrow.parquet
    pyarrow.parquet.write_table(pyarrow.table({"caption": ["a red heart"]}), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="is not a readable prompt set"):
        read_prompt_file(tmp_path / "other.parquet")


# the desk

choices = st.builds(
    SceneChoice, **{field: st.sampled_from(list(options)) for field, options in _MENUS.items()}, says_background=st.booleans(),
    x=st.floats(.29, .71), y=st.floats(.29, .71), angle=st.floats(-.15, .15), seed=st.integers(0, 99),
    almost=st.just(False), noise=st.just(0.), blur=st.just(0.))


@given(choices)
def test_whatever_is_chosen_is_drawn_said_and_read(choice):
    view = render_choice(choice)
    assert view.ok, (view.caption, view.reason)
    assert view == render_choice(choice)._replace(picture=view.picture)
    false = render_choice(choice._replace(almost=True))
    assert not false.ok and false.caption != view.caption and torch.equal(false.picture, view.picture)


def test_equal_seconds_move_on():
    kinds = facts_of_choice(SceneChoice("two", shape="heart", shape2="heart", color="red", color2="red")).kinds
    assert kinds[0].shape != kinds[1].shape and kinds[0].color != kinds[1].color


def test_controls_redraw_the_desk():
    pytest.importorskip("ipywidgets")
    desk = explorer(SceneChoice("single", x=.4))
    first = desk.page.value
    assert "circle" not in desk.view.caption
    desk.controls["shape"].value = "circle"
    assert "circle" in desk.view.caption and desk.page.value != first
    desk.controls["x"].value = .7
    assert desk.view.reading.things[0].x == pytest.approx(.7, abs=.01)
    desk.controls["almost"].value = True
    assert "The caption does not hold" in desk.page.value and not desk.view.ok


def test_controls_that_a_task_does_not_use_are_hidden():
    pytest.importorskip("ipywidgets")
    desk = explorer(SceneChoice("count"))

    def visible():
        return {field for field, each in desk.controls.items() if each.layout.display != "none"}

    assert "count" in visible() and not visible() & {"relation", "shape2", "x", "texture"}
    desk.controls["task"].value = "position"
    assert {"relation", "shape2", "color2", "seed"} <= visible() and not visible() & {"count", "x"}
    desk.controls["task"].value = "texture"
    assert {"texture", "x", "angle"} <= visible() and not visible() & {"relation", "shape2"}


def test_the_desk_can_be_read_aloud():
    pytest.importorskip("ipywidgets")
    desk = explorer()
    assert all(each.description for each in desk.controls.values())
    assert desk.page.value.count('alt="') == 2 and 'aria-live="polite"' in desk.page.value
    assert "a star left of a heart" in desk.page.value


def test_the_desk_has_a_still_picture():
    pytest.importorskip("ipywidgets")
    bundle = explorer()._repr_mimebundle_()
    assert set(bundle) >= {"image/png", "application/vnd.jupyter.widget-view+json"} and len(bundle["image/png"]) < 40_000
    assert explorer_poster(render_choice(SceneChoice())).width > 200
