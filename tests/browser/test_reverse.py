"The reverse widget, driven by keyboard and mouse."

import itertools

import pytest
from driving import changed, root_of, second_view, shows, unnamed, until
from tiny import tiny_pipeline

from t2i_learn.widgets.reverse import reverse_widget


def trajectory(root, name):
    return root.locator(f"section[aria-label='Trajectory {name}']")


def predicted(root, name="A"):
    return trajectory(root, name).locator("canvas").nth(1)


SEEDS = itertools.count(100)


def form(root, name):
    return root.locator("fieldset").nth("AB".index(name))


def done(page, root, text):
    shows(page, root.locator(".t2i-progress"), text)


def draw(page, root, which="A"):
    "Draw with a seed that no test has had, so that another picture comes out, and wait for the end."
    form(root, "A").get_by_label("Seed", exact=True).fill(str(next(SEEDS)))
    changed(
        page,
        predicted(root),
        lambda: root.get_by_role("button", name=f"Draw {which}", exact=True).click(),
    )
    done(page, root, "Done in")


def drive(page, root):
    "Time by keys, the question, the code: what every host has to carry, once something is drawn."
    step = root.get_by_label("Step", exact=True)
    step.focus()
    changed(page, predicted(root), lambda: page.keyboard.press("Home"))
    assert "noise level" in step.get_attribute("aria-valuetext") and "log SNR" in step.get_attribute(
        "aria-valuetext"
    )
    noisy = trajectory(root, "A").locator("canvas").nth(0)
    changed(page, noisy, lambda: page.keyboard.press("ArrowRight"))
    assert "step 2 of" in noisy.get_attribute("aria-label")
    shows(page, trajectory(root, "A"), "The oracle reads in the predicted picture")
    changed(page, noisy, lambda: root.get_by_role("button", name="One step on").click())
    changed(page, noisy, lambda: root.get_by_role("button", name="One step back").click())
    changed(page, noisy, lambda: root.get_by_role("button", name="Play").click())
    root.get_by_role("button", name="first third").click()
    shows(page, root.locator(".t2i-answer"), "You said: first third. In drawing A: ")
    root.get_by_role("button", name="Copy as code").click()
    shows(page, root.locator(".t2i-code"), "pipe.trajectory(")


def test_in_jupyterlab(lab, quiet):
    root = root_of(lab, "reverse")
    draw(lab, root)
    assert unnamed(root) == []
    drive(lab, root)


def test_scrubbing_says_nothing_to_the_kernel(lab, quiet):
    root = root_of(lab, "reverse")
    draw(lab, root)
    root.get_by_label("Step", exact=True).focus()
    messages = quiet.messages
    for key in ("Home", "ArrowRight", "ArrowRight", "End"):
        changed(lab, predicted(root), lambda key=key: lab.keyboard.press(key))
    assert quiet.messages == messages


def test_fork(lab, quiet):
    root = root_of(lab, "reverse")
    draw(lab, root)
    root.get_by_label("Step", exact=True).fill("2")
    form(root, "B").get_by_label("Prompt", exact=True).fill("a green star")
    root.get_by_role("button", name="Go on from step 3 of A").click()
    shows(lab, trajectory(root, "B"), "B: a green star")
    shows(lab, trajectory(root, "B"), "left A at step 3")
    done(lab, root, "Done in 6 steps.")
    shows(lab, trajectory(root, "B"), "a green star: ")
    root.get_by_role("button", name="Copy as code").click()
    shows(lab, root.locator(".t2i-code"), "a[:2] + list(resume_trajectory(pipe, a[2], 'a green star'")


def test_two_views_of_one_drawing(lab, quiet):
    root = root_of(lab, "reverse")
    draw(lab, root)
    root.get_by_label("Step", exact=True).fill("2")
    with second_view(
        lab,
        "reverse",
        lambda view: shows(lab, trajectory(view, "A"), "The oracle reads in the predicted picture"),
    ) as second:
        assert root.get_by_label("Step", exact=True).input_value() == "2"
        changed(lab, predicted(root), lambda: draw(lab, second))
        done(lab, root, "Done in")
        assert (
            form(root, "A").get_by_label("Seed", exact=True).input_value()
            == form(second, "A").get_by_label("Seed", exact=True).input_value()
        )


FIELDS = {
    "Steps": "steps",
    "Seed": "seed",
    "Guidance": "guidance scale",
    "Negative prompt": "negative prompt",
    "Sampler": "sampler",
}


def fill_in(fieldset, values):
    "Fill in fields of a form by their names; what stood there before."
    kept = {name: fieldset.get_by_label(name, exact=True).input_value() for name in values}
    for name, value in values.items():
        field = fieldset.get_by_label(name, exact=True)
        field.select_option(value) if name == "Sampler" else field.fill(value)
    return kept


def test_every_field_of_both_forms(lab, quiet):
    root = root_of(lab, "reverse")
    asked = {"A": ("4", "21", "1.5", "a star", "heun"), "B": ("3", "22", "2.5", "a heart", "euler")}
    kept = {name: fill_in(form(root, name), dict(zip(FIELDS, values))) for name, values in asked.items()}
    changed(lab, predicted(root), lambda: root.get_by_role("button", name="Draw A and B").click())
    for name, values in asked.items():
        for words, value in zip(FIELDS.values(), values):
            shows(lab, trajectory(root, name).locator("h4"), f"{words} {value}")
    done(lab, root, "Done in 4 steps.")
    for name, values in kept.items():
        fill_in(form(root, name), values)


def test_both_in_step_and_one_alone_again(lab, quiet):
    root = root_of(lab, "reverse")
    form(root, "B").get_by_label("Steps", exact=True).fill("3")
    root.get_by_role("button", name="Draw A and B").click()
    shows(lab, trajectory(root, "B"), "steps 3")
    done(lab, root, "Done in")
    root.get_by_label("Step", exact=True).fill("5")
    assert "step 3 of 3" in trajectory(root, "B").locator("canvas").first.get_attribute("aria-label")
    draw(lab, root)
    assert not trajectory(root, "B").is_visible()


def test_enter_draws_and_a_track_can_be_clicked(lab, quiet):
    root = root_of(lab, "reverse")
    prompt = form(root, "A").get_by_label("Prompt", exact=True)
    prompt.fill("two blue stars")
    cells = lab.locator(".jp-Cell").count()
    changed(lab, predicted(root), lambda: prompt.press("Enter"))
    shows(lab, trajectory(root, "A"), "two blue stars")
    done(lab, root, "Done in")
    strip = trajectory(root, "A").locator("canvas").nth(3)
    box = strip.bounding_box()
    changed(lab, predicted(root), lambda: strip.click(position={"x": 2, "y": box["height"] / 2}))
    assert root.get_by_label("Step", exact=True).input_value() == "0"
    prompt.focus()
    lab.keyboard.type("abdd")
    assert lab.locator(".jp-Cell").count() == cells, "keys stay in the widget"


def test_stop_and_a_sentence(lab, quiet):
    root = root_of(lab, "reverse")
    steps, prompt = (form(root, "A").get_by_label(name, exact=True) for name in ("Steps", "Prompt"))
    prompt.fill("a red heart")
    steps.fill("200")
    root.get_by_role("button", name="Draw A", exact=True).click()
    shows(lab, trajectory(root, "A"), "steps 200")
    until(
        lab,
        "node => / step [1-9]/.test(node.textContent)",
        root.locator(".t2i-progress").element_handle(),
    )
    root.get_by_role("button", name="Stop").click()
    done(lab, root, "Stopped after step")
    prompt.fill(" ")
    root.get_by_role("button", name="Draw A", exact=True).click()
    shows(lab, root.get_by_role("alert"), "The prompt is empty: say what to draw.")
    prompt.fill("a red heart")
    steps.fill("6")
    root.get_by_role("button", name="Draw A", exact=True).click()
    done(lab, root, "Done in 6 steps.")
    assert not root.get_by_role("alert").is_visible()


def test_in_voila(voila, quiet):
    root = root_of(voila, "reverse")
    draw(voila, root)
    drive(voila, root)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_as_a_page(exported, quiet, scheme):
    widget = reverse_widget(tiny_pipeline(), num_inference_steps=4, sampler="ddpm").draw()
    widget.background.wait()
    widget.fork(2).background.wait()
    page = exported(widget, scheme)
    root = root_of(page, "reverse")
    until(page, "node => !node.hidden", trajectory(root, "B").element_handle())
    drive(page, root)
    assert unnamed(root) == []
    for name in ("Draw A", "Draw A and B", "Stop"):
        assert root.get_by_role("button", name=name, exact=True).is_disabled()
    widget.close()
