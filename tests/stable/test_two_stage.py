"Two stages: the generator's stable noise, the bill, joint training, and how such a model is used."

import io
import math
import re
import warnings
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from steady import seeded as dice
from tiny import tiny_gan, tiny_pipeline, tiny_two_stage

from t2i_learn import cli
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.settings import make_request
from t2i_learn.core.pipeline import load
from t2i_learn.world.score import evaluate
from t2i_learn.core.show import to_tensor
from t2i_learn.diffusion.bound import normal_kl
from t2i_learn.gan.picture_losses import kl_to_prior
from t2i_learn.gan.networks import Generator
from t2i_learn.gan.text_to_image import TextToImageGAN
from t2i_learn.stable.likelihood import (
    bits_per_dimension,
    discrete_decoder,
    learned_sigma_grid,
    LearnedSchedule,
    Likelihood,
    linear_ramp,
    MonotoneNet,
    nine_gaussians_grid,
)
from t2i_learn.stable.distribution import sample_positive_stable
from t2i_learn.stable.process import nine_gaussians
from t2i_learn.stable.two_stage import (
    DISTILLATION_WEIGHT,
    draft_pretraining_loss,
    elbo_terms,
    fixed_refinement_grid,
    learned_refinement_grid,
    PIXEL_LEVELS,
    refine_draft,
    round_to_levels,
    scale_gradient,
    stable_noise_distribution,
    stable_vectors,
    tiny_two_stage_config,
    TWO_STAGE_ROUNDS,
    TwoStageLosses,
    unfold_resize_convolutions,
)
from t2i_learn.widgets.prompt_box import prompt_box
from t2i_learn.world.captions import CaptionedScenes, load_prompts
from t2i_learn.world.reader import read_scene
from t2i_learn.world.score import check_spec


ALONE, JOINT = TWO_STAGE_ROUNDS["smoke"]


@pytest.fixture(scope="module")
def pipe():
    return tiny_two_stage()


@settings(deadline=None, max_examples=30)
@given(st.floats(1.05, 2.0), st.integers(0, 2**31))
def test_the_divergence_does_not_see_the_stretch(alpha, seed):
    mean, log_variance = torch.randn(2, 5, 6, generator=dice(seed), dtype=torch.float64)
    a = sample_positive_stable(alpha, (5, 1), dice(seed)).double()
    stretched = normal_kl(a.sqrt() * mean, a * log_variance.exp(), torch.zeros(()), a.expand(5, 6)).sum(
        1
    )
    assert torch.allclose(stretched, kl_to_prior(mean, log_variance), rtol=1e-9)


def test_at_alpha_two_the_generators_noise_is_normal():
    u = torch.randn(7, 12, generator=dice(1))
    assert torch.equal(stable_vectors(u, torch.ones(7, 3)), u)
    z = stable_noise_distribution(2.0, 4)((20_000, 8), dice(2))
    assert abs(z.var() - 1) < 0.02


def test_everything_is_finite_under_very_heavy_tails(pipe):
    model = pipe.model
    cond = model.encode(["a red heart", "a star"])
    a = torch.tensor([[1e10, 1.0, 1e-6, 1e4], [1.0, 1e10, 1e10, 1.0]])
    draft = model.draft(torch.randn(2, model.generator.noise, generator=dice(0)), a, cond)
    assert draft.isfinite().all() and draft.abs().max() < 1e3


def test_a_generator_unfolded_into_deconvolutions_draws_the_same():
    torch.manual_seed(0)
    settings = {"noise": 8, "context": 16, "widths": (16, 16, 8), "attention_blocks": 0, "style": 16}
    folded, free = Generator(**settings), Generator(**settings, upsampler="deconvolution")
    free.load_state_dict(unfold_resize_convolutions(folded))
    cond = tiny_gan().model.encode(["a star"] * 3)
    cond.pooled = cond.pooled[:, :16]
    z = torch.randn(3, 8, generator=dice(1))
    assert torch.allclose(folded(z, cond), free(z, cond), atol=1e-5)


def test_a_picture_does_not_depend_on_its_batch(pipe):
    four = pipe(
        "a red heart", num_images_per_prompt=4, seed=1, num_inference_steps=3, output_type="pt"
    ).images
    third = pipe("a red heart", seed=1, first=2, num_inference_steps=3, output_type="pt").images
    assert four.shape == (4, 3, 32, 32) and (four[2:3] - third).abs().max() < 1e-3
    assert (four[0] - four[1]).abs().max() > 0.01, "other noise, another picture"


def test_states_are_a_draft_and_the_steps(pipe):
    states = list(pipe.trajectory("a star", seed=3, num_inference_steps=3))
    assert [s.step for s in states] == [0, 1, 2, 3] and states[1].sigma.shape == (1, 1, 32, 32)
    assert torch.equal(
        states[-1].x0_hat, pipe("a star", seed=3, num_inference_steps=3, output_type="pt").images
    )
    levels = torch.stack([s.sigma.flatten() for s in states[1:]])
    assert (levels.diff(dim=0) < 0).all(), "down, at every pixel"


LOW_STARTS = (1e-30, 1e-9, 0.001, 0.0099)


@pytest.mark.parametrize("alpha", [1.01, 1.8])
@pytest.mark.parametrize("level", [0.01, 0.05, 1000.0])
def test_a_draft_is_taken_up_at_any_level_that_can_be_seen(pipe, level, alpha):
    drawn = pipe(
        "a star", seed=3, num_inference_steps=3, alpha=alpha, refine_from=level, output_type="pt"
    )
    assert drawn.images.isfinite().all()


def test_settings_that_make_no_sense_are_turned_down(pipe):
    for setting, words in (
        ({"alpha": 1.0}, "alpha"),
        ({"alpha": 2.5}, "alpha"),
        ({"refine_from": -1.0}, "refine_from"),
        *(({"refine_from": v}, "refine_from must be 0, .* or at least 0.01") for v in LOW_STARTS),
        ({"sampler": "heun"}, "ddim"),
    ):
        with pytest.raises(ValueError, match=words):
            pipe("a star", **setting)
    for other in (tiny_pipeline(), tiny_gan()):
        with pytest.raises(ValueError, match=r"no setting '?alpha"):
            other("a star", alpha=1.8, refine_from=1.0)


def test_settings_are_reported(pipe):
    drawn = pipe("a star", seed=1, num_inference_steps=1, alpha=1.5, refine_from=0.3)
    assert drawn.settings["alpha"] == 1.5 and drawn.settings["refine_from"] == 0.3
    assert "alpha" not in tiny_pipeline()("a star", seed=1, num_inference_steps=1).settings


def test_saved_loaded_and_on_the_command_line_it_draws_the_same(pipe, tmp_path, capsys):
    pipe.save_pretrained(tmp_path / "mine")
    again = load(str(tmp_path / "mine"))
    ask = {"seed": 1, "num_inference_steps": 2, "output_type": "pt"}
    assert torch.equal(again("two blue heart", **ask).images, pipe("two blue heart", **ask).images)
    command = [
        "generate",
        "a heart",
        "--model",
        str(tmp_path / "mine"),
        "--steps",
        "2",
        "--seed",
        "1",
        "--out",
        str(tmp_path / "a.png"),
    ]
    with pytest.raises(SystemExit) as ended:
        cli.app([*command, "--set", "alpha=2", "--set", "refine_from=0.5"])
    assert ended.value.code == 0 and (tmp_path / "a.png").is_file()
    with pytest.raises(SystemExit) as ended:
        cli.app([*command, "--set", "refine_from=-1"])
    assert ended.value.code == 2
    assert re.search(
        "refine.from must be a number, at least 0", " ".join(capsys.readouterr().err.split())
    )


def test_it_is_scored_like_every_model(pipe):
    report = evaluate(pipe, 1, ("validation",), num_inference_steps=2, refine_from=1.0, alpha=2.0)
    assert report["steps"] == 2 and 0 <= report["seen"]["mean"] <= 1


def test_the_prompt_box_draws_with_it(pipe):
    box = prompt_box(pipe, "a red heart", num_images_per_prompt=1, num_inference_steps=2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            box.draw().background.wait()
        assert "Done" in box.fields.status.value and len(box.pictures) == 1
    finally:
        box.close()


def test_a_bill_without_a_generators_help_is_the_bound_of_the_diffusion():
    cells = nine_gaussians_grid(nine_gaussians())

    class Idle:
        sizes, draft_std = 1, torch.tensor(1 / 3)

        def __init__(self):
            self.generator, self.clock, self.config = (
                self,
                LearnedSchedule(-8.0, -3.0),
                {"noise": {"alpha": 2.0, "kind": "isotropic"}},
            )

        def noise_encoder(self, x, cond):
            return torch.zeros(len(x), 2), torch.zeros(len(x), 2)

        def draft(self, u, a, cond):
            return torch.zeros(len(u), 2)

        def likelihood(self, decoder, gradient_scale=1.0):
            return Likelihood(cells.denoise, self.clock, decoder, 16, std=1 / 3)

    x, idle, decoder = cells.sample(3000, dice(0)), Idle(), discrete_decoder(cells.values)
    items = elbo_terms(idle, x, None, dice(1), decoder, full_path=True)
    bits = bits_per_dimension(sum(items.values()), 2)
    plain = bits_per_dimension(idle.likelihood(decoder).full_path(x, generator=dice(2)).total, 2)
    assert items["noise"].eq(0).all()
    assert abs(bits.mean() - plain.mean()) < 4 * (bits.std() + plain.std()) / len(x) ** 0.5
    assert bits.mean() > cells.entropy_bits, "a bound stays above the truth"


def test_one_step_changes_generator_denoiser_and_coefficient():
    duel, _ = JOINT.learner(init=ALONE.pretrain())
    before = {name: p.clone() for name, p in duel.model.named_parameters()}
    duel.fit(1)
    moved = {
        name.split(".")[0]
        for name, p in duel.model.named_parameters()
        if not torch.equal(p, before[name])
    }
    assert {
        "generator",
        "denoiser",
        "learned_schedule",
        "noise_encoder",
        "encoder",
        "discriminator",
    } <= moved


def test_the_bill_teaches_generator_denoiser_and_coefficient_by_itself():
    model, batch = ALONE.pretrain(), CaptionedScenes(4, seed=1)(0)
    pictures = round_to_levels(batch.pictures)
    sum(
        elbo_terms(
            model, pictures, model.encode(batch.captions), dice(0), discrete_decoder(PIXEL_LEVELS, 16)
        ).values()
    ).mean().backward()
    for name in (
        "generator.start.weight",
        "noise_encoder.out.weight",
        "denoiser.network.stem.weight",
        "learned_schedule.high",
        "learned_schedule.low",
        "log_draft_std",
    ):
        grad = model.get_parameter(name).grad
        assert grad is not None and grad.isfinite().all()
    assert (
        model.learned_schedule.high.grad.abs() > 0 and model.generator.start.weight.grad.abs().max() > 0
    )


def test_a_teacher_pulls_drafts_to_its_own_pictures_and_learns_nothing():
    gan = TextToImageGAN(
        tiny_two_stage_config()
        | {"generator": tiny_two_stage_config()["generator"] | {"upsampler": "upsample"}}
    ).requires_grad_(False)
    model, batch = ALONE.pretrain(), CaptionedScenes(4, seed=1)(0)
    alone, _ = draft_pretraining_loss(model, batch, dice(0))
    loss, facts = draft_pretraining_loss(model, batch, dice(0), teacher=gan)
    assert (loss - alone).item() == pytest.approx(
        DISTILLATION_WEIGHT * facts["distillation"], rel=1e-4
    ) and facts["distillation"] > 0
    loss.backward()
    assert model.generator.start.weight.grad.abs().max() > 0 and all(
        p.grad is None for p in [*gan.parameters(), *model.denoiser.parameters()]
    )


@pytest.mark.trains
def test_a_training_goes_on_where_it_was_stopped(tmp_path):
    beginner = ALONE.pretrain()
    straight, _ = JOINT.learner(init=beginner)
    straight.fit(4)
    halted, _ = JOINT.learner([Checkpoint(tmp_path / "a.safetensors", 2)], init=beginner)
    for loop in halted.run(4):
        if loop.step == 2:
            break
    resumed, _ = JOINT.learner([Checkpoint(tmp_path / "a.safetensors", 2)], init=beginner)
    resumed.fit(4)
    assert all(
        torch.equal(a, b) for a, b in zip(straight.model.parameters(), resumed.model.parameters())
    )


def test_the_judge_sees_pictures_under_the_noise_of_the_upper_end():
    losses, model = TwoStageLosses(noise_config={"alpha": 2.0, "kind": "pixelwise"}), ALONE.pretrain()
    flat = torch.zeros(64, 3, 32, 32)
    seen = losses.discriminator_view(model, flat, dice(0))
    expected = float(model.learned_schedule.high.detach().exp()) + 0.05**2
    assert abs(seen.var() - expected) < 0.02 * expected


def test_levels_are_those_of_eight_bits():
    pictures = torch.rand(2, 3, 4, 4, generator=dice(0)) * 2 - 1
    rounded = round_to_levels(pictures)
    assert (rounded - pictures).abs().max() <= 1 / 255 + 1e-6 and torch.equal(
        round_to_levels(rounded), rounded
    )
    assert torch.isin(((rounded + 1) * 127.5).round(), torch.arange(256.0)).all()


@pytest.mark.parametrize("alpha", [2.0, 1.8])
def test_true_pictures_come_back_from_refinement_with_what_they_show(alpha):
    pipe, prompts = (
        load("shapes-stable"),
        [p for p in load_prompts("validation", 12) if p.task in ("single", "color", "two", "count")],
    )
    truth = torch.stack([to_tensor(Image.open(io.BytesIO(p.picture))) for p in prompts])
    request = make_request(
        pipe.model.config,
        [p.caption for p in prompts],
        seed=0,
        alpha=alpha,
        refine_from=0.5,
        num_inference_steps=6,
        guidance_scale=1.0,
    )
    with torch.no_grad():
        *_, ended = refine_draft(
            pipe.model, request, pipe.model.encode(list(request.prompts)), truth, draft_std=0.0
        )
    scenes = [[read_scene(picture) for picture in pictures] for pictures in (truth, ended.x0_hat)]
    assert all(check_spec(p.spec, scene)[0] for p, scene in zip(prompts, scenes[0]))
    assert sum(check_spec(p.spec, scene)[0] for p, scene in zip(prompts, scenes[1])) >= 0.9 * len(
        prompts
    )
    for attribute in (
        lambda s: [t.shape for t in s.things],
        lambda s: [t.color for t in s.things],
        lambda s: [s.background],
        lambda s: [len(s.things)],
    ):
        before, after = (
            Counter(value for scene in side for value in attribute(scene)) for side in scenes
        )
        assert all(
            abs(before[value] - after[value]) <= 2 * before[value] ** 0.5 + 1 for value in before | after
        ), "within sampling error"


def test_smallest_is_small():
    assert (
        sum(p.numel() for p in ALONE.pretrain().parameters()) < 1e6
        and tiny_two_stage_config()["unet"]["sigma_map"]
    )


def test_refinement_goes_down_the_levels_of_the_coefficient(pipe):
    states = list(pipe.trajectory("a star", seed=3, alpha=2.0, refine_from=1.5, num_inference_steps=4))[
        1:
    ]
    visited = torch.stack([s.sigma.flatten()[0] for s in states]).double()
    assert torch.allclose(visited, learned_refinement_grid(pipe.model, 1.5, 4)[:-1].double(), rtol=1e-4)
    other = fixed_refinement_grid(pipe.model, 1.5, 4)
    assert (
        abs(other[0] - 1.5) < 1e-3
        and other[-1] == 0
        and not torch.allclose(visited, other[:-1].double(), rtol=0.05)
    )
    assert learned_refinement_grid(pipe.model, 1e9, 4)[0] == pytest.approx(
        float(pipe.model.schedule.sigma(pipe.model.schedule.t_max)), rel=1e-3
    )


@settings(deadline=None, max_examples=30)
@given(st.floats(1e-4, 50.0), st.integers(1, 30), st.booleans())
def test_levels_of_a_coefficient_fall_from_where_they_are_asked_to(top, steps, straight):
    schedule = LearnedSchedule(-9.0, 2.0, linear_ramp if straight else MonotoneNet())
    levels = learned_sigma_grid(schedule, top, steps)
    assert (
        levels.shape == (steps + 1,)
        and levels[0] == pytest.approx(top, rel=1e-4)
        and levels[-1] == 0
        and (levels.diff() <= 0).all()
    )
    if straight and top > 1:
        assert torch.allclose(
            levels[:-1].log().double(),
            torch.linspace(math.log(top), -4.5, steps + 1).double()[:-1],
            atol=1e-4,
        )


@given(st.floats(0.0, 1.0))
def test_softly_changes_gradients_and_not_answers(felt):
    y = torch.tensor([2.0], requires_grad=True)
    answer = scale_gradient(lambda y, sigma, cond: y**3, felt)(y, torch.ones(1))
    answer.sum().backward()
    assert answer.item() == 8 and y.grad.item() == pytest.approx(12 * felt, abs=1e-5)
