"Checkpoints: a run goes on from a file only if it is its own, whole, and made of numbers."

import itertools
import json
import os

import pytest
import torch
from safetensors.torch import save
from torch import nn

from t2i_learn.core.callbacks import ClipGrad, EMA, LRSchedule, NonFiniteLoss, warmup_cosine
from t2i_learn.core.checkpoint import Checkpoint, checkpoint_precision
from t2i_learn.core.files import read_tensors
from t2i_learn.core.learner import Learner, Prefetch
from t2i_learn.core.training import CombinedOptimizer, fastest_precision


def loss(model, batch, generator):
    return (model(batch) + torch.randn(1, generator=generator)).pow(2).mean()


class Batches:
    "Batches that say which they are."

    def __init__(self, fingerprint=None):
        self.fingerprint = fingerprint

    def __call__(self, number):
        return torch.ones(2, 3) * (number + 1)


def plain():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def a_learner(
    path, *callbacks, model=plain, lr=1e-2, seed=0, data=None, optimizer=None, every=2, **options
):
    torch.manual_seed(0)
    model = model()
    optimizer = optimizer(model.parameters()) if optimizer else None
    return Learner(
        model,
        data or Batches(),
        loss,
        [*callbacks, Checkpoint(path, every)],
        lr=lr,
        seed=seed,
        optimizer=optimizer,
        **options,
    )


def refused(*words):
    return pytest.raises(
        ValueError, match=r"^[^\n]*run.safetensors " + r"[^\n]*".join(words) + r"[^\n]*$"
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


def rewrite(path, change):
    "Change tensors and metadata of a checkpoint in place."
    tensors, texts = read_tensors(path)
    metadata = json.loads(texts["learner"])
    change(tensors, metadata)
    path.write_bytes(save(tensors, {"learner": json.dumps(metadata)}))


@pytest.mark.parametrize("decays", [(0.5, 0.99), (0.9, 0.9), (0.99, 0.5)])
def test_two_averages_end_as_if_nothing_had_happened(tmp_path, decays):
    averages = {}
    for name in ("whole", "killed"):
        for stop in (7,) if name == "whole" else (3, 7):
            emas = [EMA(decay) for decay in decays]
            for learner in a_learner(tmp_path / name, *emas).run(7):
                if learner.step == stop:
                    break
        averages[name] = [p for ema in emas for p in ema.model.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(averages["whole"], averages["killed"], strict=True))


def test_averages_given_in_another_order_find_their_own(path):
    first = [EMA(0.5), EMA(0.99)]
    a_learner(path, *first).fit(4)
    second = [EMA(0.5), EMA(0.99)]
    a_learner(path, *second[::-1]).fit(4)
    for a, b in zip(first, second, strict=True):
        assert all(
            torch.equal(p, q) for p, q in zip(a.model.parameters(), b.model.parameters(), strict=True)
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, ["was written by another run", "seed is 1 here and 0 in the file"]),
        (
            {"lr": 2e-2},
            ["was written by another run", r"learning rates is \[0.02\] here and \[0.01\] in the file"],
        ),
        (
            {"optimizer": lambda p: torch.optim.SGD(p, 1e-2)},
            ["was written by another run", "optimizer is SGD here and AdamW"],
        ),
        (
            {"data": Batches("cats")},
            ["was written by another run", "data is cats here and dogs in the file"],
        ),
        (
            {"data": Prefetch(Batches("cats"))},
            ["was written by another run", "data is cats here and dogs in the file"],
        ),
        ({"model": lambda: nn.Linear(3, 1)}, ["was written by another architecture", "missing"]),
    ],
)
def test_a_checkpoint_knows_whose_run_it_is(path, change, words):
    whole = {"data": Batches("dogs")}
    a_learner(path, **whole).fit(2)
    before = path.read_bytes()
    with refused(*words, "choose another file name"):
        a_learner(path, **whole | change).fit(4)
    assert path.read_bytes() == before
    assert a_learner(path, **whole).fit(4).step == 4


def test_an_average_that_was_not_kept_is_named(path):
    a_learner(path, EMA(0.9)).fit(2)
    with refused("was written by another architecture", "callback/EMA 0.9/0.bias is missing here"):
        a_learner(path, EMA(0.99)).fit(4)


def remove(name):
    return lambda tensors, metadata: tensors.pop(name)


def put(name, value):
    return lambda tensors, metadata: tensors.update({name: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            remove("optimizer/0/exp_avg"),
            ["is not whole", "optimizer/0/exp_avg is .* missing in the file"],
        ),
        (remove("optimizer/3/step"), ["is not whole", "optimizer/3/step"]),
        (
            put("optimizer/0/exp_avg", torch.zeros(2, 2)),
            ["is not whole", r"optimizer/0/exp_avg is \[4, 3\] here and \[2, 2\]"],
        ),
        (put("optimizer/9/exp_avg", torch.zeros(1)), ["is not whole", "optimizer/9/exp_avg"]),
        (
            lambda tensors, metadata: [
                tensors.pop(name) for name in list(tensors) if name.startswith("optimizer")
            ],
            ["is not whole"],
        ),
        (remove("torch_rng"), ["is not whole", "torch_rng"]),
        (
            put("callback/EMA 0.9/0.bias", torch.full((4,), float("nan"))),
            ["holds NaN", "callback/EMA 0.9/0.bias"],
        ),
        (put("model/0.bias", torch.full((4,), float("nan"))), ["holds NaN", "model/0.bias"]),
        (
            put("optimizer/1/exp_avg", torch.full((4,), float("nan"))),
            ["holds NaN", "optimizer/1/exp_avg"],
        ),
        (remove("model/0.bias"), ["was written by another architecture", "model/0.bias"]),
        (lambda tensors, metadata: metadata.clear(), ["is not the checkpoint of a learner"]),
        (lambda tensors, metadata: metadata.update(step=-3), ["is not the checkpoint of a learner"]),
        (lambda tensors, metadata: metadata.update(step="2"), ["is not the checkpoint of a learner"]),
        (lambda tensors, metadata: metadata.pop("run"), ["is not the checkpoint of a learner"]),
        (
            lambda tensors, metadata: metadata["values"].update({"optimizer/0/step": 3}),
            ["holds optimizer/0/step twice"],
        ),
        (
            lambda tensors, metadata: metadata["values"].update(odd=[1]),
            ["is not the checkpoint of a learner"],
        ),
        (put("torch_rng", torch.zeros(5, dtype=torch.uint8)), ["is not whole", "torch_rng"]),
        (put("torch_rng", torch.zeros(5056)), ["is not whole", "torch_rng"]),
        (lambda tensors, metadata: metadata.update(step=True), ["is not the checkpoint of a learner"]),
        *(
            (
                lambda tensors, metadata, odd=odd: metadata["optimizer"].update(
                    {"optimizer/0/exp_avg": odd}
                ),
                ["is not whole", "optimizer/0/exp_avg"],
            )
            for odd in (None, 1.5, "a", True, {}, [[]], [-4, 8], [2**62, 2**62], ["a"])
        ),
    ],
)
def test_a_damaged_checkpoint_is_named_before_anything_is_loaded(path, change, words):
    a_learner(path, EMA(0.9)).fit(2)
    rewrite(path, change)
    before = path.read_bytes()
    learner = a_learner(path, EMA(0.9))
    weights = [p.detach().clone() for p in learner.params]
    with refused(*words):
        learner.fit(4)
    assert path.read_bytes() == before and learner.step == 0
    assert all(torch.equal(p, q) for p, q in zip(weights, learner.params, strict=True))


@pytest.mark.parametrize("text", ["{}", "[]", "{", "Infinity", "[" * 100_000])
def test_metadata_of_another_kind_is_a_sentence(path, text):
    path.write_bytes(save({"x": torch.zeros(1)}, {"learner": text}))
    for use in (
        lambda: a_learner(path).fit(1),
        lambda: checkpoint_precision(path),
        lambda: fastest_precision(plain(), Batches(), loss, path),
    ):
        with refused("is"):
            use()


def test_another_run_s_file_is_not_written_over(path):
    a_learner(path).fit(2)
    before = path.read_bytes()
    older = Learner(plain(), Batches(), loss).fit(3)  # in memory, further than the file, and not from it
    older.callbacks.append(Checkpoint(path, 1))
    with refused("is there already", "did not write it"):
        older.fit(5)
    assert path.read_bytes() == before


def test_weights_that_are_no_numbers_are_not_saved(path):
    learner = a_learner(path, every=1).fit(2)
    before = path.read_bytes()
    learner.model[0].weight.data.fill_(float("nan"))
    with pytest.raises(NonFiniteLoss, match=r"holds NaN at step 3: .* stays as it was"):
        learner.fit(3)
    assert path.read_bytes() == before


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))


@pytest.mark.parametrize(
    "model",
    [
        Tied,
        lambda: torch.compile(plain(), backend="eager"),
        lambda: torch.compile(Tied(), backend="eager"),
    ],
)
@pytest.mark.trains
def test_tied_and_compiled_models_go_on_to_the_bit(tmp_path, model):
    whole = a_learner(tmp_path / "whole", EMA(0.9), model=model).fit(6)
    for learner in a_learner(tmp_path / "halved", EMA(0.9), model=model).run(6):
        if learner.step == 5:
            break
    again = a_learner(tmp_path / "halved", EMA(0.9), model=model)
    assert [learner.step for learner in again.run(6)] == [5, 6]
    assert all(torch.equal(p, q) for p, q in zip(whole.params, again.params, strict=True))
    assert not any("_orig_mod" in name for name in read_tensors(tmp_path / "halved")[0])


def test_a_run_goes_on_compiled_that_began_without(path):
    a_learner(path, EMA(0.9)).fit(2)
    assert (
        a_learner(path, EMA(0.9), model=lambda: torch.compile(plain(), backend="eager")).fit(4).step == 4
    )


def test_the_file_is_let_go_after_a_resume(path):
    a_learner(path, EMA(0.9), every=100).fit(2)
    learner = a_learner(path, EMA(0.9), every=100)
    run = learner.run(10)
    next(run)
    with open(path, "r+b") as file:
        file.truncate(0)  # a mapped file would end the process here
    assert [state.step for state in itertools.islice(run, 3)] == [4, 5, 6]
    if os.path.exists("/proc/self/maps"):
        with open("/proc/self/maps", encoding="utf-8") as maps:
            assert path.name not in maps.read()


def two_optimizers(params):
    params = list(params)
    return CombinedOptimizer(
        [torch.optim.SGD(params[:2], 1e-2, momentum=0.9), torch.optim.Adam(params[2:], 1e-3)]
    )


def test_a_schedule_and_several_optimizers_are_no_other_run(path):
    def parts():
        return a_learner(path, LRSchedule(warmup_cosine()), ClipGrad(), optimizer=two_optimizers)

    for learner in parts().run(8):
        if learner.step == 5:
            break
    assert parts().fit(8).step == 8
    assert parts().fit(10).step == 10, "a run may be longer than it was meant to be"


def test_the_average_of_a_run_s_data_loader_goes_on_in_the_middle(path):
    "A stream goes on where it was, in the same order."
    data = torch.utils.data.DataLoader(torch.arange(30.0).view(10, 3), batch_size=2, shuffle=True)
    seen = {}
    for name, stops in (("whole", (8,)), ("killed", (3, 8))):
        seen[name] = []
        for stop in stops:

            def watched(model, batch, generator):
                seen[name].append(batch[0, 0].item())  # noqa: B023
                return loss(model, batch, generator)

            torch.manual_seed(5)
            learner = Learner(
                plain(), data, watched, [Checkpoint(path.with_name(name), every=3)], lr=1e-4
            )
            for state in learner.run(8):
                if state.step == stop:
                    break
    assert seen["whole"] == seen["killed"] and len(set(seen["whole"])) > 3


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_damaged_checkpoint_is_not_trained_on(path, share):
    a_learner(path, EMA()).fit(2)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with refused("is damaged or cut off", "delete it"):
        a_learner(path, EMA()).fit(4)


def test_a_checkpoint_of_another_architecture(path):
    a_learner(path, EMA(), model=lambda: nn.Linear(3, 3)).fit(2)
    with refused(
        "was written by another architecture",
        r"\(4,\) here and \(3,\) in the file",
        "choose another file name",
    ):
        a_learner(path, EMA(), model=lambda: nn.Linear(3, 4)).fit(4)


def test_a_file_that_is_no_checkpoint(path):
    path.write_bytes(save({"weight": torch.zeros(3)}))
    with refused("is not the checkpoint of a learner"):
        a_learner(path).fit(1)
