"Properties of the GAN's networks that a notebook has no room for."

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from t2i_learn.gan.networks import (
    UPSAMPLERS,
    Discriminator,
    NoiseEncoder,
    Generator,
    PatchDiscriminator,
    CrossAttentionBlock,
    UpsampleConv,
    checkerboard_share,
    kernel_overlap,
    spectral_norm,
    direction_and_log_norm,
    fused_upsample_kernel,
    append_minibatch_std,
)
from t2i_learn.text.encoder import Condition

patient = settings(deadline=None, max_examples=40)  # a busy machine is not a failure
SMALL = {"context": 16, "widths": (16, 16, 8), "style": 24, "heads": 2}
JUDGE = {"context": 16, "features": 24, "widths": (8, 16), "heads": 2}


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def captions(batch, length=5, seed=1):
    "Made-up words, of which the last of every second caption is padding."
    words = noise(batch, length, 16, seed=seed)
    mask = torch.ones(batch, length, dtype=torch.bool)
    mask[::2, -1] = False
    return Condition(words, mask, words[:, 0])


def seeded(make, seed=0):
    torch.manual_seed(seed)
    return make()


@patient
@given(st.integers(1, 7), st.integers(1, 6), st.integers(1, 4), st.data())
def test_overlap_is_what_a_transposed_convolution_does_to_ones(side, kernel, stride, data):
    padding = data.draw(st.integers(0, (kernel - 1) // 2))
    painted = F.conv_transpose2d(
        torch.ones(1, 1, side, side), torch.ones(1, 1, kernel, kernel), stride=stride, padding=padding
    )
    assert torch.equal(painted[0, 0].long(), kernel_overlap(side, kernel, stride, padding))


@patient
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))
def test_the_folded_layer_equals_resize_and_convolution_with_its_gradient(
    inputs, outputs, height, width
):
    x, weight = noise(2, inputs, height, width), noise(outputs, inputs, 3, 3, seed=1).requires_grad_()
    fold = F.conv_transpose2d(x, fused_upsample_kernel(weight), stride=2, padding=1)
    plain = F.conv2d(F.interpolate(x, scale_factor=2.0), weight, padding=1)
    assert torch.allclose(fold, plain, atol=1e-5)
    ours, theirs = (torch.autograd.grad(y.pow(2).sum(), weight)[0] for y in (fold, plain))
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("upsampler", UPSAMPLERS)
def test_up_doubles_and_has_the_weights_of_its_upsampler(upsampler):
    layer = UpsampleConv(3, 5, upsampler)
    assert layer(noise(2, 3, 4, 6)).shape == (2, 5, 8, 12)
    assert layer.layer.weight.numel() == 3 * 5 * {"upsample": 9, "deconvolution": 16}[upsampler]


def test_an_unknown_upsampler_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="Known: deconvolution, upsample"):
        UpsampleConv(3, 3, "bicubic")


def test_checkerboard_sees_grids_and_nothing_else():
    grid = torch.zeros(2, 1, 8, 8)
    grid[..., ::2, ::2] = 1
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    assert torch.allclose(checkerboard_share(grid), torch.ones(2)) and checkerboard_share(ramp) < 1e-3
    assert checkerboard_share(grid[:1] + 3 * noise(1, 1, 8, 8)) < 0.5


@patient
@given(st.floats(-18, 18), st.integers(1, 40))
def test_split_noise_keeps_direction_and_tells_the_length(power, width):
    z = F.normalize(noise(3, width), dim=1)
    split = direction_and_log_norm(10.0**power * z)
    assert torch.allclose(split[:, :-1], width**0.5 * z, atol=1e-4)
    assert torch.allclose(
        split[:, -1], torch.log1p(torch.tensor(10.0**power)).expand(3), rtol=1e-4, atol=1e-6
    )


def test_split_noise_has_a_finite_gradient_at_zero():
    z = torch.zeros(2, 8, requires_grad=True)
    direction_and_log_norm(z).sum().backward()
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("upsampler", UPSAMPLERS)
@pytest.mark.parametrize("length", [0.0, 1.0, 1e5, 1e30])
def test_the_generator_stays_finite_for_noise_of_any_length(upsampler, length):
    model = seeded(lambda: Generator(8, upsampler=upsampler, **SMALL))
    z = (length * F.normalize(noise(2, 8), dim=1)).requires_grad_()
    picture = model(z, captions(2))
    picture.square().mean().backward()
    assert picture.shape == (2, 3, 16, 16) and model.side == 16
    assert torch.isfinite(picture).all() and picture.abs().max() < 30
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_activations_are_finite_everywhere_at_a_norm_of_1e5():
    model, seen = seeded(lambda: Generator(8, **SMALL)), []
    for layer in model.modules():
        layer.register_forward_hook(lambda layer, given, out: seen.append(out.abs().max().item()))
    model(1e5 * F.normalize(noise(2, 8), dim=1), captions(2))
    assert len(seen) > 20 and max(seen) < 100


def test_one_noise_for_all_sizes_or_one_for_each():
    model, z, cond = seeded(lambda: Generator(8, **SMALL)), noise(2, 8), captions(2)
    assert torch.equal(model([z, z, z], cond), model(z, cond))
    fine = model([z, z, noise(2, 8, seed=5)], cond)
    assert not torch.equal(fine, model(z, cond))
    first, second = (list(model.pyramid(part, cond))[1] for part in (z, [z, z, noise(2, 8, seed=5)]))
    assert torch.equal(first, second)  # the last noise comes in at the last size
    with pytest.raises(ValueError, match="shorter"):
        model([z, z], cond)


def test_a_generator_of_four_sizes_draws_at_32():
    model = seeded(lambda: Generator(8, 16, (16, 16, 8, 8), attention_blocks=0, style=24))
    assert [p.shape[-1] for p in model.pyramid(noise(1, 8), captions(1))] == [4, 8, 16, 32]


def test_rows_do_not_leak_and_padding_does_not_count():
    cond = captions(3)
    model, judge, inverse = seeded(
        lambda: (Generator(8, **SMALL), Discriminator(**JUDGE), NoiseEncoder(8, **JUDGE))
    )
    z, pictures = noise(3, 8), noise(3, 3, 16, 16)
    assert torch.allclose(model(z, cond)[1:2], model(z[1:2], cond[1:2]), atol=1e-5)
    assert torch.allclose(model(z, cond), model(z, cond.pad_to(9)), atol=1e-5)
    assert torch.allclose(judge(pictures, cond)[1:2], judge(pictures[1:2], cond[1:2]), atol=1e-5)
    assert torch.allclose(judge(pictures, cond), judge(pictures, cond.pad_to(9)), atol=1e-5)
    assert torch.allclose(inverse(pictures, cond)[0], inverse(pictures, cond.pad_to(9))[0], atol=1e-5)


def test_reading_has_second_derivatives_whatever_the_length_of_the_caption():
    attention = seeded(lambda: CrossAttentionBlock(8, 16, 2, 16, 16))
    h = noise(2, 16, 8, 8).requires_grad_()
    cond = captions(2, length=40)  # 64 × 40 is more than attention does by plain products
    (gradient,) = torch.autograd.grad(
        attention(h, cond.pooled, cond).square().sum(), h, create_graph=True
    )
    gradient.square().sum().backward()
    assert h.grad is not None and torch.isfinite(h.grad).all() and h.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "make", [lambda: nn.Linear(9, 7), lambda: nn.Conv2d(3, 6, 3), lambda: nn.ConvTranspose2d(3, 6, 4)]
)
def test_spectral_norm_is_torchs_through_a_training(make):
    ours, theirs = (
        seeded(lambda wrap=wrap: wrap(make()))
        for wrap in (spectral_norm, nn.utils.parametrizations.spectral_norm)
    )
    x = noise(4, 9) if isinstance(ours, nn.Linear) else noise(2, 3, 6, 6)
    for layer in (ours, theirs):
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            (layer(x) - 1).square().mean().backward()
            optimizer.step()
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)
    for ours_p, theirs_p in zip(ours.parameters(), theirs.parameters()):
        assert torch.allclose(ours_p, theirs_p, atol=1e-6)


def test_spectral_norm_rests_in_evaluation_and_survives_saving_and_copying():
    layer = seeded(lambda: spectral_norm(nn.Linear(9, 7)))
    state = layer.state_dict()
    vectors = {name for name in state if name.endswith((".u", ".v"))}
    assert len(vectors) == 2
    layer.eval()
    before = {name: state[name].clone() for name in vectors}
    layer(noise(2, 9))
    assert all(torch.equal(layer.state_dict()[name], before[name]) for name in vectors)
    other = spectral_norm(nn.Linear(9, 7)).eval()
    other.load_state_dict(state)
    assert torch.equal(other(noise(2, 9)), layer(noise(2, 9))) and torch.equal(
        copy.deepcopy(layer)(noise(2, 9)), layer(noise(2, 9))
    )


def test_two_passes_before_a_backward_do_not_disturb_each_other():
    layer = seeded(lambda: spectral_norm(nn.Linear(9, 7)))
    (layer(noise(2, 9)).sum() + layer(noise(2, 9, seed=1)).square().sum()).backward()
    assert torch.isfinite(layer.parametrizations.weight.original.grad).all()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"attention_blocks": 0},
        {"attention_blocks": 2},
        {"use_spectral_norm": True},
        {"minibatch_group": 2},
    ],
)
def test_discriminators_answer_with_one_number_and_hear_the_caption(options):
    judge, cond = seeded(lambda: Discriminator(**JUDGE, **options)).eval(), captions(4)
    pictures = noise(4, 3, 16, 16)
    logits = judge(pictures, cond)
    assert logits.shape == (4,) and torch.isfinite(logits).all()
    assert not torch.allclose(logits, judge(pictures, cond[[1, 2, 3, 0]]), atol=1e-4)
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in judge.parameters())


@pytest.mark.parametrize("widths", [(4, 8), (4, 4, 8)])
def test_a_place_of_the_judge_of_patches_sees_its_surroundings_only(widths):
    judge, pictures = seeded(lambda: PatchDiscriminator(widths)), noise(2, 3, 32, 32).requires_grad_()
    side, logits = 32 // 2 ** (len(widths) - 1), judge(pictures)
    assert logits.shape == (2, side**2)
    middle = side // 2 * (side + 1)
    (gradient,) = torch.autograd.grad(logits[0, middle], pictures)
    seen = gradient[0].abs().amax(0).nonzero()
    assert (
        gradient[1].abs().max() == 0
        and (seen.amax(0) - seen.amin(0) + 1).tolist() == {(4, 8): [10, 10], (4, 4, 8): [20, 20]}[widths]
    )


def test_spread_is_of_groups():
    h = noise(4, 3, 2, 2)
    h[2:] = h[2]
    spread = append_minibatch_std(h, 2)[:, -1, 0, 0]
    assert spread[0] == spread[1] > 0.1 and torch.allclose(spread[2:], torch.full((2,), 1e-3), atol=1e-4)
    assert append_minibatch_std(h[:3], 2).shape == (3, 4, 2, 2)


@pytest.mark.parametrize("upsampler", UPSAMPLERS)
def test_bf16_draws_about_the_same(upsampler):
    model, z, cond = seeded(lambda: Generator(8, upsampler=upsampler, **SMALL)), noise(2, 8), captions(2)
    exact = model(z, cond)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.to(memory_format=torch.channels_last)(z, cond)
    assert (rough.float() - exact).abs().mean() < 0.03 * exact.std() + 0.03


def test_the_encoder_is_bounded_in_its_certainty():
    inverse = seeded(lambda: NoiseEncoder(8, **JUDGE))
    mean, log_variance = inverse(1e3 * noise(2, 3, 16, 16), captions(2))
    assert mean.shape == log_variance.shape == (2, 8) and log_variance.abs().max() <= 10


NETWORKS = {
    "generator": lambda: Generator(noise=8, layout=4, **SMALL),
    "discriminator": lambda: Discriminator(layout=4, patches=(8, 8), minibatch_group=4, **JUDGE),
    "spectral": lambda: Discriminator(use_spectral_norm=True, **JUDGE),
    "noise encoder": lambda: NoiseEncoder(noise=8, **JUDGE),
    "patches": lambda: PatchDiscriminator((8, 8)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_network_takes_float32_and_its_own_precision(name, dtype):
    network = seeded(NETWORKS[name]).eval().to(dtype)
    x = noise(2, 8) if name == "generator" else noise(2, 3, 16, 16)
    cond = replace(captions(2), layout=noise(2, 4, 8, 8))
    given_cond = [] if name == "patches" else [cond]
    plain = network(x, *given_cond)
    own = network(
        x.to(dtype),
        *[c.map(lambda part: part.to(dtype) if part.is_floating_point() else part) for c in given_cond],
    )
    for a, b in zip(*(v if isinstance(v, tuple) else (v,) for v in (plain, own))):
        assert a.isfinite().all() and torch.allclose(a.float(), b.float(), atol=0.1, rtol=0.1)
