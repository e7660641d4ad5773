"The prompt box without a browser: clicks and keys as messages, threads waited for, never slept for."

import ast
import threading
import warnings
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from types import SimpleNamespace

import nbs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ipywidgets import widget as ipywidgets_widget
from PIL import Image
from tiny import tiny_pipeline

from t2i_learn.core.pipeline import load, models, Pipeline
from t2i_learn.core.show import to_image
from t2i_learn.widgets import html, prompt_box as module
from t2i_learn.core.settings import Settings
from t2i_learn.diffusion.settings import DiffusionSettings
from t2i_learn.stable.settings import TwoStageSettings
from t2i_learn.widgets.html import gallery_html, message_html, widget_tree
from t2i_learn.widgets.form import PipelineCall
from t2i_learn.widgets.prompt_box import form_poster, prompt_box

PATIENCE = 60  # seconds that an event may take before the test is called hung
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Sketcher:
    "Stands in for a pipeline: grey pictures, a step at a time, each after `pause(number of the step)`."

    def __init__(self, name="sketcher", steps=5, guidance=2.0, settings_class=DiffusionSettings, **more):
        self.name, self.calls, self.pause = name, [], lambda step: None
        own = {"num_inference_steps": steps, "guidance_scale": guidance, "sampler": "ddim"} | more
        self.settings_class = settings_class
        self.model = SimpleNamespace(config={"sampling": own})

    def trajectory(self, prompt, **call):
        if not prompt.strip():
            raise ValueError("the prompt is empty: say what to draw")
        self.calls.append((prompt, call))
        return self.states(prompt, **call)

    def states(self, prompt, num_images_per_prompt, num_inference_steps=1, **rest):
        for step in range(num_inference_steps):
            self.pause(step)
            yield SimpleNamespace(
                step=step, picture=torch.full((num_images_per_prompt, 3, 4, 4), step / 10)
            )


@pytest.fixture
def open_box():
    "A maker of boxes; they are closed in the end, and nothing of them may go on."
    before, boxes = set(threading.enumerate()), []

    def make(*arguments, **named):
        boxes.append(prompt_box(*arguments, **named))
        return boxes[-1]

    yield make
    for box in boxes:
        box.close()
    assert set(threading.enumerate()) <= before, "no thread is left"
    assert all(part.comm is None for box in boxes for part in widget_tree(box.form)), (
        "widgets are closed"
    )


@pytest.fixture
def hold(open_box):
    "A box whose step number 2 lasts until it is asked to stop, and the event of that step's beginning."
    pipe = Sketcher()
    box, begun = open_box(pipe, "a heart"), threading.Event()

    def pause(step):
        if step == 2 and pipe.calls[-1][0] == "a heart":
            stopped = box.background.stop_event
            begun.set()
            assert stopped.wait(PATIENCE)

    pipe.pause = pause
    return box, begun


@pytest.fixture(scope="module")
def pipe():
    return load("shapes-diffusion", "cpu")


class Tags(HTMLParser):
    "The tags of a page and their attributes."

    def __init__(self, page):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def pictures_of(box):
    "The pictures that the form shows."
    images = [attributes for tag, attributes in Tags(box.fields.gallery.value).found if tag == "img"]
    return [Image.open(BytesIO(b64decode(i["src"].partition(",")[2]))) for i in images]


def values_of(box):
    "The model's own settings, as the form has them."
    return {name: field.value for name, field in box.fields.settings.items()}


def press_enter(field):
    "What the front end sends for Enter in a text field."
    field._handle_custom_msg({"event": "submit"}, [])


def test_drawing_shows_pictures_progress_and_how_it_ended(open_box):
    box = open_box(Sketcher(), "a heart", num_images_per_prompt=3, num_inference_steps=4)
    seen = []
    box.fields.progress.observe(lambda change: seen.append(change.new), "value")
    box.fields.draw.click()
    box.background.wait()
    assert seen == [1, 2, 3, 4] and box.fields.progress.max == 4
    assert "Done in 4 steps" in box.fields.status.value and box.fields.stop.disabled
    assert len(pictures_of(box)) == 3 and "picture 3 of 3" in box.fields.gallery.value
    assert pictures_of(box)[0].getpixel((0, 0)) == to_image(torch.full((3, 1, 1), 0.3)).getpixel((0, 0))


def test_stop_ends_it_within_a_step(hold):
    box, begun = hold
    box.draw()
    assert begun.wait(PATIENCE) and not box.fields.stop.disabled
    box.fields.stop.click()
    box.background.wait()
    assert box.fields.progress.value == 3, "the step that was being taken is the last"
    assert "Stopped after step 3 of 5" in box.fields.status.value and box.fields.stop.disabled
    assert pictures_of(box)


def test_the_newest_request_wins(hold):
    box, begun = hold
    box.draw()
    assert begun.wait(PATIENCE)
    first = box.background.thread
    box.fields.prompt.value = "a star"
    press_enter(box.fields.prompt)
    assert not first.is_alive(), "the older one has ended before the newer begins"
    box.background.wait()
    assert "a star" in box.fields.gallery.value and "a heart" not in box.fields.gallery.value
    assert "Done in 5 steps" in box.fields.status.value


def test_a_request_that_makes_no_sense_is_a_sentence_in_the_form(open_box):
    box = open_box(Sketcher(), "a heart").draw()
    box.background.wait()
    shown = box.fields.gallery.value
    box.fields.prompt.value = "  "
    box.draw()
    assert Tags(box.fields.status.value).text == "The prompt is empty: say what to draw."
    assert ("div", "alert") in [(tag, a.get("role")) for tag, a in Tags(box.fields.status.value).found]
    assert box.fields.gallery.value == shown and not box.background.thread.is_alive()


def test_a_failure_while_drawing_is_a_sentence_too(open_box, capsys):
    pipe = Sketcher()
    box = open_box(pipe, "a heart")

    def break_down(step):
        if step == 1:
            raise RuntimeError("out of memory\nat some address")

    pipe.pause = break_down
    box.draw().background.wait()
    assert (
        Tags(box.fields.status.value).text
        == "Drawing failed, RuntimeError: out of memory at some address."
    )
    assert box.fields.stop.disabled and capsys.readouterr().err == ""
    pipe.pause = lambda step: None
    box.draw().background.wait()
    assert "Done" in box.fields.status.value


def test_messages_of_the_real_model(open_box, pipe):
    box = open_box(pipe, "a red quokka", num_inference_steps=1, num_images_per_prompt=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        box.draw().background.wait()
        assert "'quokka'" in Tags(box.fields.notes.value).text
        box.fields.prompt.value = "a red heart " * 1000
        box.draw()
    text = Tags(box.fields.status.value).text
    assert "letters" in text or (
        "tokens long" in text and "shorten it" in text and "truncation" not in text
    )
    box.fields.prompt.value = "心 ❤️"
    box.draw().background.wait()
    assert "Done" in box.fields.status.value


def test_copy_as_code_draws_the_same_pictures(open_box, pipe):
    box = open_box(
        pipe,
        'a "red" heart',
        negative_prompt="it's blue",
        num_inference_steps=2,
        num_images_per_prompt=2,
        seed=5,
    )
    box.draw().background.wait()
    code = box.call.code
    assert code in Tags(box.fields.code.value).text
    made = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(code, made)
    assert [p.tobytes() for p in made["pictures"]] == [p.tobytes() for p in pictures_of(box)]


def test_code_for_a_model_of_ones_own_loads_nothing():
    code = PipelineCall("mine", "a heart", {"seed": 1}).code
    assert "load" not in code and "pipe(" in code and ast.parse(code)


def test_new_seed_and_bounds(open_box):
    box = open_box(Sketcher(), seed=3)
    box.fields.new_seed.click()
    assert box.fields.seed.value != 3
    steps = box.fields.settings["num_inference_steps"]
    box.fields.seed.value, steps.value = -1, 0
    assert box.fields.seed.value == 0 and steps.value == 1


def test_one_model_has_no_picker_and_several_have(open_box, monkeypatch):
    alone = open_box(Sketcher(next(iter(models("text-to-image")))))
    if len(models("text-to-image")) == 1:
        assert alone.fields.model.layout.display == "none"
    for place in (module, html):
        monkeypatch.setattr(place, "models", lambda kind=None: {"other": {}, "broken": {}})
    other = Sketcher("other", steps=9, guidance=1.5)

    def load(name):
        if name == "broken":
            raise ValueError("its weights are damaged")
        return other

    monkeypatch.setattr(module, "load", load)
    box = open_box(Sketcher(), "a heart")
    assert (
        box.fields.model.options == ("sketcher", "other", "broken")
        and box.fields.model.layout.display is None
    )
    box.fields.model.value = "other"
    assert values_of(box) == {"num_inference_steps": 9, "guidance_scale": 1.5, "sampler": "ddim"}, (
        "its own settings"
    )
    box.draw().background.wait()
    assert len(other.calls) == 1 and "load(&#x27;other&#x27;)" in box.fields.code.value
    box.fields.model.value = "broken"
    assert Tags(box.fields.problem.value).text == "Its weights are damaged."


def test_every_control_has_a_name_and_a_tooltip(open_box):
    box = open_box(Sketcher())
    controls = [
        part
        for part in widget_tree(box.form)
        if hasattr(part, "description") and not part._model_name.startswith("HTML")
    ]
    assert len(controls) == 12
    assert all(control.description and control.tooltip for control in controls)


def test_a_closed_box_gives_up_its_drawing(hold):
    box, begun = hold
    box.draw()
    assert begun.wait(PATIENCE)
    box.close()
    assert not box.background.thread.is_alive()


def test_the_box_shows_a_form_and_keeps_a_picture(open_box):
    box = open_box(Sketcher(), "a heart")
    empty = Image.open(BytesIO(b64decode(box._repr_mimebundle_()["image/png"])))
    bundle = box.draw()._repr_mimebundle_()
    assert not box.background.thread.is_alive(), "it waits for what it shows"
    still = Image.open(BytesIO(b64decode(bundle["image/png"])))
    assert still.height > empty.height and bundle[WIDGET_VIEW]["model_id"] == box.form.model_id
    output = nbs.nbformat.v4.new_output("execute_result", data=bundle)
    assert [list(o.data) for o in nbs.clean_outputs([output])] == [["image/png"]], (
        "what a committed notebook holds"
    )


def test_poster_of_any_prompt():
    call = {"seed": 1, "num_inference_steps": 2, "guidance_scale": 3.0}
    assert (
        form_poster(PipelineCall("m", "心" * 500 + "\n❤️", call)).size
        == form_poster(PipelineCall("m", "", call)).size
    )


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_whatever_is_typed_stays_text(prompt):
    call = PipelineCall("mine", prompt, {"num_images_per_prompt": 1, "seed": 1})
    page = Tags(gallery_html(torch.zeros(1, 3, 2, 2), call.captions) + message_html(prompt))
    assert [tag for tag, _ in page.found] == ["div", "figure", "img", "figcaption", "div"]
    source = ast.parse(call.code).body[-1].value.value
    assert ast.literal_eval(source.args[0]) == prompt


@pytest.mark.parametrize("settings_class", [Settings, DiffusionSettings, TwoStageSettings])
def test_the_form_has_the_settings_of_the_models_family(open_box, settings_class):
    box = open_box(
        Sketcher(settings_class=settings_class, alpha=1.8, refine_from=2.0),
        "a heart",
        negative_prompt="a star",
    )
    described = settings_class.described()
    assert list(box.fields.settings) == list(described)
    for name, info in described.items():
        field = box.fields.settings[name]
        assert info.help[1:] in field.tooltip and field.description
        assert (
            field.options == info.choices
            if info.choices
            else (info.low is None or field.min == info.low) and field.max == info.high
        )
        assert info.above is None or field.min > info.above
    assert (box.fields.negative.layout.display is None) == settings_class.negative_prompts
    box.draw().background.wait()
    ((_, call),) = box.fields and box.pipelines["sketcher"].calls
    assert set(call) == {"num_images_per_prompt", "seed", *described} | (
        {"negative_prompt"} if settings_class.negative_prompts else set()
    )


def test_picking_a_model_of_another_family_leaves_nothing_behind(open_box, monkeypatch):
    other = Sketcher("other", settings_class=TwoStageSettings, alpha=1.8, refine_from=2.0)
    monkeypatch.setattr(module, "models", lambda kind=None: {"other": {}})
    monkeypatch.setattr(module, "load", lambda name: other)
    box = open_box(Sketcher(settings_class=Settings), "a heart", negative_prompt="a star")
    counts = []
    for name in ("other", "sketcher") * 3:
        box.fields.model.value = name
        counts.append(len(ipywidgets_widget._instances))
    assert len(set(counts[::2])) == len(set(counts[1::2])) == 1 and counts[0] > counts[1]
    assert values_of(box) == {} and box.fields.negative.value == "a star", (
        "what was typed is still there"
    )


def test_a_setting_that_the_model_does_not_have_is_refused(open_box):
    with pytest.raises(ValueError, match="alpha"):
        open_box(Sketcher(), alpha=1.5)
    with pytest.raises(ValueError, match="num_inference_steps"):
        open_box(Sketcher(settings_class=Settings), num_inference_steps=5)


@pytest.mark.parametrize("prompt", ["a red \ud800 heart", "\udcff", "a heart " * 5000])
def test_a_prompt_that_cannot_be_encoded_is_a_sentence(open_box, prompt):
    box = open_box(Pipeline(tiny_pipeline().model, "mine"), "a heart", num_inference_steps=1)
    box.fields.prompt.value = prompt
    box.draw()
    text = Tags(box.fields.status.value).text
    assert (
        text.endswith(".")
        and "Error" not in text
        and text.encode()
        and not box.background.thread.is_alive()
    )
    assert box.call.prompt == "a heart", "what was asked for before stands"
    box.fields.negative.value, box.fields.prompt.value = prompt, "a heart"
    box.draw()
    assert Tags(box.fields.status.value).text == text
