"""Widgets in JupyterLab with a real browser. Dragging time in the forward widget: from a key to its pixels, frames a second,
and what the kernel was told meanwhile. Drawing in the reverse widget: from the click to the first step, and whether every
step is seen as it is made.

python benchmarks/widgets.py

Two moments are taken for each key: when the canvas holds the new picture, and when the frame after that has been drawn.
A drawing is looked at in every frame of the screen; its steps are counted by what the canvas holds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [
    str(ROOT / "tests" / "browser"),
    str(ROOT / "tests"),
    str(ROOT / "tools"),
    str(ROOT),
]  # its conftest is the one meant

from bars import against  # noqa: E402
from conftest import Server, Watch, free_port, notebook  # noqa: E402
from driving import START, root_of, shows, until  # noqa: E402
from hosts import WIDGETS  # noqa: E402
from live import FLAGS, chromium  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402

KEYS = 120
DRAWINGS = 5
STEPS = 20
LISTEN = """root => {
  const canvas = root.querySelectorAll("canvas")[2];
  const pen = canvas.getContext("2d");
  const look = () => String(pen.getImageData(0, 0, canvas.width, 8).data.slice(0, 400));
  const input = root.querySelector("input[type=range]");
  window.taken = { canvas: [], frame: [] };
  let from = 0;
  let before = "";
  addEventListener("keydown", (event) => { from = event.timeStamp; before = look(); }, true);
  input.addEventListener("input", () => {
    if (!from) return;
    const began = from;
    from = 0;
    if (look() !== before) window.taken.canvas.push(performance.now() - began);
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => window.taken.frame.push(performance.now() - began);
      channel.port2.postMessage(0);
    });
  });
}"""
COUNT = """root => {
  const input = root.querySelector("input[type=range]");
  window.drawn = [];
  let last = input.value;
  window.counting = true;
  const step = (when) => {
    if (input.value !== last) window.drawn.push(when);
    last = input.value;
    if (window.counting) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}"""

FOLLOW = """([canvas, button]) => {
  const pen = canvas.getContext("2d");
  const look = () => String(pen.getImageData(0, 0, canvas.width, canvas.height).data);
  let last = look();
  window.steps = [];
  window.following = true;
  button.addEventListener("click", (event) => {
    const follow = () => {
      const now = look();
      if (now !== last) window.steps.push(performance.now() - event.timeStamp);
      last = now;
      if (window.following) requestAnimationFrame(follow);
    };
    follow();
  }, { once: true });
}"""


def keys(page: Page) -> dict[str, list[float]]:
    "Milliseconds from each press of an arrow key."
    root = root_of(page, "forward")
    root.get_by_label("Time t", exact=True).fill("0.3")
    root.evaluate(LISTEN)
    root.get_by_label("Time t", exact=True).focus()
    for _ in range(KEYS):
        page.keyboard.press("ArrowRight")
    until(page, f"() => window.taken.frame.length >= {KEYS}")
    return page.evaluate("() => window.taken")


def frames(page: Page) -> float:  # a second
    "Frames that showed a new time while the knob was dragged to and fro."
    root = root_of(page, "forward")
    box = root.get_by_label("Time t", exact=True).bounding_box()
    assert box is not None
    row, left, width = box["y"] + box["height"] / 2, box["x"], box["width"]
    page.mouse.move(left + 0.2 * width, row)
    page.mouse.down()
    root.evaluate(COUNT)
    for way in (0.8, 0.2, 0.8):
        page.mouse.move(left + way * width, row, steps=120)
    page.mouse.up()
    times = page.evaluate("() => { window.counting = false; return window.drawn; }")
    return 1000 * (len(times) - 1) / (times[-1] - times[0])


def steps_seen(page: Page, seed: int) -> list[float]:  # milliseconds from the click
    "When the noisy picture changed, while one was drawn."
    root = root_of(page, "reverse")
    form = root.locator("fieldset").first
    for label, value in (("Steps", STEPS), ("Seed", seed)):
        form.get_by_label(label, exact=True).fill(str(value))
    button = root.get_by_role("button", name="Draw A", exact=True)
    page.evaluate(FOLLOW, [root.locator("canvas").first.element_handle(), button.element_handle()])
    button.click()
    shows(page, root.locator(".t2i-progress"), f"Done in {STEPS} steps.")
    return page.evaluate(
        "() => new Promise((end) => requestAnimationFrame(() => { window.following = false; end(window.steps); }))"
    )


def drawings(page: Page) -> None:
    "Print how soon a drawing is seen, and how much of it."
    seen = [steps_seen(page, seed) for seed in range(100, 100 + DRAWINGS)]
    firsts, fewest = [steps[0] for steps in seen], min(map(len, seen))
    print(
        f"click to the first step: median {statistics.median(firsts):.0f} ms, most {max(firsts):.0f} ms ({DRAWINGS} drawings; {against(max(firsts), 500, least=False)})"
    )
    print(f"steps seen one by one: {fewest} of {STEPS} at least ({against(fewest, STEPS)})")


def dragging(page: Page, watch: Watch) -> None:
    "Print the three figures of the forward widget."
    before = watch.messages
    taken = keys(page)
    rate = frames(page)
    for moment, title in (("canvas", "key to canvas"), ("frame", "key to the frame after it")):
        values = sorted(taken[moment])
        tail = values[int(0.95 * len(values))]
        middle = statistics.median(values)
        print(
            f"{title}: median {middle:.1f} ms, 95 in 100 under {tail:.1f} ms ({len(values)} keys; {against(middle, 16, least=False)})"
        )
    print(f"frames a second while dragging: {rate:.0f} ({against(rate, 30)})")
    print(
        f"messages to the kernel: {watch.messages - before} ({against(watch.messages - before, 0, least=False)})"
    )


def main() -> None:
    "Open both widgets in JupyterLab and measure."
    port, watch = free_port(), Watch()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        (folder / "notebooks").mkdir()
        notebook(
            folder / "notebooks" / "widgets.ipynb",
            [WIDGETS[name].cell for name in ("forward", "reverse")],
        )
        server = Server.lab(folder, port)
        page = playwright.chromium.launch(executable_path=chromium(), args=FLAGS).new_page(
            viewport={"width": 1200, "height": 1000}
        )
        page.on("websocket", watch.socket)
        page.goto(f"http://127.0.0.1:{port}/doc/tree/widgets.ipynb?reset")
        until(
            page,
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=START,
        )
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_selector(
            f"section.t2i[aria-label='{WIDGETS['reverse'].label}']", state="attached", timeout=START
        )
        dragging(page, watch)
        drawings(page)
        server.close()


if __name__ == "__main__":
    main()
