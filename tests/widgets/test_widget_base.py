"What all widgets share, without a browser: what a page may send, the page that is kept, clean-up."

import itertools
import math
import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tiny import tiny_captioner, tiny_gan, tiny_pipeline
from traitlets import Bytes, Float, Int, TraitError
from widget_tools import check_nothing_is_left, page_sends

from t2i_learn.diffusion.points import PointDenoiser
from t2i_learn.widgets.attention import attention_widget
from t2i_learn.widgets.base import (
    check_message,
    handle_message,
    MessageKey,
    still_picture,
    Widget,
    widget_snapshot,
)
from t2i_learn.widgets.describe import describe_widget
from t2i_learn.widgets.editor import edit_widget
from t2i_learn.widgets.explorer import SceneExplorer
from t2i_learn.widgets.forward import ForwardProcessWidget, forward_widget
from t2i_learn.widgets.gan_lab import gan_lab
from t2i_learn.widgets.guidance import guidance_widget
from t2i_learn.widgets.latent_walk import latent_walk
from t2i_learn.widgets.learned_schedule import schedule_lab
from t2i_learn.widgets.plane import plane_widget, PlaneDiffusionWidget
from t2i_learn.widgets.prompt_box import prompt_box
from t2i_learn.widgets.reverse import reverse_widget
from t2i_learn.widgets.stable_distribution import stable_distribution_widget
from t2i_learn.widgets.stable_forward import StableForwardWidget


@pytest.mark.parametrize(
    "make",
    [lambda: forward_widget(), lambda: plane_widget("moons", PointDenoiser())],
    ids=["forward", "plane"],
)
def test_exported_page_is_whole_and_asks_no_one(tmp_path, make):
    widget = make()
    text = Path(widget.export_html(tmp_path / "page.html")).read_text(encoding="utf-8")
    assert "http" not in text.replace("http://www.w3.org/", "")
    assert text.count("</script>") == 1 and not re.search(
        r"^\s*import\b", text.split("<script")[1], re.MULTILINE
    )
    assert len(text) < 400_000
    state = widget_snapshot(widget)["state"]
    assert sum(len(str(value)) for value in state.values()) < 32_000, (
        "traits hold little, pictures are messages"
    )
    widget.close()


def test_a_committed_notebook_keeps_the_poster(item):
    widget = ForwardProcessWidget([item])
    bundle = widget._repr_mimebundle_()
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= set(bundle)
    widget.close()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGBA", (8, 8), (255, 0, 0, 0)), (255, 255, 255)),
        (Image.fromarray(np.full((8, 8), 257 * 100, dtype=np.uint16)), (100, 100, 100)),
        (Image.fromarray(np.full((8, 8), 0.5, dtype=np.float32)), (128, 128, 128)),
    ],
)
def test_a_still_picture_shows_pictures_as_they_are_meant(image, expected):
    assert still_picture("", [image], [""]).getpixel((16, 38)) == expected


def test_a_still_picture_shows_a_phone_s_picture_upright():
    image = Image.new("RGB", (800, 100))
    image.getexif()[0x0112] = 6
    assert still_picture("", [image], [""]).size == (640, 62 + 800)


@pytest.mark.parametrize(
    "make",
    [lambda item: ForwardProcessWidget([item]), lambda item: PlaneDiffusionWidget()],
    ids=["forward", "plane"],
)
def test_two_hundred_leave_nothing_behind(item, make):
    check_nothing_is_left(lambda: make(item))


# ---- messages that no page of ours sends ----

NESTED: list = []
for _ in range(300):
    NESTED = [NESTED]
HUGE = 10**300
MAKERS = {
    "forward": lambda item: ForwardProcessWidget([item]),
    "plane": lambda item: PlaneDiffusionWidget(),
    "reverse": lambda item: reverse_widget(tiny_pipeline()),
    "guidance": lambda item: guidance_widget(tiny_pipeline()),
    "attention": lambda item: attention_widget(tiny_pipeline()),
    "editor": lambda item: edit_widget(tiny_pipeline(), num_inference_steps=1),
    "describe": lambda item: describe_widget(
        tiny_captioner(), pipe=tiny_pipeline(), num_inference_steps=1
    ),
}
MESSAGES = {
    "all": [7, None, [], "ready", {}, {"type": None}, {"type": NESTED}, {"type": "boom"}, {"type": {}}, {"type": "ready", "view": 3},
            {"type": "ready", "view": "v" * 99}, {"type": "ready", "extra": 1}],
    "forward": [{"type": "scene", "seed": 1}],
    "plane": [{"type": "train"}, {"type": "train", "data": "moons"}, {"type": "train", "data": "spiral", "points": []},
              {"type": "train", "data": 3, "points": []}, {"type": "train", "data": "drawing", "points": NESTED},
              {"type": "train", "data": "drawing", "points": [[1, 2, 3]]}, {"type": "train", "data": "drawing", "points": [[1]]},
              {"type": "train", "data": "drawing", "points": [[HUGE, 0]]}, {"type": "train", "data": "drawing", "points": [[float("nan"), 0]]},
              {"type": "train", "data": "drawing", "points": [[0, 0]] * 100_000}, {"type": "train", "data": "drawing", "points": "ab"}],
    "reverse": [{"type": "draw"}, {"type": "draw", "which": "abc"}, {"type": "draw", "which": ["a"]}, {"type": "draw", "which": "a", "a": []},
                {"type": "draw", "which": "a", "a": {}}, {"type": "draw", "which": "a", "a": {"prompt": 3}},
                {"type": "draw", "which": "a", "a": {"prompt": "a heart", "seed": NESTED}}, {"type": "draw", "which": "a", "a": {"prompt": "a heart", "model": "x"}},
                {"type": "draw", "which": "a", "a": {"prompt": "a heart", "seed": HUGE}}, {"type": "draw", "which": "a", "a": {"prompt": "\ud800"}},
                {"type": "draw", "which": "a", "a": {"prompt": "h" * 1_000_000}}, {"type": "draw", "which": "a", "a": {"prompt": "a heart", "num_inference_steps": 1e9}},
                {"type": "draw", "which": "a", "a": {"prompt": "a heart", "guidance_scale": float("inf")}}, {"type": "draw", "which": "a", "a": {"prompt": "a heart", "seed": True}},
                {"type": "fork"}, {"type": "fork", "step": -1}, {"type": "fork", "step": "0"}, {"type": "fork", "step": HUGE}, {"type": "fork", "step": 0.5}],
    "guidance": [{"type": "inspect"}, {"type": "inspect", "column": 0}, {"type": "inspect", "column": None, "step": 0}, {"type": "inspect", "column": HUGE, "step": HUGE},
                 {"type": "draw", "form": "x"}, {"type": "draw", "form": {"prompt": "a heart", "scales": NESTED}}],
    "attention": [{"type": "inspect"}, {"type": "inspect", "step": [1]}, {"type": "inspect", "step": -HUGE}, {"type": "draw", "form": {"seed": 1}}],
    "describe": [{"type": "replace"}, {"type": "replace", "index": 0, "token": 1}, {"type": "replace", "index": HUGE, "token": 1}, {"type": "open", "name": "x"},
                 {"type": "undo"}, {"type": "redo"}, {"type": "look_at_drawn"}, {"type": "paint", "by": ""}, {"type": "describe", "caption_style": "long"}, {"type": "read", "form": {"prompt": 3}}],
    "editor": [{"type": "mask"}, {"type": "mask", "mask": "00", "by": ""}, {"type": "mask", "mask": "é" * 256, "by": ""}, {"type": "mask", "mask": NESTED, "by": ""},
               {"type": "open", "name": "x"}, {"type": "open", "name": 3}, {"type": "undo"}, {"type": "redo"}, {"type": "keep"}, {"type": "use_found"},
               {"type": "draw", "strength": 2}, {"type": "draw", "method": "magic"}, {"type": "new", "form": {"prompt": 3}}],
}  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
def test_a_message_that_no_page_sends_is_a_sentence_and_does_nothing(item, keep, sent, name, capsys):
    widget = keep(MAKERS[name](item))
    before = {key: value for key, value in widget.get_state().items() if key != "message"}
    for content in (*MESSAGES["all"], *MESSAGES[name]):
        widget.message = ""
        handle_message(widget, content, [])
        assert (
            widget.message.endswith(".") and "\n" not in widget.message and len(widget.message) < 400
        ), content
        assert "Error" not in widget.message, widget.message
        assert not widget.background.thread.is_alive()
    after = {key: value for key, value in widget.get_state().items() if key != "message"}
    assert {key: value for key, value in after.items() if value != before[key]}.keys() <= {
        "a",
        "form",
    }, "only a form that the pipeline refused"
    assert sent == [] and capsys.readouterr().err == ""


@pytest.mark.parametrize("name", MAKERS)
def test_what_a_page_has_set_is_not_echoed(item, name, monkeypatch):
    widget = MAKERS[name](item)
    sent: list = []
    monkeypatch.setattr(widget, "_send", lambda content, buffers=None: sent.append(content))
    own = [key for key in widget.keys if not key.startswith("_") and key not in ("layout", "tooltip")]
    assert "code" in own
    widget.set_state({key: getattr(widget, key) for key in own})
    assert [message for message in sent if message["method"] == "echo_update"] == []
    monkeypatch.undo()
    widget.close()


@pytest.mark.parametrize(("key", "good", "bad"), [
    (MessageKey(bool), [True, False], [0, 1, "true", None]),
    (MessageKey(int, 0, 5), [0, 5], [-1, 6, True, 2.0, "3", HUGE]),
    (MessageKey(float, 0, 5), [0, 2.5, 5], [-0.1, float("nan"), float("inf"), False, "3"]),
    (MessageKey(str, longest=3), ["", "abc", "心"], ["abcd", 3, b"abc", "\ud800"]),
    (MessageKey(str, choices=("a", "b")), ["a", "b"], ["", "ab", 1]),
    (MessageKey(list, longest=2, shortest=1, items=MessageKey(int)), [[1], [1, 2]], [[], [1, 2, 3], ["1"], [[1]], (1,), "12"]),
    (MessageKey(dict, keys={"x": MessageKey(int), "y": MessageKey(int, required=False)}), [{"x": 1}, {"x": 1, "y": 2}], [{}, {"y": 1}, {"x": 1, "z": 1}, {"x": "1"}, [], None]),
])  # fmt: skip
def test_a_key_takes_what_it_says(key, good, bad):
    for value in good:
        check_message({"type": "ask", "value": value}, {"ask": {"value": key}})
    for value in bad:
        with pytest.raises(ValueError, match=r"the page sent what this widget cannot use: .*value"):
            check_message({"type": "ask", "value": value}, {"ask": {"value": key}})


class Counter(Widget):
    "Has a number and some bytes."

    script_override = "export default { render() {} };"
    count = Int(3, min=0).tag(sync=True)
    pixels = Bytes(b"abc").tag(sync=True)


@pytest.mark.parametrize(
    "state", [{"count": "many"}, {"count": -1}, {"count": NESTED}, {"count": None}, {"pixels": 7}]
)
def test_a_trait_that_a_page_cannot_set_is_a_sentence(keep, state, capsys):
    widget = keep(Counter())
    widget.set_state(state)
    assert (widget.count, widget.pixels) == (3, b"abc")
    assert (
        widget.message.startswith("The page sent what this widget cannot use: ")
        and capsys.readouterr().err == ""
    )


def test_a_page_is_kept_whole_or_not_at_all(keep, tmp_path, monkeypatch):
    widget, path = keep(Counter()), tmp_path / "page.html"
    path.write_text("the old page")

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        widget.export_html(path)
    assert path.read_text() == "the old page"
    monkeypatch.undo()
    assert "shimModel" in Path(widget.export_html(path)).read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"], "nothing is left beside it"


def test_every_widget_of_ours_says_what_its_page_may_send():
    page_sends(widget := plane_widget(), type="stop")
    assert widget.message == ""
    widget.close()


# ---- numbers that no page can hold ----

NUMBER_MAKERS = {
    "forward": lambda item: ForwardProcessWidget([item]),
    "plane": lambda item: PlaneDiffusionWidget(),
    "gan_lab": lambda item: gan_lab(),
    "latent_walk": lambda item: latent_walk(tiny_gan().model),
    "schedule_lab": lambda item: schedule_lab(),
    "stable_forward": lambda item: StableForwardWidget([item]),
    "stable_distribution": lambda item: stable_distribution_widget(),
}
NO_NUMBERS = [math.nan, math.inf, -math.inf, 10**400, -(10**400), 10**5000]


def float_traits(widget):
    return [name for name, trait in widget.traits(sync=True).items() if isinstance(trait, Float)]


@pytest.mark.parametrize("name", NUMBER_MAKERS)
def test_a_number_that_is_not_finite_is_a_sentence_and_the_page_is_kept(
    item, keep, name, tmp_path, capsys
):
    widget = keep(NUMBER_MAKERS[name](item))
    before = {trait: getattr(widget, trait) for trait in float_traits(widget)}
    assert before or name == "plane"
    for trait in before:
        for value in NO_NUMBERS:
            widget.message = ""
            widget.set_state({trait: value})
            assert widget.message.startswith("The page sent what this widget cannot use: ")
            assert len(widget.message) < 400 and "Error" not in widget.message
            with pytest.raises(TraitError, match="a finite number"):
                setattr(widget, trait, value)
    assert before == {trait: getattr(widget, trait) for trait in before}
    assert capsys.readouterr().err == ""
    widget.export_html(tmp_path / "page.html")


@pytest.mark.parametrize(
    "value", NO_NUMBERS, ids=lambda value: repr(value)[:9] if value != 10**5000 else "huge"
)
def test_lists_and_forms_of_a_page_hold_finite_numbers(keep, value):
    widget = keep(plane_widget())
    points = widget.points
    widget.set_state({"points": [[0.5, 0.5], [value, 0.0]]})
    assert widget.points == points and "needs a finite number" in widget.message
    with pytest.raises(TraitError, match="a finite number"):
        widget.points = [[value, 0.0]]
    form = keep(reverse_widget(tiny_pipeline()))
    before = form.a
    form.set_state({"a": {"prompt": "a heart", "guidance_scale": value}})
    assert form.a == before and "needs a finite number" in form.message


# ---- a cell that is run again ----

SHOWN_BY_CELLS = {
    "widget": lambda: plane_widget(),
    "prompt box": lambda: prompt_box(tiny_pipeline(), "a heart"),
    "explorer": lambda: SceneExplorer(),
}


@pytest.fixture
def run_cell(monkeypatch):
    "Shows something as JupyterLab's cells do: with the id of the cell, and another number for each run."
    runs = itertools.count()

    def show(cell, *shown):
        parent = {"metadata": {"cellId": cell}, "header": {"msg_id": f"run {next(runs)}"}}
        monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(get_parent=lambda: parent))
        for each in shown:
            each._repr_mimebundle_()

    yield show
    show("the cell"), show("another")


def is_open(shown):
    "Whether a form or a widget has a connection to its page."
    part = getattr(shown, "form", getattr(shown, "box", shown))
    return part.comm is not None


@pytest.mark.parametrize("make", SHOWN_BY_CELLS.values(), ids=SHOWN_BY_CELLS)
def test_a_cell_that_is_run_again_closes_what_it_showed(run_cell, make):
    old, new, apart = make(), make(), make()
    run_cell("the cell", old)
    run_cell("another", apart)
    run_cell("the cell", new)
    assert [is_open(each) for each in (old, new, apart)] == [False, True, True]
    run_cell("the cell", new)
    assert is_open(new), "what is shown once more stays"
    new.close(), apart.close()


def test_what_two_cells_show_is_open_until_both_show_another(run_cell):
    old, new = plane_widget(), plane_widget()
    run_cell("the cell", old)
    run_cell("another", old)
    run_cell("the cell", new)
    assert is_open(old)
    run_cell("another", new)
    assert not is_open(old) and is_open(new)
    new.close()


def test_one_run_may_show_two(run_cell):
    two = plane_widget(), plane_widget()
    run_cell("the cell", *two)
    assert all(map(is_open, two))
    run_cell("the cell", third := plane_widget())
    assert not any(map(is_open, two))
    third.close()


def test_where_no_cell_is_known_nothing_is_closed(monkeypatch):
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    two = plane_widget(), plane_widget()
    for widget in two:
        widget._repr_mimebundle_()
        assert is_open(widget)
    assert all(map(is_open, two))
    for widget in two:
        widget.close()


def test_the_same_error_twice_is_said_twice():
    widget, said = plane_widget(), []
    widget.observe(lambda change: said.append(change.new), "message")
    for _ in range(2):
        page_sends(widget, type="train", data="drawing", points=[])
    assert [sentence for sentence in said if sentence] == [
        "The drawing is empty: put a point on it first."
    ] * 2
    widget.close()
