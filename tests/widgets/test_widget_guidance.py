"The guidance widget without a browser: one noise for all columns, what a cell is made of, Stop, sentences."

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_pipeline
from widget_tools import (
    PATIENCE,
    Pausing,
    check_nothing_is_left,
    check_poster,
    drawn,
    kept_page,
    page_sends,
    sent_messages,
)

from t2i_learn.diffusion.guidance import CFGDenoiser
from t2i_learn.widgets.guidance import (
    LESS_COLOR,
    MORE_COLOR,
    ZERO_COLOR,
    guidance_widget,
    cfg_predictions,
    colorize_difference,
)

SCALES = (0.0, 1.0, 5.0)
pytestmark = pytest.mark.filterwarnings("ignore:no caption in training held")
STEPS = 3


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


@pytest.fixture
def sent(monkeypatch):
    return sent_messages(monkeypatch)


@pytest.fixture
def open_widget(keep):
    "A maker of widgets."
    return lambda pipe, prompt="a red heart", **changes: keep(
        guidance_widget(pipe, prompt, SCALES, **{"num_inference_steps": STEPS} | changes)
    )


def test_a_cells_parts_make_its_picture(pipe):
    for scale in SCALES:
        for state in pipe.trajectory(
            "a blue star",
            negative_prompt="a heart",
            seed=1,
            guidance_scale=scale,
            num_inference_steps=STEPS,
        ):
            cond, uncond, guided = cfg_predictions(pipe, state, "a blue star", "a heart", scale)
            assert torch.allclose(guided, state.x0_hat, atol=1e-4)
            prompt, negative = pipe.model.encode(["a blue star"]), pipe.model.encode(["a heart"])
            denoiser = CFGDenoiser(pipe.model, negative, scale)
            assert torch.allclose(denoiser(state.y, state.sigma.expand(1), prompt), guided, atol=1e-4)
            assert not torch.allclose(cond, uncond)


def test_every_column_begins_with_the_same_noise_and_rows_come_together(open_widget, sent, pipe):
    widget = open_widget(pipe).draw()
    widget.background.wait()
    firsts = [column[0].y for column in widget.columns]
    assert all(torch.equal(firsts[0], y) for y in firsts[1:])
    assert not torch.equal(widget.columns[0][-1].y, widget.columns[2][-1].y)
    order = [(m.content["step"], m.content["column"]) for m in sent if m.kind == "cell"]
    assert order == [(step, column) for step in range(STEPS) for column in range(len(SCALES))]
    assert all(len(m.buffers[0]) == 3 * 32 * 32 for m in sent if m.kind == "cell")


def test_a_look_tells_three_pictures_and_how_large_the_difference_is(open_widget, sent, pipe):
    widget = open_widget(pipe).draw()
    widget.background.wait()
    page_sends(widget, type="inspect", column=1, step=2)
    look = sent[-1]
    cond, uncond, _ = cfg_predictions(pipe, widget.columns[1][2], "a red heart")
    assert look.kind == "inspection" and [len(b) for b in look.buffers] == [3072] * 3
    assert look.content["rms"] == pytest.approx((cond - uncond).square().mean().sqrt().item(), abs=1e-3)
    assert "columns[1][2]" in widget.code


def test_copy_as_code_makes_the_same_cell(open_widget, pipe):
    widget = open_widget(pipe, 'a "blue" heart', negative_prompt="it's red").draw()
    widget.background.wait()
    widget.inspect(2, 1)
    made = {"pipe": pipe}
    exec(widget.code, made)
    assert torch.equal(made["columns"][2][1].x0_hat, widget.columns[2][1].x0_hat)
    assert torch.allclose(made["guided"], widget.columns[2][1].x0_hat, atol=1e-4)


def test_stop_ends_within_one_step(open_widget):
    slow = tiny_pipeline()
    watch, widget = Pausing(slow), open_widget(slow)
    begun = watch.hold(widget, 4)
    widget.draw()
    assert begun.wait(PATIENCE)
    page_sends(widget, type="stop")
    widget.background.wait()
    assert (
        watch.count == 4
        and [len(column) for column in widget.columns] == [2, 1, 1]
        and not widget.running
    )


def test_what_makes_no_sense_is_a_sentence(open_widget, pipe, capsys):
    widget = open_widget(pipe)
    page_sends(widget, type="inspect", column=0, step=0)
    assert widget.message == "This picture is not drawn yet."
    page_sends(widget, type="draw", form=widget.form | {"prompt": ""})
    assert "The prompt is empty" in widget.message and not widget.running
    page_sends(widget, type="draw", form=widget.form | {"prompt": "a heart", "sampler": "dim"})
    assert "did you mean 'ddim'" in widget.message and capsys.readouterr().err == ""


def test_the_page_that_is_kept_can_look_into_every_cell(open_widget, pipe, tmp_path):
    widget = open_widget(pipe).draw()
    _, data = kept_page(widget, tmp_path)
    looks = {(c["column"], c["step"]) for c, _ in data["recording"] if c["type"] == "inspection"}
    assert looks == {(column, step) for column in range(len(SCALES)) for step in range(STEPS)}


def test_the_poster_is_there_before_and_after(open_widget, pipe):
    widget = open_widget(pipe)
    check_poster(widget)


def test_two_hundred_leave_nothing_behind(pipe):
    check_nothing_is_left(
        lambda: guidance_widget(pipe, "a red heart", (1.0,), num_inference_steps=1), drawn
    )


@settings(max_examples=40, deadline=None)
@given(st.floats(1e-3, 10), st.integers(0, 1000))
def test_colours_keep_the_sign_and_not_the_size(size, seed):
    difference = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(seed))
    colours, top = colorize_difference(size * difference)
    again, unit = colorize_difference(difference)
    assert torch.allclose(colours, again, atol=1e-4) and top == pytest.approx(size * unit, rel=1e-4)
    turned, _ = colorize_difference(-difference)
    mean = difference.mean(0)
    place = mean.abs() == mean.abs().max()
    end, other = (MORE_COLOR, LESS_COLOR) if mean[place][0] > 0 else (LESS_COLOR, MORE_COLOR)
    assert torch.allclose(again[:, place][:, 0], end, atol=1e-5) and torch.allclose(
        turned[:, place][:, 0], other, atol=1e-5
    )
    assert torch.allclose(
        colorize_difference(torch.zeros(3, 2, 2))[0], ZERO_COLOR.view(3, 1, 1).expand(3, 2, 2)
    )
