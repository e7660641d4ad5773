"Broadcasting and noise where what they are given holds whole numbers."

import pytest
import torch
from steady import seeded

from t2i_learn.core.tensors import append_dims, as_float_tensor, Noise, noise_like

WHOLE = torch.zeros(2, 3, dtype=torch.long)


@pytest.mark.parametrize(
    "of",
    [
        lambda x: append_dims(0.7, x),
        lambda x: append_dims(torch.tensor([0, 1]), x),
        lambda x: noise_like(x, seeded()),
        lambda x: Noise(1).like(x, 0),
        as_float_tensor,
    ],
    ids=["one level", "a level a row", "noise_like", "Noise.like", "as_float_tensor"],
)
def test_whole_numbers_cut_nothing(of):
    assert torch.equal(of(WHOLE), of(WHOLE.float())) and of(WHOLE).is_floating_point()
    assert of(WHOLE.double()).dtype == torch.float64
