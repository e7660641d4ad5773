"Networks and their conditions: what each reads, and what it says when that is missing."

from dataclasses import replace
from functools import partial

import pytest
import torch

from steady import no_deadline, seeded
from t2i_learn.text.encoder import Condition
from t2i_learn.diffusion.unet import SigmaEmbedding, UNet
from t2i_learn.diffusion.text_to_image import TextToImageDiffusion
from t2i_learn.diffusion.dit import DiT, TextToImageDiT

no_deadline()


@pytest.mark.parametrize("model_class", [TextToImageDiffusion, TextToImageDiT])
def test_a_denoiser_can_be_trained_on_words_that_stay_as_they_are(model_class):
    model = model_class()
    cond = model.encode(["a red heart", "two stars"]).map(torch.Tensor.detach)
    model(
        torch.randn(2, 3, 32, 32, generator=seeded(0)), torch.tensor([0.5, 2.0]), cond
    ).square().mean().backward()
    moved = [p.grad for p in model.denoiser.parameters() if p.grad is not None]
    assert moved and all(grad.isfinite().all() for grad in moved)
    assert all(p.grad is None for p in [*model.encoder.parameters(), *model.planner.parameters()])


@pytest.mark.parametrize("model_class", [TextToImageDiffusion, TextToImageDiT])
def test_a_network_that_wants_a_layout_says_so(model_class):
    model = model_class()
    with pytest.raises(ValueError, match="reads a layout, and the condition has none"):
        model(torch.zeros(1, 3, 32, 32), torch.ones(1), replace(model.encode(["a star"]), layout=None))


LAYOUT = 16  # channels


def condition(layout=LAYOUT, context=32):
    g = seeded(1)
    plan = torch.randn(2, layout, 8, 8, generator=g) if layout else None
    words = torch.randn(2, 5, context, generator=g)
    return Condition(words, torch.tensor([[True] * 5, [True] * 3 + [False] * 2]), words[:, 0], plan)


NETWORKS = {
    "U-Net": partial(UNet, widths=(16, 32), blocks=1, depth=1, heads=2, context=32),
    "U-Net with a map of levels": partial(
        UNet, widths=(16, 32), blocks=1, depth=1, heads=2, context=32, sigma_map=True, add_skips=True
    ),
    "DiT": partial(DiT, patch=8, width=32, depth=1, heads=2, context=32),
}


def awake(network):
    "The network with every weight moved, so that no layer that starts at zero hides another."
    g = seeded(2)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=g, dtype=torch.float32).to(
            parameter
        )
    return network


@torch.no_grad()
def answer(network, cond):
    "Its output for a picture, at two levels, all in float32."
    x = torch.randn(2, 3, 32, 32, generator=seeded(3), dtype=torch.float32)
    return network(x, torch.tensor([0.5, 2.0], dtype=torch.float32).view(-1, 1, 1, 1), cond)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_input_is_a_switch(name):
    torch.manual_seed(0)
    cond = condition()
    full = awake(NETWORKS[name](layout=LAYOUT))
    plain = answer(full, cond)
    for changed in (
        {"layout": cond.layout.flip(-1)},
        {"pooled": -cond.pooled},
        {"context": -cond.context},
    ):
        assert not torch.allclose(answer(full, replace(cond, **changed)), plain, atol=1e-4), changed
    blind = awake(NETWORKS[name](layout=0, pooled=False))
    assert blind.pooled_proj is None and not [
        key for key in blind.state_dict() if "layout" in key or "pooled" in key
    ]
    only_words = answer(blind, replace(cond, layout=None))
    assert torch.equal(answer(blind, replace(cond, pooled=-cond.pooled)), only_words)
    assert not torch.allclose(
        answer(blind, replace(cond, context=-cond.context)), only_words, atol=1e-4
    ), "words are always read"


@pytest.mark.parametrize("name", NETWORKS)
def test_a_missing_layout_is_named(name):
    with pytest.raises(ValueError, match="This network reads a layout, and the condition has none"):
        answer(NETWORKS[name](layout=LAYOUT), condition(layout=0))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_networks_compute_in_the_dtype_of_their_weights(name, dtype, default):
    torch.manual_seed(0)
    network, cond = awake(NETWORKS[name](layout=LAYOUT)), condition()
    expected = answer(network, cond)
    torch.set_default_dtype(default)
    try:
        found = answer(network.to(dtype), cond)
        built_now = answer(NETWORKS[name](layout=LAYOUT).to(dtype), cond)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == built_now.dtype == dtype
    assert torch.allclose(found.float(), expected, atol=0.2 if dtype == torch.bfloat16 else 1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_level_is_embedded_in_the_dtype_of_the_weights(dtype):
    torch.manual_seed(0)
    embed = SigmaEmbedding(16)
    for sigma in (
        torch.tensor([1, 5]),
        torch.tensor([1.0, 5.0]),
        torch.tensor([1.0, 5.0], dtype=torch.float64),
    ):
        expected = embed.float()(torch.tensor([1.0, 5.0]))
        found = embed.to(dtype)(sigma)
        assert found.dtype == dtype and torch.allclose(
            found.float(), expected, atol=2e-2 if dtype == torch.bfloat16 else 1e-5
        )
