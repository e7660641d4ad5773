"The prompt box of the index and the desk of the world, driven by keyboard and mouse."

import re

import pytest
from driving import after_echo, in_the_dark, low_contrast_texts, shows, until


def form_of(page, inside):
    "The output that shows a form."
    form = page.locator(".jp-OutputArea-output").filter(has=inside).last
    form.scroll_into_view_if_needed()
    return form


def box_of(page):
    "The prompt box."
    return form_of(
        page, page.locator(".jupyter-widgets").get_by_role("button", name="New seed", exact=True)
    )


def desk_of(page):
    "The desk of the world."
    return form_of(page, page.locator(".widget-dropdown").filter(has_text="task"))


def draw(page, box, says="Done in 3 steps.", by=None):
    "Draw, and wait until the box says so; what it said before does not count."
    box.evaluate(
        "node => node.querySelector('[role=status], [role=alert]')?.setAttribute('data-before', '')"
    )
    (by or box.get_by_role("button", name="Draw", exact=True).click)()
    until(
        page,
        "([node, says]) => !node.querySelector('[data-before]') && node.textContent.includes(says)",
        box.element_handle(),
        says,
    )


def fill_in(page, box, name, value):
    "Fill in a field by its name; what stood there before."
    field = box.get_by_label(name, exact=True)
    before = field.input_value()
    if value != before:
        after_echo(page, lambda: (field.fill(value), field.press("Tab")))
    return before


def unfold(page, form, title, text):
    "Open what is folded away, by a key; what it shows."
    form.locator("summary", has_text=title).focus()
    page.keyboard.press("Enter")
    shows(page, form.locator("details[open]", has_text=title), text)


def press_letters(page, form):
    "In a notebook: cell above, cell below, delete; where the code is, and where it can be folded away."
    form.locator("details").last.evaluate("node => { node.open = true; }")
    for place in ("summary", "pre"):
        form.locator(place).last.focus()
        page.keyboard.type("abd")


def drive_box(page, box):
    "A prompt and Enter, the question, the code: what every host has to carry."
    fill_in(page, box, "Prompt", "two blue stars")
    draw(page, box, by=lambda: box.get_by_label("Prompt", exact=True).press("Enter"))
    box.get_by_role("img", name="two blue stars (seed").first.wait_for()
    unfold(
        page,
        box,
        "Show the answer",
        "Mostly yes if the shape changes, and mostly no if the colour does.",
    )
    unfold(page, box, "Copy as code", "load('shapes-diffusion')")


def caption(desk):
    return desk.locator("b").first


def changes(page, desk, act):
    "Do something, and wait until the desk shows another picture or another caption."
    shown = (
        "node => node.querySelector('b').textContent + node.querySelector(\"img[alt^='drawn:']\").src"
    )
    before = desk.evaluate(shown)
    act()
    until(page, f"([node, before]) => ({shown})(node) !== before", desk.element_handle(), before)


def row_of(desk, name):
    "The control of this name."
    label = desk.page.locator("label", has_text=re.compile(f"^{name}$"))
    return desk.locator(".widget-dropdown, .widget-hslider, .widget-checkbox").filter(has=label)


def slide(page, desk, name, key="ArrowRight"):
    "Move a slider by a key."
    row_of(desk, name).locator(".noUi-handle").focus()
    page.keyboard.press(key)


def choose(desk, name, value):
    row_of(desk, name).locator("select").select_option(value)


def set_task(page, desk, task):
    "Another kind of scene, drawn before anything else is asked for."
    if row_of(desk, "task").locator("select").input_value() != task:
        changes(page, desk, lambda: choose(desk, "task", task))


def drive_desk(page, desk):
    "A menu, a slider, the question, the code: what every host has to carry."
    changes(page, desk, lambda: choose(desk, "shape", "cross"))
    shows(page, desk, "a cross left of a heart")
    changes(page, desk, lambda: slide(page, desk, "noise"))
    shows(page, desk, "The oracle reads, on")
    unfold(page, desk, "Show the answer", "The colour.")
    unfold(page, desk, "Copy as code", "shape='cross', noise=0.05")
    changes(page, desk, lambda: slide(page, desk, "noise", "Home"))
    changes(page, desk, lambda: choose(desk, "shape", "star"))


def test_box_in_jupyterlab(lab, quiet):
    box, cells = box_of(lab), lab.locator(".jp-Cell").count()
    drive_box(lab, box)
    press_letters(lab, box)
    assert lab.locator(".jp-Cell").count() == cells, "keys stay in the form"
    seed = box.get_by_label("Seed", exact=True)
    before = seed.input_value()
    box.get_by_role("button", name="New seed").click()
    until(lab, "([node, before]) => node.value !== before", seed.element_handle(), before)
    draw(lab, box)
    box.get_by_role("img", name=f"two blue stars (seed {seed.input_value()},").wait_for()
    fill_in(lab, box, "Prompt", "a red heart")


@pytest.mark.parametrize(("name", "value", "said"), [
    ("Seed", "9", "(seed 9, picture 1 of 1)"),
    ("Steps", "2", "Done in 2 steps."),
    ("Guidance", "1", "guidance_scale=1.0"),
    ("Pictures", "2", "picture 2 of 2"),
    ("Negative prompt", "a heart", "negative_prompt='a heart'"),
])  # fmt: skip
def test_every_field_of_the_box(lab, quiet, name, value, said):
    box = box_of(lab)
    pictures = "nodes => nodes.map((node) => node.src).join()"
    fill_in(lab, box, "Steps", "3")
    draw(lab, box)
    shown = box.locator("img").evaluate_all(pictures)
    kept = fill_in(lab, box, name, value)
    draw(lab, box, "Done in")
    shows(lab, box, said)
    assert box.locator("img").evaluate_all(pictures) != shown
    fill_in(lab, box, name, kept)


def test_box_stops(lab, quiet):
    box = box_of(lab)
    fill_in(lab, box, "Steps", "200")
    draw(lab, box, "of 200")
    box.get_by_role("button", name="Stop").click()
    shows(lab, box, "Stopped after step")
    assert box.get_by_role("button", name="Stop").is_disabled()
    fill_in(lab, box, "Steps", "3")


def test_box_with_another_model(lab, quiet):
    box = box_of(lab)
    model = box.get_by_label("Model", exact=True)
    model.select_option("shapes-gan")
    box.get_by_label("Steps", exact=True).wait_for(state="detached")
    box.get_by_label("Negative prompt", exact=True).wait_for(state="hidden")  # what it does not have
    unfold(lab, box, "Show the answer", "Yes, after both changes.")
    until(lab, "node => !node.textContent.includes('Done in')", box.element_handle())
    assert box.locator(".widget-hprogress").inner_text().strip() == "Progress", (
        "the bar of the last prompt"
    )
    draw(lab, box, "Done in one step.")
    shows(lab, box.locator("pre"), "load('shapes-gan')")
    model.select_option("shapes-diffusion")
    box.get_by_label("Steps", exact=True).wait_for()
    fill_in(lab, box, "Steps", "3")


def test_box_says_what_is_wrong(lab, quiet):
    box = box_of(lab)
    fill_in(lab, box, "Steps", "3")
    fill_in(lab, box, "Prompt", "  ")
    draw(
        lab, box, "The prompt is empty", by=lambda: box.get_by_label("Prompt", exact=True).press("Enter")
    )
    assert box.get_by_role("alert").is_visible()
    fill_in(lab, box, "Prompt", "a purple dragon")
    draw(lab, box)
    shows(lab, box, "no caption in training held 'dragon'")
    fill_in(lab, box, "Prompt", " ")
    draw(lab, box, "The prompt is empty", by=lambda: box.get_by_role("button", name="Draw").click())
    assert "dragon'" not in box.inner_text() and "step 3 of 3" not in box.inner_text(), (
        "those of the last prompt"
    )
    fill_in(lab, box, "Prompt", "a red heart")


def test_desk_in_jupyterlab(lab, quiet):
    desk, cells = desk_of(lab), lab.locator(".jp-Cell").count()
    drive_desk(lab, desk)
    press_letters(lab, desk)
    assert lab.locator(".jp-Cell").count() == cells, "keys stay in the form"


@pytest.mark.parametrize(("task", "name", "value", "said"), [
    ("color", "colour", "yellow", "yellow"),
    ("two", "second shape", "circle", "circle"),
    ("attribution", "second colour", "green", "green"),
    ("size", "size", "small", "small"),
    ("texture", "texture", "hollow", "hollow"),
    ("position", "relation", "above", "above"),
    ("count", "count", "4", "four"),
    ("single", "background", "sky", "sky"),
    ("single", "wording", "1", "a picture of"),
])  # fmt: skip
def test_every_menu_of_the_desk(lab, quiet, task, name, value, said):
    desk = desk_of(lab)
    set_task(lab, desk, task)
    row_of(desk, name).wait_for()
    kept = row_of(desk, name).locator("select").input_value()
    changes(lab, desk, lambda: choose(desk, name, value))
    until(
        lab,
        "([node, said]) => node.querySelector('b').textContent.includes(said)",
        desk.element_handle(),
        said,
    )
    changes(lab, desk, lambda: choose(desk, name, kept))


@pytest.mark.parametrize(("task", "name"), [
    ("single", "x, to the right"), ("single", "y, down"), ("single", "turn"), ("two", "arrangement"), ("single", "noise"), ("single", "blur, pixels"),
])  # fmt: skip
def test_every_slider_of_the_desk(lab, quiet, task, name):
    desk = desk_of(lab)
    set_task(lab, desk, task)
    row_of(desk, name).wait_for()
    changes(lab, desk, lambda: slide(lab, desk, name, "End"))
    words = caption(desk).text_content()
    box = row_of(desk, name).locator(".noUi-base").bounding_box()
    changes(
        lab, desk, lambda: lab.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + box["height"] / 2)
    )
    assert caption(desk).text_content() == words, "it is the picture that changes"
    changes(lab, desk, lambda: slide(lab, desk, name, "Home"))


@pytest.mark.parametrize(
    ("name", "said"),
    [("say the background", "background"), ("almost true", "The caption does not hold")],
)
def test_every_box_to_tick_at_the_desk(lab, quiet, name, said):
    desk = desk_of(lab)
    tick, page = row_of(desk, name).locator("input"), desk.locator("[aria-live]")
    says = [said in page.text_content()]
    for _ in range(2):
        tick.focus()
        changes(lab, desk, lambda: lab.keyboard.press("Space"))
        says.append(said in page.text_content())
    assert says[0] == says[2] != says[1]


def test_forms_in_the_dark(lab, quiet):
    box, desk = box_of(lab), desk_of(lab)
    assert low_contrast_texts(box) == low_contrast_texts(desk) == []
    with in_the_dark(lab):
        assert low_contrast_texts(box) == low_contrast_texts(desk) == []


def test_in_voila(voila, quiet):
    drive_box(voila, box_of(voila))
    drive_desk(voila, desk_of(voila))
