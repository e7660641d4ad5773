"The forward widget, driven by keyboard and mouse."

import pytest
from driving import canvas_hash, changed, is_dark, root_of, shows, unnamed, until
from PIL import Image

from t2i_learn.widgets.forward import forward_widget


def drive(page, root):
    "Time by keys, another schedule, another picture, the question, the code: what every host has to carry."
    total = root.locator("canvas").nth(2)
    time = root.get_by_label("Time t", exact=True)
    time.focus()
    changed(page, total, lambda: page.keyboard.press("ArrowRight"))
    assert "log SNR" in time.get_attribute("aria-valuetext")
    changed(page, total, lambda: page.keyboard.press("End"))
    shows(page, root.locator(".forward-formula").first, "−12.9")  # where the cosine schedule ends
    changed(page, total, lambda: page.keyboard.press("Home"))
    changed(page, total, lambda: page.keyboard.press("PageUp"))
    changed(page, total, lambda: root.get_by_label("Schedule", exact=True).select_option("linear"))
    changed(page, total, lambda: root.get_by_label("Picture", exact=True).select_option(index=1))
    root.get_by_role("button", name="near t = 0.5").click()
    shows(page, root.locator(".t2i-answer"), "At t = 0.26")
    root.get_by_role("button", name="Copy as code").click()
    shows(page, root.locator(".t2i-code"), "linear_schedule(), torch.Generator().manual_seed(0)")


def test_in_jupyterlab(lab, quiet):
    root = root_of(lab, "forward")
    assert unnamed(root) == []
    drive(lab, root)
    messages = quiet.messages
    time = root.get_by_label("Time t", exact=True)
    time.focus()
    for _ in range(20):
        lab.keyboard.press("ArrowRight")
    box = time.bounding_box()
    lab.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + box["height"] / 2)
    lab.mouse.down()
    lab.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2, steps=10)
    lab.mouse.up()
    assert 0.75 < float(time.input_value()) < 0.85
    assert quiet.messages == messages, "dragging says nothing to the kernel"


def test_keys_stay_in_the_widget(lab, quiet):
    root = root_of(lab, "forward")
    cells = lab.locator(".jp-Cell").count()
    root.get_by_label("Time t", exact=True).focus()
    for key in "abdd":  # in a notebook: cell above, below, delete
        lab.keyboard.press(key)
    assert lab.locator(".jp-Cell").count() == cells


def test_two_views_move_together(lab, quiet):
    first, second = root_of(lab, "forward"), root_of(lab, "forward", 1)
    before = canvas_hash(first.locator("canvas").nth(2))
    second.get_by_label("Time t", exact=True).focus()
    changed(lab, second.locator("canvas").nth(2), lambda: lab.keyboard.press("ArrowLeft"))
    assert canvas_hash(first.locator("canvas").nth(2)) != before
    assert (
        first.get_by_label("Time t", exact=True).input_value()
        == second.get_by_label("Time t", exact=True).input_value()
    )


def test_a_curve_is_bent_by_keys_and_by_hand(lab, quiet):
    root = root_of(lab, "forward")
    knot = root.get_by_role("slider", name="Curve at t = 0.5")
    knot.focus()
    total = root.locator("canvas").nth(2)
    root.get_by_label("Time t", exact=True).fill("0.5")
    before = float(knot.get_attribute("aria-valuenow"))
    knot.focus()
    changed(lab, total, lambda: lab.keyboard.press("ArrowUp"))
    assert float(knot.get_attribute("aria-valuenow")) == pytest.approx(before + 0.25)
    assert root.get_by_label("Schedule", exact=True).input_value() == "custom"
    for _ in range(10):
        lab.keyboard.press("PageDown")
    after = root.get_by_role("slider", name="Curve at t = 0.67")
    assert knot.get_attribute("aria-valuenow") == after.get_attribute("aria-valuenow"), (
        "a point stays above the next"
    )
    box = knot.bounding_box()
    lab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    lab.mouse.down()
    lab.mouse.move(box["x"] + box["width"] / 2, box["y"] - 30, steps=4)
    lab.mouse.up()
    assert float(knot.get_attribute("aria-valuenow")) > float(after.get_attribute("aria-valuenow"))


def open_file(page, root, path):
    "Choose a file in the window that the button opens."
    with page.expect_file_chooser() as chooser:
        root.get_by_role("button", name="Open a file").click()
    chooser.value.set_files(path)


def test_every_other_control(lab, quiet, tmp_path):
    root = root_of(lab, "forward")
    total = root.locator("canvas").nth(2)
    root.get_by_label("Time t", exact=True).fill("0.5")
    changed(lab, total, lambda: root.get_by_role("button", name="New noise").click())
    choices = root.get_by_label("Picture", exact=True).locator("option").count()
    root.get_by_role("button", name="New scene").click()
    until(
        lab,
        "([node, n]) => node.options.length > n",
        root.get_by_label("Picture", exact=True).element_handle(),
        choices,
    )
    root.get_by_label("Compare with", exact=True).select_option("")
    assert not root.locator("canvas").nth(3).is_visible()
    root.get_by_label("Compare with", exact=True).select_option("log_linear")
    assert root.locator("canvas").nth(3).is_visible()
    Image.new("RGB", (90, 60), "teal").save(tmp_path / "teal.png")
    changed(lab, total, lambda: open_file(lab, root, tmp_path / "teal.png"))
    assert root.get_by_label("Picture", exact=True).input_value() == "-1"
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    open_file(lab, root, tmp_path / "broken.png")
    shows(lab, root.get_by_role("alert"), "broken.png is not a picture that this browser can read")
    root.get_by_role("button", name="Play").click()
    root.get_by_role("button", name="Pause").click()
    assert root.get_by_role("button", name="Play").is_visible()


def test_in_voila(voila, quiet):
    assert voila.refused, "Voilà asks for its token"
    drive(voila, root_of(voila, "forward"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_as_a_page(exported, quiet, scheme):
    widget = forward_widget()
    page = exported(widget, scheme)
    drive(page, root_of(page, "forward"))
    assert is_dark(page) == (scheme == "dark")
    assert page.get_by_role("button", name="New scene").is_disabled()
    widget.close()
