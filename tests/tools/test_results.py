"What the tools share: how work is cut into parts, and how often the test was opened."

import json
import re

import pytest
import typer
from places import ROOT
from results import count_openings, describe_looks, fingerprint, record_opening, share_of

from t2i_learn.core.files import weights_path


@pytest.mark.parametrize(("text", "part"), [("1/1", (1, 1)), ("2/3", (2, 3))])
def test_a_share_is_the_kth_of_n(text, part):
    assert share_of(text) == part


@pytest.mark.parametrize("text", ["3", "3/2", "0/2", "a/b", "1/0", "", "1/2/3", "-1/2"])
def test_anything_else_is_refused_in_a_sentence(text):
    with pytest.raises(typer.BadParameter, match="--share is k/n, such as 1/2"):
        share_of(text)


@pytest.fixture
def log(tmp_path):
    "Weights of two models, and a log in which their tests were opened."
    for name in ("ours", "theirs"):
        (tmp_path / name).write_bytes(name.encode())
    for name, edition in (("ours", 1), ("theirs", 1), ("ours", 2), ("ours", 1)):
        record_opening(tmp_path / "opened.jsonl", tmp_path / name, f"a look at {name}", edition)
    return tmp_path / "opened.jsonl"


def test_openings_are_written_down_and_counted(log):
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(row["edition"], row["reason"]) for row in rows] == [
        (1, "a look at ours"),
        (1, "a look at theirs"),
        (2, "a look at ours"),
        (1, "a look at ours"),
    ]
    ours = fingerprint(log.with_name("ours"))
    assert (
        count_openings(log),
        count_openings(log, 1, ours),
        count_openings(log, 2),
        count_openings(log, 3),
    ) == (3, 2, 1, 0)
    assert count_openings(log.with_name("none.jsonl")) == 0


def test_weights_that_were_saved_again_are_the_same_weights(log):
    log.with_name("again").write_bytes(b"saved again")
    again = fingerprint(log.with_name("again"))
    row = {"commit": None, "sha256": "0" * 64, "edition": 1, "reason": "before", "saved_again": again}
    log.write_text(log.read_text() + json.dumps(row) + "\n")
    assert count_openings(log, 1, again) == 1 and count_openings(log) == 4


def test_a_card_says_how_often_its_edition_was_looked_at(log):
    said = [
        describe_looks(log, name, log.with_name(name), edition)
        for name, edition in (("ours", 1), ("theirs", 1), ("ours", 2))
    ]
    assert [
        "edition 1 of the test 3 times, with these weights twice. " in said[0],
        "3 times, with these weights once. " in said[1],
        "edition 2 of the test once, with these weights once. " in said[2],
    ] == [True] * 3
    assert [said[0].count("a look at ours"), said[0].count("a look at theirs")] == [3, 0], (
        "its own history"
    )


def test_the_history_of_the_first_edition_is_known():
    log = ROOT / "data" / "prompts" / "opened.jsonl"
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        assert (
            {"commit", "sha256", "edition", "reason"}
            <= row.keys()
            <= {"commit", "sha256", "edition", "reason", "saved_again"}
        )
        assert row["commit"] is None or re.fullmatch("[0-9a-f]{40}", row["commit"])
        assert re.fullmatch("[0-9a-f]{64}", row["sha256"]) and row["edition"] >= 1 and row["reason"]


@pytest.mark.parametrize("name", ["shapes-diffusion", "shapes-gan", "shapes-stable"])
def test_shipped_cards_do_not_claim_more_looks_than_there_were(name):
    log, folder = ROOT / "data" / "prompts" / "opened.jsonl", weights_path() / name
    card = (folder / "README.md").read_text(encoding="utf-8")
    edition, everyone, own = re.search(
        r"opened edition (\d+) of the test (\w+)(?: times)?, with these weights (\w+)", card
    ).groups()
    counted = [{"once": 1, "twice": 2}.get(word) or int(word) for word in (everyone, own)]
    assert counted[0] <= count_openings(log, int(edition)) and 1 <= counted[1] <= count_openings(
        log, int(edition), fingerprint(folder / "model.safetensors")
    )
