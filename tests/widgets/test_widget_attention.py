"The attention widget without a browser: the probabilities are the layers' own, words are sums of tokens, hooks go away."

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import in_node
from tiny import tiny_pipeline
from torch import nn
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

from t2i_learn.core.pipeline import Pipeline
from t2i_learn.text.tokenizer import default_tokenizer
from t2i_learn.widgets.attention import (
    attention_maps,
    attention_widget,
    colorize_map,
    cross_attention_layers,
    cross_attention_weights,
    record_calls,
    tokens_by_word,
    word_attention_maps,
)

STEPS = 3
PROMPT = "a blue octopus above a red heart"
pytestmark = pytest.mark.filterwarnings("ignore:no caption in training held")


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline(unet={"widths": [16, 32], "blocks": 1, "depth": 2, "heads": 2})


@pytest.fixture(scope="module")
def walk(pipe):
    return list(pipe.trajectory(PROMPT, seed=1, num_inference_steps=STEPS))


@pytest.fixture
def sent(monkeypatch):
    return sent_messages(monkeypatch)


@pytest.fixture
def open_widget(keep):
    "A maker of widgets."
    return lambda pipe, **changes: keep(
        attention_widget(pipe, PROMPT, **{"num_inference_steps": STEPS} | changes)
    )


def hooks_of(pipe):
    return [hook for module in pipe.model.modules() for hook in module._forward_hooks]


def test_probabilities_times_values_are_the_layers_answer(pipe, walk):
    layers = cross_attention_layers(pipe.model)
    assert len(layers) == 2
    for state in walk:
        with torch.no_grad(), record_calls(layers) as calls:
            pipe.model(state.y, state.sigma, pipe.model.encode([PROMPT]))
        for k, (layer, (x, context, mask), answer) in enumerate(calls):
            assert layer is layers[k]
            p, v = (
                cross_attention_weights(layer, x, context, mask),
                layer.split_heads(layer.kv(context).chunk(2, -1)[1]),
            )
            assert torch.allclose(layer.out((p @ v).transpose(1, 2).flatten(2)), answer, atol=1e-5)
            assert torch.equal(attention_maps(pipe, state, PROMPT)[k], p[0])
    assert hooks_of(pipe) == []


def test_padding_is_not_read(pipe, walk):
    layer, x = cross_attention_layers(pipe.model)[0], torch.randn(2, 64, 32)
    cond = pipe.model.encode(["a heart", PROMPT])
    p = cross_attention_weights(layer, x, cond.context, cond.mask)
    assert (p[0][..., ~cond.mask[0]] == 0).all() and torch.allclose(p.sum(-1), torch.ones(p.shape[:-1]))


def test_hooks_go_away_when_the_network_fails(pipe, walk):
    with pytest.raises(RuntimeError, match="broken"), record_calls(cross_attention_layers(pipe.model)):
        raise RuntimeError("broken")
    assert hooks_of(pipe) == []


def test_another_threads_questions_are_not_heard():
    layer = nn.Linear(2, 2)
    with record_calls([layer]) as calls:
        thread = threading.Thread(target=layer, args=(torch.zeros(1, 2),))
        thread.start()
        thread.join()
        layer(torch.ones(1, 2))
    assert len(calls) == 1 and torch.equal(calls[0][1][0], torch.ones(1, 2))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30))
def test_words_own_every_token_once(text):
    tokenizer = default_tokenizer()
    ids = tokenizer.encode(" " + " ".join(text.lower().split())) if text.split() else []
    groups = tokens_by_word(tokenizer, text)
    assert [place for _, places in groups for place in places] == list(range(len(ids) + 2))
    assert groups[0][0] == "[start]" and groups[-1][0] == "[end]"


def test_words_are_joined_from_their_tokens():
    names = [word for word, _ in tokens_by_word(default_tokenizer(), "A  bluish OCTOPUS")]
    assert names == ["[start]", "a", "bluish", "octopus", "[end]"]


def test_words_sum_their_tokens_and_heads_are_averaged(pipe, walk):
    weights, groups = attention_maps(pipe, walk[0], PROMPT), tokens_by_word(pipe.model.tokenizer, PROMPT)
    maps = word_attention_maps(weights, groups)
    assert maps.shape == (2, 1 + 2, len(groups), 64)
    assert torch.allclose(maps.sum(2), torch.ones(2, 3, 64), atol=1e-5)
    word = next(k for k, (_, places) in enumerate(groups) if len(places) > 1)
    assert torch.allclose(
        maps[1, 2, word], sum(weights[1, 1, :, place] for place in groups[word][1]), atol=1e-6
    )


def test_the_message_holds_every_map(open_widget, sent, pipe):
    widget = open_widget(pipe).draw()
    widget.background.wait()
    assert [m.kind for m in sent] == ["drawing", *["step"] * STEPS]
    page_sends(widget, type="inspect", step=1)
    content, (data,) = sent[-1].content, sent[-1].buffers
    groups = tokens_by_word(pipe.model.tokenizer, PROMPT)
    maps = word_attention_maps(attention_maps(pipe, widget.states[1], PROMPT), groups)
    shades = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(maps.shape)
    tops = torch.tensor(content["maxima"]).view(maps.shape[:-1])
    assert ((shades / 255 * tops[..., None]) - maps).abs().max() < 0.003
    assert content["words"] == [word for word, _ in groups] and (
        content["layers"],
        content["heads"],
    ) == (2, 2)
    assert "states[1]" in widget.code


def test_looking_while_it_draws(open_widget, sent):
    slow = tiny_pipeline()
    watch, begun, go_on = Pausing(slow), threading.Event(), threading.Event()
    widget = open_widget(slow)

    def pause(count):
        if count == 2:
            begun.set()
            assert go_on.wait(PATIENCE)

    watch.pause = pause
    widget.draw()
    assert begun.wait(PATIENCE)
    page_sends(widget, type="inspect", step=0)
    assert sent[-1].kind == "maps" and widget.running and widget.message == ""
    go_on.set()
    widget.background.wait()
    assert len(widget.states) == STEPS


def test_copy_as_code_makes_the_same_maps(open_widget, pipe):
    widget = open_widget(pipe).draw()
    widget.background.wait()
    widget.inspect(2)
    made = {"pipe": pipe}
    exec(widget.code, made)
    groups = tokens_by_word(pipe.model.tokenizer, PROMPT)
    assert torch.equal(
        made["maps"], word_attention_maps(attention_maps(pipe, widget.states[2], PROMPT), groups)
    )


def test_what_makes_no_sense_is_a_sentence(open_widget, pipe, capsys):
    widget = open_widget(pipe)
    page_sends(widget, type="inspect", step=0)
    assert widget.message == "This step is not drawn yet."
    page_sends(widget, type="draw", form=widget.form | {"prompt": "a heart " * 99})
    assert "tokens" in widget.message and not widget.running and capsys.readouterr().err == ""


def test_a_late_look_does_not_wipe_what_was_wrong_with_a_drawing(open_widget, pipe):
    widget = open_widget(pipe).draw()
    widget.background.wait()
    page_sends(widget, type="draw", form=widget.form | {"prompt": ""})
    page_sends(widget, type="inspect", step=0)
    assert "The prompt is empty" in widget.message
    page_sends(widget, type="draw", form=widget.form | {"prompt": "a heart"})
    widget.background.wait()
    assert widget.message == ""


def test_stop_ends_within_one_step(open_widget):
    slow = tiny_pipeline()
    watch, widget = Pausing(slow), open_widget(slow)
    begun = watch.hold(widget, 2)
    widget.draw()
    assert begun.wait(PATIENCE)
    page_sends(widget, type="stop")
    widget.background.wait()
    assert watch.count == 2 and len(widget.states) == 2 and not widget.running


def test_a_model_that_reads_nothing_is_told_so():
    with pytest.raises(ValueError, match="no layers in which a picture reads"):
        attention_widget(Pipeline(nn.Linear(1, 1)))


def test_the_page_that_is_kept_holds_the_maps_of_every_step(open_widget, pipe, tmp_path):
    widget = open_widget(pipe).draw()
    widget.background.wait()
    _, data = kept_page(widget, tmp_path)
    assert [c["step"] for c, _ in data["recording"] if c["type"] == "maps"] == list(range(STEPS))


def test_the_poster_is_there_before_and_after(open_widget, pipe):
    widget = open_widget(pipe)
    check_poster(widget)


def test_two_hundred_leave_nothing_behind(pipe):
    check_nothing_is_left(
        lambda: attention_widget(pipe, "a red heart", num_inference_steps=1, guidance_scale=1.0), drawn
    )


def test_the_pages_colours_are_the_posters(tmp_path):
    values = torch.rand(64, generator=torch.Generator().manual_seed(1))
    values = values / values.max()
    shades = (255 * values).round().byte()
    heated = in_node(
        tmp_path,
        ("form", "attention"),
        "widget.maths.colorizeMap(Uint8Array.from(shades), null, 8).plain",
        shades=shades.tolist(),
    )
    page = torch.tensor(heated).view(8, 8, 3).permute(2, 0, 1) / 127.5 - 1
    assert (page - colorize_map(shades / 255)).abs().max() < 1.01 / 127.5, (
        "but for cutting off what is below a shade"
    )
