"The eye: what a reader writes, how it is compared with captions, and the sheets that show neither caption nor verdict."

import json

import eye as tool
import pytest
import torch
import weights
from PIL import Image
from typer.testing import CliRunner

from t2i_learn.core.files import weights_path
from t2i_learn.core.show import to_image
from t2i_learn.world.captions import load_prompts
from t2i_learn.world.reader import read_scene
from t2i_learn.world.score import check_spec, reference_picture


def test_a_reading_is_a_scene():
    number, scene = tool.read_label("17\tgrey\tred heart 3 5; small hollow blue star 7 5.5")
    heart, star = scene.things
    assert number == 17 and scene.background == "grey"
    assert (heart.color, heart.shape, heart.size, heart.x) == ("red", "heart", "medium", 0.3)
    assert (star.size, star.texture, star.y) == ("small", "hollow", 0.55)
    assert tool.read_label("3\twhite\t")[1].things == ()
    assert tool.say(scene).startswith("red heart at 0.3 0.5, small hollow blue star")


@pytest.mark.parametrize(
    "line",
    ["1\tplaid\tred heart 1 1", "1\tgrey\tred 1 1", "1\tgrey\tred cat 1 1", "1\tgrey\tred heart a b", "x\tgrey\t"],
)  # fmt: skip
def test_a_reading_in_another_form_is_refused(line):
    with pytest.raises(ValueError):
        tool.read_label(line)


@pytest.mark.parametrize(
    ("things", "agrees"),
    [
        ("red heart 3 5; blue star 7 5", True),
        ("red heart 3 5; blue star 3.8 5", False),  # not a tenth of the side apart
        ("red heart 3 2; blue star 5 7", False),  # above rather than left
        ("red heart 7 5; blue star 3 5", False),
        ("red heart 3 5; blue star 7 5; red heart 5 8", False),  # strict: nothing else may be there
        ("red unknown 3 5; blue star 7 5", False),
    ],
)
def test_a_reading_is_compared_with_the_caption_by_places(things, agrees):
    (prompt,) = [p for p in load_prompts("validation") if p.task == "position"][:1]
    left = {"shape": "heart", "color": "red", "count": 1}
    right = {"shape": "star", "color": "blue", "count": 1}
    spec = prompt.spec | {"include": [right, left | {"position": ["left of", 0]}], "bg": "grey"}
    assert tool.agrees(spec, tool.read_label(f"0\tgrey\t{things}")[1]) == agrees


def test_the_scene_of_a_caption_read_by_a_perfect_eye_agrees():
    for prompt in load_prompts("validation", 5):
        scene = read_scene(reference_picture(prompt))
        assert tool.agrees(prompt.spec, scene) == check_spec(prompt.spec, scene)[0] is True


@pytest.mark.parametrize(
    ("pairs", "value"),
    [
        ([(True, True), (False, False)], 1.0),
        ([(True, True), (True, False), (False, True), (False, False)], 0.0),
        ([(True, False), (False, True)], -1.0),
        ([(True, True)] * 3, 1.0),
        ([(True, True)] * 40 + [(True, False)] * 9 + [(False, True)] * 6 + [(False, False)] * 45, 0.70),
    ],
)
def test_kappa(pairs, value):
    assert tool.kappa(pairs) == pytest.approx(value, abs=0.005)


@pytest.fixture
def model(tmp_path, monkeypatch):
    "Six pictures of scenes, three of which the oracle passes, with a key that says so, and one shown again."
    monkeypatch.setattr(tool, "FOLDER", tmp_path / "eye")
    monkeypatch.setattr(tool, "models", lambda kind: {"toy": {}})
    monkeypatch.setattr(tool, "weights_path", lambda: tmp_path)
    monkeypatch.setattr(tool, "read_card", lambda folder: {"scores": {"seen": {"mean": 0.8}}})
    (tmp_path / "toy").mkdir()
    prompts = load_prompts("validation", 1)[:6]
    pictures = [reference_picture(p) for p in prompts]
    rows = [
        tool.key_of(tool.Drawn(to_image(x), p, k % 2 == 0, "" if k % 2 == 0 else "no"), k)
        for k, (p, x) in enumerate(zip(prompts, pictures, strict=True))
    ]
    folder = tool.folder_of("toy")
    folder.mkdir(parents=True)
    (folder / "key.json").write_text(
        json.dumps({"model": "toy", "sha256": "0", "rows": [*rows, rows[0]]})
    )
    sheet = tool.make_image_grid([*pictures, pictures[0]], columns=25, gap=0)
    sheet.save(folder / "pictures.png")
    return folder, pictures


def test_sheets_show_the_pictures_in_order_and_nothing_of_the_key(model, tmp_path):
    _, pictures = model
    tool.sheets("toy", tmp_path / "out")
    sheet = Image.open(tmp_path / "out" / "toy" / "sheet-000.png")
    side, cell = tool.SIDE * tool.SCALE, tool.SIDE * tool.SCALE + 2 * tool.MARGIN
    for k in range(6):
        left, top = k % tool.COLUMNS * cell + tool.MARGIN, k // tool.COLUMNS * cell + tool.MARGIN
        shown = sheet.crop((left, top, left + side, top + side)).resize(
            (32, 32), Image.Resampling.NEAREST
        )
        assert shown.tobytes() == to_image(pictures[k]).tobytes()
    assert (tmp_path / "out" / "reference.png").is_file()


def test_agreement_is_counted_for_each_verdict_and_readings_of_a_picture_are_compared(model, tmp_path):
    folder, pictures = model
    readings = [read_scene(x) for x in [*pictures, pictures[0]]]
    lines = [
        f"{k}\t{scene.background}\t"
        + "; ".join(
            f"{t.size} {t.texture} {t.color} {t.shape} {10 * t.x} {10 * t.y}".replace("medium ", "").replace("solid ", "")
            for t in scene.things
        )
        for k, scene in enumerate(readings)
    ]  # fmt: skip
    (folder / "labels.tsv").write_text("number\tbackground\tthings\n" + "\n".join(lines) + "\n")
    result = CliRunner().invoke(tool.app, ["table"])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "toy" / "eye.json").read_text())
    assert (found["passed"], found["failed"]) == (3, 3)
    assert found["agree where passed"] == 1 and found["agree where failed"] == 0, "all six are right"
    assert [row["number"] for row in found["disagreements"]] == [1, 3, 5]
    assert (found["read twice"], found["same verdict both times"]) == (1, 1) and "`toy`" in result.output
    assert found["score"] == {"oracle": 0.8, "eye": 1.0}, "what the oracle failed is right to the eye"


def test_a_score_is_corrected_by_both_kinds_of_error():
    pairs = [(True, True)] * 9 + [(False, True)] + [(False, False)] * 3 + [(True, False)]
    found = tool.agreement(pairs)
    assert (found["passed"], found["failed"]) == (10, 4)
    assert (found["agree where passed"], found["agree where failed"]) == (0.9, 0.75)
    assert tool.corrected(0.5, found) == pytest.approx(0.5 * 0.9 + 0.5 * 0.25)


def test_a_picture_that_was_not_read_is_named(model):
    folder, _ = model
    (folder / "labels.tsv").write_text("0\twhite\tred heart 5 5\n")
    result = CliRunner().invoke(tool.app, ["table"])
    assert result.exit_code and "toy: pictures [1, 2, 3, 4, 5] of 6 are not read yet" in result.output


def test_pictures_of_both_verdicts_are_chosen_and_no_more_than_wanted(monkeypatch):
    monkeypatch.setattr(tool, "WANTED", 3)
    prompts = load_prompts("validation", 2)
    picture = torch.zeros(3, 32, 32)
    drawn = [tool.Drawn(to_image(picture), p, k % 3 == 0, "") for k, p in enumerate(prompts * 2)]
    monkeypatch.setattr(tool, "judge_pictures", lambda pipe, prompts: iter(drawn))
    chosen = tool.choose_pictures(object(), prompts)
    assert sorted(d.passed for d in chosen) == [False] * 3 + [True] * 3
    assert chosen[:3] == [drawn[0], drawn[3], drawn[6]]


def test_the_reference_shows_every_word():
    assert tool.draw_reference().size[1] == 5 * (tool.SIDE * tool.SCALE + 2 * tool.MARGIN)


@pytest.mark.parametrize("name", ["shapes-diffusion", "shapes-gan", "shapes-stable"])
def test_the_card_of_a_model_says_what_the_eye_says_of_these_weights(name, tmp_path):
    folder = weights_path() / name
    said = weights.describe_eye(folder)
    assert said in (folder / "README.md").read_text(encoding="utf-8") and "by eye" not in said
    other = tmp_path / name
    other.mkdir()
    (other / "eye.json").write_bytes((folder / "eye.json").read_bytes())
    (other / "model.safetensors").write_bytes(b"other weights")
    assert weights.describe_eye(other) == "", "readings of other weights say nothing of these"
