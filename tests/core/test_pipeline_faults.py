"Bad input: every mistake a user can make is answered by a sentence that says what was wrong and what to do."

import json
import re
import shutil
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny import tiny_folder, tiny_pipeline, tiny_two_stage
from torch import nn

import t2i_learn
from t2i_learn.core import pipeline, settings
from t2i_learn.core.files import data_path, read_tensors
from t2i_learn.world.captions import load_prompts, read_prompt_file


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return tiny_folder(tmp_path_factory.mktemp("saved") / "tiny")


@pytest.fixture
def folder(saved, tmp_path):
    "A saved model that the test may damage."
    return shutil.copytree(saved, tmp_path / "tiny")


def says(*parts):
    "An error with these words in this order, in one line of at most 300 characters."
    return pytest.raises(
        ValueError, match=r"^(?=.{10,300}$)[^\n]*" + r"[^\n]*".join(map(re.escape, parts))
    )


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        ({"prompt": ""}, ["the prompt is empty", "say what to draw"]),
        ({"prompt": "  \n"}, ["the prompt is empty"]),
        ({"prompt": ["a red heart", ""]}, ["the prompt is empty"]),
        ({"prompt": []}, ["a list of at least one text"]),
        ({"prompt": 3}, ["a text or a list"]),
        (
            {"num_inference_steps": 0},
            ["num_inference_steps must be a whole number", "at least 1", "not 0"],
        ),
        ({"num_inference_steps": 2.5}, ["num_inference_steps must be a whole number", "not 2.5"]),
        ({"num_images_per_prompt": 0}, ["num_images_per_prompt", "at least 1"]),
        ({"guidance_scale": float("nan")}, ["guidance_scale must be a number", "nan"]),
        ({"guidance_scale": "much"}, ["guidance_scale must be a number", "much"]),
        ({"sampler": "dim"}, ["there is no sampler 'dim'", "did you mean 'ddim'?", "ddpm"]),
        ({"seed": 2**64}, ["seed must be a whole number", "at most"]),
        ({"num_inference_steps": 10**9}, ["num_inference_steps", "at most 10,000"]),
        ({"num_images_per_prompt": 10**8}, ["num_images_per_prompt", "at most 10,000"]),
        ({"guidance_scale": 1e30}, ["guidance_scale", "at most 100"]),
        ({"seed": [1, 2]}, ["there are 2 seeds for 1 pictures"]),
        ({"generator": 3}, ["generator must be a torch.Generator"]),
        ({"seed": 10**400}, ["seed must be a whole number", "at most"]),
        ({"first": 10**400}, ["first must be a whole number", "at most"]),
        ({"num_inference_steps": 10**400}, ["num_inference_steps", "at most 10,000"]),
        ({"num_images_per_prompt": 10**400}, ["num_images_per_prompt", "at most 10,000"]),
        ({"guidance_scale": 10**400}, ["guidance_scale must be a number", "at most 100"]),
        ({"seed": [1, 2], "num_images_per_prompt": 2, "first": 1}, ["leave first out"]),
        ({"alpha": 1.5}, ["this model has no setting 'alpha'", "it has num_inference_steps"]),
        ({"prompt": "a " * 500_000}, ["1,000,000 letters"]),
        ({"prompt": "a \ud800"}, ["half of a character"]),
        ({"seed": -1}, ["seed must be a whole number", "at least 0"]),
        ({"seed": 1, "generator": torch.Generator()}, ["give a seed or a generator, not both"]),
        ({"output_type": "jpeg"}, ["there is no output_type 'jpeg'", "pil"]),
        ({"negative_prompt": ["a", "b", "c"]}, ["3 negative prompts for 1 prompts"]),
        ({"callback_on_step_end": 3}, ["callback_on_step_end is a function", "or None"]),
    ],
)
def test_a_call_that_makes_no_sense(pipe, call, parts):
    with says(*parts):
        pipe(**{"prompt": "a red heart", "num_inference_steps": 2, **call})


@pytest.mark.parametrize("count", ["2", 2.0, True])
def test_a_number_of_pictures_as_text_is_a_number_and_nothing_else_is(pipe, count):
    if count == "2":
        assert len(pipe("a red heart", num_images_per_prompt=count, num_inference_steps=1).images) == 2
    else:
        with says("num_images_per_prompt must be a whole number", repr(count)):
            pipe("a red heart", num_images_per_prompt=count)


def test_nothing_is_drawn_before_an_order_is_checked(pipe):
    with says("there is no sampler"):
        pipe.trajectory("a red heart", sampler="none such")


@pytest.mark.parametrize(
    "prompt", ["x" * 10_000, "heart " * 2000, "心" * 3000, "a red heart on mint " * 8]
)
def test_an_overlong_prompt_names_the_limit_or_is_cut(pipe, prompt):
    with says("tokens", "reads 38 at most", "shorten it"):
        pipe(prompt, num_inference_steps=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pictures = pipe(prompt, num_inference_steps=1, truncation=True, output_type="pt").images
    assert pictures.isfinite().all()
    assert any("the rest is not read" in str(warning.message) for warning in caught)


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("a red ❤️", "'❤️'"),
        ("一颗 red 心", "'一颗', '心'"),
        ("a tulip on mint", "'tulip'"),
        ("👩‍👩‍👧 & co", "'&', 'co', '👩‍👩‍👧'"),
    ],
)
def test_words_never_seen_are_named_and_the_prompt_is_drawn(pipe, prompt, named):
    with pytest.warns(UserWarning, match=f"no caption in training held {re.escape(named)}:"):
        drawn = pipe(prompt, num_inference_steps=1, seed=0)
    assert drawn.images[0].size == (32, 32)


def test_one_text_is_one_text_and_not_its_letters():
    assert pipeline.distinct_words("a red heart") == ["a", "heart", "red"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline._warn_unknown_words("red", ["red"])


def test_words_that_were_seen_cause_no_warning(pipe):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe("A red heart, on mint background!", negative_prompt="two", num_inference_steps=1)


def test_unknown_models_are_answered_with_those_that_there_are(monkeypatch):
    monkeypatch.setattr(
        settings, "shipped_folders", lambda: {"shapes-diffusion": None, "shapes-gan": None}
    )
    with says("there is no model 'shape-difusion'", "did you mean 'shapes-diffusion'?", "shapes-gan"):
        t2i_learn.load("shape-difusion")
    with says("there is no model '../tiny'", "Known: shapes-diffusion, shapes-gan"):
        t2i_learn.load("../tiny")


def test_a_folder_that_is_no_model(tmp_path):
    with says("is not a model's folder", "config.json"):
        pipeline.Pipeline.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("{", ["config.json is damaged"]),
        ("[]", ["does not say what family"]),
        ('{"side": 3}', ["does not say what family"]),
        ('{"family": "os:system"}', ["there is no family of models 'os:system'", "diffusion"]),
        ('{"family": "diffusion"}', ["does not hold a whole model", "KeyError"]),
        (b"\xff\xfe\x00", ["config.json is damaged"]),
    ],
)
def test_a_damaged_configuration(folder, text, parts):
    (folder / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with says(*parts):
        pipeline.load(str(folder))


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        ("text.heads", 3, ["32 features cannot be cut into heads 3"]),
        ("text.heads", -1, ["heads -1"]),
        ("text.heads", "", ["heads ''"]),
        ("text.heads", [[0] * 9] * 99, ["heads [["]),
        ("unet.heads", 1.0, ["heads 1.0"]),
        ("unet.heads", True, ["heads True"]),
        ("t_max", "a", ["does not hold a whole model"]),
        ("t_max", 2, ["t_max is the last time"]),
        ("shift", [], ["does not hold a whole model"]),
        (
            "text",
            {"width": 32, "depth": 1, "heads": 2, "a\n\x1b": 1},
            ["does not hold a whole model", "TypeError"],
        ),
    ],
)
def test_a_configuration_that_could_not_draw_does_not_load(folder, path, value, parts):
    config = json.loads((folder / "config.json").read_text())
    *above, last = path.split(".")
    (config[above[0]] if above else config)[last] = value
    (folder / "config.json").write_text(json.dumps(config))
    with says(*parts):
        pipeline.load(str(folder))


@pytest.mark.parametrize(
    "noise", [{"alpha": 1.8}, {"alpha": 1.8, "kind": "loud"}, {"alpha": 3, "kind": "pixelwise"}, 7, None]
)
def test_a_two_stage_model_whose_noise_is_none_does_not_load(tmp_path, noise):
    tiny_two_stage().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"noise": noise}))
    with says(""):
        pipeline.load(str(tmp_path))


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_truncated_weights(folder, share):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with says("model.safetensors is damaged or cut off", "put a good copy back"):
        pipeline.load(str(folder))


def test_weights_that_are_garbage(folder):
    (folder / "model.safetensors").write_bytes(b"\x08" + bytes(7) + b"notjson!" * 100)
    with says("model.safetensors is damaged"):
        pipeline.load(str(folder))


def test_missing_weights(folder):
    (folder / "model.safetensors").unlink()
    with says("there are no weights at", "model.safetensors"):
        pipeline.load(str(folder))


def test_weights_of_another_architecture(folder, tmp_path):
    other = tiny_folder(tmp_path / "other", text={"width": 64, "depth": 1, "heads": 2})
    shutil.copy(other / "model.safetensors", folder / "model.safetensors")
    with says("holds weights of another architecture", "here and", "in the file"):
        pipeline.load(str(folder))
    save_file({"weight": torch.zeros(3)}, folder / "model.safetensors")
    with says("holds weights of another architecture", "missing"):
        pipeline.load(str(folder))


def stored_as(dtype, share=1.0):
    "Weights of a folder in another type of number: some of the tensors."

    def damage(folder):
        tensors, _ = read_tensors(folder / "model.safetensors")
        for name in sorted(tensors)[: max(1, int(share * len(tensors)))]:
            tensors[name] = tensors[name].to(dtype)
        save_file(tensors, folder / "model.safetensors")

    return damage


@pytest.mark.parametrize("share", [0, 0.5, 1])
@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool])
def test_weights_that_are_whole_numbers_do_not_load(folder, dtype, share):
    stored_as(dtype, share)(folder)
    with says("model.safetensors is damaged", f"{dtype}", "put a good copy back"):
        pipeline.load(str(folder))


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.complex64, "float16", 16])
def test_weights_are_saved_as_numbers_that_load(pipe, tmp_path, dtype):
    with says("weights are saved as torch.float16", str(dtype), "choose one"):
        pipe.save_pretrained(tmp_path / "model", dtype)
    assert list(tmp_path.iterdir()) == []


def test_whole_numbers_of_a_model_s_own_are_read(tmp_path):
    saved, read = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    saved(torch.randn(4, 2))
    (tmp_path / "x").write_bytes(pipeline._weight_bytes(saved))
    pipeline._load_weights(read, tmp_path / "x")
    assert read.num_batches_tracked == 1


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"std": float("nan")}, ["cannot be written", "finite numbers"]),
        ({"mean": [0.0, float("inf"), 0.0]}, ["cannot be written", "finite numbers"]),
        ({"words": {"red"}}, ["cannot be written", "of type set"]),
        ({"note": {"a": object}}, ["cannot be written", "of type type"]),
        ({"note": 5000}, ["asks for a size of 5000", "4096"]),
        ({"note": [{"a": 10**400}]}, ["asks for a size of 1000", "4096"]),
        ({"words": "red heart"}, ["words is not a list"]),
        ({"words": [3]}, ["words holds something that is no word"]),
        ({"family": "nothing"}, ["no family of models 'nothing'"]),
    ],
)
def test_a_configuration_that_would_not_load_is_not_saved(tmp_path, change, parts):
    tiny_folder(tmp_path / "tiny")
    before = {file.name: file.read_bytes() for file in (tmp_path / "tiny").iterdir()}
    changed = tiny_pipeline()
    changed.model.config = changed.model.config | change
    with says(*parts):
        changed.save_pretrained(tmp_path / "tiny")
    assert {file.name: file.read_bytes() for file in (tmp_path / "tiny").iterdir()} == before


def test_numbers_of_numpy_in_a_configuration_are_saved(tmp_path):
    changed = tiny_pipeline()
    std = np.float32(changed.model.config["std"])
    changed.model.config = changed.model.config | {
        "std": std,
        "mean": np.zeros(3),
        "note": torch.ones(2),
    }
    changed.save_pretrained(tmp_path / "tiny")
    config = settings.read_config(tmp_path / "tiny")
    assert (config["std"], config["mean"], config["note"]) == (std.item(), [0.0] * 3, [1.0, 1.0])


@pytest.mark.parametrize(
    "device", ["bad", "cuda:99", "meta", "", 7, -1, [], 1.5, "cpu\x1b[2J", "xla", True]
)
def test_a_device_that_is_not_there(folder, device):
    with says("there is no device", "give cpu, or leave it out"):
        t2i_learn.load(folder, device)


@pytest.mark.parametrize("wanted", ["bad", "cuda", "CPU", "cpu\x1b[2J"])
def test_a_default_device_that_makes_no_sense(folder, monkeypatch, wanted):
    monkeypatch.setenv("T2I_DEVICE", wanted)
    for load in (t2i_learn.load, pipeline.Pipeline.from_pretrained):
        with says("there is no T2I_DEVICE", "Known: auto, cpu"):
            load(folder)
        assert load(folder, "cpu").model.config["side"] == 32


@pytest.mark.parametrize("wanted", ["", "auto", "cpu"])
def test_a_default_device_that_does(folder, monkeypatch, wanted):
    monkeypatch.setenv("T2I_DEVICE", wanted)
    place = next(t2i_learn.load(folder).model.parameters()).device.type
    assert place == ("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def write_config(**change):
    def damage(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | change))

    return damage


DAMAGES = {
    "no configuration": lambda folder: (folder / "config.json").unlink(),
    "no json": lambda folder: (folder / "config.json").write_text("{"),
    "no family": lambda folder: (folder / "config.json").write_text("{}"),
    "wrong family": write_config(family="\x1b[2J"),
    "a size": write_config(side=10**9),
    "words": write_config(words=[3]),
    "a part": write_config(sampling=[]),
    "not whole": write_config(unet={"\x1b[2J": 3}),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "cut weights": lambda folder: (folder / "model.safetensors").write_bytes(b"x"),
    "other weights": lambda folder: save_file({"w": torch.ones(3)}, folder / "model.safetensors"),
    "whole numbers": stored_as(torch.int8),
    "no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "a damaged tokenizer": lambda folder: (folder / "tokenizer.json").write_text("{}"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_sentence_about_a_folder_holds_control_characters(folder, damage):
    strange = folder.rename(folder.parent / "a\x1b[31m\nb")
    DAMAGES[damage](strange)
    with pytest.raises(ValueError, match=r"^[^\n\x1b]+$"):
        pipeline.Pipeline.from_pretrained(strange)


@pytest.mark.parametrize("text", ["", "{}", '{"merges": [[1]]}', "not json"])
def test_a_damaged_tokenizer(folder, text):
    (folder / "tokenizer.json").write_text(text)
    with says("tokenizer.json"):
        pipeline.load(str(folder))


def test_a_missing_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    with says("tokenizer.json"):
        pipeline.load(str(folder))


def test_weights_that_half_precision_cannot_hold_are_not_saved(tmp_path):
    pipe = tiny_pipeline()
    next(pipe.model.parameters()).data[0] = 1e6
    with says("not finite as torch.float16", "nothing was saved"):
        pipe.save_pretrained(tmp_path, torch.float16)


@pytest.mark.parametrize("name", ["tiny", "a\x1b[31m\nb"])
@pytest.mark.parametrize(
    "data",
    [
        b"---\n{not json\n---\n# Text\n",
        b"---\n" + b"[" * 100_000 + b"\n---\n",
        b"---\n[1]\n---\n",
        b'---\n{"a": NaN}\n---\n',
        b"\xff\xfe",
    ],
)
def test_a_damaged_card(tmp_path, name, data):
    (tmp_path / name).mkdir()
    (tmp_path / name / "README.md").write_bytes(data)
    with pytest.raises(ValueError, match=r"^the card [^\n\x1b]*README.md is damaged: [^\n\x1b]+$"):
        pipeline.read_card(tmp_path / name)


def test_a_card_of_windows_is_read(tmp_path):
    (tmp_path / "README.md").write_bytes('\ufeff---\r\n{"a": 1}\r\n---\r\n# 心\r\n'.encode())
    assert pipeline.read_card(tmp_path) == {"a": 1}


@pytest.mark.parametrize("value", [float("nan"), np.float32("inf"), {1}, [object]])
def test_a_card_that_could_not_be_read_is_not_written(tmp_path, value):
    pipeline.write_card(tmp_path, {"a": np.float32(0.5), "b": "\udcff"}, "# A \udcff")
    with says("the card cannot be written", "finite numbers"):
        pipeline.write_card(tmp_path, {"a": value}, "# B")
    assert pipeline.read_card(tmp_path) == {"a": 0.5, "b": "\udcff"}


def test_a_data_file_that_does_not_exist():
    with says("there is no file in", "'tset.parquet'", "did you mean 'test.parquet'?"):
        load_prompts("tset")
    with says("there is no file in", "'x'"):
        data_path("nowhere/x")


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_damaged_data_set_file(tmp_path, share):
    whole = data_path("prompts/a.parquet").read_bytes()
    damaged = tmp_path / "a.parquet"
    damaged.write_bytes(whole[: int(share * len(whole))])
    with says("a.parquet is not a readable prompt set", "restore it"):
        read_prompt_file(damaged)


def test_damage_inside_a_data_set_file(tmp_path):
    whole = bytearray(data_path("prompts/a.parquet").read_bytes())
    whole[100:4000] = bytes(3900)
    (tmp_path / "a.parquet").write_bytes(whole)
    with says("a.parquet is not a readable prompt set"):
        read_prompt_file(tmp_path / "a.parquet")


def test_a_file_of_weights_cannot_bring_code(folder):
    "A configuration names families from a list, never a class to import."
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"family": "builtins:eval"}))
    with says("there is no family of models 'builtins:eval'"):
        pipeline.load(str(folder))
