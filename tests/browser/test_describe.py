"The widget that describes a picture, driven by mouse and keyboard."

import pytest
from driving import canvas_hash, changed, root_of, second_view, shows, unnamed, until
from PIL import Image
from tiny import tiny_captioner, tiny_pipeline

from t2i_learn.widgets.describe import describe_widget
from t2i_learn.world.scenes import render, Scene, Thing

SCENE = Scene((Thing("circle", "red", 0.3, 0.35, 0.18), Thing("star", "blue", 0.7, 0.62, 0.18)))


def picture(root):
    return root.locator("figure canvas").nth(0)


def drawing(root):
    return root.locator("figure canvas").nth(1)


def button(root, name):
    return root.get_by_role("button", name=name, exact=True)


def word(root, index):
    return root.locator(".describe-words button").nth(index)


def other(root, index):
    return root.locator(".describe-others button").nth(index)


def written(page, root):
    shows(page, root.locator(".t2i-progress"), "Written in")


def look(page, root):
    "Words by keys and by mouse, their alternatives, the question: what every host has to carry."
    word(root, 0).wait_for()
    whole = canvas_hash(picture(root))
    word(root, 1).focus()
    changed(page, picture(root), lambda: page.keyboard.press("Enter"))
    assert word(root, 1).get_attribute("aria-pressed") == "true"
    assert "word 2" in picture(root).get_attribute("aria-label")
    assert root.locator(".describe-others button").count() == 5
    assert other(root, 0).get_attribute("aria-pressed") == "true"
    changed(page, picture(root), lambda: word(root, 1).click())
    assert canvas_hash(picture(root)) == whole
    word(root, 2).click()
    button(root, "a colour").click()
    shows(page, root.locator(".t2i-answer"), "In the caption on the screen it is")
    button(root, "Copy as code").click()
    shows(page, root.locator(".t2i-code"), "caption_steps(captioner, picture, 'full'")


def drive(page, root):
    "A caption, another word, a picture of it, undo: what needs a kernel."
    button(root, "Describe").click()
    written(page, root)
    look(page, root)
    word(root, 1).click()
    name = other(root, 1).text_content()
    other(root, 1).focus()
    page.keyboard.press("Enter")
    until(
        page, "root => root.querySelectorAll('.describe-words button').length > 2", root.element_handle()
    )
    written(page, root)
    assert name.split(" ")[0] in word(root, 1).text_content()
    root.get_by_label("Prompt", exact=True).fill("a red heart")
    changed(page, drawing(root), lambda: button(root, "Draw the caption").click())
    shows(page, root.locator(".t2i-body"), "The oracle reads in the drawn picture")
    changed(page, picture(root), lambda: button(root, "Describe the drawn picture").click())
    assert root.locator(".describe-words button").count() == 0
    button(root, "Undo").focus()
    changed(page, picture(root), lambda: page.keyboard.press("Control+z"))
    word(root, 1).wait_for()


def test_in_jupyterlab(lab, quiet):
    root = root_of(lab, "describe")
    assert unnamed(root) == []
    drive(lab, root)
    assert unnamed(root) == []


def test_a_typed_caption_a_file_and_sentences(lab, quiet, tmp_path):
    root = root_of(lab, "describe")
    root.get_by_label("Prompt", exact=True).fill("a red circle and a blue star")
    button(root, "Read it to the captioner").click()
    shows(lab, root.locator(".describe-words"), "[end]")
    written(lab, root)
    shows(lab, root.locator(".t2i-body"), "The oracle says:")
    root.get_by_label("Prompt", exact=True).fill("")
    button(root, "Read it to the captioner").click()
    shows(lab, root.get_by_role("alert"), "The caption is empty")
    Image.new("RGB", (60, 30), "purple").save(tmp_path / "own.png")
    with lab.expect_file_chooser() as chooser:
        button(root, "Open a file …").click()
    changed(lab, picture(root), lambda: chooser.value.set_files(tmp_path / "own.png"))
    root.get_by_label("Style", exact=True).select_option("short")
    button(root, "Describe").click()
    written(lab, root)
    button(root, "Copy as code").click()
    shows(lab, root.locator(".t2i-code"), "caption_steps(captioner, picture, 'short'")
    root.get_by_label("Style", exact=True).select_option("full")
    root.get_by_label("A picture of", exact=True).fill("a yellow star")
    changed(lab, picture(root), lambda: button(root, "Draw it").click())


def test_a_painting_by_mouse_and_by_keys(lab, quiet):
    root = root_of(lab, "describe")
    root.get_by_label("Colour", exact=True).select_option("mint")
    changed(lab, picture(root), lambda: button(root, "Fill").click())
    root.get_by_label("Colour", exact=True).select_option("blue")
    box = picture(root).bounding_box()
    lab.mouse.move(box["x"] + 60, box["y"] + 60)
    lab.mouse.down()
    changed(lab, picture(root), lambda: lab.mouse.move(box["x"] + 200, box["y"] + 90, steps=4))
    lab.mouse.up()
    picture(root).focus()
    for key in ("Shift+ArrowDown", "Enter", "Shift+ArrowRight", "Enter", "Space"):
        lab.keyboard.press(key)
    button(root, "Describe").click()
    written(lab, root)
    button(root, "Copy as code").click()
    shows(lab, root.locator(".t2i-code"), "picture = base64.b64decode(")
    root.get_by_label("Colour", exact=True).select_option("red")
    changed(lab, picture(root), lambda: button(root, "Fill").click())
    changed(lab, picture(root), lambda: button(root, "Undo").click())


def test_a_second_view_shows_the_same_words(lab, quiet):
    root = root_of(lab, "describe")
    root.get_by_label("Colour", exact=True).select_option("sky")
    changed(lab, picture(root), lambda: button(root, "Fill").click())  # a moment without words
    button(root, "Describe").click()
    written(lab, root)
    with second_view(lab, "describe", lambda view: word(view, 2).wait_for()) as second:
        button(second, "Undo").click()
        until(lab, "root => !root.querySelector('.describe-words button')", root.element_handle())


def test_in_voila(voila, quiet):
    drive(voila, root_of(voila, "describe"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_as_a_page(exported, quiet, scheme):
    widget = describe_widget(
        tiny_captioner(), render(SCENE), tiny_pipeline(), num_inference_steps=2
    ).describe()
    widget.background.wait()
    page = exported(widget, scheme)
    root = root_of(page, "describe")
    look(page, root)
    assert unnamed(root) == [] and button(root, "Describe").is_disabled()
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), (
        "it fits on a phone"
    )
    widget.close()
