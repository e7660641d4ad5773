"""What 32 and 64 pixels cost: pictures a second in training and in drawing, and memory, beside `diffusers`' U-Net.

python benchmarks/cost.py                     about six minutes on two quiet cores; writes benchmarks/cost.json and cost.md
python benchmarks/cost.py --rounds 1 --batch 4 --out NAME.json   a quick look
python benchmarks/cost.py --table             only writes the table again

Both networks have 64 tokens where they read the caption: places of 4×4 pixels of ours at 32 pixels, and of 8×8 at 64, where
2×2 patches stand in front. The peer halves the sides until 8×8 places are left, and has its attention there. Its widths give it
about as many weights. Both sides are timed in turn, in one process, at fp32 and bf16 autocast; the faster counts. A picture is
drawn in 20 guided steps, which are 40 calls. The memory of a step is measured in a process of its own: the peak, less what was
there before the network was built.
"""

from __future__ import annotations

import multiprocessing
import platform
import statistics
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from bars import against
from denoiser import device_of, features, sampling_step, seconds, training_step, WIDTH
from torch import nn, Tensor

from t2i_learn.core.files import json_text, read_json, write_atomic
from t2i_learn.core.learner import make_accelerator
from t2i_learn.core.show import markdown_table
from t2i_learn.diffusion.unet import UNet
from t2i_learn.text.encoder import Condition

HERE = Path(__file__).resolve().parent
SIDES = (32, 64)
CALLS = 40  # of a network for a drawn picture
BAR = 2.0  # times as many pictures a second
STEPS = {"training": training_step, "drawing": sampling_step}


NAMES = ("ours", "diffusers")
PEER_WIDTHS = {32: (48, 80, 128), 64: (32, 48, 80, 128)}  # about as many weights as ours


class TokenPeer(nn.Module):
    "A `UNet2DConditionModel` with as many tokens as ours, called as ours is."

    def __init__(
        self,
        side: int,  # pixels, one of SIDES
    ):
        super().__init__()
        from diffusers import UNet2DConditionModel

        widths = PEER_WIDTHS[side]
        plain = len(widths) - 1
        self.unet = UNet2DConditionModel(
            sample_size=side,
            in_channels=3,
            out_channels=3,
            block_out_channels=widths,
            layers_per_block=1,
            cross_attention_dim=WIDTH,
            down_block_types=(*["DownBlock2D"] * plain, "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", *["UpBlock2D"] * plain),
            attention_head_dim=32,
            norm_num_groups=8,
        )

    def forward(self, x: Tensor, sigma: Tensor, cond: Condition) -> Tensor:
        "One answer."
        mask = cond.mask
        return self.unet(x, sigma.flatten() * 100, cond.context, encoder_attention_mask=mask).sample


def build(
    name: str,  # ours or diffusers
    side: int,  # pixels
    bf16: bool = False,
) -> nn.Module:
    "A network on the device that trainings use, in the layout that suits the precision."
    net = UNet(side=side, patch=side // 32) if name == "ours" else TokenPeer(side)
    layout = torch.channels_last if bf16 else torch.contiguous_format
    return net.to(make_accelerator().device, memory_format=layout)  # type: ignore[call-overload]


def resident(field: str) -> float:  # in megabytes; NaN where the system does not say
    "A line of what Linux says of this process's memory: VmRSS, or VmHWM, its peak."
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), float("nan"))


def peak_memory(
    what: str,  # training or drawing
    name: str,
    side: int,  # pixels
    bf16: bool,
    batch: int,
) -> float:  # megabytes
    "The peak of two steps, in a process that does nothing else."
    is_gpu = make_accelerator().device.type == "cuda"
    before = resident("VmRSS")
    if is_gpu:
        torch.cuda.reset_peak_memory_stats()
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
    step = STEPS[what](build(name, side, bf16), bf16, batch, side)
    step()
    step()
    return torch.cuda.max_memory_allocated() / 2**20 if is_gpu else resident("VmHWM") - before


def in_its_own_process(*arguments: Any) -> float:
    "The memory of one case."
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(peak_memory, arguments)


def times(what: str, side: int, rounds: int, batch: int) -> dict[tuple[str, bool], list[float]]:
    "Seconds of a step of each network at each precision, in turn."
    cases = [(name, bf16) for name in NAMES for bf16 in (False, True)]
    steps = {case: STEPS[what](build(case[0], side, case[1]), case[1], batch, side) for case in cases}
    for step in steps.values():
        step()
    found: dict[tuple[str, bool], list[float]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case, step in steps.items():
            found[case].append(seconds(step))
    return found


def measure(what: str, side: int, rounds: int, batch: int) -> dict[str, Any]:
    "Rates, memory and ratio of one kind of step at one size."
    found = times(what, side, rounds, batch)
    calls = CALLS if what == "drawing" else 1
    row: dict[str, Any] = {"what": what, "side": side}
    for name in NAMES:
        rates = {
            word: batch / statistics.median(found[name, bf16]) / calls
            for word, bf16 in (("fp32", False), ("bf16", True))
        }
        fastest = max(rates, key=lambda word: rates[word])
        megabytes = in_its_own_process(what, name, side, fastest == "bf16", batch)
        rates = {word: round(rate, 2) for word, rate in rates.items()}
        row[name] = {**rates, "fastest": fastest, "megabytes": round(megabytes)}
    best = {name: list(map(min, found[name, False], found[name, True])) for name in NAMES}
    ratios = sorted(peer / own for own, peer in zip(best["ours"], best["diffusers"], strict=True))
    return row | {
        "ratio": round(statistics.median(ratios), 2),
        "between": [round(ratios[0], 2), round(ratios[-1], 2)],
    }


def machine() -> dict[str, Any]:
    "What the figures depend on."
    device = device_of(build("ours", SIDES[0]))
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    return {
        "device": f"{device.type}, {name}",
        "features": features(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def weights(name: str, side: int) -> float:  # millions
    "How large a network is."
    return round(sum(p.numel() for p in build(name, side).parameters()) / 1e6, 2)


def table(report: dict[str, Any]) -> str:
    "The page of the costs."
    rows = []
    for row in report["rows"]:
        for name in NAMES:
            own = row[name]
            ratio = f"{row['ratio']:.2f} ({row['between'][0]:.2f} to {row['between'][1]:.2f})"
            rows.append(
                [
                    f"{row['side']}×{row['side']}",
                    row["what"],
                    name,
                    f"{report['weights'][name][str(row['side'])]:.1f}",
                    f"{own[own['fastest']]:.2f} ({own['fastest']})",
                    f"{own['megabytes']:,}",
                    ratio if name == "ours" else "",
                ]
            )
    columns = ["pixels", "step", "network", "million weights", "pictures a second", "MB", "ratio"]
    facts = report["machine"]
    return f"""# What 32 and 64 pixels cost

Written by `python benchmarks/cost.py` from `benchmarks/cost.json`, on {facts["device"]}, with
{", ".join(facts["features"]) or "no unit for bf16"} and {facts["threads"]} threads, torch {facts["torch"]}, batches of {report["batch"]}, {report["rounds"]} rounds.
Both networks have 64 tokens. The ratio is that of the two rates, in the median and from the lowest to the highest round. A drawn
picture takes {CALLS} calls of the network. The memory is the peak of a step, less what was there before.

{markdown_table(columns, rows)}
"""


def main(
    rounds: Annotated[int, typer.Option(min=1, help="times each step is measured")] = 7,
    batch: Annotated[int, typer.Option(min=1, help="pictures of a step")] = 64,
    out: Annotated[Path, typer.Option(help="a .json file; the table is written beside it")] = HERE
    / "cost.json",
    only_table: Annotated[bool, typer.Option("--table", help="write only the table again")] = False,
) -> None:
    "Measure, print the ratios with their bar, and write JSON and table."
    if not only_table:
        rows = [measure(what, side, rounds, batch) for side in SIDES for what in STEPS]
        sizes = {name: {str(side): weights(name, side) for side in SIDES} for name in NAMES}
        report = {"machine": machine(), "rounds": rounds, "batch": batch, "weights": sizes, "rows": rows}
        write_atomic(out, json_text(report, "the report", indent=1).encode())
    report = read_json(out)
    for row in report["rows"]:
        print(f"{row['what']} at {row['side']} pixels: {row['ratio']:.2f}; {against(row['ratio'], BAR)}")
    write_atomic(out.with_suffix(".md"), table(report).encode())


if __name__ == "__main__":
    typer.run(main)
