// What widgets share that are painted on: a brush on a canvas, moved by mouse, finger or keys.

// The brush put down once: pixels whose middle it covers, and the one below its centre. x and y count pixels.
function stamp(mask, side, x, y, size, value) {
  const reach = size / 2;
  for (let row = Math.max(0, Math.floor(y - reach)); row <= Math.min(side - 1, y + reach); row++)
    for (let column = Math.max(0, Math.floor(x - reach)); column <= Math.min(side - 1, x + reach); column++) {
      const below = row === Math.floor(y) && column === Math.floor(x);
      if (below || Math.hypot(column + 0.5 - x, row + 0.5 - y) <= reach) mask[side * row + column] = value;
    }
}

// The brush drawn from one place to another.
function stroke(mask, side, from, to, size, value) {
  const steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
  for (let k = 0; k <= steps; k++)
    stamp(mask, side, from[0] + ((to[0] - from[0]) * k) / steps, from[1] + ((to[1] - from[1]) * k) / steps, size, value);
}

// A picture with what the brush covers in blue; `covered` has 1 there, and is null where no brush is shown.
function withBrush(frame, covered) {
  if (!covered) return frame;
  return Uint8Array.from(frame, (value, i) => (covered[Math.floor(i / 3)] ? 0.4 * value + 0.6 * [0, 114, 178][i % 3] : value));
}

const BRUSH_HELP = "Paint with mouse or finger. With keys: arrows move the brush, Shift makes them four times as far, Space dabs, Enter puts the brush down and lifts it, + and − change its size";

// A brush on the canvas of `shown`. paint(from, to, size) puts paint on a line of places that count pixels, done() comes
// when the brush is lifted, redraw() when it looks different, tell(column, row, isDown) says where it is, and key(name)
// does what else a key is for, and says whether it did. -> {size, covered(), resize(side)}
function canvasBrush(view, shown, { side, help, paint, done, redraw, tell, key = () => false }) {
  const brush = { side, x: side / 2, y: side / 2, isShown: false, isDown: false };
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const size = slider({ label: "Brush", min: 1, max: 16, step: 1, value: 5, valuetext: (v) => `${v} pixel${v > 1 ? "s" : ""}`, oninput: () => redraw() });
  const { canvas } = shown;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-describedby", help.id);
  canvas.tabIndex = view.offline ? -1 : 0;
  canvas.classList.add("brush-canvas");
  function go(x, y) {
    const before = [brush.x, brush.y];
    brush.x = Math.min(brush.side - 0.5, Math.max(0.5, x));
    brush.y = Math.min(brush.side - 0.5, Math.max(0.5, y));
    if (brush.isDown) paint(before, [brush.x, brush.y], size.value);
    redraw();
  }
  function down(yes) {
    if (brush.isDown === yes) return;
    brush.isDown = yes;
    if (yes) paint([brush.x, brush.y], [brush.x, brush.y], size.value);
    else done();
    redraw();
  }
  function dab() {
    down(true);
    down(false);
  }
  // Whether a key is the brush's own.
  function press(event) {
    const far = event.shiftKey ? 4 : 1;
    if (event.key in KEYS) go(Math.floor(brush.x) + 0.5 + far * KEYS[event.key][0], Math.floor(brush.y) + 0.5 + far * KEYS[event.key][1]);
    else if (event.key === " ") event.repeat || dab();
    else if (event.key === "Enter") down(!brush.isDown);
    else if (event.key === "Escape" && brush.isDown) down(false);
    else if (event.key === "+" || event.key === "-") size.set(size.value + (event.key === "+" ? 1 : -1));
    else return key(event.key.toLowerCase());
    return true;
  }
  view.on(canvas, "keydown", (event) => {
    if (view.offline || event.ctrlKey || event.metaKey || !press(event)) return;
    event.preventDefault();
    brush.isShown = true;
    redraw();
    tell(Math.floor(brush.x), Math.floor(brush.y), brush.isDown);
  });
  view.on(canvas, "blur", () => {
    brush.isShown = false;
    down(false);
    redraw();
  });
  const placeOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * brush.side, ((event.clientY - box.top) / box.height) * brush.side];
  };
  view.on(canvas, "pointerdown", (event) => {
    if (view.offline || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    down(false);
    [brush.x, brush.y] = placeOf(event);
    down(true);
  });
  view.on(canvas, "pointermove", (event) => {
    if (view.offline) return;
    if (!canvas.hasPointerCapture(event.pointerId)) down(false);
    brush.isShown = event.pointerType !== "touch";
    go(...placeOf(event));
  });
  for (const name of ["pointerup", "pointercancel"]) view.on(canvas, name, () => down(false));
  view.on(canvas, "pointerleave", () => {
    brush.isShown = false;
    redraw();
  });
  return {
    size,
    covered() {
      if (!brush.isShown) return null;
      const covered = new Uint8Array(brush.side ** 2);
      stamp(covered, brush.side, brush.x, brush.y, size.value, 1);
      return covered;
    },
    // Other pixels under it: a stroke that is being painted ends, and is not taken for one of the new picture.
    resize(newSide) {
      brush.side = newSide;
      brush.isDown = false;
    },
  };
}

// Ctrl or Cmd with Z, Y or Shift Z presses the buttons that take back and do again, but not while a text is typed.
function undoKeys(view, undo, redo) {
  view.on(view.root, "keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.target.matches("input[type=text], input[type=number]")) return;
    const forward = event.key.toLowerCase() === "y" || (event.shiftKey && event.key.toLowerCase() === "z");
    const which = forward ? redo : event.key.toLowerCase() === "z" ? undo : null;
    if (!which) return;
    event.preventDefault();
    if (!which.disabled) which.click();
  });
}
