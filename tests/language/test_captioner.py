"The captioner: what it should write, which pictures it learns from, and its decoder beside torch's own."

import random

import pytest
import torch
from torch import nn

from t2i_learn.core.tensors import seeded_rng
from t2i_learn.language.captioner import (
    CAPTIONER_MODEL_CONFIG,
    CAPTIONER_ROUNDS,
    CAPTIONER_TASKS,
    STYLES,
    CanonicalCaptions,
    CaptionDecoder,
    Captioner,
    CaptionerConfig,
    CaptionerEncoder,
    canonical_caption,
    canonical_spec,
    captioner_loss,
    degrade_pictures,
    hide_words,
    mixed_scene,
    random_colors,
    scene_is_held_out,
    spec_to_caption,
    tiny_captioner_config,
)
from t2i_learn.world.captions import SPLIT_TASKS, sample_example
from t2i_learn.world.grammar import parse_prompt
from t2i_learn.world.scenes import Scene, Thing
from t2i_learn.world.score import check_spec


@pytest.fixture(scope="module")
def model():
    "A small captioner with random weights."
    with seeded_rng(0):
        return Captioner(tiny_captioner_config()).eval()


@pytest.fixture(scope="module")
def batch():
    "Pictures with canonical captions."
    return CanonicalCaptions(24, seed=1, task_weights=CAPTIONER_TASKS)(0)


def pair(x, y, shape="circle", color="red", **more):
    "A thing, and a blue square in the middle."
    return Scene((Thing(shape, color, x, y, 0.13, **more), Thing("square", "blue", 0.5, 0.5, 0.13)))


@pytest.mark.parametrize(
    ("scene", "full", "short"),
    [
        (pair(0.1, 0.5), "a red circle left of a blue square", "a blue square and a red circle"),
        (pair(0.9, 0.5), "a blue square left of a red circle", "a blue square and a red circle"),
        (pair(0.5, 0.9), "a blue square above a red circle", "a blue square and a red circle"),
        (pair(0.8, 0.8), "a blue square and a red circle", "a blue square and a red circle"),
        (pair(0.8, 0.8, "square", "blue"), "two blue squares", "two blue squares"),
        (
            pair(0.1, 0.5, size="large", texture="hollow"),
            "a large hollow red circle left of a blue square",
            "a blue square and a red circle",
        ),
        (
            pair(0.8, 0.8, "square", "blue", size="small"),
            "a blue square and a small blue square",
            "two blue squares",
        ),
    ],
)
def test_the_canonical_caption_of_a_scene(scene, full, short):
    assert canonical_caption(scene) == f"{full} on a white background"
    assert canonical_caption(scene, "short") == short
    assert canonical_caption(Scene(scene.things[::-1])) == canonical_caption(scene)


def test_an_unknown_style_is_an_error():
    with pytest.raises(ValueError, match="no style 'long'"):
        canonical_spec(pair(0.1, 0.5), "long")


@pytest.mark.parametrize("style", STYLES)
def test_canonical_captions_are_read_and_hold(style):
    for seed in range(100):
        scene = mixed_scene(random.Random(seed))
        spec = canonical_spec(scene, style)
        assert parse_prompt(spec_to_caption(spec)) == spec
        assert check_spec(spec, scene) == (True, "")


@pytest.mark.parametrize("split", ["a", "b", "c", "d"])
def test_held_out_scenes_are_recognised(split):
    generator = torch.Generator().manual_seed(0)
    for task in SPLIT_TASKS[split]:
        for _ in range(5):
            assert scene_is_held_out(sample_example(task, split, generator).scene)


def test_nothing_held_out_is_shown_and_a_batch_is_always_the_same(batch):
    stream = CanonicalCaptions(24, seed=1, task_weights=CAPTIONER_TASKS)
    again = stream(0)
    assert torch.equal(batch.pictures, again.pictures) and batch.captions == again.captions
    assert stream(1).captions != again.captions
    scenes = [scene for step in range(4) for scene in stream(step).scenes]
    assert not any(map(scene_is_held_out, scenes))
    assert {len(scene.things) for scene in scenes} == {1, 2, 3, 4, 5}
    assert batch.styles == [*STYLES] * 12


def test_what_is_degraded_depends_on_the_generator_alone(batch):
    first, again, other = (
        degrade_pictures(batch.pictures, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    clean = (first == batch.pictures).flatten(1).all(1)
    assert 0 < clean.sum() < len(clean)
    foreign = random_colors(batch.pictures, torch.Generator().manual_seed(0))
    assert foreign.shape == batch.pictures.shape and foreign.abs().max() <= 1


def test_words_are_hidden_and_the_style_never():
    tokens = torch.arange(3, 3003).view(300, 10)
    hidden = hide_words(tokens, torch.Generator().manual_seed(0), 0.25)
    assert torch.equal(hidden[:, 0], tokens[:, 0])
    assert ((hidden == tokens) | (hidden == 0)).all()
    assert abs((hidden[:, 1:] == 0).float().mean() - 0.25) < 0.03
    assert torch.equal(hide_words(tokens, rate=0.0), tokens)


def as_torch_decoder(decoder):
    "PyTorch's own decoder with a copy of the weights."
    width = decoder.tokens.embedding_dim
    heads = decoder.blocks[0].self_attn.heads
    layer = nn.TransformerDecoderLayer(
        width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
    )
    theirs = nn.TransformerDecoder(layer, len(decoder.blocks))
    for ours, other in zip(decoder.blocks, theirs.layers):
        for attn, copy in ((ours.self_attn, other.self_attn), (ours.cross_attn, other.multihead_attn)):
            copy.in_proj_weight.data = torch.cat([attn.q.weight, attn.kv.weight]).detach()
            copy.in_proj_bias.data = torch.cat([attn.q.bias, attn.kv.bias]).detach()
            copy.out_proj.load_state_dict(attn.out.state_dict())
        other.linear1.load_state_dict(ours.mlp[0].state_dict())
        other.linear2.load_state_dict(ours.mlp[2].state_dict())
        for number in (1, 2, 3):
            getattr(other, f"norm{number}").load_state_dict(getattr(ours, f"norm{number}").state_dict())
    return theirs.eval()


@torch.no_grad()
def test_the_decoder_is_that_of_torch():
    with seeded_rng(2):
        decoder = CaptionDecoder(50, width=32, depth=2, heads=4).eval()
    tokens, picture = torch.randint(50, (3, 7)), torch.randn(3, 16, 32)
    ours, state = decoder(tokens, decoder.start(picture))
    mask = nn.Transformer.generate_square_subsequent_mask(7)
    x = decoder.tokens(tokens) + decoder.positions[:7]
    theirs = decoder.out(decoder.norm(as_torch_decoder(decoder)(x, picture, tgt_mask=mask)))
    assert torch.allclose(ours, theirs, atol=1e-5) and state.length == 7


@torch.no_grad()
@pytest.mark.parametrize("cut", [1, 3, 6])
def test_cached_keys_give_the_logits_of_recomputation(model, batch, cut):
    tokens, _ = model.caption_tokens(batch.captions[:5], batch.styles[:5])
    whole = model(batch.pictures[:5], tokens)
    first, state = model.decoder(tokens[:, :cut], model.start(batch.pictures[:5]))
    rest, _ = model.decoder(tokens[:, cut:], state)
    assert torch.allclose(torch.cat([first, rest], 1), whole, atol=1e-5)
    rows = [3, 3, 0]
    picked, _ = model.decoder(tokens[rows, cut:], state[rows])
    assert torch.allclose(picked, rest[rows], atol=1e-5)


@torch.no_grad()
def test_company_and_later_words_do_not_count(model, batch):
    tokens, mask = model.caption_tokens(batch.captions, batch.styles)
    together = model(batch.pictures, tokens)
    alone, _ = model.caption_tokens(batch.captions[:1], batch.styles[:1])
    own = model(batch.pictures[:1], alone)
    assert torch.allclose(together[:1, : alone.shape[1]], own, atol=1e-4)
    assert mask[0].sum() == alone.shape[1]


def test_control_tokens_and_captions_that_are_too_long(model):
    tokens, _ = model.caption_tokens(["a star", "a star"], STYLES)
    assert tokens[0, 0] != tokens[1, 0] and torch.equal(tokens[0, 1:], tokens[1, 1:])
    assert model.text_of(tokens[0].tolist()) == "a star"
    with pytest.raises(ValueError, match="shorten it"):
        model.caption_tokens(["a star " * 21], ["full"])
    with pytest.raises(ValueError, match="no style 'long'"):
        model.first_tokens(["long"])


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_configuration_that_makes_no_sense_is_refused(part):
    config = tiny_captioner_config()
    with pytest.raises(ValueError, match="cannot be cut into heads 3"):
        Captioner(config | {part: config[part] | {"heads": 3}})


def test_building_leaves_the_callers_random_state(model):
    config = CaptionerConfig(1, 4, config=tiny_captioner_config())
    before = torch.get_rng_state()
    first, second = config.initial_model(3), config.initial_model(3)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.decoder.out.weight, second.decoder.out.weight)
    assert CaptionerEncoder(16, (8, 8), 16, 1, 2)(torch.zeros(2, 3, 16, 16)).shape == (2, 16, 16)


def test_presets_are_of_the_family_and_longer_one_by_one():
    steps = [CAPTIONER_ROUNDS[name][0].steps for name in ("smoke", "cpu", "full")]
    assert steps == sorted(steps) and steps[0] < steps[1] < steps[2]
    assert CAPTIONER_ROUNDS["full"][0].config is CAPTIONER_MODEL_CONFIG


@pytest.mark.trains
def test_it_learns_what_it_is_shown():
    "A few scenes by heart: the loss falls below what the captions alone allow."
    config = CaptionerConfig(
        200, 8, 5e-3, ema=0.9, warmup=4, config=tiny_captioner_config(), task_weights={"color": 1.0}
    )
    few = CanonicalCaptions(8, seed=5, task_weights=config.task_weights)(0)
    learner, _ = config.learner(seed=1)
    learner.data = lambda number: few
    first = captioner_loss(learner.model, few, torch.Generator().manual_seed(0)).item()
    learner.fit(config.steps)
    last = captioner_loss(learner.model, few, torch.Generator().manual_seed(0)).item()
    assert last < 0.5 < first
