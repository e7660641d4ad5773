"Pictures as numbers and back: every kind of picture is seen as it is meant, and every figure shows all it was given."

import numpy as np
import pytest
import torch
from PIL import Image

from t2i_learn.core import show as module
from t2i_learn.core.show import make_image_grid, show_grid, show_strip, to_image, to_rgb, to_tensor


@pytest.fixture
def figures(monkeypatch):
    "The figures that are put on the page from now on."
    seen = []
    monkeypatch.setattr(module, "show", seen.append)
    return seen


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (1, 1), 77), (77, 77, 77)),
        (Image.new("1", (1, 1), 1), (255, 255, 255)),
        (Image.new("RGBA", (1, 1), (255, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (1, 1), (255, 0, 0, 51)), (255, 204, 204)),
        (Image.new("LA", (1, 1), (0, 0)), (255, 255, 255)),
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
        (torch.zeros(1, 2, 2), r"\(1, 2, 2\)"),
        (torch.zeros(2, 2), r"\(2, 2\)"),
        (torch.zeros(3, 2, 2, dtype=torch.uint8), "uint8"),
    ],
)
def test_what_is_no_picture_does_not_become_one(x, words):
    with pytest.raises(ValueError, match=words):
        to_image(x)


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
    ],
)
def test_a_grid_of_something_else_is_a_sentence(pictures, words):
    with pytest.raises(ValueError, match=words):
        make_image_grid(pictures)


@pytest.mark.parametrize("captions", [None, [], ["first"], ["first", "second", "third"]])
@pytest.mark.parametrize("draw", [show_grid, show_strip])
def test_pictures_without_captions_are_shown(figures, draw, captions):
    draw(torch.zeros(3, 3, 4, 4), captions)
    (figure,) = figures
    assert sum(bool(axes.images) for axes in figure.axes) == 3
    assert [axes.get_xlabel() for axes in figure.axes] == [*(captions or []), "", "", ""][:3]


def test_more_captions_than_pictures_are_a_sentence():
    with pytest.raises(ValueError, match="2 captions for 1 pictures"):
        show_grid(torch.zeros(1, 3, 4, 4), ["a", "b"])


@pytest.mark.parametrize("caption", ["costs $5", "$a and $b", r"\$", "$\\frac{", "_^{}"])
def test_a_caption_is_text_and_never_mathematics(figures, caption):
    show_grid([torch.zeros(3, 4, 4)], [caption], title=caption)
    (figure,) = figures
    module.figure_to_image(figure)  # matplotlib reads mathematics while it draws
    assert figure.axes[0].get_xlabel() == caption and not figure.axes[0].xaxis.label.get_parse_math()
