"The forward widget with stable noise, driven by keyboard and mouse."

import pytest
from driving import canvas_hash, changed, is_dark, root_of, shows, unnamed, until

from t2i_learn.widgets.stable_forward import stable_forward_widget


def normal(root):
    return root.locator("canvas").nth(1)


def heavy(root):
    return root.locator("canvas").nth(3)


def tail_of(root):
    return root.locator(".stable-forward-chart path.one").get_attribute("d")


def drive(page, root):
    "Alpha and time by keys, the kind of noise, another picture, the question, the code: what every host has to carry."
    until(
        page,
        "node => node.getAttribute('d')",
        root.locator(".stable-forward-chart path.one").element_handle(),
    )
    alpha = root.get_by_label("Stability α", exact=True)
    alpha.focus()
    before, plain = tail_of(root), canvas_hash(normal(root))
    changed(page, heavy(root), lambda: page.keyboard.press("ArrowLeft"))
    assert tail_of(root) != before and canvas_hash(normal(root)) == plain, (
        "alpha moves the heavy twin alone"
    )
    changed(page, heavy(root), lambda: page.keyboard.press("End"))
    assert alpha.get_attribute("aria-valuetext") == "2, normal"
    assert canvas_hash(heavy(root)) == canvas_hash(normal(root)), "at alpha = 2 they are one"
    changed(page, heavy(root), lambda: page.keyboard.press("Home"))
    assert alpha.get_attribute("aria-valuetext") == "1.01"
    root.get_by_label("Kind of noise", exact=True).select_option("isotropic")
    shows(page, root.locator(".stable-forward-words"), "for all numbers")
    changed(
        page,
        heavy(root),
        lambda: root.get_by_label("Kind of noise", exact=True).select_option("componentwise"),
    )
    root.get_by_label("Time t", exact=True).focus()
    for key in ("PageUp", "ArrowRight", "Home"):
        changed(page, normal(root), lambda key=key: page.keyboard.press(key))
    changed(page, normal(root), lambda: root.get_by_label("Picture", exact=True).select_option(index=1))
    root.get_by_role("button", name="of another strength").click()
    shows(page, root.locator(".t2i-answer"), "You said: it looks the same")
    root.get_by_role("button", name="Copy as code").click()
    shows(page, root.locator(".t2i-code"), 'coupled_noise(x0.shape, alpha, 0, "componentwise")')


def test_in_jupyterlab(lab, quiet):
    root = root_of(lab, "stable_forward")
    assert unnamed(root) == []
    drive(lab, root)


def test_every_other_control_and_nothing_for_the_kernel(lab, quiet):
    root = root_of(lab, "stable_forward")
    root.get_by_label("Time t", exact=True).fill("0.4")
    before = quiet.messages
    changed(lab, normal(root), lambda: root.get_by_role("button", name="New noise").click())
    changed(
        lab,
        heavy(root),
        lambda: root.get_by_label("Kind of noise", exact=True).select_option("pixelwise"),
    )
    changed(lab, normal(root), lambda: root.get_by_label("Schedule", exact=True).select_option("linear"))
    changed(lab, normal(root), lambda: root.get_by_role("button", name="Play").click())
    root.get_by_role("button", name="Pause").click()
    box = root.get_by_label("Stability α", exact=True).bounding_box()
    lab.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2)
    lab.mouse.down()
    lab.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + box["height"] / 2, steps=8)
    lab.mouse.up()
    assert 1.65 < float(root.get_by_label("Stability α", exact=True).input_value()) < 1.75
    assert quiet.messages == before
    cells = lab.locator(".jp-Cell").count()
    for key in "abdd":  # in a notebook: cell above, below, delete
        lab.keyboard.press(key)
    assert lab.locator(".jp-Cell").count() == cells


def test_two_views_move_together(lab, quiet):
    first, second = root_of(lab, "stable_forward"), root_of(lab, "stable_forward", 1)
    for name, value in (
        ("Time t", "0.3"),
        ("Stability α", "1.5"),
    ):  # wherever an earlier test has left them
        second.get_by_label(name, exact=True).fill(value)
    second.get_by_label("Stability α", exact=True).focus()
    shows(lab, second, "1.50")
    before = canvas_hash(heavy(first))
    changed(lab, heavy(second), lambda: lab.keyboard.press("ArrowLeft"))
    assert canvas_hash(heavy(first)) != before
    assert (
        first.get_by_label("Stability α", exact=True).input_value()
        == second.get_by_label("Stability α", exact=True).input_value()
    )


def test_in_voila(voila, quiet):
    drive(voila, root_of(voila, "stable_forward"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_as_a_page(exported, quiet, scheme):
    widget = stable_forward_widget()
    page = exported(widget, scheme)
    drive(page, root_of(page, "stable_forward"))
    assert is_dark(page) == (scheme == "dark")
    widget.close()
