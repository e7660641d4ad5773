"The latent walk, driven by keyboard and mouse."

import pytest
from driving import changed, root_of, second_view, shows, unnamed, until
from tiny import tiny_gan

from t2i_learn.widgets.latent_walk import latent_walk


def here(root):
    return root.locator("figure canvas")


def cell(root, row, column):
    return root.locator("tr").nth(row).locator("canvas").nth(column - 1)


def drawn(page, root):
    "Wait until no cell of the table says that it is not drawn."
    until(
        page,
        "root => { const cells = [...root.querySelectorAll('td canvas')]; return cells.length && cells.every((c) => !c.getAttribute('aria-label').includes('not drawn')); }",
        root.element_handle(),
    )


def drive(page, root):
    "Both sliders by keys and by hand, the question, the code: what every host has to carry."
    drawn(page, root)
    noise, caption = (root.get_by_label(name, exact=True) for name in ("Noise", "Caption"))
    noise.focus()
    changed(page, here(root), lambda: page.keyboard.press("Home"))
    assert noise.get_attribute("aria-valuetext") == "0 %"
    changed(page, here(root), lambda: page.keyboard.press("End"))
    changed(page, here(root), lambda: caption.fill("0"))
    changed(page, here(root), lambda: caption.fill("1"))
    shows(page, root.locator("figcaption"), "caption 0 % “a red circle”, 100 % “a blue square”")
    assert "noise 0 % of 1, 100 % of 2" in here(root).get_attribute("aria-label")
    root.get_by_role("button", name="between captions").click()
    shows(page, root.locator(".t2i-answer"), "You said: between captions")
    root.get_by_role("button", name="Copy as code").click()
    shows(
        page,
        root.locator(".t2i-code"),
        'interpolate_picture(model, ["a red circle","a blue square"], [1,2], 1, 1)',
    )


def test_in_jupyterlab(lab, quiet):
    root = root_of(lab, "latent_walk")
    drawn(lab, root)
    assert unnamed(root) == []
    drive(lab, root)


def test_other_cells_captions_and_noises(lab, quiet):
    root = root_of(lab, "latent_walk")
    field = lambda name: root.get_by_label(name, exact=True)
    for name in ("Caption", "Noise"):
        field(name).fill("0.5")
    changed(lab, here(root), lambda: field("to caption").select_option("2"))
    shows(lab, root.locator("figcaption"), "50 % “a star”")
    changed(lab, here(root), lambda: field("From caption").select_option("1"))
    changed(lab, here(root), lambda: field("to noise").select_option(label="3"))
    assert "end" in cell(root, 3, 3).get_attribute("class")
    field("From noise").select_option(label="2")
    assert "start" in cell(root, 2, 2).get_attribute("class")
    changed(
        lab,
        cell(root, 3, 1),
        lambda: (field("Caption 3").fill("a yellow heart"), field("Caption 3").press("Enter")),
    )
    shows(lab, root.locator("figcaption"), "50 % “a yellow heart”")
    before = lab.locator(".jp-Cell").count()
    field("Caption 3").focus()
    lab.keyboard.type("abdd")
    assert lab.locator(".jp-Cell").count() == before, "keys stay in the widget"
    field("Caption 3").fill("a star")
    field("Caption 3").press("Tab")
    drawn(lab, root)
    changed(lab, cell(root, 1, 1), lambda: root.get_by_role("button", name="New noises").click())
    for name, value in (
        ("From caption", "0"),
        ("to caption", "1"),
        ("From noise", "0"),
        ("to noise", "1"),
    ):
        field(name).select_option(value=value)


def test_a_prompt_that_is_empty_is_a_sentence(lab, quiet):
    root = root_of(lab, "latent_walk")
    first = root.get_by_label("Caption 1", exact=True)
    first.fill(" ")
    first.press("Tab")
    shows(lab, root.locator(".t2i-message"), "empty")
    first.fill("a red circle")
    first.press("Tab")
    until(lab, "node => node.hidden", root.locator(".t2i-message").element_handle())


def test_a_second_view_follows(lab, quiet):
    root = root_of(lab, "latent_walk")
    drawn(lab, root)
    with second_view(lab, "latent_walk", lambda view: drawn(lab, view)) as second:
        caption = second.get_by_label("Caption", exact=True)
        changed(
            lab, here(root), lambda: caption.fill("0.25" if caption.input_value() != "0.25" else "0.75")
        )


def test_in_voila(voila, quiet):
    drive(voila, root_of(voila, "latent_walk"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_as_a_page(exported, quiet, scheme):
    widget = latent_walk(tiny_gan().model, ("a red circle", "a blue square", "a star"), (1, 2, 3))
    page = exported(widget, scheme)
    root = root_of(page, "latent_walk")
    drive(page, root)
    assert unnamed(root) == []
    assert (
        root.get_by_role("button", name="New noises").is_disabled()
        and root.get_by_label("From noise", exact=True).is_disabled()
    )
    widget.close()
