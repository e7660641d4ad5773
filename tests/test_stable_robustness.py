"Spoiled sets are what they say, losses ask for what T10 says, the study runs, resumes and is read back."

import json

import pytest
import robustness as tool
import torch
from hypothesis import given
from hypothesis import strategies as st
from steady import seeded, steady
from typer.testing import CliRunner

from t2i_learn.diffusion.schedules import karras_grid
from t2i_learn.diffusion.samplers import ddim, run_to_end
from t2i_learn.stable import robustness as study
from t2i_learn.stable.process import stable_level
from t2i_learn.stable.robustness import (
    NULL_LABELS,
    BLACK_COLOR,
    RARE_SHAPE,
    ROBUST_LOSSES,
    VISIBLE_OUTLIERS,
    CORRUPTIONS,
    PictureClass,
    TrialSize,
    SeedSummary,
    RobustnessTrial,
    welch_t,
    all_label_prompts,
    bayes_estimate,
    level_matched_sigmas,
    robust_finite_set_denoiser,
    huber_delta,
    heavy_points,
    sample_trial_pictures,
    robustness_measures,
    make_trial_learner,
    summarize_seeds,
    read_robustness_results,
    run_trial,
    classify_picture,
    radial_exp,
    radial_log,
    tail_msle,
    make_contaminated_set,
    expected_measures,
)

steady(20)

SMALL = TrialSize(128, 2, 4, (8, 32), 3, 1)


@pytest.fixture(scope="module")
def sets():
    return {share: make_contaminated_set(share, 3, 400) for share in (0.0, 0.05, 0.15)}


# Sets


@pytest.mark.parametrize("share", [0.0, 0.05, 0.15])
def test_shares_are_exact(sets, share):
    data = sets[share]
    counts = [data.kinds.count(kind) for kind in CORRUPTIONS]
    assert sum(counts) == round(share * 400) and max(counts) - min(counts) <= 1
    hearts = data.things[:, 0] == RARE_SHAPE
    assert hearts.sum() == 4 and (data.things[hearts, 1] == BLACK_COLOR).all() and torch.equal(data.words[hearts], data.things[hearts])
    assert all(data.kinds[k] == "clean" for k in torch.nonzero(data.things[:, 0] == RARE_SHAPE).flatten())
    assert data.pictures.shape == (400, 3, 16, 16) and data.pictures.abs().max() <= 1


def test_only_wrong_captions_are_wrong(sets):
    for data in sets.values():
        wrong = (data.words != data.things).any(1).tolist()
        assert wrong == [kind == "miscaptioned" for kind in data.kinds]
        assert all((data.words[k] != data.things[k]).all() for k, w in enumerate(wrong) if w), "shape and colour are both wrong"
        assert torch.equal(data.words[:, 0] == RARE_SHAPE, data.things[:, 0] == RARE_SHAPE), "no wrong caption says heart"


def test_sets_belong_to_their_seed(sets):
    again, other = make_contaminated_set(0.15, 3, 400), make_contaminated_set(0.15, 4, 400)
    assert torch.equal(again.pictures, sets[0.15].pictures) and torch.equal(again.words, sets[0.15].words) and again.kinds == sets[0.15].kinds
    assert not torch.equal(other.pictures, again.pictures)


def test_the_reader_reads_the_set(sets):
    data = sets[0.15]
    for picture, thing, kind in zip(data.pictures, data.things.tolist(), data.kinds, strict=True):
        found = classify_picture(picture)
        assert found.kind == (kind if kind in VISIBLE_OUTLIERS else "thing")
        assert found.kind in ("noise", "salted") or [found.shape, found.shade] == thing


def test_a_perfect_model_measures_the_yardstick(sets):
    "Draw the set itself: what is measured is what the yardstick says."
    data = sets[0.15]
    sights = [classify_picture(p) for p in data.pictures]
    found = robustness_measures(sights, [s for s, w in zip(sights, data.words[:, 1] == BLACK_COLOR, strict=True) if w], sights, data.words)
    for name, value in expected_measures(data).items():
        assert abs(found[name] - value) < 1e-6
    assert abs(found["another thing"] - 15 / 400) < 0.01 and found["unclear"] == 0


# Losses


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6), st.floats(0.01, 50), st.integers(0, 1000))
def test_a_proper_loss_wants_the_mean_of_the_contaminated_law(values, weight, seed):
    "Whatever its weight, and so at any alpha: the noise only decides the posterior probabilities and the weight."
    atoms = torch.tensor(values)[:, None]
    odds = torch.rand(1, len(values), generator=seeded(seed)).softmax(1)
    best = bayes_estimate(atoms, odds, ROBUST_LOSSES["mean-square"], torch.full((1, 1), weight), torch.ones(1, 1))
    assert torch.allclose(best, odds @ atoms, atol=1e-5)


@pytest.mark.parametrize("loss", ["root", "pseudo-Huber"])
@pytest.mark.parametrize("share", [0.05, 0.15, 0.4])
def test_the_others_pull_towards_the_majority(loss, share):
    "An outlier and a minority of the same share are treated alike: nothing but the share is known."
    atoms, odds, one = torch.tensor([[-1.0], [1.0]]), torch.tensor([[1 - share, share]]), torch.ones(1, 1)
    best = float(bayes_estimate(atoms, odds, ROBUST_LOSSES[loss], one, 0.1 * one, 600))
    assert best < 2 * share - 1 - 0.01
    if loss == "root":
        assert best < -0.99
    assert best == pytest.approx(-float(bayes_estimate(-atoms, odds, ROBUST_LOSSES[loss], one, 0.1 * one, 600)), abs=1e-4)


@pytest.mark.parametrize("loss", ROBUST_LOSSES)
def test_the_best_answer_is_the_least_expected_loss(loss):
    "Against a fine grid of answers."
    atoms, odds = torch.tensor([[-1.0], [0.3], [2.0]]), torch.tensor([[0.45, 0.35, 0.2]])
    weight, delta, guesses = torch.full((1, 1), 1.7), torch.full((1, 1), 0.4), torch.linspace(-1, 2, 3001)[:, None]
    risk = (odds * ROBUST_LOSSES[loss](weight * (guesses - atoms.T) ** 2, delta)).sum(1)
    assert abs(float(bayes_estimate(atoms, odds, ROBUST_LOSSES[loss], weight, delta, 600)) - float(guesses[risk.argmin()])) < 5e-3


def test_pseudo_huber_lies_between():
    e, delta = torch.linspace(0.0, 3, 50, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    assert (ROBUST_LOSSES["pseudo-Huber"](e, delta) <= ROBUST_LOSSES["mean-square"](e, delta)).all()
    assert torch.allclose(ROBUST_LOSSES["pseudo-Huber"](e, 1e6 * delta), e, rtol=1e-4)
    falls = huber_delta(torch.logspace(-3, 3, 30))
    assert (falls.diff() < 0).all() and falls[0] < 1 and falls[-1] > 0.1


def test_perfect_denoisers_keep_or_drop_the_rare():
    "Two common atoms, a rare one and an outlier: proper keeps all shares, root loses the rare one."
    atoms, shares = torch.tensor([[-1.0, 0], [1.0, 0], [0, 1.5], [0, -3.0]]), torch.tensor([0.42, 0.42, 0.02, 0.14])
    begun, kept = 20 * torch.randn(500, 2, generator=seeded(2)), {}
    for loss in ("mean-square", "root"):
        x = run_to_end(ddim(robust_finite_set_denoiser(atoms, shares, ROBUST_LOSSES[loss]), begun, karras_grid(24, 0.02, 20.0)))
        kept[loss] = torch.bincount(torch.cdist(x, atoms).argmin(1), minlength=4) / 500
    assert (kept["mean-square"] - shares).abs().max() < 0.04 and kept["mean-square"][2] > 0.005
    assert kept["root"][2] < kept["mean-square"][2] and kept["root"][3] <= kept["mean-square"][3] + 0.01


# Noise, network, measures


@pytest.mark.parametrize("alpha", [2.0, 1.8, 1.5])
def test_the_law_of_the_level_is_the_same_at_every_alpha(alpha):
    level = stable_level(torch.zeros(30_000, 1), level_matched_sigmas(alpha)(30_000, seeded()), alpha, seeded(1)).log()
    assert abs(level.mean() - 0.1) < 0.03 and abs(level.std() - 1.4) < 0.03


def test_a_level_that_spreads_too_much_is_refused():
    with pytest.raises(ValueError, match="take a wider law"):
        level_matched_sigmas(1.2, spread=0.3)


@pytest.mark.parametrize("trial", [RobustnessTrial(0.15), RobustnessTrial(alpha=1.5, blind=True, loss="root"), RobustnessTrial(alpha=1.8, kind="componentwise")])
def test_pictures_do_not_depend_on_their_batch(trial):
    learner, ema = make_trial_learner(make_contaminated_set(trial.share, n=128), trial, SMALL)
    learner.fit(2)
    words = torch.tensor([[0, 1], NULL_LABELS, [RARE_SHAPE, 3]])
    whole = sample_trial_pictures(ema.model, trial, 1.5, words, 4)
    assert whole.shape == (3, 3, 16, 16) and whole.isfinite().all()
    assert torch.allclose(sample_trial_pictures(ema.model, trial, 1.5, words, 4, batch=1), whole, atol=1e-4)


def test_one_training_serves_every_alpha_where_the_level_is_told():
    assert RobustnessTrial().sampled == RobustnessTrial(loss="root").sampled == (2.0, 1.8, 1.5)
    assert RobustnessTrial(alpha=1.5, blind=True).sampled == RobustnessTrial(alpha=1.5, matched=False).sampled == (1.5,)
    assert RobustnessTrial(alpha=1.8, kind="componentwise").sampled == (1.8,)


def test_a_trial_gives_the_same_numbers_twice():
    first = run_trial(RobustnessTrial(0.15, "pseudo-Huber"), SMALL)
    assert first == run_trial(RobustnessTrial(0.15, "pseudo-Huber"), SMALL)
    assert [row["sampled"] for row in first] == [2.0, 1.8, 1.5]
    assert sum(first[0]["seen"].values()) == 3


def test_measures_count_what_is_said_and_what_is_not():
    words = all_label_prompts(SMALL)
    told = [PictureClass("thing", *w) if w[0] != 2 else PictureClass("thing", 1, w[1]) for w in words.tolist()]
    black = [PictureClass("noise"), PictureClass("thing", RARE_SHAPE, BLACK_COLOR), PictureClass("thing", 1, BLACK_COLOR)]
    found = robustness_measures([PictureClass("noise"), PictureClass("unclear"), PictureClass("thing", 1, 0), PictureClass("thing", 1, 1)], black, told, words)
    assert (found["outliers"], found["unclear"], found["rare share"], found["rare recall"]) == (0.25, 0.25, 0.5, 1.0)
    assert found["score"] == pytest.approx(5 / 6) and found["another thing"] == pytest.approx(1 / 6)


def test_heavy_points_and_their_tails():
    x = heavy_points(20_000, seeded())
    assert torch.allclose(radial_exp(radial_log(x)), x, rtol=1e-3, atol=1e-4)
    assert tail_msle(heavy_points(20_000, seeded(1)), x) < 0.05 < tail_msle(torch.randn(20_000, 2, generator=seeded(2)), x)


def test_spreads():
    rows = [{"way": "a", "x": v} for v in (0.1, 0.2, 0.3)] + [{"way": "b", "x": 0.5}]
    assert summarize_seeds(rows, "x", way="a") == pytest.approx(SeedSummary(0.2, 0.1, 3))
    assert summarize_seeds(rows, "x", way="b").n == 1 and summarize_seeds(rows, "x", way="c").n == 0
    assert welch_t(SeedSummary(0.2, 0.1, 3), SeedSummary(0.2, 0.1, 3)) == 0


# The tool


def test_the_grid_is_the_study():
    "63 trainings, three seeds of each kind; every claim has its pair."
    trials = tool.trials(3)
    assert len(trials) == len({t.name for t in trials}) == 63
    assert {t.share for t in trials} == {0.0, 0.05, 0.15} and {t.loss for t in trials} == set(ROBUST_LOSSES)
    assert {a for t in trials for a in t.sampled if not t.blind and t.kind == "isotropic"} == {2.0, 1.8, 1.5}
    assert {t.alpha for t in trials if t.blind} == {1.8, 1.5} and {t.kind for t in trials} == {"isotropic", "componentwise"}


def test_the_tool_runs_in_parts_and_resumes(tmp_path, monkeypatch):
    kept = {name: job for name, job in tool.jobs(1, True).items() if name.startswith("points alpha 2, root") or "0.05 root" in name}
    assert len(kept) == 2
    monkeypatch.setattr(tool, "jobs", lambda seeds, smoke: kept)
    monkeypatch.setitem(study.TRIAL_SIZES, "smoke", SMALL)
    settings = ["--smoke", "--seeds", "1", "--runs", str(tmp_path)]
    done = CliRunner().invoke(tool.app, [*settings, "--share", "2/2"])
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "robustness.json").read_text())["pictures"] == []
    assert CliRunner().invoke(tool.app, settings).exit_code == 0
    table = read_robustness_results(tmp_path / "robustness.json")
    assert [row["sampled"] for row in table["pictures"]] == [2.0, 1.8, 1.5] and [row["way"] for row in table["points"]] == ["alpha 2, root"]
    again = CliRunner().invoke(tool.app, settings)
    assert again.exit_code == 0 and again.output == "", "nothing is trained twice"
    assert read_robustness_results(tmp_path / "robustness.json") == table
    assert read_robustness_results(tmp_path / "missing.json") == {"pictures": [], "points": []}
