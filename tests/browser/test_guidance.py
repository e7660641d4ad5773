"The guidance widget, driven by keyboard and mouse."

import pytest
from driving import changed, root_of, second_view, shows, unnamed
from tiny import tiny_pipeline

from t2i_learn.widgets.guidance import guidance_widget


def cell(root, scale, step):
    return root.get_by_role("button", name=f"scale {scale}, step {step} of 3")


def draw(page, root):
    "Draw, and wait for the end."
    root.get_by_role("button", name="Draw all scales").click()
    shows(page, root.locator(".t2i-progress"), "Done in 3 steps.")


def drive(page, root):
    "Cells by keys, by clicks and by sliders, the question, the code: what every host has to carry, once something is drawn."
    difference = root.locator("figure canvas").nth(3)
    cell(root, 1, 1).click()
    changed(page, difference, lambda: cell(root, 4, 3).click())
    assert cell(root, 4, 3).get_attribute("aria-pressed") == "true"
    changed(page, difference, lambda: page.keyboard.press("ArrowUp"))
    assert (
        cell(root, 4, 2).get_attribute("aria-pressed") == "true"
        and cell(root, 4, 3).get_attribute("aria-pressed") == "false"
    )
    shows(page, root, "At scale 4, step 2 of 3")
    root.get_by_label("Step", exact=True).focus()
    changed(page, difference, lambda: page.keyboard.press("Home"))
    changed(
        page,
        root.locator("figure canvas").nth(2),
        lambda: root.get_by_label("Guidance scale", exact=True).fill("0"),
    )
    assert cell(root, 1, 1).get_attribute("aria-pressed") == "true"
    shows(page, root, "At scale 1, step 1 of 3")
    root.get_by_role("button", name="the middle").click()
    shows(
        page, root.locator(".t2i-answer"), "You said: the middle. In the column of scale 1, the prompt"
    )
    shows(page, root.locator(".t2i-answer"), "of 3, by ")
    root.get_by_role("button", name="Copy as code").click()
    shows(page, root.locator(".t2i-code"), "cfg_predictions(pipe, columns[")


def test_in_jupyterlab(lab, quiet):
    root = root_of(lab, "guidance")
    draw(lab, root)
    assert unnamed(root) == []
    drive(lab, root)


def test_every_field_and_a_sentence(lab, quiet):
    root = root_of(lab, "guidance")
    field = lambda name: root.get_by_label(name, exact=True)
    draw(lab, root)
    seen = root.locator("figure canvas").nth(2)
    field("Negative prompt").fill("a circle")
    field("Seed").fill("8")
    field("Sampler").select_option("euler")
    field("Prompt").fill("three green circles")
    changed(lab, seen, lambda: field("Prompt").press("Enter"))
    shows(lab, root.locator(".t2i-progress"), "Done in 3 steps.")
    field("Steps").fill("200")
    root.get_by_role("button", name="Draw all scales").click()
    shows(lab, root, "step 200")
    root.get_by_role("button", name="Stop").click()
    shows(lab, root.locator(".t2i-progress"), "Stopped after step")
    field("Prompt").fill("")
    root.get_by_role("button", name="Draw all scales").click()
    shows(lab, root.get_by_role("alert"), "The prompt is empty: say what to draw.")
    for name, value in (("Prompt", "a red heart"), ("Steps", "3"), ("Negative prompt", "")):
        field(name).fill(value)
    draw(lab, root)


def test_two_views_of_one_table(lab, quiet):
    root = root_of(lab, "guidance")
    draw(lab, root)
    cell(root, 4, 2).click()
    shows(lab, root, "At scale 4, step 2 of 3")
    with second_view(
        lab,
        "guidance",
        lambda view: view.get_by_role("button", name="scale 4, step 3 of 3", exact=True).wait_for(),
    ) as second:
        second.get_by_label("Seed", exact=True).fill("9")
        changed(lab, root.locator("figure canvas").nth(2), lambda: draw(lab, second))
        shows(lab, root.locator(".t2i-progress"), "Done in 3 steps.")
        assert root.get_by_label("Seed", exact=True).input_value() == "9"
        assert cell(root, 4, 2).get_attribute("aria-pressed") == "true", (
            "where the first one looks is its own"
        )


def test_in_voila(voila, quiet):
    root = root_of(voila, "guidance")
    draw(voila, root)
    drive(voila, root)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_as_a_page(exported, quiet, scheme):
    widget = guidance_widget(tiny_pipeline(), scales=(1.0, 4.0), num_inference_steps=3).draw()
    widget.background.wait()
    page = exported(widget, scheme)
    root = root_of(page, "guidance")
    cell(root, 4, 3).wait_for()
    drive(page, root)
    assert unnamed(root) == [] and root.get_by_role("button", name="Draw all scales").is_disabled()
    widget.close()
