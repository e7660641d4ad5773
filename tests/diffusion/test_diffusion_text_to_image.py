"The diffusion family: its schedule, its switches, and precision."

from dataclasses import replace

import pytest
import torch

from steady import seeded
from tiny import SMALL, tiny_pipeline
from t2i_learn.core.settings import family_of
from t2i_learn.world.captions import CaptionedScenes
from t2i_learn.diffusion.text_to_image import text_to_image_loss
from t2i_learn.diffusion.dit import DIT_MODEL_CONFIG, TextToImageDiT


def test_a_last_time_past_the_end_is_refused_before_anything_is_drawn():
    with pytest.raises(
        ValueError, match="t_max is the last time of a schedule, above 0 and at most 1, not 2"
    ):
        tiny_pipeline(t_max=2)("a red heart", num_inference_steps=2, seed=0)


UNREAD = {
    "all": {},
    "no layout": {"layout": None},
    "no pooled vector": {"unet": SMALL["unet"] | {"pooled": False}},
    "a layout that the denoiser does not read": {"unet": SMALL["unet"] | {"layout": 0}},
}


@pytest.mark.parametrize("arm", UNREAD)
def test_inputs_are_switches_of_the_configuration(arm):
    pipe = tiny_pipeline(**UNREAD[arm])
    names = list(pipe.model.state_dict())
    assert any("layout_proj" in name for name in names) == (arm in ("all", "no pooled vector"))
    assert any(name.startswith("planner") for name in names) == (arm != "no layout")
    assert any("pooled_proj" in name for name in names) == (arm != "no pooled vector")
    pictures = pipe(
        ["a red heart", "a blue star"], num_inference_steps=2, seed=0, output_type="pt"
    ).images
    assert pictures.shape == (2, 3, 32, 32) and pictures.isfinite().all()
    loss = text_to_image_loss(pipe.model, CaptionedScenes(4)(0), seeded(0))
    assert loss.isfinite()


def test_a_planner_learns_though_the_denoiser_does_not_read_its_layout():
    pipe = tiny_pipeline(**UNREAD["a layout that the denoiser does not read"])
    model, y, sigma = (
        pipe.model.requires_grad_(),
        torch.randn(1, 3, 32, 32, generator=seeded(0)),
        torch.ones(1),
    )
    cond = model.encode("a red heart")
    assert torch.equal(model(y, sigma, cond), model(y, sigma, replace(cond, layout=-cond.layout)))
    text_to_image_loss(model, CaptionedScenes(4)(0), seeded(0)).backward()
    moved = [p.grad for p in model.planner.parameters()]
    assert all(grad is not None and grad.abs().max() > 0 for grad in moved)


def test_the_default_precision_of_torch_changes_no_picture():
    pipe = tiny_pipeline()
    ask = lambda: pipe("a red heart", num_inference_steps=3, seed=0, output_type="pt").images
    expected = ask()
    torch.set_default_dtype(torch.float64)
    try:
        found = ask()
    finally:
        torch.set_default_dtype(torch.float32)
    assert (found - expected).abs().max() < 2 / 255


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_may_be_stored_in_another_precision(dtype):
    pipe = tiny_pipeline()
    pipe.model.to(dtype)
    assert pipe("a red heart", num_inference_steps=2, seed=0, output_type="pt").images.isfinite().all()


def test_a_transformer_has_the_same_switches():
    dit = {"patch": 8, "width": 32, "depth": 1, "heads": 2, "pooled": False}
    for small in ({"layout": None, "dit": dit}, {"dit": dit | {"layout": 0}}):
        model = TextToImageDiT(DIT_MODEL_CONFIG | small | {"text": SMALL["text"]})
        assert not any("layout_proj" in name or "pooled_proj" in name for name in model.state_dict())
        assert (model.planner is None) == ("layout" in small)
        assert text_to_image_loss(model, CaptionedScenes(4)(0), seeded(0)).isfinite()
        assert family_of(model.config).model_class() is TextToImageDiT
