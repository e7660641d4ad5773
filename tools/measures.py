"""Try the measures of *Measures* where the truth is known, and write t2i_learn/weights/measures.json.

python tools/measures.py                     12 laws of scenes, four numbers of pictures, five repetitions
python tools/measures.py --repeats 1         a fifth of it
python tools/measures.py --features random   without the package of the extra `metrics`
python tools/measures.py --smoke             two small numbers, once, into a table of its own

Each row is one drawn set: its law with its total variation from the true one, the number of pictures, and every measure, turned
so that it grows with a fault. A row of the agreement is Spearman's rank correlation of a measure with the total variation, over
all laws or those of one kind, with an interval over laws and repetitions drawn anew. Rows are written as they are found, and
what is there is not measured again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from t2i_learn.core.files import read_json, weights_path, write_atomic
from t2i_learn.gan.interpolation import spearman_correlation
from t2i_learn.pictures.measures import open_features
from t2i_learn.pictures.scene_laws import fault_measures, SCENE_LAWS, ScenePool

PICTURES = (75, 150, 300, 600)
PER_SHAPE = 1.04  # scenes of each shape in the pool, as a share of the largest number of pictures
RESAMPLES = 1000

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def missing(
    rows: list[dict[str, Any]], pictures: tuple[int, ...], repeats: int
) -> Iterator[dict[str, Any]]:
    "What says which set is to be drawn, for each that is not there yet."
    for repeat in range(repeats):
        for count in pictures:
            for number, law in enumerate(SCENE_LAWS):
                facts = {
                    "law": number,
                    "kind": law.kind,
                    "tv": round(law.total_variation, 4),
                    "pictures": count,
                    "repeat": repeat,
                }
                if not any(facts.items() <= row.items() for row in rows):
                    yield facts


def measured(pool: ScenePool, facts: dict[str, Any]) -> dict[str, Any]:
    "Draw a set, and measure it."
    seed = 10_000 * facts["repeat"] + 100 * facts["law"] + facts["pictures"]
    sets = pool.deal(facts["pictures"], SCENE_LAWS[facts["law"]], torch.Generator().manual_seed(seed))
    return facts | {name: float(f"{value:.5g}") for name, value in fault_measures(*sets).items()}


def correlation(rows: list[dict[str, Any]], measure: str) -> float:
    "The rank correlation of a measure with the total variation; 0 where one of them has a single value."
    truth, found = (torch.tensor([row[name] for row in rows]) for name in ("tv", measure))
    if len(truth.unique()) < 2 or len(found.unique()) < 2:
        return 0.0
    return float(spearman_correlation(truth, found))


def agreement_row(
    rows: list[dict[str, Any]],  # of one number of pictures, and of one kind or all
    measure: str,
    generator: torch.Generator,
) -> dict[str, float]:
    "How well a measure orders the laws: the mean over repetitions, and an interval."
    table = {(row["repeat"], row["law"]): row for row in rows}
    repeats, laws = (sorted({row[name] for row in rows}) for name in ("repeat", "law"))
    mean = sum(correlation([table[r, law] for law in laws], measure) for r in repeats) / len(repeats)
    drawn = []
    for _ in range(RESAMPLES):
        r = repeats[int(torch.randint(len(repeats), (), generator=generator))]
        chosen = torch.randint(len(laws), (len(laws),), generator=generator).tolist()
        drawn.append(correlation([table[r, laws[k]] for k in chosen], measure))
    low, high = torch.tensor(drawn).quantile(torch.tensor([0.025, 0.975])).tolist()
    return {name: round(value, 3) for name, value in (("mean", mean), ("low", low), ("high", high))}


def agreement(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    "All rows of the agreement."
    names = [name for name in rows[0] if name not in ("law", "kind", "tv", "pictures", "repeat")]
    generator = torch.Generator().manual_seed(0)
    for count in sorted({row["pictures"] for row in rows}):
        for kind in ("all", *dict.fromkeys(law.kind for law in SCENE_LAWS)):
            chosen = [r for r in rows if r["pictures"] == count and kind in ("all", r["kind"])]
            for name in names:
                found = agreement_row(chosen, name, generator)
                yield {"measure": name, "kind": kind, "pictures": count} | found


def write(path: Path, table: dict[str, Any]) -> None:
    "Write the table, a row to a line."
    rows = {
        name: "[\n  " + ",\n  ".join(json.dumps(row) for row in table[name]) + "\n ]"
        for name in ("rows", "agreement")
    }
    text = f'{{\n "features": {json.dumps(table["features"])},\n'
    text += ",\n".join(f' "{name}": {part}' for name, part in rows.items()) + "\n}\n"
    write_atomic(path, text.encode())


@app.command()
def main(
    repeats: Annotated[int, typer.Option(min=1, help="sets of each law and number")] = 5,
    features: Annotated[
        str | None, typer.Option(help="imagenet or random; imagenet if it is installed")
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="two small numbers, once")] = False,
    out: Annotated[Path | None, typer.Option(help="the table; the one that ships if not given")] = None,
) -> None:
    "Measure what is missing, and write the table after each repetition of a number."
    path = out or (Path("runs") / "measures-smoke.json" if smoke else weights_path() / "measures.json")
    network, pictures = open_features(features), (21, 42) if smoke else PICTURES
    table = (
        read_json(path) if path.is_file() else {"features": network.name, "rows": [], "agreement": []}
    )
    if table["features"] != network.name:
        raise SystemExit(f"{path} was made with the features {table['features']}: choose another --out.")
    todo = [*missing(table["rows"], pictures, 1 if smoke else repeats)]
    path.parent.mkdir(parents=True, exist_ok=True)
    if todo:
        pool = ScenePool(network, round(PER_SHAPE * max(pictures)) + 3)
        for number, facts in enumerate(todo, 1):
            table["rows"].append(measured(pool, facts))
            if number % len(SCENE_LAWS) == 0:
                print(f"{number} of {len(todo)} sets", flush=True)
                write(path, table)
    table["agreement"] = [*agreement(table["rows"])]
    write(path, table)
    for row in table["agreement"]:
        if row["kind"] == "all":
            print(
                f"{row['pictures']:4} {row['measure']:12} {row['mean']:5.2f} ({row['low']:.2f} to {row['high']:.2f})"
            )


if __name__ == "__main__":
    app()
