"""The recipes of the speed board (`tools/speedrun.py`): what each does otherwise than the preset cpu.

A recipe is a row of RECIPES. Its stages share the budget; an idea that needs a part of its own has it here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from t2i_learn.core.settings import SampleRequest
from t2i_learn.core.tensors import append_dims, center_crop
from t2i_learn.core.training import muon_and_adamw
from t2i_learn.diffusion.dit import TextToImageDiT
from t2i_learn.diffusion.forward import q_sample
from t2i_learn.diffusion.guidance import drop_captions
from t2i_learn.diffusion.losses import LOSS_WEIGHTS, lognormal_sigmas, SigmaDistribution
from t2i_learn.diffusion.sampling import State
from t2i_learn.diffusion.speed import muon_for_filters, SummedWordsDiffusion
from t2i_learn.diffusion.text_to_image import (
    DIFFUSION_ROUNDS,
    DiffusionConfig,
    text_to_image_loss,
    TextToImageDiffusion,
)
from t2i_learn.diffusion.unet import UNet
from t2i_learn.text.encoder import Condition
from t2i_learn.text.layout import PRETRAIN_MIX, pretrain_conditioner, TransformerBlock, unpack_batch

_ROUNDS = DIFFUSION_ROUNDS["cpu"]


@dataclass(frozen=True)
class Stage:
    "A part of the budget, and what is trained in it."

    share: float  # of the budget
    config: DiffusionConfig  # data, batch size, rates, and what the model is
    zero_blocks: bool = False  # transformer blocks are new here, and add nothing at first
    layout_only: bool = False  # train encoder and layout on very small pictures, and nothing else


def stages(
    *shares: float,  # of the budget, one for each of the three rounds of the preset cpu
    unet: dict[str, Any] | None = None,  # what config["unet"] says instead
    config: dict[str, Any] | None = None,  # what the rest of the configuration says instead
    **changes: Any,  # fields of all rounds
) -> tuple[Stage, ...]:
    "The rounds of the preset cpu, with changes."
    model = _ROUNDS[0].config | (config or {})
    model["unet"] = model["unet"] | (unet or {})
    return tuple(
        Stage(share, replace(row, config=model, **changes))
        for share, row in zip(shares, _ROUNDS, strict=True)
    )


_CELL = 4  # pixels a side of a place of the layout
_SHARES = (0.18, 0.26, 0.56)  # as the rounds' own numbers of steps take processor time


@dataclass(frozen=True)
class Recipe:
    "What is done otherwise than in the preset cpu."

    idea: str
    stages: tuple[Stage, ...] = stages(*_SHARES)
    optimizer: Callable[..., torch.optim.Optimizer] = muon_and_adamw  # (model, learning rate)
    model: type[TextToImageDiffusion] = TextToImageDiffusion
    loss: Callable[..., Tensor] = text_to_image_loss
    compile: bool = False
    sampling: dict[str, Any] = field(default_factory=dict)  # instead of that of the configuration
    prepare: Callable[..., nn.Module] | None = (
        None  # (first configuration, seed) -> what stage 1 begins with
    )
    windows: bool = True  # whether its first two stages show windows, as those of the preset do


def film_stages(
    lr: float = 2.8e-3,
    unet: dict[str, Any] | None = None,  # of all stages
    batch_sizes: tuple[int, int, int] = (96, 48, 32),
    shares: tuple[float, float, float] = _SHARES,  # of the budget
) -> tuple[Stage, ...]:
    "First convolutions and summed words alone, then, when relations begin, attention and the layout too."
    small = {"widths": [64, 128], **(unet or {})}
    first = stages(*shares, unet=small | {"depth": 0}, config={"layout": None}, lr=lr)[0]
    rest = stages(*shares, unet=small, lr=lr)[1:]
    grown = replace(rest[0], zero_blocks=True)
    return tuple(
        replace(stage, config=replace(stage.config, batch_size=size))
        for stage, size in zip((first, grown, rest[1]), batch_sizes, strict=True)
    )


def film_layout_stages() -> tuple[Stage, ...]:
    "As `film_stages`, with a short stage for the layout before the bands."
    first, second, third = film_stages(shares=(0.12, 0.27, 0.55))
    mix = replace(PRETRAIN_MIX, num_batches=200)
    layout = replace(second.config, mix=mix, batch_size=192)
    planned = Stage(0.06, layout, zero_blocks=True, layout_only=True)
    return first, planned, replace(second, zero_blocks=False), third


def contrastive_loss(
    model: Any,
    batch: Any,  # with `captions` and `pictures`
    generator: torch.Generator | None,
    sigmas: SigmaDistribution,
    layout_weight: float,  # of the error of the layout's preview
    push: float = 0.05,  # of the error against another picture
) -> Tensor:  # ()
    "The loss of the page, less a part of the error against another picture of the batch (Stoica et al. 2025)."
    pictures, captions = unpack_batch(batch)
    sigma = sigmas(len(captions), generator)
    cond = model.encode(drop_captions(captions, 0.1, generator))
    y, _ = q_sample(pictures, sigma, generator)
    x0_hat = model(y, append_dims(sigma, y), cond)
    weight = LOSS_WEIGHTS["flow"](sigma)
    own, other = ((x0_hat - x0).square().flatten(1).mean(1) for x0 in (pictures, pictures.roll(1, 0)))
    layout = model.layout_loss(cond, pictures, _CELL)
    return (weight * (own - push * other)).mean() + layout_weight * layout


def whole_stages(
    *shares: float,  # of the budget
    **changes: Any,  # of `stages`
) -> tuple[Stage, ...]:
    "The rounds of the preset with the same captions, but with whole pictures from the start."
    return tuple(
        replace(s, config=replace(s.config, batch_size=32, mix=replace(s.config.mix, windows=())))
        for s in stages(*shares, **changes)
    )


def sixteen_stages() -> tuple[Stage, ...]:
    "All tasks in pictures of 16 pixels for the first half, then in pictures of 32."
    last = stages(*_SHARES)[2]
    small = replace(
        last.config,
        config=last.config.config | {"side": 16},
        batch_size=96,
        ema=0.99,
        decay=0.05,
        # noise is averaged over a quarter of the pixels: the same things show at half the level
        sigmas=lognormal_sigmas(0.3 - math.log(2), 1.1),
    )
    return Stage(0.45, small), replace(last, share=0.55)


def large_batches() -> tuple[Stage, ...]:
    "The rounds of the preset with twice as many pictures a step."
    return tuple(
        replace(s, config=replace(s.config, batch_size=2 * s.config.batch_size))
        for s in stages(*_SHARES)
    )


class RowDroppingBlock(TransformerBlock):
    "In training each block works on half of the rows of places; the other places pass it by (Krause et al. 2025)."

    def forward(
        self, x: Tensor, modulation: Tensor, cond: Condition, columns: int | None = None
    ) -> Tensor:
        "As the block, for the rows that were drawn."
        if not self.training:
            return super().forward(x, modulation, cond, columns)
        columns = columns or math.isqrt(x.shape[1])
        rows = x.unflatten(1, (-1, columns))
        kept = torch.randperm(rows.shape[1])[: max(1, rows.shape[1] // 2)].sort().values
        own = super().forward(rows[:, kept].flatten(1, 2), modulation, cond, columns)
        return rows.index_copy(1, kept, own.unflatten(1, (-1, columns))).flatten(1, 2)


class RowDroppingDiffusion(TextToImageDiffusion):
    "The model with such blocks."

    def build_network(self) -> nn.Module:
        "The U-Net, its blocks replaced."
        network = super().build_network()
        assert isinstance(network, UNet)
        width, heads, context = (
            network.middle.pos_embed.shape[1],
            self.config["unet"]["heads"],
            self.config["text"]["width"],
        )
        blocks = (RowDroppingBlock(width, heads, context) for _ in network.middle.blocks)
        network.middle.blocks = nn.ModuleList(blocks)
        return network


class PatchDiffusion(TextToImageDiT):
    "A transformer over patches of four pixels, whose output is the picture itself (Li and He 2025)."

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.denoiser.parameterization = "x0"  # not "edm": the output is the picture


_DIT = {"family": "dit", "dit": {"patch": 4, "width": 192, "depth": 4, "heads": 6}}


class AlignedDiffusion(TextToImageDiffusion):
    "The model with a projection from the places of the denoiser to those of the layout."

    def __init__(self, *args: Any):
        super().__init__(*args)
        width = self.config["unet"]["widths"][1]
        self.align_proj = nn.Conv2d(width, self.config["layout"]["width"], 1)


def aligned_loss(
    model: Any,  # an `AlignedDiffusion`
    *args: Any,  # as for `text_to_image_loss`
    weight: float = 0.5,  # of the angle between the two
) -> Tensor:  # ()
    "The loss of the page, and how far the denoiser's features point away from the layout's (after Yu et al. 2024)."
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        seen.extend([output, inputs[2].layout])

    handle = model.denoiser.network.middle.register_forward_hook(keep)
    try:
        loss = text_to_image_loss(model, *args)
    finally:
        handle.remove()
    features, layout = seen
    target = center_crop(layout, *features.shape[2:]).detach()
    return loss + weight * (1 - F.cosine_similarity(model.align_proj(features), target)).mean()


PRETRAINING: dict[str, Any] = {"steps": 100, "batch_size": 192}


def pretrained(
    config: DiffusionConfig,  # of the first stage
    seed: int,
) -> nn.Module:
    "A text conditioner after a hundred steps on very small pictures."
    return pretrain_conditioner(config.config, **PRETRAINING, seed=seed)


class SelfConditionedUNet(UNet):
    "A U-Net that sees its last estimate beside the noisy picture (Chen et al. 2022)."

    previous: Tensor | None = None  # x0_hat (B, 3, H, W); None: there is none yet

    def forward(self, x: Tensor, sigma: Tensor, cond: Condition) -> Tensor:
        "The output for the picture; that for the estimate's channels is dropped."
        before = self.previous
        if before is None or before.shape != x.shape:
            before = torch.zeros_like(x)
        return super().forward(torch.cat([x, before], 1), sigma, cond)[:, :3]


class SelfConditionedDiffusion(TextToImageDiffusion):
    "The model with such a network, which remembers its estimate from one step of a trajectory to the next."

    remembers = False

    def build_network(self) -> nn.Module:
        "Three channels more."
        dims = self.condition_dims | self.config["unet"]
        return SelfConditionedUNet(6, side=self.config["side"], **dims)

    def forward(self, y: Tensor, sigma: Tensor, cond: Condition) -> Tensor:
        "Denoise."
        x0_hat = self.denoiser(y, sigma, cond)
        if self.remembers:
            self.remember(x0_hat.detach())
        return x0_hat

    def remember(
        self,
        x0_hat: Tensor | None,  # (B, 3, H, W); None: forget
    ) -> None:
        "What the network sees at its next call."
        network = self.denoiser.network
        assert isinstance(network, SelfConditionedUNet)
        network.previous = x0_hat

    def trajectory(self, request: SampleRequest, *args: Any, **options: Any) -> Iterator[State]:
        "As the model does, with a memory that begins and ends empty."
        self.remembers = True
        try:
            yield from super().trajectory(request, *args, **options)
        finally:
            self.remembers = False
            self.remember(None)


def self_conditioned_loss(
    model: Any,  # a `SelfConditionedDiffusion`
    batch: Any,  # with `captions` and `pictures`
    generator: torch.Generator,
    sigmas: SigmaDistribution,
    layout_weight: float,  # of the error of the layout's preview
) -> Tensor:  # ()
    "The loss of the page; for every other batch a first estimate is made without a gradient."
    pictures, captions = unpack_batch(batch)
    sigma = sigmas(len(captions), generator)
    cond = model.encode(drop_captions(captions, 0.1, generator))
    y, _ = q_sample(pictures, sigma, generator)
    level = append_dims(sigma, y)
    if torch.rand((), generator=generator) < 0.5:
        with torch.no_grad():
            model.remember(model(y, level, cond))
    x0_hat = model(y, level, cond)
    model.remember(None)
    error = (x0_hat - pictures).square().flatten(1).mean(1)
    layout = model.layout_loss(cond, pictures, _CELL)
    return (LOSS_WEIGHTS["flow"](sigma) * error).mean() + layout_weight * layout


_MUON: dict[str, Any] = {"optimizer": muon_for_filters}
_FILM: dict[str, Any] = {"model": SummedWordsDiffusion, **_MUON}
RECIPES: dict[str, Recipe] = {
    "baseline": Recipe("the preset cpu as it is, its three rounds as long as the budget allows"),
    "muon": Recipe("Muon for the filters of the convolutions too", **_MUON),
    "film": Recipe(
        "summed words and convolutions with FiLM alone in the windows; attention, starting at zero, and the layout from the bands on; Muon for filters",
        film_stages(),
        **_FILM,
    ),
    "film-layout": Recipe(
        "as film, with a short stage for text encoder and layout, on very small pictures, before the bands",
        film_layout_stages(),
        **_FILM,
    ),
    "film-layout-push": Recipe(
        "as film-layout, with a push away from the other pictures of the batch",
        film_layout_stages(),
        loss=contrastive_loss,
        **_FILM,
    ),
    "film-adamw": Recipe(
        "as film, with the optimizer of the preset", film_stages(), model=SummedWordsDiffusion
    ),
    "film-lr": Recipe("as film, twice the learning rate", film_stages(5.6e-3), **_FILM),
    "film-push": Recipe(
        "as film, with a push away from the other pictures of the batch",
        film_stages(),
        loss=contrastive_loss,
        **_FILM,
    ),
    "large-batches": Recipe("twice as large batches", large_batches(), **_MUON),
    "sixteen": Recipe("pictures of 16 pixels first", sixteen_stages(), windows=False, **_MUON),
    "patches": Recipe(
        "a transformer over patches of four pixels that predicts the picture, whole pictures from the start",
        whole_stages(*_SHARES, config=_DIT),
        model=PatchDiffusion,
        windows=False,
    ),
    "row-dropping": Recipe(
        "each transformer block works on half of the rows", model=RowDroppingDiffusion, **_MUON
    ),
    "self-conditioning": Recipe(
        "the network sees its last estimate",
        model=SelfConditionedDiffusion,
        loss=self_conditioned_loss,
        **_MUON,
    ),
    "pretrained": Recipe("the text conditioner pretrained for 100 steps", prepare=pretrained, **_MUON),
    "aligned": Recipe(
        "the denoiser's places aligned to those of a pretrained layout network",
        model=AlignedDiffusion,
        loss=aligned_loss,
        prepare=pretrained,
        **_MUON,
    ),
    "compiled": Recipe("torch.compile for the network", compile=True, **_MUON),
}
