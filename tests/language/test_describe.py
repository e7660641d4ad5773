"The command t2i-learn describe: what it says of a picture, and of a call that makes no sense."

import json

import pytest
import torch
from typer.testing import CliRunner

from t2i_learn import cli
from t2i_learn.core.show import to_image
from t2i_learn.core.tensors import seeded_rng
from t2i_learn.language.captioner import Captioner, tiny_captioner_config
from t2i_learn.language.decoding import CaptionPipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    "A saved captioner, small and untrained, and a picture beside it."
    place = tmp_path_factory.mktemp("model")
    with seeded_rng(0):
        CaptionPipeline(Captioner(tiny_captioner_config()), "tiny").save_pretrained(place / "tiny")
    picture = 2 * torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(0)) - 1
    to_image(picture).convert("LA").save(place / "x.png")
    return place


def describe(folder, *arguments):
    "The command in this process; nothing but SystemExit may come out of it."
    command = ["describe", *map(str, arguments), "--model", str(folder / "tiny")]
    result = CliRunner().invoke(cli.app, command)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result


def test_a_line_for_each_picture_with_the_confidence(folder):
    result = describe(folder, folder / "x.png", folder / "x.png")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0 and len(lines) == 2 and lines[0] == lines[1]
    assert lines[0].startswith(f"{folder / 'x.png'}: ")
    assert lines[0].endswith("(confidence 0.00; not sure: the picture may show another world)")


def test_facts_for_programs(folder):
    (found,) = json.loads(describe(folder, folder / "x.png", "--json", "--style", "short").stdout)
    assert found.keys() == {"file", "caption", "confidence", "words", "probabilities"}
    assert len(found["words"]) == len(found["probabilities"]) > 0
    drawn = [
        json.loads(
            describe(folder, folder / "x.png", "--json", "--set", "temperature=1", "--seed", seed).stdout
        )
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x.png", "--style", "long"], "there is no style 'long'"),
        (["x.png", "--set", "num_beams=0"], "num_beams must be a whole number, at least 1"),
        (["x.png", "--set", "steps=3"], "this model has no setting 'steps'"),
        (["y.png"], "there is no file"),
        (["tiny/config.json"], "is not a picture that can be read"),
    ],
)
def test_a_mistake_is_one_line(folder, arguments, said):
    name, *more = arguments
    result = describe(folder, folder / name, *more)
    assert result.exit_code == 2 and said in result.stderr
    assert result.stderr.startswith("t2i-learn: ") and result.stderr.count("\n") == 1


def test_a_model_that_draws_does_not_describe_and_the_other_way_round(folder):
    run = CliRunner().invoke(cli.app, ["describe", str(folder / "x.png"), "--model", "shapes-gan"])
    assert run.exit_code == 2 and "shapes-gan is a model of kind text-to-image" in run.stderr
    run = CliRunner().invoke(cli.app, ["generate", "a star", "--model", str(folder / "tiny")])
    assert run.exit_code == 2 and "image-to-text: it does not draw" in run.stderr
