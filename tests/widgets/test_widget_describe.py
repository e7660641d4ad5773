"The describe widget without a browser: steps are greedy search, a prefix stays, undo, drawing, files, sentences."

import numpy as np
import pytest
import torch
from PIL import Image
from scripts import in_node
from tiny import tiny_captioner, tiny_pipeline
from widget_tools import kept_page, page_sends

from t2i_learn.core.files import save_image
from t2i_learn.language.decoding import decode_captions, word_attention
from t2i_learn.text.tokenizer import EOS_ID
from t2i_learn.widgets.describe import (
    caption_report,
    caption_steps,
    describe_widget,
    light_picture,
    seen_moment,
    text_of_steps,
)
from t2i_learn.world.scenes import render, Scene, Thing

SCENE = Scene((Thing("circle", "red", 0.3, 0.35, 0.18), Thing("star", "blue", 0.7, 0.62, 0.18)))
TRUE, FALSE = "a red circle and a blue star", "a green circle and a blue star"
pytestmark = pytest.mark.filterwarnings("ignore:no caption in training held")


@pytest.fixture(scope="module")
def captioner():
    return tiny_captioner()


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


@pytest.fixture
def open_widget(keep, captioner, pipe):
    "A maker of widgets on a rendered scene."
    return lambda **changes: keep(
        describe_widget(captioner, render(SCENE), pipe, **{"num_inference_steps": 2} | changes)
    )


def described(widget):
    widget.describe()
    widget.background.wait()
    return widget


def tokens_of(steps):
    return tuple(step.token for step in steps)


@pytest.mark.parametrize("style", ["short", "full"])
def test_the_steps_are_greedy_search(captioner, style):
    steps = list(caption_steps(captioner, render(SCENE), style))
    (greedy,) = decode_captions(captioner.model, render(SCENE)[None], style)
    assert tokens_of(steps) == greedy.tokens
    assert np.allclose([step.probability for step in steps], np.exp(greedy.log_probs), atol=1e-5)
    for step in steps:
        chances = [chance for *_, chance in step.alternatives]
        assert step.token == step.alternatives[0][0] and chances == sorted(chances, reverse=True)


def test_a_prefix_is_read_as_word_attention_reads_it(captioner):
    tokens, _ = captioner.model.caption_tokens([TRUE], ["full"])
    steps = list(caption_steps(captioner, render(SCENE), prefix=tokens[0, 1:].tolist()))
    words, maps = word_attention(captioner.model, render(SCENE), TRUE)
    assert text_of_steps(captioner, steps) == TRUE and steps[-1].word == "[end]"
    assert [step.word for step in steps[:-1]] == words[:-1]
    assert torch.allclose(torch.stack([step.attention for step in steps]), maps, atol=1e-5)


def test_what_follows_a_prefix_is_the_likeliest(captioner):
    first = list(caption_steps(captioner, render(SCENE)))
    other = first[2].alternatives[-1][0]
    steps = list(caption_steps(captioner, render(SCENE), prefix=(*tokens_of(first[:2]), other)))
    assert tokens_of(steps[:3]) == (*tokens_of(first[:2]), other)
    assert all(step.token == step.alternatives[0][0] for step in steps[3:])
    ended = list(caption_steps(captioner, render(SCENE), prefix=(EOS_ID,)))
    assert [step.word for step in ended] == ["[end]"] and text_of_steps(captioner, ended) == ""


@pytest.mark.parametrize("wrong", [{"style": "long"}, {"prefix": (-1,)}, {"prefix": (10**6,)}])
def test_another_style_or_token_is_a_sentence(captioner, wrong):
    with pytest.raises(ValueError, match=r"style|a token is a number"):
        list(caption_steps(captioner, render(SCENE), **wrong))


def test_the_page_lights_as_python_does(tmp_path):
    picture, attention = render(SCENE), torch.rand(8, 8, generator=torch.Generator().manual_seed(1))
    light = (255 * attention / attention.max()).round()
    frame = ((picture + 1) * 127.5).round().byte().permute(1, 2, 0).flatten().tolist()
    found = in_node(
        tmp_path,
        ("form", "opening", "brush", "describe"),
        "widget.maths.lightPicture(Uint8Array.from(frame), Uint8Array.from(light))",
        frame=frame,
        light=light.int().flatten().tolist(),
    )
    page = torch.tensor(found).view(32, 32, 3).permute(2, 0, 1) / 127.5 - 1
    assert (page - light_picture(picture, light)).abs().max() < 2.5 / 127.5


def test_the_words_come_one_by_one_and_one_undo_takes_them_back(open_widget, sent):
    widget = described(open_widget())
    kinds = [content["type"] for content, _ in sent]
    count = len(widget.stack.now.steps)
    assert kinds[: count + 1] == ["picture", *["word"] * count] and "written" in kinds
    assert [c["index"] for c, _ in sent[1 : count + 1]] == [*range(count)]
    assert widget.form["prompt"] == (widget.caption or widget.form["prompt"])
    page_sends(widget, type="undo")
    assert widget.stack.now.steps == () and widget.message == ""
    page_sends(widget, type="redo")
    assert len(widget.stack.now.steps) == count


def test_a_word_is_replaced_and_what_stood_before_it_stays(open_widget, captioner):
    widget = described(open_widget())
    before = widget.stack.now.steps
    token = before[1].alternatives[2][0]
    page_sends(widget, type="replace", index=1, token=token)
    widget.background.wait()
    after = widget.stack.now.steps
    assert tokens_of(after[:2]) == (before[0].token, token)
    assert after[1].alternatives == before[1].alternatives
    made = {"captioner": captioner, "picture": widget.stack.now.picture, "pipe": widget.pipe}
    exec(widget.code, made)
    assert made["caption"] == widget.caption and tokens_of(made["steps"]) == tokens_of(after)


def test_a_typed_caption_is_read_and_judged(open_widget, sent):
    widget = open_widget()
    for caption, words in (
        (TRUE, "every claim holds"),
        (FALSE, "not true: "),
        ("two times three", "does not read"),
    ):
        page_sends(widget, type="read", form=widget.form | {"prompt": caption})
        widget.background.wait()
        (report,) = [content for content, _ in sent if content["type"] == "written"][-1:]
        assert report["caption"] == caption and words in report["verdict"] and report["ended"]
    page_sends(widget, type="read", form=widget.form | {"prompt": "a red circle and " * 30})
    assert "shorten it" in widget.message or "tokens" in widget.message


def test_the_caption_is_drawn_and_the_drawing_described(open_widget, sent, pipe):
    widget = described(open_widget())
    page_sends(widget, type="draw", form=widget.form | {"prompt": TRUE})
    widget.background.wait()
    drawn = widget.stack.now.drawn
    assert drawn == pipe(TRUE, seed=4, num_inference_steps=2).images[0]
    assert [c["reading"] for c, _ in sent if c["type"] == "drawn"][-1]
    assert len(widget.stack.now.steps), "the description stays"
    assert widget.form["prompt"] == TRUE, "and so does what was typed"
    page_sends(widget, type="look_at_drawn")
    assert widget.stack.now.drawn is None and widget.stack.now.steps == ()
    made = {"pipe": pipe}
    exec(widget.code, made)
    assert made["picture"] == drawn
    page_sends(widget, type="new", shows="a blue star")
    widget.background.wait()
    assert "picture = pipe('a blue star'" in widget.code and widget.message == ""


def test_files_and_what_is_none(open_widget, tmp_path):
    widget = open_widget()
    save_image(Image.new("RGB", (60, 30), "purple"), tmp_path / "own.png", {})
    widget._handle_custom_msg({"type": "open", "name": "own.png"}, [(tmp_path / "own.png").read_bytes()])
    assert widget.message == "" and "the file that you opened" in widget.code
    assert widget.stack.now.picture.shape == (3, 32, 32)
    moment = widget.stack.now
    widget._handle_custom_msg({"type": "open", "name": "x"}, [b"nothing"])
    assert "not a picture that can be read" in widget.message and widget.stack.now is moment


def test_a_painting_is_described_and_is_in_the_code(open_widget, sent, captioner):
    widget = described(open_widget())
    painting = torch.randint(256, (32 * 32 * 3,), generator=torch.Generator().manual_seed(1)).byte()
    widget._handle_custom_msg({"type": "paint", "by": "a view"}, [painting.numpy().tobytes()])
    assert widget.message == "" and widget.stack.now.steps == ()
    assert [c["by"] for c, _ in sent if c["type"] == "picture"][-1] == "a view"
    made = {"captioner": captioner, "pipe": widget.pipe}
    described(widget)
    exec(widget.code, made)
    assert made["caption"] == widget.caption
    sharp = (widget.stack.now.picture.permute(1, 2, 0).flatten() + 1) * 127.5
    assert torch.equal(sharp.round().byte(), painting)
    widget._handle_custom_msg({"type": "paint", "by": ""}, [b"short"])
    assert "paint again" in widget.message


def test_what_makes_no_sense_is_a_sentence(open_widget):
    widget = open_widget()
    for content, words in (
        ({"type": "replace", "index": 0, "token": 5}, "not written yet"),
        ({"type": "read", "form": {**widget.form, "prompt": " "}}, "the caption is empty"),
        ({"type": "look_at_drawn"}, "nothing is drawn yet"),
        ({"type": "undo"}, "nothing to undo"),
        ({"type": "new", "shows": ""}, "prompt is empty"),
    ):
        widget.message = ""
        page_sends(widget, **content)
        assert words in widget.message[:1].lower() + widget.message[1:], content
    assert len(widget.stack.moments) == 1


def test_stop_keeps_the_words_so_far(open_widget, captioner):
    widget = open_widget()
    on_step = widget.on_step

    def stopping(step):
        on_step(step)
        if len(widget.stack.now.steps) == 3:
            widget.background.stop()

    widget.on_step = stopping
    described(widget)
    assert len(widget.stack.now.steps) == 3 and not widget.running
    assert caption_report(captioner, widget.stack.now)["ended"] is False


def test_the_page_that_is_kept_holds_every_word(open_widget, tmp_path):
    widget = described(open_widget())
    _, data = kept_page(widget, tmp_path)
    kinds = [content["type"] for content, _ in data["recording"]]
    assert kinds == ["picture", *["word"] * len(widget.stack.now.steps), "written"]
    assert widget.poster().width > 640


def test_without_a_captioner_that_ships_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "t2i_learn.widgets.describe.load", lambda name: (_ for _ in ()).throw(ValueError(f"no {name}"))
    )
    with pytest.raises(ValueError, match="shapes-captioner"):
        describe_widget()


def test_a_style_that_the_model_has_not_becomes_one_that_it_has(captioner):
    assert seen_moment(captioner, render(SCENE), "", "long").style in captioner.model.config["styles"]
