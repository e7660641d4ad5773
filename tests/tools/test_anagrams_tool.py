"Anagrams of every pair: what is counted, and that a run goes on where it stopped."

import json
from types import SimpleNamespace

import anagrams as tool
import pytest
import torch

from t2i_learn.editing.anagrams import VIEWS
from t2i_learn.world.scenes import Scene, Thing, render


def small(shape):
    return render(Scene((Thing(shape, "blue", 0.5, 0.5, 0.13, "small"),)))


class Painter:
    "Draws what a prompt says, rightly."

    name = "painter"

    def __call__(self, prompt, num_images_per_prompt, **call):
        picture = small(prompt.split()[-1])
        return SimpleNamespace(images=picture.repeat(num_images_per_prompt, 1, 1, 1))


@pytest.fixture
def drawn(monkeypatch):
    "Pictures that show the first prompt upright, and a log of the calls."
    log = []

    def draw(pipe, prompts, views, count, **call):
        log.append((call.get("method", "average"), call["first"], count))
        return small(prompts[0].split()[-1]).repeat(count, 1, 1, 1)

    monkeypatch.setattr(tool, "draw_anagram", draw)
    return log


def results(path, weights="0"):
    return tool.Anagrams(path / "anagrams.json", Painter(), weights)


@pytest.mark.parametrize(
    ("readings", "letter"),
    [([True, True], "b"), ([True, False], "1"), ([False, True], "2"), ([False, False], "-")],
)
def test_two_readings_are_one_letter(readings, letter):
    assert tool.verdict(readings) == letter


def test_each_method_is_judged_in_its_own_way(drawn, tmp_path):
    found, pair = results(tmp_path), ("circle", "heart")
    methods = (*tool.METHODS, *tool.CONTROLS)
    for method in methods:
        found.run_pair(method, "half-turn", pair, 2)
    verdicts = {method: found.marks(method, "half-turn")["circle, heart"] for method in methods}
    assert verdicts.pop("ceiling") == "bb", "each caption alone is right"
    assert verdicts.pop("mean of pictures") != "bb", "two shapes on top of each other are neither"
    assert set(verdicts.values()) == {"11"}, "a circle is no heart when it is turned"


def test_symmetric_shapes_are_read_in_both_views(drawn, tmp_path):
    found = results(tmp_path)
    assert found.judge_method("average", "half-turn", ("circle", "circle"), 0, 1) == "b"


def test_a_hybrid_is_read_from_the_blurred_and_the_sharp_picture(monkeypatch, tmp_path):
    a = 0.147
    four = [
        Thing("triangle", "blue", 0.5 + x, 0.5 + y, 0.122, "small") for x in (-a, a) for y in (-a, a)
    ]
    one = render(Scene((Thing("square", "blue", 0.5, 0.5, 0.25, "large"),)))
    pictures = torch.stack([render(Scene(tuple(four))), one])
    monkeypatch.setattr(tool, "draw_hybrid", lambda pipe, far, near, sd, count, **call: pictures)
    found = results(tmp_path)
    found.run_pair("hybrid", "blur", ("square", "four blue triangles"), 2)
    marks = found.marks("hybrid", "blur")["square, four blue triangles"]
    assert marks[0] == "b" and marks[1] in "1-"


def test_a_run_goes_on_where_it_stopped_and_belongs_to_its_weights(drawn, tmp_path):
    pair = ("triangle", "heart")
    results(tmp_path).run_pair("average", "flip", pair, 2)
    results(tmp_path).run_pair("average", "flip", pair, 2)
    results(tmp_path).run_pair("average", "flip", pair, 5)
    assert drawn == [("average", 0, 2), ("average", 2, 3)]
    content = json.loads((tmp_path / "anagrams.json").read_text())
    assert content["verdicts"]["average"]["flip"] == {"triangle, heart": "11111"}
    assert results(tmp_path, "1").content["verdicts"] == {}


def test_mean_and_best_are_counted_apart():
    row = tool.summary({"average": {"flip": {"a b": "b1--", "c d": "-2--"}}})["average"]["flip"]
    assert row["mean"] == 0.125 and row["best"] == 0.5 and row["succeeded"] == ["a b"]
    assert (row["first"], row["second"], row["pictures"]) == (0.25, 0.25, 8)
    assert "| average | flip | 8 | 0.25 | 0.25 | 0.12 | 0.50 |" in tool.show_table(
        {"average": {"flip": row}}
    )


def test_the_captions_are_trained_and_of_possible_pairs():
    from t2i_learn.world.captions import held_out_splits
    from t2i_learn.world.grammar import parse_prompt
    from t2i_learn.world.scenes import SHAPES
    from t2i_learn.world.tasks import Facts, ThingKind

    for shape in SHAPES:
        (item,) = parse_prompt(tool.CAPTION.format(shape))["include"]
        kind = ThingKind(item["shape"], item["color"])
        assert not held_out_splits(Facts("color", (kind,), ""))
    assert all(view in VIEWS for view in tool.TURNED)
    assert torch.equal(VIEWS["half-turn"].apply(small("circle")).round(), small("circle").round())
