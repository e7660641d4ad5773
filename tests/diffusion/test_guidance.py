"Properties of classifier-free guidance."

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steady import bank, no_deadline, seeded
from diffusion_examples import seeds
from t2i_learn.core.tensors import append_dims
from t2i_learn.diffusion.sampling import euler_step, sample_loop
from t2i_learn.diffusion.guidance import cfg, CFGDenoiser, drop_captions

no_deadline()


@given(st.floats(-5, 10), seeds)
def test_guidance_is_linear_and_off_at_one(scale, seed):
    a, b = torch.randn(2, 3, generator=seeded(seed)).double()
    assert torch.allclose(cfg(a, b, scale), scale * a + (1 - scale) * b)
    assert torch.allclose(cfg(a, b, 1.0), a) and torch.allclose(cfg(a, b, 0.0), b)
    assert torch.allclose(cfg(a, a, scale), a)


class Counted:
    def __init__(self):
        self.rows = []

    def __call__(self, y, sigma, cond=None):
        self.rows.append(len(y))
        return y * 0 + append_dims(cond, y)


def test_guided_asks_once_for_both_and_once_when_off():
    y, cond, uncond = torch.zeros(4, 3, 2, 2), torch.ones(4), torch.zeros(4)
    for scale, rows in ((3.0, 8), (1.0, 4)):
        asked = Counted()
        x0_hat = CFGDenoiser(asked, uncond, scale)(y, append_dims(1.0, y), cond)
        assert asked.rows == [rows] and torch.allclose(x0_hat, torch.full_like(y, scale))


def test_guidance_keeps_to_its_interval():
    asked = Counted()
    y = torch.zeros(2, 2)
    states = list(
        sample_loop(
            euler_step,
            CFGDenoiser(asked, torch.zeros(2), 5.0, (0.5, 2.0)),
            y,
            torch.tensor([8.0, 1.0, 0.1, 0.0]),
            torch.ones(2),
        )
    )
    assert [float(s.x0_hat[0, 0]) for s in states] == [1, 5, 1]
    assert asked.rows == [2, 4, 2]


@given(st.floats(0, 1), seeds)
def test_dropped_captions_are_empty_and_as_many_as_asked(rate, seed):
    captions = [f"caption {i}" for i in range(2000)]
    dropped = drop_captions(captions, rate, seeded(seed))
    assert all(d in ("", c) for c, d in zip(captions, dropped, strict=True))
    assert abs(dropped.count("") / 2000 - rate) < 0.08


def test_one_text_is_no_list_of_captions():
    with pytest.raises(ValueError, match="a list of captions, not one text: write \\['red heart'\\]"):
        drop_captions("red heart")


@pytest.mark.parametrize(
    "sigma",
    [
        2,
        2.0,
        torch.tensor(2.0),
        torch.full((4,), 2.0),
        torch.full((4, 1, 1, 1), 2.0),
        torch.full((1, 1, 1, 1), 2.0),
    ],
)
def test_a_guided_denoiser_takes_levels_in_every_form(sigma):
    y, cond, uncond = bank(4), torch.ones(4), torch.zeros(4)
    denoiser = lambda y, sigma, cond: y / (1 + sigma**2) + append_dims(cond, y)
    found = CFGDenoiser(denoiser, uncond, 3.0)(y, sigma, cond)
    assert torch.allclose(found, y / 5 + 3)


def test_a_level_beside_whole_numbers_is_not_cut():
    scaled = CFGDenoiser(lambda y, sigma, cond: y * sigma, torch.zeros(1, 1), 2.0)
    y = torch.ones(1, 2, dtype=torch.long)
    assert torch.equal(scaled(y, 0.7, torch.ones(1, 1)), scaled(y.float(), 0.7, torch.ones(1, 1)))
