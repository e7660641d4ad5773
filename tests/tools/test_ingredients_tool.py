"What each ingredient is worth: arms that differ in one thing, a table of verdicts, and a run that resumes."

import ingredients as tool
import pytest
from typer.testing import CliRunner


def test_each_arm_differs_from_the_whole_in_one_thing():
    rounds, whole = tool.first_rounds(tool.SMALL), tool.second_round(tool.ARMS["whole"], tool.SMALL)
    assert {arm.base for arm in tool.ARMS.values()} == set(rounds)
    parts = vars(rounds["three parts"])
    for name in set(rounds) - {"three parts"}:
        changed = {key for key, value in vars(rounds[name]).items() if value != parts[key]}
        assert changed == ({"ingredients", "config"} if name == "alpha 2" else {"ingredients"})
    assert rounds["alpha 2"].ingredients.sigmas.alpha == rounds["three parts"].config["noise"]["alpha"]
    for name in ("fixed schedule", "learned ends"):
        fixed = tool.second_round(tool.ARMS[name], tool.SMALL)
        assert fixed.ingredients.learns == "nothing" and fixed.joint and fixed.steps == whole.steps
    apart = tool.second_round(tool.ARMS["apart"], tool.SMALL)
    assert not apart.joint and apart.steps == whole.steps and apart.config == whole.config


def test_a_verdict_needs_more_than_one_training():
    assert tool.compare_trainings([0.5]) == ("+0.500", "one training")
    assert tool.compare_trainings([0.1, 0.11, 0.12])[1] == "better"
    assert tool.compare_trainings([0.0, 0.06, 0.12])[1] == "not resolved"
    assert tool.compare_trainings([0.001, 0.0, -0.001]) == ("+0.000 [-0.002, +0.002]", "no difference")


def test_the_table_compares_arms_by_seed():
    row = lambda arm, seed, refined: {"arm": arm, "seed": seed, "refined": refined, "freedom": 1.0}
    rows = [row("whole", seed, 0.5 + 0.1 * seed) for seed in range(3)]
    rows += [row("apart", seed, 0.4 + 0.1 * seed) for seed in range(3)] + [row("alpha 2", 5, 0.9)]
    table = tool.table_of(rows)
    assert set(table) == {"whole", "apart", "alpha 2"} and table["whole"]["verdict"] == ""
    assert table["apart"]["verdict"] == "worse", "the spread of seeds is not that of differences"
    assert table["apart"]["refined"] == "0.50 ± 0.10" and table["apart"]["draft"] == ""
    assert table["alpha 2"]["difference"] == "", "a seed that the whole lacks is not compared"


@pytest.mark.trains
@pytest.mark.filterwarnings("ignore:no caption in training held")
def test_arms_are_trained_once_and_share_their_beginning(tmp_path, monkeypatch):
    arms = {name: tool.ARMS[name] for name in ("whole", "no generator", "learned ends")}
    monkeypatch.setattr(tool, "ARMS", arms)
    monkeypatch.setattr(tool, "LEVELS", (1.0,))
    monkeypatch.setattr(tool, "TOPS", (8.0,))
    out = tmp_path / "table.json"
    words = ["--small", "--seeds", "1", "--runs", str(tmp_path / "runs"), "--out", str(out)]
    go = lambda: CliRunner().invoke(tool.app, words, catch_exceptions=False)
    go()
    found = {row["arm"]: row for row in tool.read_json(out)["results"]}
    assert set(found) == set(arms) and found["learned ends"]["ends"] == found["whole"]["ends"]
    assert found["whole"]["ends"] != [-6.0, -2.0] == found["no generator"]["ends"]
    assert "bits" in found["whole"] and "bits" not in found["no generator"]
    monkeypatch.setattr(tool, "trained", lambda *args: pytest.fail("it was trained again"))
    assert "| whole |" in go().output
