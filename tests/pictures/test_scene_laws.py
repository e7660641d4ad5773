"Laws of scenes: known distances, sets without a common picture, and what each measure sees."

import numpy as np
import pytest
import torch

from t2i_learn.pictures.measures import COPYING_LIMIT, RandomFeatures
from t2i_learn.pictures.scene_laws import fault_measures, SCENE_LAWS, SceneLaw, ScenePool


def test_total_variation_is_half_the_sum_of_differences():
    assert len(SCENE_LAWS) == 12
    for law in SCENE_LAWS[:6]:
        assert law.total_variation == pytest.approx(np.abs(np.array(law.shares) - 1 / 7).sum() / 2)
    assert [law.total_variation for law in SCENE_LAWS[6:]] == [0.1, 0.3, 0.6] * 2
    assert all(sum(law.counts(n)) == n for law in SCENE_LAWS for n in (7, 60, 601))


def test_sets_of_a_law_share_no_picture_but_copies():
    pool = ScenePool(lambda pictures: pictures.flatten(1), per_shape=12)
    even = SCENE_LAWS[-1].shares
    copied = SceneLaw("copied", even, copied=0.5)
    train, held_out, drawn = pool.deal(20, copied, torch.Generator().manual_seed(0))
    same = lambda a, b: int((a[:, None] == b).all(2).sum())
    assert same(train, held_out) == 0 and same(train, drawn) == 10 and same(drawn, drawn) == 20
    soft = pool.deal(20, SceneLaw("blurred", even, blurred=1.0), torch.Generator().manual_seed(0))[2]
    assert same(soft, pool.sharp.flatten(0, 1)) == 0 and same(soft, pool.blurred.flatten(0, 1)) == 20


def test_only_copies_lie_nearer_to_the_training_set():
    pool = ScenePool(RandomFeatures(), per_shape=40)
    even = SCENE_LAWS[-1].shares
    laws = {"new": SceneLaw("new", even), "copied": SceneLaw("copied", even, copied=0.6)}
    found = {
        name: fault_measures(*pool.deal(70, law, torch.Generator().manual_seed(0)))
        for name, law in laws.items()
    }
    assert found["copied"]["copying"] > -COPYING_LIMIT > found["new"]["copying"]
    assert found["copied"]["frechet"] < 2 * found["new"]["frechet"], "which the distance does not say"


def test_a_pool_that_is_too_small_is_a_sentence():
    pool = ScenePool(lambda pictures: pictures.flatten(1)[:, ::64], per_shape=6)
    with pytest.raises(
        ValueError, match="a pool of 6 scenes of each shape is too small for three sets of 21"
    ):
        pool.deal(21, SCENE_LAWS[0], torch.Generator().manual_seed(0))
