"Few calls: what is counted, what is distilled, and what the sampler meets."

import pytest
import torch
from tiny import tiny_two_stage

from t2i_learn.core.settings import make_request
from t2i_learn.diffusion.guidance import CFGDenoiser
from t2i_learn.diffusion.sampling import SAMPLERS
from t2i_learn.stable.few_calls import (
    FEW_CALLS,
    few_level_loss,
    FewCallPlan,
    FewCallsConfig,
    guidance_distillation_loss,
    network_calls,
    RefinedPictureLosses,
    sampler_state,
)
from t2i_learn.world.captions import CaptionedScenes


@pytest.fixture
def model():
    return tiny_two_stage().model.eval()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_guidance_doubles_the_answers_and_not_the_draft(sampler):
    plain, guided = (network_calls(3, scale, sampler, draft=False) for scale in (1.0, 2.0))
    assert guided == 2 * plain == 2 * (5 if sampler == "heun" else 3)
    assert network_calls(3, 2.0, sampler) == guided + 1
    assert network_calls(0, 2.0, sampler) == 1, "a draft is all"


def test_a_sampler_that_there_is_not_is_named():
    with pytest.raises(ValueError, match="sampler"):
        network_calls(1, sampler="eular")


@pytest.mark.parametrize("kind", ["isotropic", "pixelwise"])
def test_only_the_guided_answer_has_no_loss(model, kind):
    batch, dice = CaptionedScenes(4, seed=1)(0), lambda: torch.Generator().manual_seed(0)
    with torch.no_grad():
        cond, empty = model.encode(batch.captions), model.encode([""] * 4)
        teacher = CFGDenoiser(model, empty, 3.0)
        loss = lambda student: guidance_distillation_loss(
            student, teacher, batch.pictures, torch.ones(4), cond, dice(), alpha=1.8, kind=kind
        )
        assert loss(teacher) == 0 < loss(model)


def test_a_state_of_the_sampler_is_that_of_drawing(model):
    captions, plan = ["a red heart", "a star"], FewCallPlan(1.0, 3)
    request = plan.request(model, captions, torch.Generator().manual_seed(1))
    states = list(model.trajectory(request))
    cond, draft = model.encode(captions), states[0].picture
    for step, state in enumerate(states[1:]):
        found = sampler_state(model, request, cond, draft, step)
        assert torch.equal(found.y, state.y) and torch.equal(found.sigma, state.sigma)
    assert len(states) == 1 + plan.steps


def test_a_plan_draws_without_guidance(model):
    request = FewCallPlan(0.7, 2, "ddim").request(model, ["a star"])
    asked = make_request(
        model.config, ["a star"], seed=request.seed, **FewCallPlan(0.7, 2, "ddim").settings
    )
    assert request.settings == asked.settings and request.settings.guidance_scale == 1
    with pytest.raises(ValueError, match="steps"):
        FewCallPlan(1.0, 0)


def test_the_denoiser_alone_has_a_gradient(model):
    batch = CaptionedScenes(2, seed=2)(0)
    model.requires_grad_(True)
    few_level_loss(model, batch, torch.Generator().manual_seed(0)).backward()
    moved = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert moved == {"denoiser"}


def test_fakes_are_what_the_generator_of_a_step_would_make(model):
    losses, captions = RefinedPictureLosses(FewCallPlan(1.0, 2)), ["a red heart", "a star"]
    model.requires_grad_(True)
    cond, dice = model.encode(captions), lambda: torch.Generator().manual_seed(3)
    fake = losses.fake_pictures(model, torch.zeros(2, 3, 32, 32), captions, cond, dice())
    refined = losses.refined(model, captions, cond, dice())
    assert not fake.requires_grad and refined.requires_grad and torch.equal(fake, refined)


def test_a_training_needs_a_model_and_a_part():
    with pytest.raises(ValueError, match="give it as init"):
        FEW_CALLS["smoke"]["levels"].learner()
    with pytest.raises(ValueError, match="guidance"):
        FewCallsConfig(1, part="guidence")
