"The editor without a browser: masks as text, changes as calls, undo of everything, Stop, files, sentences."

import io
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scripts import in_node
from tiny import tiny_gan, tiny_pipeline
from widget_tools import PATIENCE, kept_page, page_sends

from t2i_learn.editing import prompt_to_prompt
from t2i_learn.core.files import save_image
from t2i_learn.core.show import to_image, to_tensor
from t2i_learn.widgets.editor import (
    call_with_notes,
    compare_scenes,
    edit_widget,
    EditCall,
    found_mask,
    pack_mask,
    picture_version,
    read_upload,
    UndoStack,
    unpack_mask,
)
from t2i_learn.world.scenes import render, Scene, Thing

STEPS = 2
SCENE = Scene((Thing("circle", "red", 0.3, 0.35, 0.18), Thing("star", "blue", 0.7, 0.62, 0.18)))
PROMPT = "a green circle and a blue star"
pytestmark = [
    pytest.mark.filterwarnings("ignore:no caption in training held"),
    pytest.mark.filterwarnings("ignore:.*its noise is recorded anew"),
]


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


@pytest.fixture
def open_widget(keep, pipe):
    "A maker of editors of a rendered scene."
    return lambda own=pipe, **changes: keep(
        edit_widget(own, PROMPT, **{"picture": render(SCENE), "num_inference_steps": STEPS} | changes)
    )


def left_half(side=32):
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[:, : side // 2] = True
    return mask


def states(sent):
    return [content for content, _ in sent if content["type"] == "state"]


def file_of(image, name, folder, facts):
    save_image(image, folder / name, facts)
    return (folder / name).read_bytes()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_a_mask_is_its_text(side, seed):
    mask = torch.rand(side, side, generator=torch.Generator().manual_seed(seed)) < 0.5
    assert torch.equal(unpack_mask(pack_mask(mask), side), mask)


def test_the_page_writes_and_reads_the_same_masks(tmp_path):
    mask = torch.rand(8, 8, generator=torch.Generator().manual_seed(1)) < 0.5
    found = in_node(
        tmp_path,
        ("form", "opening", "brush", "editor"),
        "{text: widget.maths.packMask(mask), mask: widget.maths.unpackMask(text, 64)}",
        mask=mask.int().flatten().tolist(),
        text=pack_mask(mask),
    )
    assert found["text"] == pack_mask(mask)
    assert found["mask"] == mask.int().flatten().tolist()


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_a_stroke_covers_all_pixels_within_the_brush_of_its_line(tmp_path, size):
    start, end, side = np.array([3.2, 4.7]), np.array([12.1, 9.4]), 16
    painted = in_node(
        tmp_path,
        ("form", "opening", "brush", "editor"),
        "(() => { const m = new Uint8Array(256); widget.maths.stroke(m, 16, start, end, size, 1); return m; })()",
        start=start.tolist(),
        end=end.tolist(),
        size=size,
    )
    columns, rows = np.meshgrid(np.arange(side) + 0.5, np.arange(side) + 0.5)
    places = np.stack([columns, rows], -1)
    along = np.clip((places - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
    apart = np.linalg.norm(places - (start + along[..., None] * (end - start)), axis=-1)
    painted = np.array(painted).reshape(side, side) > 0
    assert painted[apart <= size / 2 - 0.15].all(), "the line is covered without holes"
    assert not painted[apart > max(size / 2, 0.75)].any(), "and nothing far from it"


def test_the_page_puts_two_pictures_together(tmp_path):
    old, new = np.zeros((4, 4, 3), int), np.full((4, 4, 3), 9)
    found = in_node(
        tmp_path,
        ("form", "opening", "brush", "editor"),
        "widget.maths.splitPicture(Uint8Array.from(old), Uint8Array.from(fresh), 3)",
        old=old.flatten().tolist(),
        fresh=new.flatten().tolist(),
    )
    wanted = new.copy()
    wanted[:, :3] = 0
    assert found == wanted.flatten().tolist()


def test_a_mask_is_seen_on_every_colour(tmp_path):
    for shade in (0, 128, 255):
        found = in_node(
            tmp_path,
            ("form", "opening", "brush", "editor"),
            "widget.maths.maskedPicture(Uint8Array.from(frame), mask)",
            frame=[shade] * 48,
            mask=[1] * 8 + [0] * 8,
        )
        pixels = np.array(found).reshape(16, 3)
        assert (pixels[8:] == shade).all(), "outside the mask the picture is as it is"
        assert max(abs(pixels[0, 0] - shade), abs(pixels[1, 0] - shade)) > 60, "inside it is not"


def test_partners_are_found_by_place_before_kind():
    a, b = SCENE.things
    swapped = Scene((Thing("circle", "red", b.x, b.y, 0.18), Thing("star", "blue", a.x, a.y, 0.18)))
    assert [row.changed for row in compare_scenes(SCENE, swapped)] == [True, True, False]
    gone = compare_scenes(SCENE, Scene((b,), "mint"))
    assert [row.text.split(": ")[1] for row in gone] == ["gone", "as it was", "now mint"]
    assert [row.changed for row in compare_scenes(Scene(()), SCENE)] == [True, True, False]


def test_the_newest_moments_are_kept():
    stack = UndoStack(0, most=3)
    for k in range(1, 6):
        stack.push(k)
    assert stack.moments == [3, 4, 5]
    stack.move(-2)
    with pytest.raises(ValueError, match="nothing to undo"):
        stack.move(-1)
    stack.push(9)
    assert stack.moments == [3, 9] and not stack.can_redo


def test_with_a_mask_it_is_inpainting_and_without_one_an_edit(open_widget, pipe):
    widget = open_widget(mask=left_half())
    widget.draw().background.wait()
    assert widget.message == ""
    image, settings_ = widget.stack.now.before.image, dict(widget.form)
    prompt = settings_.pop("prompt")
    again = pipe.inpaint(image, left_half(), prompt, strength=0.6, **settings_).images[0]
    assert widget.result == again
    outside = np.asarray(again)[:, 16:] == np.asarray(image)[:, 16:]
    assert outside.all() and widget.stack.now.after.image.info["edit"] == "inpainting"
    widget.paint(pack_mask(~torch.ones(32, 32, dtype=torch.bool)))
    widget.method = "sdedit"
    widget.draw().background.wait()
    assert (
        widget.result
        == pipe.edit(
            image, prompt, method="sdedit", source_prompt=widget.source_prompt, **settings_
        ).images[0]
    )


def test_copy_as_code_makes_what_is_on_the_screen(open_widget, pipe):
    widget = open_widget(picture=None, source_prompt="a red heart", mask=left_half())
    widget.draw().background.wait()
    page_sends(widget, type="keep")
    page_sends(widget, type="draw", form=widget.form | {"prompt": "a blue heart"}, strength=0.5)
    widget.background.wait()
    assert widget.code.count("pipe.inpaint(") == 1 and widget.code.count("pipe.edit(") == 1
    made = {"pipe": pipe}
    exec(widget.code, made)
    assert made["picture"] == widget.result


def test_everything_can_be_undone_and_done_again(open_widget, sent, pipe, tmp_path):
    widget = open_widget()
    first = widget.stack.now
    page_sends(widget, type="mask", mask=pack_mask(left_half()), by="a view")
    assert sent[-1][0] == {
        "type": "mask",
        "mask": pack_mask(left_half()),
        "by": "a view",
        "undo": True,
        "redo": False,
    }
    page_sends(widget, type="draw")
    widget.background.wait()
    changed = widget.stack.now
    page_sends(widget, type="keep")
    data = file_of(Image.new("RGB", (32, 32), "white"), "own.png", tmp_path, {})
    widget._handle_custom_msg({"type": "open", "name": "own.png"}, [memoryview(data)])
    assert widget.message == "" and widget.code.endswith(
        "picture = 'own.png'  # the file that you opened"
    )
    for _ in range(4):
        page_sends(widget, type="undo")
    assert widget.stack.now == first and states(sent)[-1]["undo"] is False
    page_sends(widget, type="undo")
    assert widget.message == "There is nothing to undo."
    page_sends(widget, type="redo")
    page_sends(widget, type="redo")
    assert widget.stack.now == changed and states(sent)[-1]["report"]["outside"] == 0


def test_a_stroke_while_a_change_is_made_is_not_lost(open_widget):
    own = tiny_pipeline()
    widget, begun, go_on = open_widget(own), threading.Event(), threading.Event()
    forward = own.model.denoiser.forward

    def slow(*arguments, **named):
        begun.set()
        assert go_on.wait(PATIENCE)
        return forward(*arguments, **named)

    own.model.denoiser.forward = slow
    page_sends(widget, type="draw")
    assert begun.wait(PATIENCE)
    page_sends(widget, type="mask", mask=pack_mask(left_half()), by="")
    go_on.set()
    widget.background.wait()
    assert widget.stack.now.mask == pack_mask(left_half()) and widget.stack.now.after is not None


def test_stop_ends_a_call_between_two_evaluations(open_widget, sent):
    own = tiny_pipeline()
    widget = open_widget(own, num_inference_steps=50)
    moment = widget.stack.now
    forward = own.model.denoiser.forward

    def stopping(*arguments, **named):
        widget.background.stop()
        return forward(*arguments, **named)

    own.model.denoiser.forward = stopping
    page_sends(widget, type="draw")
    widget.background.wait()
    assert sent[-1][0] == {"type": "end", "calls": 1, "done": False}
    assert widget.stack.now is moment and widget.message == "" and not widget.running
    assert not own.model.denoiser._forward_hooks


def test_two_threads_keep_their_notes_apart_and_leave_the_filters_as_they_were():
    before = list(warnings.filters), warnings.showwarning
    is_inside, may_leave, found = threading.Event(), threading.Event(), []

    def first():
        warnings.warn("first", stacklevel=1)
        is_inside.set()
        assert may_leave.wait(PATIENCE)

    thread = threading.Thread(target=lambda: found.append(call_with_notes(first)[1]))
    thread.start()
    assert is_inside.wait(PATIENCE)

    def second():
        warnings.warn("second", stacklevel=1)
        may_leave.set()
        thread.join()
        warnings.warn("after it", stacklevel=1)

    assert call_with_notes(second)[1] == ["second", "after it"] and found == [["first"]]
    assert (warnings.filters, warnings.showwarning) == before


def test_a_picture_of_ours_is_edited_from_its_own_noise_also_from_a_file(open_widget, pipe, tmp_path):
    drawn = pipe("a red heart", seed=3, num_inference_steps=STEPS).images[0]
    for name in ("mine.png", "mine.webp"):
        data = file_of(drawn, name, tmp_path, drawn.info)
        assert read_upload([data]).info == drawn.info
        widget = open_widget()
        widget._handle_custom_msg({"type": "open", "name": name}, [data])
        assert widget.source_prompt == "a red heart"
        page_sends(widget, type="draw")
        widget.background.wait()
        assert widget.result.info["edit"] == "own noise" and widget.notes.count("recorded") == 0


def test_a_photo_is_cut_with_a_note_and_its_noise_recorded_with_another(open_widget, tmp_path):
    data = file_of(Image.new("RGB", (80, 40), "red"), "photo.png", tmp_path, {})
    widget = open_widget()
    widget._handle_custom_msg({"type": "open", "name": "photo.png"}, [data])
    assert "80×40" in widget.notes and widget.source_prompt == ""
    page_sends(widget, type="draw")
    widget.background.wait()
    assert "does not carry how it was drawn" in widget.notes and widget.message == ""


def test_a_damaged_file_is_a_sentence_and_nothing_is_lost(open_widget):
    widget = open_widget()
    moment = widget.stack.now
    for data in (b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(40)):
        widget.message = ""
        widget._handle_custom_msg({"type": "open", "name": "x"}, [data])
        assert "not a picture that can be read" in widget.message
    assert widget.stack.now is moment


def test_a_caption_is_suggested_where_the_oracle_can_name_everything(open_widget):
    assert (
        open_widget(source_prompt="").source_prompt
        == "a red circle left of a blue star on a white background"
    )
    noise = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert open_widget(picture=noise, source_prompt="").source_prompt == ""


def test_nothing_is_made_up_of_a_picture_that_is_given(open_widget, pipe):
    drawn = pipe("a red heart", seed=3, num_inference_steps=STEPS).images[0]
    assert open_widget(picture=drawn).source_prompt == "a red heart", "what it carries"
    assert open_widget(picture=Image.new("RGB", (32, 32), "red")).source_prompt == ""
    assert open_widget(source_prompt="a heart").source_prompt == "a heart"
    assert open_widget(picture=None).source_prompt == "a red circle and a blue star"


def test_the_mask_that_a_method_found_can_be_shown_and_used(open_widget, sent, pipe, monkeypatch):
    real = type(pipe).edit

    def with_mask(self, *arguments, **named):
        output = real(self, *arguments, **named)
        output.settings["mask"] = left_half().numpy()
        return output

    widget = open_widget()
    page_sends(widget, type="use_found")
    assert "has not found a mask" in widget.message
    monkeypatch.setattr(type(pipe), "edit", with_mask)
    page_sends(widget, type="draw")
    widget.background.wait()
    assert states(sent)[-1]["found"] == pack_mask(left_half())
    page_sends(widget, type="use_found")
    assert torch.equal(widget.stack.now.covers, left_half()) and widget.message == ""


@pytest.mark.parametrize("method", ["diffedit", "ledits"])
def test_the_mask_of_a_method_that_finds_one_reaches_the_page(
    method, open_widget, sent, pipe, monkeypatch
):
    things = left_half()[None, None]  # weights that were never trained find them everywhere
    monkeypatch.setattr(prompt_to_prompt, "find_things", lambda *_, **__: things)
    widget = open_widget(method=method, source_prompt="a red circle and a blue star")
    page_sends(widget, type="draw")
    widget.background.wait()
    found = states(sent)[-1]["found"]
    call = {"method": method, "source_prompt": "a red circle and a blue star", "strength": 0.6}
    again = pipe.edit(render(SCENE), PROMPT, seed=4, num_inference_steps=STEPS, **call)
    assert found == pack_mask(again.mask[0, 0]) and again.mask.any()
    page_sends(widget, type="use_found")
    assert torch.equal(widget.stack.now.covers, again.mask[0, 0]) and widget.message == ""


def test_a_found_mask_comes_in_any_form(pipe):
    for mask in (
        left_half(),
        left_half()[None].float(),
        to_image(left_half()[None].expand(3, -1, -1) * 2.0 - 1),
    ):
        assert found_mask(SimpleNamespace(mask=mask, settings={}), 32) == pack_mask(left_half())
    for odd in (torch.zeros(32, 32), torch.ones(3, 4, 5), None):
        assert found_mask(SimpleNamespace(settings={"mask": odd}), 32) == ""


def test_what_makes_no_sense_is_a_sentence(open_widget, sent):
    widget = open_widget()
    page_sends(widget, type="draw", form=widget.form | {"prompt": " "})
    assert "The prompt is empty" in widget.message
    page_sends(widget, type="draw", form=widget.form | {"prompt": PROMPT}, strength=0)
    widget.background.wait()
    assert widget.message == "Strength must be a number, above 0 and at most 1, not 0.0."
    page_sends(widget, type="new", source_prompt="")
    assert "The prompt is empty" in widget.message and len(widget.stack.moments) == 1


def test_a_model_without_noise_levels_says_so(keep):
    widget = keep(edit_widget(tiny_gan(), PROMPT, picture=render(SCENE)))
    widget.draw().background.wait()
    assert "draws without noise levels" in widget.message and widget.stack.now.after is None


@pytest.mark.parametrize("side", [16, 64])
def test_models_of_other_sizes(keep, sent, side):
    own = tiny_pipeline(side=side)
    mask = left_half(side)
    widget = keep(edit_widget(own, PROMPT, picture=render(SCENE), mask=mask, num_inference_steps=STEPS))
    widget.draw().background.wait()
    state = states(sent)[-1]
    assert widget.message == "" and state["side"] == side and widget.result.size == (side, side)
    assert (state["report"] is None) is (side < 32), "the oracle reads 32 pixels and more"


def test_the_page_that_is_kept_and_the_poster_show_the_change(open_widget, tmp_path):
    widget = open_widget(mask=left_half())
    empty = widget.poster()
    widget.draw().background.wait()
    _, data = kept_page(widget, tmp_path)
    ((content, buffers),) = data["recording"]
    assert content["type"] == "state" and len(buffers) == 2
    shown, before = np.asarray(widget.poster()), np.asarray(empty)
    assert shown.shape[0] == before.shape[0] and (shown != before[:, : shown.shape[1]]).any()


def test_options_are_those_of_the_pipeline():
    call = EditCall("a heart", {"seed": 1}, 0.4, source_prompt="a star")
    assert call.options == {"strength": 0.4, "method": "exact", "source_prompt": "a star", "seed": 1}
    masked = EditCall("a heart", {"seed": 1}, 0.4, mask=pack_mask(left_half()))
    assert masked.options == {"strength": 0.4, "seed": 1}


def test_an_uploaded_picture_is_that_of_the_file(tmp_path, pipe):
    image = Image.effect_noise((50, 50), 90).convert("RGB")
    data = file_of(image, "noise.png", tmp_path, {})
    own = picture_version(read_upload([data]), 32, "")
    assert own.image == picture_version(tmp_path / "noise.png", 32, "").image
    buffer = io.BytesIO()
    image.save(buffer, "GIF")
    assert to_tensor(read_upload([buffer.getvalue()])).shape == (3, 50, 50)
