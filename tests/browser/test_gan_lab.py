"The GAN lab, driven by keyboard and mouse."

import re

import pytest
from driving import HASH, canvas_hash, changed, root_of, second_view, shows, unnamed, until

from t2i_learn.widgets.gan_lab import gan_lab


def plane_of(root):
    return root.locator("canvas").first


def push(root, name):
    return root.get_by_role("button", name=name, exact=True)


def step_in(root):
    "The number of the step that is shown."
    return int(re.match(r"step (\d+)", root.locator(".gan-lab-facts").text_content())[1])


def at_step(page, root, number):
    shows(page, root.locator(".gan-lab-facts"), f"step {number} ·")


def reset(page, root):
    push(root, "Reset").click()
    at_step(page, root, 0)


def drive(page, root):
    "Looking back by keys and by mouse, what is shown, the question, the code: what every host has to carry, once something is played."
    look = root.get_by_label("Look back", exact=True)
    look.focus()
    changed(page, plane_of(root), lambda: page.keyboard.press("Home"))
    assert look.get_attribute("aria-valuetext") == "step 0"
    changed(page, plane_of(root), lambda: page.keyboard.press("ArrowRight"))
    changed(page, plane_of(root), lambda: push(root, "One step back").click())
    changed(page, plane_of(root), lambda: push(root, "One step on").click())
    changed(page, plane_of(root), lambda: push(root, "Play").click())
    look.focus()
    page.keyboard.press("End")
    for name in ("surface", "arrows", "grid", "real points"):
        changed(page, plane_of(root), lambda name=name: root.get_by_label(name, exact=True).uncheck())
        changed(
            page, plane_of(root), lambda name=name: root.get_by_label(name, exact=True).press("Space")
        )
    assert "modes" in plane_of(root).get_attribute("aria-label")
    root.get_by_role("button", name="only a few").click()
    shows(page, root.locator(".t2i-answer"), "You said: only a few")
    push(root, "Copy as code").click()
    shows(page, root.locator(".t2i-code"), "point_gan_learner(points, ")


def play_a_little(page, root):
    "A few steps, one by one."
    for k in range(1, 4):
        changed(page, plane_of(root), lambda: push(root, "Step both").click())
        at_step(page, root, k)


def test_in_jupyterlab(lab, quiet):
    root = root_of(lab, "gan_lab")
    until(
        lab,
        "node => node.textContent.includes('step 0')",
        root.locator(".gan-lab-facts").element_handle(),
    )
    assert unnamed(root) == []
    play_a_little(lab, root)
    drive(lab, root)


def test_moves_one_by_one_by_keys(lab, quiet):
    root = root_of(lab, "gan_lab")
    reset(lab, root)
    for k, name in enumerate(("Step D", "Step G", "Step both"), 1):
        push(root, name).focus()
        changed(lab, plane_of(root), lambda: lab.keyboard.press("Enter"))
        at_step(lab, root, k)
    push(root, "Copy as code").click()
    shows(lab, root.locator(".t2i-code"), "learner.update_only('generator')")
    shows(lab, root.locator(".t2i-code"), "learner.fit(3)")


def test_train_stop_and_looking_back_says_nothing_to_the_kernel(lab, quiet):
    root = root_of(lab, "gan_lab")
    root.get_by_label("Show every", exact=True).select_option("1")
    reset(lab, root)
    push(root, "Train").click()
    until(
        lab,
        "node => Number(/step (\\d+)/.exec(node.textContent)[1]) > 8",
        root.locator(".gan-lab-facts").element_handle(),
    )
    push(root, "Stop").click()
    push(root, "Train").wait_for()
    root.get_by_label("Look back", exact=True).focus()
    before = quiet.messages
    for key in ("Home", "ArrowRight", "ArrowRight", "End"):
        changed(lab, plane_of(root), lambda key=key: lab.keyboard.press(key))
    assert quiet.messages == before
    assert (
        root.locator(".gan-lab-curves svg path.one").count() == 2
        and root.locator(".gan-lab-curves svg path.two").count() == 1
    )


def test_a_reset_is_the_same_duel(lab, quiet):
    root = root_of(lab, "gan_lab")
    reset(lab, root)
    changed(lab, plane_of(root), lambda: push(root, "Step both").click())
    at_step(lab, root, 1)
    first = canvas_hash(plane_of(root))
    reset(lab, root)
    push(root, "Step both").click()
    at_step(lab, root, 1)
    until(
        lab, f"([canvas, first]) => ({HASH})(canvas) === first", plane_of(root).element_handle(), first
    )
    changed(lab, plane_of(root), lambda: push(root, "New seed").click())
    at_step(lab, root, 0)


def test_every_setting(lab, quiet):
    root = root_of(lab, "gan_lab")
    field = lambda name: root.get_by_label(name, exact=True)
    reset(lab, root)
    for name, value, said in (
        ("Data", "grid", "'grid'"),
        ("Loss", "wasserstein", "'wasserstein'"),
        ("Penalty", "3", "'wasserstein', 3"),
    ):
        field(name).select_option(value)
        until_code(lab, root, said)
    field("Updates of D a step").focus()
    lab.keyboard.press("ArrowRight")
    until_code(lab, root, "d_steps=2")
    for name, key, said in (
        ("Learning rate of G", "ArrowLeft", "'lr': 0.00056"),
        ("Learning rate of D", "ArrowRight", "'d_lr': 0.0018"),
        ("Momentum", "End", "'beta1': 0.95"),
    ):
        field(name).focus()
        lab.keyboard.press(key)
        until_code(lab, root, said, again=lambda: push(root, "Step both").click())
    field("Loss").select_option("hinge")
    until_code(lab, root, "'hinge'")
    assert field("Penalty").is_disabled() and "no penalty" in field("Penalty").get_attribute("title")
    for name in ("Momentum", "Updates of D a step"):
        field(name).focus()
        lab.keyboard.press("Home")
    field("Data").select_option("clusters")
    field("Loss").select_option("relativistic")
    until_code(lab, root, "d_steps=1")


def until_code(page, root, text, again=lambda: None):
    "Ask for the code until it says something: settings reach the kernel a moment after the control has come to rest."
    for _ in range(100):
        again()
        push(root, "Copy as code").click()
        if text in root.locator(".t2i-code").text_content():
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{text!r} is not in {root.locator('.t2i-code').text_content()!r}")


def test_drawn_data_and_a_sentence(lab, quiet):
    root = root_of(lab, "gan_lab")
    root.get_by_label("Data", exact=True).select_option("drawing")
    shows(lab, root.locator(".gan-lab-facts"), "of the data has a generated neighbour")
    push(root, "Clear").click()
    shows(lab, root.get_by_role("alert"), "The drawing is empty: put a point on it first.")
    box = plane_of(root).bounding_box()
    lab.mouse.move(box["x"] + 80, box["y"] + 100)
    lab.mouse.down()
    lab.mouse.move(box["x"] + 200, box["y"] + 180, steps=12)
    lab.mouse.up()
    until(lab, "node => node.hidden", root.locator(".t2i-message").element_handle())
    plane_of(root).focus()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowUp", "Space"):
        lab.keyboard.press(key)
    until_code(lab, root, ", [0.2, 0.02]])")
    plane_of(root).focus()
    lab.keyboard.press("Backspace")
    push(root, "Undo").click()
    push(root, "Step both").click()
    at_step(lab, root, 1)
    root.get_by_label("Data", exact=True).select_option("clusters")
    shows(lab, root.locator(".gan-lab-facts"), "modes")


def test_a_second_view_follows(lab, quiet):
    root = root_of(lab, "gan_lab")
    reset(lab, root)
    play_a_little(lab, root)
    with second_view(lab, "gan_lab", lambda view: at_step(lab, view, 3)) as second:
        push(second, "Step both").click()
        at_step(lab, root, 4)
        at_step(lab, second, 4)


def test_in_voila(voila, quiet):
    root = root_of(voila, "gan_lab")
    play_a_little(voila, root)
    drive(voila, root)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_as_a_page(exported, quiet, scheme):
    widget = gan_lab(every=2).step("discriminator").play(8)
    page = exported(widget, scheme)
    root = root_of(page, "gan_lab")
    at_step(page, root, 9)
    drive(page, root)
    assert unnamed(root) == []
    for name in ("Step D", "Step G", "Step both", "Train", "Reset", "New seed"):
        assert push(root, name).is_disabled()
    assert step_in(root) == 9
    widget.close()
