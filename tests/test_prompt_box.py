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
from PIL import Image

from t2i_learn.core.pipeline import load, models
from t2i_learn.core.show import to_image
from t2i_learn.studio import prompt_box as studio
from t2i_learn.studio.prompt_box import PipelineCall, gallery_html, message_html, parts, form_poster, prompt_box

PATIENCE = 60  # seconds that an event may take before the test is called hung
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Sketcher:
    "Stands in for a pipeline: grey pictures, a step at a time, each after `pause(number of the step)`."

    def __init__(self, name="sketcher", steps=5, guidance=2.0):
        self.name, self.calls, self.pause = name, [], lambda step: None
        own = {"num_inference_steps": steps, "guidance_scale": guidance, "sampler": "ddim"}
        self.model = SimpleNamespace(config={"sampling": own})

    def trajectory(self, prompt, **call):
        if not prompt.strip():
            raise ValueError("the prompt is empty: say what to draw")
        self.calls.append((prompt, call))
        return self.states(prompt, **call)

    def states(self, prompt, num_inference_steps, num_images_per_prompt, **rest):
        for step in range(num_inference_steps):
            self.pause(step)
            yield SimpleNamespace(step=step, x0_hat=torch.full((num_images_per_prompt, 3, 4, 4), step / 10))


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
    assert all(part.comm is None for box in boxes for part in parts(box.form)), "widgets are closed"


@pytest.fixture
def hold(open_box):
    "A box whose step number 2 lasts until it is told to stop, and the event of that step's beginning."
    pipe = Sketcher()
    box, begun = open_box(pipe, "a heart"), threading.Event()

    def pause(step):
        if step == 2 and pipe.calls[-1][0] == "a heart":
            stopped = box.newest.stopped
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


def press_enter(field):
    "What the front end sends for Enter in a text field."
    field._handle_custom_msg({"event": "submit"}, [])


def test_drawing_shows_pictures_progress_and_how_it_ended(open_box):
    box = open_box(Sketcher(), "a heart", num_images_per_prompt=3, num_inference_steps=4)
    seen = []
    box.fields.progress.observe(lambda change: seen.append(change.new), "value")
    box.fields.draw.click()
    box.newest.wait()
    assert seen == [1, 2, 3, 4] and box.fields.progress.max == 4
    assert "Done in 4 steps" in box.fields.status.value and box.fields.stop.disabled
    assert len(pictures_of(box)) == 3 and "picture 3 of 3" in box.fields.gallery.value
    assert pictures_of(box)[0].getpixel((0, 0)) == to_image(torch.full((3, 1, 1), 0.3)).getpixel((0, 0))


def test_stop_ends_it_within_a_step(hold):
    box, begun = hold
    box.draw()
    assert begun.wait(PATIENCE) and not box.fields.stop.disabled
    box.fields.stop.click()
    box.newest.wait()
    assert box.fields.progress.value == 3, "the step that was being taken is the last"
    assert "Stopped after step 3 of 5" in box.fields.status.value and box.fields.stop.disabled
    assert pictures_of(box)


def test_the_newest_request_wins(hold):
    box, begun = hold
    box.draw()
    assert begun.wait(PATIENCE)
    first = box.newest.thread
    box.fields.prompt.value = "a star"
    press_enter(box.fields.prompt)
    assert not first.is_alive(), "the older one has ended before the newer begins"
    box.newest.wait()
    assert "a star" in box.fields.gallery.value and "a heart" not in box.fields.gallery.value
    assert "Done in 5 steps" in box.fields.status.value


def test_a_request_that_makes_no_sense_is_a_sentence_in_the_form(open_box):
    box = open_box(Sketcher(), "a heart").draw()
    box.newest.wait()
    shown = box.fields.gallery.value
    box.fields.prompt.value = "  "
    box.draw()
    assert Tags(box.fields.status.value).text == "The prompt is empty: say what to draw."
    assert ("div", "alert") in [(tag, a.get("role")) for tag, a in Tags(box.fields.status.value).found]
    assert box.fields.gallery.value == shown and not box.newest.thread.is_alive()


def test_a_failure_while_drawing_is_a_sentence_too(open_box, capsys):
    pipe = Sketcher()
    box = open_box(pipe, "a heart")

    def break_down(step):
        if step == 1:
            raise RuntimeError("out of memory\nat some address")

    pipe.pause = break_down
    box.draw().newest.wait()
    assert Tags(box.fields.status.value).text == "Drawing failed, RuntimeError: out of memory at some address."
    assert box.fields.stop.disabled and capsys.readouterr().err == ""
    pipe.pause = lambda step: None
    box.draw().newest.wait()
    assert "Done" in box.fields.status.value


def test_messages_of_the_real_model(open_box, pipe):
    box = open_box(pipe, "a red quokka", num_inference_steps=1, num_images_per_prompt=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        box.draw().newest.wait()
        assert "'quokka'" in Tags(box.fields.notes.value).text
        box.fields.prompt.value = "a red heart " * 1000
        box.draw()
    text = Tags(box.fields.status.value).text
    assert "tokens long" in text and "shorten it" in text and "overlong" not in text
    box.fields.prompt.value = "心 ❤️"
    box.draw().newest.wait()
    assert "Done" in box.fields.status.value


def test_copy_as_code_draws_the_same_pictures(open_box, pipe):
    box = open_box(pipe, 'a "red" heart', negative_prompt="it's blue", num_inference_steps=2, num_images_per_prompt=2, seed=5)
    box.draw().newest.wait()
    code = box.request.code
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
    box.fields.seed.value, box.fields.steps.value = -1, 0
    assert box.fields.seed.value == 0 and box.fields.steps.value == 1


def test_one_model_has_no_picker_and_several_have(open_box, monkeypatch):
    alone = open_box(Sketcher(next(iter(models()))))
    if len(models()) == 1:
        assert alone.fields.model.layout.display == "none"
    monkeypatch.setattr(studio, "models", lambda: {"other": {}, "broken": {}})
    other = Sketcher("other", steps=9, guidance=1.5)

    def load(name):
        if name == "broken":
            raise ValueError("its weights are damaged")
        return other

    monkeypatch.setattr(studio, "load", load)
    box = open_box(Sketcher(), "a heart")
    assert box.fields.model.options == ("sketcher", "other", "broken") and box.fields.model.layout.display is None
    box.fields.model.value = "other"
    assert (box.fields.steps.value, box.fields.guidance.value) == (9, 1.5), "its own settings"
    box.draw().newest.wait()
    assert len(other.calls) == 1 and "load(&#x27;other&#x27;)" in box.fields.code.value
    box.fields.model.value = "broken"
    assert Tags(box.fields.status.value).text == "Its weights are damaged."


def test_every_control_has_a_name_and_a_tooltip(open_box):
    box = open_box(Sketcher())
    controls = [part for part in parts(box.form) if hasattr(part, "description") and not part._model_name.startswith("HTML")]
    assert len(controls) == 11
    assert all(control.description and control.tooltip for control in controls)


def test_a_closed_box_gives_up_its_drawing(hold):
    box, begun = hold
    box.draw()
    assert begun.wait(PATIENCE)
    box.close()
    assert not box.newest.thread.is_alive()


def test_the_box_shows_a_form_and_keeps_a_picture(open_box):
    box = open_box(Sketcher(), "a heart")
    empty = Image.open(BytesIO(b64decode(box._repr_mimebundle_()["image/png"])))
    bundle = box.draw()._repr_mimebundle_()
    assert not box.newest.thread.is_alive(), "it waits for what it shows"
    still = Image.open(BytesIO(b64decode(bundle["image/png"])))
    assert still.height > empty.height and bundle[WIDGET_VIEW]["model_id"] == box.form.model_id
    output = nbs.nbformat.v4.new_output("execute_result", data=bundle)
    assert [list(o.data) for o in nbs.clean_outputs([output])] == [["image/png"]], "what a committed notebook holds"


def test_poster_of_any_prompt():
    call = {"seed": 1, "num_inference_steps": 2, "guidance_scale": 3.0}
    assert form_poster(PipelineCall("m", "心" * 500 + "\n❤️", call)).size == form_poster(PipelineCall("m", "", call)).size


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_whatever_is_typed_stays_text(prompt):
    request = PipelineCall("mine", prompt, {"num_images_per_prompt": 1, "seed": 1})
    page = Tags(gallery_html(torch.zeros(1, 3, 2, 2), request.captions) + message_html(prompt))
    assert [tag for tag, _ in page.found] == ["div", "figure", "img", "figcaption", "div"]
    call = ast.parse(request.code).body[-1].value.value
    assert ast.literal_eval(call.args[0]) == prompt
