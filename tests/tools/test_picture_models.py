"Models of pictures that are not of the world of shapes: trained, kept where they are better, and not written over otherwise."

import numpy as np
import pytest
import torch
import weights

from t2i_learn.core.pipeline import load, read_card


@pytest.mark.trains
def test_a_picture_model_ships_only_where_its_error_is_lower(tmp_path, monkeypatch, capsys):
    levels = np.random.default_rng(0).integers(0, 256, (45, 20, 20, 3), np.uint8)
    rows = [{"image": image, "caption": f"a thing of kind {k % 5}"} for k, image in enumerate(levels)]
    monkeypatch.setattr(weights, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path / "weights")
    facts = {"source": rows, "size": 16, "licence": "none", "steps": 2}
    monkeypatch.setattr(weights, "PICTURE_MODELS", {"own": facts})
    assert weights.make_picture_model("own", "smoke", again=False)
    shipped = tmp_path / "weights" / "own-smoke"
    card = read_card(shipped)
    assert card["sha256"] == weights.fingerprint(shipped / "model.safetensors")
    assert card["data"]["license"] == "none" and card["validation"]["own"] > 0
    assert load(shipped).model.encoder.tokens.weight.dtype == torch.float32
    assert not weights.make_picture_model("own", "smoke", again=False), "it is no better than itself"
    assert "Not better than what is there" in capsys.readouterr().out


def test_emoji_diffusion_is_one_of_them():
    assert weights.PICTURE_MODELS["emoji-diffusion"]["size"] == 64
    assert all(name in weights.EMOJI_LICENCES for name in ("Apache-2.0", "MIT", "CC-BY-4.0"))
