"How the browser tests look at a page and wait for it: conditions are polled for, nothing is slept for."

from hosts import WIDGETS

HASH = """canvas => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let hash = 7;
  for (const value of data) hash = (31 * hash + value) | 0;
  return hash;
}"""
START = 180_000  # ms that a server, a kernel and all the cells may take
PATIENCE = 60_000  # ms that a condition may take before a test is called hung; an idle machine needs a hundredth


def root_of(page, name, which=0):
    "The section of a widget, in view."
    root = page.locator(f"section.t2i[aria-label='{WIDGETS[name].label}']").nth(which)
    root.scroll_into_view_if_needed()
    return root


def canvas_hash(canvas):
    "A number that changes when the pixels of a canvas do."
    return canvas.evaluate(HASH)


def until(page, condition, *arguments, timeout=PATIENCE):
    "Wait until a function of JavaScript, given elements or values, is true."
    page.wait_for_function(condition, arg=list(arguments) if len(arguments) > 1 else (arguments or (None,))[0], timeout=timeout)


def changed(page, canvas, act):
    "Do something, and wait until a canvas shows something else."
    before = canvas_hash(canvas)
    act()
    script = f"([canvas, before]) => ({HASH})(canvas) !== before"
    until(page, script, canvas.element_handle(), before)


def shows(page, locator, text):
    "Wait until an element holds a text."
    until(page, "([node, text]) => node.textContent.includes(text)", locator.element_handle(), text)


def unnamed(root):
    "Controls and pictures of a widget that a screen reader has no name for."
    return root.evaluate("""root => [...root.querySelectorAll("button, input, select, textarea, canvas, [role=slider], [tabindex='0']")]
      .filter((node) => (node.type !== "file" || !node.hidden) && !node.closest("[aria-hidden='true']"))
      .filter((node) => !(node.labels && node.labels.length) && !node.getAttribute("aria-label") && !node.textContent.trim())
      .map((node) => node.outerHTML.slice(0, 120))""")


def is_dark(page):
    "Whether the widget of an exported page writes in the light ink of the dark theme."
    return page.evaluate("() => getComputedStyle(document.querySelector('.t2i')).color") == "rgb(228, 228, 228)"
