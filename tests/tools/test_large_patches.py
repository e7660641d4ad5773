"The table of large patches: each training once, and none twice."

import json

import large_patches
from t2i_learn.pictures.large_patches import PlaceRun


def test_a_table_that_was_begun_is_finished(tmp_path, monkeypatch):
    made = []

    def row_of(run):
        made.append(run)
        facts = {name: getattr(run, name) for name in ("output", "dimension", "width", "steps", "seed")}
        return facts | {"loss": 1.0, "distance": 0.5}

    monkeypatch.setattr(large_patches, "row_of", row_of)
    path = tmp_path / "table.json"
    large_patches.main(seeds=1, smoke=True, out=path)
    assert len(made) == len({*made}) == 20
    large_patches.main(seeds=2, smoke=True, out=path)
    rows = json.loads(path.read_text())["rows"]
    assert len(made) == len(rows) == 40 and {row["dimension"] for row in rows} == {2, 16, 128, 512}


def test_a_row_says_what_was_trained_and_how_it_went():
    row = large_patches.row_of(PlaceRun("flow", 16, 8, steps=3, seed=1))
    assert (row["output"], row["dimension"], row["width"], row["seed"]) == ("flow", 16, 8, 1)
    assert row["loss"] > 0 and row["distance"] == round(row["distance"], 4)
