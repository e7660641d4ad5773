"Places that read: what they make of a caption depends on that caption alone, and training changes all of it."

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SMALL

from t2i_learn.core.learner import Callback, Checkpoint, read_tensors
from t2i_learn.text.reading import (
    PRETRAIN_MIX,
    CONDITIONER_CONFIG,
    TextConditioner,
    training_batches,
    pretrain_conditioner,
    muon_and_adamw,
    conditioner_loss,
    insert_unknown_words,
)
from t2i_learn.world.scenes import COLORS, SHAPES

SMALL_READER = CONDITIONER_CONFIG | {name: SMALL[name] for name in ("text", "plan")}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return TextConditioner(SMALL_READER).eval().requires_grad_(False)


captions = st.builds("{} {}".format, st.sampled_from(sorted(COLORS)), st.sampled_from(sorted(SHAPES)))


@settings(max_examples=20, deadline=None)
@given(st.lists(captions, min_size=1, max_size=4), st.integers(0, 3))
def test_a_plan_depends_on_its_own_caption(model, others, at):
    caption = "two blue stars on a mint background"
    alone = model.encode([caption])
    among = model.encode([*others[:at], caption, *others[at:]])[[min(at, len(others))]]
    assert torch.allclose(among.picture, alone.picture, atol=1e-5) and torch.allclose(among.pooled, alone.pooled, atol=1e-5)
    assert torch.allclose(model.promise(among), model.promise(alone), atol=1e-5)


def test_a_plan_has_a_quarter_of_the_picture_and_a_promise_its_channels():
    cond = TextConditioner(SMALL_READER | {"side": 64}).encode(["a heart", "a star"])
    assert cond.picture.shape == (2, 32, 16, 16)


def test_word_order_reaches_the_plan(model):
    there, back = model.encode(["a heart left of a star", "a star left of a heart"]).picture
    assert not torch.allclose(there, back, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.lists(captions, min_size=1, max_size=8), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_a_made_up_word_comes_on_top(texts, rate, seed):
    told = insert_unknown_words(texts, rate, torch.Generator().manual_seed(seed))
    for old, new in zip(texts, told, strict=True):
        kept = iter(new.split())
        assert all(word in kept for word in old.split()), "the caption's words stay, in their order"
        assert len(new.split()) - len(old.split()) in ((0,) if rate == 0 else (1,) if rate == 1 else (0, 1))


def test_every_weight_is_trained_by_one_of_the_two_optimizers():
    model = TextConditioner(SMALL_READER)
    grouped = [p for group in muon_and_adamw(model).param_groups for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters()} and len(grouped) == len(list(model.parameters()))
    conditioner_loss(model, training_batches(PRETRAIN_MIX, 4, 8)(0), torch.Generator().manual_seed(0)).backward()
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
        return pretrain_conditioner(SMALL_READER, steps, 4, callbacks=[Checkpoint(tmp_path / name, every=2)])

    learn(4, "whole")
    with pytest.raises(KeyboardInterrupt):
        pretrain_conditioner(SMALL_READER, 4, 4, callbacks=[Checkpoint(tmp_path / "halved", every=2), Interrupted(3)])
    learn(4, "halved")
    whole, halved = (read_tensors(tmp_path / name)[0] for name in ("whole", "halved"))
    assert whole.keys() == halved.keys() and all(torch.equal(whole[name], halved[name]) for name in whole)
