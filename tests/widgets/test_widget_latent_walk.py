"The latent walk without a browser: cells and walks, the newest place, sentences, the page that is kept."

import json
import warnings

import pytest
import torch
from scripts import in_node
from tiny import tiny_gan
from traitlets import TraitError
from widget_tools import check_nothing_is_left, kept_page, page_sends

from t2i_learn.gan.interpolation import noise_from_seeds, interpolate_picture
from t2i_learn.widgets.latent_walk import latent_walk, RECORDED_SIDE
from t2i_learn.widgets.base import rgb_bytes

CAPTIONS = ("a red heart", "a blue star on a mint background", "two hearts")


@pytest.fixture(scope="module")
def model():
    return tiny_gan().model


@pytest.fixture
def open_walk(keep, model):
    "A maker of walks."

    def make(captions=CAPTIONS, seeds=(1, 2, 3, 4), painter=model, **settings):
        walk = keep(latent_walk(painter, captions, seeds, **settings))
        walk.background.wait()
        return walk

    return make


def test_a_cell_is_the_models_picture(open_walk, model):
    walk = open_walk()
    assert [row[0]["row"] for row in walk.rows] == [0, 1, 2] and all(
        len(row[1]) == 4 for row in walk.rows
    )
    with torch.no_grad():
        picture = model.generator(noise_from_seeds(model, [3]), model.encode([CAPTIONS[1]]))[0]
    shown = torch.frombuffer(bytearray(walk.rows[1][1][2]), dtype=torch.uint8).int()
    assert (
        shown - torch.frombuffer(bytearray(rgb_bytes(picture)), dtype=torch.uint8).int()
    ).abs().max() <= 1


def test_a_walk_begins_and_ends_in_its_cells(open_walk, sent):
    walk = open_walk(start=[0, 1], end=[2, 3])
    for share, (row, column) in ((0.0, (0, 1)), (1.0, (2, 3))):
        page_sends(walk, type="interpolate", settings={"noise_share": share, "caption_share": share})
        content, (picture,) = sent[-1]
        assert content == {"type": "picture"}
        one, other = (
            torch.frombuffer(bytearray(data), dtype=torch.uint8).int()
            for data in (picture, walk.rows[row][1][column])
        )
        assert (one - other).abs().max() <= 1
    page_sends(walk, type="interpolate", settings={"noise_share": 0.5, "caption_share": 0.25})
    assert walk.message == "" and walk.caption_share == 0.25 and len(sent[-1][1][0]) == 3 * 32 * 32


def test_captions_and_noises_can_be_changed(open_walk, sent):
    walk = open_walk()
    before = walk.rows
    page_sends(
        walk, type="draw", settings={"captions": ["a red heart", "a green cross"], "seeds": [1, 9]}
    )
    walk.background.wait()
    assert [content["type"] for content, _ in sent[-4:] if content["type"] != "picture"] == [
        "table",
        "row",
        "row",
    ] and ({"type": "picture"}, walk.current_picture()[1]) in sent
    assert (
        len(walk.rows) == 2
        and walk.rows[0][1][0] == before[0][1][0]
        and walk.rows[0][1][1] != before[0][1][1]
    )


def test_what_makes_no_sense_is_a_sentence(open_walk, model, capsys):
    walk = open_walk()
    page_sends(walk, type="draw", settings={"captions": [" ", "a star"]})
    assert "empty" in walk.message and "\n" not in walk.message and len(walk.rows) == 3, (
        "the table stays"
    )
    page_sends(walk, type="draw", settings={"captions": ["a heart " * 99, "a star"]})
    assert "shorten it" in walk.message
    page_sends(walk, type="draw", settings={"captions": ["a red heart", "a star"]})
    walk.background.wait()
    assert walk.message == ""
    page_sends(walk, type="interpolate", settings={"end": [2, 0]})
    assert walk.message == "The walk leads out of the table: choose two of its cells."
    page_sends(walk, type="interpolate", settings={"end": [1, 0]})
    assert walk.message == "" and capsys.readouterr().err == ""
    for name, value in (("noise_share", 1.5), ("captions", ["one"]), ("seeds", list(range(9)))):
        with pytest.raises(TraitError):
            setattr(walk, name, value)
    with pytest.raises(ValueError, match="empty"):
        latent_walk(model, ["", "a star"])


@pytest.mark.parametrize(
    "content",
    [
        {"type": "dance"},
        {"type": "draw", "settings": {"captions": "a star"}},
        {"type": "draw", "settings": {"captions": ["a star"]}},
        {"type": "draw", "settings": {"captions": ["a star"] * 9}},
        {"type": "draw", "settings": {"seeds": [1, -2]}},
        {"type": "draw", "settings": {"seeds": [1, 2.5]}},
        {"type": "interpolate", "settings": {"noise_share": 2}},
        {"type": "interpolate", "settings": {"start": [0, "x"]}},
        {"type": "interpolate", "settings": {"end": [0]}},
        {"type": "interpolate", "settings": {"end": [0, 1, 2]}},
        {"type": "interpolate", "settings": {"end": [0, -1]}},
        {"type": "draw", "settings": {"source": "x"}},
    ],
    ids=str,
)
def test_a_message_that_no_page_of_ours_sends_is_a_sentence(open_walk, content):
    walk = open_walk()
    page_sends(walk, **content)
    assert (
        walk.message.startswith("The page sent what this widget cannot use: ")
        and "\n" not in walk.message
        and len(walk.message) < 400
    )
    assert walk.captions == list(CAPTIONS) and walk.seeds == [1, 2, 3, 4] and len(walk.rows) == 3


@pytest.mark.parametrize("cell", [[0, 9], [3, 0], [1000, 1000]])
def test_a_cell_that_is_not_there_is_a_sentence(open_walk, cell):
    walk = open_walk()
    page_sends(walk, type="interpolate", settings={"end": cell})
    assert walk.message == "The walk leads out of the table: choose two of its cells."


def test_what_an_encoder_warns_of_is_noted(open_walk):
    model = tiny_gan().model
    encode = model.encode
    model.encode = lambda captions: (
        warnings.warn("no caption held 'quokka'", stacklevel=1),
        encode(captions),
    )[1]
    walk = open_walk(painter=model)
    assert walk.warnings == "Note: no caption held 'quokka'."
    model.encode = encode
    walk.draw()
    assert walk.warnings == ""


def test_a_network_that_fails_is_a_sentence(open_walk, capsys):
    broken = tiny_gan().model
    walk = open_walk(painter=broken)
    draw, broken.generator.forward = broken.generator.forward, lambda *_: 1 / 0
    page_sends(walk, type="interpolate")
    assert "ZeroDivisionError" in walk.message
    page_sends(walk, type="draw")
    walk.background.wait()
    assert "ZeroDivisionError" in walk.message and walk.rows == []
    broken.generator.forward = draw
    page_sends(walk, type="draw")
    walk.background.wait()
    assert walk.message == "" and len(walk.rows) == 3 and capsys.readouterr().err == ""


def test_a_view_that_opens_late_is_told_everything(open_walk, sent):
    walk = open_walk()
    sent.clear()
    page_sends(walk, type="ready")
    assert [content["type"] for content, _ in sent] == ["table", "row", "row", "row", "picture"]


def test_the_page_that_is_kept_walks_on_its_own(open_walk, tmp_path):
    walk = open_walk()
    text, data = kept_page(walk, tmp_path)
    content, buffers = data["recording"][-1]
    assert content == {"type": "square", "across": RECORDED_SIDE} and len(buffers) == RECORDED_SIDE**2
    assert text.count("</script>") == 1 and len(text) < 400_000
    places = [[u / 12, v / 12] for u in range(13) for v in range(13)]
    found = in_node(tmp_path, "latent_walk", "places.map(([u, v]) => nearest(u, v, 7))", places=places)
    for (u, v), k in zip(places, found):
        assert max(abs(k % RECORDED_SIDE / 6 - u), abs(k // RECORDED_SIDE / 6 - v)) <= 1 / 12 + 1e-9
    state = {
        "captions": list(CAPTIONS),
        "seeds": [1, 2],
        "start": [0, 1],
        "end": [1, 0],
        "noise_share": 0.1,
        "caption_share": 0.7,
    }
    made = {"model": walk.model}
    exec(in_node(tmp_path, "latent_walk", "codeOf(state)", state=state), made)
    assert torch.equal(made["picture"], interpolate_picture(walk.model, CAPTIONS[:2], [2, 1], 0.1, 0.7))
    shipped = latent_walk(captions=CAPTIONS, seeds=(1, 2))
    made = {}
    exec(
        in_node(tmp_path, "latent_walk", "codeOf(state)", state=state | {"source": shipped.source}), made
    )
    assert torch.equal(
        made["picture"], interpolate_picture(shipped.model, CAPTIONS[:2], [2, 1], 0.1, 0.7)
    )


def test_two_hundred_leave_nothing_behind(model):
    check_nothing_is_left(
        lambda: latent_walk(model, CAPTIONS, (1, 2)), lambda walk: walk.background.wait()
    )


def test_traits_are_small_and_the_poster_is_there(open_walk):
    walk = open_walk()
    state = {name: value for name, value in walk.get_state().items() if not name.startswith("_")}
    assert len(json.dumps(state, default=str)) < 32_000
    assert "image/png" in walk._repr_mimebundle_() and walk.poster().width > 500
