"Randomness in tests that comes out the same each time."

import torch
from hypothesis import settings


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def steady(max_examples):
    "Let hypothesis try the same examples in every run of the file that asks for it."
    name = f"{max_examples} steady examples"
    settings.register_profile(name, deadline=None, derandomize=True, database=None, max_examples=max_examples)
    settings.load_profile(name)
