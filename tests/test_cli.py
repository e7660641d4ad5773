"The command t2i-learn: what it draws, writes and says."

import json
import os
import re
import runpy
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from places import PACKAGE, ROOT, offline
from tiny import tiny_folder
from typer.testing import CliRunner

import t2i_learn
from t2i_learn import cli
from t2i_learn.core.files import read_image_facts, read_png_fields, write_atomic
from t2i_learn.core.pipeline import load, models, write_card
from t2i_learn.world import captions

SHIPPED = (PACKAGE / "weights" / "shapes-diffusion" / "model.safetensors").is_file()
ships = pytest.mark.skipif(
    not SHIPPED, reason="shapes-diffusion does not ship in this clone yet: train it with `make weights`"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    "A saved model, small and untrained."
    return str(tiny_folder(tmp_path_factory.mktemp("model") / "tiny"))


def run(*arguments):
    "The command in this process; nothing but SystemExit may come out of it."
    result = CliRunner().invoke(cli.app, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result


def draw(folder, out, *arguments):
    return run("generate", "a red heart", "--model", folder, "--steps", 2, "--out", out, *arguments)


def new_process(*arguments, **options):
    "The command as someone types it, without a network."
    command = [sys.executable, "-m", "t2i_learn.cli", *map(str, arguments)]
    return subprocess.run(
        command, env=offline(ROOT), capture_output=True, text=True, timeout=120, **options
    )


@pytest.mark.parametrize(
    ("reach", "refused"),
    [
        ("socket().connect(('192.0.2.1', 80))", "socket.connect asked for 192.0.2.1"),
        ("socket().connect_ex(('192.0.2.1', 80))", "socket.connect asked for 192.0.2.1"),
        ("socket(type=SOCK_DGRAM).sendto(b'', ('192.0.2.1', 80))", "socket.sendto asked for 192.0.2.1"),
        ("create_connection(('a.invalid', 80))", "socket.getaddrinfo asked for a.invalid"),
        (
            "server = create_server(('localhost', 0)); create_connection(server.getsockname()).close()",
            None,
        ),
    ],
)
def test_a_new_process_reaches_itself_and_no_other_machine(reach, refused):
    code = f"from socket import *\n{reach}"
    done = subprocess.run(
        [sys.executable, "-c", code], env=offline(), capture_output=True, text=True, timeout=60
    )
    said = done.stderr.splitlines()[-1:]
    assert said == (
        [f"RuntimeError: there is no network in this test, and {refused}"] if refused else []
    )


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_help_comes_at_once():
    "Without torch, which takes seconds to import."
    code = (
        "import sys\nfrom t2i_learn.cli import app\n"
        "try: app(['--help'])\nexcept SystemExit: print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "False False"
    assert all(f"\n  {command} " in done.stdout for command in ("generate", "models", "evaluate", "lab"))


def test_generate_writes_a_picture_that_says_how_it_was_made(folder, tmp_path):
    out = tmp_path / "heart.png"
    result = draw(
        folder,
        out,
        "--seed",
        3,
        "--guidance-scale",
        2.5,
        "--negative-prompt",
        "two",
        "--sampler",
        "ddpm",
    )
    assert (result.exit_code, result.output) == (0, f"{out} (seed 3)\n")
    assert Image.open(out).size == (256, 256)
    assert read_png_fields(out) == {
        "prompt": "a red heart",
        "negative_prompt": "two",
        "model": "tiny",
        "seed": "3",
        "num_inference_steps": "2",
        "guidance_scale": "2.5",
        "sampler": "ddpm",
        "picture": "0",
        "width": "32",
        "height": "32",
        "sha256": load(folder).sha256,
    }


def test_zoom_repeats_pixels(folder, tmp_path):
    draw(folder, tmp_path / "small.png", "--seed", 1, "--zoom", 1)
    draw(folder, tmp_path / "large.png", "--seed", 1, "--zoom", 3)
    small = pixels(tmp_path / "small.png")
    assert small.shape == (32, 32, 3)
    assert np.array_equal(pixels(tmp_path / "large.png"), small.repeat(3, 0).repeat(3, 1))


def test_one_sheet_or_a_file_each(folder, tmp_path):
    assert (
        draw(folder, tmp_path / "sheet.png", "--seed", 1, "--num-images", 4, "--zoom", 1).exit_code == 0
    )
    result = draw(
        folder, tmp_path / "each.png", "--seed", 1, "--num-images", 4, "--zoom", 1, "--separate"
    )
    assert result.output.split("\n")[:-1] == [
        f"{tmp_path / f'each-{k}.png'} (seed 1)" for k in (1, 2, 3, 4)
    ]
    sheet, each = (
        pixels(tmp_path / "sheet.png"),
        [pixels(tmp_path / f"each-{k}.png") for k in (1, 2, 3, 4)],
    )
    assert sheet.shape == (65, 65, 3)
    assert np.array_equal(sheet[33:, 33:], each[3]) and np.array_equal(sheet[:32, :32], each[0])
    assert not np.array_equal(each[0], each[1])
    assert read_png_fields(tmp_path / "each-3.png")["picture"] == "2"


def test_the_first_of_four_is_the_one_of_one(folder, tmp_path):
    draw(folder, tmp_path / "four.png", "--seed", 1, "--num-images", 4, "--separate", "--zoom", 1)
    draw(folder, tmp_path / "one.png", "--seed", 1, "--zoom", 1)
    assert abs(pixels(tmp_path / "one.png") - pixels(tmp_path / "four-1.png")).max() <= 1


def test_a_seed_is_chosen_and_told(folder, tmp_path):
    first, second = draw(folder, tmp_path / "a.png"), draw(folder, tmp_path / "b.png")
    assert first.output.split()[-1] != second.output.split()[-1]
    draw(folder, tmp_path / "c.png", "--seed", read_png_fields(tmp_path / "a.png")["seed"])
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "c.png"))


def test_unknown_words_are_told_and_the_picture_is_drawn(folder, tmp_path):
    result = run(
        "generate",
        "a red ❤️ 心",
        "--model",
        folder,
        "--steps",
        1,
        "--out",
        tmp_path / "x.png",
        "--seed",
        0,
    )
    assert result.exit_code == 0 and (tmp_path / "x.png").is_file()
    assert (
        result.stderr
        == "t2i-learn: no caption in training held '❤️', '心': such words say little to this model\n"
    )
    assert read_png_fields(tmp_path / "x.png")["prompt"] == "a red ❤️ 心"


def test_a_long_prompt_is_cut_when_asked(folder, tmp_path):
    prompt, out = "a red heart " * 900, tmp_path / "x.png"
    refused = run("generate", prompt, "--model", folder, "--steps", 1, "--out", out)
    assert refused.exit_code == 2 and "reads 38 at most: shorten it, or add --truncate" in refused.stderr
    drawn = run("generate", prompt, "--model", folder, "--steps", 1, "--out", out, "--truncate")
    assert drawn.exit_code == 0 and "the rest is not read" in drawn.stderr and out.is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", ""], "the prompt is empty: say what to draw"),
        (["generate", "   "], "the prompt is empty: say what to draw"),
        (["generate", "x" * 10_000], "tokens, and this model reads 38 at most: shorten it"),
        (["generate", "a", "--steps", "0"], "--steps must be a whole number, at least 1"),
        (["generate", "a", "--num-images", "0"], "--num-images must be a whole number, at least 1"),
        (["generate", "a", "--zoom", "0"], "--zoom must be a whole number, at least 1"),
        (
            ["generate", "a", "--guidance-scale", "nan"],
            "--guidance-scale must be a number, at least -100 and at most 100, not nan",
        ),
        (["generate", "a", "--seed", "-1"], "seed must be a whole number, at least 0"),
        (["generate", "a", "--sampler", "dimm"], "there is no sampler 'dimm': did you mean 'ddim'?"),
        (["generate", "a", "--out", "x.bmp"], "x.bmp does not end in .png, .jpg, .jpeg, .webp"),
        (["generate"], "say what to draw: give a prompt, or --prompts-file"),
        (
            ["generate", "a", "--zoom", "100000"],
            "--zoom must be a whole number, at least 1 and at most 64",
        ),
        (
            ["generate", "a", "--num-images", "100000000"],
            "--num-images must be a whole number, at least 1 and at most 10,000",
        ),
        (
            ["generate", "a", "--steps", "1000000000"],
            "--steps must be a whole number, at least 1 and at most 10,000",
        ),
        (
            ["generate", "a", "--set", "alpha=1.5"],
            "this model has no setting 'alpha': it has --steps, --guidance-scale, sampler",
        ),
        (["generate", "a", "--set", "alpha"], "--set takes NAME=VALUE, not 'alpha'"),
        (["generate", "a", "--height", "64"], "this model has no setting 'height'"),
        (
            ["generate", "a", "--seed", str(2**64)],
            "seed must be a whole number, at least 0 and at most 9,223,372,036,854,775,807",
        ),
        (
            ["evaluate", "--prompts-per-task", "0"],
            "--prompts-per-task must be a whole number, at least 1",
        ),
        (["evaluate", "--steps", "0"], "--steps must be a whole number, at least 1"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(folder, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, "--model", folder)
    assert result.exit_code == 2
    assert (
        result.stderr.count("\n") == 1
        and result.stderr.startswith("t2i-learn: ")
        and message in result.stderr
    )
    assert result.stdout == "" and list(tmp_path.iterdir()) == []


MANY = "9" * 400
NO_SETTING = "this model has no setting"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *((["generate", "a", option, MANY], f"{option} must be a") for option in ("--steps", "--zoom")),
        (["generate", "a", "--num-images", MANY], "--num-images must be a"),
        (["generate", "a", "--guidance-scale", MANY], "--guidance-scale must be a"),
        (["generate", "a", "--seed", MANY], "seed must be a"),
        (["generate", "a", "--set", f"num_inference_steps={MANY}"], "--steps must be a"),
        (["evaluate", "--seed", MANY], "seed must be a"),
        (["evaluate", "--prompts-per-task", MANY], "--prompts-per-task must be a"),
        (["evaluate", "--edition", MANY], "--edition must be a"),
        *(
            ([command, *["a"] * (command == "generate"), "--set", f"{name}=3"], NO_SETTING)
            for command in ("generate", "evaluate")
            for name in (
                *("seed", "prompt", "config", "first", "truncation", "generator", "output_type"),
                *("negative_prompt", "num_images_per_prompt", "prompts_per_task", "progress", "pipe"),
            )
        ),
        (["generate", "a", "--set", "\x1b[2J=3"], NO_SETTING),
        (["generate", "a", "--num-images", "1000", "--zoom", "64"], "or a smaller --zoom"),
        (["generate", "a", "--out", "\x1b[2J.bmp"], "does not end in"),
    ],
)
def test_no_number_and_no_name_goes_past_the_checks(folder, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, "--model", folder)
    assert (result.exit_code, result.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert result.stderr.startswith("t2i-learn: ") and message in result.stderr
    assert result.stderr[:-1].isprintable() and len(result.stderr) < 400


def test_many_pictures_go_to_files_of_their_own_at_any_zoom(folder, tmp_path):
    "The bound is on a sheet, not on the call."
    call = ("--num-images", 3, "--zoom", 64, "--separate", "--seed", 1)
    assert draw(folder, tmp_path / "x.png", *call).exit_code == 0
    assert Image.open(tmp_path / "x-3.png").size == (2048, 2048)


@pytest.mark.parametrize("kind", ["fifo", "folder", "/dev/zero", "missing", "not text", "too large"])
def test_a_file_of_prompts_that_is_none_is_one_line_at_once(folder, tmp_path, kind):
    file = Path(kind) if kind.startswith("/") else tmp_path / "prompts"
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "not text":
        file.write_bytes(b"\xff\xfea")
    elif kind == "too large":
        with open(file, "wb") as sparse:
            sparse.truncate(10**12)
    out = tmp_path / "new" / "x.png"
    result = draw(folder, out, "--prompts-file", file)
    assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1
    assert str(file) in result.stderr and not out.parent.exists()


def test_a_file_of_prompts_from_windows(folder, tmp_path):
    (tmp_path / "prompts").write_bytes("\ufeffa red heart\r\n\r\ntwo star\r\n".encode())
    call = ("--model", folder, "--steps", 1, "--seed", 1, "--out", tmp_path / "x.png")
    assert run("generate", "--prompts-file", tmp_path / "prompts", *call).exit_code == 0
    found = [read_png_fields(tmp_path / f"x-{k}.png")["prompt"] for k in (1, 2)]
    assert found == ["a red heart", "two star"]


@pytest.mark.parametrize("wanted", ["bad", "cuda", "\x1b[2J"])
@pytest.mark.parametrize("command", ["generate", "evaluate"])
def test_a_device_that_makes_no_sense_is_one_line(folder, tmp_path, monkeypatch, command, wanted):
    monkeypatch.setenv("T2I_DEVICE", wanted)
    out = tmp_path / "x.png"
    call = ("a red heart", "--out", out) if command == "generate" else ("--prompts-per-task", 1)
    result = run(command, *call, "--steps", 1, "--model", folder)
    assert (result.exit_code, result.stdout, out.exists()) == (2, "", False)
    assert "there is no T2I_DEVICE" in result.stderr and "Known: auto, cpu" in result.stderr


def test_a_picture_is_not_written_over_unless_that_is_wanted(folder, tmp_path):
    out = tmp_path / "new" / "folders" / "x.png"
    assert draw(folder, out, "--seed", 1).exit_code == 0 and out.is_file()
    before, refused = out.read_bytes(), draw(folder, out, "--seed", 2)
    assert (
        refused.exit_code == 2
        and "is there already: choose another --out, or give --overwrite" in refused.stderr
    )
    assert out.read_bytes() == before
    assert draw(folder, out, "--seed", 2, "--overwrite").exit_code == 0 and out.read_bytes() != before


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_other_formats_say_how_they_were_made_too(folder, tmp_path, suffix):
    out = tmp_path / f"heart{suffix}"
    assert draw(folder, out, "--seed", 3).exit_code == 0
    facts = read_image_facts(out)
    assert (facts["prompt"], facts["seed"], facts["num_inference_steps"]) == ("a red heart", "3", "2")
    draw(folder, tmp_path / "heart.png", "--seed", 3)
    assert abs(pixels(out) - pixels(tmp_path / "heart.png")).mean() < 3


def test_several_prompts_from_the_line_and_from_a_file(folder, tmp_path):
    (tmp_path / "prompts.txt").write_text("a blue star\n\n  two circle  \n", encoding="utf-8")
    result = draw(
        folder,
        tmp_path / "x.png",
        "--seed",
        3,
        "--num-images",
        2,
        "--zoom",
        1,
        "--prompts-file",
        tmp_path / "prompts.txt",
    )
    assert result.output.split("\n")[:-1] == [f"{tmp_path / f'x-{k}.png'} (seed 3)" for k in (1, 2, 3)]
    assert [read_png_fields(tmp_path / f"x-{k}.png")["prompt"] for k in (1, 2, 3)] == [
        "a red heart",
        "a blue star",
        "two circle",
    ]
    assert pixels(tmp_path / "x-2.png").shape == (32, 65, 3)


def test_a_familys_own_setting_is_given_by_its_name(tmp_path):
    from tiny import tiny_two_stage

    tiny_two_stage().save_pretrained(tmp_path / "stages")
    call = ("generate", "a red heart", "--model", tmp_path / "stages", "--steps", 2, "--seed", 1)
    assert (
        run(*call, "--set", "alpha=1.5", "--set", "refine_from=1", "--out", tmp_path / "a.png").exit_code
        == 0
    )
    facts = read_png_fields(tmp_path / "a.png")
    assert (facts["alpha"], facts["refine_from"]) == ("1.5", "1.0")
    wrong = run(*call, "--set", "alpha=0.5", "--out", tmp_path / "b.png")
    assert (
        wrong.exit_code == 2
        and "alpha must be a number, above 1 and at most 2, not '0.5'" in wrong.stderr
    )


def test_an_error_comes_before_torch_is_imported(folder):
    code = (
        "import sys\nfrom t2i_learn.cli import app\n"
        f"try: app(['generate', 'a', '--steps', '0', '--model', {folder!r}])\nexcept SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "2 False" and "at least 1" in done.stderr


def test_the_version_is_told():
    assert run("--version").stdout == f"t2i-learn {t2i_learn.__version__}\n"


def test_a_terminal_that_cannot_show_a_name_is_no_error(folder, tmp_path):
    out = tmp_path / "心.png"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "t2i_learn.cli",
            "generate",
            "a red heart",
            "--model",
            folder,
            "--steps",
            "1",
            "--seed",
            "1",
            "--out",
            str(out),
        ],
        env=offline(ROOT) | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0 and out.is_file() and b"\\u5fc3.png (seed 1)" in done.stdout


def test_a_full_disk_behind_standard_output_is_one_line(folder, tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full on this system")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "t2i_learn.cli", "models"],
            env=offline(ROOT),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert done.returncode != 0 and "Traceback" not in done.stderr


def test_control_characters_of_a_name_are_not_printed_raw(tmp_path):
    result = run("generate", "a", "--model", "\x1b[31mred", "--out", tmp_path / "x.png")
    assert result.exit_code == 2 and "\x1b" not in result.stderr


def test_control_characters_of_a_file_are_not_printed_raw(folder, tmp_path):
    strange = "a \x1b[31m \n  b"
    done = draw(folder, tmp_path / f"{strange}.png", "--seed", 1)
    assert done.exit_code == 0 and (tmp_path / f"{strange}.png").is_file()
    assert done.stdout == f"{tmp_path}/a \\x1b[31m \\n  b.png (seed 1)\n"
    named = Path(folder).rename(Path(folder).parent / strange)
    try:
        done = run("evaluate", "--model", named, "--prompts-per-task", 1, "--steps", 1)
    finally:
        named.rename(folder)
    assert done.exit_code == 0 and all(line.isprintable() for line in done.output.splitlines())


def test_an_unknown_model_is_answered_with_those_that_there_are():
    result = run("generate", "a red heart", "--model", "shapes-difusion")
    assert result.exit_code == 2 and "there is no model 'shapes-difusion'" in result.stderr
    assert all(name in result.stderr for name in models())


def test_a_mistake_in_a_new_process_shows_no_traceback(tmp_path):
    done = new_process("generate", "a red heart", "--model", "none such", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr.startswith("t2i-learn: there is no model 'none such'")
        and done.stderr.count("\n") == 1
    )


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    "A folder of shipped models with one on it, and its card."
    from t2i_learn.core import settings

    folder = tiny_folder(tmp_path / "shapes-tiny")
    held_out = {"a": {"mean": 0.5}, "three": {"mean": 0.75}}
    scores = {"edition": 2, "seen": {"single": 1.0, "mean": 0.934}, "held_out": held_out}
    write_card(folder, {"license": "mit", "scores": scores}, "# shapes-tiny")
    monkeypatch.setattr(settings, "weights_path", lambda: tmp_path)


def test_models_are_listed_with_their_scores(shelf):
    lines = run("models").output.splitlines()
    assert lines[0].split() == ["model", "family", "kind", "pixels", "MB", "seen", "a", "three"]
    assert lines[1].split() == [
        "shapes-tiny",
        "diffusion",
        "text-to-image",
        "32",
        lines[1].split()[4],
        "0.93",
        "0.50",
        "0.75",
    ]
    assert lines[2] == "Means over tasks on edition 2 of the test; --json adds their 95 % intervals."
    listed = json.loads(run("models", "--json").output)
    assert listed["shapes-tiny"]["scores"]["seen"]["mean"] == 0.934
    assert (
        listed["shapes-tiny"]["family"] == "diffusion"
        and listed["shapes-tiny"]["kind"] == "text-to-image"
    )
    assert json.loads(run("models", "--kind", "image-to-text", "--json").output) == {}


def test_a_shipped_model_loads_by_its_name(shelf):
    assert load("shapes-tiny", "cpu").name == "shapes-tiny"


def test_evaluate_as_json_and_as_text(folder):
    options = ("--model", folder, "--prompts-per-task", 3, "--steps", 1, "--seed", 5)
    result = run("evaluate", *options, "--test", "--json")
    report = json.loads(result.stdout)
    assert (report["model"], report["steps"], report["prompts_per_task"]) == ("tiny", 1, 3)
    seen = ["single", "two", "count", "color", "position", "attribution", "size", "texture", "mean"]
    assert sorted(report["seen"]) == sorted(seen)
    assert sorted(report["held_out"]) == list("abcdef") and all(
        "mean" in row for row in report["held_out"].values()
    )
    assert report["standard_error"].keys() == {"seen", "held_out"} and report["chance"]
    assert set(report["combinations"]) == set("abcd") and set(report["combinations"]["c"]) <= {
        "4 stars",
        "5 hearts",
    }
    assert all(0 <= rate <= 1 for rate in report["seen"].values())
    lines = run("evaluate", *options, "--test").stdout.splitlines()
    assert (
        lines[0]
        == "tiny, 1 step, 2 network evaluations a picture, at most 3 prompts a task, edition 1 of the prompts"
    )
    assert [line.split()[1] for line in lines[2:11]] == list(report["seen"])
    low, high = report["interval"]["seen"]["mean"]
    chance = report["chance"]["shuffled"]["seen"]["mean"]
    mean = [f"{x:.2f}" for x in (report["seen"]["mean"], low, high, chance)]
    assert lines[10].split() == ["seen", "mean", *mean[:2], "to", *mean[2:]]


@pytest.fixture
def edition_2(tmp_path, monkeypatch):
    "A small second edition of the prompts."
    script = runpy.run_path(str(ROOT / "data" / "make_prompts.py"))
    for validation in (False, True):
        script["main"](2, validation=validation, per_task=2, out=tmp_path / "prompts")
    monkeypatch.setattr(captions, "data_path", lambda name: tmp_path / name)


def test_another_edition_is_evaluated(folder, edition_2):
    options = ("--model", folder, "--prompts-per-task", 2, "--steps", 1, "--edition", 2)
    report = json.loads(run("evaluate", *options, "--test", "--json").stdout)
    assert report["edition"] == 2 and sorted(report["held_out"]) == sorted(
        [*"abcdfgh", "three", "clauses"]
    )
    assert (
        run("evaluate", *options).stdout.splitlines()[0]
        == "tiny, 1 step, 2 network evaluations a picture, at most 2 prompts a task, edition 2 of the prompts"
    )


@pytest.mark.parametrize(
    ("edition", "said"),
    [
        ("0", "--edition must be a whole number, at least 1"),
        ("9", "edition 9 of the prompts has no set"),
    ],
)
def test_an_edition_that_is_not_there_is_one_line(folder, edition, said):
    result = run("evaluate", "--model", folder, "--prompts-per-task", 1, "--edition", edition)
    assert (
        result.exit_code == 2
        and result.stderr.startswith(f"t2i-learn: {said}")
        and len(result.stderr.splitlines()) == 1
    )


@pytest.mark.parametrize("name", ["shapes-diffusion", "shapes-gan", "shapes-stable"])
def test_a_picture_is_drawn_again_from_what_its_file_says(name, tmp_path):
    "To one level of 255, from a file that the command wrote, by each model that ships; one that draws in a pass knows no negative prompt."
    path = tmp_path / "pictures.png"
    done = run(
        "generate",
        "two red hearts on a mint background",
        "a blue star",
        "--model",
        name,
        "--seed",
        11,
        "--num-images",
        2,
        "--separate",
        "--zoom",
        1,
        "--out",
        path,
    )
    assert done.exit_code == 0, done.stderr
    for k in (1, 4):
        file = path.with_stem(f"pictures-{k}")
        facts = read_png_fields(file)
        assert (facts["model"], facts["picture"], facts["seed"]) == (name, str(k - 1), "11")
        pipe = load(facts["model"])
        assert pipe.sha256 == facts["sha256"], "other weights draw other pictures"
        known = {*pipe.settings_class.described()}
        call = {setting: value for setting, value in facts.items() if setting in known}
        again = pipe(
            facts["prompt"],
            negative_prompt=facts["negative_prompt"] or None,
            seed=int(facts["seed"]),
            first=int(facts["picture"]),
            **call,
        )
        shown = np.asarray(again.images[0].convert("RGB")).astype(int)
        assert np.abs(shown - pixels(file)).max() <= 1
        assert again.images[0].info == {k: v for k, v in facts.items() if k in again.images[0].info}


@pytest.fixture
def clone(tmp_path, monkeypatch):
    "A clone with a course in it, as the command sees it."
    (tmp_path / "nbs").mkdir()
    (tmp_path / "nbs" / "index.ipynb").write_text("{}")
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "t2i_learn" / "cli.py"))
    return tmp_path


def test_lab_opens_the_course_on_this_machine_only(clone, monkeypatch):
    started, settings = [], []
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda command, env: (
            started.append(command) or settings.append(env) or SimpleNamespace(wait=lambda: 0)
        ),
    )
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "mine")
    assert run("lab", "--no-browser", "--port=9999").exit_code == 0
    course = str(clone / "nbs" / "index.ipynb")
    assert started == [
        [
            sys.executable,
            "-m",
            "jupyterlab",
            "--ServerApp.ip=127.0.0.1",
            "--LabApp.default_url=/lab/tree/index.ipynb",
            "--no-browser",
            "--port=9999",
            course,
        ]
    ]
    folders = settings[0]["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert folders == [str(clone / "t2i_learn" / "jupyter"), "mine"] and "PATH" in settings[0]
    asked = json.loads((PACKAGE / "jupyter" / "labconfig" / "page_config.json").read_text())
    assert asked["disabledExtensions"] == {"@jupyterlab/apputils-extension:announcements": True}


def test_a_copy_of_the_course_is_opened_and_keeps_what_was_changed_in_it(clone, monkeypatch):
    "Files that are there stay, and the sentence says so; what Jupyter and editors hide is not copied."
    started = []
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda command, env: started.append(command[-1]) or SimpleNamespace(wait=lambda: 0),
    )
    write_atomic(clone / "nbs" / "01_world" / "01_scenes.ipynb", b"page")
    write_atomic(clone / "nbs" / "images" / "seen.png", b"picture")
    write_atomic(clone / "nbs" / ".ipynb_checkpoints" / "old.ipynb", b"hidden")
    done = run("lab", "--work", "--no-browser")
    assert done.exit_code == 0 and started == [str(clone / "work" / "index.ipynb")]
    assert done.stdout == (
        "work/: 2 of 2 pages copied, those that were there stay as they are; "
        "for a fresh copy of a page, delete it in work/ and start again\n"
    )
    files = {f.relative_to(clone / "work").as_posix() for f in (clone / "work").rglob("*.*")}
    assert files == {"index.ipynb", "01_world/01_scenes.ipynb", "images/seen.png"}
    (clone / "work" / "index.ipynb").write_text("mine")
    (clone / "work" / "01_world" / "01_scenes.ipynb").unlink()
    assert "1 of 2 pages copied" in run("lab", "--work").stdout
    assert (clone / "work" / "index.ipynb").read_text() == "mine"
    assert (clone / "work" / "01_world" / "01_scenes.ipynb").read_bytes() == b"page"
    assert (clone / "nbs" / "index.ipynb").read_text() == "{}"


STUB = """
import signal, sys
def asked(number, frame):
    print("Shut down?", flush=True)
signal.signal(signal.SIGINT, asked)
print("running", flush=True)
print("answer:", sys.stdin.readline().strip(), flush=True)
sys.exit(7)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="groups of processes are Unix's")
@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_is_jupyter_s_to_answer(tmp_path, times):
    "It goes to both, as a terminal sends it; the command waits until Jupyter ends by itself, and ends as it does."
    write_atomic(tmp_path / "jupyterlab" / "__init__.py", b"")
    write_atomic(tmp_path / "jupyterlab" / "__main__.py", STUB.encode())
    command = [sys.executable, "-m", "t2i_learn.cli", "lab", "--no-browser"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = offline(tmp_path, ROOT)
    with subprocess.Popen(
        command, env=environment, text=True, start_new_session=True, **pipes
    ) as process:
        try:
            assert process.stdout.readline() == "running\n", process.stderr.read()
            for _ in range(times):
                os.killpg(process.pid, signal.SIGINT)
                assert process.stdout.readline() == "Shut down?\n"
            said, complaints = process.communicate("y\n", timeout=60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert (said, complaints, process.returncode) == ("answer: y\n", "", 7)


def test_lab_says_what_is_missing(clone, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run("lab")
    assert (result.exit_code, result.stderr) == (
        2,
        "t2i-learn: JupyterLab is not installed: pip install 't2i_learn[lab]'\n",
    )
    (clone / "nbs" / "index.ipynb").unlink()
    result = run("lab")
    assert result.exit_code == 2 and "clone the project" in result.stderr


@ships
def test_the_shipped_model_draws_a_red_heart_the_same_in_every_process(tmp_path):
    from t2i_learn.core.show import to_tensor
    from t2i_learn.world.reader import read_scene
    from t2i_learn.world.score import check_spec

    for name in ("a.png", "b.png"):
        done = new_process("generate", "a red heart", "--seed", "1", "--out", tmp_path / name)
        assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    run(
        "generate",
        "a red heart",
        "--seed",
        1,
        "--num-images",
        3,
        "--separate",
        "--out",
        tmp_path / "c.png",
    )
    assert abs(pixels(tmp_path / "a.png") - pixels(tmp_path / "c-1.png")).max() <= 1
    scene = read_scene(to_tensor(Image.open(tmp_path / "a.png")))
    assert check_spec(
        {"include": [{"shape": "heart", "color": "red", "count": 1}], "exact": True}, scene
    ) == (True, "")


def edit(folder, picture, *arguments):
    return run("edit", picture, *arguments, "--model", folder)


def test_edit_changes_varies_and_inpaints_and_leaves_the_original(folder, tmp_path):
    picture, out = tmp_path / "drawn.png", tmp_path / "edited.png"
    draw(folder, picture, "--seed", 1)
    before = picture.read_bytes()
    done = edit(folder, picture, "a blue heart", "--out", out)
    assert done.exit_code == 0 and "own noise, seed 1" in done.output
    assert read_png_fields(out)["prompt"] == "a blue heart" and Image.open(out).size == (256, 256)
    mask = Image.new("L", (256, 256))
    mask.paste(255, (0, 0, 128, 256))
    mask.save(tmp_path / "mask.png")
    more = ("--steps", 2, "--seed", 3, "--overwrite", "--out", out)
    done = edit(folder, picture, "a blue heart", "--mask", tmp_path / "mask.png", *more)
    assert "inpainting, seed 3" in done.output
    old, new = (np.asarray(Image.open(file).convert("RGB")) for file in (picture, out))
    assert np.array_equal(old[:, 128:], new[:, 128:]) and not np.array_equal(old, new)
    done = edit(folder, picture, "--num-images", 3, *more)
    assert "variation" in done.output and read_png_fields(out)["pictures"] == "3"
    assert picture.read_bytes() == before


def test_an_edit_is_never_written_over_its_original(folder, tmp_path):
    picture = tmp_path / "drawn.png"
    draw(folder, picture, "--seed", 1)
    (tmp_path / "link.png").symlink_to(picture)
    before = picture.read_bytes()
    for out in (picture, tmp_path / "link.png", tmp_path / "." / "drawn.png"):
        done = edit(folder, picture, "a blue heart", "--overwrite", "--out", out)
        assert done.exit_code == 2 and "is the picture that is edited" in done.output
    mask = tmp_path / "mask.png"
    Image.new("L", (256, 256), 255).save(mask)
    masked = mask.read_bytes()
    done = edit(folder, picture, "a blue heart", "--mask", mask, "--overwrite", "--out", mask)
    assert done.exit_code == 2 and "is the mask of this edit" in done.output
    assert picture.read_bytes() == before and mask.read_bytes() == masked


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mask", "mask.png"], "say what the picture should show"),
        (["a heart", "--mask", "mask.png", "--method", "sdedit"], "without a mask"),
        (["a heart", "--mask", "none.png"], "no file"),
        (["a heart", "--strength", "2"], "strength must be"),
        (["a heart", "--method", "magic"], "did you mean|no method of editing"),
        (["a heart", "--set", "magic=1"], "no setting"),
        (["a heart", "--zoom", "0"], "--zoom must be"),
    ],
)
def test_a_wrong_edit_is_a_sentence(arguments, words, folder, tmp_path):
    picture = tmp_path / "white.png"
    Image.new("RGB", (32, 32), "white").save(picture)
    Image.new("L", (32, 32), 255).save(tmp_path / "mask.png")
    own = [str(tmp_path / a) if a.endswith(".png") else a for a in arguments]
    done = edit(folder, picture, *own, "--out", tmp_path / "out.png")
    assert done.exit_code == 2 and re.search(words, done.output), done.output
    assert not (tmp_path / "out.png").exists()
