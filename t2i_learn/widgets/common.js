// What the widgets share: elements with names for a screen reader, pictures, playback, messages, clean-up.
// Every widget's module is this file followed by its own.

const SVG = "http://www.w3.org/2000/svg";

// Text next to an element, or nothing: null and false are left out.
function fill(node, attrs, children) {
  for (const [name, value] of Object.entries(attrs || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

// An HTML element: el("p", {class: "note", onclick: f}, "text", otherNode).
function el(tag, attrs, ...children) {
  return fill(document.createElement(tag), attrs, children);
}

// The same for SVG; update(node, {d: "..."}) changes attributes later.
function svg(tag, attrs, ...children) {
  return fill(document.createElementNS(SVG, tag), attrs, children);
}

function update(node, attrs) {
  for (const [name, value] of Object.entries(attrs)) node.setAttribute(name, value);
  return node;
}

let lastId = 0;
function newId() {
  lastId += 1;
  return `t2i-${lastId}-${Math.random().toString(36).slice(2, 8)}`;
}

// A number as people read it: three digits, a real minus sign.
function number(x, digits = 3) {
  if (!Number.isFinite(x)) return x > 0 ? "∞" : x < 0 ? "−∞" : "–";
  const size = Math.abs(x);
  const text = size !== 0 && (size >= 1e4 || size < 1e-3) ? x.toExponential(1) : String(Number(x.toPrecision(digits)));
  return text.replace("-", "−");
}

// A range input with its name and its value in words. -> {node, input, value, set(value), enable(yes)}
function slider({ label, min, max, step, value, valuetext = (v) => number(v), oninput = () => {} }) {
  const id = newId();
  const input = el("input", { id, type: "range", min, max, step });
  const output = el("output", { for: id, class: "t2i-value" });
  function show() {
    output.textContent = valuetext(input.valueAsNumber);
    input.setAttribute("aria-valuetext", output.textContent);
  }
  input.value = value;
  show();
  input.addEventListener("input", () => {
    show();
    oninput(input.valueAsNumber);
  });
  return {
    node: el("div", { class: "t2i-slider" }, el("label", { for: id }, label), input, output),
    input,
    get value() {
      return input.valueAsNumber;
    },
    // Moves the knob without a call of `oninput`; bounds may be given too.
    set(newValue, bounds = {}) {
      for (const [name, bound] of Object.entries(bounds)) input[name] = bound;
      input.value = newValue;
      show();
    },
    enable(yes) {
      input.disabled = !yes;
    },
  };
}

// A button; with `pressed` it is one that stays down: toggle it with press(button, yes).
function button({ label, title, onclick = () => {}, pressed = null, kind = "" }) {
  const node = el("button", { type: "button", class: `t2i-button ${kind}`, title, onclick }, label);
  if (pressed !== null) press(node, pressed);
  return node;
}

function press(node, yes) {
  node.setAttribute("aria-pressed", yes ? "true" : "false");
  return node;
}

// A drop-down; options are texts or [value, text]. -> {node, select, value, set(value), options(list)}
function picker({ label, options, value, onchange = () => {} }) {
  const id = newId();
  const select = el("select", { id });
  function offer(list) {
    const pairs = list.map((o) => (Array.isArray(o) ? o : [o, o]));
    select.replaceChildren(...pairs.map(([v, text]) => el("option", { value: v }, text)));
  }
  offer(options);
  if (value !== undefined) select.value = value;
  select.addEventListener("change", () => onchange(select.value));
  return {
    node: el("div", { class: "t2i-picker" }, el("label", { for: id }, label), select),
    select,
    get value() {
      return select.value;
    },
    set(newValue) {
      select.value = newValue;
    },
    options: offer,
  };
}

// A box to tick. -> {node, input, value, set(yes)}
function tick({ label, value = false, title, onchange = () => {} }) {
  const input = el("input", { type: "checkbox" });
  input.checked = value;
  input.addEventListener("change", () => onchange(input.checked));
  return {
    node: el("label", { class: "t2i-tick", title }, input, " ", label),
    input,
    get value() {
      return input.checked;
    },
    set(yes) {
      input.checked = yes;
    },
  };
}

// A line or several of text. -> {node, input, value, set(text)}
function textField({ label, value = "", placeholder = "", oninput = () => {}, onenter = () => {} }) {
  const id = newId();
  const input = el("input", { id, type: "text", placeholder });
  input.value = value;
  input.addEventListener("input", () => oninput(input.value));
  input.addEventListener("keydown", (event) => event.key === "Enter" && onenter(input.value));
  return {
    node: el("div", { class: "t2i-text" }, el("label", { for: id }, label), input),
    input,
    get value() {
      return input.value;
    },
    set(text) {
      input.value = text;
    },
  };
}

// Pixels with a name; `caption` stands below, `zoom` is the width on the screen of one pixel.
// draw() takes 8-bit RGB or RGBA, height * width * (3 or 4). -> {node, canvas, draw(data), clear(), label(text), caption(text)}
function picture(width, height, label, { zoom = 4, caption = "" } = {}) {
  const canvas = el("canvas", { width, height, role: "img", "aria-label": label, class: "t2i-picture" });
  canvas.style.width = `${width * zoom}px`;
  const text = el("figcaption", {}, caption);
  const context = canvas.getContext("2d");
  let image = context.createImageData(width, height);
  return {
    node: el("figure", { class: "t2i-figure", style: `width: ${width * zoom}px` }, canvas, text),
    canvas,
    draw(data) {
      const channels = data.length / (image.width * image.height);
      if (channels === 4) image.data.set(data);
      else
        for (let i = 0, j = 0; i < data.length; i += 3, j += 4) {
          image.data[j] = data[i];
          image.data[j + 1] = data[i + 1];
          image.data[j + 2] = data[i + 2];
          image.data[j + 3] = 255;
        }
      context.putImageData(image, 0, 0);
    },
    // Grey: there is nothing to show yet.
    clear() {
      this.draw(new Uint8Array(3 * image.width * image.height).fill(128));
    },
    // Other pixels in the same place on the screen.
    resize(newWidth, newHeight) {
      canvas.width = newWidth;
      canvas.height = newHeight;
      image = context.createImageData(newWidth, newHeight);
    },
    label(words) {
      if (canvas.getAttribute("aria-label") !== words) canvas.setAttribute("aria-label", words);
    },
    caption(words) {
      text.textContent = words;
    },
  };
}

// Says things to a screen reader when they have stopped changing for `delay` ms. -> {node, say(text), close()}
function liveRegion({ visible = false, delay = 400 } = {}) {
  const node = el("div", { role: "status", "aria-live": "polite", class: visible ? "t2i-status" : "t2i-hidden" });
  let timer = 0;
  return {
    node,
    say(text) {
      if (visible) {
        node.textContent = text;
        return;
      }
      clearTimeout(timer);
      timer = setTimeout(() => {
        node.textContent = text;
      }, delay);
    },
    close() {
      clearTimeout(timer);
    },
  };
}

// Shows the Python of what is on the screen, selected, and puts it on the clipboard where the page may. -> node
function copyButton(getText, { label = "Copy as code" } = {}) {
  const code = el("pre", { class: "t2i-code", tabindex: 0, "aria-label": "Python for what is on the screen" });
  const status = el("span", { role: "status", class: "t2i-said" });
  const box = el("div", { class: "t2i-copied", hidden: true }, code);
  async function copy() {
    code.textContent = getText();
    box.hidden = false;
    const range = document.createRange();
    range.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    try {
      await navigator.clipboard.writeText(code.textContent);
      status.textContent = "Copied.";
    } catch {
      status.textContent = document.execCommand("copy") ? "Copied." : "Selected: copy it with Ctrl C.";
    }
  }
  const title = "The Python that makes what is on the screen, to paste into a cell";
  return el("div", { class: "t2i-copy" }, button({ label, title, onclick: copy }), status, box);
}

// A question to answer in one's head first. `choices`, if there are any, have to be picked before the answer shows.
// An answer that depends on what is on the screen is a function: `update()` asks it again, `reset()` hides it.
// -> {node, isOpen, update(), reset()}
function question({ ask, answer, choices = [] }) {
  const shown = el("p", { role: "status", class: "t2i-answer" });
  const reveal = button({ label: "Show the answer", title: "First make a guess", onclick: () => show("") });
  let guess = null; // none yet
  function show(newGuess) {
    guess = newGuess;
    reveal.hidden = true;
    const text = typeof answer === "function" ? answer() : answer;
    const whole = `${guess ? `You said: ${guess}. ` : ""}${text}`;
    if (shown.textContent !== whole) shown.replaceChildren(guess ? el("em", {}, `You said: ${guess}. `) : "", text);
  }
  const picks = choices.map((c) => button({ label: c, title: "Your guess", pressed: false, onclick: () => pick(c) }));
  function pick(choice) {
    picks.forEach((b) => press(b, b.textContent === choice));
    show(choice);
  }
  const offered = choices.length ? picks : [reveal];
  const title = el("p", { class: "t2i-ask" }, el("strong", {}, "Guess first. "), ask);
  return {
    node: el("div", { class: "t2i-question", role: "group", "aria-label": "A question to guess first" }, title, ...offered, shown),
    get isOpen() {
      return guess !== null;
    },
    update() {
      if (guess !== null) show(guess);
    },
    reset() {
      guess = null;
      reveal.hidden = false;
      shown.replaceChildren();
      picks.forEach((b) => press(b, false));
    },
  };
}

const calm = () => typeof matchMedia === "function" && matchMedia("(prefers-reduced-motion: reduce)").matches;

// Play, step and scrub. `frames` is their number or an array; onframe(index, frame) shows one; two a second where the
// system asks for less motion. -> {node, index, set(i), play(), stop(), frames(newFrames), close()}
function playback({ frames, onframe, fps = 8, label = "Step", valuetext = (i) => `${i}`, loop = false }) {
  let list = frames;
  let timer = 0;
  const count = () => (Array.isArray(list) ? list.length : list);
  const bar = slider({ label, min: 0, max: Math.max(0, count() - 1), step: 1, value: 0, valuetext, oninput: (i) => go(i, true) });
  const toggle = button({ label: "Play", title: "Play from here, or from the start", onclick: () => (timer ? stop() : play()) });
  const back = button({ label: "‹", title: "One step back", onclick: () => go(bar.value - 1, true) });
  const on = button({ label: "›", title: "One step on", onclick: () => go(bar.value + 1, true) });
  back.setAttribute("aria-label", "One step back");
  on.setAttribute("aria-label", "One step on");
  function go(i, byHand = false) {
    if (byHand) stop();
    if (!count()) return;
    bar.set(Math.min(Math.max(i, 0), count() - 1));
    onframe(bar.value, Array.isArray(list) ? list[bar.value] : bar.value);
  }
  function tickOn() {
    if (bar.value >= count() - 1 && !loop) stop();
    else go(bar.value >= count() - 1 ? 0 : bar.value + 1);
  }
  function play() {
    stop();
    if (count() < 2) return;
    if (bar.value >= count() - 1) go(0);
    toggle.textContent = "Pause";
    timer = setInterval(tickOn, 1000 / (calm() ? Math.min(2, fps) : fps));
  }
  function stop() {
    clearInterval(timer);
    timer = 0;
    toggle.textContent = "Play";
  }
  return {
    node: el("div", { class: "t2i-playback" }, toggle, back, on, bar.node),
    get index() {
      return bar.value;
    },
    get playing() {
      return timer !== 0;
    },
    set: go,
    play,
    stop,
    frames(newFrames, at = bar.value) {
      list = newFrames;
      bar.set(Math.min(at, Math.max(0, count() - 1)), { max: Math.max(0, count() - 1) });
    },
    close: stop,
  };
}

// Bytes as the front end hands them over (DataView, ArrayBuffer, typed array) -> Uint8Array on the same memory.
function bytes(data) {
  if (!data) return new Uint8Array(0);
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

// 32-bit floats out of bytes; copied, since they may not stand at a multiple of four.
function floats(data) {
  return new Float32Array(bytes(data).slice().buffer);
}

function decodeFrames(buffers) {
  return (buffers || []).map(bytes);
}

// The part of a widget below which a sentence about one of its controls stands.
const BESIDE = ".t2i-row:not(.top), .t2i-form > .t2i-text, .t2i-scroll, .t2i-figure";

// Where a view lives, and all that has to end with it. What goes wrong is said in one sentence, beside the control that
// asked for it: the one that was used last when `send` or `complain` was called.
// -> {root, body, listen(event, f), on(target, event, f), later(f), send(content), complain(text), ready(), close, offline}
function stage(model, host, label) {
  const id = newId();
  const ends = [];
  const message = el("div", { role: "alert", class: "t2i-message" });
  const body = el("div", { class: "t2i-body" });
  const root = el("section", { class: "t2i", "aria-label": label, "data-lm-suppress-shortcuts": "true" }, body, message);
  let used = null; // the control that was used last
  let cause = null; // the one that asked for something last
  function show() {
    const row = cause && root.contains(cause) ? cause.closest(BESIDE) : null;
    (row || body).after(message);
    message.textContent = model.get("message") || "";
    message.hidden = !message.textContent;
  }
  // A view that says it is ready is answered alone: what the others show stays as it is.
  const isOurs = (event, content) => event !== "msg:custom" || !content.to || content.to === id;
  function listen(event, f) {
    const listener = (...given) => isOurs(event, given[0]) && f(...given);
    model.on(event, listener);
    ends.push(() => model.off(event, listener));
  }
  function on(target, event, f, options) {
    target.addEventListener(event, f, options);
    ends.push(() => target.removeEventListener(event, f, options));
  }
  // Keys are the widget's own: in a notebook a letter would otherwise be a command.
  for (const event of ["keydown", "keyup", "keypress"]) on(root, event, (e) => e.stopPropagation());
  for (const event of ["click", "change", "input", "keydown", "pointerdown"])
    root.addEventListener(event, (e) => { used = e.target.closest("button, input, select, canvas") || used; }, true);
  listen("change:message", show);
  show();
  host.append(root);
  return {
    root,
    body,
    listen,
    on,
    offline: model.offline === true,
    later: (f) => ends.push(f),
    send(content, buffers) {
      cause = used;
      model.set("message", ""); // what went wrong before is over
      if (buffers) model.send(content, {}, buffers);
      else model.send(content);
    },
    complain(text) {
      cause = used;
      model.set("message", text);
    },
    ready: () => model.send({ type: "ready", view: id }),
    close() {
      ends.splice(0).forEach((end) => end());
      root.remove();
    },
  };
}

// A square picture of bytes, red, green and blue of each pixel, on a canvas, `left` pixels from its left.
function paint(canvas, side, frame, left = 0) {
  const image = new ImageData(side, side);
  for (let i = 0; i < side ** 2; i++) image.data.set([...frame.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  canvas.getContext("2d").putImageData(image, left, 0);
}

// The same on a canvas that takes the picture's size.
function thumbnail(canvas, side, frame) {
  if (canvas.width !== side) canvas.width = canvas.height = side;
  paint(canvas, side, frame);
}

// Calls f at most once a frame, with the newest arguments. -> wrapped, with cancel()
function eachFrame(f) {
  let waiting = 0;
  let last = [];
  function wrapped(...args) {
    last = args;
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      f(...last);
    });
  }
  wrapped.cancel = () => {
    cancelAnimationFrame(waiting);
    waiting = 0;
  };
  return wrapped;
}

// 10 to a whole power, for an axis of logarithms.
function powerOfTen(k) {
  const raised = String(k).replace("-", "⁻").replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);
  return { 0: "1", 1: "10" }[k] || `10${raised}`;
}

// Axes with room for curves: x and y are [low, high], the ticks stand at the numbers given and read as xtext, ytext say.
// -> {node, X(x), Y(y), line(points) a path's "d", add(tag, attrs)}
function chart({ width, height, x, y, xticks, yticks, xlabel, ylabel, label, xtext = number, ytext = number, left = 38 }) {
  const [right, top, bottom] = [8, 8, 32];
  const X = (v) => left + ((v - x[0]) / (x[1] - x[0])) * (width - left - right);
  const Y = (v) => height - bottom - ((v - y[0]) / (y[1] - y[0])) * (height - top - bottom);
  const tickX = (v) => [
    svg("line", { class: "axis", x1: X(v), x2: X(v), y1: Y(y[0]), y2: Y(y[0]) + 4 }),
    svg("text", { x: X(v), y: Y(y[0]) + 15, "text-anchor": "middle" }, xtext(v)),
  ];
  const tickY = (v) => [
    svg("line", { class: "axis", x1: X(x[0]) - 4, x2: X(x[0]), y1: Y(v), y2: Y(v) }),
    svg("text", { x: X(x[0]) - 7, y: Y(v) + 4, "text-anchor": "end" }, ytext(v)),
  ];
  const frame = svg("path", { class: "axis", d: `M${X(x[0])},${Y(y[1])}V${Y(y[0])}H${X(x[1])}` });
  const names = [
    svg("text", { x: X((x[0] + x[1]) / 2), y: height - 2, "text-anchor": "middle" }, xlabel),
    svg("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(9 ${Y((y[0] + y[1]) / 2)}) rotate(-90)` }, ylabel),
  ];
  const parts = [frame, ...names, ...xticks.map(tickX), ...yticks.map(tickY)];
  const node = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label }, ...parts);
  return {
    node,
    X,
    Y,
    line: (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${X(a).toFixed(1)},${Y(b).toFixed(1)}`).join(""),
    add(tag, attrs) {
      const made = svg(tag, attrs);
      node.append(made);
      return made;
    },
  };
}

// ---- Numbers that torch would draw: torch.randn(n, generator=torch.Generator().manual_seed(seed)) on a CPU ----

// The Mersenne twister, 32 bits at a time (Matsumoto and Nishimura 1998). -> a function that gives the next number
function twister(seed) {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) {
    const last = state[i - 1] ^ (state[i - 1] >>> 30);
    state[i] = Math.imul(1812433253, last) + i;
  }
  let at = 624;
  function twist() {
    for (let i = 0; i < 624; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    at = 0;
  }
  return () => {
    if (at === 624) twist();
    let y = state[at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}

// Uniform in [0, 1) as torch makes floats: the lowest 24 bits.
function uniforms(seed, n) {
  const next = twister(seed);
  return Float32Array.from({ length: n }, () => (next() & 0xffffff) / 0x1000000);
}

// Standard normal numbers, n >= 16: pairs eight apart in each sixteen are turned by Box and Muller's formula.
// Who wants more numbers of the same generator brings the twister.
function randn(seed, n, next = twister(seed)) {
  const uniform = () => (next() & 0xffffff) / 0x1000000;
  const out = Float32Array.from({ length: n }, uniform);
  function sixteen(from) {
    for (let i = from; i < from + 8; i++) {
      const radius = Math.sqrt(-2 * Math.log(Math.fround(1 - out[i])));
      const turn = 2 * Math.PI * out[i + 8];
      out[i] = radius * Math.cos(turn);
      out[i + 8] = radius * Math.sin(turn);
    }
  }
  for (let i = 0; i + 16 <= n; i += 16) sixteen(i);
  if (n % 16) {
    for (let i = n - 16; i < n; i++) out[i] = uniform();
    sixteen(n - 16);
  }
  return out;
}
