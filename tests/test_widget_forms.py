"The prompt box and the world's desk without a browser: what is folded away in them, and what is left when they are closed."

import pytest
import torch
from ipywidgets import widget as ipywidgets_widget
from tiny import tiny_pipeline
from widget_tools import check_nothing_is_left, drawn

from t2i_learn.studio.prompt_box import prompt_box
from t2i_learn.world.oracle import SceneChoice, choice_code, code_html, explorer, render_choice, widget_tree


@pytest.fixture
def desk():
    "A desk, closed in the end."
    made = explorer(SceneChoice("count", "cross", count=4))
    yield made
    made.close()
    assert all(part.comm is None for part in widget_tree(made.box))


def words_of(form):
    "All that the pages of a form say."
    return " ".join(part.value for part in widget_tree(form) if part._model_name == "HTMLModel")


def test_two_hundred_prompt_boxes_leave_nothing_behind():
    pipe = tiny_pipeline()
    check_nothing_is_left(lambda: prompt_box(pipe, "a heart", num_inference_steps=1, num_images_per_prompt=1, guidance_scale=1.0), drawn)


def test_two_hundred_desks_leave_nothing_behind():
    check_nothing_is_left(explorer, lambda desk: None)  # it has drawn when it is made


def test_what_is_closed_is_closed_with_its_layouts_and_styles(desk):
    held = set(ipywidgets_widget._instances)
    other = explorer()
    assert len(set(ipywidgets_widget._instances) - held) > 2 * len(other.controls), "each has at least a layout"
    other.close()
    assert set(ipywidgets_widget._instances) == held, "and nothing of the first desk is gone"


@pytest.mark.parametrize("choice", [SceneChoice(), SceneChoice("color", "star", x=0.4, angle=0.2), SceneChoice("two", noise=0.3, seed=5, almost=True)])
def test_copied_code_makes_the_same_view(choice):
    made = {}
    exec(choice_code(choice), made)
    wanted = render_choice(choice)
    assert made["view"].caption == wanted.caption and torch.equal(made["view"].picture, wanted.picture)


def test_the_desks_code_follows_its_controls(desk):
    desk.controls["noise"].value = 0.25
    assert desk.code.value == code_html(choice_code(desk.choice)) and "noise=0.25" in desk.code.value


def test_both_forms_ask_a_question_and_fold_its_answer(desk):
    box = prompt_box(tiny_pipeline(), "a heart")
    for form in (box.form, desk.box):
        assert "Guess first." in words_of(form) and ">Show the answer</summary>" in words_of(form)
    box.close()
