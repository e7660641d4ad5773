"The command t2i-learn: what it draws, writes and says."

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from places import PACKAGE, ROOT, offline
from tiny import tiny_folder
from typer.testing import CliRunner

from t2i_learn import cli
from t2i_learn.core.pipeline import load, models, read_png_fields, write_card

SHIPPED = (PACKAGE / "weights" / "shapes-diffusion" / "model.safetensors").is_file()
ships = pytest.mark.skipif(not SHIPPED, reason="shapes-diffusion does not ship in this clone yet: train it with `make weights`")


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
    return subprocess.run(command, env=offline(ROOT), capture_output=True, text=True, timeout=120, **options)


@pytest.mark.parametrize(("reach", "refused"), [
    ("socket().connect(('192.0.2.1', 80))", "socket.connect asked for 192.0.2.1"),
    ("socket().connect_ex(('192.0.2.1', 80))", "socket.connect asked for 192.0.2.1"),
    ("socket(type=SOCK_DGRAM).sendto(b'', ('192.0.2.1', 80))", "socket.sendto asked for 192.0.2.1"),
    ("create_connection(('a.invalid', 80))", "socket.getaddrinfo asked for a.invalid"),
    ("server = create_server(('localhost', 0)); create_connection(server.getsockname()).close()", None),
])
def test_a_new_process_reaches_itself_and_no_other_machine(reach, refused):
    code = f"from socket import *\n{reach}"
    done = subprocess.run([sys.executable, "-c", code], env=offline(), capture_output=True, text=True, timeout=60)
    said = done.stderr.splitlines()[-1:]
    assert said == ([f"RuntimeError: there is no network in this test, and {refused}"] if refused else [])


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_help_comes_at_once():
    "Without torch, which takes seconds to import."
    code = ("import sys\nfrom t2i_learn.cli import app\n"
            "try: app(['--help'])\nexcept SystemExit: print('torch' in sys.modules, 'numpy' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "False False"
    assert all(f"\n  {command} " in done.stdout for command in ("generate", "models", "evaluate", "lab"))


def test_generate_writes_a_picture_that_says_how_it_was_made(folder, tmp_path):
    out = tmp_path / "heart.png"
    result = draw(folder, out, "--seed", 3, "--guidance-scale", 2.5, "--negative-prompt", "two", "--sampler", "ddpm")
    assert (result.exit_code, result.output) == (0, f"{out} (seed 3)\n")
    assert Image.open(out).size == (256, 256)
    assert read_png_fields(out) == {
        "prompt": "a red heart", "negative_prompt": "two", "model": folder, "seed": "3", "num_inference_steps": "2",
        "guidance_scale": "2.5", "sampler": "ddpm", "pictures": "1"}


def test_zoom_repeats_pixels(folder, tmp_path):
    draw(folder, tmp_path / "small.png", "--seed", 1, "--zoom", 1)
    draw(folder, tmp_path / "large.png", "--seed", 1, "--zoom", 3)
    small = pixels(tmp_path / "small.png")
    assert small.shape == (32, 32, 3)
    assert np.array_equal(pixels(tmp_path / "large.png"), small.repeat(3, 0).repeat(3, 1))


def test_one_sheet_or_a_file_each(folder, tmp_path):
    assert draw(folder, tmp_path / "sheet.png", "--seed", 1, "--num-images", 4, "--zoom", 1).exit_code == 0
    result = draw(folder, tmp_path / "each.png", "--seed", 1, "--num-images", 4, "--zoom", 1, "--separate")
    assert result.output.split("\n")[:-1] == [f"{tmp_path / f'each-{k}.png'} (seed 1)" for k in (1, 2, 3, 4)]
    sheet, each = pixels(tmp_path / "sheet.png"), [pixels(tmp_path / f"each-{k}.png") for k in (1, 2, 3, 4)]
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
    result = run("generate", "a red ❤️ 心", "--model", folder, "--steps", 1, "--out", tmp_path / "x.png", "--seed", 0)
    assert result.exit_code == 0 and (tmp_path / "x.png").is_file()
    assert result.stderr == "t2i-learn: no caption in training held '❤️', '心': such words say little to this model\n"
    assert read_png_fields(tmp_path / "x.png")["prompt"] == "a red ❤️ 心"


def test_a_long_prompt_is_cut_when_asked(folder, tmp_path):
    prompt, out = "a red heart " * 900, tmp_path / "x.png"
    refused = run("generate", prompt, "--model", folder, "--steps", 1, "--out", out)
    assert refused.exit_code == 2 and "reads 38 at most: shorten it, or add --cut" in refused.stderr
    drawn = run("generate", prompt, "--model", folder, "--steps", 1, "--out", out, "--cut")
    assert drawn.exit_code == 0 and "the rest is not read" in drawn.stderr and out.is_file()


@pytest.mark.parametrize(("arguments", "message"), [
    (["generate", ""], "the prompt is empty: say what to draw"),
    (["generate", "   "], "the prompt is empty: say what to draw"),
    (["generate", "x" * 10_000], "tokens long, and this model reads 38 at most: shorten it"),
    (["generate", "a", "--steps", "0"], "--steps must be a whole number of at least 1, not 0"),
    (["generate", "a", "--num-images", "0"], "--num-images must be a whole number of at least 1, not 0"),
    (["generate", "a", "--zoom", "0"], "--zoom must be a whole number of at least 1, not 0"),
    (["generate", "a", "--guidance-scale", "nan"], "--guidance-scale must be a number (1 is off), not nan"),
    (["generate", "a", "--seed", "-1"], "seed must be a whole number of at least 0, not -1"),
    (["generate", "a", "--sampler", "dimm"], "there is no sampler 'dimm': did you mean 'ddim'?"),
    (["generate", "a", "--out", "nowhere/x.png"], "the folder nowhere does not exist: make it first, or choose another --out"),
    (["generate", "a", "--out", "x.jpg"], "x.jpg does not end in .png"),
    (["evaluate", "--prompts-per-task", "0"], "--prompts-per-task must be a whole number of at least 1, not 0"),
    (["evaluate", "--steps", "0"], "--steps must be a whole number of at least 1, not 0"),
])
def test_a_mistake_is_one_line_and_exit_code_2(folder, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, "--model", folder)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("t2i-learn: ") and message in result.stderr
    assert result.stdout == "" and list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused_before_a_model_is_loaded(tmp_path):
    result = run("generate", "a", "--model", tmp_path / "no such model", "--out", tmp_path / "no" / "x.png")
    assert "the folder" in result.stderr and "no such model" not in result.stderr


def test_an_unknown_model_is_answered_with_those_that_there_are():
    result = run("generate", "a red heart", "--model", "shapes-difusion")
    assert result.exit_code == 2 and "there is no model 'shapes-difusion'" in result.stderr
    assert all(name in result.stderr for name in models())


def test_a_mistake_in_a_new_process_shows_no_traceback(tmp_path):
    done = new_process("generate", "a red heart", "--model", "none such", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("t2i-learn: there is no model 'none such'") and done.stderr.count("\n") == 1


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    "A folder of shipped models with one on it, and its card."
    from t2i_learn.core import pipeline
    folder = tiny_folder(tmp_path / "shapes-tiny")
    scores = {"seen": {"single": 1.0, "mean": 0.934}, "held_out": {"a": {"mean": 0.5}}}
    write_card(folder, {"license": "mit", "scores": scores}, "# shapes-tiny")
    monkeypatch.setattr(pipeline, "weights_path", lambda: tmp_path)


def test_models_are_listed_with_their_scores(shelf):
    lines = run("models").output.splitlines()
    assert lines[0].split() == ["model", "kind", "pixels", "MB", "seen", "a", "b", "c", "d", "e", "f"]
    assert lines[1].split() == ["shapes-tiny", "text-to-image", "diffusion", "32", lines[1].split()[4], "0.93", "0.50", *"-----"]
    listed = json.loads(run("models", "--json").output)
    assert listed["shapes-tiny"]["scores"]["seen"]["mean"] == 0.934
    assert listed["shapes-tiny"]["kind"] == "text-to-image diffusion"


def test_a_shipped_model_loads_by_its_name(shelf):
    assert load("shapes-tiny", "cpu").name == "shapes-tiny"


def test_evaluate_as_json_and_as_text(folder):
    options = ("--model", folder, "--prompts-per-task", 3, "--steps", 1, "--seed", 5)
    result = run("evaluate", *options, "--json")
    report = json.loads(result.stdout)
    assert (report["model"], report["steps"], report["prompts_per_task"]) == ("tiny", 1, 3)
    seen = ["single", "two", "count", "color", "position", "attribution", "size", "texture", "mean"]
    assert sorted(report["seen"]) == sorted(seen)
    assert sorted(report["held_out"]) == list("abcdef") and all("mean" in row for row in report["held_out"].values())
    assert report["standard_error"].keys() == {"seen", "held_out"} and report["chance"]
    assert all(0 <= rate <= 1 for rate in report["seen"].values())
    lines = run("evaluate", *options).stdout.splitlines()
    assert lines[0] == "tiny, 1 step, at most 3 prompts a task"
    assert [line.split()[1] for line in lines[2:11]] == list(report["seen"])
    assert lines[10].split() == ["seen", "mean", *(f"{x:.{d}f}" for x, d in (
        (report["seen"]["mean"], 2), (report["standard_error"]["seen"]["mean"], 3),
        (report["chance"]["shuffled"]["seen"]["mean"], 2)))]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    "A clone with a course in it, as the command sees it."
    (tmp_path / "nbs").mkdir()
    (tmp_path / "nbs" / "index.ipynb").write_text("{}")
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "t2i_learn" / "cli.py"))
    return tmp_path


def test_lab_opens_the_course_on_this_machine_only(clone, monkeypatch):
    started = []
    monkeypatch.setattr(subprocess, "run", lambda command: started.append(command) or subprocess.CompletedProcess(command, 0))
    assert run("lab", "--no-browser", "--port=9999").exit_code == 0
    course = str(clone / "nbs" / "index.ipynb")
    assert started == [[sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", "--no-browser", "--port=9999", course]]


def test_lab_says_what_is_missing(clone, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run("lab")
    assert (result.exit_code, result.stderr) == (2, "t2i-learn: JupyterLab is not installed: pip install 't2i_learn[lab]'\n")
    (clone / "nbs" / "index.ipynb").unlink()
    result = run("lab")
    assert result.exit_code == 2 and "clone the project" in result.stderr


@ships
def test_the_shipped_model_draws_a_red_heart_the_same_in_every_process(tmp_path):
    from t2i_learn.core.show import to_tensor
    from t2i_learn.world.oracle import check_spec, read_scene
    for name in ("a.png", "b.png"):
        done = new_process("generate", "a red heart", "--seed", "1", "--out", tmp_path / name)
        assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    run("generate", "a red heart", "--seed", 1, "--num-images", 3, "--separate", "--out", tmp_path / "c.png")
    assert abs(pixels(tmp_path / "a.png") - pixels(tmp_path / "c-1.png")).max() <= 1
    scene = read_scene(to_tensor(Image.open(tmp_path / "a.png")))
    assert check_spec({"include": [{"shape": "heart", "color": "red", "count": 1}], "exact": True}, scene) == (True, "")
