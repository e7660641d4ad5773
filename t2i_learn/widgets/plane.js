// Diffusion in the plane: particles, arrows, density and paths, worked out here from the points of a mixture.

const TOP = 20; // the noise level at which every path begins
const BOTTOM = 0.02; // the last before the points are clean
const PARTICLES = 150;
const TRAIL = 8; // steps that a path reaches back
const BRIGHTEST = 0.7; // of a colour map: not up to yellow, on which neither white arrows nor orange points can be seen
// Okabe and Ito's colours, as in the figures of the course.
const ORANGE = "#e69f00"; // particles, and the arrows of a learned field
const VERMILION = "#d55e00cc"; // their paths

const METHODS = [["ddpm", "DDPM (ancestral)"], ["ddim", "DDIM"], ["flow", "flow"]];
const DATA = [["moons", "two moons"], ["clusters", "eight clusters"], ["rings", "two rings"], ["drawing", "your own drawing"]];
const textOf = (pairs, value) => Object.fromEntries(pairs)[value];

// ---- distributions: round Gaussians of one width around points, (x, y, x, y, ...) ----

function arcs(n) {
  const turns = Array.from({ length: n }, (_, i) => (Math.PI * (i + 0.5)) / n);
  const upper = turns.flatMap((a) => [Math.cos(a) - 0.5, Math.sin(a) - 0.25]);
  return [...upper, ...upper.map((v) => -v)];
}

function circle(radius, n) {
  const turns = Array.from({ length: n }, (_, i) => (2 * Math.PI * i) / n);
  return turns.flatMap((a) => [radius * Math.cos(a), radius * Math.sin(a)]);
}

function mixtureOf(data, drawn = []) {
  if (data === "moons") return { means: arcs(90), width: 0.07 };
  if (data === "clusters") return { means: circle(1.5, 8), width: 0.12 };
  if (data === "rings") return { means: [...circle(0.6, 36), ...circle(1.4, 84)], width: 0.05 };
  return { means: drawn.flat(), width: 0.07 };
}

// Weights of the points' pull on (x, y), not yet divided by their sum, which is returned.
function pull({ means }, x, y, variance, weights) {
  let best = Infinity;
  for (let k = 0; k < weights.length; k++) {
    weights[k] = ((x - means[2 * k]) ** 2 + (y - means[2 * k + 1]) ** 2) / (2 * variance);
    if (weights[k] < best) best = weights[k];
  }
  let sum = 0;
  for (let k = 0; k < weights.length; k++) sum += weights[k] = Math.exp(best - weights[k]);
  return { sum, best };
}

// The posterior mean of the clean point: the exact denoiser of a mixture.
function denoiseExact(mixture, points, sigma) {
  const { means, width } = mixture;
  const variance = width * width + sigma * sigma;
  const kept = (width * width) / variance;
  const weights = new Float64Array(means.length / 2);
  const out = new Float64Array(points.length);
  for (let i = 0; i < points.length; i += 2) {
    const { sum } = pull(mixture, points[i], points[i + 1], variance, weights);
    let [x, y] = [0, 0];
    for (let k = 0; k < weights.length; k++) {
      x += weights[k] * means[2 * k];
      y += weights[k] * means[2 * k + 1];
    }
    out[i] = ((1 - kept) * x) / sum + kept * points[i];
    out[i + 1] = ((1 - kept) * y) / sum + kept * points[i + 1];
  }
  return out;
}

function logDensity(mixture, points, sigma) {
  const variance = mixture.width ** 2 + sigma ** 2;
  const weights = new Float64Array(mixture.means.length / 2);
  const out = new Float64Array(points.length / 2);
  for (let i = 0; i < out.length; i++) {
    const { sum, best } = pull(mixture, points[2 * i], points[2 * i + 1], variance, weights);
    out[i] = Math.log(sum / weights.length) - best - Math.log(2 * Math.PI * variance);
  }
  return out;
}

// ---- the learned denoiser: the kernel's network, evaluated here ----

function unpackNetwork({ shapes, mean, std }, data) {
  let at = 0;
  const layers = shapes.map(([rows, columns]) => {
    const weight = data.subarray(at, at + rows * columns);
    const bias = data.subarray(at + rows * columns, at + rows * columns + rows);
    at += rows * columns + rows;
    return { rows, columns, weight, bias };
  });
  return { layers, mean, std };
}

function waves(sigma, count) {
  const half = count / 2;
  const angle = (i) => 2 * Math.log(sigma) * 20 ** (-i / half);
  return Array.from({ length: count }, (_, i) => (i < half ? Math.sin(angle(i)) : Math.cos(angle(i - half))));
}

function layered({ rows, columns, weight, bias }, input, output, bend) {
  for (let r = 0; r < rows; r++) {
    let sum = bias[r];
    for (let c = 0, w = r * columns; c < columns; c++, w++) sum += weight[w] * input[c];
    output[r] = bend ? sum / (1 + Math.exp(-sum)) : sum;
  }
  return output;
}

const unitOf = (std, sigma) => (sigma * std) / Math.hypot(sigma, std);

function denoiseLearned({ layers, mean, std }, points, sigma) {
  const size = Math.hypot(sigma, std);
  const kept = (std / size) ** 2;
  const level = waves(sigma, layers[0].columns - 2);
  const hidden = layers.map((layer) => new Float64Array(layer.rows));
  const out = new Float64Array(points.length);
  const input = new Float64Array(layers[0].columns);
  input.set(level, 2);
  for (let i = 0; i < points.length; i += 2) {
    input[0] = (3 * (points[i] - mean[0])) / size;
    input[1] = (3 * (points[i + 1] - mean[1])) / size;
    layers.reduce((from, layer, k) => layered(layer, from, hidden[k], k < layers.length - 1), input);
    const answer = hidden[layers.length - 1];
    out[i] = mean[0] + kept * (points[i] - mean[0]) + unitOf(std, sigma) * answer[0];
    out[i + 1] = mean[1] + kept * (points[i + 1] - mean[1]) + unitOf(std, sigma) * answer[1];
  }
  return out;
}

// ---- the way back ----

function karras(steps) {
  const [high, low] = [TOP ** (1 / 7), BOTTOM ** (1 / 7)];
  const levels = Array.from({ length: steps }, (_, k) => (high + ((low - high) * k) / Math.max(1, steps - 1)) ** 7);
  return [...levels, 0];
}

// Equal steps of flow's own time, t = sigma / (1 + sigma).
function evenTimes(steps) {
  const first = TOP / (1 + TOP);
  return Array.from({ length: steps + 1 }, (_, k) => first * (1 - k / steps)).map((t) => t / (1 - t));
}

const gridOf = (method, steps) => (method === "flow" ? evenTimes(steps) : karras(steps));
const shrink = (method, sigma) => (method === "flow" ? 1 / (1 + sigma) : 1 / Math.sqrt(1 + sigma * sigma));

// Fresh noise for each step of DDPM, from the same seed whenever the path is walked.
function stepNoise(seed, step, n) {
  return randn((seed + 7919 * (step + 1)) % 2 ** 32, n);
}

// From noise to points: -> [{sigma, y, x0}] for each level, the last with sigma 0.
function trajectory(denoise, method, steps, seed, n = PARTICLES) {
  const sigmas = gridOf(method, steps);
  let y = Float64Array.from(randn(seed, 2 * n), (z) => sigmas[0] * z);
  const states = [];
  for (let k = 0; k < steps; k++) {
    const [sigma, lower] = [sigmas[k], sigmas[k + 1]];
    const x0 = denoise(y, sigma);
    states.push({ sigma, y, x0 });
    const random = method === "ddpm" && lower > 0;
    const kept = random ? (lower / sigma) ** 2 : lower / sigma;
    const fresh = random ? lower * Math.sqrt(1 - (lower / sigma) ** 2) : 0;
    const noise = random ? stepNoise(seed, k, 2 * n) : null;
    y = y.map((v, i) => x0[i] + kept * (v - x0[i]) + (noise ? fresh * noise[i] : 0));
  }
  states.push({ sigma: 0, y, x0: y });
  return states;
}

// Root mean square of the difference of two denoisers, where noisy data lies.
function fieldError(mixture, network, sigma, n = 300) {
  const count = mixture.means.length / 2;
  const pen = randn(11, 2 * n);
  const noise = randn(12, 2 * n);
  const which = uniforms(13, n);
  const y = new Float64Array(2 * n).map((_, i) => {
    const k = Math.floor(which[i >> 1] * count);
    return mixture.means[2 * k + (i & 1)] + mixture.width * pen[i] + sigma * noise[i];
  });
  const [exact, learned] = [denoiseExact(mixture, y, sigma), denoiseLearned(network, y, sigma)];
  let sum = 0;
  for (let i = 0; i < y.length; i++) sum += (exact[i] - learned[i]) ** 2;
  return Math.sqrt(sum / n);
}

function codeOf({ data, field, sampler, steps, seed, points, train_steps: trainSteps }) {
  const fitted = field === "learned" && trainSteps > 0;
  const learned = fitted ? `denoise = point_learner(points).fit(${trainSteps}).model.eval().denoise` : "denoise = model.denoise  # model: the network that plane_widget() was given";
  const named = { moons: "moons()", clusters: "clusters()", rings: "dotted_rings()", drawing: `GaussianMixture(torch.tensor(${JSON.stringify(points)}), 0.07)` };
  const places = { moons: "t2i_learn.world.points", clusters: "t2i_learn.world.points", rings: "t2i_learn.widgets.plane", drawing: "t2i_learn.world.points" };
  const function_ = /^\w+/.exec(named[data])[0];
  const step = sampler === "flow" ? "euler_step" : `${sampler}_step`;
  const levels = sampler === "flow" ? [`t = torch.linspace(${TOP} / ${TOP + 1}, 0, ${steps + 1})`, "sigmas = t / (1 - t)"] : [`sigmas = karras_grid(${steps}, ${BOTTOM}, ${TOP})`];
  return [
    "import torch",
    ...(fitted ? ["from t2i_learn.diffusion.points import point_learner"] : []),
    `from t2i_learn.diffusion.sampling import ${step}, sample_loop`,
    ...(sampler === "flow" ? [] : ["from t2i_learn.diffusion.schedules import karras_grid"]),
    `from ${places[data]} import ${function_}`,
    "",
    `points = ${named[data]}`,
    field === "learned" ? learned : "denoise = points.denoise",
    ...levels,
    `z = torch.randn(${PARTICLES}, 2, generator=torch.Generator().manual_seed(${seed}))`,
    ...(sampler === "ddpm" ? ["# Each step draws fresh noise: the same distribution as on the screen, not the same points."] : []),
    `states = list(sample_loop(${step}, denoise, sigmas[0] * z, sigmas))`,
    "ends = states[-1].x0_hat",
  ].join("\n");
}

// ---- on the screen ----

// The noise-level density as seen on the screen, as a share of its highest value; square roots make the feet visible.
function densityOnScreen(mixture, sigma, b, n = 56) {
  const logs = logDensity(mixture, places(n).map((v) => v / b), sigma);
  const top = logs.reduce((a, v) => Math.max(a, v), -Infinity);
  return logs.map((v) => Math.exp((v - top) / 2));
}

// Where a point is pulled, in units of the noise: sigma times the score.
function pullOnScreen(denoise, sigma, b, n) {
  const from = places(n);
  const y = from.map((v) => v / b);
  const x0 = denoise(y, sigma);
  return { from, vectors: x0.map((v, i) => (v - y[i]) / sigma) };
}

function ask() {
  return question({
    ask: "DDPM, DDIM and flow start from the same noise, with the exact field and 60 steps or more. Which of them end in the same points?",
    choices: ["all three", "DDIM and flow", "no two of them"],
    answer:
      "DDIM and flow. They follow the same curve, shown in two views, with steps of different sizes. DDPM adds noise at every step, so its points end elsewhere, although the cloud has the same shape. Set 60 steps and compare two of them side by side.",
  });
}

// ---- the widget ----

function render({ model, el: host }) {
  const view = stage(model, host, "Diffusion in the plane");
  const get = (name) => model.get(name);
  const put = (name, value) => model.set(name, value); // other views follow; nothing is sent to the kernel
  let network = null;
  let trained = "";
  let mixture = null;
  let runs = {};
  let training = false;

  // -- controls
  const data = picker({ label: "Data", options: DATA, value: get("data"), onchange: (v) => choose(v) });
  function choose(name) {
    put("message", "");
    put("data", name);
  }
  const sampler = picker({ label: "Left", options: METHODS, value: get("sampler"), onchange: (v) => put("sampler", v) });
  const others = [["", "nothing"], ...METHODS, ["error", "exact and learned field"]];
  const compare = picker({ label: "Right", options: others, value: get("compare"), onchange: (v) => put("compare", v) });
  const field = picker({ label: "Field", options: [["exact", "exact"], ["learned", "learned"]], value: get("field"), onchange: (v) => put("field", v) });
  const steps = slider({ label: "Steps", min: 2, max: 80, step: 1, value: get("steps"), oninput: (v) => put("steps", v) });
  const reseed = button({ label: "New noise", title: "Another start for every particle", onclick: () => put("seed", (get("seed") + 1) % 2 ** 31) });
  const shows = ["density", "arrows", "paths"].map((name) => tick({ label: name, value: get(name), title: `Show the ${name}`, onchange: (v) => put(name, v) }));
  const train = button({ label: "Train on this data", title: "The kernel trains a small network on samples of it", onclick: learn });
  const undo = button({ label: "Undo", title: "Take back the last point", onclick: () => putPoints(get("points").slice(0, -1)) });
  const wipe = button({ label: "Clear", title: "Take all points away", onclick: () => putPoints([]) });
  const status = liveRegion({ visible: true });
  const announcer = liveRegion();
  const levels = () => gridOf(get("sampler"), get("steps"));
  const player = playback({
    frames: get("steps") + 1, fps: 10, label: "Step",
    valuetext: (k) => `${k} of ${get("steps")}, σ = ${number(levels()[k] ?? 0, 2)}`,
    onframe: (k) => put("shown_step", k),
  });
  const tools = el("div", { class: "t2i-row" }, undo, wipe, el("span", { class: "t2i-note" }, "Draw on the left with the mouse; or go there with Tab, move with the arrow keys, put a point with Space, take it back with Backspace."));
  function putPoints(points) {
    put("message", ""); // such as that there are too many, or none
    put("points", points);
  }
  const left = panel("Particles, left");
  const right = panel("Particles, right");
  const pen = sketch(view, left, {
    active: () => get("data") === "drawing",
    get: () => get("points"),
    set(points) {
      put("shown_step", get("steps"));
      putPoints(points);
    },
    say: (text) => announcer.say(text),
    redraw: () => draw(),
    full: view.complain,
  });
  view.body.append(
    el("div", { class: "t2i-row" }, data.node, field.node, train, reseed),
    el("div", { class: "t2i-row" }, sampler.node, compare.node, el("div", { class: "points-shows" }, shows.map((s) => s.node))),
    el("div", { class: "t2i-row" }, steps.node, player.node),
    status.node,
    tools,
    el("div", { class: "t2i-row top" }, left.node, right.node),
    ask().node,
    copyButton(copied),
    announcer.node,
  );
  train.disabled = view.offline;

  function copied() {
    const state = Object.fromEntries(["data", "field", "sampler", "steps", "seed", "points", "train_steps"].map((name) => [name, get(name)]));
    put("code", codeOf(state));
    model.save_changes(); // the kernel learns where the page stands
    return get("code");
  }
  function learn() {
    view.send(training ? { type: "stop" } : { type: "train", data: get("data"), points: get("points") });
  }

  // -- what follows from what
  const keyOf = () => (get("data") === "drawing" ? `drawing ${JSON.stringify(get("points"))}` : get("data"));
  const denoiser = () => (get("field") === "learned" && network ? (y, s) => denoiseLearned(network, y, s) : (y, s) => denoiseExact(mixture, y, s));
  function onData() {
    mixture = mixtureOf(get("data"), get("points"));
    const drawing = get("data") === "drawing";
    tools.hidden = !drawing;
    undo.disabled = wipe.disabled = !get("points").length;
    left.canvas.tabIndex = drawing ? 0 : -1;
    left.canvas.setAttribute("role", drawing ? "application" : "img");
    field.select.options[1].disabled = !network;
    const fits = network && trained === keyOf();
    status.say(network && !fits ? "The network was trained on other data. Train it on this data, or compare both fields on the right." : "");
    onRun();
  }
  function onRun() {
    for (const [control, name] of [[data, "data"], [sampler, "sampler"], [compare, "compare"], [field, "field"], [steps, "steps"]]) control.set(get(name));
    shows.forEach((s, i) => s.set(get(["density", "arrows", "paths"][i])));
    runs = {};
    player.frames(get("steps") + 1, Math.min(get("shown_step"), get("steps")));
    right.node.hidden = !get("compare");
    draw();
  }
  function run(name) {
    runs[name] ||= trajectory(denoiser(), name, get("steps"), get("seed"));
    return runs[name];
  }
  const draw = eachFrame(() => {
    if (!mixture.means.length) {
      left.clear(ink("--t2i-raised"));
      right.clear(ink("--t2i-raised"));
      pen.draw();
      left.caption.textContent = "The drawing is empty: put some points on it.";
      return;
    }
    const k = Math.min(get("shown_step"), get("steps"));
    player.frames(get("steps") + 1, k);
    scene(left, get("sampler"), k);
    if (get("compare") === "error") difference(right, k);
    else if (get("compare")) scene(right, get("compare"), k);
    pen.draw();
  });
  const ink = (name) => getComputedStyle(view.root).getPropertyValue(name).trim() || "#888888";

  function scene(where, name, k) {
    const states = run(name);
    const { sigma, y } = states[k];
    const b = shrink(name, sigma);
    if (get("density")) where.heat(densityOnScreen(mixture, sigma, b).map((v) => BRIGHTEST * v), 56, CIVIDIS);
    else where.clear(ink("--t2i-raised"));
    const bright = get("density") ? "#ffffff" : ink("--t2i-ink");
    if (get("arrows")) {
      const { from, vectors } = pullOnScreen(denoiser(), Math.max(sigma, BOTTOM), b, 15);
      where.arrows(from, vectors, 15, bright);
    }
    if (get("paths")) {
      const path = (i) => states.slice(Math.max(0, k - TRAIL), k + 1).map((s) => [shrink(name, s.sigma) * s.y[2 * i], shrink(name, s.sigma) * s.y[2 * i + 1]]);
      where.lines(Array.from({ length: 40 }, (_, i) => path(i)), VERMILION, 1.2);
    }
    where.dots(y, b, ORANGE, 2.8, "#000000cc");
    const words = `${textOf(METHODS, name)}, step ${k} of ${get("steps")}, σ = ${number(sigma, 2)}`;
    where.caption.textContent = `${words}, ${get("field")} field. ${outsideText(y, b, "particle")}`;
    where.canvas.setAttribute("aria-label", `${textOf(DATA, get("data"))}, ${words}: ${PARTICLES} particles`);
    if (where === left) announcer.say(words);
  }

  function difference(where, k) {
    const { sigma } = run(get("sampler"))[k];
    const level = Math.max(sigma, BOTTOM);
    const b = shrink(get("sampler"), level);
    if (!network) {
      where.clear(ink("--t2i-raised"));
      where.caption.textContent = "No network has been trained yet.";
      return;
    }
    const y = places(40).map((v) => v / b);
    const [exact, learned] = [denoiseExact(mixture, y, level), denoiseLearned(network, y, level)];
    const unit = unitOf(network.std, level);
    const off = Array.from({ length: 1600 }, (_, i) => Math.hypot(exact[2 * i] - learned[2 * i], exact[2 * i + 1] - learned[2 * i + 1]) / unit);
    where.heat(off.map((v) => BRIGHTEST * Math.min(v, 1)), 40, VIRIDIS);
    const exactArrows = pullOnScreen((v, s) => denoiseExact(mixture, v, s), level, b, 13);
    const learnedArrows = pullOnScreen((v, s) => denoiseLearned(network, v, s), level, b, 13);
    where.arrows(exactArrows.from, exactArrows.vectors, 13, "#ffffff");
    where.arrows(learnedArrows.from, learnedArrows.vectors, 13, ORANGE);
    const error = fieldError(mixture, network, level);
    const words = `White arrows: exact field; orange arrows: learned field. Where the noisy data is, they differ by ${number(error, 2)} (root mean square). The best linear denoiser differs by ${number(Math.SQRT2 * unit, 2)} or less`;
    where.caption.textContent = `${words}. Dark ground: no difference; brightest ground: ${number(unit, 2)} or more.`;
    where.canvas.setAttribute("aria-label", `Difference of exact and learned field at σ = ${number(level, 2)}: ${number(error, 2)}`);
  }

  // -- what arrives
  view.listen("msg:custom", (content, buffers) => {
    if (content.type === "weights") {
      network = unpackNetwork(content, floats(buffers[0]));
      trained = content.key;
      onData();
    }
    if (content.type === "training") {
      training = content.running;
      train.textContent = training ? "Stop training" : "Train on this data";
      status.say(content.text);
    }
  });
  for (const name of ["data", "points"]) view.listen(`change:${name}`, onData);
  for (const name of ["sampler", "compare", "field", "steps", "seed"]) view.listen(`change:${name}`, onRun);
  for (const name of ["shown_step", "density", "arrows", "paths"]) view.listen(`change:${name}`, name === "shown_step" ? () => draw() : onRun);
  view.later(player.close);
  view.later(announcer.close);
  view.later(draw.cancel);
  onData();
  view.ready();
  return view.close;
}

const maths = { mixtureOf, denoiseExact, logDensity, unpackNetwork, denoiseLearned, trajectory, gridOf, fieldError, codeOf, places, waves };
export default { render, maths };
