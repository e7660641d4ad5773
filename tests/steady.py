"Randomness in tests that comes out the same each time."

import torch
from hypothesis import settings


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def steady(max_examples):
    "Let hypothesis try the same examples in every run of the file that asks for it."
    name = f"{max_examples} steady examples"
    settings.register_profile(
        name, deadline=None, derandomize=True, database=None, max_examples=max_examples
    )
    settings.load_profile(name)


def no_deadline():
    "Let hypothesis take its time in the file that asks for it; its examples are new in every run."
    settings.register_profile("no deadline", deadline=None)
    settings.load_profile("no deadline")


def wide(*values):
    return torch.tensor(values, dtype=torch.float64)


def bank(n=12, shape=(3, 4, 4), seed=0):
    return torch.randn(n, *shape, generator=seeded(seed)).clamp(-1, 1)
