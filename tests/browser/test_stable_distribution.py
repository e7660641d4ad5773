"The explorer of stable distributions, driven by keyboard and mouse."

import pytest
from driving import is_dark, root_of, shows, unnamed, until

from t2i_learn.widgets.stable_distribution import stable_distribution_widget


def shape(root, name="stable-distribution-spikes"):
    return root.locator(f"path.{name}").first.get_attribute("d")


def moves(page, root, act, name="stable-distribution-spikes"):
    "Do something, and wait until a curve has another shape."
    node, before = root.locator(f"path.{name}").first, shape(root, name)
    act()
    until(page, "([node, before]) => node.getAttribute('d') !== before", node.element_handle(), before)


def drive(page, root):
    "Alpha and beta by keys, both conventions, new draws, the question, the code: what every host has to carry."
    until(
        page,
        "node => node.getAttribute('d')",
        root.locator("path.stable-distribution-spikes").element_handle(),
    )
    alpha, beta = (root.get_by_label(name, exact=True) for name in ("Stability α", "Skewness β"))
    alpha.focus()
    moves(page, root, lambda: page.keyboard.press("ArrowRight"))
    moves(page, root, lambda: page.keyboard.press("End"))
    assert alpha.get_attribute("aria-valuetext") == "2, normal"
    shows(page, root.locator(".stable-distribution-facts"), "variance 2.0")
    alpha.fill("1.1")
    beta.focus()
    moves(page, root, lambda: page.keyboard.press("End"))
    assert beta.get_attribute("aria-valuetext") == "1"
    moves(page, root, lambda: root.get_by_label("Convention", exact=True).select_option("S1"))
    moves(page, root, lambda: root.get_by_role("button", name="New draws").click())
    moves(page, root, lambda: alpha.fill("1"))
    root.get_by_role("button", name="off to the left").click()
    shows(page, root.locator(".t2i-answer"), "You said: off to the left")
    root.get_by_role("button", name="Copy as code").click()
    shows(page, root.locator(".t2i-code"), 'alpha, beta, param = 1, 1, "S1"')
    moves(
        page,
        root,
        lambda: root.get_by_label("Convention", exact=True).select_option("S0") and alpha.fill("1.5"),
    )
    beta.fill("0")


def test_in_jupyterlab(lab, quiet):
    root = root_of(lab, "stable_distribution")
    assert unnamed(root) == []
    drive(lab, root)
    before = quiet.messages
    box = root.get_by_label("Stability α", exact=True).bounding_box()
    lab.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    lab.mouse.down()
    moves(
        lab,
        root,
        lambda: lab.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + box["height"] / 2, steps=8),
    )
    lab.mouse.up()
    assert quiet.messages == before, "nothing of this needs the kernel"


def test_every_curve_follows(lab, quiet):
    root = root_of(lab, "stable_distribution")
    root.get_by_label("Stability α", exact=True).fill("1.6")
    for name in (
        "stable-distribution-bars",
        "stable-distribution-law",
        "stable-distribution-spikes",
        "one",
    ):
        moves(lab, root, lambda: root.get_by_label("Stability α", exact=True).press("ArrowLeft"), name)
    assert root.locator("svg").count() == 5 and all(
        root.locator("svg").nth(k).get_attribute("aria-label") for k in range(5)
    )


def test_two_views_move_together(lab, quiet):
    first, second = root_of(lab, "stable_distribution"), root_of(lab, "stable_distribution", 1)
    second.get_by_label("Skewness β", exact=True).fill("0.2")  # wherever an earlier test has left it
    moves(lab, first, lambda: second.get_by_label("Skewness β", exact=True).press("ArrowRight"))
    assert (
        first.get_by_label("Skewness β", exact=True).input_value()
        == second.get_by_label("Skewness β", exact=True).input_value()
    )


def test_in_voila(voila, quiet):
    drive(voila, root_of(voila, "stable_distribution"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_as_a_page(exported, quiet, scheme):
    widget = stable_distribution_widget()
    page = exported(widget, scheme)
    drive(page, root_of(page, "stable_distribution"))
    assert is_dark(page) == (scheme == "dark")
    widget.close()
