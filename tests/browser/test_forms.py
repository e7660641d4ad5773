"The prompt box of the index and the desk of the world, in JupyterLab by keyboard and mouse."

from driving import shows, until


def form_of(page, button):
    "The output of the cell that shows a form."
    return page.locator(".jp-OutputArea").filter(has=page.get_by_role("button", name=button, exact=True)).last


def test_prompt_box_draws_by_key_and_by_click(lab, quiet):
    box = form_of(lab, "Draw")
    box.scroll_into_view_if_needed()
    prompt = box.get_by_label("Prompt", exact=True)
    prompt.fill("two blue stars")
    prompt.press("Enter")
    shows(lab, box, "Done in 3 steps.")
    assert box.get_by_role("img", name="two blue stars (seed 1, picture 1 of 1)").is_visible()
    box.get_by_role("button", name="New seed").click()
    box.get_by_role("button", name="Draw", exact=True).click()
    until(lab, "node => !node.textContent.includes('(seed 1,')", box.element_handle())
    shows(lab, box, "Done in 3 steps.")
    box.get_by_text("Copy as code").click()
    shows(lab, box.locator("pre"), "load('shapes-diffusion')")


def test_prompt_box_says_what_is_wrong(lab, quiet):
    box = form_of(lab, "Draw")
    prompt = box.get_by_label("Prompt", exact=True)
    prompt.fill("  ")
    prompt.press("Enter")
    shows(lab, box.get_by_role("alert"), "empty")
    prompt.fill("a purple dragon")
    box.get_by_role("button", name="Draw", exact=True).click()
    shows(lab, box, "dragon")
    shows(lab, box, "Done in 3 steps.")


def test_desk_of_the_world(lab, quiet):
    desk = lab.locator(".jp-OutputArea").filter(has=lab.locator(".widget-dropdown").filter(has_text="task")).last
    desk.scroll_into_view_if_needed()
    picture = desk.locator("img[alt^='drawn:']")

    def changes(act):
        before = picture.get_attribute("src")
        act()
        until(lab, "([node, src]) => node.querySelector(\"img[alt^='drawn:']\").src !== src", desk.element_handle(), before)

    def menu(name, value):
        changes(lambda: desk.locator(".widget-dropdown").filter(has_text=name).first.locator("select").select_option(value))

    menu("shape", "cross")
    menu("background", "sky")
    menu("task", "single")
    handle = desk.locator(".widget-hslider").filter(has_text="noise").locator(".noUi-handle")
    handle.focus()
    changes(lambda: lab.keyboard.press("ArrowRight"))
    box = desk.locator(".widget-hslider").filter(has_text="x, to the right").locator(".noUi-base").bounding_box()
    changes(lambda: lab.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2))
    menu("task", "two")
    shows(lab, desk, "The oracle reads, on")
