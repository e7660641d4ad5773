"The desk of the world: whatever is chosen is drawn, said and read; its code draws it again; nothing is left when it is closed."

import base64
import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ipywidgets import widget as ipywidgets_widget
from PIL import Image

from steady import steady
from t2i_learn.widgets.explorer import choice_code, render_choice, SceneChoice, SceneExplorer
from t2i_learn.widgets.html import code_html, widget_tree
from t2i_learn.world.scenes import BACKGROUNDS, COLORS, RELATIONS, SHAPES, SIZES, TEXTURES
from t2i_learn.world.tasks import NUMBER_WORDS, TASKS
from widget_tools import check_nothing_is_left

steady(40)

MENUS = {
    "task": TASKS,
    "shape": SHAPES,
    "color": COLORS,
    "shape2": SHAPES,
    "color2": COLORS,
    "size": SIZES,
    "texture": TEXTURES,
    "relation": RELATIONS,
    "count": NUMBER_WORDS,
    "template": range(4),
    "background": BACKGROUNDS,
}

choices = st.builds(
    SceneChoice,
    **{field: st.sampled_from(list(options)) for field, options in MENUS.items()},
    says_background=st.booleans(),
    x=st.floats(0.29, 0.71),
    y=st.floats(0.29, 0.71),
    angle=st.floats(-0.15, 0.15),
    seed=st.integers(0, 99),
    near_miss=st.just(False),
    noise=st.just(0.0),
    blur=st.just(0.0),
)


@given(choices)
def test_whatever_is_chosen_is_drawn_said_and_read(choice):
    view = render_choice(choice)
    assert view.ok, (view.caption, view.reason)
    assert view == render_choice(choice)._replace(picture=view.picture)
    false = render_choice(choice._replace(near_miss=True))
    assert not false.ok and false.caption != view.caption and torch.equal(false.picture, view.picture)


def test_equal_seconds_move_on():
    things = render_choice(
        SceneChoice("attribution", shape="heart", shape2="heart", color="red", color2="red")
    ).scene.things
    assert len({t.shape for t in things}) == 2 == len({t.color for t in things})


def test_controls_redraw_the_desk():
    pytest.importorskip("ipywidgets")
    desk = SceneExplorer(SceneChoice("single", x=0.4))
    first = desk.html.value
    assert "circle" not in desk.view.caption
    desk.controls["shape"].value = "circle"
    assert "circle" in desk.view.caption and desk.html.value != first
    desk.controls["x"].value = 0.7
    assert desk.view.scene.things[0].x == pytest.approx(0.7, abs=0.01)
    desk.controls["near_miss"].value = True
    assert "The caption does not hold" in desk.html.value and not desk.view.ok


def test_controls_that_a_task_does_not_use_are_hidden():
    pytest.importorskip("ipywidgets")
    desk = SceneExplorer(SceneChoice("count"))

    def visible():
        return {field for field, each in desk.controls.items() if each.layout.display != "none"}

    assert "count" in visible() and not visible() & {"relation", "shape2", "x", "texture"}
    desk.controls["task"].value = "position"
    assert {"relation", "shape2", "color2", "seed"} <= visible() and not visible() & {"count", "x"}
    desk.controls["task"].value = "texture"
    assert {"texture", "x", "angle"} <= visible() and not visible() & {"relation", "shape2"}


def test_the_desk_can_be_read_aloud():
    pytest.importorskip("ipywidgets")
    desk = SceneExplorer()
    assert all(each.description for each in desk.controls.values())
    assert desk.html.value.count('alt="') == 2 and 'aria-live="polite"' in desk.html.value
    assert "a star left of a heart" in desk.html.value


def test_the_desk_has_a_still_picture():
    pytest.importorskip("ipywidgets")
    bundle = SceneExplorer()._repr_mimebundle_()
    assert (
        set(bundle) >= {"image/png", "application/vnd.jupyter.widget-view+json"}
        and len(bundle["image/png"]) < 40_000
    )
    assert Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).width > 200


@pytest.fixture
def desk():
    "A desk, closed in the end."
    made = SceneExplorer(SceneChoice("count", "cross", count=4))
    yield made
    made.close()
    assert all(part.comm is None for part in widget_tree(made.box))


def test_two_hundred_desks_leave_nothing_behind():
    check_nothing_is_left(SceneExplorer, lambda desk: None)  # it has drawn when it is made


def test_what_is_closed_is_closed_with_its_layouts_and_styles(desk):
    held = set(ipywidgets_widget._instances)
    other = SceneExplorer()
    assert len(set(ipywidgets_widget._instances) - held) > 2 * len(other.controls), (
        "each has at least a layout"
    )
    other.close()
    assert set(ipywidgets_widget._instances) == held, "and nothing of the first desk is gone"


@pytest.mark.parametrize(
    "choice",
    [
        SceneChoice(),
        SceneChoice("color", "star", x=0.4, angle=0.2),
        SceneChoice("two", noise=0.3, seed=5, near_miss=True),
    ],
)
def test_copied_code_makes_the_same_view(choice):
    made = {}
    exec(choice_code(choice), made)
    wanted = render_choice(choice)
    assert made["view"].caption == wanted.caption and torch.equal(made["view"].picture, wanted.picture)


def test_the_desks_code_follows_its_controls(desk):
    desk.controls["noise"].value = 0.25
    assert desk.code.value == code_html(choice_code(desk.choice)) and "noise=0.25" in desk.code.value
