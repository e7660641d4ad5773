"Pipelines: the same seed gives the same picture, a saved model draws as before, and a call is what it says."

import hashlib
import inspect
import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_pipeline

import t2i_learn
from t2i_learn.core.files import weights_path
from t2i_learn.core.pipeline import Pipeline, models
from t2i_learn.core.show import to_image, to_tensor
from t2i_learn.world.score import paired_bootstrap

LEVEL = 2 / 255
BARS = {
    "shapes-diffusion": (0.90, 0.75),
    "shapes-gan": (0.60, 0.45),
    "shapes-stable": (0.88, 0.0),
}  # mean of the seen tasks, and of split a's
QUICK = {"num_inference_steps": 3, "output_type": "pt"}


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


def apart(a, b):
    return (a - b).abs().max().item()


def test_the_call_is_that_of_diffusers():
    names = list(inspect.signature(Pipeline.__call__).parameters)
    assert names[1:10] == [
        "prompt",
        "negative_prompt",
        "num_images_per_prompt",
        "num_inference_steps",
        "guidance_scale",
        "sampler",
        "generator",
        "seed",
        "output_type",
    ]
    kinds = [p.kind for p in inspect.signature(Pipeline.__call__).parameters.values()]
    assert (
        kinds[2:-1] == [inspect.Parameter.KEYWORD_ONLY] * len(kinds[2:-1])
        and kinds[-1] == inspect.Parameter.VAR_KEYWORD
    )


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "heun", "dpmpp_2m", "dpmpp_2m_sde", "unipc"])
def test_a_picture_does_not_depend_on_its_batch(pipe, sampler):
    four = pipe("a red heart", num_images_per_prompt=4, seed=1, sampler=sampler, **QUICK).images
    one = pipe("a red heart", seed=1, sampler=sampler, **QUICK).images
    third = pipe("a red heart", seed=1, sampler=sampler, first=2, **QUICK).images
    assert four.shape == (4, 3, 32, 32) and four.dtype == torch.float32
    assert max(apart(four[:1], one), apart(four[2:3], third)) <= LEVEL
    assert min(apart(a, b) for a, b in itertools.combinations(four, 2)) > 10 * LEVEL


def test_prompts_of_one_call_are_drawn_in_order(pipe):
    both = pipe(["a red heart", "two blue star"], num_images_per_prompt=2, seed=1, **QUICK).images
    second = pipe("two blue star", num_images_per_prompt=2, seed=1, first=2, **QUICK).images
    assert len(both) == 4 and apart(both[2:], second) <= LEVEL


def test_a_large_order_is_drawn_in_parts(pipe):
    many = pipe(
        "a red heart", num_images_per_prompt=66, seed=1, num_inference_steps=1, output_type="pt"
    ).images
    last = pipe("a red heart", seed=1, first=65, num_inference_steps=1, output_type="pt").images
    assert len(many) == 66 and apart(many[65:], last) <= LEVEL


def test_a_generator_is_drawn_from_and_moves_on(pipe):
    generator, again = (torch.Generator().manual_seed(7) for _ in range(2))
    first, second = (pipe("a red heart", generator=generator, **QUICK) for _ in range(2))
    assert torch.equal(first.images, pipe("a red heart", generator=again, **QUICK).images)
    assert apart(first.images, second.images) > LEVEL, "two calls with one generator give two pictures"
    by_seed = pipe("a red heart", seed=first.settings["seed"], **QUICK)
    assert torch.equal(by_seed.images, first.images) and by_seed.settings == first.settings
    assert pipe("a red heart", seed=7, **QUICK).settings == {
        "seed": 7,
        "num_inference_steps": 3,
        "guidance_scale": 2.0,
        "sampler": "dpmpp_2m_sde",
    }


def test_a_list_of_seeds_or_generators_draws_each_picture_as_if_alone(pipe):
    three = pipe("a red heart", num_images_per_prompt=3, seed=[4, 9, 4], **QUICK)
    alone = [pipe("a red heart", seed=seed, **QUICK).images for seed in (4, 9, 4)]
    assert max(
        apart(a, b[0]) for a, b in zip(three.images, alone, strict=True)
    ) <= LEVEL and three.settings["seed"] == [4, 9, 4]
    generators = [torch.Generator().manual_seed(k) for k in (1, 2)]
    both = pipe(["a red heart", "two blue star"], generator=generators, **QUICK)
    assert len(set(both.settings["seed"])) == 2
    many = pipe(
        "a red heart",
        num_images_per_prompt=66,
        seed=list(range(66)),
        num_inference_steps=1,
        output_type="pt",
    ).images
    assert (
        apart(many[65], pipe("a red heart", seed=65, num_inference_steps=1, output_type="pt").images[0])
        <= LEVEL
    )


def test_a_picture_carries_all_that_makes_it_again(pipe):
    images = pipe(
        ["a red heart", "two blue star"],
        negative_prompt="mint",
        seed=5,
        num_inference_steps=2,
        guidance_scale=2.5,
    ).images
    info = images[1].info
    assert info == {
        "model": "tiny",
        "sha256": pipe.sha256,
        "prompt": "two blue star",
        "negative_prompt": "mint",
        "seed": "5",
        "picture": "1",
        "width": "32",
        "height": "32",
        "num_inference_steps": "2",
        "guidance_scale": "2.5",
        "sampler": "dpmpp_2m_sde",
    }
    settings = {name: info[name] for name in ("num_inference_steps", "guidance_scale", "sampler")}
    again = pipe(
        info["prompt"],
        negative_prompt=info["negative_prompt"],
        seed=info["seed"],
        first=int(info["picture"]),
        **settings,
    ).images[0]
    assert apart(to_tensor(again), to_tensor(images[1])) <= LEVEL
    listed = (
        pipe("a red heart", num_images_per_prompt=2, seed=[7, 8], num_inference_steps=1).images[1].info
    )
    assert (listed["seed"], listed["picture"]) == ("8", "0")


def test_each_step_is_handed_to_a_callback(pipe):
    seen = []
    pipe(
        "a red heart",
        num_images_per_prompt=2,
        seed=1,
        callback_on_step_end=lambda pipe, step, state: seen.append((step, state.picture.shape)),
        **QUICK,
    )
    assert seen == [(k, (2, 3, 32, 32)) for k in range(3)]


def test_what_is_not_finite_never_becomes_a_picture():
    broken = tiny_pipeline()
    next(broken.model.denoiser.parameters()).data[0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        broken("a red heart", seed=1, num_inference_steps=2)


def test_a_folder_with_the_name_of_a_shipped_model_does_not_take_its_place(tmp_path, monkeypatch):
    tiny_pipeline().save_pretrained(tmp_path / "shapes-diffusion")
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match=r"write \./shapes-diffusion for it"):
        assert t2i_learn.load("shapes-diffusion", "cpu").model.config["unet"]["widths"] == [64, 192]
    assert t2i_learn.load("./shapes-diffusion", "cpu").model.config["unet"]["widths"] == [16, 32]


def test_a_model_is_uploaded_as_it_is_saved(pipe, monkeypatch):
    import huggingface_hub

    sent = {}
    monkeypatch.setattr(
        huggingface_hub,
        "create_repo",
        lambda repo, **options: sent.update(options) or SimpleNamespace(repo_id=f"me/{repo}"),
    )
    monkeypatch.setattr(
        huggingface_hub,
        "upload_folder",
        lambda repo_id, folder_path, token: (
            sent.update(repo=repo_id, files=sorted(path.name for path in Path(folder_path).iterdir()))
            or "https://example.org/me/tiny"
        ),
    )
    assert pipe.push_to_hub("tiny", private=True) == "https://example.org/me/tiny"
    assert sent == {
        "exist_ok": True,
        "private": True,
        "repo": "me/tiny",
        "files": ["README.md", "config.json", "model.safetensors", "tokenizer.json"],
    }


def test_without_a_seed_each_call_has_its_own_and_tells_it(pipe):
    a, b = pipe("a red heart", **QUICK), pipe("a red heart", **QUICK)
    assert a.settings["seed"] != b.settings["seed"] and apart(a.images, b.images) > LEVEL
    assert torch.equal(pipe("a red heart", seed=a.settings["seed"], **QUICK).images, a.images)


def test_drawing_leaves_the_global_generator_alone(pipe):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    pipe("a red heart", seed=1, **QUICK)
    assert torch.equal(torch.rand(1), expected)


def test_the_trajectory_ends_in_the_picture(pipe):
    states = list(pipe.trajectory("a red heart", seed=1, num_inference_steps=3))
    assert [state.step for state in states] == [0, 1, 2]
    assert all(a.sigma > b.sigma for a, b in itertools.pairwise(states))
    assert torch.equal(states[-1].picture, pipe("a red heart", seed=1, **QUICK).images)


def test_pictures_come_as_pil_unless_asked_otherwise(pipe):
    tensor = pipe("a red heart", seed=1, **QUICK).images[0]
    image = pipe("a red heart", seed=1, num_inference_steps=3).images[0]
    assert (image.mode, image.size) == ("RGB", (32, 32))
    assert torch.equal(to_tensor(image), to_tensor(to_image(tensor)))


def test_guidance_of_one_does_not_hear_the_negative_prompt(pipe):
    plain = pipe("a red heart", seed=1, guidance_scale=1.0, **QUICK).images
    assert torch.equal(
        pipe("a red heart", negative_prompt="star", seed=1, guidance_scale=1.0, **QUICK).images, plain
    )
    assert (
        apart(
            pipe("a red heart", negative_prompt="star", seed=1, guidance_scale=4.0, **QUICK).images,
            plain,
        )
        > LEVEL
    )


def test_no_negative_prompt_is_the_empty_one(pipe):
    without = pipe("a red heart", seed=1, **QUICK).images
    assert torch.equal(pipe("a red heart", negative_prompt="", seed=1, **QUICK).images, without)


@pytest.mark.parametrize("dtype", [None, torch.float16, torch.bfloat16])
def test_a_saved_model_draws_as_before(pipe, tmp_path, dtype):
    pipe.save_pretrained(tmp_path / "model", dtype)
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    again = t2i_learn.load(str(tmp_path / "model"), "cpu")
    assert again.name == "model" and again.model.config == pipe.model.config
    assert {p.dtype for p in again.model.parameters()} == {torch.float32}
    a, b = (p("a red heart", seed=1, **QUICK).images for p in (pipe, again))
    assert apart(a, b) <= (0 if dtype is None else 0.1)
    again.save_pretrained(tmp_path / "twice", dtype)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("model", "twice")]
    assert files[0] == files[1], "saved again, the same bytes"


@pytest.mark.parametrize("name", list(models("text-to-image")))
def test_every_shipped_model_loads_and_draws(name):
    pipe = t2i_learn.load(name, "cpu")
    quick = {"num_inference_steps": 1} if pipe.settings_class.described() else {}
    image = pipe("a red heart", seed=1, **quick).images[0]
    assert image.size == (models()[name]["side"],) * 2
    assert "heart" in pipe.model.config["words"]
    facts = models()[name]
    digest = hashlib.sha256((weights_path() / name / "model.safetensors").read_bytes()).hexdigest()
    assert facts.get("sha256", digest) == digest, "its card was measured on another file"
    scores = facts["scores"]
    chance, error = (
        scores["chance"]["shuffled"]["seen"]["mean"],
        scores["standard_error"]["seen"]["mean"],
    )
    assert scores["seen"]["mean"] > chance + 4 * error
    seen, unseen_colors = BARS.get(name, (0, 0))
    assert scores["seen"]["mean"] >= seen and scores["held_out"]["a"]["mean"] >= unseen_colors
    assert scores["prompts_per_task"] >= 100 and scores["steps"] <= 20


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from("abc")), min_size=1, max_size=60)
)
@settings(max_examples=25, deadline=None)
def test_a_paired_difference_turns_round_and_stays_in_its_interval(rows):
    ours, theirs, groups = (list(column) for column in zip(*rows, strict=True))
    gap, low, high = paired_bootstrap(ours, theirs, groups, num_resamples=400)
    back, low_back, high_back = paired_bootstrap(theirs, ours, groups, num_resamples=400)
    assert back == pytest.approx(-gap) and (low_back, high_back) == (
        pytest.approx(-high),
        pytest.approx(-low),
    )
    assert -1 <= low <= high <= 1
    means = [sum(o - t for o, t, g in rows if g == group) / groups.count(group) for group in set(groups)]
    assert gap == pytest.approx(sum(means) / len(means))


def test_every_task_counts_the_same_however_many_prompts_it_has():
    gap, low, high = paired_bootstrap([True] * 3 + [False] * 97, [False] * 100, ["a"] * 3 + ["b"] * 97)
    assert (gap, low, high) == (0.5, 0.5, 0.5)
