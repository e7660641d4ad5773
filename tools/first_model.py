"""Train the model of nbs/first_model.ipynb by the notebook's own cells, and write the weights that it offers to slow machines.

python tools/first_model.py

The weights go to t2i_learn/weights/first_model.safetensors in half precision. Beside them, first_model.json says how long
the training took, its loss, and what guidance and steps score on noises that the page does not use.
"""

from __future__ import annotations

import json
import os
import time
from itertools import product
from pathlib import Path
from typing import Any


import nbformat
import torch
import typer
from IPython.core.interactiveshell import InteractiveShell
from safetensors.torch import save

from t2i_learn.core.files import weights_path, write_atomic

NOTEBOOK = Path(__file__).parents[1] / "nbs" / "first_model.ipynb"
TRAINING, SCORE = "fm-train-cpu", "fm-score"  # ids of cells
GUIDANCE, STEPS = (1.0, 1.5, 2.0, 3.0, 4.0), (10, 20, 40)
NOISE_SEED = 11  # the page counts with another


def run_until(
    shell: InteractiveShell,
    after: str,  # id of a cell; "": from the first
    last: str,  # id of a cell
) -> None:
    "Run the code cells after one up to another, as a reader would."
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    ids = [cell.id for cell in cells]
    for cell in cells[ids.index(after) + 1 if after else 0 : ids.index(last) + 1]:
        if cell.cell_type == "code":
            shell.run_cell(cell.source).raise_error()


def score_settings(names: dict[str, Any]) -> list[dict[str, float]]:
    "What each guidance and number of steps scores on other noises."
    rows = []
    for guidance, steps in product(GUIDANCE, STEPS):
        shares = [
            names["share_right"](names[pairs], seed=NOISE_SEED, guidance=guidance, steps=steps)
            for pairs in ("PAIRS", "HELD_OUT")
        ]
        rows.append({"guidance": guidance, "steps": steps, "shown": shares[0], "held out": shares[1]})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    "Train, score, save."
    os.chdir(NOTEBOOK.parent)
    shell = InteractiveShell.instance()
    run_until(shell, "", TRAINING)
    names = shell.user_ns
    run_until(shell, TRAINING, SCORE)
    weights = {name: tensor.half() for name, tensor in names["model"].state_dict().items()}
    names["model"].load_state_dict(weights)  # what is scored is what ships
    facts = {
        "pictures": names["BUDGET"],
        "minutes": round(names["minutes"], 1),
        "threads": torch.get_num_threads(),
        "losses": [round(loss, 4) for loss in names["losses"][::25]],
        "settings": score_settings(names),
        "made": time.strftime("%Y-%m-%d"),
    }
    write_atomic(weights_path() / "first_model.safetensors", save(weights))
    write_atomic(weights_path() / "first_model.json", (json.dumps(facts, indent=1) + "\n").encode())


if __name__ == "__main__":
    typer.run(main)
