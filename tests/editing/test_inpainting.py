"Inpainting: known pixels stay, masks from anywhere, and a model with mask channels."

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_gan, tiny_pipeline, tiny_two_stage
from test_image_to_image import CALL, NEW, OLD, tiny_dit

from t2i_learn.core.pipeline import Pipeline, load
from t2i_learn.core.show import to_image
from t2i_learn.core.tensors import Noise
from t2i_learn.diffusion.sampling import SAMPLERS, get_step, run_to_end
from t2i_learn.editing.image_to_image import inputs_for, open_picture
from t2i_learn.editing.inpainting import (
    InpaintingConfig,
    TextToImageInpainting,
    add_mask_channels,
    inpaint,
    inpainting_loss,
    mask_condition,
    open_mask,
    random_masks,
    replace_known,
)


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


@pytest.fixture(scope="module")
def picture():
    return torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture(scope="module")
def mask():
    mask = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    mask[..., 8:20, 4:16] = True
    return mask


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("jumps", [0, 2])
def test_known_pixels_stay(name, jumps, pipe, picture, mask):
    inputs = inputs_for(pipe, pipe.request(NEW, seed=3, **CALL))
    states = list(inpaint(get_step(name), inputs, picture[None], mask, 0.75, jumps))
    assert len(states) == 3
    for state in states:
        assert torch.equal(state.x0_hat * ~mask, picture * ~mask)
    assert not torch.allclose(states[-1].x0_hat, picture[None])


def test_the_network_sees_known_pixels_at_their_level(picture, mask):
    "After a step, what is known differs from the picture by noise of that level."
    seen = []

    def denoiser(y, sigma, cond=None):
        seen.append((y, float(sigma.flatten()[0])))
        return torch.zeros_like(y)

    pipe = tiny_pipeline()
    inputs = inputs_for(pipe, pipe.request(NEW, seed=3, **CALL))._replace(denoiser=denoiser)
    list(inpaint(get_step("ddpm"), inputs, picture[None], mask))
    for y, sigma in seen[1:]:
        noise = ((y - picture)[~mask.expand(1, 3, -1, -1)] / sigma).std()
        assert 0.9 < noise < 1.1


def test_resampling_asks_once_more_for_every_round(picture, mask):
    calls = []
    pipe = tiny_pipeline()
    inputs = inputs_for(pipe, pipe.request(NEW, seed=3, **CALL))
    inputs = inputs._replace(denoiser=lambda y, sigma, cond=None: calls.append(1) or torch.zeros_like(y))
    for jumps in (0, 1, 3):
        calls.clear()
        list(inpaint(get_step("ddpm"), inputs, picture[None], mask, 1.0, jumps))
        assert len(calls) == 4 + 3 * jumps, "the last step ends at 0 and is not repeated"


def test_rounds_draw_noise_of_their_own(picture, mask):
    drawn = []

    class Watched(Noise):
        def like(self, y, step):
            drawn.append(step)
            return super().like(y, step)

    pipe = tiny_pipeline()
    inputs = inputs_for(pipe, pipe.request(NEW, seed=3, **CALL))
    step = replace_known(get_step("ddpm"), picture[None], mask, Watched(1), 2)
    from t2i_learn.diffusion.sampling import sample_loop

    list(sample_loop(step, inputs.denoiser, picture[None] + 1, inputs.sigmas, inputs.cond, Watched(1)))
    assert len(drawn) == len(set(drawn))


@pytest.mark.parametrize("make", [tiny_pipeline, tiny_dit, tiny_two_stage])
def test_every_family_inpaints(make, picture, mask):
    pipe = make()
    side = pipe.model.config["side"]
    small = to_image(open_picture(picture, side).x0[0])
    region = Image.fromarray((mask[0, 0].numpy() * 255).astype("uint8")).resize((side, side))
    out = pipe.inpaint(small, region, NEW, seed=1, num_inference_steps=2, output_type="pt").images[0]
    known = open_picture(small, side).x0[0]
    keep = ~open_mask(region, small.size, side)[0]
    assert torch.allclose(out * keep, known * keep) and not torch.allclose(out, known)


def test_a_family_without_levels_says_so(picture, mask):
    with pytest.raises(ValueError, match="without noise levels"):
        tiny_gan().inpaint(picture, mask, "a red heart")


@pytest.mark.parametrize(
    "form",
    [
        lambda m: m,
        lambda m: m[0, 0],
        lambda m: m[0, 0].numpy(),
        lambda m: m[0, 0].float(),
        lambda m: m[0, 0].bfloat16(),
        lambda m: Image.fromarray((m[0, 0].numpy() * 255).astype("uint8")),
        lambda m: Image.fromarray((m[0, 0].numpy() * 255).astype("uint8")).convert("RGB"),
    ],
)
def test_masks_of_every_form(form, mask):
    assert torch.equal(open_mask(form(mask), (32, 32), 32), mask)


def painted_layer(mask, mode, color=255):
    "A layer of a painting program: the mask opaque, all else transparent."
    alpha = Image.fromarray((mask[0, 0].numpy() * 255).astype("uint8"))
    layer = Image.new("RGB", (32, 32), (color,) * 3).convert("RGBA")
    layer.putalpha(alpha)
    return layer.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGBa"])
def test_what_is_transparent_in_a_mask_is_not_painted(mode, mask, tmp_path):
    layer = painted_layer(mask, mode)
    assert torch.equal(open_mask(layer, (32, 32), 32), mask)
    if mode != "RGBa":
        layer.save(tmp_path / "mask.png")
        assert torch.equal(open_mask(tmp_path / "mask.png", (32, 32), 32), mask)
    with pytest.raises(ValueError, match="the mask is empty"):
        open_mask(painted_layer(mask, mode, 0), (32, 32), 32)


def test_a_palette_with_a_transparent_white_is_not_painted(mask, tmp_path):
    image = Image.fromarray((~mask[0, 0]).numpy().astype("uint8"), "P")
    image.putpalette([200, 200, 200, 255, 255, 255])
    image.save(tmp_path / "mask.png", transparency=1)
    assert torch.equal(open_mask(tmp_path / "mask.png", (32, 32), 32), mask)


def test_masks_of_a_larger_picture(mask):
    large = Image.fromarray((mask[0, 0].numpy() * 255).astype("uint8")).resize((256, 256), 0)
    assert torch.equal(open_mask(large, (256, 256), 32), mask)
    point = Image.new("L", (256, 256))
    point.putpixel((100, 20), 255)
    assert open_mask(point, (256, 256), 32).nonzero().tolist() == [[0, 0, 2, 12]], (
        "what is touched may change"
    )


def test_masks_that_are_none_are_refused(pipe, picture, tmp_path):
    empty, small = Image.new("L", (32, 32)), Image.new("L", (8, 9), 255)
    for wrong, words in ((empty, "empty"), (small, "8×9"), (torch.zeros(2, 3, 4), "rows and columns")):
        with pytest.raises(ValueError, match=words):
            pipe.inpaint(picture, wrong, NEW)
    for wrong in (None, [[1]], 3):
        with pytest.raises(ValueError, match=f"not {type(wrong).__name__}$"):
            open_mask(wrong, (32, 32), 32)
    for wrong in (np.array([["a"]]), np.array([[None]])):
        with pytest.raises(ValueError, match="of numbers"):
            open_mask(wrong, (1, 1), 32)
    with pytest.raises(ValueError, match="no file"):
        pipe.inpaint(picture, tmp_path / "none.png", NEW)


def test_a_mask_beside_what_the_model_sees_is_not_passed_over():
    wide = torch.zeros(32, 96)
    wide[:, :30] = 1
    with pytest.raises(ValueError, match="outside of the picture's middle"):
        open_mask(wide, (96, 32), 32)
    wide[:, :34] = 1
    assert open_mask(wide, (96, 32), 32).nonzero()[:, 3].unique().tolist() == [0, 1]


def test_a_full_mask_is_a_new_drawing(pipe, picture):
    full = torch.ones(32, 32)
    options = {"seed": 1, "output_type": "pt", "num_inference_steps": 4}
    a = pipe.inpaint(picture, full, NEW, **options).images
    b = pipe.inpaint(picture, full, OLD, **options).images
    assert not torch.allclose(a, b) and a.isfinite().all()


def test_mask_channels_change_nothing_before_training(pipe, picture, mask):
    wide = add_mask_channels(pipe.model).eval()
    cond = pipe.model.encode([NEW])
    y = picture[None] + 2 * Noise(0).like(picture[None], 0)
    with torch.no_grad():
        answers = [
            pipe.model(y, torch.tensor(2.0), cond),
            wide(y, torch.tensor(2.0), cond),
            wide(y, torch.tensor(2.0), mask_condition(cond, picture[None], mask)),
        ]
    assert torch.allclose(answers[0], answers[1], atol=1e-5)
    assert torch.allclose(answers[0], answers[2], atol=1e-5)


def test_mask_channels_are_for_one_family():
    for other in (tiny_dit(), tiny_two_stage(), tiny_gan()):
        with pytest.raises(ValueError, match="family diffusion"):
            add_mask_channels(other.model)
    with pytest.raises(ValueError, match="give init"):
        InpaintingConfig().initial_model()


@pytest.mark.trains
def test_fine_tuning_learns_to_copy_and_the_model_is_saved(pipe, tmp_path):
    "From its known part a picture of one colour can be completed, whatever the caption says."
    config = InpaintingConfig(steps=30, batch_size=8, warmup=2, lr=3e-3, config=pipe.model.config)
    flat = (
        torch.rand(8, 3, 1, 1, generator=torch.Generator().manual_seed(0)).expand(-1, -1, 32, 32) * 2 - 1
    )
    batch = (flat.contiguous(), ["a red circle"] * 8)
    model = add_mask_channels(pipe.model).requires_grad_()

    def loss():
        with torch.no_grad():
            seeds = [torch.Generator().manual_seed(k) for k in range(4)]
            return float(sum(inpainting_loss(model, batch, g) for g in seeds))

    before = loss()
    optimizer = torch.optim.Adam(model.parameters(), config.lr)
    for k in range(config.steps):
        optimizer.zero_grad()
        inpainting_loss(model, batch, torch.Generator().manual_seed(100 + k)).backward()
        optimizer.step()
    assert loss() < 0.7 * before
    Pipeline(model).save_pretrained(tmp_path / "inpainting")
    again = load(tmp_path / "inpainting", "cpu")
    assert isinstance(again.model, TextToImageInpainting)
    drawn = again("a red circle", seed=1, num_inference_steps=2, output_type="pt").images
    assert drawn.shape == (1, 3, 32, 32)
    mask = torch.zeros(32, 32)
    mask[:16] = 1
    out = again.inpaint(flat[0], mask, OLD, seed=1, num_inference_steps=4, output_type="pt").images[0]
    assert (out[:, 16:] - flat[0, :, 16:]).abs().max() < 1.01 / 255 and not torch.equal(out, drawn[0])


def test_random_masks_are_of_all_kinds():
    masks = random_masks(400, 32, torch.Generator().manual_seed(0))
    covered = masks.float().mean((1, 2, 3))
    assert masks.shape == (400, 1, 32, 32) and 0.05 < (covered == 1).float().mean() < 0.2
    assert (covered < 0.1).any() and ((covered > 0.6) & (covered < 1)).any()
    assert torch.equal(masks, random_masks(400, 32, torch.Generator().manual_seed(0)))


def test_a_denoiser_that_is_right_paints_the_picture_back(picture, mask):
    pipe = tiny_pipeline()
    inputs = inputs_for(pipe, pipe.request(NEW, seed=3, **CALL))
    inputs = inputs._replace(denoiser=lambda y, sigma, cond=None: picture.expand_as(y))
    out = run_to_end(inpaint(get_step("ddpm"), inputs, picture[None] * ~mask, mask))
    assert torch.allclose(out, picture, atol=1e-6)
