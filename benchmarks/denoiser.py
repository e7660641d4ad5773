"""Our U-Net against `diffusers`' on this machine: training steps and sampling steps, as ratios in one run.

python benchmarks/denoiser.py            about two minutes; --rounds 3 for a quick look

Each side runs at its best precision of fp32 and bf16 autocast. Two peers: one of about the same size in the usual
layout (full resolution, 32-64-128), and one whose input is folded and whose widths are ours (64-192 at 16 and 8).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from bars import against
from torch import Tensor, nn
from torch.nn import functional as F

from t2i_learn.diffusion.unet import UNet
from t2i_learn.text.encoder import Condition

BATCH, WORDS, WIDTH = 64, 14, 128
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
BARS = {  # the least ratio, with units for bf16 and without
    ("training", "diffusers"): (3, 1.8),
    ("training", "diffusers, our layout"): (1.8, 1.2),
    ("sampling", "diffusers"): (2.5, 1.5),
}


class Peer(nn.Module):
    "A `UNet2DConditionModel` called as ours is."

    def __init__(
        self,
        folded: bool,  # as ours: folded to side/2 and with our widths; else the usual layout
    ):
        super().__init__()
        from diffusers import UNet2DConditionModel

        self.folded = folded
        widths = (64, 192) if folded else (32, 64, 128)
        cross = ["CrossAttnDownBlock2D"] * (len(widths) - 1)
        self.unet = UNet2DConditionModel(
            sample_size=16 if folded else 32,
            in_channels=12 if folded else 3,
            out_channels=12 if folded else 3,
            block_out_channels=widths,
            layers_per_block=2 if folded else 1,
            cross_attention_dim=WIDTH,
            down_block_types=("DownBlock2D", *cross),
            up_block_types=(*["CrossAttnUpBlock2D"] * len(cross), "UpBlock2D"),
            attention_head_dim=32,
            norm_num_groups=8,
        )

    def forward(self, x: Tensor, sigma: Tensor, cond: Condition) -> Tensor:
        "One answer."
        h = F.pixel_unshuffle(x, 2) if self.folded else x
        h = self.unet(h, sigma.flatten() * 100, cond.context, encoder_attention_mask=cond.mask).sample
        return F.pixel_shuffle(h, 2) if self.folded else h


def inputs(
    batch: int = BATCH,
    side: int = 32,  # pixels
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor, Condition]:
    "A batch of noise, levels and captions."
    g = torch.Generator().manual_seed(0)
    context = torch.randn(batch, WORDS, WIDTH, generator=g).to(device)
    mask = torch.ones(batch, WORDS, dtype=torch.bool, device=device)
    x = torch.randn(batch, 3, side, side, generator=g).to(device)
    sigma = torch.rand(batch, 1, 1, 1, generator=g).to(device) + 0.5
    return x, sigma, Condition(context, mask, context[:, 0])


def device_of(net: nn.Module) -> torch.device:
    "Where a network is."
    return next(net.parameters()).device


def training_step(
    net: nn.Module,
    bf16: bool,
    batch: int = BATCH,
    side: int = 32,  # pixels
) -> Callable[[], Any]:
    "Forward, backward, AdamW."
    net.train()
    device = device_of(net)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4, fused=True)
    x, sigma, cond = inputs(batch, side, device)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = (net(x, sigma, cond).float() - x).square().mean()
        loss.backward()
        optimizer.step()

    return step


def sampling_step(
    net: nn.Module,
    bf16: bool,
    batch: int = BATCH,
    side: int = 32,  # pixels
) -> Callable[[], Any]:
    "One call of the network without gradients."
    net.eval()
    device = device_of(net)
    x, sigma, cond = inputs(batch, side, device)

    @torch.no_grad()
    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            net(x, sigma, cond)

    return step


def seconds(step: Callable[[], Any]) -> float:
    "How long one call takes; a GPU is waited for."
    start = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def sides(make: Callable[[nn.Module, bool], Callable[[], Any]]) -> dict[str, list[Callable[[], Any]]]:
    "For each network its step at both precisions, warmed up."
    nets: dict[str, Callable[[], nn.Module]] = {
        "ours": UNet,
        "diffusers": lambda: Peer(False),
        "diffusers, our layout": lambda: Peer(True),
    }
    steps = {
        name: [make(build(), False), make(build().to(memory_format=torch.channels_last), True)]  # type: ignore
        for name, build in nets.items()
    }
    for pair in steps.values():
        for step in pair:
            step()
    return steps


def features() -> list[str]:
    "Which of FEATURES the system says that its processor has; none where it does not say."
    path = Path("/proc/cpuinfo")
    told = path.read_text() if path.is_file() else ""
    return [f for f in FEATURES if f in told]


def compare(what: str, make: Callable[[nn.Module, bool], Callable[[], Any]], rounds: int) -> None:
    "Time all sides in turn and print ratios of the best precisions."
    without = not any("bf16" in f for f in features())
    times: dict[str, list[list[float]]] = {}
    steps = sides(make)
    for _ in range(rounds):
        for name, pair in steps.items():
            times.setdefault(name, []).append([seconds(step) for step in pair])
    medians = {
        name: [statistics.median(column) for column in zip(*rows)] for name, rows in times.items()
    }
    for name, (fp32, bf16) in medians.items():
        print(f"{what:9} {name:22} fp32 {BATCH / fp32:6.1f}  bf16 {BATCH / bf16:6.1f} pictures/s")
    for name in list(times)[1:]:
        ratios = sorted(min(peer) / min(own) for peer, own in zip(times[name], times["ours"]))
        middle = statistics.median(ratios)
        bar = f"; {against(middle, BARS[what, name][without])}" if (what, name) in BARS else ""
        print(f"{what:9} ratio to {name}: {middle:.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f}{bar})")


def main(rounds: Annotated[int, typer.Option(help="times each step is measured")] = 7) -> None:
    "Print processor features, then training and sampling."
    print(
        "processor has",
        ", ".join(features()) or "no feature that is known here",
        "·",
        torch.get_num_threads(),
        "threads",
    )
    sizes = {"ours": UNet(), "diffusers": Peer(False), "diffusers, our layout": Peer(True)}
    for name, net in sizes.items():
        print(f"{name}: {sum(p.numel() for p in net.parameters()) / 1e6:.1f} M weights")
    compare("training", training_step, rounds)
    compare("sampling", sampling_step, rounds)


if __name__ == "__main__":
    typer.run(main)
