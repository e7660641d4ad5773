"What the tests of widgets that draw share: a small model, and a widget that keeps what it would tell a page."

import threading
from types import SimpleNamespace

import torch

from t2i_learn.widgets.reverse import Drawing

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


def told(monkeypatch):
    "The messages of all widgets from now on: a list of (type, content, buffers)."
    heard = []

    def send(widget, content, buffers=None):
        heard.append(SimpleNamespace(kind=content["type"], content=content, buffers=buffers or [], thread=threading.current_thread()))

    monkeypatch.setattr(Drawing, "send", send)
    return heard


def page_sends(widget, **content):
    "What a click in the page does."
    widget._handle_custom_msg(content, [])


def same(one, other):
    "Whether two lists of states are equal bit for bit."
    pairs = list(zip(one, other, strict=True))
    return all(torch.equal(getattr(a, name), getattr(b, name)) for a, b in pairs for name in ("y", "x0_hat", "eps_hat", "sigma"))
