"Settings of families, requests, and a family that the core has never heard of."

import json
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT
from steady import steady
from tiny import TINY_MODELS
from toy_family import CONFIG, Toy
from typer.testing import CliRunner

from t2i_learn import cli
from t2i_learn.core import settings
from t2i_learn.core.files import read_png_fields
from t2i_learn.core.pipeline import Pipeline, load
from t2i_learn.core.settings import (
    MAX_SEED,
    SettingInfo,
    Settings,
    check_value,
    expand_prompts,
    families,
    family_of,
    make_request,
    pick_seed,
    read_config,
    register_family,
    setting,
)
from t2i_learn.text.tokenizer import default_tokenizer

steady(200)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    "A saved model of a family that is registered for one test."
    monkeypatch.setattr(settings, "_FAMILIES", families())
    register_family("toy", "toy_family:Toy", settings="toy_family:ToySettings")
    Pipeline(Toy(CONFIG, default_tokenizer()), "toy").save_pretrained(tmp_path / "toy")
    return tmp_path / "toy"


def test_a_new_family_loads_and_draws_without_a_change_to_the_core(toy):
    pipe = load(toy, "cpu")
    cold, warm = (
        pipe("a red heart", seed=1, warmth=warmth, output_type="pt").images for warmth in (0, 1)
    )
    assert (
        cold.shape == (1, 3, 8, 8)
        and (warm - cold)[0, 0].unique().tolist() == [2.0]
        and torch.equal(warm[:, 1:], cold[:, 1:])
    )
    assert pipe("a red heart", seed=1).images[0].info["warmth"] == "0.5"
    with pytest.raises(ValueError, match="warmth must be a number, at least 0 and at most 1, not 2"):
        pipe("a red heart", warmth=2)
    with pytest.raises(
        ValueError, match="this model has no setting 'num_inference_steps': it has warmth"
    ):
        pipe("a red heart", num_inference_steps=2)


def test_its_setting_is_on_the_command_line(toy, tmp_path):
    call = [
        "generate",
        "a red heart",
        "--model",
        str(toy),
        "--seed",
        "1",
        "--out",
        str(tmp_path / "x.png"),
    ]
    assert CliRunner().invoke(cli.app, [*call, "--set", "warmth=0.25"]).exit_code == 0
    assert read_png_fields(tmp_path / "x.png")["warmth"] == "0.25"
    wrong = CliRunner().invoke(cli.app, [*call, "--overwrite", "--set", "warmth=hot"])
    assert (
        wrong.exit_code == 2
        and "warmth must be a number, at least 0 and at most 1, not 'hot'" in wrong.stderr
    )


def test_its_setting_is_in_the_prompt_box(toy):
    from t2i_learn.widgets.html import widget_tree
    from t2i_learn.widgets.prompt_box import prompt_box

    box = prompt_box(load(toy, "cpu"), "a red heart")
    try:
        field = next(
            w for w in widget_tree(box.form) if getattr(w, "description", "").lower() == "warmth"
        )
        assert (field.value, field.min, field.max) == (0.5, 0, 1)
        field.value = 1.0
        box.draw().background.wait()
        assert box.pictures[:, 0].unique().tolist() == [1.0]
    finally:
        box.close()


def test_a_model_of_another_kind_does_not_draw(toy, monkeypatch):
    register_family("toy", "toy_family:Toy", kind="image-to-text", settings="toy_family:ToySettings")
    result = CliRunner().invoke(cli.app, ["generate", "a red heart", "--model", str(toy)])
    assert (
        result.exit_code == 2 and "is a model of kind image-to-text: it does not draw" in result.stderr
    )
    with pytest.raises(ValueError, match="does not draw"):
        load(toy, "cpu")("a red heart")


def test_a_family_has_a_kind_that_exists():
    with pytest.raises(ValueError, match="there is no kind of model 'picture-to-song'"):
        register_family("singer", "x:y", kind="picture-to-song")


@pytest.mark.parametrize("name", sorted(families()))
def test_each_family_describes_its_settings_without_torch(name):
    code = (
        f"import sys\nfrom t2i_learn.core.settings import families\nfor info in families()[{name!r}].settings_class().described().values():\n"
        "    assert info.help and info.bounds\nprint('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("name", sorted(TINY_MODELS))
def test_numbers_of_numpy_are_numbers(name):
    pipe = TINY_MODELS[name]()
    own = pipe.settings_class.described()
    call = {"num_inference_steps": np.int64(2), "guidance_scale": np.float32(1.5)} if own else {}
    plain = {key: value.item() for key, value in call.items()}
    images = [
        pipe("a red heart", seed=seed, output_type="pt", **given).images
        for seed, given in ((np.int32(7), call), (7, plain))
    ]
    assert torch.equal(*images)


@given(
    st.one_of(
        st.integers(),
        st.floats(),
        st.text(max_size=12),
        st.booleans(),
        st.none(),
        st.lists(st.integers(), max_size=2),
    )
)
def test_a_value_is_within_its_bounds_or_refused_in_one_line(value):
    for info in (
        SettingInfo("steps", int, "", low=1, high=1000),
        SettingInfo("share", float, "", above=0, high=2),
    ):
        try:
            number = check_value(info, value)
        except ValueError as error:
            assert (
                str(error).startswith(f"{info.name} must be {info.bounds}, not ")
                and "\n" not in str(error)
                and len(str(error)) < 200
            )
        else:
            assert (
                type(number) is info.type
                and number <= info.high
                and (info.low is None or number >= info.low)
                and math.isfinite(number)
            )


LARGE = {
    "400 digits": 10**400,
    "negative": -(10**400),
    "5000 digits": 10**5000,
    "fraction": Fraction(10**400),
    "text": "9" * 400,
    "long text": "9" * 5000,
    "1e999": "1e999",
    "infinite": math.inf,
}
TAKES_NUMBERS = {
    "int": lambda value: check_value(SettingInfo("steps", int, "", low=1, high=1000), value),
    "float": lambda value: check_value(SettingInfo("scale", float, "", low=-100, high=100), value),
    "seed": lambda value: pick_seed(value),
    "seeds": lambda value: pick_seed([value]),
    "copies": lambda value: expand_prompts("a", value),
    "first": lambda value: make_request({"family": "gan"}, "a", first=value),
    "num_images_per_prompt": lambda value: make_request(
        {"family": "gan"}, "a", num_images_per_prompt=value
    ),
}


@pytest.mark.parametrize("number", LARGE)
@pytest.mark.parametrize("door", TAKES_NUMBERS)
def test_a_number_of_any_size_is_answered_in_one_line(door, number):
    with pytest.raises(ValueError, match=r"^\w+ must be a (whole )?number, [^\n]{9,150}$"):
        TAKES_NUMBERS[door](LARGE[number])


def test_numbers_at_the_bounds_are_taken_exactly():
    info = SettingInfo("seed", int, "", low=0, high=MAX_SEED)
    assert check_value(info, str(MAX_SEED)) == MAX_SEED
    with pytest.raises(ValueError, match="at most"):
        check_value(info, MAX_SEED + 1)


def test_a_list_of_seeds_has_no_first():
    call = {"seed": [1, 2], "num_images_per_prompt": 2}
    assert make_request({"family": "gan"}, "a", **call, first=0).seed == (1, 2)
    for first in (1, "1", np.int64(2)):
        with pytest.raises(ValueError, match="leave first out"):
            make_request({"family": "gan"}, "a", **call, first=first)


@pytest.mark.parametrize("digits", [4, 30, 400, 4000])
@pytest.mark.parametrize("place", [("side",), ("text", "width"), ("unet", "widths", 0), ("mean", 0)])
def test_a_size_of_any_length_is_refused(tmp_path, digits, place):
    config = 10**digits
    for key in reversed(place):
        config = {key: config} if isinstance(key, str) else [config]
    (tmp_path / "config.json").write_text(json.dumps({"family": "gan", **config}))
    with pytest.raises(ValueError, match=r"^[^\n]* asks for a size of 10+…?: the most is 4096$"):
        read_config(tmp_path)


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_a_configuration_may_be_nested_as_deep_as_json_is_read(tmp_path, brackets):
    opening, closing = ("[", "]") if brackets == "[]" else ('{"a":', "}")
    for depth in (10, 300, 600, 900, 100_000):
        text = f'{{"family": "gan", "x": {opening * depth}1{closing * depth}}}'
        (tmp_path / "config.json").write_text(text)
        try:
            assert read_config(tmp_path)["family"] == "gan"
        except ValueError as error:
            assert "nested too deeply" in str(error)


@given(
    st.one_of(
        st.text(max_size=40),
        st.lists(st.one_of(st.text(max_size=10), st.integers()), max_size=3),
        st.integers(),
        st.none(),
    ),
    st.one_of(st.integers(-2, 10**9), st.floats(allow_nan=True)),
)
def test_prompts_become_texts_or_one_line(prompt, copies):
    try:
        texts = expand_prompts(prompt, copies)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        given_texts = [prompt] if isinstance(prompt, str) else prompt
        assert texts == tuple(text for text in given_texts for _ in range(copies)) and all(
            text.strip() for text in texts
        )


@given(
    st.one_of(
        st.none(), st.integers(), st.lists(st.integers(), max_size=4), st.floats(), st.text(max_size=5)
    ),
    st.integers(1, 4),
)
def test_seeds_are_numbers_that_a_generator_takes(seed, pictures):
    try:
        found = pick_seed(seed, pictures=pictures)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert all(0 <= one <= MAX_SEED for one in (found if isinstance(found, tuple) else (found,)))
        torch.Generator().manual_seed(found if isinstance(found, int) else found[0])


def test_a_request_knows_the_settings_of_its_family():
    request = make_request({"family": "gan"}, ["a", "b"], seed=3)
    assert (
        request.settings == Settings()
        and request.facts == {"seed": 3}
        and request.negative_prompts == ("", "")
    )
    with pytest.raises(
        ValueError,
        match=r"draws a picture in one pass and has no setting num_inference_steps: leave it out",
    ):
        make_request({"family": "gan"}, "a", num_inference_steps=3)
    with pytest.raises(ValueError, match=r"has no setting negative_prompt"):
        make_request({"family": "gan"}, "a", negative_prompt="b")
    with pytest.raises(ValueError, match="does not say its own sampler"):
        make_request(
            {"family": "diffusion", "sampling": {"num_inference_steps": 3, "guidance_scale": 1.0}}, "a"
        )


def test_old_folders_name_their_family_otherwise():
    assert [
        family_of({"kind": f"text-to-image {kind}"}).name
        for kind in ("GAN", "diffusion", "diffusion transformer", "stable")
    ] == ["gan", "diffusion", "dit", "two-stage"]
    assert setting("x").metadata["help"] == "x"
