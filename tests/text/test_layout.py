"Places that read: what they make of a caption depends on that caption alone, and training changes all of it."

import json
import math
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SMALL, tiny_gan, tiny_pipeline, tiny_two_stage
from torch import nn

from t2i_learn.core.files import read_tensors
from t2i_learn.core.learner import Callback
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.pipeline import load
from t2i_learn.core.training import muon_and_adamw
from t2i_learn.text.layout import (
    CONDITIONER_CONFIG,
    conditioner_loss,
    insert_unknown_words,
    pretrain_conditioner,
    PRETRAIN_MIX,
    TextConditioner,
    TextToImageConfig,
)
from t2i_learn.diffusion.text_to_image import DiffusionConfig
from t2i_learn.gan.text_to_image import GANConfig, TextToImageGAN
from t2i_learn.stable import two_stage
from t2i_learn.stable.two_stage import (
    draft_pretraining_loss,
    tiny_two_stage_config,
    TwoStageConfig,
)
from t2i_learn.world.captions import CaptionedScenes
from t2i_learn.world.scenes import COLORS, SHAPES

SMALL_CONDITIONER = CONDITIONER_CONFIG | {name: SMALL[name] for name in ("text", "layout")}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return TextConditioner(SMALL_CONDITIONER).eval().requires_grad_(False)


captions = st.builds("{} {}".format, st.sampled_from(sorted(COLORS)), st.sampled_from(sorted(SHAPES)))


@settings(max_examples=20, deadline=None)
@given(st.lists(captions, min_size=1, max_size=4), st.integers(0, 3))
def test_a_layout_depends_on_its_own_caption(model, others, at):
    caption = "two blue stars on a mint background"
    alone = model.encode([caption])
    among = model.encode([*others[:at], caption, *others[at:]])[[min(at, len(others))]]
    assert torch.allclose(among.layout, alone.layout, atol=1e-5) and torch.allclose(
        among.pooled, alone.pooled, atol=1e-5
    )
    assert torch.allclose(model.layout_preview(among), model.layout_preview(alone), atol=1e-5)


def test_a_layout_has_a_quarter_of_the_picture_and_its_preview_three_channels():
    model = TextConditioner(SMALL_CONDITIONER | {"side": 64})
    cond = model.encode(["a heart", "a star"])
    assert cond.layout.shape == (2, 32, 16, 16) and model.layout_preview(cond).shape == (2, 3, 16, 16)


def test_word_order_reaches_the_layout(model):
    there, back = model.encode(["a heart left of a star", "a star left of a heart"]).layout
    assert not torch.allclose(there, back, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.lists(captions, min_size=1, max_size=8), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_a_made_up_word_comes_on_top(texts, rate, seed):
    changed = insert_unknown_words(texts, rate, torch.Generator().manual_seed(seed))
    for old, new in zip(texts, changed, strict=True):
        kept = iter(new.split())
        assert all(word in kept for word in old.split()), "the caption's words stay, in their order"
        assert len(new.split()) - len(old.split()) in (
            (0,) if rate == 0 else (1,) if rate == 1 else (0, 1)
        )


def test_every_weight_is_trained_by_one_of_the_two_optimizers():
    model = TextConditioner(SMALL_CONDITIONER)
    grouped = [p for group in muon_and_adamw(model).param_groups for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters()} and len(grouped) == len(
        list(model.parameters())
    )
    conditioner_loss(model, PRETRAIN_MIX.batches(4, 8)(0), torch.Generator().manual_seed(0)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


class Interrupted(Callback):
    "Somebody presses the stop button after so many steps."

    order = 9

    def __init__(self, step):
        self.step = step

    def after_step(self, learner):
        if learner.step == self.step:
            raise KeyboardInterrupt


def test_learning_to_read_resumes_exactly(tmp_path):
    def learn(steps, name):
        return pretrain_conditioner(
            SMALL_CONDITIONER, steps, 4, callbacks=[Checkpoint(tmp_path / name, every=2)]
        )

    learn(4, "whole")
    with pytest.raises(KeyboardInterrupt):
        pretrain_conditioner(
            SMALL_CONDITIONER, 4, 4, callbacks=[Checkpoint(tmp_path / "halved", every=2), Interrupted(3)]
        )
    learn(4, "halved")
    whole, halved = (read_tensors(tmp_path / name)[0] for name in ("whole", "halved"))
    assert whole.keys() == halved.keys() and all(
        torch.equal(whole[name], halved[name]) for name in whole
    )


def test_a_model_without_a_layout(model):
    plain = TextConditioner(SMALL_CONDITIONER | {"layout": None})
    cond = plain.encode(["a red heart", ""])
    pictures = torch.zeros(2, 3, 32, 32)
    assert plain.planner is None and cond.layout is None and plain.layout_loss(cond, pictures) == 0
    assert {name.split(".")[0] for name in plain.state_dict()} == {"encoder"}
    with pytest.raises(ValueError, match="this model has no layout"):
        plain.layout_preview(cond)
    assert model.layout_loss(model.encode(["a red heart", ""]), pictures) > 0


def test_one_caption_is_a_list_of_one(model):
    one, several = model.encode("a red heart"), model.encode(["a red heart"])
    assert (
        len(one) == 1
        and torch.equal(one.context, several.context)
        and torch.equal(one.layout, several.layout)
    )
    seeds = (torch.Generator().manual_seed(3) for _ in range(2))
    assert insert_unknown_words("a red heart", 1.0, next(seeds)) == insert_unknown_words(
        ["a red heart"], 1.0, next(seeds)
    )
    with pytest.raises(ValueError, match="each text must be a str"):
        insert_unknown_words([None])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_conditioner_works_in_another_dtype(dtype):
    torch.manual_seed(0)
    made = TextConditioner(SMALL_CONDITIONER)
    captions = ["a red heart", "two blue stars on a mint background"]
    wanted = made.layout_preview(made.encode(captions))
    preview = made.to(dtype).layout_preview(made.encode(captions))
    assert preview.dtype == dtype and torch.allclose(
        preview.float(), wanted, atol=1e-5 if dtype == torch.float64 else 0.1
    )


def test_a_conditioner_is_built_in_torchs_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        made = TextConditioner(SMALL_CONDITIONER)
        preview = made.layout_preview(made.encode("a red heart"))
    finally:
        torch.set_default_dtype(torch.float32)
    assert preview.dtype == torch.float64 and preview.isfinite().all()


# ---- rounds that begin with another model: the numbers of the data, names of compiled models ----

MOMENTS = {"mean": [0.1, 0.2, 0.3], "std": 0.9}
ROUNDS = {
    "diffusion": (DiffusionConfig, tiny_pipeline),
    "gan": (GANConfig, tiny_gan),
    "two-stage": (TwoStageConfig, tiny_two_stage),
}
families = pytest.mark.parametrize("family", ROUNDS)


def round_of(family, **changes):
    "A round whose model is a tiny one with some changes, and the tiny one itself."
    config_class, make = ROUNDS[family]
    model = make().model
    return config_class(4, 8, config=model.config | changes), model


def moments(model):
    return {
        name: value for name, value in model.named_buffers() if name.split(".")[-1] in ("mean", "std")
    }


def compiled(model, part):
    if not part:
        return torch.compile(model, backend="eager")
    setattr(model, part, torch.compile(getattr(model, part), backend="eager"))
    return model


@families
def test_the_new_data_s_mean_and_spread_win_over_the_parent_s(family):
    config, parent = round_of(family, **MOMENTS)
    model = config.initial_model(0, parent)
    for name, value in moments(model).items():
        assert torch.equal(value.flatten(), torch.tensor(MOMENTS[name.split(".")[-1]]).flatten()), name
    own, theirs = model.state_dict(), parent.state_dict()
    same = [name for name in theirs if torch.equal(own[name], theirs[name])]
    assert {*theirs} - {*same} == {*moments(model)}, "all else is the parent's"


@pytest.fixture
def two_stages_of(monkeypatch):
    "The start of two stages of a configuration, from models in the place of those that ship."

    def begin(config, *parents):
        models = {str(k): SimpleNamespace(model=model) for k, model in enumerate(parents)}
        monkeypatch.setattr(two_stage, "load", models.__getitem__)
        return TwoStageConfig(4, 8, parents=tuple(models), config=config).pretrain()

    return begin


TWO_STAGES = tiny_two_stage_config() | {"words": SMALL["words"]}


def test_parts_of_two_stages_keep_the_new_data_s_numbers(two_stages_of):
    model = two_stages_of(TWO_STAGES | MOMENTS, tiny_two_stage().model)
    assert model.denoiser.std == torch.tensor(0.9) and model.planner.mean[0, 0, 0] == torch.tensor(0.1)


@pytest.mark.parametrize(
    ("family", "changed"),
    [(family, name) for family in ROUNDS for name in MOMENTS if (family, name) != ("gan", "std")],
)
def test_weights_and_configuration_of_different_data_do_not_load(family, changed, tmp_path):
    ROUNDS[family][1]().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {changed: MOMENTS[changed]}))
    with pytest.raises(ValueError, match=rf"{changed} is .* in the weights and .* in the configuration"):
        load(str(tmp_path))


@families
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_numbers_that_16_bits_have_rounded_load(family, dtype, tmp_path):
    ROUNDS[family][1]().save_pretrained(tmp_path, dtype)
    load(str(tmp_path)).save_pretrained(tmp_path)
    assert load(str(tmp_path)).model.config["mean"] == [0.675, 0.720, 0.676]


PARTS = {"diffusion": "denoiser", "gan": "generator", "two-stage": "denoiser"}


@families
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "part"])
def test_a_round_takes_over_all_of_a_compiled_model(family, whole):
    config, parent = round_of(family)
    expected = {name: value.clone() for name, value in parent.state_dict().items()}
    model = config.initial_model(1, compiled(parent, "" if whole else PARTS[family]))
    found = model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("family", ["gan", "two-stage"])
@pytest.mark.parametrize("part", ["", "generator", "noise_encoder", "planner"])
def test_a_compiled_model_is_finished(family, part):
    config, parent = round_of(family)
    parent.add_discriminator()
    expected = {name: value.clone() for name, value in parent.state_dict().items()}
    finished = config.finish(compiled(parent, part)).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in finished.items())
    assert {*expected} - {*finished} == {name for name in expected if name.startswith("discriminator")}


@pytest.mark.parametrize("part", ["generator", "noise_encoder"])
def test_two_stages_begin_with_the_parts_of_a_compiled_gan(two_stages_of, part):
    upsample = TWO_STAGES["generator"] | {"upsampler": "upsample"}
    gan = TextToImageGAN(TWO_STAGES | {"generator": upsample})
    expected = two_stages_of(TWO_STAGES, tiny_two_stage().model, gan).state_dict()
    found = two_stages_of(TWO_STAGES, tiny_two_stage().model, compiled(gan, part)).state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_two_stages_begin_with_a_gan_of_their_size(two_stages_of):
    with pytest.raises(ValueError, match="of another size"):
        two_stages_of(TWO_STAGES, tiny_two_stage().model, tiny_gan().model)
    unread = TWO_STAGES["generator"] | {"attention_blocks": 0, "upsampler": "upsample"}
    with pytest.raises(ValueError, match="the model to begin with has no"):
        two_stages_of(
            TWO_STAGES, tiny_two_stage().model, TextToImageGAN(TWO_STAGES | {"generator": unread})
        )


@families
def test_a_model_that_cannot_be_begun_with_is_a_sentence(family):
    config, _ = round_of(family)
    with pytest.raises(ValueError, match=r"the model to begin with has no .*: give a pretrained"):
        config.initial_model(0, nn.Linear(3, 3))
    wide = TextConditioner(CONDITIONER_CONFIG | {"text": {"width": 64, "depth": 1, "heads": 2}})
    with pytest.raises(ValueError, match=r"of another size: its encoder.* is \("):
        config.initial_model(0, wide)


# ---- numbers of a configuration that no model has ----

WRONG = [
    ("mean", ["a"] * 3, "mean is three numbers"),
    ("mean", [0.1, 0.2], "mean is three numbers"),
    ("mean", [0.1, 0.2, math.nan], "mean is three numbers"),
    ("mean", [[0.1], 0.2, 0.3], "mean is three numbers"),
    ("mean", 0.5, "mean is three numbers"),
    ("std", 0, "std is a number above 0"),
    ("std", -1.0, "std is a number above 0"),
    ("std", math.nan, "std is a number above 0"),
    ("std", "a", "std is a number above 0"),
    ("std", [0.3], "std is a number above 0"),
]
WRONG_WIDTHS = [[16] * 8, [16], [], [12, 32], [16, -8], [16.0, 32], "ab", None, [True, 8]]


@families
@pytest.mark.parametrize(("name", "value", "words"), WRONG, ids=str)
def test_a_configuration_s_numbers_of_the_data_are_checked(family, name, value, words):
    config, _ = round_of(family, **{name: value})
    with pytest.raises(ValueError, match=words):
        config.new_model()


@pytest.mark.parametrize("widths", WRONG_WIDTHS, ids=str)
@pytest.mark.parametrize(
    ("family", "part"), [("diffusion", "unet"), ("gan", "generator"), ("two-stage", "unet")]
)
def test_a_configuration_s_widths_are_checked(family, part, widths):
    _, model = round_of(family)
    config = model.config | {part: model.config[part] | {"widths": widths}}
    with pytest.raises(ValueError, match=r"widths (are a list of|of the generator are for)"):
        ROUNDS[family][0](4, 8, config=config).new_model()


@pytest.mark.parametrize("part", ["generator", "noise_encoder", "discriminator"])
def test_widths_of_a_gan_are_for_its_side(part):
    _, model = round_of("gan")
    longer = [*model.config[part]["widths"], 8]
    config = model.config | {part: model.config[part] | {"widths": longer}}
    with pytest.raises(ValueError, match=f"widths of the {part} are for pictures of 64 pixels"):
        GANConfig(4, 8, config=config).new_model()


# ---- what the losses take ----

TEXTS = ["a red heart", "a blue circle", "two red hearts", "a heart"] * 2


def losses_of(family):
    "The losses of a family by name, and a model for them."
    config, _ = round_of(family)
    model = config.new_model()
    losses = {"training_loss": config.training_loss, "conditioner_loss": conditioner_loss}
    if family == "gan":
        losses["d_loss"] = lambda *a: config.losses().d_loss(*a)[0]
    if family == "two-stage":
        losses["d_loss"] = lambda *a: config.losses(model.generator.sizes).d_loss(*a)[0]
        losses["draft"] = lambda *a: draft_pretraining_loss(*a)[0]
    return losses, model


def values(of):
    g = torch.Generator().manual_seed(0)
    return of(torch.rand(8, 3, 32, 32, generator=g) * 2 - 1)


class Named(NamedTuple):
    pictures: Any
    captions: Any


NO_BATCHES = {
    "a tensor": values(lambda x: x),
    "swapped": values(lambda x: (TEXTS, x)),
    "labels": values(lambda x: (x, torch.zeros(8))),
    "a triple": values(lambda x: (x, TEXTS, 3)),
    "nothing": None,
    "other keys": values(lambda x: {"img": x, "label": TEXTS}),
    "only pictures": values(lambda x: {"image": x}),
    "only captions": {"text": TEXTS},
    "one text": values(lambda x: Named(x, "ab")),
    "no pictures": Named([0.0] * 8, TEXTS),
}


@families
def test_what_is_no_batch_of_captioned_pictures_is_a_sentence(family):
    losses, model = losses_of(family)
    for loss in losses.values():
        for name, batch in NO_BATCHES.items():
            with pytest.raises(
                ValueError, match="trained on captioned pictures: give a batch as"
            ) as met:
                loss(model, batch, None)
            assert "\n" not in str(met.value), name
        with pytest.raises(ValueError, match="holds no picture"):
            loss(model, Named(torch.zeros(0, 3, 32, 32), []), None)


@families
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_pictures_of_any_floating_type_train(family, dtype):
    losses, model = losses_of(family)
    pictures = values(lambda x: x).to(dtype)
    for loss in losses.values():
        found, expected = (
            loss(model.train(), Named(x, TEXTS), torch.Generator().manual_seed(0))
            for x in (pictures, pictures.float())
        )
        assert torch.equal(found, expected)


@families
def test_a_pair_and_a_dictionary_are_batches(family):
    losses, model = losses_of(family)
    for loss in losses.values():
        found = [
            loss(model, values(form), torch.Generator().manual_seed(0))
            for form in (
                lambda x: Named(x, TEXTS),
                lambda x: (x, TEXTS),
                lambda x: {"image": x, "text": TEXTS},
            )
        ]
        assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


# ---- another precision ----


@families
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_model_of_any_family_draws_in_another_precision(family, dtype):
    steps = {} if family == "gan" else {"num_inference_steps": 2}
    ask = {"seed": 1, "output_type": "pt"} | steps
    expected = ROUNDS[family][1]()("a red heart", **ask).images
    pipe = ROUNDS[family][1]()
    pipe.model.to(dtype)
    assert (pipe("a red heart", **ask).images - expected).abs().max() < 0.1


@families
def test_a_model_of_any_family_trains_in_torchs_default_precision(family):
    torch.set_default_dtype(torch.float64)
    try:
        losses, model = losses_of(family)
        assert next(model.parameters()).dtype == torch.float64
        batch = CaptionedScenes(8, 32)(0)
        for loss in losses.values():
            loss(model, batch, torch.Generator().manual_seed(0)).backward()
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_a_round_trains_with_the_tokenizer_that_it_names():
    config = TextToImageConfig(
        4, 2, config=SMALL_CONDITIONER, pretrain_steps=1, tokenizer="tokenizer-free.json"
    )
    model = config.pretrain()
    assert model.tokenizer.max_length == 80 and len(model.encoder.positions) == 80
    assert (
        TextToImageConfig(4, 2, config=SMALL_CONDITIONER).load_tokenizer().merges
        == TextConditioner(SMALL_CONDITIONER).tokenizer.merges
    )
