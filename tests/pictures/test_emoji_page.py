"Composition and memorisation: scores, intervals and distances where the truth is known."

import math

import pytest
import torch

from t2i_learn.pictures.emoji import (
    copying_report,
    EmojiSet,
    label_ranks,
    other_style_rows,
    ratio_interval,
    reference_distances,
    ReferenceDistances,
    style_hits,
    EMOJI_STYLES,
)
from t2i_learn.pictures.measures import CaptionRetriever


def emoji(labels, styles):
    captions = [f"{style} {label}" for label, style in zip(labels, styles, strict=True)]
    return EmojiSet(torch.zeros(len(labels), 3, 2, 2), captions, labels, styles)


def test_the_copier_returns_the_label_in_another_style_and_each_of_them_can_come():
    train = emoji(["apple"] * 3 + ["cat"], ["noto", "blob", "twemoji", "noto"])
    asked = emoji(["apple", "cat"], ["blob", "fluent"])
    found = {tuple(other_style_rows(asked, train, seed).tolist()) for seed in range(20)}
    assert found == {(0, 3), (2, 3)}
    with pytest.raises(ValueError, match="no training picture of 'cat' in another style than noto"):
        other_style_rows(emoji(["cat"], ["noto"]), train)


def test_features_that_hold_label_and_style_get_full_marks_and_exchanged_ones_do_not():
    labels = [f"thing{k}" for k in range(30) for _ in EMOJI_STYLES]
    styles = [*EMOJI_STYLES] * 30
    rows = torch.zeros(120, 34)
    for k, (label, style) in enumerate(zip(labels, styles, strict=True)):
        rows[k, int(label[5:])] = rows[k, 30 + EMOJI_STYLES.index(style)] = 1.0
    retriever, probe = (CaptionRetriever(rows, texts, 1e-3) for texts in (labels, styles))
    assert (label_ranks(retriever, rows, labels) == 1).all() and style_hits(probe, rows, styles).all()
    assert not style_hits(probe, rows.roll(1, 0), styles).any()
    assert (label_ranks(retriever, rows.roll(4, 0), labels) > 1).all()


def test_an_interval_is_over_items():
    generator = torch.Generator().manual_seed(0)
    real = torch.ones(400)
    hits = (torch.rand(400, 1, generator=generator) < 0.5).double()
    apart = (torch.rand(400, 4, generator=generator) < 0.5).double()
    same, four = ratio_interval(hits.expand(-1, 4), real), ratio_interval(apart, real)
    assert same.low < 0.5 < same.high and four.low < 0.52 and four.high > 0.48
    assert (same.high - same.low) / (four.high - four.low) == pytest.approx(2, rel=0.25)
    for wrong in ((hits[:, 0], real), (hits, real[:3]), (hits, torch.zeros(400))):
        with pytest.raises(ValueError, match="give no ratio"):
            ratio_interval(*wrong)


def test_distances_go_to_the_right_pictures():
    train = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    found = reference_distances(torch.tensor([[0.0, 0.0]]), ["b"], train, ["a", "b", "b"])
    assert found.same_label.item() == 3 and found.other_label.item() == 0 == found.nearest.item()


def test_infinite_distances_do_not_count():
    part = torch.linspace(1, 2, 40)
    held_out = ReferenceDistances(torch.cat([part, torch.tensor([math.inf])]), torch.ones(41))
    copies = ReferenceDistances(torch.zeros(41), torch.ones(41))
    report = copying_report(copies, held_out)
    assert report["same_label"]["flagged"] and not report["other_label"]["flagged"]
    assert report["same_label"]["median"] == [0.0, round(float(part.median()), 4)]
