"The text-to-image GAN: what ships of it, what the discriminator is shown, what a caption leaves open, and its training."

import json
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from steady import seeded as dice
from tiny import tiny_gan

from t2i_learn import cli
from t2i_learn.core.learner import Checkpoint
from t2i_learn.core.pipeline import Pipeline, evaluate, load
from t2i_learn.gan.losses import GANLossConfig
from t2i_learn.gan.text_to_image import (
    GAN_ROUNDS,
    DIVERSITY_FACTS,
    GANConfig,
    GANTrainingModel,
    prepare_gan_training,
    implied_decoder_std,
    scene_diversity,
    diff_augment,
    diversity_ratio,
    scale_gan_config,
)
from t2i_learn.studio.prompt_box import prompt_box
from t2i_learn.world.captions import scene_of
from t2i_learn.world.scenes import render

ONE_PASS = "draws a picture in one pass"


def rivals_of():
    torch.manual_seed(0)
    return GANTrainingModel(GAN_ROUNDS["smoke"].config)


@pytest.fixture(scope="module")
def pipe():
    return tiny_gan()


def test_a_picture_does_not_depend_on_its_batch(pipe):
    four = pipe("a red heart", num_images_per_prompt=4, seed=1, output_type="pt").images
    third = pipe("a red heart", seed=1, first=2, output_type="pt").images
    assert four.shape == (4, 3, 32, 32) and (four[2:3] - third).abs().max() < 1e-4
    assert (four[0] - four[1]).abs().max() > .01, "other noise, another picture"


@pytest.mark.parametrize("setting", [{"num_inference_steps": 20}, {"guidance_scale": 3.}, {"sampler": "ddim"}, {"negative_prompt": "a star"}])
def test_what_only_a_sampler_understands_is_turned_down(pipe, setting):
    for ask in (lambda: pipe("a red heart", **setting), lambda: pipe.trajectory("a red heart", **setting)):
        with pytest.raises(ValueError, match=ONE_PASS) as caught:
            ask()
        assert next(iter(setting)) in str(caught.value)


def test_its_trajectory_has_one_state(pipe):
    states = list(pipe.trajectory("a red heart", seed=3))
    assert [s.step for s in states] == [0] and float(states[0].sigma) == 0
    assert torch.equal(states[0].x0_hat, pipe("a red heart", seed=3, output_type="pt").images)


def test_saved_and_loaded_it_draws_the_same(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "mine")
    again = load(str(tmp_path / "mine"))
    assert json.loads((tmp_path / "mine" / "config.json").read_text())["kind"] == "text-to-image GAN"
    assert torch.equal(again("two blue heart", seed=1, output_type="pt").images, pipe("two blue heart", seed=1, output_type="pt").images)
    assert not any(name.startswith("discriminator") for name in again.model.state_dict())


def test_the_command_line_draws_and_scores_it(pipe, tmp_path, capsys):
    pipe.save_pretrained(tmp_path / "mine")
    with pytest.raises(SystemExit) as ended:
        cli.app(["generate", "a heart", "--model", str(tmp_path / "mine"), "--seed", "1", "--out", str(tmp_path / "a.png")])
    assert ended.value.code == 0 and (tmp_path / "a.png").is_file()
    with pytest.raises(SystemExit) as ended:
        cli.app(["generate", "a heart", "--model", str(tmp_path / "mine"), "--steps", "4", "--out", str(tmp_path / "b.png")])
    assert ended.value.code == 2 and ONE_PASS in capsys.readouterr().err and not (tmp_path / "b.png").exists()


def test_it_is_scored_like_every_model(pipe):
    report = evaluate(pipe, 2, ("validation",))
    assert report["steps"] == 1 and 0 <= report["seen"]["mean"] <= 1


def test_the_prompt_box_rests_its_steps(pipe):
    box = prompt_box(pipe, "a red heart", num_images_per_prompt=2)
    try:
        assert box.fields.steps.disabled and box.fields.guidance.disabled and box.fields.negative.disabled
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            box.draw().newest.wait()
        assert "Done" in box.fields.status.value and len(box.pictures) == 2
        assert "num_inference_steps" not in box.request.code
        box._repr_mimebundle_()
    finally:
        box.close()


def test_overlong_and_strange_prompts(pipe):
    with pytest.raises(ValueError, match="long"):
        pipe("a red heart " * 900)
    with pytest.warns(UserWarning, match="no caption in training held"):
        pipe("a zebra", seed=0)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 3), st.integers(0, 2**31))
def test_jolts_move_whole_pixels_and_nothing_else(shift, seed):
    pictures = torch.arange(2 * 3 * 8 * 8.).reshape(2, 3, 8, 8)
    moved = diff_augment(pictures, dice(seed), shift, 0.)
    inner = moved[:, :, shift:8 - shift, shift:8 - shift]
    for picture, part in zip(pictures, inner):
        step = (part - picture[:, shift:8 - shift, shift:8 - shift]).unique()
        assert len(step) == 1, "one displacement for the whole picture"
        down, right = divmod(round(step.item()) + shift, 8)
        assert abs(down) <= shift and 0 <= right <= 2 * shift


def test_jolts_add_noise_of_the_size_they_say():
    flat = torch.zeros(8, 3, 32, 32)
    assert abs(diff_augment(flat, dice(), 1, .3).std() - .3) < .01
    assert torch.equal(diff_augment(flat, dice(5)), diff_augment(flat, dice(5)))


def test_freedom_of_known_scenes():
    scenes = [scene_of(DIVERSITY_FACTS[0], dice(k)) for k in range(40)]
    free = scene_diversity(scenes)
    assert free.place > .1 and free.size > .001 and free.background == 0, "all on white"
    assert scene_diversity(scenes[:1]) == scene_diversity([]) == (0., 0., 0.)


def test_a_generator_of_two_places_keeps_some_freedom():
    true = [[scene_of(facts, dice(k)) for k in range(60)] for facts in DIVERSITY_FACTS]
    two = [torch.stack([render(scenes[k % 2]) for k in range(20)]) for scenes in true]
    all_of_them = [torch.stack([render(s) for s in scenes[:40]]) for scenes in true]
    assert .8 < diversity_ratio(all_of_them, true).place < 1.2
    assert 0 < diversity_ratio(two, true).place < diversity_ratio(all_of_them, true).place * 1.5


def test_pictures_that_break_their_caption_do_not_pass_for_variety():
    true = [[scene_of(facts, dice(k)) for k in range(60)] for facts in DIVERSITY_FACTS]
    swapped = [torch.stack([render(s) for s in scenes[:20]]) for scenes in true[1:] + true[:1]]
    assert diversity_ratio(swapped, true).place > .7 and max(diversity_ratio(swapped, true, DIVERSITY_FACTS)) == 0
    once = [torch.cat([pictures, render(scenes[0])[None].expand(2, -1, -1, -1)]) for pictures, scenes in zip(swapped, true)]
    assert max(diversity_ratio(once, true, DIVERSITY_FACTS)) < 1e-6, "one right picture, twice"


def test_decoder_noise_grows_with_the_root_of_the_kl_s_weight():
    one, four = implied_decoder_std(GANLossConfig(kl=.001)), implied_decoder_std(GANLossConfig(kl=.004))
    assert abs(four - 2 * one) < 1e-12


def test_a_resumed_contest_ends_with_the_same_weights(tmp_path):
    contest = GANConfig(6, 8, warmup=2, reading=1, config=scale_gan_config(32))

    whole = prepare_gan_training(contest)
    whole[0].fit(6)
    resumed = [prepare_gan_training(contest, [Checkpoint(tmp_path / "run", every=2)]) for _ in range(2)]
    for _ in zip(range(4), resumed[0][0].run(6)):
        pass
    resumed[1][0].fit(6)
    assert all(torch.equal(a, b) for a, b in zip(whole[0].model.state_dict().values(), resumed[1][0].model.state_dict().values()))
    assert all(torch.equal(a, b) for a, b in zip(whole[1].model.state_dict().values(), resumed[1][1].model.state_dict().values()))


def test_another_round_begins_with_what_there_is():
    first = rivals_of().drawing()
    duel, _ = prepare_gan_training(GAN_ROUNDS["smoke"], seed=1, reading=first)
    for name, value in first.state_dict().items():
        assert torch.equal(duel.model.state_dict()[name], value)


def test_a_pipeline_of_rivals_is_a_pipeline_of_what_draws():
    rivals = rivals_of()
    whole, part = Pipeline(rivals), Pipeline(rivals.drawing())
    assert torch.equal(whole("a heart", seed=1, output_type="pt").images, part("a heart", seed=1, output_type="pt").images)
