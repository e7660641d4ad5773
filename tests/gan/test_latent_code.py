"The GAN with a latent code: what reaches the picture, what the posterior finds, and its place in the family's loops."

import json

import pytest
import torch
from meta_device import OneDevice
from tiny import SMALL

from t2i_learn.core.pipeline import load, Pipeline
from t2i_learn.core.settings import families
from t2i_learn.core.tensors import seeded_rng
from t2i_learn.gan.diversity import picture_diversity
from t2i_learn.gan.interpolation import interpolate_picture
from t2i_learn.gan.latent_code import (
    SLOT_WIDTH,
    LatentCodeConfig,
    LatentCodeGAN,
    LatentCodeLosses,
    fit_spec_reader,
    pretrain_code,
    scale_latent_code_config,
    spec_answers,
    spec_fields,
)
from t2i_learn.gan.networks import Generator, NoiseEncoder
from t2i_learn.gan.picture_losses import TextToImageGANLosses
from t2i_learn.gan.text_to_image import GAN_ROUNDS, GANConfig, TextToImageGAN
from t2i_learn.text.layout import CaptionMix
from t2i_learn.world.captions import CaptionedScenes, load_prompts

CAPTIONS = ["a red heart", "two blue stars on a mint background"]


def tiny(slots=2, attention_blocks=0, side=32):
    "A small model with random weights, and noise for two pictures."
    config = scale_latent_code_config(32, slots, attention_blocks, side)
    with seeded_rng(0):
        model = LatentCodeGAN(config | {name: SMALL[name] for name in ("text", "words")})
        for parameter in model.parameters():
            parameter.data += 0.05 * torch.randn(parameter.shape)
    return model


def noise(model, count=2):
    return torch.randn(count, model.generator.noise, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def swapped(model, code):
    "How far a picture moves when its words are another caption's, with the code as it was or not."
    cond = model.encode(CAPTIONS)
    z = noise(model)
    others = cond[[1, 0]]
    own = model.generator.code(cond) if code else None
    return (model.generator(z, others, own) - model.generator(z, cond)).abs().max().item()


@pytest.mark.parametrize("side", [16, 32])
def test_the_code_is_the_only_way_of_the_text(side):
    model = tiny(side=side)
    assert model.generator.side == side and swapped(model, code=True) == 0 < swapped(model, code=False)


def test_with_words_beside_it_the_words_count_too():
    assert tiny(2, 1).generator.code is not None and swapped(tiny(2, 1), code=True) > 1e-4


def test_without_a_code_the_words_alone_count():
    model = tiny(0, 1)
    with torch.no_grad():
        cond = model.encode(CAPTIONS)
        style = model.generator.style(cond)
        assert torch.equal(style[0], style[1]) and not hasattr(model.generator.code, "queries")
    assert swapped(model, code=False) > 1e-4


def test_no_text_at_all_is_an_error():
    with pytest.raises(ValueError, match="no caption reaches the picture"):
        tiny(0, 0)


@torch.no_grad()
def test_the_noise_that_is_found_draws_what_was_rebuilt():
    model = tiny()
    batch = CaptionedScenes(3, seed=1)(0)
    cond = model.encode(batch.captions)
    rebuilt = model.rebuild(batch.pictures, cond, torch.Generator().manual_seed(1))
    assert torch.allclose(model(rebuilt.z, cond), rebuilt.picture, atol=1e-4)
    mean, log_variance = model.noise_encoder(batch.pictures, cond)
    assert mean.shape == log_variance.shape == (3, model.generator.noise) and not torch.equal(
        mean, rebuilt.z
    )


@torch.no_grad()
def test_a_later_group_knows_what_an_earlier_one_drew():
    model = tiny()
    batch = CaptionedScenes(2, seed=1)(0)
    cond = model.encode(batch.captions)
    first, second = (
        model.rebuild(batch.pictures, cond, torch.Generator().manual_seed(seed)) for seed in (1, 2)
    )
    size = 8 * 16  # numbers of the first group
    assert torch.equal(first.mean[:, :size], second.mean[:, :size])
    assert not torch.equal(first.mean[:, size:], second.mean[:, size:])


def test_the_price_of_the_noise_is_the_weight_of_the_kl():
    config = LatentCodeConfig(1, config=scale_latent_code_config(32), adversarial=False)
    model = tiny()
    batch = CaptionedScenes(4, seed=1)(0)
    loss, parts = config.losses().g_loss(model, batch, torch.Generator().manual_seed(0))
    assert type(config.losses()) is LatentCodeLosses and parts["kl"] > 0
    assert loss.item() == pytest.approx(parts["reconstruction"] + config.loss.kl * parts["kl"], rel=1e-5)


def test_each_configuration_trains_a_family_of_its_own():
    config = LatentCodeConfig(1, config=scale_latent_code_config(32))
    assert isinstance(config, GANConfig) and type(config.initial_model()) is LatentCodeGAN
    old = GAN_ROUNDS["smoke"][0]
    assert type(old.initial_model()) is TextToImageGAN and type(old.losses()) is TextToImageGANLosses
    assert families()["latent-code"].kind == "text-to-image"


def test_saved_and_loaded_it_draws_the_same(tmp_path):
    pipe = Pipeline(tiny(), "mine")
    pipe.save_pretrained(tmp_path / "mine")
    again = load(str(tmp_path / "mine"))
    assert json.loads((tmp_path / "mine" / "config.json").read_text())["family"] == "latent-code"
    ours, theirs = (p("a red heart", seed=1, output_type="pt").images for p in (pipe, again))
    assert type(again.model) is LatentCodeGAN and (ours - theirs).abs().max() < 0.02, "half precision"
    with pytest.raises(ValueError, match="in one pass"):
        pipe("a red heart", num_inference_steps=20)


def test_walks_and_diversity_work_with_it():
    model = tiny()
    ends = [interpolate_picture(model, CAPTIONS, [1, 2], 0.0, share) for share in (0.0, 1.0)]
    assert ends[0].shape == (3, 32, 32) and not torch.equal(*ends)
    learner = type("learner", (), {"model": model})
    assert 0 <= picture_diversity(2)(learner) < 10


def test_every_prompt_of_the_seen_split_has_answers():
    prompts = load_prompts("validation", 5)
    for answers in (spec_answers(prompt.spec) for prompt in prompts):
        assert set(answers) == set(spec_fields())
        assert all(answer in spec_fields()[name] for name, answer in answers.items())
    shapes = {spec_answers(prompt.spec)["shape 1"] for prompt in prompts}
    assert len(shapes) > 3 and "" not in shapes


def test_a_probe_is_fitted_where_the_codes_are():
    specs = [prompt.spec for prompt in load_prompts("validation", 1)][:2]
    with OneDevice():
        reader = fit_spec_reader(torch.zeros(2, 2, SLOT_WIDTH, device="meta"), specs, steps=1)
    assert reader.out.weight.device.type == "meta"


def test_the_slots_of_a_probe_are_those_that_the_model_has():
    config = scale_latent_code_config(32, 4)
    generator = {name: value for name, value in config["generator"].items() if name != "slots"}
    model = LatentCodeGAN(config | {"generator": generator, "text": SMALL["text"]})
    assert (
        pretrain_code(model, CaptionMix({"single": 1.0}).batches(2, 8), 1).reader.out.in_features
        == 4 * 64
    )
    with pytest.raises(ValueError, match="no latent code"):
        pretrain_code(tiny(slots=0, attention_blocks=1), None, 1)
    with pytest.raises(ValueError, match="16 or 32 pixels, not 24"):
        scale_latent_code_config(32, side=24)


@torch.no_grad()
def test_the_model_that_ships_draws_with_the_networks_that_it_had():
    model = load("shapes-gan").model
    own = model.state_dict()
    generator = Generator(**model.condition_dims, **model.config["generator"])
    encoder = NoiseEncoder(generator.noise, **model.condition_dims, **model.config["noise_encoder"])
    for name, network in {"generator": generator, "noise_encoder": encoder}.items():
        part = {k.removeprefix(f"{name}."): v for k, v in own.items() if k.startswith(f"{name}.")}
        assert len(network.load_state_dict(part).missing_keys) == 0 < len(part)
    cond = model.encode(CAPTIONS)
    pictures = generator(noise(model), cond)
    assert model.config["family"] == "gan" and torch.equal(model(noise(model), cond), pictures)
    ours, theirs = (found(pictures, cond)[0] for found in (model.noise_encoder, encoder))
    assert torch.equal(ours, theirs)
