"Losses of text-to-image GANs: values by hand, gradients by finite differences, fixed points, and what must not move."

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from t2i_learn.gan.picture_losses import (
    AdversarialLosses,
    conditional_critic,
    GANLossConfig,
    kl_to_prior,
    latent_regression_loss,
    matching_aware_gp,
    matching_aware_loss,
    matching_aware_optimum,
    mismatched_captions,
    patch_critic,
    reparameterize,
    TextToImageGANLosses,
    total_gradient_penalty,
)
from t2i_learn.gan.networks import Discriminator, NoiseEncoder, Generator
from t2i_learn.gan.losses import GAN_LOSSES, gradient_norm, r1_penalty, wgan_gp
from t2i_learn.gan.learner import freeze, GANLearner, GANPair
from t2i_learn.text.encoder import TextEncoder
from t2i_learn.text.tokenizer import default_tokenizer
from t2i_learn.world.tasks import Facts, ThingKind
from t2i_learn.world.captions import CaptionedScenes, scene_of
from t2i_learn.world.scenes import BACKGROUNDS, COLORS, SHAPES, Scene, render

patient = settings(deadline=None, max_examples=50)  # a busy machine is not a failure
TOKENIZER = default_tokenizer()


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Tiny(GANPair):
    "A model with all parts, for pictures of 16×16."

    def __init__(self, patches=()):
        torch.manual_seed(0)
        super().__init__(
            Generator(4, 16, (16, 16, 8), attention_blocks=0, style=16),
            Discriminator(16, 16, widths=(8, 16), heads=2, patches=patches),
        )
        self.text = TextEncoder(len(TOKENIZER), 16, 1, 2)
        self.noise_encoder = NoiseEncoder(4, 16, 16, widths=(8, 16), attention_blocks=0)

    def encode(self, captions):
        return self.text(*TOKENIZER(captions))


@pytest.fixture(scope="module")
def batch():
    return CaptionedScenes(8, 16)(0)


# ---------------------------------------------------------------- against the true picture


@pytest.mark.parametrize("seed", range(3))
def test_the_l1_optimum_of_a_caption_is_an_empty_canvas(seed):
    dice = torch.Generator().manual_seed(seed)
    shape, color, background = SHAPES[seed], list(COLORS)[2 * seed], list(BACKGROUNDS)[seed]
    facts = Facts(
        "color", (ThingKind(shape, color),), "{a}", background=background, says_background=True
    )
    pictures = torch.stack([render(scene_of(facts, dice)) for _ in range(120)])
    assert torch.allclose(pictures.median(0).values, render(Scene((), background)), atol=1e-5)
    assert (pictures.mean(0) - render(Scene((), background))).abs().max() > 0.1


@patient
@given(st.integers(1, 6), st.integers(0, 1000))
def test_the_kl_is_torchs_and_zero_only_at_the_prior(width, seed):
    mean, log_variance = noise(3, width, seed=seed), noise(3, width, seed=seed + 1)
    law = torch.distributions.Normal(mean, (log_variance / 2).exp())
    peer = torch.distributions.kl_divergence(law, torch.distributions.Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(kl_to_prior(mean, log_variance), peer, atol=1e-4) and (peer > 0).all()
    assert kl_to_prior(torch.zeros(1, width), torch.zeros(1, width)) == 0


def test_drawn_noise_has_the_law_it_is_drawn_from_and_gradients_to_it():
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, math.log(4)]])
    z = reparameterize(
        mean.expand(20_000, 2), log_variance.expand(20_000, 2), torch.Generator().manual_seed(0)
    )
    assert torch.allclose(z.mean(0), mean[0], atol=0.06) and torch.allclose(
        z.std(0), torch.tensor([1.0, 2.0]), atol=0.06
    )
    inputs = [
        noise(2, 3, dtype=torch.float64).requires_grad_(),
        noise(2, 3, seed=1, dtype=torch.float64).requires_grad_(),
    ]
    assert torch.autograd.gradcheck(
        lambda m, v: reparameterize(m, v, torch.Generator().manual_seed(0)), inputs
    )
    assert torch.autograd.gradcheck(kl_to_prior, inputs)


def test_frozen_gives_back_what_it_took_even_after_an_error():
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    with pytest.raises(RuntimeError, match="on purpose"), freeze(layer.parameters()):
        assert not layer.weight.requires_grad
        raise RuntimeError("on purpose")
    assert layer.weight.requires_grad and not layer.bias.requires_grad


def test_finding_noise_moves_the_pictures_and_not_the_encoder(batch):
    model = Tiny()
    cond = model.encode(batch.captions).map(lambda part: part.detach())
    z = noise(8, 4)
    latent_regression_loss(model.noise_encoder, model.generator(z, cond), z, cond).backward()
    assert all(p.grad is None for p in model.noise_encoder.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.generator.parameters())


# ---------------------------------------------------------------- wrong captions


@patient
@given(st.lists(st.sampled_from("abcde"), min_size=2, max_size=14))
def test_a_wrong_caption_differs_wherever_that_can_be(captions):
    if len(set(captions)) == 1:
        with pytest.raises(ValueError, match="captions of the batch are the same"):
            mismatched_captions(captions)
        return
    index, keep = mismatched_captions(captions)
    n, most = len(captions), max(map(captions.count, captions))
    assert sorted(index.tolist()) == list(range(n))
    assert keep.tolist() == [captions[i] != captions[j] for i, j in enumerate(index.tolist())]
    assert int(keep.sum()) == (n if 2 * most <= n else 2 * (n - most))  # as many as can be


def test_captions_are_compared_as_text():
    with pytest.raises(ValueError, match="use a larger batch"):
        mismatched_captions(["A red  heart", "a red heart "])


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_matching_loss_by_hand_and_by_finite_differences(name):
    real, fake, wrong = (
        torch.tensor([2.0, 0.5, -1.0]),
        torch.tensor([0.3, -2.0, 0.0]),
        torch.tensor([1.0, -1.0, 4.0]),
    )
    keep, game = torch.tensor([True, True, False]), GAN_LOSSES[name]
    soft = lambda x: math.log1p(math.exp(x))
    by_hand = {
        "minimax": lambda r, f: sum(soft(-x) for x in r) / len(r) + sum(map(soft, f)) / len(f),
        "hinge": lambda r, f: (
            sum(max(0, 1 - x) for x in r) / len(r) + sum(max(0, 1 + x) for x in f) / len(f)
        ),
        "wasserstein": lambda r, f: sum(f) / len(f) - sum(r) / len(r),
        "relativistic": lambda r, f: sum(soft(y - x) for x, y in zip(r, f)) / len(r),
    }
    loss = by_hand["minimax" if name == "non-saturating" else name]
    expected = (
        loss(real.tolist(), fake.tolist()) + 0.7 * loss(real[:2].tolist(), wrong[:2].tolist())
    ) / 1.7
    assert abs(matching_aware_loss(game, real, fake, wrong, keep, 0.7) - expected) < 1e-5
    inputs = tuple(noise(4, seed=k, dtype=torch.float64).requires_grad_() for k in range(3))
    assert torch.autograd.gradcheck(
        lambda r, f, w: matching_aware_loss(game, r, f, w, torch.ones(4, dtype=torch.bool)), inputs
    )


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_a_constant_discriminator_stays_where_the_mixture_of_fakes_is_the_truth(name):
    "Two pictures, p = (.8, .2), m = (.6, .4), s = .5: q = 1.5 p - .5 m = (.9, .1). Lists with these shares; no gradient."
    table = torch.zeros(2, requires_grad=True)
    real, fake, wrong = (table[torch.tensor([0] * n + [1] * (20 - n))] for n in (16, 18, 12))
    fakes = torch.cat([fake, fake, wrong])  # 2 : 1 is 1 : s
    pictures = torch.cat([real, real, real])
    GAN_LOSSES[name].d_loss(pictures, fakes).backward()
    assert table.grad is not None and table.grad.abs().max() < 1e-6


laws = st.lists(st.floats(0.05, 1), min_size=4, max_size=4).map(
    lambda v: torch.tensor(v, dtype=torch.float64) / sum(v)
)


@patient
@given(laws, laws, st.floats(0, 3))
def test_the_moved_optimum_is_a_law_and_minimises_the_game(p, mixed, strength):
    q = matching_aware_optimum(p, mixed, strength)
    assert abs(q.sum() - 1) < 1e-9 and (q >= 0).all()
    plain = (1 + strength) * p - strength * mixed
    if (plain >= 0).all():
        assert torch.allclose(q, plain, atol=1e-9)

    def value(law):
        fakes = (law + strength * mixed) / (1 + strength)
        return (torch.xlogy(p, p / (p + fakes)) + torch.xlogy(fakes, fakes / (p + fakes))).sum()

    for other in (
        p,
        mixed,
        torch.full((4,), 0.25, dtype=torch.float64),
        *torch.eye(4, dtype=torch.float64),
    ):
        for step in (1e-3, 0.1, 1.0):  # the value is convex in the law
            assert value(q) <= value((1 - step) * q + step * other) + 1e-12


def test_the_moved_optimum_of_the_example():
    p = torch.tensor([[0.8, 0.2], [0.3, 0.7]], dtype=torch.float64)
    moved = matching_aware_optimum(p, torch.tensor([0.55, 0.45], dtype=torch.float64).expand(2, 2))
    assert torch.allclose(moved[:, 0], torch.tensor([1.0, 0.05], dtype=torch.float64))


# ---------------------------------------------------------------- penalties


def smooth_critic():
    torch.manual_seed(0)
    picture, text = nn.Linear(12, 8), nn.Linear(5, 8)
    return picture, lambda x, pooled: torch.tanh(picture(x.flatten(1)) + text(pooled)).sum(1)


@pytest.mark.parametrize("form", ["code", "paper"])
def test_the_matching_penalty_is_what_finite_differences_say(form):
    layer, critic = smooth_critic()
    x, pooled = noise(6, 3, 2, 2), noise(6, 5, seed=1)

    def value(power=6.0):
        return matching_aware_gp(critic, x, pooled, form, power=power)

    norms = []
    for k, at in enumerate((x, pooled)):
        steps = 0.01 * torch.eye(at[0].numel()).reshape(-1, 1, *at.shape[1:])
        with torch.no_grad():
            sides = [
                torch.stack(
                    [
                        critic(*(at + s * step if j == k else a for j, a in enumerate((x, pooled))))
                        for step in steps
                    ]
                )
                for s in (1, -1)
            ]
        norms.append(((sides[0] - sides[1]) / 0.02).norm(dim=0))
    size = sum(norms) if form == "paper" else torch.stack(norms).norm(dim=0)
    assert torch.allclose(value(), 2 * size.pow(6).mean(), rtol=0.02)
    (gradient,) = torch.autograd.grad(value(2.0), layer.weight)
    before = layer.weight.data[0, 0].item()
    shifted = []
    for step in (1e-2, -1e-2):
        layer.weight.data[0, 0] = before + step
        shifted.append(value(2.0).item())
    assert abs((shifted[0] - shifted[1]) / 2e-2 - gradient[0, 0]) < 0.03 * gradient[0, 0].abs() + 1e-3


def test_penalties_of_a_constant():
    flat = lambda x, pooled=None: torch.full((len(x),), 3.0)
    x = noise(4, 3, 2, 2)
    assert r1_penalty(flat, x) == 0 and wgan_gp(flat, x, x + 1) == 1
    assert (
        matching_aware_gp(flat, x, noise(4, 5)) == matching_aware_gp(flat, x, noise(4, 5), "paper") == 0
    )
    with pytest.raises(ValueError, match="Known: code, paper"):
        matching_aware_gp(flat, x, noise(4, 5), "both")


def test_penalties_of_pictures_are_in_fp32_under_autocast(batch):
    model = Tiny()
    cond = model.encode(batch.captions).map(lambda part: part.detach())
    fake = batch.pictures + 0.2 * noise(8, 3, 16, 16)
    config = GANLossConfig(gradient_penalty=1.0, matching_aware_gp=1.0)
    exact = total_gradient_penalty(config, model.discriminator, batch.pictures, fake, cond)
    with torch.autocast("cpu", torch.bfloat16):
        again = total_gradient_penalty(config, model.discriminator, batch.pictures, fake, cond)
    assert again.dtype == torch.float32 and torch.equal(exact, again) and exact > 0


def test_a_critic_of_pictures_is_the_discriminator_with_its_captions(batch):
    model = Tiny()
    cond = model.encode(batch.captions)
    critic = conditional_critic(model.discriminator, cond)
    assert torch.equal(critic(batch.pictures), model.discriminator(batch.pictures, cond))
    assert torch.equal(critic(batch.pictures, cond.pooled), critic(batch.pictures))
    assert (
        gradient_norm(critic, batch.pictures, cond.pooled.detach())
        .gt(gradient_norm(critic, batch.pictures))
        .all()
    )


# ---------------------------------------------------------------- all of it


@pytest.mark.parametrize("name", GAN_LOSSES)
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_training_with_every_term_moves_both_sides_and_stays_finite(name, precision):
    model = Tiny()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    losses = TextToImageGANLosses(
        GANLossConfig(name, matching_aware_gp=0.1, latent_regression=0.1, penalty_share=0.5)
    )
    learner = GANLearner(
        model, CaptionedScenes(8, 16), losses.d_loss, losses.g_loss, precision=precision
    ).fit(2)
    assert all(math.isfinite(value) for value in learner.metrics.values())
    assert {
        "real",
        "fake",
        "auc",
        "mismatched",
        "penalty",
        "adversarial",
        "reconstruction",
        "kl",
        "latent_regression",
    } <= set(learner.metrics)
    changed = {k.split(".")[0] for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"generator", "discriminator", "text", "noise_encoder"}


def test_the_text_encoder_hears_the_pictures_and_not_the_judge(batch):
    "What the discriminator is told carries no gradient, so that captions are not reworded to please it."
    model = Tiny()
    model.generator.forward = lambda z, cond: batch.pictures + 0 * model.generator.start.bias.sum()
    loss, _ = TextToImageGANLosses(GANLossConfig(reconstruction=0.0)).g_loss(
        model, batch, torch.Generator().manual_seed(0)
    )
    loss.backward()
    assert all(p.grad is None for p in model.text.parameters())


def test_the_same_seed_gives_the_same_losses(batch):
    model, losses = Tiny(), TextToImageGANLosses(GANLossConfig("wasserstein", gradient_penalty=10.0))
    for loss in (losses.d_loss, losses.g_loss):
        first, second = (loss(model, batch, torch.Generator().manual_seed(4))[0] for _ in range(2))
        assert torch.equal(first, second)


def test_another_law_of_noise_reaches_the_generator(batch):
    asked = []
    cauchy = lambda shape, generator: (
        asked.append(shape) or noise(*shape) / noise(shape[0], 1, seed=1).abs()
    )
    loss, _ = AdversarialLosses(GANLossConfig(), noise_distribution=cauchy).d_loss(
        Tiny(), batch, torch.Generator().manual_seed(0)
    )
    assert asked == [(8, 4)] and torch.isfinite(loss)


def test_without_wrong_captions_a_batch_may_say_the_same(batch):
    same = SimpleNamespace(pictures=batch.pictures, captions=["a red heart"] * 8, examples=[])
    with pytest.raises(ValueError, match="all 8 captions"):
        AdversarialLosses(GANLossConfig()).d_loss(Tiny(), same)
    loss, metrics = AdversarialLosses(GANLossConfig(mismatched=0.0)).d_loss(Tiny(), same)
    assert torch.isfinite(loss) and "mismatched" not in metrics


def test_an_unknown_gan_loss_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="there is no GAN loss 'chess': Known: hinge"):
        TextToImageGANLosses(GANLossConfig("chess"))


@pytest.mark.parametrize("name", ["relativistic", "hinge", "non-saturating"])
def test_the_judge_of_patches_plays_the_same_game_at_every_place(name, batch):
    model, config = (
        Tiny(patches=(4, 8)),
        GANLossConfig(name, patches=0.7, gradient_penalty=0.0, reconstruction=0.0),
    )
    cond, dice = model.encode(batch.captions).map(torch.Tensor.detach), torch.Generator().manual_seed(0)
    fake = model.generator(
        TextToImageGANLosses(config).sample_noise(model, batch.pictures, dice), cond
    ).float()
    real, made = (model.discriminator.patch_discriminator(x) for x in (batch.pictures, fake))
    assert real.shape == (len(batch.pictures), 64)
    for side in ("d_loss", "g_loss"):
        whole, both = (
            getattr(TextToImageGANLosses(t), side)(model, batch, torch.Generator().manual_seed(0))[0]
            for t in (replace(config, patches=0.0), config)
        )
        assert (both - whole).item() == pytest.approx(
            0.7 * getattr(GAN_LOSSES[name], side)(real, made).item(), abs=1e-5
        )


def test_the_slope_of_patches_is_about_that_of_one_patch():
    torch.manual_seed(0)
    judge = Discriminator(8, 16, widths=(8, 16), attention_blocks=0, patches=(8, 16))
    pictures = noise(3, 3, 32, 32).requires_grad_()
    together = (2 * r1_penalty(patch_critic(judge), pictures)).sqrt().item()
    places = [
        torch.autograd.grad(judge.patch_discriminator(pictures)[:, k].sum(), pictures)[0]
        for k in range(17, 240, 31)
    ]
    alone = torch.stack([g.square().flatten(1).sum(1).mean() for g in places]).mean().sqrt().item()
    assert 0.4 < together / alone < 2.5, (
        "neither 16 times as large, as a sum of 256 places, nor 16 times as small, as their mean"
    )


def test_a_judge_of_patches_that_is_not_there_or_not_held_is_refused(batch):
    with pytest.raises(
        ValueError, match="needs a patch discriminator: give the discriminator `patches`"
    ):
        TextToImageGANLosses(GANLossConfig(patches=1.0)).d_loss(
            Tiny(), batch, torch.Generator().manual_seed(0)
        )
    with pytest.raises(
        ValueError, match="the wasserstein loss has no penalty that holds a patch discriminator"
    ):
        TextToImageGANLosses(GANLossConfig("wasserstein", patches=1.0))
