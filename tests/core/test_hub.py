"Models of the hub: a card as the hub reads it, uploads that are replaced, downloads from a server on this machine."

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub import ModelCard
from places import ROOT, offline
from tiny import tiny_folder, tiny_pipeline

from t2i_learn.core.files import read_text
from t2i_learn.core.pipeline import complete_card, load, models, Pipeline, read_card, write_card
from t2i_learn.core.settings import fetch_folder, model_folder

FAMILY = {"family": "diffusion"}


def parsed(folder):
    "A card as the hub's own library reads it."
    return ModelCard.load(folder / "README.md").data


def test_the_card_of_a_shipped_model_is_one_of_the_hub(tmp_path):
    name, facts = next(iter(models("text-to-image").items()))
    facts = {key: facts[key] for key in ("license", "scores")}
    write_card(tmp_path, complete_card(name, FAMILY, facts), "# A model")
    card = parsed(tmp_path)
    assert (card.pipeline_tag, card.library_name, card.license) == ("text-to-image", "t2i_learn", "mit")
    assert card.tags == ["text-to-image", "diffusion"] and card.model_name == name
    found = {row.dataset_name: row.metric_value for row in card.eval_results}
    assert found["prompts for shapes, seen"] == facts["scores"]["seen"]["mean"]
    assert found["prompts for shapes, b"] == facts["scores"]["held_out"]["b"]["mean"]


def test_errors_of_held_out_pictures_are_results_too(tmp_path):
    row = {"step": 7, "own": 0.1, "other": 0.3, "none": 0.2}
    write_card(tmp_path, complete_card("mine", FAMILY, {"validation": row}), "# Mine")
    metrics = {
        row.metric_name: (row.metric_type, row.metric_value) for row in parsed(tmp_path).eval_results
    }
    assert metrics["mse, other caption"] == ("mse", 0.3) and len(metrics) == 3
    assert "model-index" not in complete_card("mine", FAMILY, {"validation": None})
    assert complete_card("mine", FAMILY, {"tags": ["own"]})["tags"] == ["own"], "what a card says stays"


@pytest.mark.parametrize(
    ("family", "task"),
    [("captioner", "image-to-text"), ("contrastive", "zero-shot-image-classification")],
)
def test_other_kinds_have_the_word_of_the_hub(family, task):
    from t2i_learn.core.settings import families

    if family not in families():
        pytest.skip(f"there is no family {family}")
    assert complete_card("m", {"family": family}, {})["pipeline_tag"] == task


def test_an_upload_takes_the_card_and_its_pictures_along(tmp_path, monkeypatch):
    folder = tiny_folder(tmp_path / "mine")
    write_card(
        folder,
        {"license": "mit", "validation": {"own": 1.0, "other": 2.0, "none": 1.5}},
        "![Some.](samples.png)\n\n# Mine\n\n---\n\nof mine",
    )
    (folder / "samples.png").write_bytes(b"a picture")
    (folder / "private.png").write_bytes(b"that the card does not show")
    sent = {}

    def upload_folder(repo_id, folder_path, token):
        sent.update({path.name: path.read_bytes() for path in folder_path.iterdir()})
        sent["card"] = read_card(folder_path)
        sent["text"] = read_text(folder_path / "README.md")
        return "address"

    made = lambda repo, **options: SimpleNamespace(repo_id=f"me/{repo}")
    monkeypatch.setattr(huggingface_hub, "create_repo", made)
    monkeypatch.setattr(huggingface_hub, "upload_folder", upload_folder)
    assert load(folder, "cpu").push_to_hub("mine") == "address"
    assert sent["samples.png"] == b"a picture" and sent["text"].endswith("# Mine\n\n---\n\nof mine\n")
    assert sent["card"]["license"] == "mit" and sent["card"]["model-index"][0]["name"] == "mine"
    assert sent["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert "private.png" not in sent and "sha256" not in sent["card"]
    facts = {"sha256": sha256(sent["model.safetensors"]).hexdigest()}
    write_card(folder, facts, "# Mine")
    load(folder, "cpu").push_to_hub("mine", torch.float16)
    assert sent["card"]["sha256"] == sha256(sent["model.safetensors"]).hexdigest() != facts["sha256"]


def test_a_model_in_the_folder_where_one_is_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tiny_folder(tmp_path / "tiny"))
    assert load(".", "cpu").name == "tiny"


@pytest.mark.parametrize("name", ["a" * 5000, "a/" + "b" * 5000, 5, None, b"tiny"])
def test_what_cannot_be_a_name_is_a_sentence(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for door in (load, Pipeline.from_pretrained):
        with pytest.raises(
            ValueError, match=r"there is no|is not a model's folder|a model is called by"
        ):
            door(name)


@pytest.mark.parametrize("error", [OSError, type("ConnectError", (Exception,), {})])
def test_an_upload_that_fails_is_a_sentence(monkeypatch, error):
    def refuse(repo, **options):
        raise error("401")

    monkeypatch.setattr(huggingface_hub, "create_repo", refuse)
    with pytest.raises(ValueError, match=r"the upload to me/tiny failed .*the login"):
        tiny_pipeline().push_to_hub("me/tiny")


def test_without_the_library_there_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"an upload needs a library: pip install 't2i_learn\[hub\]'"):
        tiny_pipeline().push_to_hub("tiny")
    with pytest.raises(ValueError, match=r"there is no folder someone/tiny here, .*t2i_learn\[hub\]"):
        load("someone/tiny")


def test_what_is_a_folder_is_never_looked_for_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_folder(tmp_path / "someone" / "tiny")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # it would be an error to ask
    assert model_folder("someone/tiny") == fetch_folder("someone/tiny")
    assert str(fetch_folder("./else/where")) == "else/where", "a path is no name of the hub"


@contextmanager
def hub_of(folder, name):
    "A server that answers as the hub does, with one model."
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    commit = "c" * 40
    facts = {"id": name, "sha": commit, "siblings": [{"rfilename": file} for file in files]}
    listed = [
        {"type": "file", "path": file, "size": len(data), "oid": sha256(data).hexdigest()}
        for file, data in files.items()
    ]
    asked = []

    class Answers(BaseHTTPRequestHandler):
        def log_message(self, *_):
            "Say nothing."

        def do_HEAD(self):
            self.answer(False)

        def do_GET(self):
            self.answer(True)

        def answer(self, with_body):
            path = self.path.split("?")[0]
            asked.append(path)
            file = path.rsplit("/", 1)[-1]
            if path.startswith(f"/api/models/{name}/tree/"):
                status, body = 200, json.dumps(listed).encode()
            elif path.startswith(f"/api/models/{name}"):
                status, body = 200, json.dumps(facts).encode()
            elif path == f"/{name}/resolve/{commit}/{file}" and file in files:
                status, body = 200, files[file]
            else:
                status, body = 404, b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", commit)
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def in_new_process(code, endpoint, cache):
    "Run Python with the hub at an address of this machine."
    environment = offline(ROOT) | {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0"}
    environment["HF_HUB_DISABLE_TELEMETRY"] = "1"
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )


def test_a_model_of_the_hub_is_downloaded_once_and_draws(tmp_path):
    folder = tiny_folder(tmp_path / "tiny")
    (folder / "notes.bin").write_bytes(b"not needed")
    code = (
        "import t2i_learn; pipe = t2i_learn.load('someone/tiny', 'cpu');"
        "print(pipe.name, pipe('a red heart', seed=1, num_inference_steps=1, output_type='pt').images.sum().item())"
    )
    with hub_of(folder, "someone/tiny") as (endpoint, asked):
        done = in_new_process(code, endpoint, tmp_path / "cache")
        assert done.returncode == 0, done.stderr
        assert not any("notes.bin" in path for path in asked), "only what a model consists of"
    name, total = done.stdout.split()
    drawn = load(folder, "cpu")("a red heart", seed=1, num_inference_steps=1, output_type="pt").images
    assert name == "someone/tiny" and torch.isclose(drawn.sum(), torch.tensor(float(total)), atol=1e-3)


def test_a_name_that_the_hub_does_not_know_is_a_sentence(tmp_path):
    code = (
        "import t2i_learn\ntry: t2i_learn.load('someone/else')\nexcept ValueError as error: print(error)"
    )
    with hub_of(tiny_folder(tmp_path / "tiny"), "someone/tiny") as (endpoint, _):
        done = in_new_process(code, endpoint, tmp_path / "cache")
    assert (
        "there is no folder someone/else here, and no such model can be had from the hub" in done.stdout
    )


CARD = """---
license: mit
library_name: t2i_learn
date: 2026-11-30
tags:
  - text-to-image
model-index:
  - name: mine
    results: []
---
# Mine

---

of mine
"""


def test_a_card_that_was_edited_on_the_hub_is_yaml_and_is_read(tmp_path):
    folder = tiny_folder(tmp_path / "mine")
    (folder / "README.md").write_text(CARD)
    facts = read_card(folder)
    assert facts["license"] == "mit" and facts["tags"] == ["text-to-image"]
    assert facts["date"] == "2026-11-30" and facts["model-index"][0]["results"] == []
    write_card(folder, facts, "# Mine")
    assert read_card(folder) == facts
    (folder / "README.md").write_text("# Mine\n\nA text\n---\nwithout facts\n")
    assert read_card(folder) == {}, "lines further down are none of its facts"


@pytest.mark.parametrize(
    "front",
    [
        "a: [1",
        "a: &a [1]\nb: [*a, *a]",
        "a: !!python/object:os.system {}",
        "- 1",
        "- " * 70_000,
        "a" * 2**18,
    ],
)
def test_yaml_that_is_none_or_could_grow_is_a_sentence(tmp_path, front):
    (tmp_path / "README.md").write_text(f"---\n{front}\n---\n# Mine\n")
    with pytest.raises(ValueError, match=r"^the card [^\n]* is damaged: [^\n]+$"):
        read_card(tmp_path)
