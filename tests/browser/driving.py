"How the browser tests look at a page and wait for it: conditions are polled for, nothing is slept for."

from contextlib import contextmanager

from hosts import WIDGETS

HASH = """canvas => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let hash = 7;
  for (const value of data) hash = (31 * hash + value) | 0;
  return hash;
}"""
START = 180_000  # ms that a server, a kernel and all the cells may take
LAST = ".widget-hslider:has-text('noise')"  # of the last form
TOUCHED = """root => {
  const texts = (nodes) => [...nodes].map((node) => node.nodeType === 3 && node.textContent).join();
  const same = (r) => (r.type === "attributes" ? r.oldValue === r.target.getAttribute(r.attributeName)
    : [...r.addedNodes, ...r.removedNodes].every((node) => node.nodeType === 3) && texts(r.addedNodes) === texts(r.removedNodes));
  const late = (r) => r.target.closest("[role=status]"); // what is said aloud waits for a pause
  window.touched = [];
  window.watching?.disconnect();
  window.watching = new MutationObserver((records) => {
    for (const r of records) if (!same(r) && !late(r)) window.touched.push(`${r.type} ${r.attributeName} ${r.target.outerHTML.slice(0, 80)}`);
  });
  window.watching.observe(root, { attributes: true, attributeOldValue: true, childList: true, subtree: true });
}"""
LOW_CONTRAST = """root => {
  const numbers = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const light = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const behind = (node) => {
    const colour = node ? numbers(getComputedStyle(node).backgroundColor) : [255, 255, 255];
    return colour.length === 4 && colour[3] < 0.5 ? behind(node.parentElement) : colour;
  };
  const contrast = (node) => {
    const [high, low] = [numbers(getComputedStyle(node).color), behind(node)].map(luminance).sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const says = (node) => [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim()) && node.offsetParent && !node.closest(":disabled, option");
  return [...root.querySelectorAll("*")].filter((node) => says(node) && contrast(node) < 4.5).map((node) => node.outerHTML.slice(0, 100));
}"""
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
    page.wait_for_function(
        condition,
        arg=list(arguments) if len(arguments) > 1 else (arguments or (None,))[0],
        timeout=timeout,
    )


def changed(page, canvas, act):
    "Do something, and wait until a canvas shows something else."
    before = canvas_hash(canvas)
    act()
    script = f"([canvas, before]) => ({HASH})(canvas) !== before"
    until(page, script, canvas.element_handle(), before)


def after_echo(page, act):
    "Do something, and wait until the kernel has repeated the new value: a click that follows at once might overtake it."
    said = lambda frame: b"echo_update" in (frame.encode() if isinstance(frame, str) else frame)
    with page.kernel.expect_event("framereceived", said, timeout=PATIENCE):
        act()


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
    return (
        page.evaluate("() => getComputedStyle(document.querySelector('.t2i')).color")
        == "rgb(228, 228, 228)"
    )


def run_last(page, source):
    "Run something in the last cell of the notebook; nothing takes away what the cell showed."
    page.evaluate(
        """async source => {
          const { content } = window.jupyterapp.shell.currentWidget;
          content.activeCellIndex = content.widgets.length - 1;
          content.activeCell.model.sharedModel.setSource(source);
          await window.jupyterapp.commands.execute("notebook:run-cell");
        }""",
        source,
    )


@contextmanager
def second_view(page, name, shown):
    "Another view of a widget, gone in the end. `shown(root)` waits until it shows what there is; the first one notices nothing."
    first = root_of(page, name)
    before = [canvas_hash(canvas) for canvas in first.locator("canvas").all()]
    first.evaluate(TOUCHED)
    run_last(page, name)
    second = root_of(page, name, 1)
    shown(second)
    touched = page.evaluate("() => window.touched")
    assert not touched, touched
    assert [canvas_hash(canvas) for canvas in first.locator("canvas").all()] == before
    try:
        yield second
    finally:
        run_last(page, "")
        second.wait_for(state="detached")


@contextmanager
def in_the_dark(page):
    "JupyterLab in its dark theme for a while."

    def choose(theme):
        page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme }).then(() => null)",
            theme,
        )
        # A second change before the splash screen of the first is gone would be an error of JupyterLab's own.
        until(
            page,
            "theme => document.body.dataset.jpThemeName === theme && !document.getElementById('jupyterlab-splash')",
            theme,
        )

    choose("JupyterLab Dark")
    try:
        yield
    finally:
        choose("JupyterLab Light")


def low_contrast_texts(root):
    "Texts that do not stand out from what is behind them, by the Web Content Accessibility Guidelines (1.4.3)."
    return root.evaluate(LOW_CONTRAST)
