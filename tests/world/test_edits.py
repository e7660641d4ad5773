"Edits of the world: what they change, how they are judged, and the files that hold them."

import json
import random
import runpy
from dataclasses import replace

import pytest
import torch
from places import ROOT

from t2i_learn.core.show import to_image
from t2i_learn.world.captions import held_out_splits
from t2i_learn.world.edits import (
    EDIT_KINDS,
    PLACE_TOLERANCE,
    CallCount,
    copy_pictures,
    count_calls,
    edit_batch,
    edit_mask,
    edit_rates,
    edit_table,
    edit_to_row,
    evaluate_edits,
    judge_edit,
    load_edits,
    paint_edits,
    preservation_error,
    random_edit,
    read_edit_file,
    recast_edit,
)
from t2i_learn.world.grammar import parse_prompt
from t2i_learn.world.reader import read_scene
from t2i_learn.world.scenes import Scene, render
from t2i_learn.world.score import check_spec


MADE = runpy.run_path(str(ROOT / "data" / "make_edits.py"))
distinct_edits, drawn_edits = MADE["distinct_edits"], MADE["drawn_edits"]


def edits_of(kind, count=6, **options):
    return [random_edit(kind, random.Random(f"{kind} {k}"), **options) for k in range(count)]


@pytest.mark.parametrize("kind", EDIT_KINDS)
@pytest.mark.parametrize("side", [32, 64])
def test_the_painter_does_both_and_a_copy_only_preserves(kind, side):
    edits = edits_of(kind)
    painted = evaluate_edits(paint_edits, edits, side)
    copied = evaluate_edits(copy_pictures, edits, side)
    assert all(v.both and not v.reason for v in painted)
    assert all(v.preserved and not v.success and v.outside == 0 for v in copied)


@pytest.mark.parametrize("kind", EDIT_KINDS)
def test_masks_cover_what_changes_and_little_else(kind):
    for edit in edits_of(kind):
        mask = edit_mask(edit, 64)
        changed = (render(edit.source, 64) - render(edit.target, 64)).abs().amax(0, keepdim=True) > 1e-6
        assert changed.any() and not (changed & ~mask).any()
        assert mask.float().mean() < (1 if kind == "background" else 0.5)


@pytest.mark.parametrize("kind", EDIT_KINDS)
def test_one_thing_that_moved_is_noticed(kind):
    "Unless it is the one that is to go."
    for edit in edits_of(kind, 3):
        keep = 1 - edit.index if kind == "remove" else 0
        thing = edit.source.things[keep]
        away = replace(thing, x=thing.x + 1.2 * PLACE_TOLERANCE)
        after = tuple(away if t is thing else t for t in edit.target.things)
        if thing in edit.target.things:
            assert preservation_error(edit, replace(edit.target, things=after))
        assert not preservation_error(edit, edit.target)


def test_other_things_and_backgrounds_are_noticed():
    edit = edits_of("color", 1)[0]
    scene = edit.target
    assert "background" in preservation_error(
        edit, replace(scene, background="mint" if scene.background != "mint" else "sky")
    )
    assert "not as it was" in preservation_error(edit, replace(scene, things=scene.things[:1]))
    more = (*scene.things, replace(scene.things[0], x=0.5, y=0.5, shape="unknown"))
    assert "3 things instead of 2" in preservation_error(edit, replace(scene, things=more))


def test_a_resized_or_reshaped_thing_keeps_its_other_attributes():
    for kind, field, other in (
        ("color", "shape", "cross"),
        ("shape", "color", "pink"),
        ("size", "color", "pink"),
    ):
        edit = edits_of(kind, 1)[0]
        thing = replace(edit.target.things[edit.index], **{field: other})
        things = list(edit.target.things)
        things[edit.index] = thing
        if getattr(edit.source.things[edit.index], field) != other:
            assert preservation_error(edit, replace(edit.target, things=tuple(things)))


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        *((kind, count) for kind in ("color", "shape", "background") for count in (1, 2, 3)),
        ("remove", 2),  # what is left must have a caption
        ("remove", 3),
    ],
)
def test_scenes_of_one_to_three_things(kind, count):
    edit = random_edit(kind, random.Random(4), num_things=count)
    assert len(edit.source.things) == count and judge_edit(edit, render(edit.target)).both


@pytest.mark.parametrize(("name", "count"), [("choose", 20), ("test-r", 50)])
def test_the_sets_that_ship(name, count):
    edits = load_edits(name)
    assert [e.kind for e in edits] == [kind for kind in EDIT_KINDS for _ in range(count)]
    assert len({(e.caption, e.new_caption) for e in edits}) == len(edits)
    several = [e for e in edits if len(e.source.things) > 1]
    assert len(several) >= len(edits) * 2 / 3 and len({e.noise_seed for e in edits}) == len(edits)
    for edit in edits:
        assert check_spec(parse_prompt(edit.caption), edit.source)[0]
        assert check_spec(edit.spec, edit.target)[0] and not check_spec(edit.spec, edit.source)[0]


def test_the_sets_share_no_pair_and_are_made_again_the_same():
    choose, test = load_edits("choose"), load_edits("test-r")
    assert not {(e.caption, e.new_caption) for e in choose} & {(e.caption, e.new_caption) for e in test}
    again = distinct_edits("choose", "color", 20)
    assert [edit_to_row(e) for e in again] == [edit_to_row(e) for e in choose[:20]]
    assert len(load_edits("choose", 3)) == 18


def test_nothing_that_was_kept_from_training_is_named():
    from t2i_learn.world.tasks import Facts, ThingKind

    for edit in load_edits("choose"):
        for thing in (*edit.source.things, *edit.target.things):
            kind = ThingKind(thing.shape, thing.color)
            assert not held_out_splits(Facts("color", (kind,), "{a}"))


def test_drawn_pictures_are_recast():
    "A painter stands in for the model: it draws every caption right, elsewhere."

    class Painter:
        name = "a painter"

        def __call__(self, captions, seed):
            rng = random.Random(len(captions))
            scenes = [by_caption[caption].source for caption in captions]
            moved = [
                replace(s, things=tuple(replace(t, x=t.x + 0.01 * rng.random()) for t in s.things))
                for s in scenes
            ]
            return type("Drawn", (), {"images": [to_image(render(s)) for s in moved]})

    for kind in EDIT_KINDS:
        by_caption = {e.caption: e for e in distinct_edits("test-m", kind, 6)}
        for edit in drawn_edits(Painter(), "test-m", kind, 3):
            assert edit.picture and check_spec(parse_prompt(edit.caption), edit.source)[0]
            assert judge_edit(edit, render(edit.target)).both
            assert judge_edit(edit, edit.original()).preserved


def test_a_wrong_picture_is_not_recast():
    edit = edits_of("color", 1)[0]
    assert recast_edit(edit, Scene(edit.source.things[:1], edit.source.background)) is None
    assert recast_edit(edit, read_scene(torch.ones(3, 32, 32))) is None


def test_damaged_files_are_a_sentence(tmp_path):
    path = tmp_path / "edits.json"
    for text in ("[1]", '[{"kind": "color"}]', "{", "[null]"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"edits|damaged"):
            read_edit_file(path)
    row = edit_to_row(edits_of("add", 1)[0])
    path.write_text(json.dumps([row]), encoding="utf-8")
    assert [edit_to_row(e) for e in read_edit_file(path)] == [row]


def test_calls_are_counted_while_asked_and_not_after():
    network = torch.nn.Linear(2, 2)
    with count_calls(network) as count:
        network(torch.zeros(5, 2))
        network(torch.zeros(2, 2))
    network(torch.zeros(9, 2))
    assert count.rows == 7 and CallCount().rows == 0


def test_the_table_names_methods_kinds_and_differences():
    edits = [e for kind in ("color", "add") for e in edits_of(kind, 3)]
    results = {
        "copy": evaluate_edits(copy_pictures, edits),
        "painter": evaluate_edits(paint_edits, edits),
    }
    rates = edit_rates(edits, results["painter"])
    assert list(rates) == ["color", "add", "all"] and rates["all"]["both"].rate == 1
    head, _, first, second = edit_table(edits, results, {"copy": 0}, baseline="copy").splitlines()
    assert "both, less copy" in head and "color" in head and "size" not in head
    assert first.startswith("| copy | 0 |") and "+1.00 (+1.00 to +1.00)" in second


def test_a_batch_holds_what_methods_may_use():
    edits = edits_of("shape", 2)
    batch = edit_batch(edits, 64)
    assert batch.pictures.shape == (2, 3, 64, 64) and batch.masks.shape == (2, 1, 64, 64)
    assert batch.masks.dtype == torch.bool and batch.seeds == [e.noise_seed for e in edits]
