"Checkpoints: a run goes on from a file only if it is its own, whole, and made of numbers."

import itertools
import json
import os
import random

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from t2i_learn.core.callbacks import (
    ClipGrad,
    EMA,
    JSONLogger,
    LRSchedule,
    NonFiniteLoss,
    read_log,
    warmup_cosine,
)
from t2i_learn.core.checkpoint import Checkpoint, checkpoint_precision
from t2i_learn.core.files import read_tensors
from t2i_learn.core.learner import CachedBatches, content_hash, Learner, Prefetch
from t2i_learn.core.training import CombinedOptimizer, fastest_precision


def loss(model, batch, generator):
    if not isinstance(batch, torch.Tensor):
        batch = next(iter(batch.values())) if isinstance(batch, dict) else batch[0]
    return (model(batch.reshape(-1, 3).float()) + torch.randn(1, generator=generator)).pow(2).mean()


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
        Batches() if data is None else data,
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


def zeros(number):
    return torch.zeros(2, 3)


def hub_data(value, column="x"):
    "A Hugging Face data set of eight rows."
    rows = [[float(value)] * 3 for _ in range(8)]
    return datasets.Dataset.from_dict({column: rows}).with_format("torch")


def tensors(value):
    return TensorDataset(torch.full((8, 3), float(value)))


def adam(**settings):
    return lambda params: torch.optim.Adam(params, 1e-2, **settings)


def advanced():
    generator = torch.Generator().manual_seed(1)
    torch.rand(1, generator=generator)
    return generator


def shuffled(generator):
    return DataLoader(tensors(0), 2, shuffle=True, generator=generator)


OTHER_RUNS = {
    "the data set of a loader": (
        {"data": DataLoader(tensors(0), 2)},
        {"data": DataLoader(tensors(1), 2)},
        ["data set is TensorDataset of 8, .* here and TensorDataset of 8, "],
    ),
    "its last item": (
        {"data": DataLoader([*torch.zeros(7, 3), torch.zeros(3)], 2)},
        {"data": DataLoader([*torch.zeros(7, 3), torch.ones(3)], 2)},
        ["data set is list of 8"],
    ),
    "its length": (
        {"data": DataLoader(torch.zeros(8, 3), 2)},
        {"data": DataLoader(torch.zeros(9, 3), 2)},
        ["data set is Tensor of 9, .* here and Tensor of 8, "],
    ),
    "a loader's batch size": (
        {"data": DataLoader(tensors(0), 2)},
        {"data": DataLoader(tensors(0), 4)},
        ["batch size is 4 here and 2 in the file"],
    ),
    "a loader's order": (
        {"data": DataLoader(tensors(0), 2)},
        {"data": DataLoader(tensors(0), 2, shuffle=True)},
        ["order is RandomSampler here and SequentialSampler in the file"],
    ),
    "a loader's own generator": (
        {"data": shuffled(torch.Generator().manual_seed(1))},
        {"data": shuffled(advanced())},
        ["order is RandomSampler, generator .* here and RandomSampler, generator "],
    ),
    "a Dataset of the hub": ({"data": hub_data(0)}, {"data": hub_data(1)}, ["data set is Dataset of 8"]),
    "a Dataset's columns": (
        {"data": hub_data(0)},
        {"data": hub_data(0, "y")},
        ["data set is Dataset of 8"],
    ),
    "a Dataset in a loader": (
        {"data": DataLoader(hub_data(0), 2)},
        {"data": DataLoader(hub_data(1), 2)},
        ["data set is Dataset of 8"],
    ),
    "a list of batches": (
        {"data": [torch.zeros(2, 3)] * 3},
        {"data": [torch.ones(2, 3)] * 3},
        ["data set is list of 3"],
    ),
    "a loader in the place of a function": (
        {"data": zeros},
        {"data": DataLoader(tensors(0), 2)},
        ["data set is TensorDataset .* here and a function of the batch number in the file"],
    ),
    "a function in the place of a loader": (
        {"data": DataLoader(tensors(0), 2)},
        {"data": zeros},
        ["data set is a function of the batch number here and TensorDataset"],
    ),
    "how many batches are kept": (
        {"data": CachedBatches(zeros, 3)},
        {"data": CachedBatches(zeros, 4)},
        ["cached batches is 4 here and 3 in the file"],
    ),
    "batches a step": (
        {"batches_per_step": 1},
        {"batches_per_step": 2},
        ["batches a step is 2 here and 1"],
    ),
    "betas": (
        {"optimizer": adam()},
        {"optimizer": adam(betas=(0.0, 0.5))},
        [r"optimizer betas is \[\[0.0, 0.5\]\] here and \[\[0.9, 0.999\]\] in the file"],
    ),
    "weight decay": (
        {"optimizer": adam()},
        {"optimizer": adam(weight_decay=0.3)},
        [r"optimizer weight_decay is \[0.3\] here and \[0"],
    ),
    "precision": ({}, {"precision": "bf16"}, ["precision is bf16 here and no in the file"]),
}


@pytest.mark.parametrize("wrap", [lambda data: data, Prefetch])
@pytest.mark.parametrize(("first", "other", "words"), OTHER_RUNS.values(), ids=OTHER_RUNS)
def test_a_run_goes_on_only_with_its_data_and_its_settings(path, wrap, first, other, words):
    def run(steps, options):
        wrapped = {"data": wrap(options["data"])} if "data" in options else {}
        return a_learner(path, **options | wrapped).fit(steps)

    run(2, first)
    before = path.read_bytes()
    with refused("was written by another run", *words, "choose another file name"):
        run(4, other)
    assert path.read_bytes() == before
    if "generator" not in str(words):  # that one has been drawn from
        assert run(4, first).step == 4


class Items(torch.utils.data.Dataset):
    "Four items of which each is made by a function of its number."

    def __init__(self, item):
        self.item = item

    def __len__(self):
        return 4

    def __getitem__(self, number):
        return self.item(number)


class Stream(torch.utils.data.IterableDataset):
    "Items in turn, and no others."

    def __iter__(self):
        return iter(torch.ones(5, 3))


def unlike():
    "Items that differ at each reading, and from process to process."
    dice = np.random.default_rng()
    return Items(lambda number: torch.from_numpy(dice.random(3)))


SAME_RUNS = {
    "a loader": lambda: DataLoader(tensors(0), 2, shuffle=True),
    "a loader with a generator": lambda: shuffled(torch.Generator().manual_seed(1)),
    "a loader of a stream": lambda: DataLoader(Stream(), 2),
    "a loader of batches": lambda: DataLoader(
        tensors(0), batch_sampler=torch.utils.data.BatchSampler(range(8), 2, False)
    ),
    "items with NumPy's dice": lambda: DataLoader(
        Items(lambda k: torch.from_numpy(np.random.rand(3))), 2
    ),
    "items with Python's dice": lambda: DataLoader(Items(lambda k: torch.ones(3) * random.random()), 2),
    "items with torch's dice": lambda: DataLoader(Items(lambda k: torch.rand(3)), 2),
    "items with dice of their own": lambda: DataLoader(unlike(), 2),
    "dictionaries with objects": lambda: DataLoader(
        Items(lambda k: {"x": torch.ones(3), "y": object()}), 2, collate_fn=lambda items: items[0]["x"]
    ),
    "pictures": lambda: DataLoader(
        Items(lambda k: Image.new("RGB", (2, 2), (k, 0, 0))),
        2,
        collate_fn=lambda items: torch.ones(2, 3),
    ),
    "a Dataset of the hub": lambda: hub_data(0),
    "a list": lambda: [torch.zeros(2, 3)] * 3,
    "an iterator": lambda: (torch.ones(2, 3) for _ in range(9)),
    "a function": lambda: lambda number: torch.ones(2, 3),
    "an object": lambda: Batches(),
}


@pytest.mark.parametrize("kind", SAME_RUNS)
def test_a_run_goes_on_with_the_same_data_made_anew(path, kind):
    log = path.with_suffix(".jsonl")
    for steps in (2, 4):
        learner = a_learner(path, JSONLogger(log, 1), data=SAME_RUNS[kind]()).fit(steps)
        assert learner.step == steps
    assert [row["step"] for row in read_log(log)] == [1, 2, 3, 4] and len(
        list(path.parent.iterdir())
    ) == 2


def test_what_a_data_set_opens_when_it_is_read_is_left_to_the_loader_s_workers(path):
    class Lazy(Items):
        file = None

        def __getitem__(self, number):
            self.file = self.file or object()
            return torch.ones(3) * number

    data = DataLoader(Lazy(None), 2, num_workers=2)
    facts = a_learner(path, data=data).run_facts()
    assert "Lazy of 4, " in facts["data set"] and data.dataset.file is None


def test_a_hash_of_data_is_the_same_in_every_process():
    value = {"b": [torch.arange(3), np.float64(0.5), "a"], "a": (None, True, b"x"), "c": object()}
    assert content_hash(value)[:16] == "8096a29aa642b61a"
    assert content_hash(value) == content_hash(dict(sorted(value.items(), reverse=True)))


@pytest.mark.parametrize(
    "draw",
    [
        lambda number: torch.from_numpy(np.random.rand(3)),
        lambda number: torch.ones(3) * random.random(),
        lambda number: torch.rand(3),
    ],
    ids=["NumPy", "Python", "torch"],
)
def test_data_that_throws_dice_goes_on_where_it_was(path, draw):
    seen = {}
    for name, stops in (("whole", (7,)), ("killed", (3, 7))):
        seen[name] = []
        for stop in stops:

            def watched(model, batch, generator):
                seen[name].append(batch[0, 0].item())  # noqa: B023
                return model(batch.float()).mean()

            torch.manual_seed(5)
            data = DataLoader(Items(draw), 2, shuffle=True)
            state = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
            Learner(plain(), data, watched, [Checkpoint(path.with_name(name), every=3)]).fit(stop)
            assert np.random.get_state()[1].tolist() == state[1] and random.getstate() == state[2]
    assert seen["whole"] == seen["killed"] and len(set(seen["whole"])) == 7


def written_before(path, averages):
    "Take from a checkpoint what earlier versions did not write, and name its averages as they did."
    texts = read_tensors(path)[1]
    facts = json.loads(texts["learner"])
    facts.pop("hash")
    facts["run"] = {name: facts["run"][name] for name in ("seed", "learning rates", "optimizer")}
    tensors = {
        next(
            (
                f"callback/{old}/{name.removeprefix(f'callback/{new}/')}"
                for new, old in averages.items()
                if name.startswith(f"callback/{new}/")
            ),
            name,
        ): tensor
        for name, tensor in read_tensors(path)[0].items()
    }
    path.write_bytes(save(tensors, {"learner": json.dumps(facts)}))


@pytest.mark.parametrize(
    "data", [zeros, DataLoader(tensors(0), 2), Batches()], ids=["function", "loader", "object"]
)
def test_a_checkpoint_of_an_earlier_version_goes_on(path, data):
    def run(steps):
        emas = EMA(0.9), EMA(0.5, False), EMA(0.9999999), EMA(0.99999999)
        log = JSONLogger(path.with_suffix(".jsonl"), 1)
        return a_learner(path, *emas, log, data=data).fit(steps)

    whole = run(2)
    log = path.with_suffix(".jsonl")
    lines = log.read_text().splitlines()
    former = {name: whole.run_facts()[name] for name in ("seed", "learning rates", "optimizer")}
    log.write_text("\n".join([json.dumps({"run": former}), *lines[1:]]) + "\n")
    former_names = {
        "EMA 0.9": "EMA 0.9",
        "EMA 0.5 without warm-up": "EMA 0.5",
        "EMA 0.9999999": "EMA 1",
        "EMA 0.99999999": "EMA 1 (2)",
    }
    written_before(path, former_names)
    assert run(4).step == 4 and [row["step"] for row in read_log(log)] == [1, 2, 3, 4]
    assert len(list(path.parent.iterdir())) == 2, "the log was not set aside"
    assert run(6).step == 6


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((0.9, True), (0.9, False)),
        ((0.9999999, True), (0.99999995, True)),
        ((0.9999999, False), (0.9999999, True)),
    ],
)
def test_averages_of_other_settings_are_other_averages(path, first, second):
    def run(steps, *settings):
        emas = [EMA(*setting) for setting in settings]
        a_learner(path, *emas).fit(steps)
        return {ema.name: [p.clone() for p in ema.model.parameters()] for ema in emas}

    kept = run(4, first, second)
    for settings in ((first, second), (second, first)):
        for name, weights in run(4, *settings).items():
            assert all(torch.equal(a, b) for a, b in zip(weights, kept[name], strict=True))
    path.unlink()
    run(2, first)
    with refused("was written by another architecture", "callback/EMA"):
        run(4, second)


def test_an_object_that_saved_one_run_does_not_write_over_it(path):
    checkpoint = Checkpoint(path, 2)
    torch.manual_seed(0)
    Learner(plain(), Batches(), loss, [checkpoint]).fit(2)
    before = path.read_bytes()
    with refused("was written by another run", "seed"):
        Learner(plain(), Batches(), loss, [checkpoint], seed=1).fit(2)
    assert path.read_bytes() == before


class Odd(nn.Module):
    "A layer beside a number of an unusual type."

    def __init__(self, dtype):
        super().__init__()
        self.layer = nn.Linear(3, 1)
        self.register_buffer("odd", torch.zeros(2).to(dtype))

    def forward(self, x):
        return self.layer(x)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128, torch.float8_e4m3fn, torch.uint16])
def test_a_model_that_no_file_can_hold_is_named_before_a_step_is_spent(path, dtype):
    asked = []
    learner = a_learner(
        path, model=lambda: Odd(dtype), data=lambda number: asked.append(number) or torch.ones(2, 3)
    )
    with pytest.raises(
        ValueError, match=r"^a checkpoint cannot hold odd, of torch\.\w+: keep it as real"
    ):
        learner.fit(2)
    assert asked == [] and not path.exists()


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
    ],
)
def test_every_other_type_goes_on(path, dtype):
    for steps in (2, 4):
        assert a_learner(path, EMA(0.9), model=lambda: Odd(dtype)).fit(steps).step == steps


def test_an_average_that_was_not_kept_is_named(path):
    a_learner(path, EMA(0.9)).fit(2)
    with refused("was written by another architecture", "callback/EMA 0.9/0.bias is missing here"):
        a_learner(path, EMA(0.99)).fit(4)


def change(name, function):
    return lambda tensors, metadata: tensors.update({name: function(tensors[name])})


def forget(start):
    "Remove tensors from the file and from its list."

    def changed(tensors, metadata):
        for name in [name for name in tensors if name.startswith(start)]:
            del tensors[name], metadata["optimizer"][name]

    return changed


def say(name, value):
    "A value in the place of a tensor."

    def changed(tensors, metadata):
        forget(name)(tensors, metadata)
        metadata["values"][name] = value

    return changed


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


TYPES = (torch.int8, torch.int64, torch.bool, torch.float16, torch.float64)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        *(
            (
                change(name, lambda x, dtype=dtype: x.to(dtype)),
                ["was written by another architecture", name, str(dtype)],
            )
            for name in ("model/0.weight", "callback/EMA 0.9/0.weight")
            for dtype in TYPES
        ),
        *(
            (change(f"optimizer/0/{name}", lambda x, dtype=dtype: x.to(dtype)), ["is not whole"])
            for name in ("exp_avg", "exp_avg_sq", "step")
            for dtype in TYPES
        ),
        (change("optimizer/0/exp_avg_sq", lambda x: x + torch.inf), ["holds an infinity"]),
        (change("optimizer/0/exp_avg_sq", lambda x: -x - 1), ["is not whole"]),
        (change("optimizer/0/step", lambda x: x - 9), ["is not whole"]),
        (change("model/0.weight", lambda x: x + torch.inf), ["is not whole"]),
        (change("model/0.weight", lambda x: x * (1 + 1e-6)), ["is not whole"]),
        (forget("optimizer/0/"), ["is not whole"]),
        (forget("optimizer/0/exp_avg_sq"), ["is not whole"]),
        (forget("optimizer/"), ["is not whole"]),
        *((say("optimizer/0/step", value), ["is not whole"]) for value in ("text", None, True, -1, 3)),
        (change("torch_rng", lambda x: torch.full_like(x, 255)), ["is not whole"]),
        (change("torch_rng", torch.zeros_like), ["is not whole"]),
        (lambda tensors, metadata: metadata.update(step=3), ["is not whole"]),
        (lambda tensors, metadata: metadata.update(step=10**30), ["is not whole"]),
        (lambda tensors, metadata: metadata.update(hash="0" * 64), ["is not whole"]),
        (lambda tensors, metadata: metadata.update(hash=3), ["is not the checkpoint of a learner"]),
        (lambda tensors, metadata: metadata.pop("hash"), ["is not the checkpoint of a learner"]),
    ],
)
def test_what_was_changed_since_it_was_written_is_not_trained_on(path, change, words):
    a_learner(path, EMA(0.9)).fit(2)
    rewrite(path, change)
    learner = a_learner(path, EMA(0.9))
    weights = [p.detach().clone() for p in learner.params]
    with refused(*words):
        learner.fit(4)
    assert learner.step == 0 and all(
        torch.equal(p, q) for p, q in zip(weights, learner.params, strict=True)
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("torch_rng", lambda x: torch.full_like(x, 255), ["is not whole", "torch_rng"]),
        ("torch_rng", torch.zeros_like, ["is not whole", "torch_rng"]),
        ("model/0.bias", lambda x: x.to(torch.int8), ["was written by another architecture", "int8"]),
        ("optimizer/0/exp_avg", lambda x: x + torch.inf, ["holds an infinity"]),
    ],
)
def test_damage_to_a_file_of_an_earlier_version_is_named(path, name, value, words):
    a_learner(path).fit(2)
    rewrite(path, change(name, value))
    written_before(path, {})
    with refused(*words):
        a_learner(path).fit(4)


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
