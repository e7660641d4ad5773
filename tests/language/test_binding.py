"Binding: what scenes and captions hold, controls that are exact, and folds that share nothing."

from itertools import product

import pytest
import torch

from t2i_learn.core.tensors import seeded_rng
from t2i_learn.language.binding import (
    binding_config,
    binding_differences,
    binding_report,
    BindingKnobs,
    BindingStream,
    caption_things,
    combination_fold,
    fit_probe,
    fit_text_map,
    make_fit_scenes,
    make_swap_test,
    pair_targets,
    probe_swap_accuracy,
    render_colored_scenes,
    STUDY_MODEL_CONFIG,
    sum_of_words,
    swap_accuracy,
    without_held_out,
)
from t2i_learn.language.contrastive import as_pictures, ContrastiveModel
from t2i_learn.world.captions import held_out_splits
from t2i_learn.world.reader import read_scene
from t2i_learn.world.scenes import COLORS, SHAPES
from t2i_learn.world.tasks import Facts, ThingKind


def in_split_a(shape, color):
    kind = ThingKind(SHAPES[shape], [*COLORS][color])
    return "a" in held_out_splits(Facts("color", (kind,), ""))


@pytest.fixture(scope="module")
def two():
    return render_colored_scenes(80, 2, seed=1)


@pytest.mark.parametrize("num_things", [2, 3, 4])
def test_training_shows_no_held_out_combination_and_no_exchange_leads_to_one(num_things):
    scenes = render_colored_scenes(25, num_things, seed=2)
    for row, (shapes, colors) in enumerate(zip(scenes.shapes.tolist(), scenes.colors.tolist())):
        assert not any(in_split_a(*pair) for pair in product(shapes, colors))
        things = read_scene(as_pictures(scenes.pictures[row])).things
        assert sorted((t.shape, t.color) for t in things) == sorted(
            (SHAPES[s], [*COLORS][c]) for s, c in zip(shapes, colors)
        )
        largest = max(things, key=lambda t: t.radius)
        assert largest.shape == SHAPES[shapes[0]], "the first thing is the larger one"


def test_the_held_out_test_holds_a_combination_that_its_swap_does_not():
    test = make_swap_test(30, held_out=True)
    for shapes, colors in zip(test.scenes.shapes.tolist(), test.scenes.colors.tolist()):
        assert any(map(in_split_a, shapes, colors)) and not any(map(in_split_a, shapes, colors[::-1]))


def test_a_bag_of_words_is_exactly_at_chance():
    model = ContrastiveModel()
    for held_out in (False, True):
        test = make_swap_test(60, held_out=held_out)
        table = torch.randn(len(model.tokenizer), 32)
        true, swapped = (
            sum_of_words(texts, model.tokenizer, table) for texts in (test.captions, test.swapped)
        )
        assert torch.equal(true, swapped)
        pictures = torch.randn(60, 32)
        assert swap_accuracy((pictures * true).sum(1), (pictures * swapped).sum(1)) == 0.5
        assert not any(a == b for a, b in zip(test.captions, test.swapped))


def test_captions_say_what_the_knobs_want(two):
    salient = BindingStream(two, BindingKnobs(both=0.0, colors=1.0, salient=True))(0)
    assert {*salient.captions} <= {caption_things(two, row, [0]) for row in range(80)}
    any_thing = BindingStream(two, BindingKnobs(both=0.0, colors=1.0))
    captions = {caption for step in range(5) for caption in any_thing(step).captions}
    assert captions & {caption_things(two, row, [1]) for row in range(80)}
    bare = BindingStream(two, BindingKnobs(both=1.0, colors=0.0, negatives=1.0))(0)
    assert bare.false_captions == [] and all(len(caption.split()) == 5 for caption in bare.captions)
    full = BindingStream(two, BindingKnobs(both=1.0, colors=1.0, negatives=1.0))(0)
    assert len(full.false_captions) == len(full.captions) == 64
    for true, false in zip(full.captions, full.false_captions):
        assert true != false and sorted(true.split()) == sorted(false.split())


def test_a_combination_and_its_swap_lie_in_one_fold(two):
    swapped = two._replace(colors=two.colors.flip(1))
    turned = two._replace(colors=two.colors.flip(1), shapes=two.shapes.flip(1))
    assert torch.equal(combination_fold(two), combination_fold(swapped))
    assert torch.equal(combination_fold(two), combination_fold(turned))


@pytest.fixture(scope="module")
def fit_scenes():
    return make_fit_scenes(1)


def test_the_fit_set_shares_no_combination_with_its_test_and_gives_nothing_away(fit_scenes):
    scenes = fit_scenes
    assert combination_fold(scenes).all() and len(scenes.pictures) == 756
    facts = pair_targets(scenes.shapes, scenes.colors)
    assert facts.sum(0).unique().tolist() == [24.0], "every pair is as frequent as any other"
    assert torch.equal(facts[::2], pair_targets(scenes.shapes, scenes.colors.flip(1))[1::2])
    trained = without_held_out(scenes)
    for row, (shapes, colors) in enumerate(zip(scenes.shapes.tolist(), scenes.colors.tolist())):
        assert trained[row] == (not any(in_split_a(*pair) for pair in product(shapes, colors)))
    assert 0.4 < trained.float().mean() < 0.8
    for held_out in (False, True):
        test = make_swap_test(40, held_out=held_out).scenes
        assert without_held_out(test).float().mean() == 1 - held_out
        assert 0.2 < combination_fold(test).float().mean() < 0.8


def test_a_bag_of_shapes_and_colours_learns_nothing_from_the_fit_set(fit_scenes):
    bag_of = lambda pairs: torch.cat([pairs.unflatten(1, (7, 9)).sum(k) for k in (1, 2)], 1).double()
    facts = pair_targets(fit_scenes.shapes, fit_scenes.colors)
    probe = fit_probe(bag_of(facts), facts)
    for held_out in (False, True):
        test = make_swap_test(40, held_out=held_out).scenes
        true = pair_targets(test.shapes, test.colors)
        found = torch.nn.functional.pad(bag_of(true), (0, 1), value=1.0) @ probe
        swapped = pair_targets(test.shapes, test.colors.flip(1))
        assert (found * (true - swapped)).sum(1).abs().max() < 1e-9, "every picture is a tie"


def test_a_report_refuses_to_fit_on_what_it_tests(two):
    with seeded_rng(0):
        model = ContrastiveModel(STUDY_MODEL_CONFIG).eval().requires_grad_(False)
    with pytest.raises(ValueError, match="make_fit_scenes"):
        binding_report(model, two, {"trained": make_swap_test(20)})


def test_a_probe_reads_what_is_there_and_nothing_else(two):
    targets = pair_targets(two.shapes, two.colors)
    assert targets.sum(1).tolist() == [2.0] * 80
    probe = fit_probe(targets, targets, 1e-6)
    assert probe_swap_accuracy(probe, targets, two) == 1.0
    alike = torch.ones(80, 4)
    assert (
        probe_swap_accuracy(fit_probe(alike, pair_targets(two.shapes, two.colors.flip(1))), alike, two)
        < 1
    )


def test_a_linear_map_repairs_a_rotation_and_finds_nothing_in_a_bag():
    generator = torch.Generator().manual_seed(0)
    normalize = torch.nn.functional.normalize
    scenes = render_colored_scenes(400, 2, seed=4, side=4)
    table = normalize(torch.randn(63, 80, generator=generator), dim=1)
    turn = torch.linalg.qr(torch.randn(80, 80, generator=generator)).Q
    seen, swapped = (
        normalize(pair_targets(scenes.shapes, colors) @ table, dim=1)
        for colors in (scenes.colors, scenes.colors.flip(1))
    )
    fold = combination_fold(scenes)
    text_map = fit_text_map(seen[fold], (seen @ turn)[fold], (swapped @ turn)[fold])
    true, false = ((seen * normalize(part @ turn @ text_map, dim=1)).sum(1) for part in (seen, swapped))
    assert swap_accuracy(true[~fold], false[~fold]) > 0.95
    bag = normalize(pair_targets(scenes.shapes, scenes.colors).unflatten(1, (7, 9)).sum(2), dim=1)
    text_map = fit_text_map(bag, bag, bag, steps=10)
    assert swap_accuracy((bag @ text_map).sum(1), (bag @ text_map).sum(1)) == 0.5


def test_a_report_leaves_the_model_as_it_was(fit_scenes):
    with seeded_rng(0):
        model = ContrastiveModel(STUDY_MODEL_CONFIG).eval().requires_grad_(False)
    before = [p.clone() for p in model.parameters()]
    report = binding_report(model, fit_scenes, {"trained": make_swap_test(20)})
    assert [*report] == [
        "trained",
        *(f"trained, {what}" for what in ("picture probe", "text probe", "mapped")),
    ]
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters()))


def test_differences_are_those_of_rows_and_columns():
    rows, columns = binding_differences(torch.tensor([[5.0, 1.0], [2.0, 7.0]]))
    assert rows.tolist() == [4.0, 5.0] and columns.tolist() == [3.0, 6.0]


def test_a_cell_is_trained_with_the_batch_of_its_knobs(two):
    config = binding_config(two, BindingKnobs(batch_size=16), steps=4)
    assert config.steps == 4 and len(config.data(0)(0).captions) == 16
