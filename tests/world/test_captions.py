"Captions: true of their scenes, false where they should be; what is held out, and the shipped prompts."

import itertools
import json
import shutil
from pathlib import Path

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
    in_validation,
    load_prompts,
    read_prompt_file,
    sample_example,
    SPLIT_TASKS,
    SPLITS,
)
from t2i_learn.world.reader import read_scene
from t2i_learn.world.scenes import COLORS, relation_holds, RELATIONS, SHAPES
from t2i_learn.world.score import check_spec, reference_picture
from t2i_learn.world.tasks import INVERSE_RELATION, NUMBER_WORDS, RELATION_WORDS

ROOT = Path(__file__).resolve().parents[2]
SETS = ("validation", "test", *SPLITS[1:])

steady(40)

seeds = st.integers(0, 2**31)
places = st.sampled_from([(split, task) for split in SPLITS for task in SPLIT_TASKS[split]])


def example(place, seed):
    split, task = place
    return sample_example(task, split, torch.Generator().manual_seed(seed))


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
        assert any(
            w in e.caption for r in (relation, INVERSE_RELATION[relation]) for w in RELATION_WORDS[r]
        )


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
    data = CaptionedScenes(64, seed=3)
    for step in range(12):
        for e in data(step).examples:
            assert e.split == "seen" and not held_out_splits(e.facts) and e.task != "three"
            kinds = {(t.shape, t.color) for t in e.scene.things}
            assert not any((4 * SHAPES.index(s) + list(COLORS).index(c)) % 9 == 0 for s, c in kinds)


@given(st.integers(0, 1000))
def test_a_batch_depends_on_its_number_alone(step):
    one, two = CaptionedScenes(4, seed=1)(step), CaptionedScenes(4, seed=1)(step)
    assert torch.equal(one.pictures, two.pictures) and one.captions == two.captions
    assert one.captions != CaptionedScenes(4, seed=2)(step).captions or not torch.equal(
        one.pictures, CaptionedScenes(4, seed=2)(step).pictures
    )


WINDOWS = [(16, 16), (32, 16), (16, 32), (20, 28)]


@given(st.integers(0, 1000), st.sampled_from(WINDOWS))
def test_a_window_shows_all_that_its_caption_speaks_of(step, window):
    tasks = {"single": 1.0, "color": 1.0} | (
        {} if window in ((16, 16), (20, 28)) else {"two": 1.0, "position": 1.0}
    )
    pictures, _, examples = CaptionedScenes(4, seed=1, task_weights=tasks, windows=[window])(step)
    assert pictures.shape == (4, 3, window[1], window[0])
    for e in examples:
        for thing in e.scene.things:
            for centre, size in zip((thing.x, thing.y), window):
                assert abs(centre - 0.5) + thing.radius < size / 64, "nothing is cut off"
        assert e.facts.relation is None or relation_holds(e.facts.relation, *e.scene.things)
        assert e.facts.relation is None or window[0 if RELATIONS[e.facts.relation][0] else 1] == max(
            window
        )


def test_windows_come_in_turn():
    stream = CaptionedScenes(2, task_weights={"two": 1.0}, windows=[(32, 16), (16, 32)])
    assert [tuple(stream(k).pictures.shape[2:]) for k in range(4)] == [(16, 32), (32, 16)] * 2


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
        assert [(r["caption"], json.loads(r["spec"])) for r in made] == [
            (p.caption, p.spec) for p in load_prompts(name)
        ]
        for row, prompt in zip(made[:5], load_prompts(name)):
            assert torch.equal(
                reference_picture(prompt._replace(picture=row["image"]["bytes"])),
                reference_picture(prompt),
            )


def test_damaged_or_missing_prompts_say_what_to_do(tmp_path):
    damaged = tmp_path / "test.parquet"
    shutil.copy(ROOT / "data" / "prompts" / "b.parquet", damaged)
    damaged.write_bytes(damaged.read_bytes()[:2000])
    for path in (damaged, tmp_path / "none.parquet"):
        with pytest.raises(
            ValueError, match=r"is not a readable prompt set .* make it again with data/make_prompts.py"
        ):
            read_prompt_file(path)


def test_a_table_of_something_else_is_not_a_prompt_set(tmp_path):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"caption": ["a red heart"]}), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="is not a readable prompt set"):
        read_prompt_file(tmp_path / "other.parquet")
