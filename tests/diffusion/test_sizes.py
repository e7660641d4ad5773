"Pictures that are larger, or no squares: patches in front of the networks, and configurations that follow the data."

from types import SimpleNamespace

import pytest
import torch
from tiny import SMALL, shaken, tiny_pipeline

from t2i_learn.core.learner import Learner
from t2i_learn.core.pipeline import Pipeline, load
from t2i_learn.core.tensors import seeded_rng
from t2i_learn.diffusion.dit import TextToImageDiT
from t2i_learn.diffusion.losses import LOSS_WEIGHTS
from t2i_learn.diffusion.parameterization import Denoiser
from t2i_learn.diffusion.text_to_image import (
    DIFFUSION_MODEL_CONFIG,
    DiffusionConfig,
    text_to_image_loss,
    TextToImageDiffusion,
)
from t2i_learn.diffusion.unet import UNet
from t2i_learn.text.tokenizer import Tokenizer

NETWORKS = {
    "diffusion": {"unet": SMALL["unet"] | {"patch": 2}, "layout": SMALL["layout"] | {"cell": 8}},
    "dit": {"family": "dit", "dit": {"patch": 8, "width": 32, "depth": 1, "heads": 2}, "layout": None},
}
CLASSES = {"diffusion": TextToImageDiffusion, "dit": TextToImageDiT}


def wide_model(family):
    "A small model with random weights for pictures of 64×48."
    with seeded_rng(0):
        config = DIFFUSION_MODEL_CONFIG | SMALL | NETWORKS[family] | {"side": [48, 64]}
        return shaken(CLASSES[family](config))


def some_data(captions=("a cat", "a dog"), **more):
    "What a configuration wants to know of data."
    facts = {
        "mean": [0.4, 0.3, 0.2],
        "sd": 0.561,
        "words": ["a", "cat", "dog"],
        "captions": list(captions),
    }
    return SimpleNamespace(batches=None, **facts | more)


@pytest.mark.parametrize("family", [*CLASSES])
def test_a_wide_picture_is_drawn_saved_and_drawn_again(tmp_path, family):
    pipe = Pipeline(wide_model(family), "wide")
    call = {"seed": 1, "num_inference_steps": 2}
    picture = pipe("a red heart", **call).images[0]
    assert picture.size == (64, 48) and picture.info["width"] == "64" and picture.info["height"] == "48"
    pipe.save_pretrained(tmp_path / "wide")
    assert load(tmp_path / "wide")("a red heart", **call).images[0].tobytes() == picture.tobytes()


def test_a_side_of_two_equal_numbers_is_a_square_to_the_bit():
    call = {"seed": 1, "num_inference_steps": 2, "output_type": "pt"}
    square, pair = (tiny_pipeline(side=side)("a red heart", **call).images for side in (32, [32, 32]))
    assert torch.equal(square, pair)


def test_patches_leave_the_number_of_places_and_the_names_of_the_weights():
    plain, folded = UNet(), UNet(side=64, patch=2)
    assert {*plain.state_dict()} == {*folded.state_dict()}
    assert folded.middle.pos_embed.shape == plain.middle.pos_embed.shape
    assert folded.stem.weight.shape[1] == 4 * plain.stem.weight.shape[1]
    other = {n for n, w in folded.state_dict().items() if w.shape != plain.state_dict()[n].shape}
    assert other == {"stem.weight", "out.2.weight", "out.2.bias"}


def test_the_layout_has_the_places_of_the_middle():
    model = wide_model("diffusion")
    pictures = torch.rand(2, 3, 48, 64) - 0.5
    cond = model.encode(["a red heart", ""])
    assert model.layout_preview(cond).shape == (2, 3, 6, 8)
    assert cond.layout.shape[2:] == model.denoiser.network.middle.size == (6, 8)
    loss = text_to_image_loss(model, (pictures, ["a red heart", ""]))
    loss.backward()
    assert loss > 0 and model.planner.positions.grad.abs().sum() > 0


@pytest.mark.parametrize("family", [*CLASSES])
def test_a_wide_model_learns(family):
    pictures = torch.rand(4, 3, 48, 64).mul(0.5)
    model = wide_model(family)
    losses = []
    learner = Learner(model, lambda number: (pictures, ["a"] * 4), text_to_image_loss, lr=3e-3)
    losses = [loop.loss for loop in learner.run(30)]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_training_pictures_of_another_size_are_refused():
    with pytest.raises(ValueError, match="training pictures are 48×64, and this model takes 64×48"):
        batch = (torch.zeros(2, 3, 64, 48), ["a", "b"])
        Learner(wide_model("dit"), lambda number: batch, text_to_image_loss).fit(1)


@pytest.mark.parametrize("side", [30, [48, 50], [64], [64, 64, 3], 0, [64, -8], "64", 64.5])
def test_a_size_that_makes_no_sense_is_a_sentence_when_the_model_is_built(side):
    with pytest.raises(ValueError, match=r"size|side|divide"):
        TextToImageDiffusion(DIFFUSION_MODEL_CONFIG | SMALL | {"side": side})


def test_a_network_may_output_the_picture_itself():
    quiet = Denoiser(lambda y, sigma, cond: torch.zeros_like(y), [0.1, 0.2, 0.3], 0.5, "x0")
    y, sigma = torch.randn(2, 3, 8, 8), torch.tensor([0.1, 9.0])
    assert torch.equal(quiet(y, sigma), quiet.mean.expand(2, 3, 8, 8))
    model = TextToImageDiffusion(DIFFUSION_MODEL_CONFIG | SMALL | {"parameterization": "x0"})
    assert model.denoiser.parameterization == "x0"
    with pytest.raises(ValueError, match="no parameterization 'x1'"):
        TextToImageDiffusion(DIFFUSION_MODEL_CONFIG | SMALL | {"parameterization": "x1"})


def test_its_loss_is_the_error_of_the_velocity():
    x0, z = torch.randn(2, 4, 3, 8, 8)
    guess, sigma = torch.randn(4, 3, 8, 8), torch.tensor([0.1, 0.5, 2.0, 9.0]).view(-1, 1, 1, 1)
    y = x0 + sigma * z
    velocity = ((y - guess) / sigma - guess) - (z - x0)
    assert torch.allclose(
        velocity.square(), LOSS_WEIGHTS["flow"](sigma) * (guess - x0).square(), rtol=1e-3
    )


@pytest.mark.parametrize(("size", "patch", "output"), [
    (32, 1, "edm"), (64, 2, "edm"), ((48, 64), 2, "edm"), (128, 4, "x0"),
])  # fmt: skip
def test_a_configuration_follows_data_and_size(size, patch, output):
    config = DiffusionConfig.for_data(some_data(), size, "full")
    assert config.config["mean"] == [0.4, 0.3, 0.2] and config.config["std"] == 0.561
    assert config.config["words"] == ["a", "cat", "dog"] and config.config["layout"] is None
    assert config.config["unet"]["patch"] == patch and config.config["parameterization"] == output
    assert config.config["side"] == (list(size) if isinstance(size, tuple) else size)


def test_the_noise_grows_with_side_and_spread():
    shifts = [
        DiffusionConfig.for_data(some_data(sd=sd), size, "cpu").config["shift"]
        for size, sd in ((32, 0.374), (64, 0.374), (32, 0.748))
    ]
    assert shifts == [2, 4, 4]
    small, large = (
        DiffusionConfig.for_data(some_data(), size, "cpu").sigmas(4001).median() for size in (32, 64)
    )
    assert torch.isclose(large / small, torch.tensor(2.0), rtol=0.02)


@pytest.mark.parametrize("family", [*CLASSES])
def test_a_model_to_begin_with_keeps_its_network_and_the_data_its_numbers(family):
    init = wide_model(family)
    init.config = init.config | {"mean": init.config["mean"], "std": init.config["std"]}
    config = DiffusionConfig.for_data(some_data(), 64, "smoke", family, init)
    model = config.initial_model(init=init)
    assert model.config["words"] == ["a", "cat", "dog"] and model.denoiser.std.item() == pytest.approx(
        0.561
    )
    assert model.denoiser.mean.flatten().tolist() == pytest.approx([0.4, 0.3, 0.2])
    assert torch.equal(model.encoder.tokens.weight, init.encoder.tokens.weight)
    own, theirs = model.denoiser.network, init.denoiser.network
    block = "middle.blocks.0.self_attn.q.weight" if family == "diffusion" else "blocks.0.mlp.0.weight"
    assert torch.equal(own.get_parameter(block), theirs.get_parameter(block))


@pytest.mark.parametrize(("data", "more", "sentence"), [
    (SimpleNamespace(), {}, "has no batches: give CaptionedPictures"),
    (some_data(), {"family": "gan"}, "no trainable family 'gan'"),
    (some_data(), {"preset_name": "huge"}, "no preset 'huge'"),
    (some_data(), {"size": (64, 64, 64)}, "a size is one number, or height and width"),
    (some_data(["word " * 50]), {}, "is longer than the 38 tokens"),
])  # fmt: skip
def test_what_cannot_be_trained_is_a_sentence(data, more, sentence):
    with pytest.raises(ValueError, match=sentence):
        DiffusionConfig.for_data(data, **more)


def test_the_tokenizer_of_the_data_is_that_of_the_model():
    own = Tokenizer.train(["katze hund"] * 5, 300)
    config = DiffusionConfig.for_data(some_data(tokenizer=own), 32, "smoke")
    assert config.load_tokenizer() is own and config.new_model().tokenizer is own
