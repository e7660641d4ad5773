"What the tests of widgets that draw share: a network that can be held up, and a widget that keeps what it would tell a page."

import gc
import json
import re
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import torch
from ipywidgets import widget as ipywidgets_widget

from t2i_learn.widgets.base import handle_message
from t2i_learn.widgets.form import SamplingWidget

PATIENCE = 60  # seconds that an event may take before the test is called hung


class Pausing:
    "Stands in for a model's denoiser: after each answer `pause(number of the answer)` is called."

    def __init__(self, pipe):
        self.model, self.count, self.pause = pipe.model, 0, lambda count: None
        self.forward, pipe.model.forward = pipe.model.forward, self.answer

    def answer(self, *arguments):
        self.count += 1
        self.pause(self.count)
        return self.forward(*arguments)

    def hold(self, widget, number):
        "Stop at an answer until the drawing under way is asked to end; the event is set when it has come to that."
        begun = threading.Event()

        def pause(count):
            if count == number:
                stopped = widget.background.stop_event
                begun.set()
                assert stopped.wait(PATIENCE)

        self.pause = pause
        return begun


@contextmanager
def closed_in_the_end():
    "A list for widgets: they are closed in the end, and no thread of them goes on."
    before, made = set(threading.enumerate()), []
    yield made
    for widget in made:
        widget.close()
    assert set(threading.enumerate()) <= before, "no thread is left"
    assert all(widget.comm is None for widget in made)


def drawn(widget):
    "A widget or a form when it has drawn what it is asked for."
    widget.draw()
    widget.background.wait()
    return widget


def check_nothing_is_left(
    make, use=lambda widget: handle_message(widget, {"type": "ready"}, []), count=200
):
    "So many of a widget or a form, each used and closed: no growth in the registry of widgets or in threads."
    make().close()
    before = len(ipywidgets_widget._instances), threading.active_count()
    for _ in range(count):
        widget = make()
        use(widget)
        widget.close()
    gc.collect()
    assert (len(ipywidgets_widget._instances), threading.active_count()) == before


def kept_page(widget, folder):
    "The exported page of a widget: its text, and what it would tell itself."
    text = widget.export_html(folder / "page.html").read_text(encoding="utf-8")
    assert "https://" not in text
    return text, json.loads(re.search(r"shimModel\((\{.*\})\);", text)[1])


def check_poster(widget):
    "A still picture is there before anything is drawn, and a larger one after."
    empty = widget.poster()
    widget.draw()
    assert "image/png" in widget._repr_mimebundle_() and widget.poster().height > empty.height


def sent_messages(monkeypatch):
    "The messages of all widgets from now on: a list of (type, content, buffers)."
    messages = []

    def send(widget, content, buffers=None):
        messages.append(
            SimpleNamespace(
                kind=content["type"],
                content=content,
                buffers=buffers or [],
                thread=threading.current_thread(),
            )
        )

    monkeypatch.setattr(SamplingWidget, "send", send)
    return messages


def page_sends(widget, **content):
    "What a click in the page does."
    widget._handle_custom_msg(content, [])


def same(one, other):
    "Whether two lists of states are equal bit for bit."
    pairs = list(zip(one, other, strict=True))
    return all(
        torch.equal(getattr(a, name), getattr(b, name))
        for a, b in pairs
        for name in ("y", "x0_hat", "eps_hat", "sigma")
    )
