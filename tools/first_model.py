"""Run nbs/first_model.ipynb with its training, and write the weights that it offers to those who skip the training.

python tools/first_model.py

One run makes the outputs of the page, t2i_learn/weights/first_model.safetensors in half precision, and beside it
first_model.json: how long the training took, its loss, and what guidance and steps score on noises that the page does not
use. Use a machine that does nothing else: the page says how many minutes it took.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from nbformat.v4 import new_code_cell
from nbs import ROOT, execute, read, write

NOTEBOOK = ROOT / "nbs" / "first_model.ipynb"
SAVE = """
import json
from itertools import product

from safetensors.torch import save

from t2i_learn.core.files import weights_path, write_atomic

weights = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
model.load_state_dict(weights)  # what is scored is what ships
rows = []
for guidance, steps in product((1.0, 1.5, 2.0, 3.0), (10, 20)):
    chosen = {"times": 4, "seed": 11, "guidance": guidance, "steps": steps}  # the page counts with another seed
    rows.append(chosen | {"shown": float(share_right(PAIRS, **chosen)), "held out": float(share_right(HELD_OUT, **chosen))})
facts = {
    "pictures": BUDGET,
    "minutes": round(minutes, 1),
    "threads": torch.get_num_threads(),
    "losses": [round(loss, 4) for loss in losses[::25]],
    "settings": rows,
}
write_atomic(weights_path() / "first_model.safetensors", save(weights, {"words": " ".join(WORDS)}))
write_atomic(weights_path() / "first_model.json", (json.dumps(facts, indent=1) + "\\n").encode())
"""  # the last cell of the run, which the page does not keep


def main(path: Path = NOTEBOOK) -> None:
    "Run the page with one cell more, and keep all but that cell."
    notebook = read(path)
    notebook.cells.append(new_code_cell(SAVE))
    asyncio.run(execute(notebook, path, slow=True, timeout=3600))
    notebook.cells.pop()
    write(notebook, path)


if __name__ == "__main__":
    main()
