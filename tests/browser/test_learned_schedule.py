"The learned schedule's widget, driven by keyboard and mouse."

import pytest
from driving import root_of, shows, unnamed, until

from t2i_learn.widgets.learned_schedule import schedule_lab


def push(root, name):
    return root.get_by_role("button", name=name, exact=True)


def at_step(page, root, number):
    shows(page, root.locator(".learned-schedule-facts"), f"step {number} of")


def shape(root):
    return root.locator("path.learned-schedule-is").first.get_attribute("d")


def moves(page, root, act):
    "Do something, and wait until the learned curve has another shape."
    before = shape(root)
    act()
    until(
        page,
        "([root, before]) => root.querySelector('path.learned-schedule-is').getAttribute('d') !== before",
        root.element_handle(),
        before,
    )


def trained(page, root, total=12):
    "Train from the first step to the last."
    push(root, "Train").click()
    at_step(page, root, total)
    push(root, "Train").wait_for()


def drive(page, root):
    "Looking back by keys and by mouse, both ways to show, the question, the code: what every host has to carry, once something is trained."
    look = root.get_by_label("Look back", exact=True)
    look.focus()
    moves(page, root, lambda: page.keyboard.press("Home"))
    assert look.get_attribute("aria-valuetext") == "step 0"
    moves(page, root, lambda: page.keyboard.press("ArrowRight"))
    moves(page, root, lambda: push(root, "One step back").click())
    moves(page, root, lambda: push(root, "Play").click())
    look.focus()
    page.keyboard.press("End")
    moves(page, root, lambda: root.get_by_label("Show", exact=True).select_option("-1"))
    shows(page, root, "log SNR = −g")
    moves(page, root, lambda: root.get_by_label("Show", exact=True).select_option("1"))
    root.get_by_role("button", name="down, to about −3").click()
    shows(page, root.locator(".t2i-answer"), "You said: down")
    push(root, "Copy as code").click()
    shows(page, root.locator(".t2i-code"), "likelihood_learner(steps=16")


def test_in_jupyterlab(lab, quiet):
    root = root_of(lab, "learned_schedule")
    until(lab, "root => root.querySelector('path.learned-schedule-is')", root.element_handle())
    assert unnamed(root) == []
    trained(lab, root)
    before = quiet.messages
    drive(lab, root)
    assert quiet.messages == before, "looking back says nothing to the kernel"


def test_every_setting_counts_from_the_next_training_on(lab, quiet):
    root = root_of(lab, "learned_schedule")
    root.get_by_label("Steps T", exact=True).select_option("0")
    root.get_by_label("Stability α", exact=True).press("ArrowLeft")
    root.get_by_label("learn the ends", exact=True).press("Space")
    root.get_by_label("Lower end", exact=True).press("ArrowRight")
    root.get_by_label("Upper end", exact=True).press("Home")
    push(root, "New seed").click()
    push(root, "Copy as code").click()
    assert "seed=0" in root.locator(".t2i-code").text_content()
    push(root, "Train").click()
    shows(lab, root.locator(".learned-schedule-facts"), "ends −13.2 and −4")
    at_step(lab, root, 12)
    push(root, "Train").wait_for()
    push(root, "Copy as code").click()
    said = root.locator(".t2i-code").text_content()
    assert "steps=None, alpha=1.95, low=-13.2, high=-4.0, learn_ends=False, seed=1" in said
    root.get_by_label("Steps T", exact=True).select_option("16")
    root.get_by_label("learn the ends", exact=True).press("Space")
    root.get_by_label("Upper end", exact=True).press("End")


def test_two_views_and_a_stop(lab, quiet):
    first, second = root_of(lab, "learned_schedule"), root_of(lab, "learned_schedule", 1)
    push(second, "Train").click()
    push(second, "Stop").click()
    push(second, "Train").wait_for()
    push(first, "Train").wait_for()
    until(
        lab,
        "([a, b]) => a.textContent === b.textContent && a.textContent",
        first.locator(".learned-schedule-facts").element_handle(),
        second.locator(".learned-schedule-facts").element_handle(),
    )


def test_in_voila(voila, quiet):
    root = root_of(voila, "learned_schedule")
    until(voila, "root => root.querySelector('path.learned-schedule-is')", root.element_handle())
    trained(voila, root)
    drive(voila, root)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_as_a_page(exported, quiet, scheme):
    widget = schedule_lab(total=6, every=2).train()
    page = exported(widget, scheme)
    root = root_of(page, "learned_schedule")
    at_step(page, root, 6)
    drive(page, root)
    assert unnamed(root) == []
    for name in ("Train", "New seed"):
        assert push(root, name).is_disabled()
    widget.close()
