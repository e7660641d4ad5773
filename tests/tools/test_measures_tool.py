"The table of measures where the truth is known: each set once, in an order that is known beforehand."

import json

import measures
import pytest
from t2i_learn.pictures.scene_laws import SCENE_LAWS


def made_up(pool, facts):
    "A measure that knows the truth, one that reverses it, and one that says nothing."
    return facts | {"right": facts["tv"] ** 2, "wrong": -facts["tv"], "silent": 1.0}


@pytest.fixture
def table(tmp_path, monkeypatch):
    "The tool's table of made-up measures, and what it drew."
    drawn = []
    monkeypatch.setattr(measures, "ScenePool", lambda features, per_shape: object())
    monkeypatch.setattr(
        measures, "measured", lambda pool, facts: drawn.append(facts) or made_up(pool, facts)
    )
    monkeypatch.setattr(measures, "PICTURES", (20, 40))
    monkeypatch.setattr(measures, "RESAMPLES", 50)
    path = tmp_path / "table.json"

    def run(repeats):
        measures.main(repeats, "random", False, path)
        return json.loads(path.read_text()), drawn

    return run


def test_each_set_is_drawn_once_and_a_table_that_was_begun_is_finished(table):
    first, drawn = table(1)
    assert len(first["rows"]) == len(drawn) == 2 * 12
    again, drawn = table(2)
    assert len(again["rows"]) == len(drawn) == 2 * 2 * 12 and again["rows"][:24] == first["rows"]
    assert len({(row["law"], row["pictures"], row["repeat"]) for row in again["rows"]}) == 48


def test_agreement_is_one_for_the_truth_and_minus_one_for_its_reverse(table):
    found = {(r["measure"], r["kind"], r["pictures"]): r for r in table(2)[0]["agreement"]}
    assert len(found) == 3 * 5 * 2
    for kind in ("all", "frequency", "dropped", "blurred", "copied"):
        assert found["right", kind, 20]["mean"] == pytest.approx(1, abs=1e-3)
        assert found["wrong", kind, 40]["mean"] == pytest.approx(-1, abs=1e-3)
        assert found["silent", kind, 40]["mean"] == found["silent", kind, 40]["high"] == 0
    assert found["right", "all", 20]["low"] > 0.99


def test_tables_of_other_features_are_not_mixed(table, tmp_path):
    (tmp_path / "table.json").write_text('{"features": "imagenet", "rows": [], "agreement": []}')
    with pytest.raises(SystemExit, match="made with the features imagenet"):
        table(1)


def test_a_row_says_which_set_and_what_was_measured():
    pool = measures.ScenePool(lambda pictures: pictures.flatten(1)[:, ::64], 20)
    facts = next(measures.missing([], (21,), 1))
    row = measures.measured(pool, facts)
    assert (row["kind"], row["tv"], row["pictures"]) == (SCENE_LAWS[0].kind, 0.1, 21)
    assert row["frechet"] > 0 and 0 <= row["precision"] <= 1
