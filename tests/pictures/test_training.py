"Training on pictures of one's own: what is checked, said, kept, taken up again, and written."

import json
from types import SimpleNamespace

import pytest
import torch
from places import ROOT
from test_datasets import make_spoilt_folder, own_cache, picture, write_folder  # noqa: F401
from tiny import tiny_folder
from typer.testing import CliRunner

from t2i_learn import cli
from t2i_learn.core.learner import Callback, Loop, PictureBatch
from t2i_learn.core.pipeline import load, read_card
from t2i_learn.core.settings import read_config
from t2i_learn.diffusion.schedules import flow_schedule
from t2i_learn.pictures import training
from t2i_learn.pictures.datasets import CaptionedPictures
from t2i_learn.pictures.training import (
    caption_errors,
    CaptionErrors,
    lowest_error,
    open_data,
    plan_training,
    run_folder,
    sample_captions,
    StatusLines,
    train_model,
    Validation,
)
from t2i_learn.text.encoder import Condition
from t2i_learn.text.tokenizer import default_tokenizer

COLOURS = {"dark": -0.5, "grey": 0.0, "light": 0.5}


class Oracle:
    "A denoiser that knows what each caption means, and nothing else."

    schedule = flow_schedule(0.9)

    def encode(self, captions):
        means = torch.tensor([[COLOURS.get(caption, 0.1)] for caption in captions])
        return Condition(means[:, None], torch.ones(len(means), 1, dtype=torch.bool), means)

    def __call__(self, y, sigma, cond):
        return cond.pooled.view(-1, 1, 1, 1).expand_as(y)


def test_errors_are_those_of_own_another_and_no_caption():
    captions = ["dark", "dark", "light", "grey"]
    pictures = torch.stack([torch.full((3, 4, 4), COLOURS[caption]) for caption in captions])
    errors = caption_errors(Oracle(), pictures, captions)
    others = [1.0, 1.0, 0.25, 0.25]  # light, light, grey, dark: the next caption that differs
    assert errors.own == 0 and errors.other == pytest.approx(sum(others) / 4)
    assert errors.none == pytest.approx((0.36 + 0.36 + 0.16 + 0.01) / 4)
    same = caption_errors(Oracle(), pictures[:2], captions[:2])
    assert same.own == same.other == 0, "there is no other caption"


def loop_with(validation, errors, monkeypatch):
    "A loop whose weight is its step, and whose held-out error is as given."
    found = iter(errors)
    monkeypatch.setattr(training, "caption_errors", lambda *_: CaptionErrors(next(found), 1.0, 1.0))

    class Weights(Callback):
        def before_fit(self, learner):
            learner.model = torch.nn.Linear(1, 1)
            learner.metrics = {}

        def after_step(self, learner):
            torch.nn.init.constant_(learner.model.weight, learner.step)

    return Loop(lambda number: number, [Weights(), validation])


def test_a_run_ends_when_held_out_pictures_gain_nothing_and_the_best_weights_stay(monkeypatch):
    validation = Validation(PictureBatch(torch.zeros(1, 3, 4, 4), ["a"]), every=10, patience=3)
    loop = loop_with(validation, [0.5, 0.3, 0.4, 0.35, 0.31, 0.2], monkeypatch).fit(1000)
    assert loop.step == loop.total_steps == 50 and validation.best_step == 20
    assert "lowest at step 20 and has not fallen in 3 checks" in loop.stop_reason
    assert validation.best.weight.item() == 20
    assert [row["step"] for row in validation.rows] == [10, 20, 30, 40, 50]


def test_without_patience_a_run_goes_to_its_end(monkeypatch):
    validation = Validation(PictureBatch(torch.zeros(1, 3, 4, 4), ["a"]), every=10, patience=0)
    loop = loop_with(validation, [0.1, 0.2, 0.3, 0.4], monkeypatch).fit(35)
    assert loop.step == 35 and not loop.stop_reason and validation.best.weight.item() == 10
    assert [row["step"] for row in validation.rows] == [10, 20, 30, 35], "and the last step is a check"


def test_a_model_that_still_gains_without_a_caption_is_not_stopped():
    errors = [(0.13, 0.13), (0.14, 0.12), (0.15, 0.11), (0.16, 0.115)]
    rows = [{"step": step, "own": own, "none": none} for step, (own, none) in enumerate(errors)]
    assert lowest_error(rows)["step"] == 2 and lowest_error(rows[:1])["step"] == 0


def test_lines_say_step_and_errors():
    validation = SimpleNamespace(rows=[{"own": 0.04, "other": 0.25, "none": 0.09}])
    lines = []
    Loop(lambda number: number, [StatusLines(2, lines.append, validation)]).fit(5)
    assert [line.split(",")[0] for line in lines] == ["step 2 of 5", "step 4 of 5", "step 5 of 5"]
    assert (
        "0 seconds left" in lines[-1]
        and "0.0400 with their own caption, 0.2500 with another" in lines[-1]
    )


def names(count, prefix="a thing of kind"):
    return [f"{prefix} {number % 5}" for number in range(count)]


def test_a_part_of_the_pictures_is_held_out_unless_they_are_few(tmp_path):
    data, held_out = open_data(write_folder(tmp_path / "many", names(60)))
    assert (len(data), len(held_out)) == (52, 8) and not {*data.rows} & {*held_out.rows}
    few, none = open_data(write_folder(tmp_path / "few", names(12)))
    assert len(few) == 12 and none is None


def test_sample_captions_are_spread_and_none_comes_twice():
    few = SimpleNamespace(captions=["a", "b", "a", "c", "d", "e"])
    assert sample_captions(few) == ["a", "b", "c", "d", "e"], "fewer than asked for: all of them"
    assert sample_captions(few, 2) == ["a", "c"] and sample_captions(few, 0) == []
    many = SimpleNamespace(captions=[str(number) for number in range(16)])
    assert sample_captions(many) == [str(number) for number in range(0, 16, 2)]


def test_captions_that_the_shipped_tokenizer_cuts_to_pieces_get_their_own(tmp_path):
    text = "vihreällä taustalla on sydämenmuotoinen esine, jonka reunat ovat keltaisenruskeat ja pyöreähköt numero"
    folder = write_folder(tmp_path / "own", names(48, text))
    assert CaptionedPictures(folder).report.counts["long caption"] == 48
    plan = plan_training(folder, 32, "smoke")
    assert not plan.data.report.counts and "tokenizer trained on these captions" in "\n".join(
        plan.lines()
    )
    assert plan.config.new_model().tokenizer.merges == plan.data.tokenizer.merges


def test_rows_that_can_be_read_once_get_a_sentence_where_they_must_be_read_twice(tmp_path):
    text = "vihreällä taustalla on sydämenmuotoinen esine, jonka reunat ovat keltaisenruskeat"
    rows = [{"image": picture(number), "caption": text} for number in range(9)]
    with pytest.raises(ValueError, match="an iterator gives them once"):
        open_data(iter(rows))
    assert len(open_data(rows)[0]) == 9 == len(open_data(iter(rows), tokenizer=default_tokenizer())[0])


def test_a_plan_that_begins_with_a_model_has_its_tokenizer(tmp_path, monkeypatch):
    folder, begin = write_folder(tmp_path / "own", names(9)), tiny_folder(tmp_path / "begin")
    with pytest.raises(ValueError, match="has a tokenizer of its own"):
        plan_training(folder, 64, "smoke", init=begin, tokenizer=default_tokenizer())
    plan = plan_training(folder, 64, "smoke", init=begin)
    monkeypatch.setattr(training, "default_tokenizer", lambda: SimpleNamespace(merges=[]))
    assert "trained on these captions" not in "\n".join(plan.lines()), "it came with the model"


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5])
def test_a_seed_is_looked_at_before_the_pictures(seed):
    with pytest.raises(ValueError, match="seed must be a whole number"):
        plan_training("./not here", 64, "smoke", seed=seed)


def test_a_training_in_the_folder_where_one_is_has_files_beside_it(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert run_folder(".") == tmp_path / "mine.training" == run_folder("../mine")


def test_the_emoji_that_ship_have_a_name(monkeypatch):
    assert training._SHIPPED_DATA["emoji"] == ("emoji/train.parquet", "emoji/val.parquet")
    small = {"emoji": ("emoji/val.parquet", "emoji/test.parquet")}
    monkeypatch.setattr(training, "_SHIPPED_DATA", small)
    plan = plan_training("emoji", 64, "smoke")
    assert len(plan.data) > 100 and len(plan.held_out) > 100
    assert plan.config.config["std"] == plan.data.sd


class Stop(Callback):
    "Ends the process's training as Ctrl-C does."

    order = 7

    def __init__(self, step):
        self.step = step

    def after_step(self, learner):
        if learner.step == self.step:
            raise KeyboardInterrupt


def weights_of(pipe):
    return {name: tensor.clone() for name, tensor in pipe.model.state_dict().items()}


@pytest.mark.trains
def test_an_interrupted_training_goes_on_in_mid_epoch_and_ends_with_the_same_weights(tmp_path):
    folder = write_folder(tmp_path / "own", names(45))
    lines = []
    whole = train_model(
        plan_training(folder, (16, 32), "smoke", steps=7), tmp_path / "whole", say=lines.append
    )
    assert lines[-1].startswith("step 7 of 7")
    with pytest.raises(KeyboardInterrupt):
        train_model(
            plan_training(folder, (16, 32), "smoke", steps=7),
            tmp_path / "part",
            callbacks=[Stop(4)],
            say=lines.append,
        )
    assert (
        not (tmp_path / "part").exists()
        and (run_folder(tmp_path / "part") / "checkpoint.safetensors").exists()
    )
    del lines[:]
    part = train_model(
        plan_training(folder, (16, 32), "smoke", steps=7), tmp_path / "part", say=lines.append
    )
    assert lines[0] == "going on at step 4 of 7"
    assert all(
        torch.equal(part.model.state_dict()[name], value) for name, value in weights_of(whole).items()
    )
    log = [
        json.loads(line)
        for line in (run_folder(tmp_path / "part") / "log.jsonl").read_text().splitlines()
    ]
    assert [row["step"] for row in log if "step" in row] == [1, 2, 3, 4, 5, 6, 7]
    assert {"own", "other", "none"} <= log[-1].keys()


@pytest.mark.trains
def test_a_checkpoint_knows_its_data(tmp_path):
    plan = plan_training(write_folder(tmp_path / "one", names(12)), 16, "smoke", steps=2)
    train_model(plan, tmp_path / "model", say=str)
    other = plan_training(write_folder(tmp_path / "two", names(13)), 16, "smoke", steps=3)
    with pytest.raises(ValueError, match=r"written by another run .*data is"):
        train_model(other, tmp_path / "model", overwrite=True, say=str)


# --- the command


def run(*arguments):
    "The command in this process."
    result = CliRunner().invoke(cli.app, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result


@pytest.mark.trains
def test_one_call_trains_on_a_folder_with_faults_and_another_draws(tmp_path):
    wrong = make_spoilt_folder(tmp_path / "own")
    call = ("train", "--data", tmp_path / "own", "--size", "32x16", "--preset", "smoke", "--steps", 3)
    done = run(*call, "--out", tmp_path / "mine", "--license", "my own photographs")
    assert done.exit_code == 0, done.output
    assert all(name in done.output for name in wrong) and "186 of them training data" in done.output
    facts = read_card(tmp_path / "mine")
    assert facts["data"]["license"] == "my own photographs" and facts["training"]["steps"] == 3
    assert facts["data"]["fingerprint"] and facts["validation"]["own"] > 0
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "Of 200 candidates, 186 could be used" in card and "my own photographs" in card
    assert {"curves.png", "samples.png"} <= {file.name for file in (tmp_path / "mine").iterdir()}
    picture = tmp_path / "picture.png"
    drawn = run(
        "generate",
        "a thing of kind 3",
        "--model",
        tmp_path / "mine",
        "--steps",
        2,
        "--out",
        picture,
        "--zoom",
        1,
    )
    assert drawn.exit_code == 0 and "no caption" not in drawn.output, "all words are known"
    again = run(*call, "--out", tmp_path / "mine")
    assert again.exit_code == 2 and "is there already: choose another name" in again.output


@pytest.mark.trains
def test_a_model_can_begin_with_another(tmp_path):
    tiny_folder(tmp_path / "tiny")
    folder = write_folder(tmp_path / "own", names(12))
    done = run(
        "train",
        "--data",
        folder,
        "--size",
        64,
        "--preset",
        "smoke",
        "--steps",
        1,
        "--init",
        tmp_path / "tiny",
        "--out",
        tmp_path / "mine",
    )
    assert done.exit_code == 0, done.output
    config, data = read_config(tmp_path / "mine"), CaptionedPictures(folder)
    assert config["mean"] == data.mean and config["std"] == data.sd and config["words"] == data.words
    assert config["layout"]["cell"] == 8 and load(tmp_path / "mine").model.config["side"] == 64


ODD_CALLS = {
    "a size": (("--size", "big"), "--size is a number of pixels"),
    "no multiple": (("--size", "50"), "give sides that are multiples of 8"),
    "a family": (("--model", "gan"), "there is no trainable family 'gan'"),
    "a preset": (("--preset", "huge"), "there is no preset 'huge'"),
    "no folder": (("--data", "./not here"), "there is no folder or file ./not here"),
    "no steps": (("--steps", "0"), "--steps"),
    "a shipped name": (("--out", "shapes-diffusion"), "is the name of a model that ships"),
    "no model": (("--init", "shapes-difusion"), "shapes-diffusion"),
    "another family": (
        ("--init", "shapes-diffusion", "--model", "dit"),
        "is of the family diffusion, and not dit",
    ),
    "a column": (("--caption-column", "words"), "words"),
    "a template": (("--template", "a picture"), "a template holds {label}"),
    "a fit": (("--fit", "squeeze"), "squeeze"),
}


@pytest.mark.parametrize("name", [*ODD_CALLS])
def test_an_error_is_a_sentence_before_the_first_step(tmp_path, monkeypatch, name):
    monkeypatch.setattr(training, "train_model", lambda *_, **__: pytest.fail("a step was made"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "own"
    write_folder(folder, names(9))
    if name == "a column":
        for number in range(9):
            (folder / f"{number:03}.txt").unlink()
        (folder / "metadata.csv").write_text("file_name,caption\n000.png,a\n")
    arguments, sentence = ODD_CALLS[name]
    given = {"--data": folder, "--out": tmp_path / "mine", "--size": 16, "--preset": "smoke"}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    done = run("train", *(part for pair in given.items() for part in pair))
    assert done.exit_code == 2 and sentence in " ".join(done.output.split()), done.output
    assert not (tmp_path / "mine").exists() and not run_folder(tmp_path / "mine").exists()


@pytest.mark.trains
def test_the_readme_trains_in_at_most_eight_lines(tmp_path, monkeypatch):
    blocks = (ROOT / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    code = next(block.split("```")[0] for block in blocks if "for_data" in block)
    assert len([line for line in code.splitlines() if line.strip()]) <= 8
    write_folder(tmp_path / "my pictures", names(12))
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace("size=64", "size=16"), "README.md", "exec"), {})
    assert load("my model").model.config["words"] == [
        "0",
        "1",
        "2",
        "3",
        "4",
        "a",
        "kind",
        "of",
        "thing",
    ]
