// What the widgets in the plane share: where points stand on the screen, a canvas for them, and drawing by hand.

const EXTENT = 2.5; // half the side of what is shown
const SIDE = 380; // pixels of a panel, on the screen
const MOST = 400; // points of a drawing

const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];

// A colour for a number in [0, 1]: [red, green, blue].
function colour(map, value) {
  const at = Math.min(Math.max(value, 0), 1) * (map.length - 1);
  const left = Math.min(Math.floor(at), map.length - 2);
  const part = (text, c) => parseInt(text.slice(1 + 2 * c, 3 + 2 * c), 16);
  return [0, 1, 2].map((c) => part(map[left], c) + (at - left) * (part(map[left + 1], c) - part(map[left], c)));
}

// Places of a square grid on the screen, row by row from the top, as points (x, y, ...).
function places(n, reach = EXTENT) {
  const at = (i) => reach * (((2 * i + 1) / n) - 1);
  return Float64Array.from({ length: 2 * n * n }, (_, i) => (i & 1 ? -at(Math.floor(i / 2 / n)) : at((i >> 1) % n)));
}

// How many points, scaled, stand outside the frame, in words; nothing if all are inside.
function outsideText(points, scale, what) {
  let count = 0;
  for (let i = 0; i < points.length; i += 2) count += Math.max(Math.abs(scale * points[i]), Math.abs(scale * points[i + 1])) > EXTENT;
  return count ? `${count} ${what}${count === 1 ? " lies" : "s lie"} beyond ±${EXTENT} and ${count === 1 ? "is" : "are"} not shown.` : "";
}

const PIXEL = (v) => ((v + EXTENT) / (2 * EXTENT)) * SIDE;
const toScreen = (x, y) => [PIXEL(x), SIDE - PIXEL(y)];

function panel(label) {
  const canvas = el("canvas", { width: 2 * SIDE, height: 2 * SIDE, role: "img", "aria-label": label, class: "t2i-picture points-canvas" });
  const caption = el("figcaption", {});
  const context = canvas.getContext("2d");
  context.scale(2, 2);
  const small = document.createElement("canvas");
  function heat(values, n, map) {
    small.width = small.height = n;
    const pen = small.getContext("2d");
    const image = pen.createImageData(n, n);
    values.forEach((v, i) => image.data.set([...colour(map, v), 255], 4 * i));
    pen.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(small, 0, 0, SIDE, SIDE);
  }
  function clear(paint) {
    context.fillStyle = paint;
    context.fillRect(0, 0, SIDE, SIDE);
  }
  function dots(points, scale, fill, radius, rim = "") {
    context.fillStyle = fill;
    context.strokeStyle = rim;
    context.lineWidth = 0.8;
    for (let i = 0; i < points.length; i += 2) {
      context.beginPath();
      context.arc(...toScreen(scale * points[i], scale * points[i + 1]), radius, 0, 2 * Math.PI);
      context.fill();
      if (rim) context.stroke();
    }
  }
  function lines(paths, ink, width) {
    context.strokeStyle = ink;
    context.lineWidth = width;
    for (const path of paths) {
      context.beginPath();
      path.forEach(([x, y]) => context.lineTo(...toScreen(x, y)));
      context.stroke();
    }
  }
  // Arrows from places on the screen; long ones are drawn shorter, or they would cover their neighbours.
  function arrows(from, vectors, n, ink) {
    context.strokeStyle = ink;
    context.lineWidth = 1.3;
    context.beginPath();
    for (let i = 0; i < from.length; i += 2) {
      const size = Math.hypot(vectors[i], vectors[i + 1]) || 1;
      const length = ((0.8 * SIDE) / n) * Math.tanh(0.8 * size);
      const [x, y] = toScreen(from[i], from[i + 1]);
      const [u, v] = [(vectors[i] / size) * length, (-vectors[i + 1] / size) * length];
      const [a, b] = [x + u, y + v];
      context.moveTo(x, y);
      context.lineTo(a, b);
      context.lineTo(a - 0.3 * u - 0.18 * v, b - 0.3 * v + 0.18 * u);
      context.moveTo(a, b);
      context.lineTo(a - 0.3 * u + 0.18 * v, b - 0.3 * v - 0.18 * u);
    }
    context.stroke();
  }
  return { node: el("figure", { class: "t2i-figure points-figure" }, canvas, caption), canvas, caption, context, heat, clear, dots, lines, arrows };
}

// Points put on a panel by the mouse or by keys, while `active()`. What a point is kept by, and what follows, are the
// widget's: get() and set(points), say(text), redraw(), full(text). -> {draw()}
function sketch(view, { canvas, context, dots }, { active, get, set, say, redraw, full }) {
  const cursor = { x: 0, y: 0, shown: false };
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const within = (v, edge) => Math.min(Math.max(v, edge - EXTENT), EXTENT - edge);
  function draw() {
    if (!active()) return;
    dots(get().flat(), 1, "#ffffff", 1.6);
    if (!cursor.shown) return;
    const [x, y] = toScreen(cursor.x, cursor.y);
    context.strokeStyle = "#56b4e9";
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x - 9, y);
    context.lineTo(x + 9, y);
    context.moveTo(x, y - 9);
    context.lineTo(x, y + 9);
    context.stroke();
  }
  function add(...place) {
    if (get().length >= MOST) full(`A drawing has at most ${MOST} points.`);
    else set([...get(), place.map((v) => Math.round(100 * within(v, 0.05)) / 100)]);
  }
  view.on(canvas, "keydown", (event) => {
    if (!active()) return;
    if (event.key in KEYS) {
      const step = event.shiftKey ? 0.02 : 0.1;
      for (const [i, axis] of ["x", "y"].entries()) cursor[axis] = within(cursor[axis] + step * KEYS[event.key][i], 0);
      cursor.shown = true;
      say(`${number(cursor.x, 2)}, ${number(cursor.y, 2)}`);
    } else if (event.key === " " || event.key === "Enter") add(cursor.x, cursor.y);
    else if (event.key === "Backspace" || event.key === "Delete") set(get().slice(0, -1));
    else return;
    event.preventDefault();
    redraw();
  });
  const placeOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(((event.clientX - box.left) / box.width) * 2 - 1) * EXTENT, (1 - ((event.clientY - box.top) / box.height) * 2) * EXTENT];
  };
  view.on(canvas, "pointerdown", (event) => {
    if (!active()) return;
    canvas.setPointerCapture(event.pointerId);
    cursor.shown = false;
    add(...placeOf(event));
  });
  view.on(canvas, "pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const [x, y] = placeOf(event);
    const [a, b] = get().at(-1) || [Infinity, Infinity];
    if (Math.hypot(x - a, y - b) > 0.08) add(x, y);
  });
  return { draw };
}
