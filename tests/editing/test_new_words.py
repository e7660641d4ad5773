"New words: what may change and what must not, files that are checked before they are believed, and batches."

import copy
import json
import subprocess
import sys
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from steady import steady
from tiny import tiny_gan, tiny_pipeline
from t2i_learn.core.pipeline import Pipeline
from t2i_learn.editing.new_words import (
    adapter_parameters,
    add_lora,
    add_word,
    linear_layers,
    extend_tokenizer,
    LESSON_COLORS,
    LessonBatches,
    load_lora,
    merge_adapters,
    nearest_distance,
    place_spread,
    ring_lesson,
    save_lora,
    shift_content,
    TEAL,
    teal_lesson,
    WordTraining,
)
from t2i_learn.text.tokenizer import default_tokenizer
from t2i_learn.world.reader import read_scene
from t2i_learn.world.scenes import COLORS, ring_distance, SHAPES

steady(40)

RINGS = {"ring": ring_distance}
FILES = ("adapter_config.json", "adapter_model.safetensors")


def adapted(pipe, rank=2):
    "A copy of its model with a word and a change of low rank, none of them zero."
    model = copy.deepcopy(pipe.model)
    add_word(model, "blicket", "circle")
    add_lora(model, rank, generator=torch.Generator().manual_seed(0))
    for number, parameter in enumerate(adapter_parameters(model).values()):
        generator = torch.Generator().manual_seed(number)
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


@pytest.fixture
def saved(tmp_path):
    "A pipeline and the folder of an adapter that fits it."
    pipe = tiny_pipeline()
    save_lora(adapted(pipe), tmp_path / "blicket", ["blicket"], pipe)
    return pipe, tmp_path / "blicket"


@given(st.text("abcdefghijklmnopqrstuvwxyzäöé", min_size=1, max_size=20))
def test_any_word_becomes_one_token_and_no_other_word_changes(word):
    old = default_tokenizer()
    if len(old.encode(f" {word}")) == 1:
        with pytest.raises(ValueError, match="one token already"):
            extend_tokenizer(old, word)
        return
    new = extend_tokenizer(old, word)
    assert new.encode(f" {word}") == [len(new) - 1] and new.decode([len(new) - 1]) == f" {word}"
    for other in (*SHAPES, *COLORS, "background", "between"):
        if not other.startswith(word):
            assert new.encode(f" {other}") == old.encode(f" {other}"), other


@pytest.mark.parametrize("word", ["", "two words", " ring", "a1", "ring!", "x" * 41, "İnci", None, 3])
def test_what_is_no_word_is_refused(word):
    with pytest.raises(ValueError, match="letters"):
        extend_tokenizer(default_tokenizer(), word)


def test_a_word_begins_as_another_and_joins_the_words_that_are_known():
    pipe = tiny_pipeline()
    model = copy.deepcopy(pipe.model)
    add_word(model, "blicket", "circle")
    captions = ["a red circle on a mint background"]
    wanted = pipe.model.encode(captions).context
    assert torch.allclose(model.encode([captions[0].replace("circle", "blicket")]).context, wanted)
    assert "blicket" in model.config["words"] and "blicket" not in pipe.model.config["words"]
    assert torch.equal(model.encode(captions).context, wanted), "a circle is what it was"
    with pytest.raises(ValueError, match="not one token"):
        add_word(copy.deepcopy(pipe.model), "wug", "blicket")


def test_a_word_with_a_capital_is_known_as_it_is_read():
    model = copy.deepcopy(tiny_pipeline().model)
    add_word(model, "Blicket", "circle")
    assert "blicket" in model.config["words"] and "Blicket" not in model.config["words"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Pipeline(model, "own").request("a blicket", seed=0)
    with pytest.raises(ValueError, match="'3' is not one token"):
        add_word(model, "wug", 3)


def test_two_words_after_each_other_have_a_row_each():
    model = copy.deepcopy(tiny_pipeline().model)
    before = len(model.tokenizer)
    add_word(model, "blicket", "circle")
    add_word(model, "dax", "star")
    table = model.encoder.tokens.merged().weight
    assert len(table) == len(model.tokenizer) > before + 1
    (blicket,), (dax,) = (model.tokenizer.encode(f" {word}") for word in ("blicket", "dax"))
    assert blicket != dax and not torch.equal(table[blicket], table[dax])


def test_lora_lies_on_all_attention_of_its_parts_and_nowhere_else():
    model = copy.deepcopy(tiny_pipeline().model)
    names = linear_layers(model)
    assert {name.split(".")[0] for name in names} == {"encoder", "denoiser"}
    assert all("attn" in name for name in names) and any("cross_attn" in name for name in names)
    add_lora(model, 3)
    changed = {name.rsplit(".", 1)[0] for name in adapter_parameters(model)}
    assert changed == {*names}
    assert {name.split(".")[0] for name in linear_layers(model, ("encoder",))} == {"encoder"}


@pytest.mark.parametrize("rank", [0, -1, 257, 2.0, True, None])
def test_ranks_that_make_no_sense_are_refused(rank):
    with pytest.raises(ValueError, match="rank"):
        add_lora(copy.deepcopy(tiny_pipeline().model), rank)


def test_parts_without_attention_are_refused():
    with pytest.raises(ValueError, match="nowhere"):
        add_lora(copy.deepcopy(tiny_pipeline().model), 2, ("nowhere",))


def test_merging_is_exact_and_leaves_an_ordinary_model():
    pipe = tiny_pipeline()
    beside = adapted(pipe).double()
    inside = copy.deepcopy(beside)
    merge_adapters(inside)
    cond = [m.encode(["a red blicket", "a blue star"]) for m in (beside, inside)]
    y = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    sigma = torch.tensor([0.5, 3.0]).double().view(2, 1, 1, 1)
    with torch.no_grad():
        first, second = (m(y, sigma, c) for m, c in zip((beside, inside), cond))
        plain = pipe.model(y.float(), sigma.float(), pipe.model.encode(["a red star", "a blue star"]))
    assert (first - second).abs().max() < 1e-6
    assert (first - plain).abs().max() > 1e-3, "the change does something"
    assert inside.state_dict().keys() == pipe.model.state_dict().keys()


@pytest.mark.parametrize("method", ["vector", "lora", "all"])
def test_a_method_trains_what_it_says(method):
    pipe = tiny_pipeline()
    start = WordTraining(method, rank=2).prepare(pipe.model, ring_lesson())
    learner = WordTraining(method, rank=2).learner(pipe.model, LessonBatches(ring_lesson(), 2))
    trained = dict(learner.fit(2).model.named_parameters())
    moved = {n for n, p in start.named_parameters() if not torch.equal(p, trained[n])}
    own = {*adapter_parameters(start)}
    assert "encoder.tokens.rows" in moved
    assert moved <= own if method != "all" else moved - own
    fresh = tiny_pipeline().model.state_dict()
    assert all(torch.equal(v, fresh[n]) for n, v in pipe.model.state_dict().items()), (
        "a copy was trained"
    )


def test_a_second_change_is_put_beside_merged_weights():
    pipe = tiny_pipeline()
    model = adapted(pipe)
    with pytest.raises(ValueError, match="merge_adapters first"):
        add_lora(model, 2)
    own = WordTraining(rank=2).prepare(model, ring_lesson()._replace(word="wug"))
    plain = copy.deepcopy(model)
    merge_adapters(plain)
    assert {name.removesuffix(".base") for name in linear_layers(own)} == {*linear_layers(plain)}
    captions = ["a blicket beside a red circle"]
    assert torch.equal(own.encode(captions).context, plain.encode(captions).context)
    merge_adapters(own)
    assert not adapter_parameters(own)


def test_an_adapter_comes_back_from_its_files(saved):
    pipe, folder = saved
    assert sorted(f.name for f in folder.iterdir()) == sorted(FILES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_lora(pipe, folder)
    call = {"prompt": "a red blicket", "seed": 1, "num_inference_steps": 3, "output_type": "pt"}
    assert torch.allclose(loaded(**call).images, Pipeline(adapted(pipe))(**call).images, atol=1e-4)
    assert loaded.sha256 != pipe.sha256 and loaded.name == "tiny + blicket"
    assert "blicket" not in pipe.model.config["words"], "the pipeline that it was given is as it was"
    assert torch.equal(pipe.load_lora(folder)(**call).images, loaded(**call).images)


def test_a_loaded_adapter_is_saved_as_a_whole_model(saved, tmp_path):
    pipe, folder = saved
    loaded = load_lora(pipe, folder)
    loaded.save_pretrained(tmp_path / "whole")
    again = Pipeline.from_pretrained(tmp_path / "whole")
    call = {"prompt": "a blicket", "seed": 1, "num_inference_steps": 2, "output_type": "pt"}
    assert torch.equal(again(**call).images, loaded(**call).images)


def test_a_vector_alone_is_an_adapter_of_rank_0(tmp_path):
    pipe = tiny_pipeline()
    model = WordTraining("vector").prepare(pipe.model, ring_lesson())
    save_lora(model, tmp_path / "ring", ["ring"], pipe)
    facts = json.loads((tmp_path / "ring" / FILES[0]).read_text())
    assert (facts["rank"], facts["parts"], facts["words"]) == (0, [], ["ring"])
    assert "ring" in load_lora(pipe, tmp_path / "ring").model.config["words"]


def test_other_weights_are_warned_of(saved):
    pipe, folder = saved
    other = Pipeline(copy.deepcopy(pipe.model), "other")
    next(iter(other.model.parameters())).data += 1
    with pytest.warns(UserWarning, match="other weights"):
        load_lora(other, folder)


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ("[]", "describes no adapter"),
        ('{"words": "ring", "rank": 2, "parts": ["encoder"]}', "describes no adapter"),
        ('{"words": [], "rank": 2, "parts": ["encoder"]}', "describes no adapter"),
        ('{"words": ["blicket"], "rank": 1e9, "parts": ["encoder"]}', "describes no adapter"),
        ('{"words": ["blicket"], "rank": 2, "parts": [3]}', "describes no adapter"),
        ('{"words": ["a b"], "rank": 2, "parts": ["encoder", "denoiser"]}', "letters"),
        ('{"words": ["star"], "rank": 2, "parts": ["encoder", "denoiser"]}', "one token already"),
        ('{"words": ["blicket"], "rank": 2, "parts": ["os"]}', "attention"),
        ('{"words": ["blicket"], "rank": 2, "parts": ["\\u001b[2J"]}', r"in \\x1b\[2J$"),
        ('{"words": ["blicket"], "rank": 3, "parts": ["encoder", "denoiser"]}', "does not fit"),
        ('{"words": ["blicket", "dax"], "rank": 2, "parts": ["encoder", "denoiser"]}', "does not fit"),
        ("{", "JSON"),
    ],
)
def test_what_an_adapter_says_is_checked(saved, facts, fault):
    pipe, folder = saved
    (folder / FILES[0]).write_text(facts)
    with pytest.raises(ValueError, match=fault), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load_lora(pipe, folder)


@pytest.mark.parametrize("damage", ["missing", "cut", "nan", "integers", "renamed"])
def test_damaged_numbers_are_refused(saved, damage):
    pipe, folder = saved
    file = folder / FILES[1]
    tensors = load_file(file)
    name = next(iter(tensors))
    if damage == "nan":
        tensors[name][0, 0] = torch.nan
    if damage == "integers":
        tensors[name] = tensors[name].long()
    if damage == "renamed":
        tensors["elsewhere"] = tensors.pop(name)
    save_file(tensors, file)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-8])
    if damage == "missing":
        file.unlink()
    with pytest.raises(ValueError):
        load_lora(pipe, folder)


def test_a_folder_that_is_not_there_and_numbers_that_are_none_are_refused(saved, tmp_path):
    pipe, _ = saved
    for nowhere in (tmp_path / "nowhere", "x" * 5000, None):
        with pytest.raises(ValueError, match="no adapter"):
            load_lora(pipe, nowhere)
    model = adapted(pipe)
    adapter_parameters(model)["encoder.tokens.rows"].data[0, 0] = torch.inf
    with pytest.raises(ValueError, match="not finite"):
        save_lora(model, tmp_path / "broken", ["blicket"], pipe)
    assert not (tmp_path / "broken").exists()


def test_an_adapter_of_another_family_does_not_fit(saved):
    _, folder = saved
    with pytest.raises(ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load_lora(tiny_gan(), folder)


def test_lessons_show_what_their_captions_say():
    ring, teal = ring_lesson(), teal_lesson()
    for lesson in (ring, teal):
        assert len(lesson.pictures) == len(lesson.captions) == 4
        assert all(lesson.word in caption for own in lesson.captions for caption in own)
    read = [read_scene(picture, RINGS) for picture in ring.pictures]
    assert [(s.things[0].color, s.things[0].shape) for s in read] == [(c, "ring") for c in LESSON_COLORS]
    for captions, scene in zip(ring.captions, read):
        said = [c.split(" on a ")[1] for c in captions if " on a " in c]
        assert {*said} == {f"{scene.background} background"}
    for scene in map(read_scene, teal.pictures):
        (thing,) = scene.things
        found = torch.tensor(COLORS.get(thing.color, (0.0, 0.0, 0.0))) + torch.tensor(thing.tint)
        assert (found - torch.tensor(TEAL)).norm() < 0.03
    assert not torch.equal(ring_lesson(seed=1).pictures, ring.pictures)


@given(st.integers(0, 2**31))
def test_content_is_moved_whole_and_stays_in_the_picture(seed):
    generator = torch.Generator().manual_seed(seed)
    picture = ring_lesson().pictures[seed % 4]
    moved = shift_content(picture, generator)
    assert torch.equal(moved.flatten(1).sort(1).values, picture.flatten(1).sort(1).values)
    assert torch.equal(moved[:, 0], picture[:, 0]) and torch.equal(moved[:, :, -1], picture[:, :, -1])


def test_content_that_fills_the_picture_stays_where_it_is():
    noise = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(shift_content(noise), noise)


def test_batches_depend_on_their_step_and_seed_alone():
    old = lambda step: (torch.full((3, 3, 32, 32), 0.1 * (step % 5)), ["a star"] * 3)
    one, two = LessonBatches(ring_lesson(), 4, old), LessonBatches(ring_lesson(), 4, old)
    pictures, captions = one(7)
    assert torch.equal(two(7)[0], pictures) and two(7)[1] == captions
    assert len(pictures) == len(captions) == 7 and captions[4:] == ["a star"] * 3
    assert torch.equal(pictures[4:], old(7)[0])
    assert not torch.equal(LessonBatches(ring_lesson(), 4, old, seed=1)(7)[0], pictures)
    assert one.fingerprint == two.fingerprint != LessonBatches(teal_lesson(), 4, old).fingerprint


def test_the_control_has_the_same_pictures_at_other_captions():
    old = lambda step: (torch.zeros(4, 3, 32, 32), ["a star"] * 4)
    plain = LessonBatches(ring_lesson(), 4, old)
    shuffled = LessonBatches(ring_lesson(), 4, old, shuffled=True)
    moved = 0
    for step in range(8):
        assert shuffled(step)[1] == plain(step)[1]
        sums = [sorted(b(step)[0].sum((1, 2, 3)).tolist()) for b in (plain, shuffled)]
        assert sums[0] == pytest.approx(sums[1])
        moved += not torch.equal(shuffled(step)[0], plain(step)[0])
    assert moved >= 7


def test_spread_and_distance_are_what_they_say():
    line = torch.tensor([[0.0, 0.5], [1.0, 0.5]])
    assert place_spread(line) == pytest.approx(0.5)
    pictures = torch.stack([torch.full((3, 4, 4), v) for v in (0.0, 1.0)])
    references = torch.stack([torch.full((3, 4, 4), v) for v in (0.25, 3.0)])
    assert nearest_distance(pictures, references).tolist() == pytest.approx([0.25, 0.75])


def test_to_load_an_adapter_nothing_is_known_of_the_world():
    code = "import sys, t2i_learn.editing.new_words; sys.exit(str([m for m in sys.modules if m.startswith('t2i_learn.world')]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"
