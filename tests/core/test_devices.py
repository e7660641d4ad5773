"Every family trains and draws on one device: checked on the meta device, where a forgotten `.to` shows without a GPU."

from contextlib import nullcontext

from types import SimpleNamespace

import pytest
import torch
from meta_device import OneDevice
from steady import seeded
from tiny import TINY_MODELS

from t2i_learn.diffusion import sampling
from t2i_learn.diffusion.dit import DIT_MODEL_CONFIG
from t2i_learn.diffusion.text_to_image import DIFFUSION_ROUNDS, DiffusionConfig
from t2i_learn.gan.text_to_image import GAN_ROUNDS
from t2i_learn.stable.two_stage import (
    TWO_STAGE_ROUNDS,
    TwoStageLosses,
    fixed_refinement_grid,
    refine_draft,
    sample_draft,
)

CAPTIONS = ["a red heart", "two blue stars", "a green circle", "a black square"]
TINY_DIT = DIT_MODEL_CONFIG | {
    "text": {"width": 32, "depth": 1, "heads": 2},
    "layout": {"width": 32, "depth": 1},
    "dit": {"patch": 8, "width": 32, "depth": 1, "heads": 2},
}
ROUNDS = {
    "diffusion": DIFFUSION_ROUNDS["smoke"][0],
    "dit": DiffusionConfig(4, 4, config=TINY_DIT),
    "gan, reconstruction": GAN_ROUNDS["smoke"][0],
    "gan, game": GAN_ROUNDS["smoke"][1],
    "two stages, joint": TWO_STAGE_ROUNDS["smoke"][1],
}


@pytest.fixture(autouse=True)
def without_numbers(monkeypatch):
    "The meta device has neither autocast nor values."
    monkeypatch.setattr(torch, "autocast", lambda *args, **options: nullcontext())
    monkeypatch.setattr(
        torch.Tensor, "item", lambda number: 0.0
    )  # metrics: there are no numbers to read
    monkeypatch.setattr(torch, "equal", lambda one, other: False)
    monkeypatch.setattr(sampling, "_check_sigmas", lambda sigmas: None)


def batch():
    return SimpleNamespace(pictures=torch.zeros(4, 3, 32, 32, device="meta"), captions=CAPTIONS)


def in_training(config):
    "The model of a round, on the meta device."
    learner, _ = config.learner()
    return learner.model.to("meta").train()


@pytest.mark.parametrize("name", list(ROUNDS))
def test_a_training_step_stays_on_its_device(name):
    model, loss_of = in_training(ROUNDS[name]), ROUNDS[name].training_loss
    if name.startswith("two"):  # its own decoder looks at the values of the data
        config = ROUNDS[name]
        losses = TwoStageLosses(
            config.loss,
            config.config["noise"],
            model.generator.sizes,
            lambda x0, level, generator: (x0 * level).flatten(1).sum(1),
        )
        loss_of = lambda *call: losses.g_loss(*call)[0]
    with OneDevice():
        loss = loss_of(model, batch(), seeded())
        loss.backward()
    assert loss.device.type == "meta" and any(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("name", ["gan, game", "two stages, joint"])
def test_a_discriminators_step_stays_on_its_device(name):
    model, config = in_training(ROUNDS[name]), ROUNDS[name]
    losses = config.losses(model.generator.sizes) if name.startswith("two") else config.losses()
    with OneDevice():
        loss = losses.d_loss(model, batch(), seeded())
        (loss[0] if isinstance(loss, tuple) else loss).backward()


def drawn_on_meta(pipe, **settings):
    "The last picture of a tiny model that was moved to the meta device."
    pipe.model.to("meta")
    with OneDevice(), torch.no_grad():
        *_, state = pipe.trajectory("a red heart", seed=1, **settings)
    return state.picture


@pytest.mark.parametrize(
    "sampler", ["ddpm", "ddim", "euler", "heun", "dpmpp_2m", "dpmpp_2m_sde", "lms", "unipc"]
)
def test_sampling_stays_on_its_device(sampler):
    assert (
        drawn_on_meta(TINY_MODELS["diffusion"](), num_inference_steps=4, sampler=sampler).device.type
        == "meta"
    )


def test_one_pass_stays_on_its_device():
    assert drawn_on_meta(TINY_MODELS["gan"]()).device.type == "meta"


def test_refinement_stays_on_its_device():
    pipe = TINY_MODELS["two-stage"]()
    pipe.model.to("meta")
    request = pipe.request("a red heart", seed=1, num_inference_steps=2)
    with OneDevice(), torch.no_grad():
        cond = pipe.model.encode(list(request.prompts))
        *_, state = refine_draft(
            pipe.model,
            request,
            cond,
            sample_draft(pipe.model, request, cond),
            0.3,
            fixed_refinement_grid,
        )
    assert state.picture.device.type == "meta"


@pytest.mark.parametrize(
    "mistake",
    [
        lambda x: x @ torch.ones(3, 3),
        lambda x: x + torch.ones(3),
        lambda x: torch.cat([x, torch.ones(3, 3)]),
    ],
    ids=["product", "sum", "cat"],
)
def test_planted_mistakes_are_found(mistake):
    with OneDevice(), pytest.raises((AssertionError, RuntimeError)):
        mistake(torch.zeros(3, 3, device="meta"))


def test_what_is_allowed_is_not_taken_for_a_mistake():
    x = torch.zeros(3, 3, device="meta")
    with OneDevice():
        assert (x * torch.tensor(2.0) + torch.ones(3, 3).to(x))[torch.tensor([0, 2])].shape == (2, 3)
