"Captions judged by their claims; measures beside scipy and cases that can be computed by hand."

import random

import pytest
import torch

from t2i_learn.language.captioner import canonical_caption, canonical_spec, mixed_scene
from t2i_learn.language.decoding import caption_confidence
from t2i_learn.language.there_and_back import (
    CaptionVerdict,
    calibration_error,
    clauses_hold,
    clauses_said,
    cohen_kappa,
    fit_calibration,
    judge_caption,
    risk_coverage,
    scene_of_caption,
)
from t2i_learn.world.grammar import clauses_of, parse_prompt
from t2i_learn.world.scenes import RELATIONS
from t2i_learn.world.score import check_spec


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_relation_that_is_said_holds_and_no_other_does(relation):
    spec = parse_prompt(f"a red circle {relation} a blue square")
    scene = scene_of_caption(spec)
    for other in RELATIONS:
        claim = parse_prompt(f"a red circle {other} a blue square")
        assert check_spec(claim, scene)[0] == (other == relation)


def test_where_nothing_is_said_of_places_no_relation_holds():
    scene = scene_of_caption(parse_prompt("a red circle, a blue square and a pink star"))
    for relation in RELATIONS:
        for claim in (f"a circle {relation} a square", f"a star {relation} a circle"):
            include = parse_prompt(claim)["include"]
            assert not check_spec({"include": include}, scene)[0]


@pytest.mark.parametrize("style", ["short", "full"])
def test_a_canonical_caption_confirms_its_own_claims(style):
    for seed in range(60):
        scene = mixed_scene(random.Random(seed))
        spec = canonical_spec(scene, style)
        caption = canonical_caption(scene, style)
        assert clauses_said(spec, caption) == clauses_hold(spec, scene) == [True] * len(clauses_of(spec))


def test_verdicts_on_captions():
    scene = scene_of_caption(parse_prompt("two red hearts on a mint background"))
    assert judge_caption("two red hearts on a mint background", scene) == CaptionVerdict(
        True, True, 1.0, ""
    )
    assert judge_caption("two hearts", scene).true
    assert judge_caption("two red hearts", scene).complete == pytest.approx(2 / 3)
    assert judge_caption("three red hearts", scene).reason.startswith("2 instead of 3")
    assert judge_caption("hearts of gold", scene) == CaptionVerdict(
        False, False, 0.0, "not in the grammar"
    )


def test_calibration_error_of_known_cases():
    flags = torch.arange(100) % 4 > 0
    assert calibration_error(torch.full((100,), 0.75), flags, 1) == pytest.approx(0)
    assert calibration_error(torch.full((100,), 0.95), flags, 1) == pytest.approx(0.2)
    halves = torch.cat([torch.full((50,), 0.2), torch.full((50,), 0.8)])
    right = torch.cat([torch.zeros(50), torch.ones(50)]).bool()
    assert calibration_error(halves, right, 2) == pytest.approx(0.2)


def test_a_fit_repairs_what_was_scaled_and_shifted():
    generator = torch.Generator().manual_seed(1)
    odds = 2 * torch.randn(6000, generator=generator, dtype=torch.float64)
    outcomes = torch.rand(6000, generator=generator, dtype=torch.float64) < odds.sigmoid()
    claimed = torch.nn.functional.logsigmoid(3 * odds - 2)
    fitted = fit_calibration(claimed, outcomes)
    assert fitted["slope"] == pytest.approx(1 / 3, abs=0.03)
    assert fitted["shift"] == pytest.approx(2 / 3, abs=0.1)
    before, after = claimed.exp(), caption_confidence(claimed, **fitted)
    assert calibration_error(after, outcomes) < 0.02 < calibration_error(before, outcomes)


def test_a_fit_to_captions_that_are_all_true_stays_finite():
    fitted = fit_calibration(torch.full((50,), -0.1), torch.ones(50, dtype=torch.bool))
    assert 0 < fitted["slope"] < 10 and 0 < fitted["shift"] < 10


def test_risk_falls_with_coverage_where_confidence_ranks():
    confidence = torch.linspace(0, 1, 200)
    outcomes = torch.arange(200) >= 50
    coverage, risk = risk_coverage(confidence, outcomes)
    assert (coverage.diff() > 0).all() and (risk.diff() >= 0).all()
    assert risk[149] == 0 and risk[-1] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("ours", "theirs", "kappa"),
    [
        ([1, 0, 1, 0], [1, 0, 1, 0], 1.0),
        ([1, 0, 1, 0], [0, 1, 0, 1], -1.0),
        ([1, 1, 0, 0], [1, 0, 1, 0], 0.0),
        ([1, 1, 1, 1], [1, 1, 1, 1], 0.0),
        ([1, 1, 1, 0], [1, 1, 0, 0], 0.5),
    ],
)
def test_kappa_of_known_cases(ours, theirs, kappa):
    assert cohen_kappa([*map(bool, ours)], [*map(bool, theirs)]) == pytest.approx(kappa)
