"Scores: counted by split and task, with standard errors and chance."

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
import torch

from t2i_learn.world import score
from t2i_learn.world.captions import load_prompts, Prompt, sample_example, SPLIT_TASKS
from t2i_learn.world.scenes import render
from t2i_learn.world.score import (
    chance_rates,
    cluster_bootstrap,
    estimate_rate,
    group_rates,
    mean_rate,
    paired_bootstrap,
    reference_picture,
    score_prompts,
    prompt_cluster,
    score_report,
    wilson_interval,
)
from t2i_learn.world.tasks import TASKS


@pytest.fixture(scope="module")
def examples():
    generator = torch.Generator().manual_seed(0)
    return {
        task: [sample_example(task, "e" if task == "three" else "seen", generator) for _ in range(6)]
        for task in TASKS
    }


def prompts_of(examples, n=6):
    return [
        Prompt(e.task, e.split, e.caption, e.spec, b"") for group in examples.values() for e in group[:n]
    ]


def test_scores_are_counted_by_split_and_task(examples):
    prompts = prompts_of(examples)
    scenes = [e.scene for group in examples.values() for e in group[:6]]

    def draw_pictures(captions, first):
        assert captions == [p.caption for p in prompts[first : first + len(captions)]]
        blank = torch.ones(3, 32, 32)
        return torch.stack(
            [blank if p.task == "count" else render(s) for p, s in zip(prompts, scenes)][
                first : first + len(captions)
            ]
        )

    rates = score_prompts(draw_pictures, prompts, batch_size=7)
    assert set(rates) == {"seen", "e"} and set(rates["e"]) == {"three"}
    assert {task: r.rate for task, r in rates["seen"].items()} == {
        task: float(task != "count") for task in SPLIT_TASKS["seen"]
    }
    assert mean_rate(rates["seen"]).rate == pytest.approx(5 / 6) and mean_rate(rates["e"]).rate == 1
    row = score_report("test", 20, rates)
    assert json.loads(json.dumps(row)) == row
    assert (row["model"], row["steps"], row["prompts_per_task"]) == ("test", 20, 6)
    assert set(row["seen"]) == {*SPLIT_TASKS["seen"], "mean"} and row["held_out"] == {
        "e": {"three": 1.0, "mean": 1.0}
    }
    assert row["standard_error"]["seen"]["mean"] == pytest.approx(
        mean_rate(rates["seen"]).standard_error, abs=1e-4
    )


def test_a_model_that_returns_too_few_pictures_is_an_error(examples):
    with pytest.raises(ValueError, match="shorter"):
        score_prompts(lambda captions, first: torch.zeros(1, 3, 32, 32), prompts_of(examples), 4)


@given(st.integers(1, 400), st.data())
def test_an_interval_holds_its_rate_and_never_ends_at_certainty(n, data):
    passed = data.draw(st.integers(0, n))
    low, high = wilson_interval(passed, n)
    assert 0 <= low <= passed / n + 1e-9 and passed / n - 1e-9 <= high <= 1 and low < high
    mirrored = wilson_interval(n - passed, n)
    assert mirrored == pytest.approx((1 - high, 1 - low))


def test_wilsons_interval_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    for passed, n in ((0, 5), (5, 5), (62, 100), (540, 600)):
        interval = stats.binomtest(passed, n).proportion_ci(0.95, "wilson")
        assert wilson_interval(passed, n) == pytest.approx((interval.low, interval.high), abs=1e-4)


def test_prompts_that_share_a_combination_tell_less():
    together = [k < 50 for k in range(100)]  # all of one combination pass, none of the other
    alone = estimate_rate(together)
    shared = estimate_rate(together, [str(ok) for ok in together])
    assert (shared.rate, shared.n) == (alone.rate, alone.n)
    assert shared.low < alone.low and shared.high > alone.high
    assert shared.standard_error > 5 * alone.standard_error
    assert estimate_rate(together, [str(k) for k in range(100)]) == alone, "each prompt is a cluster"
    assert cluster_bootstrap(together, ["a"] * 100).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("split", "count"), [("a", 7), ("b", 12), ("c", 2)])
def test_clusters_are_the_combinations_that_are_held_out(split, count):
    prompts = load_prompts(split)
    single = [p for p in prompts if p.task in ("color", "count", "position")]
    assert len({prompt_cluster(p) for p in single}) == count
    assert {p.task for p in prompts} >= {p.task for p in single}


def test_a_cluster_of_split_d_is_a_pair_and_elsewhere_a_caption():
    for prompt in load_prompts("d", 20):
        assert len(prompt_cluster(prompt).split(" and ")) == 2
    for prompt in load_prompts("validation", 2):
        assert prompt_cluster(prompt) == prompt.caption


def test_standard_errors_are_those_of_a_share():
    assert estimate_rate([True] * 540 + [False] * 60).standard_error == pytest.approx(0.0123, abs=1e-4)
    assert 0 < estimate_rate([True] * 100).standard_error < 0.02
    assert group_rates([], []) == {}


def test_chance_is_low():
    by_chance = chance_rates(load_prompts("validation", 25), 25)
    assert (
        mean_rate(by_chance["noise"]["seen"]).rate < 0.03
        and mean_rate(by_chance["shuffled"]["seen"]).rate < 0.1
    )


def test_chance_of_one_is_refused():
    prompts = load_prompts("validation", 1)
    with pytest.raises(
        ValueError,
        match="chance is what pictures of other prompts score, so it needs two prompts of each task: single has one",
    ):
        chance_rates(prompts)
    with pytest.raises(ValueError, match="needs two prompts"):
        chance_rates(load_prompts("validation", 2), per_task=1)


class Painter:
    "Stands where a pipeline stands: draws the reference pictures of the prompts it is asked for."

    name = "painter"

    def __init__(self, prompts, family="diffusion"):
        self.model = SimpleNamespace(config={"family": family})
        self.pictures = [reference_picture(p) for p in prompts]
        self.captions = []

    def request(self, prompt, **call):
        return SimpleNamespace(settings=SimpleNamespace(as_dict=lambda: {"num_inference_steps": 7}))

    def __call__(self, captions, *, first, output_type, seed, truncation):
        self.captions += captions
        return SimpleNamespace(images=torch.stack(self.pictures[first : first + len(captions)]))


@pytest.fixture
def text_to_image(monkeypatch):
    monkeypatch.setattr(score, "family_of", lambda config: SimpleNamespace(kind=config["family"]))


def test_validation_is_what_is_scored(text_to_image):
    prompts = load_prompts("validation", 2)
    painter = Painter(prompts, "text-to-image")
    report = score.evaluate(painter, 2)
    assert painter.captions == [p.caption for p in prompts] and report["held_out"] == {}
    assert report["seen"]["mean"] == 1 and (
        report["model"],
        report["steps"],
        report["prompts_per_task"],
    ) == ("painter", 7, 2)


@pytest.mark.parametrize("sets", ["d", ("d",), ["validation", "d"]])
def test_sets_can_be_chosen(text_to_image, sets):
    prompts = [p for name in ([sets] if isinstance(sets, str) else sets) for p in load_prompts(name, 3)]
    report = score.evaluate(Painter(prompts, "text-to-image"), 3, sets)
    assert report["held_out"] == {"d": {"attribution": 1.0, "mean": 1.0}} and bool(report["seen"]) == (
        "validation" in sets
    )


def test_one_prompt_a_task_has_a_chance_of_two(text_to_image):
    report = score.evaluate(Painter(load_prompts("validation", 1), "text-to-image"), 1)
    assert report["prompts_per_task"] == 1 and report["chance"]["shuffled"]["seen"]["mean"] < 0.3


def test_a_model_that_draws_nothing_is_one_sentence(text_to_image):
    with pytest.raises(
        ValueError, match="painter is a model of kind image-text-score; evaluate scores models that draw"
    ):
        score.evaluate(Painter([], "image-text-score"))


@pytest.mark.parametrize("seed", [2**64, 2**63, -1, 1.5, "a", None])
def test_a_seed_that_is_none_is_a_sentence(examples, seed):
    for of in (
        lambda: chance_rates(prompts_of(examples, 2), seed=seed),
        lambda: paired_bootstrap([True], [False], ["a"], seed=seed),
    ):
        with pytest.raises(ValueError, match="seed must be a whole number, at least 0 and at most"):
            of()
