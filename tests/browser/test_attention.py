"The attention widget, driven by keyboard and mouse."

import pytest
from driving import changed, root_of, second_view, shows, unnamed, until
from tiny import tiny_pipeline

from t2i_learn.widgets.attention import attention_widget


def heat(root):
    return root.locator("figure canvas").nth(2)


def word(root, text):
    return root.get_by_role("button", name=f"{text}, ")


def draw(page, root):
    "Draw, wait for the end, and for the words."
    root.get_by_role("button", name="Draw the picture").click()
    shows(page, root.locator(".t2i-progress"), "Done in 3 steps.")
    word(root, "star").wait_for()
    until(
        page, "node => node.getAttribute('aria-label').includes('step 3')", heat(root).element_handle()
    )  # its maps come last


def drive(page, root):
    "Words, heads and steps by keys and clicks, the question, the code: what every host has to carry, once something is drawn."
    word(root, "heart").focus()
    changed(page, heat(root), lambda: page.keyboard.press("Enter"))
    assert (
        word(root, "heart").get_attribute("aria-pressed") == "true"
        and word(root, "star").get_attribute("aria-pressed") == "false"
    )
    assert "heart" in heat(root).get_attribute("aria-label") and "percent" in word(
        root, "heart"
    ).get_attribute("aria-label")
    changed(page, heat(root), lambda: word(root, "blue").click())
    changed(page, heat(root), lambda: root.get_by_label("Head", exact=True).select_option("1"))
    changed(page, heat(root), lambda: root.get_by_label("Layer", exact=True).select_option("0"))
    root.get_by_label("Step", exact=True).focus()
    changed(page, heat(root), lambda: page.keyboard.press("Home"))
    changed(page, heat(root), lambda: page.keyboard.press("ArrowRight"))
    assert "step 2, layer 1, head 1" in heat(root).get_attribute("aria-label")
    root.get_by_role("button", name="Show the answer").click()
    shows(page, root.locator(".t2i-answer"), "In the maps on the screen, [start] has ")
    root.get_by_role("button", name="Copy as code").click()
    shows(page, root.locator(".t2i-code"), "word_attention_maps(attention_maps(")


def test_in_jupyterlab(lab, quiet):
    root = root_of(lab, "attention")
    draw(lab, root)
    assert unnamed(root) == []
    drive(lab, root)


def test_a_step_is_asked_for_once(lab, quiet):
    root = root_of(lab, "attention")
    draw(lab, root)
    root.get_by_label("Step", exact=True).focus()
    for key in ("Home", "ArrowRight", "End"):
        changed(lab, heat(root), lambda key=key: lab.keyboard.press(key))
    messages = quiet.messages
    for key in ("Home", "End"):
        changed(lab, heat(root), lambda key=key: lab.keyboard.press(key))
    changed(lab, heat(root), lambda: word(root, "red").click())
    assert quiet.messages == messages


def test_every_field_and_a_sentence(lab, quiet):
    root = root_of(lab, "attention")
    field = lambda name: root.get_by_label(name, exact=True)
    field("Guidance").fill("1")
    field("Seed").fill("8")
    field("Sampler").select_option("euler")
    field("Prompt").fill("three striped circles")
    field("Prompt").press("Enter")
    word(root, "striped").wait_for()
    shows(lab, root.locator(".t2i-progress"), "Done in 3 steps.")
    field("Steps").fill("200")
    root.get_by_role("button", name="Draw the picture").click()
    shows(lab, root.locator(".t2i-progress"), "of 200")
    root.get_by_role("button", name="Stop").click()
    shows(lab, root.locator(".t2i-progress"), "Stopped after step")
    field("Prompt").fill("")
    root.get_by_role("button", name="Draw the picture").click()
    shows(lab, root.get_by_role("alert"), "The prompt is empty: say what to draw.")
    for name, value in (("Prompt", "a blue star above a red heart"), ("Steps", "3"), ("Guidance", "3")):
        field(name).fill(value)
    draw(lab, root)


def test_two_views_of_one_drawing(lab, quiet):
    root = root_of(lab, "attention")
    draw(lab, root)
    root.get_by_label("Step", exact=True).fill("1")
    until(lab, "node => node.getAttribute('aria-label').includes('step 2')", heat(root).element_handle())
    with second_view(lab, "attention", lambda view: word(view, "star").wait_for()) as second:
        second.get_by_label("Seed", exact=True).fill("9")
        changed(lab, heat(root), lambda: draw(lab, second))
        shows(lab, root.locator(".t2i-progress"), "Done in 3 steps.")
        assert root.get_by_label("Seed", exact=True).input_value() == "9"


def test_in_voila(voila, quiet):
    root = root_of(voila, "attention")
    draw(voila, root)
    drive(voila, root)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_as_a_page(exported, quiet, scheme):
    pipe = tiny_pipeline(unet={"widths": [16, 32], "blocks": 1, "depth": 2, "heads": 2})
    widget = attention_widget(pipe, num_inference_steps=3).draw()
    widget.background.wait()
    page = exported(widget, scheme)
    root = root_of(page, "attention")
    word(root, "star").wait_for()
    drive(page, root)
    assert unnamed(root) == [] and root.get_by_role("button", name="Draw the picture").is_disabled()
    widget.close()
