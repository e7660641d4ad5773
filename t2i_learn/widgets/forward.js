// Forward process: everything that moves is worked out here, from a clean picture and a seed.

const BOUND = 10; // of log SNR in the chart
const KNOTS = 7; // of the curve that can be dragged

const NAMES = [
  ["cosine", "cosine"],
  ["linear", "linear (DDPM)"],
  ["straight", "straight (flow)"],
  ["log_linear", "log-linear (VE)"],
  ["custom", "your own curve"],
];

// A schedule whose log SNR is a line through points at equal times.
function customSchedule(curve) {
  return { sigma: (t) => Math.exp(-between(curve, t * (curve.length - 1)) / 2), b: b_vp, last: 1 };
}

function scheduleOf(name, curve) {
  return name === "custom" ? customSchedule(curve) : PRESETS[name];
}

// No point of a curve may lie above the one before it: noise only grows.
function bent(curve, k, value) {
  const high = k > 0 ? curve[k - 1] : BOUND;
  const low = k < curve.length - 1 ? curve[k + 1] : -BOUND;
  return curve.map((v, i) => (i === k ? Math.min(Math.max(value, low), high) : v));
}

// The curve through a schedule's own values, to begin bending it.
function traced(schedule) {
  const at = (k) => levelsAt(schedule, k / (KNOTS - 1)).logSnr;
  return Array.from({ length: KNOTS }, (_, k) => Math.round(100 * Math.min(BOUND, Math.max(-BOUND, at(k)))) / 100);
}

// The Python that makes what is on the screen.
function codeOf({ t, schedule, compare, seed, curve, code }) {
  const names = [schedule, ...(compare ? [compare] : [])];
  const call = (name) => (name === "custom" ? `schedule_from_log_snr([${curve.join(", ")}])` : `${SCHEDULE_FUNCTIONS[name]}()`);
  const makers = names.map((name) =>
    name === "custom" ? ["schedule_from_log_snr", "t2i_learn.widgets.forward"] : [SCHEDULE_FUNCTIONS[name], "t2i_learn.diffusion.schedules"]);
  const used = [["show_strip", "t2i_learn.core.show"], ["q_sample_at", "t2i_learn.diffusion.forward"], ...makers, ...pictureHelpers(code)];
  const jump = (name, to) => `${to}, z = q_sample_at(x0[None], ${t}, ${call(name)}, torch.Generator().manual_seed(${seed}))`;
  return [
    "import torch",
    ...importLines(used),
    "",
    `x0 = ${code}`,
    jump(schedule, "x_t"),
    ...(compare ? [jump(compare, "x_u")] : []),
    `show_strip([x0, x_t[0]${compare ? ", x_u[0]" : ""}])`,
  ].join("\n");
}

// ---- what is on the screen ----

function pictures(view) {
  const make = (label) => picture(32, 32, label, { zoom: 6 });
  const shown = { signal: make("b times the picture"), noise: make("s times the noise"), sum: make("x_t"), other: make("x_t of the other schedule") };
  const sign = (text) => el("span", { class: "forward-sign", "aria-hidden": "true" }, text);
  const row = [shown.signal.node, sign("+"), shown.noise.node, sign("="), shown.sum.node, shown.other.node];
  view.body.append(el("div", { class: "forward-pictures" }, ...row));
  let rgba = new Uint8ClampedArray(32 * 32 * 4);
  return {
    ...shown,
    resize(side) {
      for (const p of Object.values(shown)) p.resize(side, side);
      for (const p of Object.values(shown)) p.canvas.style.width = "192px";
      rgba = new Uint8ClampedArray(side * side * 4);
    },
    put: (which, values, scale) => shown[which].draw(pixels(values, scale, rgba)),
  };
}

// Two lines of numbers: what the letters of the formula are at this time.
function formula(at, name) {
  const bold = (x) => el("b", {}, number(x));
  const x = (index) => el("span", {}, el("var", {}, "x"), el("sub", {}, index));
  const parts = [x("t"), " = ", bold(at.b), " · ", x("0"), " + ", bold(at.s), " · ", el("var", {}, "z")];
  const more = [" σ = ", bold(at.sigma), "log SNR = ", bold(at.logSnr)];
  return el("div", { class: "forward-formula" }, el("span", { class: "forward-name" }, name), el("span", {}, ...parts), ...more);
}

const nameOf = (value) => Object.fromEntries(NAMES)[value];

function snrChart(view, { onbend }) {
  const axes = chart({
    width: 470, height: 230, x: [0, 1], y: [-BOUND, BOUND], xticks: [0, 0.25, 0.5, 0.75, 1], yticks: [-10, -5, 0, 5, 10],
    xlabel: "time t", ylabel: "log SNR", label: "Logarithm of the signal-to-noise ratio over time; seven points to drag",
  });
  axes.add("path", { class: "axis", d: axes.line([[0, 0], [1, 0]]), "stroke-dasharray": "2 3" });
  const lines = { two: axes.add("path", { class: "two" }), one: axes.add("path", { class: "one" }) };
  const marks = { two: axes.add("circle", { r: 5, class: "forward-mark-two" }), one: axes.add("circle", { r: 6, class: "forward-mark" }) };
  const knots = Array.from({ length: KNOTS }, (_, k) => knot(k));
  const clip = (v) => Math.min(BOUND, Math.max(-BOUND, v));
  function knot(k) {
    const dot = axes.add("circle", { r: 7, class: "forward-knot", tabindex: 0, role: "slider", "aria-orientation": "vertical" });
    update(dot, { "aria-label": `Curve at t = ${number(k / (KNOTS - 1), 2)}`, "aria-valuemin": -BOUND, "aria-valuemax": BOUND, cx: axes.X(k / (KNOTS - 1)) });
    const here = () => Number(dot.getAttribute("aria-valuenow"));
    const steps = { ArrowUp: 0.25, ArrowRight: 0.25, ArrowDown: -0.25, ArrowLeft: -0.25, PageUp: 2, PageDown: -2, Home: -2 * BOUND, End: 2 * BOUND };
    dot.addEventListener("keydown", (event) => {
      if (!(event.key in steps)) return;
      event.preventDefault();
      onbend(k, here() + steps[event.key]);
    });
    dot.addEventListener("pointerdown", (event) => {
      dot.setPointerCapture(event.pointerId);
      event.preventDefault();
      dot.focus();
    });
    dot.addEventListener("pointermove", (event) => {
      if (!dot.hasPointerCapture(event.pointerId)) return;
      const box = axes.node.getBoundingClientRect();
      const y = ((event.clientY - box.top) / box.height) * 230;
      onbend(k, Math.round(100 * (BOUND - ((y - axes.Y(BOUND)) / (axes.Y(-BOUND) - axes.Y(BOUND))) * 2 * BOUND)) / 100);
    });
    return dot;
  }
  const trace = (schedule) => {
    const at = Array.from({ length: 101 }, (_, i) => [i / 100, levelsAt(schedule, i / 100).logSnr]);
    return axes.line(at.map(([t, v]) => [t, clip(v)]));
  };
  view.later(() => axes.node.remove());
  return {
    node: axes.node,
    curves(first, second, curve) {
      update(lines.one, { d: trace(first) });
      update(lines.two, { d: second ? trace(second) : "" });
      knots.forEach((dot, k) => update(dot, { cy: axes.Y(curve[k]), "aria-valuenow": curve[k], "aria-valuetext": `log SNR ${number(curve[k])}` }));
    },
    marker(t, first, second) {
      update(marks.one, { cx: axes.X(t), cy: axes.Y(clip(first.logSnr)) });
      update(marks.two, { cx: axes.X(t), cy: axes.Y(clip(second ? second.logSnr : 0)), visibility: second ? "visible" : "hidden" });
    },
  };
}

const VALUES = [-3.2, 3.2]; // of the histogram
const TOP_DENSITY = 0.9;

function beyondText(values) {
  const share = values.reduce((count, v) => count + (Math.abs(v) > VALUES[1]), 0) / values.length;
  return `Values beyond ±${VALUES[1]} are not shown${share ? ` (${number(100 * share, 2)} %)` : ""}; bars are cut at ${TOP_DENSITY}.`;
}

function histogramChart() {
  const [[low, high], bins, top] = [VALUES, 64, TOP_DENSITY];
  const label = "Histogram of the values of x_t, with the standard normal density";
  const axes = chart({ width: 400, height: 230, x: [low, high], y: [0, top], xticks: [-3, -2, -1, 0, 1, 2, 3], yticks: [0, 0.4, 0.8], xlabel: "value", ylabel: "density", label });
  const bars = axes.add("path", { class: "forward-bars" });
  const other = axes.add("path", { class: "two" });
  const bell = Array.from({ length: 129 }, (_, i) => low + ((high - low) * i) / 128).map((v) => [v, Math.exp((-v * v) / 2) / Math.sqrt(2 * Math.PI)]);
  axes.add("path", { class: "forward-bell", d: axes.line(bell) });
  function steps(values) {
    const heights = histogram(values, low, high, bins);
    const points = [[low, 0]];
    heights.forEach((h, k) => {
      const [from, to] = [low + ((high - low) * k) / bins, low + ((high - low) * (k + 1)) / bins];
      points.push([from, Math.min(h, top)], [to, Math.min(h, top)]);
    });
    return axes.line([...points, [high, 0]]);
  }
  return {
    node: axes.node,
    show(values, second) {
      update(bars, { d: steps(values) });
      update(other, { d: second ? steps(second) : "" });
    },
  };
}

// A file becomes 64 by 64 pixels in the page: its middle square. It is decoded by the browser, never run.
async function squareOf(file, side = 64) {
  if (file.size > 5e7) throw new Error("is larger than 50 MB");
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("is not a picture that this browser can read: try a PNG or JPEG file");
  });
  const edge = Math.min(bitmap.width, bitmap.height);
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, side, side);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (bitmap.width - edge) / 2, (bitmap.height - edge) / 2, edge, edge, 0, 0, side, side);
  bitmap.close();
  const rgba = context.getImageData(0, 0, side, side).data;
  return rgba.filter((_, i) => i % 4 !== 3);
}

function ask() {
  return question({
    ask: "At t = 0.5 the cosine schedule has as much noise as picture in it: log SNR is 0. When does DDPM's linear schedule get there?",
    choices: ["near t = 0.25", "near t = 0.5", "near t = 0.75"],
    answer:
      "At t = 0.26. So in three quarters of its time there is more noise than picture. Choose linear as the first schedule, compare with cosine, and move the time until the marker crosses the dotted line.",
  });
}

function render({ model, el: host }) {
  const view = stage(model, host, "Forward process");
  const get = (name) => model.get(name);
  const put = (name, value) => model.set(name, value); // other views follow; nothing is sent to the kernel
  let gallery = [];
  let now = { side: 32, x0: new Float32Array(3072), z: new Float32Array(3072), sum: new Float32Array(3072), other: new Float32Array(3072), code: "x0" };
  let first = PRESETS.cosine;
  let second = null;

  // -- controls
  const choose = picker({ label: "Picture", options: [["0", "…"]], onchange: (v) => choosePicture(Number(v)) });
  function choosePicture(index) {
    put("message", ""); // of a file that was none
    put("picture_index", index);
  }
  const file = el("input", { type: "file", accept: "image/*", hidden: true, tabindex: -1, "aria-label": "A picture file" });
  const open = button({ label: "Open a file …", title: "A picture of your own: it stays in this page", onclick: () => file.click() });
  const fresh = button({ label: "New scene", title: "Draw another scene of the world", onclick: () => view.send({ type: "scene" }) });
  const reseed = button({ label: "New noise", title: "Another seed", onclick: () => put("seed", (get("seed") + 1) % 2 ** 31) });
  const schedule = picker({ label: "Schedule", options: NAMES, value: get("schedule"), onchange: (v) => put("schedule", v) });
  const compare = picker({ label: "Compare with", options: [["", "nothing"], ...NAMES], value: get("compare"), onchange: (v) => put("compare", v) });
  const words = (t) => `${t.toFixed(3)}, log SNR ${number(levelsAt(first, t).logSnr)}`;
  const time = slider({
    label: "Time t", min: 0, max: 1, step: 0.001, value: get("t"), valuetext: words,
    oninput: (t) => {
      clock.stop();
      put("t", t);
    },
  });
  const clock = running({ get: () => get("t"), set: (t) => put("t", t) });
  fresh.disabled = view.offline;
  view.body.append(
    el("div", { class: "t2i-row" }, choose.node, open, file, fresh, reseed),
    el("div", { class: "t2i-row" }, schedule.node, compare.node),
    el("div", { class: "t2i-row" }, clock.node, time.node),
  );

  // -- pictures, numbers, charts
  const panels = pictures(view);
  const numbers = el("div", { class: "forward-numbers" });
  const snr = snrChart(view, { onbend: bend });
  const histo = histogramChart();
  const below = el("p", { class: "t2i-note" });
  const announcer = liveRegion();
  const curveNote = el("p", { class: "t2i-note" }, `Drag a point, or use the arrow keys on it, to make a schedule of your own. Values beyond ±${BOUND} are drawn at the edge.`);
  view.body.append(
    numbers,
    el("div", { class: "t2i-row top" }, el("div", { class: "forward-chart wide" }, snr.node, curveNote), el("div", { class: "forward-chart" }, histo.node, below)),
    ask().node,
    copyButton(copied),
    announcer.node,
  );

  function bend(k, value) {
    const from = get("schedule") === "custom" ? get("log_snr_curve") : traced(first);
    put("log_snr_curve", bent(from, k, value));
    if (get("schedule") !== "custom") put("schedule", "custom");
  }
  function copied() {
    const { code } = now;
    put("code", codeOf({ t: get("t"), schedule: get("schedule"), compare: get("compare"), seed: get("seed"), curve: get("log_snr_curve"), code }));
    model.save_changes(); // the kernel learns where the page stands
    return get("code");
  }

  // -- what follows from what
  function onSchedule() {
    first = scheduleOf(get("schedule"), get("log_snr_curve"));
    second = get("compare") ? scheduleOf(get("compare"), get("log_snr_curve")) : null;
    schedule.set(get("schedule"));
    compare.set(get("compare"));
    snr.curves(first, second, get("schedule") === "custom" ? get("log_snr_curve") : traced(first));
    panels.other.node.hidden = !second;
    draw();
  }
  function onPicture() {
    const own = bytes(get("own_pixels"));
    const mine = { label: "your file", rgb: own, code: "x0  # your own file, (3, 64, 64) in [-1, 1]" };
    const item = get("picture_index") < 0 && own.length ? mine : gallery[get("picture_index")];
    if (!item) return;
    const side = Math.round(Math.sqrt(item.rgb.length / 3));
    const make = () => new Float32Array(item.rgb.length);
    now = { side, x0: planes(item.rgb), z: randn(get("seed"), item.rgb.length), sum: make(), other: make(), code: item.code, label: item.label };
    choose.options([...(own.length ? [["-1", "your file"]] : []), ...gallery.map((g, i) => [String(i), g.label])]);
    choose.set(String(get("picture_index")));
    panels.resize(side);
    draw();
  }
  function draw() {
    const t = get("t");
    const at = levelsAt(first, t);
    time.set(t);
    mixed(now.x0, now.z, at.b, at.s, now.sum);
    panels.put("signal", now.x0, at.b);
    panels.put("noise", now.z, at.s);
    panels.put("sum", now.sum, 1);
    const rows = [formula(at, nameOf(get("schedule")))];
    const there = second && levelsAt(second, t);
    if (there) {
      mixed(now.x0, now.z, there.b, there.s, now.other);
      panels.put("other", now.other, 1);
      rows.push(formula(there, nameOf(get("compare"))));
    }
    numbers.replaceChildren(...rows);
    snr.marker(t, at, there);
    histo.show(now.sum, there && now.other);
    describe(at, there);
  }
  function describe(at, there) {
    const { mean, deviation } = moments(now.sum);
    below.textContent = `Bars: all values of x_t, mean ${number(mean, 2)}, standard deviation ${number(deviation, 2)}. Thin line: N(0, 1). ${beyondText(now.sum)}`;
    panels.signal.caption(`b · x₀, b = ${number(at.b)}`);
    panels.noise.caption(`s · z, s = ${number(at.s)}`);
    panels.sum.caption(`x at t = ${number(get("t"))}, ${nameOf(get("schedule"))}`);
    if (there) panels.other.caption(`the same, ${nameOf(get("compare"))}`);
    panels.sum.label(`${now.label} with noise: ${number(at.b)} of the picture, ${number(at.s)} of the noise`);
    announcer.say(`t ${number(get("t"))}, log SNR ${number(at.logSnr)}`);
  }

  // -- what arrives
  async function openFile() {
    const [chosen] = file.files;
    if (!chosen) return;
    try {
      const rgb = await squareOf(chosen);
      put("message", "");
      put("own_pixels", new DataView(Uint8Array.from(rgb).buffer));
      put("picture_index", -1);
      onPicture();
    } catch (error) {
      view.complain(`${chosen.name} ${error.message}.`);
    }
    file.value = "";
  }
  view.on(file, "change", openFile);
  view.listen("msg:custom", (content, buffers) => {
    if (content.type !== "pictures") return;
    const frames = decodeFrames(buffers);
    gallery = content.choices.map((choice, i) => ({ ...choice, rgb: frames[i] }));
    onPicture();
  });
  view.listen("change:t", draw);
  for (const name of ["schedule", "compare", "log_snr_curve"]) view.listen(`change:${name}`, onSchedule);
  for (const name of ["picture_index", "seed", "own_pixels"]) view.listen(`change:${name}`, onPicture);
  view.later(clock.stop);
  view.later(announcer.close);
  onSchedule();
  onPicture();
  view.ready();
  return view.close;
}

const maths = { randn, uniforms, scheduleOf, levelsAt, mixed, histogram, moments, planes, pixels, bent, traced, codeOf };
export default { render, maths };
