"Contrastive learning: losses between their lines, scores of any picture, and a model that is saved and loaded."

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from steady import steady

from t2i_learn.core.pipeline import load, Pipeline
from t2i_learn.core.settings import families
from t2i_learn.core.tensors import seeded_rng
from t2i_learn.language.contrastive import (
    as_pictures,
    batch_truth,
    SceneCaptions,
    CONTRASTIVE_ROUNDS,
    ContrastiveConfig,
    ContrastiveModel,
    info_nce,
    info_nce_lines,
    pairwise_sigmoid_lines,
    pairwise_sigmoid_loss,
    recall_at_one,
    render_scenes,
    retrieval_pool,
    retrieval_report,
    SceneMix,
    ScorePipeline,
)

steady(30)
SMALL = CONTRASTIVE_ROUNDS["smoke"][0].config


@pytest.fixture(scope="module")
def scenes():
    return render_scenes(60, seed=5)


@pytest.fixture(scope="module")
def pipe():
    with seeded_rng(0):
        return ScorePipeline(ContrastiveModel(SMALL), "small")


def random_truth(seed, n, k):
    "Which captions are true: the own ones, and some more."
    generator = torch.Generator().manual_seed(seed)
    true = torch.rand(n, n + k, generator=generator) < 0.2
    return true | torch.eye(n, n + k, dtype=torch.bool)


@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(0, 6))
def test_a_score_that_knows_the_truth_reaches_the_floor_and_one_that_knows_nothing_the_line_of_chance(
    seed, n, k
):
    true = random_truth(seed, n, k)
    lines = info_nce_lines(true)
    assert 0 <= lines.floor <= lines.chance
    assert info_nce(60.0 * true) == pytest.approx(lines.floor, abs=1e-4)
    assert info_nce(torch.full(true.shape, 3.0)) == pytest.approx(lines.chance, abs=1e-4)
    lines = pairwise_sigmoid_lines(true)
    assert 0 <= lines.floor <= lines.chance + 1e-9
    share = torch.tensor(1 / true.shape[1])
    assert pairwise_sigmoid_loss(share.logit().expand(true.shape)) == pytest.approx(
        lines.chance, rel=1e-4
    )


@given(st.integers(0, 10**6), st.integers(2, 12))
def test_no_score_is_better_than_the_best_constant_and_pairs_may_be_reordered(seed, n):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, n, generator=generator)
    order = torch.randperm(n, generator=generator)
    for loss in (info_nce, pairwise_sigmoid_loss):
        assert torch.allclose(loss(logits), loss(logits[order][:, order]), atol=1e-5)
        assert torch.allclose(loss(logits), loss(logits.T), atol=1e-5)
    shifted = logits + torch.randn(n, 1, generator=generator)
    rows = torch.nn.functional.cross_entropy
    assert torch.allclose(rows(logits, torch.arange(n)), rows(shifted, torch.arange(n)), atol=1e-5)


def test_hard_negatives_raise_the_line_of_chance_and_only_that_of_pictures():
    assert info_nce_lines(torch.eye(8, 24, dtype=torch.bool)).chance == (math.log(8) + math.log(24)) / 2
    logits = torch.zeros(4, 8)
    logits[:, :4] = 50 * torch.eye(4)
    logits[2, 6] = 50.0
    assert info_nce(logits) == pytest.approx(math.log(2) / 8, abs=1e-4), (
        "one picture cannot decide between two"
    )


def test_every_batch_has_each_picture_once_and_captions_by_the_oracle(scenes):
    batch = SceneCaptions(scenes, 40, seed=1, false_rate=0.5)(7)
    assert len({picture.numpy().tobytes() for picture in batch.pictures}) == 40
    assert len(batch.statements) == 40 + len(batch.false_captions) and 8 < len(batch.false_captions) < 32
    true = batch_truth(batch)
    assert true[:, :40].diagonal().all()
    own = {id(s.scene): k for k, s in enumerate(batch.statements[:40])}
    for column, statement in enumerate(batch.statements[40:], 40):
        assert not true[own[id(statement.scene)], column], "a hard negative is false of its own picture"
    fingerprints = {SceneCaptions(scenes, 40, seed).fingerprint for seed in (0, 1)}
    assert len(fingerprints) == 2


def test_a_perfect_search_reaches_its_ceiling_and_a_blind_one_does_not(monkeypatch):
    pool = retrieval_pool(1, seed=3, size=40)
    generator = torch.Generator().manual_seed(0)
    noise = 1e-3 * torch.rand(200, 40, 40, generator=generator)
    found = torch.tensor(
        [[way.recall for way in recall_at_one(pool.true + n, pool.true)] for n in noise]
    )
    for mean, way in zip(found.mean(0), recall_at_one(pool.true.float(), pool.true)):
        assert mean == pytest.approx(way.ceiling, abs=0.03) and way.ceiling < 1
    blind = torch.tensor([[way.recall for way in recall_at_one(n, pool.true)] for n in noise])
    assert blind.mean() == pytest.approx(1 / 40, abs=0.01)


def test_a_report_has_both_ways_for_each_length(pipe):
    pools = {
        n: [retrieval_pool(n, seed=n, size=10), retrieval_pool(n, seed=10 + n, size=10)] for n in (1, 4)
    }
    report = retrieval_report(pipe.model, pools)
    assert [*report] == [1, 4] and all(0 <= way.recall <= 1 for both in report.values() for way in both)
    alone = [retrieval_report(pipe.model, {1: [pool]})[1][0] for pool in pools[1]]
    assert report[1][0].ceiling == pytest.approx(sum(way.ceiling for way in alone) / 2, abs=1e-6)


def test_a_saved_scorer_is_loaded_as_one_and_scores_the_same(pipe, tmp_path, scenes):
    pipe.save_pretrained(tmp_path / "scorer")
    again = load(tmp_path / "scorer", "cpu")
    assert isinstance(again, ScorePipeline) and isinstance(again, Pipeline)
    pictures, captions = as_pictures(scenes.pictures[:5]), ["a red heart", "two blue stars"]
    assert torch.equal(again.score(pictures, captions), pipe.score(pictures, captions))
    with pytest.raises(ValueError, match="of kind image-text-score: it does not draw"):
        again("a red heart")
    family = families()["contrastive"]
    assert family.kind == "image-text-score" and family.pipeline_class() is ScorePipeline


def test_scoring_does_without_the_world(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "scorer")
    code = (
        "import sys, torch, t2i_learn; "
        f"t2i_learn.load({str(tmp_path / 'scorer')!r}, 'cpu').score(torch.zeros(3, 40, 50), 'a red heart'); "
        "print([m for m in sys.modules if m.startswith('t2i_learn.world.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16", "1"])
def test_a_picture_of_any_size_and_mode_is_scored(pipe, tmp_path, mode):
    image = Image.new("RGB", (70, 41), "orange").convert("L" if mode == "I;16" else mode)
    image = image.convert("I").convert("I;16") if mode == "I;16" else image
    image.save(tmp_path / "picture.png")
    scores = pipe.score(tmp_path / "picture.png", ["a red heart", "a star"])
    assert scores.shape == (1, 2) and scores.isfinite().all()
    several = [
        tmp_path / "picture.png",
        (tmp_path / "picture.png").read_bytes(),
        str(tmp_path / "picture.png"),
    ]
    assert torch.allclose(pipe.score(several, "a star"), scores[:, 1:].expand(3, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("pictures", "captions", "sentence"),
    [
        ([], "a star", "there is no picture"),
        (torch.zeros(2, 4, 4), "a star", "a picture is a tensor"),
        (torch.full((3, 4, 4), math.nan), "a star", "finite numbers"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "a star", "a picture is a tensor"),
        (b"no picture", "a star", "is not a picture that can be read"),
        (torch.zeros(3, 4, 4), [], "there is no"),
        (torch.zeros(3, 4, 4), "a star and " * 40, "tokens"),
    ],
    ids=["none", "channels", "nan", "bytes as numbers", "damaged", "no caption", "too long"],
)
def test_what_cannot_be_scored_is_refused_in_a_sentence(pipe, pictures, captions, sentence):
    with pytest.raises(ValueError, match=sentence):
        pipe.score(pictures, captions)


def test_a_caption_that_is_too_long_can_be_cut(pipe):
    with pytest.warns(UserWarning, match="the rest is not read"):
        assert pipe.score(torch.zeros(3, 4, 4), "a star and " * 40, truncation=True).shape == (1, 1)


@pytest.mark.trains
@pytest.mark.parametrize("loss", ["info_nce", "pairwise_sigmoid"])
def test_both_losses_learn_and_a_second_round_goes_on_from_the_first(loss):
    config = ContrastiveConfig(
        60, 16, 5e-3, ema=0.5, warmup=3, mix=SceneMix(16), config=SMALL, loss=loss
    )
    learner, ema = config.learner(seed=0)
    losses = [learner.loss for _ in learner.run(config.steps)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    second, _ = config.learner(seed=1, init=ema.model)
    weights = zip(second.model.state_dict().values(), ema.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)
