"Spoiled sets are what they say, losses ask for what T10 says, the study runs, resumes and is read back."

import json

import pytest
import robustness as tool
import torch
from hypothesis import given
from hypothesis import strategies as st
from steady import seeded, steady
from typer.testing import CliRunner

from t2i_learn.core.files import weights_path
from t2i_learn.diffusion.schedules import karras_grid
from t2i_learn.diffusion.sampling import ddim_step, run_to_end, sample_loop
from t2i_learn.stable.process import stable_level
from t2i_learn.stable.robustness import (
    bayes_estimate,
    classify_picture,
    HEAVY_TAIL_TRIALS,
    heavy_points,
    huber_delta,
    level_matched_sigmas,
    make_contaminated_set,
    PictureClass,
    robust_finite_set_denoiser,
    ROBUST_LOSSES,
    robustness_measures,
    RobustnessTrial,
    SeedSummary,
    tail_msle,
    TrialSize,
)
from t2i_learn.world.scenes import SHAPES

steady(20)

SMALL = TrialSize(128, 2, 4, (8, 32), 3, 1)
RARE_SHAPE, BLACK_COLOR, COLORS = SHAPES.index("heart"), 3, 4
NULL_LABELS = (len(SHAPES), COLORS)
CORRUPTIONS = ("noise", "inverted", "salted", "miscaptioned")
VISIBLE_OUTLIERS = CORRUPTIONS[:3]


@pytest.fixture(scope="module")
def sets():
    return {share: make_contaminated_set(share, 3, 400) for share in (0.0, 0.05, 0.15)}


# Sets


@pytest.mark.parametrize("share", [0.0, 0.05, 0.15])
def test_shares_are_exact(sets, share):
    data = sets[share]
    counts = [data.corruptions.count(kind) for kind in CORRUPTIONS]
    assert sum(counts) == round(share * 400) and max(counts) - min(counts) <= 1
    hearts = data.true_labels[:, 0] == RARE_SHAPE
    assert (
        hearts.sum() == 4
        and (data.true_labels[hearts, 1] == BLACK_COLOR).all()
        and torch.equal(data.caption_labels[hearts], data.true_labels[hearts])
    )
    assert all(
        data.corruptions[k] == "clean"
        for k in torch.nonzero(data.true_labels[:, 0] == RARE_SHAPE).flatten()
    )
    assert data.pictures.shape == (400, 3, 16, 16) and data.pictures.abs().max() <= 1


def test_only_wrong_captions_are_wrong(sets):
    for data in sets.values():
        wrong = (data.caption_labels != data.true_labels).any(1).tolist()
        assert wrong == [kind == "miscaptioned" for kind in data.corruptions]
        assert all(
            (data.caption_labels[k] != data.true_labels[k]).all() for k, w in enumerate(wrong) if w
        ), "shape and colour are both wrong"
        assert torch.equal(
            data.caption_labels[:, 0] == RARE_SHAPE, data.true_labels[:, 0] == RARE_SHAPE
        ), "no wrong caption says heart"


def test_sets_belong_to_their_seed(sets):
    again, other = make_contaminated_set(0.15, 3, 400), make_contaminated_set(0.15, 4, 400)
    assert (
        torch.equal(again.pictures, sets[0.15].pictures)
        and torch.equal(again.caption_labels, sets[0.15].caption_labels)
        and again.corruptions == sets[0.15].corruptions
    )
    assert not torch.equal(other.pictures, again.pictures)


def test_the_reader_reads_the_set(sets):
    data = sets[0.15]
    for picture, thing, kind in zip(
        data.pictures, data.true_labels.tolist(), data.corruptions, strict=True
    ):
        found = classify_picture(picture)
        assert found.kind == (kind if kind in VISIBLE_OUTLIERS else "thing")
        assert found.kind in ("noise", "salted") or [found.shape, found.color] == thing


def test_a_perfect_model_measures_the_yardstick(sets):
    "Draw the set itself: what is measured is what the yardstick says."
    data = sets[0.15]
    sights = [classify_picture(p) for p in data.pictures]
    found = robustness_measures(
        sights,
        [s for s, w in zip(sights, data.caption_labels[:, 1] == BLACK_COLOR, strict=True) if w],
        sights,
        data.caption_labels,
    )
    for name, value in data.expected_measures().items():
        assert abs(found[name] - value) < 1e-6
    assert abs(found["another thing"] - 15 / 400) < 0.01 and found["unclear"] == 0


# Losses


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6), st.floats(0.01, 50), st.integers(0, 1000))
def test_a_proper_loss_wants_the_mean_of_the_contaminated_law(values, weight, seed):
    "Whatever its weight, and so at any alpha: the noise only decides the posterior probabilities and the weight."
    atoms = torch.tensor(values)[:, None]
    odds = torch.rand(1, len(values), generator=seeded(seed)).softmax(1)
    best = bayes_estimate(
        atoms, odds, ROBUST_LOSSES["mean-square"], torch.full((1, 1), weight), torch.ones(1, 1)
    )
    assert torch.allclose(best, odds @ atoms, atol=1e-5)


@pytest.mark.parametrize("loss", ["root", "pseudo-Huber"])
@pytest.mark.parametrize("share", [0.05, 0.15, 0.4])
def test_the_others_pull_towards_the_majority(loss, share):
    "An outlier and a minority of the same share are treated alike: nothing but the share is known."
    atoms, odds, one = (
        torch.tensor([[-1.0], [1.0]]),
        torch.tensor([[1 - share, share]]),
        torch.ones(1, 1),
    )
    best = float(bayes_estimate(atoms, odds, ROBUST_LOSSES[loss], one, 0.1 * one, 600))
    assert best < 2 * share - 1 - 0.01
    if loss == "root":
        assert best < -0.99
    assert best == pytest.approx(
        -float(bayes_estimate(-atoms, odds, ROBUST_LOSSES[loss], one, 0.1 * one, 600)), abs=1e-4
    )


@pytest.mark.parametrize("loss", ROBUST_LOSSES)
def test_the_best_answer_is_the_least_expected_loss(loss):
    "Against a fine grid of answers."
    atoms, odds = torch.tensor([[-1.0], [0.3], [2.0]]), torch.tensor([[0.45, 0.35, 0.2]])
    weight, delta, guesses = (
        torch.full((1, 1), 1.7),
        torch.full((1, 1), 0.4),
        torch.linspace(-1, 2, 3001)[:, None],
    )
    risk = (odds * ROBUST_LOSSES[loss](weight * (guesses - atoms.T) ** 2, delta)).sum(1)
    assert (
        abs(
            float(bayes_estimate(atoms, odds, ROBUST_LOSSES[loss], weight, delta, 600))
            - float(guesses[risk.argmin()])
        )
        < 5e-3
    )


def test_pseudo_huber_lies_between():
    e, delta = torch.linspace(0.0, 3, 50, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    assert (ROBUST_LOSSES["pseudo-Huber"](e, delta) <= ROBUST_LOSSES["mean-square"](e, delta)).all()
    assert torch.allclose(ROBUST_LOSSES["pseudo-Huber"](e, 1e6 * delta), e, rtol=1e-4)
    falls = huber_delta(torch.logspace(-3, 3, 30))
    assert (falls.diff() < 0).all() and falls[0] < 1 and falls[-1] > 0.1


def test_perfect_denoisers_keep_or_drop_the_rare():
    "Two common atoms, a rare one and an outlier: proper keeps all shares, root loses the rare one."
    atoms, shares = (
        torch.tensor([[-1.0, 0], [1.0, 0], [0, 1.5], [0, -3.0]]),
        torch.tensor([0.42, 0.42, 0.02, 0.14]),
    )
    begun, kept = 20 * torch.randn(500, 2, generator=seeded(2)), {}
    for loss in ("mean-square", "root"):
        x = run_to_end(
            sample_loop(
                ddim_step,
                robust_finite_set_denoiser(atoms, shares, ROBUST_LOSSES[loss]),
                begun,
                karras_grid(24, 0.02, 20.0),
            )
        )
        kept[loss] = torch.bincount(torch.cdist(x, atoms).argmin(1), minlength=4) / 500
    assert (kept["mean-square"] - shares).abs().max() < 0.04 and kept["mean-square"][2] > 0.005
    assert kept["root"][2] < kept["mean-square"][2] and kept["root"][3] <= kept["mean-square"][3] + 0.01


# Noise, network, measures


@pytest.mark.parametrize("alpha", [2.0, 1.8, 1.5])
def test_the_law_of_the_level_is_the_same_at_every_alpha(alpha):
    level = stable_level(
        torch.zeros(30_000, 1), level_matched_sigmas(alpha)(30_000, seeded()), alpha, seeded(1)
    ).log()
    assert abs(level.mean() - 0.1) < 0.03 and abs(level.std() - 1.4) < 0.03


def test_a_level_that_spreads_too_much_is_refused():
    with pytest.raises(ValueError, match="take a wider distribution"):
        level_matched_sigmas(1.2, std=0.3)


@pytest.mark.parametrize(
    "trial",
    [
        RobustnessTrial(0.15),
        RobustnessTrial(alpha=1.5, blind=True, loss="root"),
        RobustnessTrial(alpha=1.8, kind="componentwise"),
    ],
)
def test_pictures_do_not_depend_on_their_batch(trial):
    learner, ema = trial.learner(make_contaminated_set(trial.outlier_share, n=128), SMALL)
    learner.fit(2)
    labels = torch.tensor([[0, 1], NULL_LABELS, [RARE_SHAPE, 3]])
    whole = trial.sample(ema.model, 1.5, labels, 4)
    assert whole.shape == (3, 3, 16, 16) and whole.isfinite().all()
    assert torch.allclose(trial.sample(ema.model, 1.5, labels, 4, batch=1), whole, atol=1e-4)


def test_one_training_serves_every_alpha_where_the_level_is_told():
    assert (
        RobustnessTrial().sampling_alphas
        == RobustnessTrial(loss="root").sampling_alphas
        == (2.0, 1.8, 1.5)
    )
    assert (
        RobustnessTrial(alpha=1.5, blind=True).sampling_alphas
        == RobustnessTrial(alpha=1.5, level_matched=False).sampling_alphas
        == (1.5,)
    )
    assert RobustnessTrial(alpha=1.8, kind="componentwise").sampling_alphas == (1.8,)


def test_a_trial_gives_the_same_numbers_twice():
    first = RobustnessTrial(0.15, "pseudo-Huber").run(SMALL)
    assert first == RobustnessTrial(0.15, "pseudo-Huber").run(SMALL)
    assert [row["sampling_alpha"] for row in first] == [2.0, 1.8, 1.5]
    assert sum(first[0]["classes"].values()) == 3


def test_measures_count_what_is_said_and_what_is_not():
    labels = SMALL.full_labels()
    full = [
        PictureClass("thing", *pair) if pair[0] != 2 else PictureClass("thing", 1, pair[1])
        for pair in labels.tolist()
    ]
    black = [
        PictureClass("noise"),
        PictureClass("thing", RARE_SHAPE, BLACK_COLOR),
        PictureClass("thing", 1, BLACK_COLOR),
    ]
    found = robustness_measures(
        [
            PictureClass("noise"),
            PictureClass("unclear"),
            PictureClass("thing", 1, 0),
            PictureClass("thing", 1, 1),
        ],
        black,
        full,
        labels,
    )
    assert (found["outliers"], found["unclear"], found["rare share"], found["rare recall"]) == (
        0.25,
        0.25,
        0.5,
        1.0,
    )
    assert found["score"] == pytest.approx(5 / 6) and found["another thing"] == pytest.approx(1 / 6)


def test_heavy_points_and_their_tails():
    x = heavy_points(20_000, seeded())
    trial = HEAVY_TAIL_TRIALS["alpha 2, soft log"]
    assert torch.allclose(trial.decode(trial.encode(x)), x, rtol=1e-3, atol=1e-4) and not torch.allclose(
        trial.encode(x), x
    )
    assert (
        tail_msle(heavy_points(20_000, seeded(1)), x)
        < 0.05
        < tail_msle(torch.randn(20_000, 2, generator=seeded(2)), x)
    )


def test_spreads():
    rows = [{"config": "a", "x": v} for v in (0.1, 0.2, 0.3)] + [{"config": "b", "x": 0.5}]
    assert SeedSummary.of(rows, "x", config="a") == pytest.approx(SeedSummary(0.2, 0.1, 3))
    assert SeedSummary.of(rows, "x", config="b").n == 1 and SeedSummary.of(rows, "x", config="c").n == 0
    assert SeedSummary(0.2, 0.1, 3).welch_t(SeedSummary(0.2, 0.1, 3)) == 0


def test_the_shipped_table_is_the_study_s():
    "Every row says what it is a result of, in the words of the trials."
    table = json.loads((weights_path() / "robustness.json").read_text(encoding="utf-8"))
    trials = {trial.name: trial for trial in tool.trials(3)}
    for row in table["pictures"]:
        trial = RobustnessTrial(**{name: row[name] for name in vars(RobustnessTrial())})
        assert row["sampling_alpha"] in trials[trial.name].sampling_alphas
        assert set(row["expected"]) == {"outliers", "rare share", "score", "rare recall"} <= set(row)
    assert {row["config"] for row in table["points"]} == set(HEAVY_TAIL_TRIALS)
    assert len(table["pictures"]) == sum(len(trial.sampling_alphas) for trial in trials.values())


# The tool


def test_the_grid_is_the_study():
    "63 trainings, three seeds of each kind; every claim has its pair."
    trials = tool.trials(3)
    assert len(trials) == len({t.name for t in trials}) == 63
    assert {t.outlier_share for t in trials} == {0.0, 0.05, 0.15} and {t.loss for t in trials} == set(
        ROBUST_LOSSES
    )
    assert {a for t in trials for a in t.sampling_alphas if not t.blind and t.kind == "isotropic"} == {
        2.0,
        1.8,
        1.5,
    }
    assert {t.alpha for t in trials if t.blind} == {1.8, 1.5} and {t.kind for t in trials} == {
        "isotropic",
        "componentwise",
    }


def test_the_tool_runs_in_parts_and_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "SMOKE", SMALL)
    kept = {
        name: job
        for name, job in tool.jobs(1, True).items()
        if name.startswith("points alpha 2, root") or "0.05 root" in name
    }
    assert len(kept) == 2
    monkeypatch.setattr(tool, "jobs", lambda seeds, smoke: kept)
    settings = ["--smoke", "--seeds", "1", "--runs", str(tmp_path)]
    done = CliRunner().invoke(tool.app, [*settings, "--share", "2/2"])
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "robustness.json").read_text())["pictures"] == []
    assert CliRunner().invoke(tool.app, settings).exit_code == 0
    table = json.loads((tmp_path / "robustness.json").read_text())
    assert [row["sampling_alpha"] for row in table["pictures"]] == [2.0, 1.8, 1.5] and [
        row["config"] for row in table["points"]
    ] == ["alpha 2, root"]
    again = CliRunner().invoke(tool.app, settings)
    assert again.exit_code == 0 and again.output == "", "nothing is trained twice"
    assert json.loads((tmp_path / "robustness.json").read_text()) == table
