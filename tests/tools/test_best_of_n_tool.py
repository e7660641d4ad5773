"The tool that measures the best of n: exact tables, and one run with a small scorer."

import json
import math

import best_of_n as tool
import captioner
import pytest
import torch

from t2i_learn.language.clip_score import best_of_n, best_of_n_weights, weighted_spread
from t2i_learn.language.contrastive import CONTRASTIVE_ROUNDS, ScorePipeline


def test_a_perfect_score_is_the_oracle_and_a_constant_one_is_chance():
    dice = torch.Generator().manual_seed(0)
    right = torch.rand(6, 10, generator=dice) < 0.5
    places = torch.rand(6, 10, 2, generator=dice).double()
    tasks = ["two", "two", "two", "count", "count", "count"]
    rows = {(r["chosen by"], r["n"]): r for r in tool.table_of(right.double(), right, places, tasks)}
    for n in tool.SIZES:
        assert rows["score", n]["right"] == rows["oracle", n]["right"]
        assert rows["random", n]["gain"] == [0, 0, 0]
        wrong = (~right).sum(1)
        lost = sum(math.comb(int(w), n) / math.comb(10, n) for w in wrong) / 6
        assert rows["oracle", n]["right"][0] == pytest.approx(1 - lost, abs=1e-4)
    assert rows["oracle", 8]["tasks"].keys() == {"two", "count"}


def test_the_best_of_n_agrees_with_draws():
    dice = torch.Generator().manual_seed(1)
    scores = (5 * torch.rand(12, generator=dice)).round()
    weights = best_of_n_weights(scores, 3)
    assert float(weights.sum()) == pytest.approx(1)
    drawn = torch.stack([torch.randperm(12, generator=dice)[:3] for _ in range(6000)])
    assert scores[drawn].amax(1).mean().item() == pytest.approx(
        float(weights @ scores.double()), abs=0.05
    )
    for n in (0, 13):
        with pytest.raises(ValueError, match="number of candidates"):
            best_of_n_weights(scores, n)


def test_a_score_that_likes_the_middle_costs_variety():
    dice = torch.Generator().manual_seed(2)
    places = torch.rand(32, 2, generator=dice).double()
    right = torch.ones(32, dtype=torch.bool)
    central = -(places - 0.5).norm(dim=1)
    spreads = [best_of_n(central, right, places, n).spread for n in (1, 4, 8)]
    assert spreads == sorted(spreads, reverse=True) and spreads[2] < 0.7 * spreads[0]
    assert math.isnan(weighted_spread(places, best_of_n_weights(central, 32)))
    lost = torch.cat([places, torch.full((5, 2), math.nan)])
    alike = torch.full((37,), 1 / 37).double()
    assert weighted_spread(lost, alike) == pytest.approx(spreads[0])
    assert tool.estimate([math.nan], ["two"]) == [None, None, None]


@pytest.mark.trains
def test_the_table_is_written_with_the_weights_it_belongs_to(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(captioner, "DRAWN", tmp_path / "drawn")
    monkeypatch.setattr(tool, "painters", lambda: ["shapes-gan"])
    monkeypatch.setattr(tool, "weights_path", lambda: tmp_path)
    config = CONTRASTIVE_ROUNDS["smoke"][0]
    learner, ema = config.learner(seed=0)
    learner.fit(config.steps)
    ScorePipeline(ema.model, "tiny").save_pretrained(tmp_path / "tiny")
    tool.main(str(tmp_path / "tiny"), True, 8, 1)
    assert not (tmp_path / "shapes-clip").exists() and len([*(tmp_path / "drawn").iterdir()]) == 1
    monkeypatch.setattr(captioner, "load", lambda name: pytest.fail("drawn again"))
    tool.main(str(tmp_path / "tiny"), False, 8, 1)
    made = json.loads((tmp_path / "shapes-clip" / "best_of_n.json").read_text(encoding="utf-8"))
    assert made["candidates"] == 8 and made["prompts"] == 5 and len(made["weights"]) == 64
    rows = made["models"]["shapes-gan"]["rows"]
    assert len(rows) == 12 and all(0 <= row["right"][0] <= 1 for row in rows)
    assert "shapes-gan oracle 8 right" in capsys.readouterr().out
