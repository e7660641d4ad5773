"How fast a model learns: what a probe swaps and measures, Muon for filters, and a model that begins without attention."

import copy

import pytest
import torch
from tiny import SMALL

from t2i_learn.core.training import CombinedOptimizer
from t2i_learn.diffusion.speed import (
    error_rises,
    FilterMuon,
    muon_for_filters,
    orthogonalize,
    SummedWordsDiffusion,
    swap_probe,
    zero_blocks,
)
from t2i_learn.diffusion.text_to_image import DIFFUSION_MODEL_CONFIG, TextToImageDiffusion
from t2i_learn.world.scenes import COLORS, SHAPES

CONFIG = DIFFUSION_MODEL_CONFIG | {name: SMALL[name] for name in ("text", "layout", "unet")}


def words_of(captions, of):
    return [[word for word in caption.split() if word in of] for caption in captions]


def test_a_probe_swaps_one_word_and_leaves_the_others():
    probe = swap_probe("position", 70)
    assert probe.pictures.shape == (70, 3, 32, 32)
    assert {*probe.swapped} == {"shape", "color", "attribution", "position"}
    colors, shapes = words_of(probe.captions, COLORS), words_of(probe.captions, SHAPES)
    for kind, captions in probe.swapped.items():
        assert len(captions) == 70 and not any(map(str.__eq__, captions, probe.captions))
        assert (words_of(captions, SHAPES) == shapes) == (kind != "shape")
        assert (words_of(captions, COLORS) == colors) == (kind in ("shape", "position"))
    exchanged = words_of(probe.swapped["attribution"], COLORS)
    assert exchanged == [own[::-1] for own in colors]


def test_a_probe_is_always_the_same_and_a_smaller_one_has_the_same_pictures():
    probe, again, fewer = swap_probe("color", 9), swap_probe("color", 9), swap_probe("color", 5)
    assert torch.equal(probe.pictures, again.pictures) and probe.swapped == again.swapped
    assert torch.equal(probe.pictures[:5], fewer.pictures) and probe.captions[:5] == fewer.captions
    other = swap_probe("color", 9, seed=1)
    assert other.captions != probe.captions


@pytest.mark.parametrize(("task", "window"), [("color", (16, 16)), ("position", (32, 16))])
def test_a_probe_of_windows_shows_the_middle(task, window):
    width, height = window
    assert swap_probe(task, 3, window=window).pictures.shape == (3, 3, height, width)


class Known:
    "A denoiser that is off by 0.1 with the true captions, by 0.2 with any other, and notes what it was shown."

    def __init__(self, probe):
        self.probe = probe
        self.seen = []

    def encode(self, captions):
        return captions

    def __call__(self, y, sigma, cond):
        self.seen.append(y)
        first = 64 * (len(self.seen) - 1) % 128
        own = slice(first, first + len(y))
        off = [0.1 if caption in self.probe.captions else 0.2 for caption in cond]
        return self.probe.pictures[own] + torch.tensor(off).view(-1, 1, 1, 1)


def test_the_rise_is_that_of_known_errors_with_the_same_noise():
    probe = swap_probe("color", 70)
    known = Known(probe)
    rises = error_rises(known, probe, 2.0)
    assert rises.keys() == probe.swapped.keys()
    for rise in rises.values():
        assert 2.5 < rise < 3.01, (
            "an error of 0.04 in the place of 0.01, but where a false caption is true of another"
        )
    first, last = known.seen[0::2], known.seen[1::2]
    assert all(torch.equal(y, first[0]) for y in first) and all(torch.equal(y, last[0]) for y in last)
    assert not torch.equal(first[0][:6], last[0]), "another batch has other noise"


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (16, 16)])
def test_singular_values_end_near_one_and_directions_stay(shape):
    g = torch.Generator().manual_seed(2)
    matrices = torch.randn(3, *shape, generator=g)
    found = orthogonalize(matrices, 5)
    assert torch.linalg.svdvals(found).max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    middle = left.mT @ found @ right.mT
    assert torch.allclose(middle, torch.diag_embed(middle.diagonal(dim1=1, dim2=2)), atol=1e-4)
    assert torch.allclose(orthogonalize(7 * matrices), found, atol=1e-4), (
        "the size of a gradient does not count"
    )
    assert orthogonalize(torch.zeros(1, *shape)).abs().max() == 0


def gradients(parameters, step):
    g = torch.Generator().manual_seed(step)
    for p in parameters:
        p.grad = torch.randn(p.shape, generator=g)


def test_on_matrices_it_is_muon():
    start = torch.randn(24, 40, generator=torch.Generator().manual_seed(0))
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    muon = torch.optim.Muon(
        [theirs], 0.02, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    filters = FilterMuon([ours], 0.02)
    for step in range(3):
        gradients([ours], step)
        gradients([theirs], step)
        muon.step()
        filters.step()
    moved = (ours - start).detach()
    assert (ours - theirs).norm() < 0.02 * moved.norm(), "torch's iterates in bf16"


def test_it_goes_on_after_its_state_was_saved():
    conv = torch.nn.Conv2d(4, 6, 3)
    optimizer = CombinedOptimizer([FilterMuon([conv.weight]), torch.optim.AdamW([conv.bias])])
    gradients(conv.parameters(), 0)
    optimizer.step()
    copied, state = copy.deepcopy(conv), copy.deepcopy(optimizer.state_dict())
    resumed = CombinedOptimizer([FilterMuon([copied.weight]), torch.optim.AdamW([copied.bias])])
    resumed.load_state_dict(state)
    fresh = copy.deepcopy(conv)
    for model, own in ((conv, optimizer), (copied, resumed), (fresh, FilterMuon([fresh.weight]))):
        gradients(model.parameters(), 1)
        own.step()
    assert torch.equal(conv.weight, copied.weight) and torch.equal(conv.bias, copied.bias)
    assert not torch.equal(conv.weight, fresh.weight), "the momentum counts"


def test_each_parameter_has_one_optimizer_and_those_without_a_gradient_stay():
    model = TextToImageDiffusion(CONFIG)
    optimizer = muon_for_filters(model)
    owned = [p for group in optimizer.param_groups for p in group["params"]]
    assert len(owned) == len({*map(id, owned)}) == len([*model.parameters()])
    before = copy.deepcopy(model.state_dict())
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_sum_of_words_has_no_order_and_the_words_have():
    model = SummedWordsDiffusion(CONFIG)
    cond = model.encode(["a star above a heart", "a heart above a star"])
    assert torch.allclose(cond.pooled[0], cond.pooled[1], atol=1e-5)
    assert not torch.allclose(cond.context[0], cond.context[1], atol=1e-2)
    alone = model.encode(["a star above a heart"])
    longer = model.encode(
        ["a star above a heart", "there is a star to the left of a red heart on a mint background"]
    )
    assert torch.allclose(alone.pooled, longer.pooled[:1], atol=1e-5), "padding adds nothing"


def test_without_attention_and_layout_the_text_encoder_does_not_run(monkeypatch):
    bag = SummedWordsDiffusion(CONFIG | {"layout": None, "unet": CONFIG["unet"] | {"depth": 0}})
    assert not bag.reads_order and SummedWordsDiffusion(CONFIG).reads_order
    monkeypatch.setattr(bag.encoder, "forward", lambda *_: pytest.fail("it ran"))
    cond = bag.encode(["a star"])
    y = torch.zeros(1, 3, 32, 32)
    assert cond.layout is None and bag(y, torch.tensor([1.0]), cond).shape == y.shape


def test_blocks_at_zero_change_nothing_and_learn():
    model = SummedWordsDiffusion(CONFIG)
    zero_blocks(model)
    block = model.denoiser.network.middle.blocks[0]
    width = CONFIG["unet"]["widths"][1]
    x = torch.randn(2, 64, width, generator=torch.Generator().manual_seed(0))
    out = block(x, torch.ones(2, 6, width), model.encode(["a star", "a heart"]))
    assert torch.equal(out, x)
    out.square().sum().backward()
    assert block.cross_attn.out.weight.grad.abs().max() > 0
