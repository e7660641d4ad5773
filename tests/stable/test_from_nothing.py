"A two-stage model from nothing: what each round trains, and what is measured of both stages."

from dataclasses import replace

import pytest
import torch

from t2i_learn.gan.short_game import prompts_of_tasks
from t2i_learn.stable.from_nothing import (
    draw_stages,
    FROM_NOTHING,
    from_nothing_loss,
    Ingredients,
    measure_stages,
    MixedSigmas,
    SCHEDULE_PARTS,
    StageWatch,
    WINDOW_SIGMAS,
    WINDOW_TASKS,
)


@pytest.fixture(scope="module")
def model():
    return FROM_NOTHING["smoke"][0].initial_model(0)


@pytest.mark.parametrize("preset", FROM_NOTHING)
def test_both_rounds_are_of_one_model_in_windows(preset):
    first, joint = FROM_NOTHING[preset]
    assert first.config == joint.config and joint.joint and not first.joint
    assert first.config["side"] == 16 and first.ingredients == joint.ingredients == Ingredients()


def test_previews_are_the_windows_made_small():
    first = FROM_NOTHING["smoke"][0]
    windows = first.mix.batches(4, 16, seed=3)(0)
    previews = first.pretrain_mix.batches(4, 8, seed=3)(0)
    assert windows.captions == previews.captions
    small = torch.nn.functional.avg_pool2d(windows.pictures, 2)
    assert (small - previews.pictures).abs().mean() < 0.1, "whole pictures would show a smaller thing"


def test_without_a_draft_the_generator_has_no_gradient(model):
    batch, dice = FROM_NOTHING["smoke"][0].data(0)(0), lambda: torch.Generator().manual_seed(0)
    for draft in (0.0, 1.0):
        model.zero_grad()
        loss, parts = from_nothing_loss(model, batch, dice(), Ingredients(draft=draft))
        loss.backward()
        assert ("draft" in parts) == bool(draft) and abs(sum(parts.values()) - loss.item()) < 1e-4
        assert any(p.grad is not None for p in model.generator.parameters()) == bool(draft)
        assert all(p.grad is None for p in model.learned_schedule.parameters())


@pytest.mark.parametrize("learns", SCHEDULE_PARTS)
def test_the_joint_round_learns_what_it_is_asked_to(learns):
    joint = replace(FROM_NOTHING["smoke"][1], steps=1, warmup=1, ingredients=Ingredients(learns=learns))
    learner, _ = joint.learner()
    trained = {id(p) for p in learner.params}
    schedule = learner.model.learned_schedule
    assert (id(schedule.low) in trained) == (learns != "nothing")
    assert all((id(p) in trained) == (learns == "interior") for p in schedule.ramp.parameters())


def test_a_part_of_the_schedule_that_there_is_not_is_named():
    with pytest.raises(ValueError, match="interior"):
        Ingredients(learns="inside")


def test_levels_of_a_round_reach_its_joint_loss():
    joint = replace(FROM_NOTHING["smoke"][1], ingredients=Ingredients(sigmas=MixedSigmas(1.8)))
    assert joint.losses(3).sigmas == MixedSigmas(1.8, WINDOW_SIGMAS)


def test_at_alpha_2_levels_are_not_mixed():
    dice = lambda: torch.Generator().manual_seed(1)
    assert torch.equal(MixedSigmas(2.0)(64, dice()), WINDOW_SIGMAS(64, dice()))
    assert not torch.allclose(MixedSigmas(1.5)(64, dice()), WINDOW_SIGMAS(64, dice()))


def test_a_reading_has_both_stages_of_the_same_noise(model):
    prompts = prompts_of_tasks(WINDOW_TASKS, 2)
    reading = measure_stages(model, prompts, 7, shown=3)
    assert reading.step == 7 and reading.draft.n == reading.refined.n == len(prompts)
    both = draw_stages(model, [p.caption for p in prompts])
    assert torch.equal(reading.pictures, both[:, :3]) and not torch.equal(both[0], both[1])


def test_watching_needs_whole_steps():
    with pytest.raises(ValueError, match="every"):
        StageWatch(lambda: None, [], every=0)
