"Settings for every test, made before torch is imported: small presets, one thread a worker, no network, no window."

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("T2I_PRESET", "smoke")
os.environ.setdefault("T2I_DEVICE", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    "Side by side, a file's tests share a process, and what they set up; the browser's share one; each notebook has its own."
    for item in items:
        if item.path.stem != "test_notebooks":
            group = "browser" if item.path.parent.name == "browser" else item.path.stem
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def sent(monkeypatch):
    "What widgets tell their pages from now on: (content, buffers). Files that ask more of a message have their own."
    from t2i_learn.widgets.base import Widget

    heard = []
    monkeypatch.setattr(
        Widget, "send", lambda widget, content, buffers=None: heard.append((content, buffers or []))
    )
    return heard


@pytest.fixture
def keep(sent):
    "Takes a widget and gives it back; in the end it is closed, and no thread of it goes on."
    from widget_tools import closed_in_the_end

    with closed_in_the_end() as made:
        yield lambda widget: made.append(widget) or widget


@pytest.fixture
def item():
    "A small picture for the widgets that dissolve one."
    from t2i_learn.widgets.forward import PictureChoice, scene_picture

    return PictureChoice("a scene", scene_picture(4, 16), "scene_picture(4, 16)")
