"""A process that tries odd inputs, one JSON line each, and says what came of it: python fuzz_server.py KIND FOLDER

The first line that it writes is what a client has to know of the kind. Then, for each line that it reads, one with `said` (a
sentence; empty where the input was taken), `error` (a traceback; empty where there was none), `seconds` and `megabytes` (growth
of the peak memory).
"""

import base64
import json
import math
import os
import resource
import sys
import threading
import time
import traceback
import warnings
from contextlib import suppress
from pathlib import Path

ADDRESS_SPACE = (
    6 * 2**30
)  # bytes on top of what is there once all is loaded: what asks for more gets an error, not the machine


def peak_megabytes():
    "The largest memory of this process since `forget_peak`, or since it began where that cannot be forgotten."
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1e6 if sys.platform == "darwin" else 1000
    )


def forget_peak():
    "Begin to measure the peak anew."
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def real_value(value):
    "What JSON cannot hold, from how a case spells it: {'float': 'nan'}, {'nested': 9}, {'bytes': base64}, {'times': ['ab', 3]}."
    if isinstance(value, list):
        return [real_value(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"float"}:
        return float(value["float"])
    if value.keys() == {"bytes"}:
        return base64.b64decode(value["bytes"])
    if value.keys() == {"times"}:
        what, count = value["times"]
        return real_value(what) * count
    if value.keys() == {"nested"}:
        nest = []
        for _ in range(value["nested"]):
            nest = [nest]
        return nest
    return {name: real_value(one) for name, one in value.items()}


def put(path, what):
    "Put something where a file is wanted: bytes, or a thing of another kind."
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "endless":
        path.symlink_to("/dev/zero")
    elif what == "loop":
        path.symlink_to(path)
    elif what != "nothing":
        path.write_bytes(real_value(what))


def model_folders(folder):
    "A small model of each family, saved: name -> folder."
    from tiny import TINY_MODELS

    folders = {name: folder / name for name in TINY_MODELS}
    for name, make in TINY_MODELS.items():
        make().save_pretrained(folders[name])
    return folders


def draw_quickly(pipe, prompt="a red heart", **call):
    "A picture in as few steps as there can be."
    if "num_inference_steps" in pipe.settings_class.described():
        call = {"num_inference_steps": 1} | call
    return pipe(prompt, **{"seed": 1} | call)


def models_kind(folder):
    "A file of a saved model is another: {'family', 'file', 'content'}."
    from t2i_learn.core.pipeline import load

    folders = model_folders(folder)
    whole = {
        (name, file.name): file.read_bytes() for name, at in folders.items() for file in at.iterdir()
    }

    def attempt(case):
        path = folders[case["family"]] / case["file"]
        put(path, case["content"])
        try:
            draw_quickly(load(path.parent))
        finally:
            put(path, {"bytes": base64.b64encode(whole[case["family"], case["file"]])})

    configs = {name: json.loads(whole[name, "config.json"]) for name in folders}
    weights = {name: base64.b64encode(whole[name, "model.safetensors"]).decode() for name in folders}
    return {"configs": configs, "weights": weights["diffusion"]}, attempt


def tokenizers_kind(folder):
    "A tokenizer's file is another: {'content'}."
    from t2i_learn.text.tokenizer import default_tokenizer, Tokenizer

    def attempt(case):
        put(folder / "tokenizer.json", case["content"])
        tokenizer = Tokenizer.load(folder / "tokenizer.json")
        tokenizer("a red heart", truncation=True)
        tokenizer.decode(range(len(tokenizer)))

    return {"tokenizer": json.loads(default_tokenizer().to_json())}, attempt


def checkpoints_kind(folder):
    "A training's checkpoint is another: {'content'}; it is resumed and goes on for a step."
    import torch
    from torch import nn

    from t2i_learn.core.callbacks import EMA, StopNonFinite
    from t2i_learn.core.checkpoint import Checkpoint, checkpoint_precision
    from t2i_learn.core.learner import Learner

    path = folder / "run.safetensors"

    def learner():
        torch.manual_seed(0)
        layers = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 4)
        return Learner(
            nn.Sequential(*layers),
            lambda number: torch.ones(4, 4) * number,
            lambda model, batch, generator: (model(batch) - batch).square().mean(),
            [Checkpoint(path, every=1000), EMA(0.9), StopNonFinite()],
        )

    learner().fit(3)
    whole = path.read_bytes()

    def attempt(case):
        put(path, case["content"])
        checkpoint_precision(path)
        for _ in learner().run(4):
            pass

    return {"checkpoint": base64.b64encode(whole).decode()}, attempt


def calls_kind(folder):
    "A call of a pipeline: {'family', 'prompt', 'call'}."
    from tiny import TINY_MODELS

    pipes = {name: make() for name, make in TINY_MODELS.items()}

    def attempt(case):
        call = {name: real_value(value) for name, value in case["call"].items()}
        draw_quickly(pipes[case["family"]], real_value(case["prompt"]), **call)

    settings = {name: [*pipe.settings_class.described()] for name, pipe in pipes.items()}
    return {"settings": settings}, attempt


def keys_as_json(keys):
    "A widget's message keys as a client reads them."
    rows = {}
    for name, key in keys.items():
        items = keys_as_json({"": key.items})[""] if key.items else None
        inside = keys_as_json(key.keys) if key.keys else None
        rows[name] = {
            "kind": key.kind.__name__,
            "low": key.low,
            "high": min(key.high, 2**53),
            "choices": key.choices,
            "items": items,
            "keys": inside,
            "longest": key.longest,
            "required": key.required,
        }
    return rows


def make_widgets():
    "One of each widget whose page sends more than settings of its own."
    from tiny import tiny_captioner, tiny_gan, tiny_pipeline, tiny_two_stage

    from t2i_learn.widgets.attention import attention_widget
    from t2i_learn.widgets.describe import describe_widget
    from t2i_learn.widgets.editor import edit_widget
    from t2i_learn.widgets.forward import forward_widget
    from t2i_learn.widgets.gan_lab import gan_lab
    from t2i_learn.widgets.guidance import guidance_widget
    from t2i_learn.widgets.latent_walk import latent_walk
    from t2i_learn.widgets.learned_schedule import schedule_lab
    from t2i_learn.widgets.plane import plane_widget
    from t2i_learn.widgets.reverse import reverse_widget
    from t2i_learn.widgets.two_stage import two_stage_widget

    pipe = tiny_pipeline()
    return {
        "forward": forward_widget(),
        "plane": plane_widget(),
        "gan_lab": gan_lab(),
        "learned_schedule": schedule_lab(),
        "reverse": reverse_widget(pipe),
        "guidance": guidance_widget(pipe),
        "attention": attention_widget(pipe),
        "two_stage": two_stage_widget(tiny_two_stage()),
        "editor": edit_widget(pipe, num_inference_steps=1),
        "describe": describe_widget(tiny_captioner(), pipe=pipe, num_inference_steps=1),
        "latent_walk": latent_walk(tiny_gan().model),
    }


def widgets_kind(folder):
    "A message from a page, or traits that it sets: {'widget', 'message'} or {'widget', 'state'}."
    from t2i_learn.widgets.base import handle_message, Widget

    Widget.send = lambda widget, content, buffers=None: json.dumps(content, allow_nan=False)
    widgets = make_widgets()
    crashed = []
    threading.excepthook = lambda found: crashed.append(
        "".join(traceback.format_exception(found.exc_value))
    )

    def attempt(case):
        widget = widgets[case["widget"]]
        widget.message = ""
        if "state" in case:
            widget.set_state(real_value(case["state"]))
        else:
            handle_message(widget, real_value(case["message"]), [])
        time.sleep(0)
        widget.background.stop()
        widget.background.wait()
        if crashed:
            raise AssertionError(f"in a thread:\n{crashed.pop()}")
        if widget.message:
            if not widget.message.endswith((".", "?")) or "Error" in widget.message:
                raise AssertionError(f"this is no sentence: {widget.message}")
            raise ValueError(widget.message)

    facts = {
        name: {kind: keys_as_json(keys) for kind, keys in widget.requests().items()}
        for name, widget in widgets.items()
    }
    traits = {
        name: [key for key in widget.keys if not key.startswith("_") and key != "message"]
        for name, widget in widgets.items()
    }
    return {"requests": facts, "traits": traits}, attempt


def pictures_kind(folder):
    "A file is opened as a picture: {'content'}; and its facts are read."
    from t2i_learn.core.files import open_image, read_image_facts

    path = folder / "picture"

    def attempt(case):
        put(path, case["content"])
        image = open_image(path)
        if image.mode != "RGB" or image.width * image.height > 2**25:
            raise AssertionError(f"a picture of mode {image.mode} and size {image.size}")
        del image
        read_image_facts(path)

    return {}, attempt


KINDS = {"models": models_kind, "tokenizers": tokenizers_kind, "checkpoints": checkpoints_kind, "calls": calls_kind,
         "widgets": widgets_kind, "pictures": pictures_kind}  # fmt: skip


def outcome(attempt, case):
    "Try one case and say what came of it."
    forget_peak()
    before, began, said, error = peak_megabytes(), time.perf_counter(), "", ""
    try:
        attempt(case)
    except ValueError as sentence:
        said = str(sentence)
        if type(sentence) is not ValueError:  # a codec's, or JSON's, which say nothing to a user
            error = traceback.format_exc()
    except BaseException:
        error = traceback.format_exc()
    seconds, growth = time.perf_counter() - began, peak_megabytes() - before
    return {
        "said": said,
        "error": error,
        "seconds": round(seconds, 3),
        "megabytes": max(0, math.ceil(growth)),
    }


def main(kind, folder):
    "Answer each line of the input until there is none."
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")  # what anything prints goes elsewhere
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    facts, attempt = KINDS[kind](Path(folder))
    print(json.dumps(facts), file=answers, flush=True)
    if Path("/proc/self/status").exists():
        size = int(Path("/proc/self/status").read_text().split("VmSize:")[1].split()[0]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (size + ADDRESS_SPACE, resource.RLIM_INFINITY))
    for line in sys.stdin:
        print(json.dumps(outcome(attempt, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
