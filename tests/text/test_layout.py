"Places that read: what they make of a caption depends on that caption alone, and training changes all of it."

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SMALL

from t2i_learn.core.files import read_tensors
from t2i_learn.core.learner import Callback
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.training import muon_and_adamw
from t2i_learn.text.layout import (
    CONDITIONER_CONFIG,
    conditioner_loss,
    insert_unknown_words,
    pretrain_conditioner,
    PRETRAIN_MIX,
    TextConditioner,
)
from t2i_learn.world.scenes import COLORS, SHAPES

SMALL_CONDITIONER = CONDITIONER_CONFIG | {name: SMALL[name] for name in ("text", "layout")}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return TextConditioner(SMALL_CONDITIONER).eval().requires_grad_(False)


captions = st.builds("{} {}".format, st.sampled_from(sorted(COLORS)), st.sampled_from(sorted(SHAPES)))


@settings(max_examples=20, deadline=None)
@given(st.lists(captions, min_size=1, max_size=4), st.integers(0, 3))
def test_a_layout_depends_on_its_own_caption(model, others, at):
    caption = "two blue stars on a mint background"
    alone = model.encode([caption])
    among = model.encode([*others[:at], caption, *others[at:]])[[min(at, len(others))]]
    assert torch.allclose(among.layout, alone.layout, atol=1e-5) and torch.allclose(
        among.pooled, alone.pooled, atol=1e-5
    )
    assert torch.allclose(model.layout_preview(among), model.layout_preview(alone), atol=1e-5)


def test_a_layout_has_a_quarter_of_the_picture_and_its_preview_three_channels():
    model = TextConditioner(SMALL_CONDITIONER | {"side": 64})
    cond = model.encode(["a heart", "a star"])
    assert cond.layout.shape == (2, 32, 16, 16) and model.layout_preview(cond).shape == (2, 3, 16, 16)


def test_word_order_reaches_the_layout(model):
    there, back = model.encode(["a heart left of a star", "a star left of a heart"]).layout
    assert not torch.allclose(there, back, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.lists(captions, min_size=1, max_size=8), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_a_made_up_word_comes_on_top(texts, rate, seed):
    changed = insert_unknown_words(texts, rate, torch.Generator().manual_seed(seed))
    for old, new in zip(texts, changed, strict=True):
        kept = iter(new.split())
        assert all(word in kept for word in old.split()), "the caption's words stay, in their order"
        assert len(new.split()) - len(old.split()) in (
            (0,) if rate == 0 else (1,) if rate == 1 else (0, 1)
        )


def test_every_weight_is_trained_by_one_of_the_two_optimizers():
    model = TextConditioner(SMALL_CONDITIONER)
    grouped = [p for group in muon_and_adamw(model).param_groups for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters()} and len(grouped) == len(
        list(model.parameters())
    )
    conditioner_loss(model, PRETRAIN_MIX.batches(4, 8)(0), torch.Generator().manual_seed(0)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


class Interrupted(Callback):
    "Somebody presses the stop button after so many steps."

    order = 9

    def __init__(self, step):
        self.step = step

    def after_step(self, learner):
        if learner.step == self.step:
            raise KeyboardInterrupt


def test_learning_to_read_resumes_exactly(tmp_path):
    def learn(steps, name):
        return pretrain_conditioner(
            SMALL_CONDITIONER, steps, 4, callbacks=[Checkpoint(tmp_path / name, every=2)]
        )

    learn(4, "whole")
    with pytest.raises(KeyboardInterrupt):
        pretrain_conditioner(
            SMALL_CONDITIONER, 4, 4, callbacks=[Checkpoint(tmp_path / "halved", every=2), Interrupted(3)]
        )
    learn(4, "halved")
    whole, halved = (read_tensors(tmp_path / name)[0] for name in ("whole", "halved"))
    assert whole.keys() == halved.keys() and all(
        torch.equal(whole[name], halved[name]) for name in whole
    )


def test_a_model_without_a_layout(model):
    plain = TextConditioner(SMALL_CONDITIONER | {"layout": None})
    cond = plain.encode(["a red heart", ""])
    pictures = torch.zeros(2, 3, 32, 32)
    assert plain.planner is None and cond.layout is None and plain.layout_loss(cond, pictures) == 0
    assert {name.split(".")[0] for name in plain.state_dict()} == {"encoder"}
    with pytest.raises(ValueError, match="this model has no layout"):
        plain.layout_preview(cond)
    assert model.layout_loss(model.encode(["a red heart", ""]), pictures) > 0


def test_one_caption_is_a_list_of_one(model):
    one, several = model.encode("a red heart"), model.encode(["a red heart"])
    assert (
        len(one) == 1
        and torch.equal(one.context, several.context)
        and torch.equal(one.layout, several.layout)
    )
    seeds = (torch.Generator().manual_seed(3) for _ in range(2))
    assert insert_unknown_words("a red heart", 1.0, next(seeds)) == insert_unknown_words(
        ["a red heart"], 1.0, next(seeds)
    )
    with pytest.raises(ValueError, match="each text must be a str"):
        insert_unknown_words([None])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_conditioner_works_in_another_dtype(dtype):
    torch.manual_seed(0)
    made = TextConditioner(SMALL_CONDITIONER)
    captions = ["a red heart", "two blue stars on a mint background"]
    wanted = made.layout_preview(made.encode(captions))
    preview = made.to(dtype).layout_preview(made.encode(captions))
    assert preview.dtype == dtype and torch.allclose(
        preview.float(), wanted, atol=1e-5 if dtype == torch.float64 else 0.1
    )


def test_a_conditioner_is_built_in_torchs_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        made = TextConditioner(SMALL_CONDITIONER)
        preview = made.layout_preview(made.encode("a red heart"))
    finally:
        torch.set_default_dtype(torch.float32)
    assert preview.dtype == torch.float64 and preview.isfinite().all()
