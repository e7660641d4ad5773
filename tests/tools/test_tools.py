"The tools that handle notebooks without a browser."

import configparser
import json
import os
import re
import runpy
from unittest.mock import MagicMock

import gan_ablation
import nbformat
import nbs
import pytest
import readme
import torch
import weights
from PIL import Image
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from places import KERNEL, ROOT
from tiny import tiny_gan, tiny_pipeline
from typer.testing import CliRunner

from t2i_learn.core.pipeline import load, read_card, write_card
from t2i_learn.diffusion.text_to_image import DIFFUSION_ROUNDS
from t2i_learn.world import captions, comparisons, score
from t2i_learn.world.captions import Prompt


@pytest.fixture
def notebook(tmp_path):
    "A notebook with a fast cell, a slow one and a widget."
    cells = [
        new_markdown_cell("# Title"),
        new_code_cell("import os\nprint(os.environ['T2I_PRESET'], round(2 / 3, 2), object())"),
        new_code_cell(
            "#| slow\nprint('trained')", outputs=[new_output("stream", name="stdout", text="kept\n")]
        ),
        new_code_cell("import ipywidgets\nipywidgets.IntSlider()"),
    ]
    path = tmp_path / "some.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), path)
    return path


def tool(*arguments):
    return CliRunner().invoke(nbs.app, [*map(str, arguments)])


def texts(path):
    return ["".join(o.get("text", "") for o in c.outputs) for c in nbs.code_cells(nbs.read(path))]


def test_run_then_check(notebook, monkeypatch):
    monkeypatch.delenv("T2I_PRESET", raising=False)
    assert tool("run", notebook).exit_code == 0
    first = notebook.read_bytes()
    assert texts(notebook)[0].startswith("cpu 0.67 <object")
    assert texts(notebook)[1:] == ["kept\n", ""], "a slow cell keeps its output, a widget leaves none"
    assert b"widget-view" not in first and b'execution_count": 1' not in first
    assert tool("check", notebook).exit_code == 0
    assert notebook.read_bytes() == first
    notebook.write_bytes(first.replace(b"cpu 0.67", b"cpu 0.76"))
    found = tool("check", notebook)
    assert found.exit_code == 1
    assert "is not fresh" in found.output and "0.76" in found.output


def test_a_run_and_a_cleaning_keep_tags_and_hidden_sources(notebook):
    kept = [{"tags": ["solution"]}, {"tags": ["exercise"]}, {"jupyter": {"source_hidden": True}}]
    content = nbs.read(notebook)
    for cell, metadata in zip(nbs.code_cells(content), kept):
        cell.metadata = nbformat.from_dict({**metadata, "scrolled": True})
    nbformat.write(content, notebook)
    for command in ("run", "clean"):
        assert tool(command, notebook).exit_code == 0
        assert [cell.metadata for cell in nbs.code_cells(nbs.read(notebook))] == kept
    settings = configparser.ConfigParser()
    settings.read(ROOT / "settings.ini")
    assert settings["DEFAULT"]["allowed_cell_metadata_keys"].split() == nbs.CELL_METADATA


def write_notebook(folder, monkeypatch):
    nbs.write(nbs.read(ROOT / "nbs" / "index.ipynb"), folder / "out")


def write_readme(folder, monkeypatch):
    for name, value in {"ROOT": folder, "README": folder / "out", "PICTURES": "pictures"}.items():
        monkeypatch.setattr(readme, name, value)
    monkeypatch.setattr(readme, "convert", lambda notebook: ("new", {}))
    readme.main(check=False)


def write_picture_of_readme(folder, monkeypatch):
    for name, value in {"ROOT": folder, "README": folder / "README.md", "PICTURES": "."}.items():
        monkeypatch.setattr(readme, name, value)
    monkeypatch.setattr(readme, "convert", lambda notebook: ("new", {"out": b"new"}))
    readme.main(check=False)


def write_labels(folder, monkeypatch):
    script = runpy.run_path(str(ROOT / "data" / "make_emoji_labels.py"))
    script["main"].__globals__.update(TARGET=folder / "out", labels=lambda archive: ["new"])
    monkeypatch.setattr("sys.argv", ["make_emoji_labels.py", "archive.tgz"])
    script["main"]()


def write_screenshot(folder, monkeypatch):
    screenshots = pytest.importorskip("screenshots")
    (folder / "a-light.png").symlink_to(folder / "out")  # the name is the tool's
    monkeypatch.setattr(screenshots, "TARGET", folder)
    monkeypatch.setattr(screenshots, "shot", lambda *rest: Image.new("P", (2, 2)))
    monkeypatch.setattr(screenshots, "sync_playwright", MagicMock())
    monkeypatch.setattr(screenshots.live, "chromium", lambda: "chromium")
    monkeypatch.setattr(screenshots.live, "write", lambda *rest: ["a"])
    screenshots.main(["a"])


def write_strip(folder, monkeypatch):
    monkeypatch.setattr(gan_ablation, "evaluate", lambda *rest: {"seen": {}})
    monkeypatch.setattr(gan_ablation, "picture_diversity", lambda *rest, **more: lambda learner: 0.5)
    (folder / "out.png").symlink_to(folder / "out")
    gan_ablation.measured(tiny_gan().model, 1, folder / "out.png")


WRITERS = [
    *(write_notebook, write_readme, write_picture_of_readme, write_labels, write_screenshot),
    write_strip,
]


@pytest.mark.parametrize("write", WRITERS)
def test_what_a_tool_writes_over_stays_when_the_disk_is_full(tmp_path, monkeypatch, write):
    (tmp_path / "out").write_bytes(b"old")

    def full(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write(tmp_path, monkeypatch)
    assert (tmp_path / "out").read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".part")] == []


def test_no_link_with_the_name_of_a_temporary_file_is_followed(tmp_path):
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / f".out.{os.getpid()}").symlink_to(tmp_path / "theirs")
    write_notebook(tmp_path, None)
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


def test_no_tool_writes_a_file_in_place():
    "All go through write_atomic; the docs are built in a folder of their own first."
    in_place = re.compile(
        r"\.write_(text|bytes)\(|\bopen\([^)]*[\"'][wx]b?[\"']|\.save\((?!buffer|TARGET|\))"
    )
    tools = [*(ROOT / "tools").glob("*.py"), *(ROOT / "data").glob("*.py")]
    found = {tool.name: in_place.findall(tool.read_text(encoding="utf-8")) for tool in tools}
    assert len(found) > 10 and [name for name in found if found[name]] == ["docs.py"]


def test_a_failing_cell_leaves_the_notebook_alone(notebook):
    broken = nbs.read(notebook)
    broken.cells.append(new_code_cell("1 / 0"))
    nbformat.write(broken, notebook)
    before = notebook.read_bytes()
    found = tool("run", notebook)
    assert found.exit_code == 1 and "ZeroDivisionError" in found.output
    assert notebook.read_bytes() == before


def test_size_has_a_limit(notebook):
    assert tool("size", notebook).exit_code == 0
    notebook.write_text(notebook.read_text() + " " * nbs.SIZE_LIMIT)
    assert tool("size", notebook).exit_code == 1


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("loss 0.512", "loss 0.513", True),
        ("loss 0.512", "loss 0.525", False),
        ("12 of 64", "13 of 64", False),
        ("1.000e-03", "1.001e-03", True),
        ("-0.2", "0.9", False),
        ("<T at 0x7f01>", "<T at 0x7f02>", True),
        ("a red heart", "a blue heart", False),
        ("1.0", "1.0 2.0", False),
    ],
)
def test_texts_are_compared_as_a_reader_would(old, new, same):
    assert nbs.same_text(old, new) is same


@pytest.mark.parametrize(
    ("mark", "said", "differs"),
    [
        ("", "distance 0.59, won", True),
        ("#| chaotic\n", "distance 0.59, won", False),
        ("#| chaotic\n", "distance 0.63, lost", True),
    ],
)
def test_of_a_chaotic_cell_the_words_count(mark, said, differs):
    old, new = (
        new_code_cell(f"{mark}play()", outputs=[new_output("stream", text=t)])
        for t in ("distance 0.63, won", said)
    )
    assert (nbs.difference(old, new) is not None) is differs


def test_readme_keeps_text_code_and_pictures():
    picture = new_output("display_data", data={"image/png": "aGVhcnQ=", "text/plain": "<Figure>"})
    cells = [
        new_markdown_cell(
            "See [scenes](01_world/01_scenes.ipynb), [data](../data/NOTICE), [docs](https://a.b/c).\n\nTwo hearts."
        ),
        new_code_cell("#| hide\nsecret()"),
        new_code_cell("#| fast\ndraw()", id="hearts", outputs=[picture]),
        new_code_cell("print(1)", outputs=[new_output("stream", name="stdout", text="1\n")]),
    ]
    text, pictures = readme.convert(new_notebook(cells=cells))
    assert "[scenes](nbs/01_world/01_scenes.ipynb), [data](data/NOTICE), [docs](https://a.b/c)" in text
    assert "```python\ndraw()\n```" in text and "secret" not in text and "#|" not in text
    assert "![Two hearts.](nbs/images/hearts-0.png)" in text
    assert pictures == {"nbs/images/hearts-0.png": b"heart"}
    assert text.endswith("```\n1\n```\n")


def test_readme_shows_a_picture_at_its_width_with_its_own_words():
    facts = {"alt": 'A "heart"', "width": 300, "height": 100}
    picture = new_output("display_data", data={"image/png": "aGVhcnQ="}, metadata={"image/png": facts})
    cells = [new_markdown_cell("Text."), new_code_cell("draw()", id="hearts", outputs=[picture])]
    cells[1].metadata["jupyter"] = {"source_hidden": True}
    text, _ = readme.convert(new_notebook(cells=cells))
    assert '<img src="nbs/images/hearts-0.png" alt="A &quot;heart&quot;" width="300">' in text
    assert "draw()" not in text, "hidden here as in JupyterLab"


@pytest.mark.parametrize("name", sorted(weights.MODELS))
def test_every_round_has_a_name_and_words_for_the_card(name):
    shipped = weights.MODELS[name]
    for preset in shipped.configs:
        rounds = shipped.rounds(preset)
        assert rounds and all(stage in shipped.words for stage, _ in rounds)
        assert [config for _, config in rounds] == list(shipped.configs[preset])


def test_the_model_of_64_pixels_is_the_other_one_with_patches_and_twice_the_noise():
    small, large = (weights.MODELS[name].configs for name in ("shapes-diffusion", "shapes-diffusion-64"))
    for preset in small:
        for one, two in zip(small[preset], large[preset], strict=True):
            with torch.device("meta"):
                models = [config.new_model() for config in (one, two)]
            tokens = [model.denoiser.network.middle.size for model in models]
            assert tokens[0] == tokens[1] and models[0].layout_size == models[1].layout_size
            assert two.config["side"] == 64 and two.tokenizer == one.tokenizer
            seeded = [torch.Generator().manual_seed(0) for _ in models]
            levels = [config.sigmas(16, g) for config, g in zip((one, two), seeded, strict=True)]
            assert torch.allclose(levels[1], 2 * levels[0])
            assert [(2 * w, 2 * h) for w, h in one.mix.windows] == [*two.mix.windows]


@pytest.mark.parametrize("name", sorted(weights.MODELS.keys() - {"shapes-captioner"}))
@pytest.mark.trains
def test_weights_are_trained_measured_and_written(name, tmp_path, monkeypatch, capsys):
    "The script that makes what ships, at smoke: both rounds where there are two, logs, a card, and a model that loads."
    monkeypatch.setattr(weights, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(weights, "OPENED", tmp_path / "opened.jsonl")
    weights.main(
        [name], preset="smoke", last=False, train_it=True, prompts_per_task=1, replace=True, threads=0
    )
    folder = tmp_path / "weights" / f"{name}-smoke"
    rounds = [stage for stage, _ in weights.MODELS[name].rounds("smoke")]
    reads = name != "shapes-stable"  # which begins with two models that can read
    assert {f"{stage}.jsonl" for stage in ["reading"] * reads + rounds} <= {
        f.name for f in folder.iterdir()
    }
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert ("learned to read" in card) == reads and all(
        weights.MODELS[name].words[stage] in card for stage in rounds
    )
    assert len(load(str(folder))("a red heart", seed=1).images) == 1
    assert read_card(folder)["sha256"] == weights.fingerprint(folder / "model.safetensors")
    assert (
        "edition 1 of the test once, with these weights once. " in card
        and "On the test prompts, edition 1, one" in card
    )
    opened = [json.loads(line) for line in (tmp_path / "opened.jsonl").read_text().splitlines()]
    assert [(row["sha256"], row["edition"], row["reason"]) for row in opened] == [
        (read_card(folder)["sha256"], 1, f"the card of {name}-smoke")
    ]
    weights.main(
        [name], preset="smoke", last=False, train_it=True, prompts_per_task=1, replace=False, threads=0
    )
    assert f"{name}-smoke: these weights ship already." in capsys.readouterr().out
    assert (folder / "README.md").read_text(encoding="utf-8") == card


@pytest.mark.trains
def test_a_model_that_is_no_better_does_not_hold_up_the_next(tmp_path, monkeypatch, capsys):
    "And what is measured is what the file holds: numbers in half precision."
    pipes, exact = {"shapes-gan": tiny_gan(), "shapes-diffusion": tiny_pipeline()}, []

    def evaluate(pipe, *arguments, **options):
        exact.append(all(torch.equal(p, p.half().float()) for p in pipe.model.parameters()))
        return score.evaluate(pipe, *arguments, **options)

    monkeypatch.setattr(weights, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(weights, "OPENED", tmp_path / "opened.jsonl")
    monkeypatch.setattr(weights, "train_rounds", lambda shipped, name, *rest: pipes[name])
    monkeypatch.setattr(weights, "evaluate", evaluate)
    tiny_gan().save_pretrained(tmp_path / "weights" / "shapes-gan-smoke", torch.bfloat16)
    write_card(tmp_path / "weights" / "shapes-gan-smoke", {"license": "mit"}, "# All right")
    with pytest.raises(SystemExit, match=r"no better than what is there: shapes-gan-smoke$"):
        weights.main(
            [*pipes],
            preset="smoke",
            last=False,
            train_it=True,
            prompts_per_task=1,
            replace=False,
            threads=0,
        )
    assert (
        "it stays in" in capsys.readouterr().out
        and (tmp_path / "runs" / "shapes-gan-smoke" / "made" / "config.json").is_file()
    )
    kept, written = (tmp_path / "weights" / f"{name}-smoke" for name in pipes)
    assert "All right" in (kept / "README.md").read_text(encoding="utf-8")
    facts = read_card(written)
    assert facts["scores"]["model"] == written.name and facts["sha256"] == weights.fingerprint(
        written / "model.safetensors"
    )
    assert exact == [True, False] + [True] * (len(weights.MODELS["shapes-diffusion"].choices) + 1), (
        "what is there is measured as it is: a GAN beside the other, then settings, and the winner again"
    )
    assert not all(
        torch.equal(p, p.half().float()) for p in pipes["shapes-diffusion"].model.parameters()
    )


def test_a_new_model_is_measured_on_an_edition_of_its_own(tmp_path, monkeypatch):
    "Which is opened after everything is chosen on validation, and has to be there before the training."
    script = runpy.run_path(str(ROOT / "data" / "make_prompts.py"))
    for validation in (False, True):
        script["main"](2, validation=validation, per_task=2, out=tmp_path / "prompts")
    shipped, asked = captions.data_path, []
    monkeypatch.setattr(
        captions, "data_path", lambda name: tmp_path / name if name == "prompts" else shipped(name)
    )

    def evaluate(pipe, count, sets, **options):
        asked.append((sets, options["edition"], (tmp_path / "opened.jsonl").is_file()))
        return score.evaluate(pipe, count, sets, **options)

    def full_report(pipe, count, **options):
        asked.append((options["validation"], options["edition"], (tmp_path / "opened.jsonl").is_file()))
        return comparisons.full_report(pipe, count, **options)

    monkeypatch.setattr(weights, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(weights, "OPENED", tmp_path / "opened.jsonl")
    monkeypatch.setattr(weights, "train_rounds", lambda *rest: tiny_gan())
    monkeypatch.setattr(weights, "evaluate", evaluate)
    monkeypatch.setattr(weights, "full_report", full_report)
    options = {
        "preset": "smoke",
        "last": False,
        "train_it": True,
        "prompts_per_task": 1,
        "replace": False,
        "threads": 0,
    }
    with pytest.raises(ValueError, match="edition 3 of the prompts has no set 'test' here"):
        weights.main(["shapes-gan"], **options, edition=3)
    weights.main(["shapes-gan"], **options, edition=2)
    assert asked == [(("validation", "free"), 2, False), (False, 2, True)]
    folder = tmp_path / "weights" / "shapes-gan-smoke"
    assert read_card(folder)["scores"]["edition"] == 2
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert (
        "edition 2 of the test once, with these weights once. " in card
        and "by the number of their clauses" in card
        and "Open vocabulary: of 600 captions" in card
        and "On the test prompts, edition 2, one" in card
    )


@pytest.mark.trains
def test_the_game_of_pictures_is_watched_for_lost_variety(tmp_path):
    "In the round that plays it, and the watch can look at that model."
    looks, shipped = {}, weights.MODELS["shapes-gan"]
    rounds = shipped.rounds("smoke")
    model = rounds[0][1].pretrain()
    for stage, config in rounds:
        watched = shipped.watch() if stage != weights.STAGES[0] else []
        learner, _ = config.learner(watched, init=model)
        looks[config.adversarial] = [
            c.diversity(learner) for c in learner.callbacks if isinstance(c, weights.GANMonitor)
        ]
        model = weights.train(shipped, stage, config, tmp_path, model)
    assert looks[False] == [] and len(looks[True]) == 1 and 0 <= looks[True][0] < 1


def test_captions_of_a_training_are_found_again():
    (config,) = DIFFUSION_ROUNDS["smoke"]
    trained = weights.trained_captions([config])
    assert set(config.data(0)(config.steps - 1).captions) <= trained
    assert set(config.pretrain_mix.batches(4 * config.batch_size, 8, 1)(0).captions) <= trained
    assert weights.trained_captions([config], steps=1) < trained
    known = config.data(0)(0).captions[0]
    prompts = [Prompt("single", "seen", text, {}) for text in (known, "a drawing of a car")]
    prompts.append(Prompt("count", "c", "four stars", {}))
    shares = weights.unseen_shares(prompts, trained)
    assert shares == {"seen": {"single": 0.5}, "c": {"count": 1.0}}
    assert "single 0.50; in each other split at least 1.00" in weights.describe_unseen(shares)
