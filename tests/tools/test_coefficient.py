"The fitted coefficient of a model of two stages: its parts agree with each other, and work that is done is not done again."

import json
from types import SimpleNamespace

import coefficient as tool
import pytest
import torch
from tiny import tiny_two_stage

TINY = tool.Size(4, 1, 5, 4, 1, 1, (3, 4), 1, 4, 4, 8)
pytestmark = pytest.mark.filterwarnings("ignore:no caption in training held")


@pytest.fixture
def network():
    return tiny_two_stage().model.requires_grad_(False)


@pytest.fixture
def store(tmp_path):
    return tool.Store(tmp_path)


def test_pieces_are_kept_and_only_the_missing_ones_are_made(store):
    calls = []
    work = lambda k: calls.append(k) or k * k
    assert store.collect("squares", 3, work) == [0, 1, 4]
    assert store.collect("squares", 5, work) == [0, 1, 4, 9, 16] and calls == [0, 1, 2, 3, 4]
    assert store.collect("squares", 2, work) == [0, 1] and len(calls) == 5


def test_a_search_that_is_begun_again_goes_on(store):
    seen = []
    value = lambda likelihood: seen.append(likelihood) or float(len(seen))
    first = tool.remembered(store, "fit", value)
    assert [first("a"), first("b")] == [1.0, 2.0]
    again = tool.remembered(store, "fit", value)
    assert [again("a"), again("b"), again("c")] == [1.0, 2.0, 3.0] and seen == ["a", "b", "c"]


def test_an_end_is_moved_and_a_line_has_the_same_ends():
    own = tool.knotted(-8.0, 1.0, [0.5, 0.0, 0.0, 0.0, 0.0, -0.5])
    found = dict(tool.variants(own))
    assert list(found) == ["straight", "low -0.3", "low +0.3", "high -0.3", "high +0.3"]
    ends = {name: (round(v.low.item(), 4), round(v.high.item(), 4)) for name, v in found.items()}
    assert (
        ends["straight"] == (-8.0, 1.0)
        and ends["low +0.3"] == (-7.7, 1.0)
        and ends["high -0.3"] == (-8.0, 0.7)
    )
    t = torch.linspace(0, 1, 15, dtype=torch.float64)
    share = lambda schedule: schedule.ramp(t, None, None)[0]
    assert torch.allclose(share(found["straight"]), t) and torch.equal(
        share(found["low -0.3"]), share(own)
    )


def test_two_schedules_meet_the_same_pictures_and_paths(store, network):
    first, second = (
        tool.measure(store, name, network, 1.8, tool.knotted(-6.0, 1.0), TINY, 1) for name in ("a", "b")
    )
    assert first.shape == (4, 4) and torch.equal(first, second)
    moved = tool.measure(store, "c", network, 1.8, tool.knotted(-6.3, 1.0), TINY, 1)
    assert torch.equal(moved[:, 0], first[:, 0]), "what the noise costs does not depend on the schedule"
    assert torch.allclose(moved[:, 1], first[:, 1], atol=0.01), "the draft only sees the upper end"
    assert (moved[:, 3] < first[:, 3]).all(), "a lower end costs less in the decoder"
    mean, low, high = tool.interval((moved - first).sum(1))
    assert low < mean < high


def test_agreement_is_the_distance_of_the_farthest_two():
    rows = [
        ({"fitted again": {"low": -7.0 - 0.1 * k, "high": 1.0}}, torch.tensor([2.0, 2.0 + k]))
        for k in range(3)
    ]
    assert tool.agreement(rows) == {"bits": 1.0, "low": 0.2, "high": 0.0}


@pytest.mark.trains
def test_all_parts_are_in_the_table_and_nothing_is_done_twice(store, network, monkeypatch, tmp_path):
    monkeypatch.setattr(tool, "load", lambda name: SimpleNamespace(model=tiny_two_stage().model))
    monkeypatch.setattr(tool, "CLIPS", (1.0,))
    monkeypatch.setattr(tool, "STARTS", {"wide": (-9.0, 3.0)})
    path = tmp_path / "coefficient.json"
    how = (store, network, "tiny", {"model": "tiny"}, TINY, "joint", path)
    table = tool.run_parts(*how)
    assert json.loads(path.read_text(encoding="utf-8")) == table and path.with_suffix(".png").is_file()
    assert set(table["alphas"]) == {"2", "1.8"}
    for alpha, other in (("2", "1.8"), ("1.8", "2")):
        part = table["alphas"][alpha]
        assert {
            "fitted",
            "shipped",
            f"coefficient of alpha {other}",
            "straight - fitted",
            "T = 4",
        } <= set(part["bounds"])
        row = part["bounds"]["fitted"]
        assert abs(sum(row[term] for term in tool.TERMS) - row["bits"][0]) < 1e-3
        assert part["joint"]["agreement"].keys() == {"bits", "low", "high"}
        assert {name for name, row in part["joint"].items() if "diffusion" in row} == {
            "wide, clip 1, own weights",
            "wide, clip 1, the bound's weights",
        }
    monkeypatch.setattr(tool, "elbo_terms", None)
    monkeypatch.setattr(tool, "tabulate_errors", None)
    monkeypatch.setattr(tool, "bits_by_picture", None)
    assert tool.run_parts(store, tiny_two_stage().model, *how[2:]) == table
