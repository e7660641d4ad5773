"The short games: windows, sharpness, and the control that differs in nothing but the game."

import pytest
import torch

from t2i_learn.gan.short_game import (
    fine_energy,
    game_and_control,
    GameWatch,
    pad_window,
    prompts_of_tasks,
    sharpness,
    WINDOW_GAMES,
    WindowMix,
)
from t2i_learn.gan.text_to_image import GAN_ROUNDS
from t2i_learn.world.reader import read_scene
from t2i_learn.world.score import check_spec


@pytest.mark.parametrize("side", [16, 24, 32])
def test_the_oracle_reads_every_window(side):
    batch = WindowMix({"single": 1.0, "color": 1.0}).batches(12, side, seed=2)(0)
    assert batch.pictures.shape == (12, 3, side, side)
    scenes = [read_scene(picture) for picture in pad_window(batch.pictures)]
    assert all(check_spec(example.spec, scene)[0] for example, scene in zip(batch.examples, scenes))


def test_a_window_is_put_back_in_the_middle():
    window = torch.arange(2.0 * 3 * 5 * 6).view(2, 3, 5, 6)
    whole = pad_window(window, 8)
    assert whole.shape == (2, 3, 8, 8) and torch.equal(whole[:, :, 1:6, 1:7], window)
    assert torch.equal(pad_window(whole, 8), whole)


@pytest.mark.parametrize("size", [(16, 16), (32, 32), (24, 32)])
def test_fine_energy_is_what_is_left_without_slow_waves(size):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    slow = torch.fft.fft2(x)
    radius = (torch.fft.fftfreq(size[0])[:, None] ** 2 + torch.fft.fftfreq(size[1]) ** 2).sqrt()
    fine = torch.fft.ifft2(slow * (radius > 0.25)).real
    assert torch.allclose(fine_energy(x), fine.square().mean((1, 2, 3)), atol=1e-5)
    assert sharpness(2 * x, x) == pytest.approx(4, rel=1e-5), "energy is a square"


def test_a_constant_picture_has_no_detail():
    real = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert sharpness(torch.ones(2, 3, 16, 16), real) < 1e-6


def test_prompts_are_of_the_tasks_that_are_named():
    prompts = prompts_of_tasks(("single", "color"), 3)
    assert [p.task for p in prompts].count("color") == 3 and {p.task for p in prompts} == {
        "single",
        "color",
    }


def test_a_task_that_there_is_not_is_named():
    with pytest.raises(ValueError, match="did you mean 'single'"):
        prompts_of_tasks(("singel",), 3)


def test_game_and_control_differ_in_the_loss_alone():
    pair = game_and_control(GAN_ROUNDS["full"][1], 30)
    game, control = vars(pair["game"]), vars(pair["control"])
    assert {name for name in game if game[name] != control[name]} == {"loss"} and game["steps"] == 30
    losses = vars(pair["game"].loss), vars(pair["control"].loss)
    assert {n for n in losses[0] if losses[0][n] != losses[1][n]} == {
        "adversarial",
        "reconstruction_share",
    }


@pytest.mark.parametrize("preset", ["smoke", "cpu", "full"])
def test_a_game_in_windows_has_networks_of_that_side(preset):
    config = WINDOW_GAMES[preset]
    model = config.initial_model()
    assert model.generator.side == model.discriminator.backbone.side == config.config["side"] == 16
    assert model.generator.code is not None and not len(model.generator.attention)


def test_watching_needs_whole_steps():
    with pytest.raises(ValueError, match="every"):
        GameWatch(lambda: None, [], torch.zeros(1, 3, 8, 8), every=0)
