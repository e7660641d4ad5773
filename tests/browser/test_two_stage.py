"The widget of two stages, driven by keyboard and mouse."

import pytest
from driving import changed, root_of, shows, unnamed
from tiny import tiny_two_stage

from t2i_learn.widgets.two_stage import two_stage_widget


def draw(page, root):
    "Draw, and wait for the end."
    root.get_by_role("button", name="Draw", exact=True).click()
    shows(page, root.locator(".t2i-progress"), "Done: 3 levels.")


def drive(page, root):
    "The level by keys, by the slider and by clicks, the question, the code: what every host has to carry, once something is drawn."
    level, refined = (
        root.get_by_label("Refine from level", exact=True),
        root.locator("figure canvas").nth(2),
    )
    level.focus()
    page.keyboard.press("Home")
    shows(page, root, "From level 0.5 the picture differs from its draft")
    assert level.get_attribute("aria-valuetext") == "0.5"
    changed(page, refined, lambda: page.keyboard.press("End"))
    shows(page, root, "From level 6 the picture differs from its draft")
    middle = root.get_by_role("button", name="from level 1.5")
    changed(page, refined, middle.click)
    assert middle.get_attribute("aria-pressed") == "true"
    shows(page, root.locator(".two-stage-claims"), "no other thing")
    assert refined.get_attribute("aria-label").startswith("refined from level 1.5: ")
    root.get_by_role("button", name="somewhere between").click()
    shows(page, root.locator(".t2i-answer"), "You said: somewhere between. ")
    shows(page, root.locator(".t2i-answer"), "0.1 of the side")
    root.get_by_role("button", name="Copy as code").click()
    shows(page, root.locator(".t2i-code"), "refine_from=1.5)")


def test_in_jupyterlab(lab, quiet):
    root = root_of(lab, "two_stage")
    draw(lab, root)
    assert unnamed(root) == []
    drive(lab, root)


def test_two_views_of_one_widget(lab, quiet):
    first, second = root_of(lab, "two_stage"), root_of(lab, "two_stage", 1)
    draw(lab, second)
    shows(lab, first.locator(".t2i-progress"), "Done: 3 levels.")
    second.get_by_role("button", name="from level 6").click()
    shows(lab, first, "From level 6 the picture differs from its draft")
    alpha = first.get_by_label("Alpha", exact=True)
    alpha.fill("1.9")
    alpha.press("ArrowUp")
    assert alpha.input_value() == "2"
    alpha.fill("1.8")
    alpha.blur()


def test_every_field_and_a_sentence(lab, quiet):
    root = root_of(lab, "two_stage")
    field = lambda name: root.get_by_label(name, exact=True)
    draw(lab, root)
    draft = root.locator("figure canvas").nth(0)
    for name, value in (
        ("Negative prompt", "a circle"),
        ("Seed", "8"),
        ("Alpha", "2"),
        ("Guidance", "2"),
        ("Prompt", "three green circles"),
    ):
        field(name).fill(value)
    field("Sampler").select_option("ddpm")
    changed(lab, draft, lambda: field("Prompt").press("Enter"))
    shows(lab, root.locator(".t2i-progress"), "Done: 3 levels.")
    root.get_by_role("button", name="Copy as code").click()
    shows(lab, root.locator(".t2i-code"), "alpha=2")
    field("Steps").fill("200")
    root.get_by_role("button", name="Draw", exact=True).click()
    shows(lab, root.locator(".t2i-progress"), "of 200.")
    root.get_by_role("button", name="Stop").click()
    shows(lab, root.locator(".t2i-progress"), "Stopped after")
    field("Prompt").fill("")
    root.get_by_role("button", name="Draw", exact=True).click()
    shows(lab, root.locator("fieldset [role=alert]"), "The prompt is empty: say what to draw.")
    for name, value in (
        ("Prompt", "a red heart"),
        ("Steps", "3"),
        ("Negative prompt", ""),
        ("Alpha", "1.8"),
    ):
        field(name).fill(value)
    field("Sampler").select_option("ddim")
    draw(lab, root)


def test_in_voila(voila, quiet):
    root = root_of(voila, "two_stage")
    draw(voila, root)
    drive(voila, root)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_as_a_page(exported, quiet, scheme):
    widget = two_stage_widget(
        tiny_two_stage(), "a red heart", (0.5, 1.5, 6.0), num_inference_steps=3
    ).draw()
    widget.background.wait()
    page = exported(widget, scheme)
    root = root_of(page, "two_stage")
    shows(page, root, "A recording")
    drive(page, root)
    assert unnamed(root) == [] and root.get_by_role("button", name="Draw", exact=True).is_disabled()
    widget.close()
