"The editor, driven by mouse, finger and keyboard."

import pytest
import torch
from driving import changed, root_of, second_view, shows, unnamed, until
from PIL import Image
from tiny import tiny_pipeline

from t2i_learn.widgets.editor import edit_widget
from t2i_learn.world.scenes import render, Scene, Thing

SCENE = Scene((Thing("circle", "red", 0.3, 0.35, 0.18), Thing("star", "blue", 0.7, 0.62, 0.18)))


def before(root):
    return root.locator("figure canvas").nth(0)


def after(root):
    return root.locator("figure canvas").nth(1)


def button(root, name):
    return root.get_by_role("button", name=name, exact=True)


def covers(page, root, words):
    "Wait until the caption says how much the mask covers."
    shows(page, root.locator("figcaption").nth(0), words)


def drag(page, root, start, end):
    "A stroke with the mouse; places are shares of the picture."
    box = before(root).bounding_box()
    place = lambda at: (box["x"] + at[0] * box["width"], box["y"] + at[1] * box["height"])
    page.mouse.move(*place(start))
    page.mouse.down()
    page.mouse.move(*place(end), steps=4)
    page.mouse.up()


def change(page, root):
    button(root, "Change the picture").click()
    shows(page, root.locator(".t2i-progress"), "Done in")


def drive(page, root):
    "A stroke by mouse and one by keys, a change, the slider, keeping, undo and the code: what every host has to carry."
    before(root).scroll_into_view_if_needed()
    covers(page, root, "no mask yet")
    changed(page, before(root), lambda: drag(page, root, (0.2, 0.2), (0.45, 0.45)))
    covers(page, root, "the mask covers")
    words = root.locator("figcaption").nth(0).text_content()
    before(root).focus()
    for key in (
        "ArrowRight",
        "Shift+ArrowDown",
        "Enter",
        "Shift+ArrowRight",
        "Shift+ArrowRight",
        "Enter",
        "+",
        "Space",
    ):
        page.keyboard.press(key)
    until(
        page,
        "([node, words]) => node.textContent !== words",
        root.locator("figcaption").nth(0).element_handle(),
        words,
    )
    change(page, root)
    slider = root.get_by_label("Before", exact=True)
    slider.focus()
    changed(page, after(root), lambda: page.keyboard.press("End"))
    assert slider.get_attribute("aria-valuetext") == "32 of 32 columns"
    assert "its left 32 columns as before" in after(root).get_attribute("aria-label")
    changed(page, after(root), lambda: page.keyboard.press("Home"))
    shows(page, root.locator(".editor-report"), "background")
    shows(page, root.locator(".editor-report"), "Outside the mask the picture differs by 0 levels")
    button(root, "Copy as code").click()
    shows(page, root.locator(".t2i-code"), "pipe.inpaint(picture, unpack_mask(")
    changed(page, before(root), lambda: button(root, "Keep the change").click())
    covers(page, root, "no mask yet")
    before(root).focus()
    changed(page, before(root), lambda: page.keyboard.press("Control+z"))
    covers(page, root, "the mask covers")
    button(root, "without a mask").click()
    shows(page, root.locator(".t2i-answer"), "You said: without a mask")


@pytest.fixture
def root(lab):
    "The editor in JupyterLab with a new picture, which nothing has changed yet."
    root = root_of(lab, "editor")
    root.get_by_label("What it shows now", exact=True).fill("a red circle and a blue star")
    root.get_by_label("Prompt", exact=True).fill("a green circle and a blue star")
    button(root, "Draw it").click()
    shows(lab, root.locator(".t2i-progress"), "Done in")
    covers(lab, root, "no mask yet")
    return root


def test_in_jupyterlab(lab, quiet, root):
    assert unnamed(root) == []
    drive(lab, root)


def test_every_tool_of_the_brush(lab, quiet, root):
    button(root, "All").click()
    covers(lab, root, "the mask covers 100 %")
    root.get_by_label("Brush", exact=True).fill("16")
    root.get_by_label("erase", exact=True).check()
    drag(lab, root, (0.5, 0.0), (0.5, 1.0))
    until(
        lab,
        "node => /covers [3-6]\\d %/.test(node.textContent)",
        root.locator("figcaption").nth(0).element_handle(),
    )
    before(root).focus()
    lab.keyboard.press("e")
    assert not root.get_by_label("erase", exact=True).is_checked()
    lab.keyboard.press("-")
    assert root.get_by_label("Brush", exact=True).input_value() == "15"
    changed(lab, before(root), lambda: button(root, "Invert").click())
    button(root, "None").click()
    covers(lab, root, "no mask yet")
    cells = lab.locator(".jp-Cell").count()
    before(root).focus()
    lab.keyboard.type("abdd")
    assert lab.locator(".jp-Cell").count() == cells, "keys stay in the widget"
    changed(lab, before(root), lambda: button(root, "Undo").click())
    changed(lab, before(root), lambda: button(root, "Redo").click())
    covers(lab, root, "no mask yet")


def test_a_picture_drawn_a_file_and_sentences(lab, quiet, root, tmp_path):
    line = root.get_by_label("What it shows now", exact=True)
    line.fill("a yellow star")
    changed(lab, before(root), lambda: button(root, "Draw it").click())
    Image.new("RGB", (60, 30), "purple").save(tmp_path / "own.png")
    (tmp_path / "none.png").write_text("no picture")
    for name, sign in (("own.png", ".t2i-note"), ("none.png", ".t2i-message")):
        with lab.expect_file_chooser() as chooser:
            button(root, "Open a file …").click()
        chooser.value.set_files(tmp_path / name)
        words = {"own.png": "60×30 pixels", "none.png": "not a picture that can be read"}[name]
        until(
            lab,
            "([root, sign, words]) => [...root.querySelectorAll(sign)].some((n) => n.textContent.includes(words))",
            root.element_handle(),
            sign,
            words,
        )
    assert line.input_value() == ""
    root.get_by_label("Prompt", exact=True).fill("")
    button(root, "Change the picture").click()
    shows(lab, root.get_by_role("alert"), "The prompt is empty: say what to draw.")
    root.get_by_label("Prompt", exact=True).fill("a green star")
    root.get_by_label("Strength", exact=True).fill("0.9")
    root.get_by_label("Method without a mask", exact=True).select_option("sdedit")
    change(lab, root)
    button(root, "Copy as code").click()
    shows(lab, root.locator(".t2i-code"), "strength=0.9, method='sdedit'")


def test_stop_keeps_the_picture(lab, quiet, root):
    root.get_by_label("Steps", exact=True).fill("200")
    root.get_by_label("Method without a mask", exact=True).select_option("sdedit")
    button(root, "Change the picture").click()
    shows(lab, root.locator(".t2i-progress"), "network calls")
    button(root, "Stop").click()
    shows(lab, root.locator(".t2i-progress"), "nothing has changed")
    assert button(root, "Keep the change").is_disabled()
    root.get_by_label("Steps", exact=True).fill("3")
    change(lab, root)


def test_a_second_view_shows_the_same_mask(lab, quiet, root):
    button(root, "All").click()
    covers(lab, root, "the mask covers 100 %")
    with second_view(lab, "editor", lambda view: covers(lab, view, "the mask covers 100 %")) as second:
        changed(lab, before(root), lambda: button(second, "None").click())
        covers(lab, root, "no mask yet")


def test_in_voila(voila, quiet):
    drive(voila, root_of(voila, "editor"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_as_a_page(exported, quiet, scheme):
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[4:20, 2:18] = True
    widget = edit_widget(tiny_pipeline(), picture=render(SCENE), mask=mask, num_inference_steps=2).draw()
    widget.background.wait()
    page = exported(widget, scheme)
    root = root_of(page, "editor")
    covers(page, root, "the mask covers 25 %")
    root.get_by_label("Before", exact=True).focus()
    changed(page, after(root), lambda: page.keyboard.press("End"))
    shows(page, root.locator(".editor-report"), "What changed")
    assert unnamed(root) == [] and button(root, "Change the picture").is_disabled()
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), (
        "it fits on a phone"
    )
    widget.close()


def test_a_finger_paints(browser, quiet, lab, root):
    lab.evaluate(
        """canvas => {
          const box = canvas.getBoundingClientRect();
          const send = (kind, x, y) => canvas.dispatchEvent(new PointerEvent(kind, { pointerId: 1, pointerType: "touch", isPrimary: true, bubbles: true,
            clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
          canvas.setPointerCapture = canvas.releasePointerCapture = () => {};
          canvas.hasPointerCapture = () => true;
          send("pointerdown", 0.2, 0.5);
          send("pointermove", 0.8, 0.5);
          send("pointerup", 0.8, 0.5);
          for (const name of ["setPointerCapture", "releasePointerCapture", "hasPointerCapture"]) delete canvas[name];
        }""",
        before(root).element_handle(),
    )
    covers(lab, root, "the mask covers")
    assert before(root).evaluate("canvas => getComputedStyle(canvas).touchAction") == "none"
