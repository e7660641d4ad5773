import pytest
import torch

from t2i_learn.language.clip_score import area_under_curve


def test_area_is_the_statistic_of_mann_and_whitney():
    stats = pytest.importorskip("scipy.stats")
    generator = torch.Generator().manual_seed(0)
    scores = (20 * torch.rand(300, generator=generator)).round()
    outcomes = torch.rand(300, generator=generator) < scores / 20
    u = stats.mannwhitneyu(scores[outcomes], scores[~outcomes]).statistic
    assert area_under_curve(scores[outcomes], scores[~outcomes]) == pytest.approx(
        u / (int(outcomes.sum()) * int((~outcomes).sum()))
    )
    assert area_under_curve(scores, scores[:0]) == area_under_curve(scores[:0], scores) == 0.5
