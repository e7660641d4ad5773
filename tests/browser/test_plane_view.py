"The plane, driven by keyboard and mouse."

import json

import pytest
from driving import changed, root_of, run_last, second_view, shows, unnamed, until

from t2i_learn.diffusion.points import point_learner
from t2i_learn.widgets.plane import plane_widget
from t2i_learn.world.points import moons


def left(root):
    return root.locator("canvas").nth(0)


def right(root):
    return root.locator("canvas").nth(1)


def drive(page, root):
    "Steps by keys, data, methods, ticks, the question, the code: what every host has to carry."
    step = root.get_by_label("Step", exact=True)
    step.focus()
    changed(page, left(root), lambda: page.keyboard.press("End"))
    assert "σ = 0" in step.get_attribute("aria-valuetext")
    changed(page, right(root), lambda: page.keyboard.press("Home"))
    changed(page, left(root), lambda: page.keyboard.press("PageUp"))
    changed(page, left(root), lambda: root.get_by_role("button", name="One step on").click())
    changed(page, left(root), lambda: root.get_by_label("Data", exact=True).select_option("clusters"))
    changed(page, left(root), lambda: root.get_by_label("Left", exact=True).select_option("flow"))
    changed(page, right(root), lambda: root.get_by_label("Right", exact=True).select_option("ddpm"))
    for name in ("density", "arrows", "paths"):
        changed(page, left(root), lambda name=name: root.get_by_label(name, exact=True).uncheck())
        changed(page, left(root), lambda name=name: root.get_by_label(name, exact=True).check())
    root.get_by_role("button", name="DDIM and flow").click()
    shows(page, root.locator(".t2i-answer"), "They follow the same curve")
    root.get_by_role("button", name="Copy as code").click()
    shows(page, root.locator(".t2i-code"), "sample_loop(euler_step, denoise, sigmas[0] * z, sigmas)")


def test_in_jupyterlab(lab, quiet):
    root = root_of(lab, "plane")
    assert unnamed(root) == []
    drive(lab, root)
    before = quiet.messages
    steps = root.get_by_label("Steps", exact=True)
    steps.focus()
    changed(lab, left(root), lambda: lab.keyboard.press("ArrowRight"))
    changed(lab, left(root), lambda: root.get_by_role("button", name="New noise").click())
    changed(lab, left(root), lambda: root.get_by_role("button", name="Play").click())
    root.get_by_role("button", name="Pause").click()
    assert quiet.messages == before, "nothing of this needs the kernel"


def test_drawing_by_hand_and_by_keys(lab, quiet):
    root = root_of(lab, "plane")
    root.get_by_label("Data", exact=True).select_option("drawing")
    changed(lab, left(root), lambda: root.get_by_role("button", name="Clear").click())
    assert "The drawing is empty" in root.locator("figcaption").nth(0).text_content()
    box = left(root).bounding_box()
    lab.mouse.move(box["x"] + 80, box["y"] + 100)
    lab.mouse.down()
    lab.mouse.move(box["x"] + 200, box["y"] + 180, steps=12)
    lab.mouse.up()
    drawn = len(points_in(lab, root))
    assert drawn > 5
    left(root).focus()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowUp", "Space"):
        lab.keyboard.press(key)
    assert points_in(lab, root)[-1] == pytest.approx([0.2, 0.02])
    left(root).focus()
    lab.keyboard.press("Backspace")
    root.get_by_role("button", name="Undo").click()
    assert len(points_in(lab, root)) == drawn - 1


def points_in(page, root):
    "The drawing, as the copied code has it."
    root.get_by_role("button", name="Copy as code").click()
    shows(page, root.locator(".t2i-code"), "Mixture(torch.tensor(")
    text = root.locator(".t2i-code").text_content()
    return json.loads(text.split("torch.tensor(")[1].split("), 0.07")[0])


def test_training_in_the_kernel(lab, quiet):
    root = root_of(lab, "plane")
    root.get_by_label("Data", exact=True).select_option("rings")
    root.get_by_label("Right", exact=True).select_option("error")
    root.get_by_role("button", name="Train on this data").click()
    shows(lab, root.locator(".t2i-status").first, "Trained.")
    until(
        lab,
        "node => node.textContent.includes('they differ by')",
        root.locator("figcaption").nth(1).element_handle(),
    )
    changed(lab, left(root), lambda: root.get_by_label("Field", exact=True).select_option("learned"))
    root.get_by_label("Data", exact=True).select_option("moons")
    shows(lab, root.locator(".t2i-status").first, "was trained on other data")


def test_training_can_be_stopped(lab, quiet):
    root = root_of(lab, "plane")
    run_last(
        lab,
        "import t2i_learn.widgets.plane as module\nkept = dict(module._TRAIN_STEPS)\nmodule._TRAIN_STEPS.update(dict.fromkeys(kept, 10**6))",
    )
    root.get_by_role("button", name="Train on this data").click()
    shows(lab, root.locator(".t2i-status").first, "Training: step")
    root.get_by_role("button", name="Stop training").click()
    shows(lab, root.locator(".t2i-status").first, "of 1000000.")
    assert root.locator(".t2i-status").first.text_content().startswith("Stopped after step")
    assert root.get_by_role("button", name="Train on this data").is_visible()
    run_last(lab, "module._TRAIN_STEPS.update(kept)")
    run_last(lab, "")


def test_two_views_move_together(lab, quiet):
    root = root_of(lab, "plane")
    root.get_by_role("button", name="Train on this data").click()
    shows(lab, root.locator(".t2i-status").first, "Trained.")
    learned = lambda view: until(
        lab, "node => !node.options[1].disabled", view.get_by_label("Field", exact=True).element_handle()
    )
    with second_view(lab, "plane", learned) as second:
        shows(lab, root.locator(".t2i-status").first, "Trained.")
        second.get_by_label("Step", exact=True).focus()
        changed(lab, left(root), lambda: lab.keyboard.press("Home"))
        changed(
            lab, left(second), lambda: root.get_by_label("Data", exact=True).select_option("clusters")
        )
        assert second.get_by_label("Data", exact=True).input_value() == "clusters"


def test_training_on_nothing_is_a_sentence(lab, quiet):
    root = root_of(lab, "plane")
    root.get_by_label("Data", exact=True).select_option("drawing")
    if root.get_by_role("button", name="Clear").is_enabled():
        root.get_by_role("button", name="Clear").click()
    root.get_by_role("button", name="Train on this data").click()
    shows(lab, root.get_by_role("alert"), "The drawing is empty: put a point on it first.")
    root.get_by_label("Data", exact=True).select_option("moons")


def test_in_voila(voila, quiet):
    drive(voila, root_of(voila, "plane"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_as_a_page(exported, quiet, scheme):
    widget = plane_widget("moons", point_learner(moons()).fit(20).model.eval(), compare="error")
    page = exported(widget, scheme)
    root = root_of(page, "plane")
    shows(page, root.locator("figcaption").nth(1), "they differ by")
    changed(page, left(root), lambda: root.get_by_label("Field", exact=True).select_option("learned"))
    assert root.get_by_role("button", name="Train on this data").is_disabled()
    drive(page, root)
    widget.close()
