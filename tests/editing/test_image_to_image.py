"Pictures that are taken up again: levels, exact round trips, recipes, and what `pipe.edit` and `pipe.vary` say."

import warnings

import pytest
import torch
from PIL import Image
from tiny import SMALL, shaken, tiny_gan, tiny_pipeline, tiny_two_stage

from t2i_learn.core.files import save_image, save_png
from t2i_learn.core.pipeline import Pipeline
from t2i_learn.core.show import make_image_grid, to_image, to_tensor
from t2i_learn.core.tensors import Noise, seeded_rng
from t2i_learn.diffusion.dit import DIT_MODEL_CONFIG, TextToImageDiT
from t2i_learn.diffusion.sampling import SAMPLERS, fork, get_step, run_to_end
from t2i_learn.editing.image_to_image import (
    ddim_invert,
    edit_from_states,
    edit_tensors,
    inputs_for,
    levels_below,
    open_picture,
    recall_states,
    record_noise,
    replay_noise,
    sdedit,
)

LEVEL = 1.01 / 127.5  # one of 255


def tiny_dit():
    "A pipeline around a small transformer with random weights, always the same."
    small = {name: SMALL[name] for name in ("text", "layout", "words")}
    own = {"dit": {"patch": 4, "width": 32, "depth": 1, "heads": 2}}
    with seeded_rng(0):
        return Pipeline(shaken(TextToImageDiT(DIT_MODEL_CONFIG | small | own)), "tiny-dit")


FAMILIES = {"diffusion": tiny_pipeline, "dit": tiny_dit, "two-stage": tiny_two_stage}
CALL = {"num_inference_steps": 4, "guidance_scale": 1.5}
OLD, NEW = "a red circle", "two blue hearts"


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


@pytest.fixture(scope="module")
def picture():
    return torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def inputs_of(pipe, prompts=(OLD,), **more):
    return inputs_for(pipe, pipe.request(list(prompts), seed=3, **CALL | more))


def quiet_edit(pipe, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pipe.edit(*arguments, **options)


@pytest.mark.parametrize("strength", [1e-9, 0.25, 0.26, 0.5, 0.75, 1.0])
def test_levels_are_the_end_of_a_run(strength):
    sigmas = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.0])
    levels = levels_below(sigmas, strength)
    assert torch.equal(levels, sigmas[len(sigmas) - len(levels) :])
    assert len(levels) - 1 == max(1, -(-int(strength * 400) // 100))


@pytest.mark.parametrize("strength", [0, -1, 1.01, float("nan"), "half", None])
def test_a_strength_that_is_none_is_refused(strength, pipe, picture):
    with pytest.raises(ValueError, match="strength must be"):
        pipe.edit(picture, NEW, strength=strength, **CALL)


@pytest.mark.parametrize("name", SAMPLERS)
def test_recorded_noise_gives_the_picture_back(name, pipe, picture):
    inputs = inputs_of(pipe)
    step = get_step(name)
    for strength in (0.5, 1.0):
        maps = record_noise(step, inputs, picture[None], strength)
        assert len(maps.maps) == len(maps.sigmas) - 1
        assert torch.allclose(run_to_end(replay_noise(step, inputs, maps)), picture, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["exact", "sdedit"])
def test_every_family_edits(family, method, picture):
    pipe = FAMILIES[family]()
    side = pipe.model.config["side"]
    small = open_picture(picture, side).x0[0]
    same = pipe.edit(
        small,
        OLD,
        source_prompt=OLD,
        method=method,
        seed=1,
        output_type="pt",
        num_inference_steps=3,
        guidance_scale=1,
    )
    other = pipe.edit(
        small,
        NEW,
        source_prompt=OLD,
        method=method,
        seed=1,
        output_type="pt",
        num_inference_steps=3,
        guidance_scale=1,
    )
    assert same.images.shape == (1, 3, side, side) and not torch.equal(same.images, other.images)
    rounded = to_tensor(to_image(small))
    assert method == "sdedit" or torch.allclose(same.images[0], rounded, atol=1e-4)


def test_another_size_of_model(picture):
    pipe = tiny_pipeline(side=16)
    drawn = pipe("a red heart", seed=1, **CALL).images[0]
    assert pipe.edit(drawn, NEW).images[0].size == (16, 16)
    assert quiet_edit(pipe, picture, NEW, **CALL).images[0].size == (16, 16)


def test_a_family_without_levels_says_so(picture):
    with pytest.raises(ValueError, match="without noise levels"):
        quiet_edit(tiny_gan(), picture, "a red heart", source_prompt=OLD)


def test_edits_do_not_depend_on_the_batch(pipe, picture):
    other = picture.flip(1)
    request = pipe.request([NEW, OLD], seed=[5, 6], **CALL)
    both = edit_tensors(pipe, torch.stack([picture, other]), request, [OLD, NEW])
    alone = edit_tensors(pipe, other[None], pipe.request(OLD, seed=[6], **CALL), [NEW])
    assert torch.allclose(both[1], alone[0], atol=1e-4)


def test_ddim_inversion_of_a_straight_path_is_exact():
    "Where the estimate of noise is the same at all levels, no step makes an error."
    inputs = inputs_of(tiny_pipeline())
    noise = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    x0 = torch.zeros(1, 3, 32, 32)
    inputs = inputs._replace(denoiser=lambda y, sigma, cond=None: y - sigma * noise)
    y = ddim_invert(inputs, x0, 1.0)
    assert torch.allclose(y, inputs.sigmas[0] * noise, rtol=1e-4)


def test_sdedit_keeps_what_a_perfect_denoiser_keeps(picture):
    inputs = inputs_of(tiny_pipeline())
    inputs = inputs._replace(denoiser=lambda y, sigma, cond=None: picture.expand_as(y))
    out = run_to_end(sdedit(get_step("ddpm"), inputs, -picture[None], 0.5))
    assert torch.allclose(out, picture)


@pytest.mark.parametrize("kind", [".png", ".webp"])
def test_a_saved_picture_is_edited_from_its_own_noise(kind, pipe, tmp_path):
    drawn = pipe(OLD, seed=7, first=3, **CALL).images[0]
    file = tmp_path / f"drawn{kind}"
    save_image(make_image_grid([drawn], scale=8), file, drawn.info)
    before = file.read_bytes()
    edited = pipe.edit(file, NEW)
    assert edited.settings["edit"] == "own noise" and edited.images[0].info["prompt"] == NEW
    same = pipe.edit(file, OLD, strength=1.0, output_type="pt").images[0]
    assert (same.clamp(-1, 1) - to_tensor(drawn)).abs().max() < LEVEL
    two = pipe.edit(file, [NEW, OLD], output_type="pt").images
    assert torch.allclose(two[0], pipe.edit(file, NEW, output_type="pt").images[0], atol=1e-4)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sha256": "0" * 64}, "other weights"),
        ({"seed": "8"}, "was changed"),
        ({"seed": "many"}, "damaged"),
        ({"edit": "own noise"}, "does not carry"),
        ({"prompt": None}, "does not carry"),
    ],
)
def test_a_recipe_that_does_not_hold_is_named(change, reason, pipe):
    drawn = pipe(OLD, seed=7, **CALL).images[0]
    drawn.info |= change
    drawn.info = {name: text for name, text in drawn.info.items() if text is not None}
    with pytest.warns(UserWarning, match=reason):
        edited = pipe.edit(drawn, NEW, seed=1, **CALL)
    assert edited.settings["edit"] == "recorded noise"


def test_a_pixel_that_was_painted_over_is_noticed(pipe):
    drawn = pipe(OLD, seed=7, **CALL).images[0]
    assert not isinstance(recall_states(pipe, open_picture(drawn, 32)), str)
    drawn.putpixel((3, 3), (255, 0, 255))
    assert "changed" in recall_states(pipe, open_picture(drawn, 32))


def test_two_stages_record_noise_anew():
    "Their drafts do not go down the levels of an edit."
    pipe = tiny_two_stage()
    drawn = pipe("a red heart", seed=2).images[0]
    with pytest.warns(UserWarning, match="recorded anew, under its prompt"):
        assert pipe.edit(drawn, NEW, seed=1).settings["edit"] == "recorded noise"


def test_several_pictures_of_one_prompt_differ(pipe):
    drawn = pipe(OLD, seed=7, **CALL).images[0]
    with pytest.warns(UserWarning, match="several"):
        a, b = pipe.edit(drawn, NEW, num_images_per_prompt=2, seed=1, output_type="pt", **CALL).images
    assert not torch.equal(a, b)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "I;16", "CMYK"])
def test_pictures_of_every_mode(mode, pipe):
    image = Image.new("RGB", (40, 40), "red")
    image = Image.new(mode, (40, 40)) if mode == "I;16" else image.convert(mode)
    assert quiet_edit(pipe, image, NEW, seed=1, **CALL).images[0].size == (32, 32)


def test_a_picture_that_is_not_square_is_cut_and_said(pipe):
    wide = Image.new("RGB", (64, 32), "white")
    wide.paste("red", (0, 0, 16, 32))  # beyond the middle
    with pytest.warns(UserWarning, match="64×32"):
        known = open_picture(wide, 32)
    assert known.x0.min() == 1 and known.size == (64, 32)


@pytest.mark.parametrize(
    "wrong", [torch.zeros(1, 3, 32, 32), torch.zeros(4, 32, 32), torch.full((3, 32, 32), torch.nan)]
)
def test_what_is_no_picture_is_refused(wrong, pipe):
    with pytest.raises(ValueError, match="one at a time"):
        pipe.edit(wrong, NEW)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (None, "not NoneType"),
        ([1], "not list"),
        (torch.zeros(32, 32, 3).numpy(), "not ndarray"),
        (torch.zeros(3, 0, 0), "0×0 pixels"),
        (Image.new("RGB", (0, 5)), "0×5 pixels"),
    ],
)
def test_what_is_not_even_a_file_is_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        open_picture(wrong, 32)


def test_what_a_picture_carries_is_shown_without_control_characters():
    image = Image.new("RGB", (32, 32))
    image.info = {"pictures": "\x1b[2J"}
    with pytest.raises(ValueError, match=r"a sheet of \\x1b\[2J pictures"):
        open_picture(image, 32)


@pytest.mark.parametrize("method", ["sdedit", "words"])
def test_a_source_prompt_is_one_text(method, pipe, picture):
    with pytest.raises(ValueError, match="source_prompt is one text"):
        pipe.edit(picture, NEW, source_prompt=[OLD], method=method)


@pytest.mark.parametrize(
    ("prompts", "change", "same"),
    [
        ((OLD, NEW), {}, True),
        ((NEW, OLD), {}, False),
        ((OLD, NEW), {"guidance_scale": 4.0}, False),
        ((OLD, NEW), {"sampler": "unipc"}, False),
    ],
)
def test_earlier_answers_count_only_where_the_call_is_the_same(prompts, change, same, pipe):
    call = CALL | {"sampler": "dpmpp_2m", "seed": 3}
    drawn = pipe.request([OLD, NEW], **call)
    states = list(pipe.model.trajectory(drawn))
    request = pipe.request(list(prompts), **call | change)
    edited = edit_from_states(pipe, states, drawn, request, 0.5)
    runs = [
        fork(
            get_step(request.settings.sampler),
            inputs_for(pipe, request).denoiser,
            states[2],
            inputs_for(pipe, request).sigmas,
            inputs_for(pipe, request).cond,
            inputs_for(pipe, request).noise,
            reset_history=reset,
        )
        for reset in (False, True)
    ]
    kept, fresh = (run_to_end(run) for run in runs)
    assert edited is not None and torch.equal(edited, kept if same else fresh)
    assert not torch.equal(kept, fresh)


def test_files_that_are_no_single_picture_are_refused(pipe, tmp_path):
    text = tmp_path / "notes.png"
    text.write_text("no picture", encoding="utf-8")
    sheet = tmp_path / "sheet.png"
    save_png(Image.new("RGB", (64, 64)), sheet, {"pictures": "4", "prompt": OLD})
    for file, words in (
        (text, "not a picture"),
        (sheet, "sheet of 4"),
        (tmp_path / "none.png", "no file"),
    ):
        with pytest.raises(ValueError, match=words):
            pipe.edit(file, NEW)


def test_variations_take_the_prompt_that_the_picture_carries(pipe, picture):
    drawn = pipe(OLD, seed=7, **CALL).images[0]
    varied = pipe.vary(drawn, num_images_per_prompt=2, seed=1, **CALL)
    assert [image.info["prompt"] for image in varied.images] == [OLD, OLD]
    assert varied.images[0].tobytes() != varied.images[1].tobytes()
    with pytest.raises(ValueError, match="say what it shows"):
        pipe.vary(picture)
    assert pipe.vary(picture, OLD, seed=1, **CALL).settings["edit"] == "variation"


def test_maps_are_recorded_under_the_prompt_that_a_picture_carries(pipe):
    drawn = pipe(OLD, seed=7, **CALL).images[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        edited = pipe.edit(drawn, OLD, method="maps", seed=1, **CALL | {"guidance_scale": 1.0})
    assert edited.settings["edit"] == "recorded noise" and edited.settings["source_prompt"] == OLD
    assert (to_tensor(edited.images[0]) - to_tensor(drawn)).abs().max() < LEVEL


def test_wrong_names_are_a_sentence(pipe, picture):
    with pytest.raises(ValueError, match="no method of editing 'magic'"):
        pipe.edit(picture, NEW, method="magic")
    with pytest.raises(ValueError, match="no output_type"):
        pipe.edit(picture, NEW, output_type="np")
    with pytest.raises(ValueError, match="has no setting"):
        pipe.edit(picture, NEW, source_prompt=OLD, magic=1)


def test_shared_noise_is_that_of_the_drawn_picture(pipe):
    "Every prompt of an edit gets the noise of the one picture that is edited."
    drawn = pipe(OLD, seed=7, first=2, **CALL | {"sampler": "ddpm"}).images[0]
    edited = pipe.edit(drawn, [NEW, NEW.replace("blue", "red")], strength=1.0, output_type="pt").images
    inputs = inputs_for(pipe, pipe.request(NEW, seed=7, first=2, **CALL | {"sampler": "ddpm"}))
    assert isinstance(inputs.noise, Noise) and inputs.noise.first == 2
    redrawn = pipe(NEW, seed=7, first=2, output_type="pt", **CALL | {"sampler": "ddpm"}).images
    assert torch.allclose(edited[0], redrawn[0], atol=1e-4)
