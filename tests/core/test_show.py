"Pictures as numbers and back: every kind of picture is seen as it is meant, and every figure shows all it was given."

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from t2i_learn.core import show as module
from t2i_learn.core.show import (
    make_figure,
    make_image_grid,
    markdown_table,
    plot_curves,
    png_base64,
    png_bytes,
    show_grid,
    show_strip,
    to_image,
    to_rgb,
    to_tensor,
)


@pytest.fixture
def figures(monkeypatch):
    "The figures that are put on the page from now on."
    seen = []
    monkeypatch.setattr(module, "show", lambda figure, alt=None: seen.append(figure))
    return seen


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (1, 1), 77), (77, 77, 77)),
        (Image.new("1", (1, 1), 1), (255, 255, 255)),
        (Image.new("RGBA", (1, 1), (255, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (1, 1), (255, 0, 0, 51)), (255, 204, 204)),
        (Image.new("LA", (1, 1), (0, 0)), (255, 255, 255)),
        (Image.new("La", (1, 1), (0, 0)), (255, 255, 255)),
        (Image.new("CMYK", (1, 1), (0, 255, 255, 0)), (255, 0, 0)),
        (Image.fromarray(np.array([[65535]], dtype=np.uint16)), (255, 255, 255)),
        (Image.fromarray(np.array([[257 * 100]], dtype=np.uint16)), (100, 100, 100)),
        (Image.fromarray(np.array([[100]], dtype=np.int32)), (100, 100, 100)),
        (Image.fromarray(np.array([[0.5]], dtype=np.float32)), (128, 128, 128)),
        (Image.fromarray(np.array([[np.nan]], dtype=np.float32)), (0, 0, 0)),
        (Image.fromarray(np.array([[np.inf]], dtype=np.float32)), (0, 0, 0)),
    ],
)
def test_a_picture_of_any_kind_is_seen_as_it_is_meant(image, expected):
    assert to_rgb(image).mode == "RGB" and to_rgb(image).getpixel((0, 0)) == expected
    assert to_tensor(image).shape == (3, 1, 1) and torch.equal(
        to_tensor(image), to_tensor(to_rgb(image))
    )


def test_a_tall_grey_picture_of_16_bits_has_one_scale_for_all_its_rows():
    rows = np.arange(1000, dtype=np.int32)[:, None]
    tall, small = to_rgb(Image.fromarray(rows * 60)), to_rgb(Image.fromarray(np.minimum(rows, 255)))
    assert [tall.getpixel((0, k))[0] for k in (0, 300, 999)] == [0, 70, 233]
    assert [small.getpixel((0, k))[0] for k in (0, 100, 999)] == [0, 100, 255]


def test_a_palette_with_a_transparent_colour_lies_over_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.putpixel((1, 0), 1)
    assert to_rgb(image).getpixel((1, 0)) == (200, 0, 0)
    image.info["transparency"] = 0
    assert [to_rgb(image).getpixel((k, 0)) for k in range(2)] == [(255, 255, 255), (200, 0, 0)]


@pytest.mark.parametrize(("turn", "size"), [(1, (3, 2)), (3, (3, 2)), (6, (2, 3)), (8, (2, 3))])
def test_a_phone_s_picture_is_turned_upright(turn, size):
    image = Image.new("RGB", (3, 2))
    image.putpixel((0, 0), (255, 0, 0))
    image.getexif()[0x0112] = turn
    corners = {1: (0, 0), 3: (2, 1), 6: (1, 0), 8: (0, 2)}
    assert to_rgb(image).size == size and to_rgb(image).getpixel(corners[turn]) == (255, 0, 0)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.full((3, 2, 2), float("nan")), "NaN"),
        (torch.full((3, 2, 2), float("inf")), "infinity"),
        (torch.full((3, 2, 2), float("-inf")), "infinity"),
        (np.zeros((3, 2, 2)), "not ndarray"),
        (None, "not NoneType"),
        (torch.zeros(1, 2, 2), r"\(1, 2, 2\)"),
        (torch.zeros(2, 2), r"\(2, 2\)"),
        (torch.zeros(3, 2, 2, dtype=torch.uint8), "uint8"),
    ],
)
def test_what_is_no_picture_does_not_become_one(x, words):
    with pytest.raises(ValueError, match=words):
        to_image(x)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I", "F", "CMYK", "YCbCr", "PA", "I;16"]
)
def test_a_picture_of_any_mode_travels_as_text(mode):
    image = Image.new(mode, (2, 2))
    data = base64.b64decode(png_base64(image))
    again = Image.open(io.BytesIO(data))
    assert data == png_bytes(image) and to_rgb(again).tobytes() == to_rgb(image).tobytes()
    assert again.mode == (mode if mode in ("1", "L", "LA", "P", "RGB", "RGBA") else "RGB")


def test_a_phone_s_picture_travels_upright():
    image = Image.new("RGB", (3, 2))
    image.getexif()[0x0112] = 6
    assert Image.open(io.BytesIO(png_bytes(image))).size == (2, 3)


def test_pictures_of_a_pipeline_can_be_pasted_into_rows():
    images = [Image.new("RGB", (4, 4), colour) for colour in ("red", "green", "blue")]
    assert make_image_grid(images, columns=3, gap=0).size == (12, 4)
    assert torch.equal(
        to_tensor(make_image_grid(images)), to_tensor(make_image_grid([to_tensor(i) for i in images]))
    )


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        ([], "the list is empty"),
        (torch.zeros(3, 4, 4), "put a single one into a list"),
        (Image.new("RGB", (2, 2)), "put a single one"),
        ([torch.zeros(3, 4, 4), torch.zeros(3, 4, 6)], "one is 4×4, another 6×4"),
        (SimpleNamespace(images=[]), "give its .images"),
        (None, "come as a tensor"),
        (7, "come as a tensor"),
        ("ab", "not str"),
        ({"a": 1}, "not str"),
        (iter(()), "the list is empty"),
    ],
)
def test_a_grid_of_something_else_is_a_sentence(pictures, words):
    with pytest.raises(ValueError, match=words):
        make_image_grid(pictures)


@pytest.mark.parametrize("draw", [make_image_grid, show_grid, show_strip])
def test_pictures_may_come_one_by_one(figures, draw):
    draw(torch.zeros(3, 4, 4) for _ in range(3))
    with pytest.raises(ValueError, match="one is 4×4, another 6×4"):
        make_image_grid(torch.zeros(3, 4, side) for side in (4, 6))


def test_a_sheet_that_no_memory_holds_is_a_sentence_at_once():
    pictures = torch.zeros(1, 3, 32, 32).expand(1000, -1, -1, -1)
    with pytest.raises(
        ValueError,
        match=r"^1,000 pictures, .* 4,\d+,\d+,\d+ pixels, more than 100,000,000: choose fewer",
    ):
        make_image_grid(pictures, scale=64)


@pytest.mark.parametrize("captions", [None, [], ["first"], ["first", "second", "third"]])
@pytest.mark.parametrize("draw", [show_grid, show_strip])
def test_pictures_without_captions_are_shown(figures, draw, captions):
    draw(torch.zeros(3, 3, 4, 4), captions)
    (figure,) = figures
    assert sum(bool(axes.images) for axes in figure.axes) == 3
    assert [axes.get_xlabel() for axes in figure.axes] == [*(captions or []), "", "", ""][:3]


@pytest.mark.parametrize("scale", [1.0, 1.3, 2.2])
@pytest.mark.parametrize("lines", [1, 2, 4, 7])
@pytest.mark.parametrize("draw", [show_grid, show_strip])
def test_captions_of_many_lines_are_not_cut(figures, draw, lines, scale):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    word = "g" * (int(scale / 0.07) - 1)
    draw(torch.zeros(4, 3, 4, 4), [" ".join([word] * lines)] * 4, scale=scale)
    canvas = FigureCanvasAgg(figures[0])
    canvas.draw()
    for axes in figures[0].axes:
        assert axes.get_xlabel().count("\n") == lines - 1
        box = axes.xaxis.label.get_window_extent(canvas.get_renderer())
        assert box.y0 >= 0 and box.y1 <= axes.get_window_extent().y0, (
            "below its picture, inside the figure"
        )


def test_more_captions_than_pictures_are_a_sentence():
    with pytest.raises(ValueError, match="2 captions for 1 pictures"):
        show_grid(torch.zeros(1, 3, 4, 4), ["a", "b"])


@pytest.mark.parametrize("draw", [show_grid, show_strip])
def test_one_text_is_one_caption(figures, draw):
    draw(torch.zeros(2, 3, 4, 4), "ab")
    assert [axes.get_xlabel() for axes in figures[0].axes] == ["ab", ""]


def test_one_text_is_one_cell():
    assert markdown_table("name", ["ab"]).splitlines() == ["| name |", "| --- |", "| ab |"]


def test_a_bar_in_a_cell_starts_no_column():
    assert markdown_table(["a", "|b|"], [["1", "2"]]).splitlines()[0] == "| a | \\|b\\| |"


@pytest.mark.parametrize("words", ["$^$", "costs $5 and $6", r"$\frac{$"])
@pytest.mark.parametrize("place", ["curve", "xlabel", "ylabel", "title", "text", "tick", "legend"])
def test_a_word_of_any_figure_is_text_and_never_mathematics(words, place):
    from matplotlib.text import Text

    if place in ("curve", "xlabel", "ylabel"):
        names = {words: [1, 2], "b": [2, 1]} if place == "curve" else {"a": [1, 2]}
        labels = {} if place == "curve" else {place: words}
        figure = plot_curves(names, **labels)
        figure.savefig(io.BytesIO())  # by someone who does not ask us
    else:
        figure = make_figure(2, 1)
        axes = figure.subplots()
        axes.plot([0, 1], label=words if place == "legend" else "")
        draw = {
            "title": lambda: axes.set_title(words),
            "text": lambda: axes.text(0, 0, words),
            "tick": lambda: axes.set_xticks([0, 1], [words, "b"]),
            "legend": axes.legend,
        }
        draw[place]()
    module.figure_to_image(figure)
    found = [text for text in figure.findobj(Text) if text.get_text() == words]
    assert found and not any(text.get_parse_math() for text in found)


def test_powers_of_ten_are_mathematics_however_often_they_are_drawn():
    figure = plot_curves({"a": [1e-5, 1e5]}, log=True)
    first, second = (module.figure_to_image(figure) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    labels = [label for label in figure.axes[0].get_yticklabels() if label.get_text()]
    assert labels and all(label.get_parse_math() for label in labels)


@pytest.mark.parametrize("caption", ["costs $5", "$a and $b", r"\$", "$\\frac{", "_^{}"])
def test_a_caption_is_text_and_never_mathematics(figures, caption):
    show_grid([torch.zeros(3, 4, 4)], [caption], title=caption)
    (figure,) = figures
    module.figure_to_image(figure)  # matplotlib reads mathematics while it draws
    assert figure.axes[0].get_xlabel() == caption and not figure.axes[0].xaxis.label.get_parse_math()


class _Notebook:
    "What a notebook would be given to display."

    def __init__(self, monkeypatch):
        self.shown: list[tuple[dict[str, object], dict[str, dict[str, object]]]] = []
        monkeypatch.setattr("IPython.get_ipython", lambda: self)
        monkeypatch.setattr("IPython.display.display", self.display)

    def display(self, picture):
        self.shown.append(picture._repr_png_())


@pytest.fixture
def notebook(monkeypatch):
    "A notebook that keeps what is displayed."
    return _Notebook(monkeypatch)


def test_a_figure_has_more_dots_than_the_screen_pixels_it_takes(notebook):
    module.show(make_figure(2, 1))
    ((data, metadata),) = notebook.shown
    assert metadata["width"] == 2 * 96
    assert Image.open(io.BytesIO(base64.b64decode(data))).width == 2 * 144


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: show_grid(torch.zeros(2, 3, 4, 4), ["a cat", "a\ndog"]), ["2 pictures", "a cat", "a dog"]),
        (lambda: show_grid(torch.zeros(2, 3, 4, 4), title="two of them"), ["2 pictures", "two of them"]),
        (lambda: show_strip(torch.zeros(1, 3, 4, 4), alt="a black square"), ["a black square"]),
        (lambda: module.show_curves({"up": [1, 2], "down": [2, 1]}, xlabel="step"), ["1 plot", "step", "up, down"]),
        (lambda: module.show_curves({"a": [1, 2]}, alt="it rises"), ["it rises"]),
        (lambda: module.show(Image.new("RGB", (3, 2))), ["a picture of 3 by 2 pixels"]),
        (lambda: module.show(Image.new("RGB", (3, 2)), "grey"), ["grey"]),
        (lambda: module.show(make_figure(1, 1)), ["an empty figure"]),
    ],
)  # fmt: skip
def test_every_figure_says_in_words_what_it_shows(notebook, draw, words):
    draw()
    ((_, metadata),) = notebook.shown
    assert all(word in metadata["alt"] for word in words)
    assert "\n" not in metadata["alt"]


def test_the_words_of_a_large_figure_are_not_endless(notebook):
    show_grid(torch.zeros(100, 3, 4, 4), [f"picture number {k}" for k in range(100)])
    ((_, metadata),) = notebook.shown
    assert len(metadata["alt"]) <= 400 and metadata["alt"].startswith("100 pictures; picture number 0;")


def test_rows_and_columns_of_a_sheet_have_names(figures):
    show_grid(
        torch.zeros(5, 3, 4, 4), columns=3, row_labels=["up", "down"], column_labels=["a", "b", "c"]
    )
    (figure,) = figures
    assert [axes.get_ylabel() for axes in figure.axes] == ["up", "", "", "down", "", ""]
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", "", "", ""]
    assert [axes.axison for axes in figure.axes] == [True] * 5 + [False], "the empty place has no frame"
