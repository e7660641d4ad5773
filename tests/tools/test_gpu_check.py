"The script for a machine with a GPU, tried on the CPU at its smallest."

import json
import os
import subprocess

import pytest
from places import ROOT

import gpu_check


@pytest.mark.slow
def test_all_parts_run_on_the_cpu(tmp_path):
    import sys

    environment = {**os.environ, "T2I_DEVICE": "cpu", "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(ROOT / "tools" / "gpu_check.sh"), str(tmp_path), "--tiny"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    report = json.loads((tmp_path / "check.json").read_text())
    parts = report["parts"]
    assert {f"training, {name}" for name in gpu_check.rounds("smoke")} <= parts.keys()
    assert parts["drawing, shapes-diffusion"]["mean difference to the CPU"] == 0
    assert 0 <= parts["short training"]["score on validation prompts"] <= 1
    assert report["machine"]["device"] == "cpu"


def test_a_part_that_fails_is_a_line_and_the_others_go_on(tmp_path, monkeypatch):
    def fail():
        raise RuntimeError("no kernel image")

    parts = [("one", fail), ("two", lambda: {"loss": float("nan")})]
    monkeypatch.setattr(gpu_check, "checks", lambda tiny, run: iter(parts))
    with pytest.raises(SystemExit, match="failed: one"):
        gpu_check.main(tmp_path, tiny=True)
    found = json.loads((tmp_path / "check.json").read_text())["parts"]
    assert found["one"]["failed"] == "RuntimeError: no kernel image" and found["two"]["loss"] is None


def test_every_family_that_trains_is_checked():
    from t2i_learn.core.settings import families

    checked = {config.config["family"] for config in gpu_check.rounds("full").values()}
    assert checked == {*families()}
