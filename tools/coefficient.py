"""Fit the coefficient of shapes-stable by maximum likelihood, measure what it is worth, and write t2i_learn/weights/<model>/coefficient.json and .png.

python tools/coefficient.py            goes on where it stopped; its work lies in runs/coefficient
python tools/coefficient.py --small    all kinds of work at a few pictures and steps, in a folder of their own
python tools/coefficient.py --only fit stops after the fits; `bound` after the measurements with the weights that ship

For alpha 2 and for the model's own alpha, each with a coefficient of its own: the denoiser's errors are tabulated, and a
schedule with six knots is fitted from two starts, to the table and to 256 pictures with common random numbers. Then the
bound is measured on held-out pictures from whole paths, as noise, draft, diffusion and decoder: with the schedule that
ships, with the fitted one, with a straight line between its ends, with either end moved by 0.3, with more steps, and with
the coefficient of the other alpha. Last come joint phases in which generator, denoiser and coefficient move in one step,
from both starts and with two clip norms, and one in which the denoiser follows the bound's own weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from results import fingerprint
from torch import nn, Tensor

from t2i_learn.core.show import make_figure, OKABE_ITO
from t2i_learn.core.files import weights_path, write_atomic
from t2i_learn.core.learner import Callback, Learner
from t2i_learn.core.callbacks import StopNonFinite
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.pipeline import load
from t2i_learn.text.layout import unpack_batch
from t2i_learn.world.captions import CaptionedScenes
from t2i_learn.diffusion.losses import LOSS_WEIGHTS
from t2i_learn.diffusion.text_to_image import TRAIN_SIGMAS
from t2i_learn.stable.process import stable_loss
from t2i_learn.stable.likelihood import (
    bits_per_dimension,
    discrete_decoder,
    LearnedSchedule,
    Likelihood,
)
from t2i_learn.stable.two_stage import elbo_terms, PIXEL_LEVELS, reconstruct, round_to_levels
from t2i_learn.stable.fitted_schedule import (
    bits_by_picture,
    BoundTable,
    ControlledLikelihood,
    ErrorTable,
    fit_schedule,
    joint_terms,
    KnotRamp,
    tabulate_bound,
    tabulate_errors,
)

STARTS = {"wide": (-13.3, 5.0), "narrow": (-5.0, 0.0)}  # ends of g
CLIPS = (0.3, 1.0)  # norms of the networks' gradient in the joint phase
SHIFT = 0.3  # of an end
WHOLE = "the bound's weights"  # over levels, for the denoiser
TERMS = ("noise", "draft", "diffusion", "decoder")
HELD_OUT, FITTED, TRAINED = 2201, 2202, 2203  # seeds of pictures: none was trained on
DECODER, SPARSE_DECODER = discrete_decoder(PIXEL_LEVELS), discrete_decoder(PIXEL_LEVELS, 16)


class Size(NamedTuple):
    "How much is done of each kind."

    fitted: int = 256  # pictures behind tables and fits
    draws: int = 8  # for each of them, in the fit with common random numbers
    evaluations: int = 60
    held_out: int = 500  # pictures that the bound is measured on
    paths: int = 10  # for each of them
    paired_paths: int = 4  # where two schedules are compared on the same paths
    steps: tuple[int, int] = (32, 64)  # T of the bound; the first is fitted
    joint_steps: int = 200
    batch: int = 32
    clocks: int = 33  # rows of a table
    sums: int = 240  # evaluations of a table in a fit


BATCH = 32  # pictures at a time
SMALL = Size(8, 1, 8, 8, 2, 2, (4, 8), 2, 4, 5, 24)


class Store:
    "Finished work by name, one JSON file each, written whole after every piece."

    def __init__(self, folder: Path):
        self.folder = folder

    def read(self, name: str) -> list[Any]:
        "The pieces so far."
        file = self.folder / f"{name}.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []

    def collect(self, name: str, pieces: int, work: Callable[[int], Any]) -> list[Any]:
        "Do the pieces that are missing, one after the other."
        done = self.read(name)
        if len(done) < pieces:
            print(f"{name}: {len(done)} of {pieces} pieces are there", flush=True)
        for k in range(len(done), pieces):
            done.append(work(k))
            write_atomic(self.folder / f"{name}.json", json.dumps(done).encode())
        return done[:pieces]


class Batch(NamedTuple):
    "Some pictures and their captions, encoded."

    x0: Tensor
    cond: Any


@lru_cache
@torch.no_grad()
def batches_of(model: Any, count: int, seed: int) -> list[Batch]:
    "The first pictures of a stream."
    data = CaptionedScenes(min(BATCH, count), seed=seed)
    found = [data(k) for k in range(math.ceil(count / data.batch_size))]
    return [Batch(round_to_levels(b.pictures), model.encode(b.captions)) for b in found]


def with_noise(model: Any, alpha: float, steps: int, schedule: LearnedSchedule) -> Any:
    "The model as the bound sees it: at an alpha, with so many steps, under a schedule."
    noise = model.config["noise"] | {"alpha": alpha}
    model.config = model.config | {"noise": noise, "steps": steps}
    model.learned_schedule = schedule
    return model


def knotted(low: float, high: float, shift: list[float] | None = None) -> LearnedSchedule:
    "A schedule with knots."
    ramp = KnotRamp() if shift is None else KnotRamp(len(shift))
    if shift is not None:
        ramp.shift.data = torch.tensor(shift)
    return LearnedSchedule(low, high, ramp)


def numbers_of(schedule: LearnedSchedule) -> dict[str, Any]:
    "What a schedule with knots consists of."
    return {
        "low": schedule.low.item(),
        "high": schedule.high.item(),
        "shift": schedule.ramp.shift.tolist(),
    }


@torch.no_grad()
def table_of(store: Store, name: str, model: Any, alpha: float, size: Size) -> BoundTable:
    "The denoiser's errors, a row of the table a piece, and what else the mean bound depends on."
    kind, batches = model.config["noise"]["kind"], batches_of(model, size.fitted, FITTED)
    clocks = torch.linspace(-14, 6, size.clocks)
    ratios = torch.linspace(-1.5, 15, 23) if alpha < 2 else torch.zeros(1)

    def row(k: int) -> list[float]:
        dice = torch.Generator().manual_seed(0)  # the same for each row: a smooth table
        how = {"kind": kind, "share": 1 / 16 if alpha < 2 else 1.0, "generator": dice}
        tables = [
            tabulate_errors(model.denoiser, b.x0, alpha, clocks[k : k + 1], ratios, cond=b.cond, **how)
            for b in batches
        ]
        return torch.stack([table.errors[0] for table in tables]).mean(0).tolist()

    rows = store.collect(f"table {name}", size.clocks, row)
    errors = ErrorTable(clocks.double(), ratios.double(), torch.tensor(rows, dtype=torch.float64))
    x0, drafts = starts_of(model, batches)
    return tabulate_bound(errors, x0, SPARSE_DECODER, drafts, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def starts_of(model: Any, batches: list[Batch]) -> tuple[Tensor, Tensor]:
    "Pictures, and the draft of each: where its prior lies."
    dice = torch.Generator().manual_seed(5)
    drafts = [reconstruct(model, b.x0, b.cond, dice)[0] for b in batches]
    return torch.cat([b.x0 for b in batches]), torch.cat(drafts)


def remembered(store: Store, name: str, value: Callable[[Likelihood], float]) -> Callable[..., float]:
    "A function whose values are kept in the order of its calls: a search that is begun again goes on where it was."
    calls = iter(range(10**6))

    def call(likelihood: Likelihood) -> float:
        k = next(calls)
        return store.collect(name, k + 1, lambda _: value(likelihood))[k]

    return call


@torch.no_grad()
def fit_to_table(
    bound: BoundTable, model: Any, alpha: float, size: Size, ends: tuple[float, float]
) -> tuple[LearnedSchedule, float]:
    "The best schedule for a table, which takes seconds, and its bits per dimension without those of the noise."
    likelihood = Likelihood(model.denoiser, knotted(*ends), DECODER, size.steps[0], alpha)
    std = float(model.draft_std)
    bits = lambda likelihood: bound.bits(likelihood.schedule, size.steps[0], alpha, std).item()
    return likelihood.schedule, fit_schedule(likelihood, bits, size.sums)


@torch.no_grad()
def fit_to_draws(
    store: Store,
    name: str,
    bound: BoundTable,
    model: Any,
    alpha: float,
    size: Size,
    start: LearnedSchedule,
) -> tuple[LearnedSchedule, float]:
    "The best schedule for so many pictures and draws, with common random numbers and the table as a control variate."
    batches = batches_of(model, size.fitted, FITTED)
    x0, drafts = starts_of(model, batches)
    cond = type(batches[0].cond).cat([b.cond for b in batches])
    likelihood = ControlledLikelihood(
        *(model.denoiser, start, SPARSE_DECODER, size.steps[0], alpha),
        kind=model.config["noise"]["kind"],
        table=bound.errors,
    )
    how = {"draws": size.draws, "cond": cond, "batch": 32, "mean": drafts, "std": model.draft_std}
    value = lambda likelihood: bits_by_picture(likelihood, x0, **how).mean().item()
    bits = remembered(store, f"fit {name}", value)
    return start, fit_schedule(likelihood, bits, size.evaluations)


def measure(
    store: Store,
    name: str,
    model: Any,
    alpha: float,
    schedule: LearnedSchedule,
    size: Size,
    paths: int,
    steps: int = 0,
) -> Tensor:  # bits per dimension (pictures, terms), a mean over paths
    "The bound on held-out pictures from whole paths; the same pictures and paths whatever the schedule."
    with_noise(model, alpha, steps or size.steps[0], schedule)
    count = math.ceil(size.held_out / min(BATCH, size.held_out))

    @torch.no_grad()
    def piece(k: int) -> list[list[float]]:
        batch, dice = (
            batches_of(model, size.held_out, HELD_OUT)[k % count],
            torch.Generator().manual_seed(k),
        )
        terms = elbo_terms(model, batch.x0, batch.cond, dice, DECODER, full_path=True)
        nats = torch.stack([terms[term].double() for term in TERMS], 1)
        return [
            [round(v, 6) for v in row] for row in bits_per_dimension(nats, batch.x0[0].numel()).tolist()
        ]

    pieces = store.collect(f"bound {name}", paths * count, piece)
    rows = torch.tensor(pieces, dtype=torch.float64).reshape(paths, -1, len(TERMS))
    return rows.mean(0)[: size.held_out]


def interval(values: Tensor) -> list[float]:
    "The mean over pictures and its 95 % interval."
    mean, error = values.mean().item(), (values.std() / len(values) ** 0.5).item()
    return [round(v, 4) for v in (mean, mean - 1.96 * error, mean + 1.96 * error)]


def split(bits: Tensor) -> dict[str, Any]:
    "A bound with its terms, for the table."
    return {
        "bits": interval(bits.sum(1)),
        **dict(zip(TERMS, (round(v, 4) for v in bits.mean(0).tolist()))),
    }


class ClipNetworks(Callback):
    "Clips the gradients of the networks together; those of the schedule stay as they are, since clipping moves where they rest."

    def __init__(self, params: list[nn.Parameter], max_norm: float):
        self.params, self.max_norm = params, max_norm

    def after_backward(self, learner: Any) -> None:
        "Clip in place."
        learner.grad_norm = nn.utils.clip_grad_norm_(self.params, self.max_norm)


def joint_loss(
    model: Any, batch: Any, generator: torch.Generator, table: ErrorTable, own_weights: bool
) -> Tensor:
    "The whole bound on one half of a batch; with own weights the denoiser learns from its denoising error on the other half."
    pictures, captions = unpack_batch(batch)
    x0, half = round_to_levels(pictures), len(captions) // 2
    with torch.no_grad():
        cond = model.encode(captions)
    noise, steps = model.config["noise"], model.config["steps"]
    draft, nats = reconstruct(model, x0[:half], cond[:half], generator)
    likelihood = ControlledLikelihood(
        *(model.denoiser, model.learned_schedule, SPARSE_DECODER, steps, noise["alpha"]),
        kind=noise["kind"],
        table=table,
    )
    start = {"mean": draft, "std": model.draft_std}
    bits = bits_per_dimension(nats.mean(), x0[0].numel())
    if not own_weights:
        bound = likelihood(x0[:half], cond[:half], generator, **start).total
        return bits + bits_per_dimension(bound.mean(), x0[0].numel())

    def denoising(_: Tensor, __: Any, generator: torch.Generator | None) -> Tensor:
        sigma = TRAIN_SIGMAS(len(x0) - half, generator)
        how = {"cond": cond[half:], "generator": generator, "weight": LOSS_WEIGHTS["flow"], **noise}
        return stable_loss(model.denoiser, x0[half:], sigma, **how)

    return bits + sum(
        joint_terms(likelihood, x0[:half], denoising, cond[:half], generator, **start).values()
    )


def joint_phase(
    folder: Path,
    name: str,
    model: Any,
    table: ErrorTable,
    size: Size,
    clip: float,
    own_weights: bool = True,
) -> Any:
    "Generator, denoiser and schedule in one step each; goes on from its checkpoint."
    parts = (model.generator, model.noise_encoder, model.denoiser)
    networks = [*(p for part in parts for p in part.parameters()), model.log_draft_std]
    model.requires_grad_(False)
    for p in (*networks, *model.learned_schedule.parameters()):
        p.requires_grad_(True)
    schedule = model.learned_schedule
    groups = [
        {"params": networks, "lr": 5e-5},
        {"params": [schedule.low, schedule.high], "lr": 0.02},
        {"params": list(schedule.ramp.parameters()), "lr": 0.01},
    ]
    loss = partial(joint_loss, table=table, own_weights=own_weights)
    callbacks = [
        ClipNetworks(networks, clip),
        StopNonFinite(),
        Checkpoint(folder / f"joint {name}.safetensors", 25),
    ]
    Learner(
        model,
        CaptionedScenes(size.batch, seed=TRAINED),
        loss,
        callbacks,
        optimizer=torch.optim.Adam(groups, betas=(0.9, 0.99)),
    ).fit(size.joint_steps)
    return model.eval().requires_grad_(False)


def fits(store: Store, model: Any, alpha: float, size: Size) -> tuple[dict[str, Any], LearnedSchedule]:
    "From each start: to the table, and on to the draws; the schedule of the table from the first start is taken on."
    found: dict[str, Any] = {}
    bound = table_of(
        store, f"{alpha:g}", with_noise(model, alpha, size.steps[0], model.learned_schedule), alpha, size
    )
    for start, ends in STARTS.items():
        schedule, bits = fit_to_table(bound, model, alpha, size, ends)
        row = {"by table": {**numbers_of(schedule), "bits": bits}}
        schedule, bits = fit_to_draws(
            store, f"{alpha:g} {start}", bound, model, alpha, size, knotted(*ends)
        )
        found[start] = row | {"by draws": {**numbers_of(schedule), "bits": bits}}
    table = found["wide"]["by table"]
    return found, knotted(table["low"], table["high"], table["shift"])


def variants(schedule: LearnedSchedule) -> Iterator[tuple[str, LearnedSchedule]]:
    "A straight line between the same ends, and either end moved."
    low, high, shift = numbers_of(schedule).values()
    yield "straight", knotted(low, high)
    for name, down, up in (("low", SHIFT, 0.0), ("high", 0.0, SHIFT)):
        for sign in (-1, 1):
            yield f"{name} {sign * SHIFT:+g}", knotted(low + sign * down, high + sign * up, shift)


def bounds_of(
    store: Store,
    model: Any,
    alpha: float,
    own: LearnedSchedule,
    others: dict[str, LearnedSchedule],
    size: Size,
) -> dict[str, Any]:
    "What the weights that ship cost under all schedules."
    look = partial(measure, store, model=model, alpha=alpha, size=size)
    fitted = look(f"{alpha:g} fitted", schedule=own, paths=size.paths)
    found: dict[str, Any] = {"fitted": split(fitted)}
    for name, schedule in others.items():
        found[name] = split(look(f"{alpha:g} {name}", schedule=schedule, paths=size.paths))
    few = look(f"{alpha:g} fitted", schedule=own, paths=size.paired_paths).sum(1)
    for name, schedule in variants(own):
        moved = look(f"{alpha:g} {name}", schedule=schedule, paths=size.paired_paths).sum(1)
        found[f"{name} - fitted"] = interval(moved - few)
    more = size.steps[1]
    found[f"T = {more}"] = split(
        look(f"{alpha:g} T {more}", schedule=own, paths=size.paired_paths, steps=more)
    )
    return found


def joint_row(
    store: Store,
    name: str,
    alpha: float,
    fitted: dict[str, Any],
    size: Size,
    start: str,
    clip: float,
    own: bool,
) -> tuple[dict[str, Any], Tensor]:  # a row of the table, and the bits of each picture (pictures,)
    "One joint phase from the schedule of a start, and a new fit to the denoiser that it leaves."
    key = f"{alpha:g} {start} {clip:g} {'own' if own else 'bound'}"
    model, first = load(name).model, fitted[start]["by draws"]
    schedule = knotted(first["low"], first["high"], first["shift"])
    before = table_of(
        store, f"{alpha:g}", with_noise(model, alpha, size.steps[0], schedule), alpha, size
    )
    joint_phase(store.folder, key, model, before.errors, size, clip, own)
    moved = numbers_of(model.learned_schedule)
    after = table_of(store, f"joint {key}", model, alpha, size)
    schedule, bits = fit_to_table(after, model, alpha, size, STARTS[start])
    look = partial(measure, store, f"joint {key}", model, alpha, schedule, size)
    measured = look(size.paths if (start, clip) == ("wide", CLIPS[-1]) else size.paired_paths)
    again = {**numbers_of(schedule), "bits": bits}
    return {"moved to": moved, "fitted again": again, **split(measured)}, look(size.paired_paths).sum(1)


def joint_rows(
    store: Store, name: str, alpha: float, fitted: dict[str, Any], before: Tensor, size: Size
) -> dict[str, Any]:  # before: bits of each picture with the fitted schedule, without a joint phase
    "The joint phase from both starts with both clip norms, and once with the bound's weights; how far they agree."
    runs = [(start, clip, True) for start in STARTS for clip in CLIPS] + [("wide", CLIPS[-1], False)]
    names = {
        (start, clip, own): f"{start}, clip {clip:g}, {'own weights' if own else WHOLE}"
        for start, clip, own in runs
    }
    results = {run: joint_row(store, name, alpha, fitted, size, *run) for run in runs}
    found: dict[str, Any] = {names[run]: row for run, (row, _) in results.items()}
    own, other = (results["wide", CLIPS[-1], flag][1] for flag in (True, False))
    found["own weights - fitted"] = interval(own - before)
    found[f"own weights - {WHOLE}"] = interval(own - other)
    found["agreement"] = agreement([results[run] for run in runs if run[2]])
    return found


def agreement(results: list[tuple[dict[str, Any], Tensor]]) -> dict[str, float]:
    "How far the results of several runs are apart: bits per dimension, and the ends of the last fits."
    values = {
        "bits": [bits.mean().item() for _, bits in results],
        "low": [row["fitted again"]["low"] for row, _ in results],
        "high": [row["fitted again"]["high"] for row, _ in results],
    }
    return {name: round(max(v) - min(v), 4) for name, v in values.items()}


def bars_of(table: dict[str, Any]) -> dict[str, dict[str, float]]:
    "The rows that have all terms, by alpha and name."
    return {
        f"{alpha}: {name}": row
        for alpha, part in table["alphas"].items()
        for name, row in (part.get("bounds", {}) | part.get("joint", {})).items()
        if "diffusion" in row
    }


def figure_of(table: dict[str, Any]) -> Any:
    "Left the schedules, right the bounds by their terms."
    t, bars = torch.linspace(0, 1, 141, dtype=torch.float64), bars_of(table)
    fig = make_figure(9.0, max(3.0, 0.24 * len(bars)))
    left, right = fig.subplots(1, 2, width_ratios=(1, 1.4))
    for (alpha, part), colour in zip(table["alphas"].items(), OKABE_ITO[1:]):
        for start, style in zip(STARTS, ("-", ":")):
            row = part["fits"][start]["by table"]
            with torch.no_grad():
                g = knotted(row["low"], row["high"], row["shift"])(t)
            left.plot(t, g, style, color=colour, label=f"alpha {alpha}, {start} start")
    left.set(xlabel="time t", ylabel="g(t), logarithm of the variance")
    left.legend(frameon=False, fontsize=7)
    before = torch.zeros(len(bars))
    for term, colour in zip(TERMS, OKABE_ITO[1:]):
        values = torch.tensor([row[term] for row in bars.values()])
        right.barh(range(len(bars)), values, left=before, color=colour, label=term)
        before = before + values
    right.set_yticks(range(len(bars)), bars, fontsize=6)
    right.invert_yaxis()
    right.set(xlabel="bits per dimension")
    if bars:
        right.legend(frameon=False, fontsize=7)
    return fig


app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


@app.command()
def main(
    model: Annotated[str, typer.Option(help="a model of two stages")] = "shapes-stable",
    small: Annotated[bool, typer.Option("--small", help="a few of everything")] = False,
    only: Annotated[str, typer.Option(help="where to stop: fit, bound or joint")] = "joint",
    runs: Annotated[Path | None, typer.Option(help="where work is kept")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="the table; beside the weights by default, at small beside the work"),
    ] = None,
    threads: Annotated[int, typer.Option(help="threads of the processor")] = 1,
) -> None:
    "Fit, measure, train on, and write the table after each part."
    torch.set_num_threads(threads)
    size = SMALL if small else Size()
    network = load(model).model.requires_grad_(False)
    weights = (
        fingerprint(weights_path() / model / "model.safetensors")[:16]
        if (weights_path() / model).is_dir()
        else model
    )
    store = Store(
        (runs or Path("runs/coefficient-small" if small else "runs/coefficient")) / str(weights)
    )
    path = out or (store.folder if small else weights_path() / model) / "coefficient.json"
    run_parts(
        store,
        network,
        model,
        {"model": model, "weights": weights, "size": size._asdict()},
        size,
        only,
        path,
    )


def run_parts(
    store: Store, network: Any, name: str, facts: dict[str, Any], size: Size, only: str, path: Path
) -> dict[str, Any]:  # the table
    "One part after the other, each for both alphas."
    shipped = network.learned_schedule
    alphas = [2.0, network.config["noise"]["alpha"]]
    table: dict[str, Any] = {**facts, "alphas": {f"{alpha:g}": {} for alpha in alphas}}
    schedules = {}
    for alpha in alphas:
        table["alphas"][f"{alpha:g}"]["fits"], schedules[alpha] = fits(store, network, alpha, size)
    save(table, path)
    if only in ("bound", "joint"):
        for alpha in alphas:
            others = {f"coefficient of alpha {a:g}": v for a, v in schedules.items() if a != alpha}
            table["alphas"][f"{alpha:g}"]["bounds"] = bounds_of(
                store, network, alpha, schedules[alpha], {"shipped": shipped, **others}, size
            )
            save(table, path)
    if only == "joint":
        for part in table["alphas"]:
            rows = table["alphas"][part]
            own = schedules[float(part)]
            before = measure(store, f"{part} fitted", network, float(part), own, size, size.paired_paths)
            rows["joint"] = joint_rows(store, name, float(part), rows["fits"], before.sum(1), size)
            save(table, path)
    return table


def save(table: dict[str, Any], path: Path) -> None:
    "Write the table, and the figure beside it."
    write_atomic(path, (json.dumps(table, indent=1) + "\n").encode())
    figure_of(table).savefig(path.with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    app()
