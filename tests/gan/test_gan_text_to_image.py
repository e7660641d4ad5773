"The text-to-image GAN: what ships of it, what the discriminator is shown, and its training."

import json
import subprocess
import sys
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from steady import seeded as dice
from tiny import tiny_gan

from t2i_learn import cli
from t2i_learn.core.checkpoint import Checkpoint
from t2i_learn.core.pipeline import load, Pipeline
from t2i_learn.world.score import evaluate
from t2i_learn.gan.picture_losses import GANLossConfig
from t2i_learn.gan.text_to_image import (
    diff_augment,
    GAN_ROUNDS,
    GANConfig,
    implied_decoder_std,
    scale_gan_config,
    TextToImageGAN,
)
from t2i_learn.widgets.prompt_box import prompt_box

ONE_PASS = "draws a picture in one pass"


def rivals_of():
    torch.manual_seed(0)
    return TextToImageGAN(GAN_ROUNDS["smoke"][1].config, discriminator=True)


@pytest.fixture(scope="module")
def pipe():
    return tiny_gan()


def test_a_picture_does_not_depend_on_its_batch(pipe):
    four = pipe("a red heart", num_images_per_prompt=4, seed=1, output_type="pt").images
    third = pipe("a red heart", seed=1, first=2, output_type="pt").images
    assert four.shape == (4, 3, 32, 32) and (four[2:3] - third).abs().max() < 1e-4
    assert (four[0] - four[1]).abs().max() > 0.01, "other noise, another picture"


@pytest.mark.parametrize(
    "setting",
    [
        {"num_inference_steps": 20},
        {"guidance_scale": 3.0},
        {"sampler": "ddim"},
        {"negative_prompt": "a star"},
    ],
)
def test_what_only_a_sampler_understands_is_turned_down(pipe, setting):
    for ask in (
        lambda: pipe("a red heart", **setting),
        lambda: pipe.trajectory("a red heart", **setting),
    ):
        with pytest.raises(ValueError, match=ONE_PASS) as caught:
            ask()
        assert next(iter(setting)) in str(caught.value)


def test_its_trajectory_has_one_state(pipe):
    states = list(pipe.trajectory("a red heart", seed=3))
    assert [s.step for s in states] == [0]
    assert torch.equal(states[0].picture, pipe("a red heart", seed=3, output_type="pt").images)


def test_saved_and_loaded_it_draws_the_same(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "mine")
    again = load(str(tmp_path / "mine"))
    assert json.loads((tmp_path / "mine" / "config.json").read_text())["family"] == "gan"
    assert torch.equal(
        again("two blue heart", seed=1, output_type="pt").images,
        pipe("two blue heart", seed=1, output_type="pt").images,
    )
    assert not any(name.startswith("discriminator") for name in again.model.state_dict())


def test_the_command_line_draws_and_scores_it(pipe, tmp_path, capsys):
    pipe.save_pretrained(tmp_path / "mine")
    with pytest.raises(SystemExit) as ended:
        cli.app(
            [
                "generate",
                "a heart",
                "--model",
                str(tmp_path / "mine"),
                "--seed",
                "1",
                "--out",
                str(tmp_path / "a.png"),
            ]
        )
    assert ended.value.code == 0 and (tmp_path / "a.png").is_file()
    with pytest.raises(SystemExit) as ended:
        cli.app(
            [
                "generate",
                "a heart",
                "--model",
                str(tmp_path / "mine"),
                "--steps",
                "4",
                "--out",
                str(tmp_path / "b.png"),
            ]
        )
    assert (
        ended.value.code == 2
        and ONE_PASS in capsys.readouterr().err
        and not (tmp_path / "b.png").exists()
    )


def test_it_is_scored_like_every_model(pipe):
    report = evaluate(pipe, 2, ("validation",))
    assert report["steps"] is None and 0 <= report["seen"]["mean"] <= 1


def test_the_prompt_box_shows_no_setting_of_a_sampler(pipe):
    box = prompt_box(pipe, "a red heart", num_images_per_prompt=2)
    try:
        assert box.fields.settings == {} and box.fields.negative.layout.display == "none"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            box.draw().background.wait()
        assert "Done" in box.fields.status.value and len(box.pictures) == 2
        assert "num_inference_steps" not in box.fields.code.value
        box._repr_mimebundle_()
    finally:
        box.close()


def test_overlong_and_strange_prompts(pipe):
    with pytest.raises(ValueError, match="long"):
        pipe("a red heart " * 400)
    with pytest.warns(UserWarning, match="no caption in training held"):
        pipe("a zebra", seed=0)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 3), st.integers(0, 2**31))
def test_augmentation_moves_whole_pixels_and_nothing_else(shift, seed):
    pictures = torch.arange(2 * 3 * 8 * 8.0).reshape(2, 3, 8, 8)
    moved = diff_augment(pictures, dice(seed), shift, 0.0)
    inner = moved[:, :, shift : 8 - shift, shift : 8 - shift]
    for picture, part in zip(pictures, inner):
        step = (part - picture[:, shift : 8 - shift, shift : 8 - shift]).unique()
        assert len(step) == 1, "one displacement for the whole picture"
        down, right = divmod(round(step.item()) + shift, 8)
        assert abs(down) <= shift and 0 <= right <= 2 * shift


def test_augmentation_adds_noise_of_the_size_it_says():
    flat = torch.zeros(8, 3, 32, 32)
    assert abs(diff_augment(flat, dice(), 1, 0.3).std() - 0.3) < 0.01
    assert torch.equal(diff_augment(flat, dice(5)), diff_augment(flat, dice(5)))


def test_decoder_noise_grows_with_the_root_of_the_kl_s_weight():
    one, four = (
        implied_decoder_std(GANLossConfig(kl=0.001)),
        implied_decoder_std(GANLossConfig(kl=0.004)),
    )
    assert abs(four - 2 * one) < 1e-12


@pytest.mark.trains
def test_a_resumed_round_ends_with_the_same_weights(tmp_path):
    config = GANConfig(6, 8, warmup=2, config=scale_gan_config(32))

    whole = config.learner()
    whole[0].fit(6)
    resumed = [config.learner([Checkpoint(tmp_path / "run", every=2)]) for _ in range(2)]
    for _ in zip(range(4), resumed[0][0].run(6)):
        pass
    resumed[1][0].fit(6)
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole[0].model.state_dict().values(), resumed[1][0].model.state_dict().values())
    )
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole[1].model.state_dict().values(), resumed[1][1].model.state_dict().values())
    )


def test_another_round_begins_with_what_there_is():
    first = rivals_of().without_discriminator()
    learner, _ = GAN_ROUNDS["smoke"][1].learner(seed=1, init=first)
    for name, value in first.state_dict().items():
        assert torch.equal(learner.model.state_dict()[name], value)


def test_a_pipeline_of_rivals_is_a_pipeline_of_what_draws():
    rivals = rivals_of()
    whole, part = Pipeline(rivals), Pipeline(rivals.without_discriminator())
    assert torch.equal(
        whole("a heart", seed=1, output_type="pt").images,
        part("a heart", seed=1, output_type="pt").images,
    )


DRAW = """
import sys
from t2i_learn.core.pipeline import Pipeline
from t2i_learn.gan.text_to_image import scale_gan_config, TextToImageGAN
Pipeline(TextToImageGAN(scale_gan_config(32)))("a red heart", seed=0, output_type="pt")
assert not (world := [name for name in sys.modules if name.startswith("t2i_learn.world")]), world
"""


def test_drawing_loads_nothing_of_the_world():
    done = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
