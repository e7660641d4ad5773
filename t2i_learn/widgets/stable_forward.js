// Forward process with stable noise: one picture, one set of normal numbers, and beside it the same numbers made heavier.

const KINDS = [
  ["isotropic", "one A for the picture"],
  ["pixelwise", "one A for each pixel"],
  ["componentwise", "one A for each number"],
];
const SCHEDULES = ["cosine", "linear"];
const FAR = 4; // in units of normal noise: one normal number in sixteen thousand is beyond

// Coefficient of the picture when the scale is kept, b^alpha + s^alpha = 1.
const b_stable = (sigma, alpha) => (1 + sigma ** alpha) ** (-1 / alpha);
const stableView = (schedule, alpha) => ({ ...schedule, b: (sigma) => b_stable(sigma, alpha) });

// How many random variances n numbers in three planes need.
const countOf = (n, kind) => ({ isotropic: 1, pixelwise: n / 3, componentwise: n })[kind];

// The noise of a seed: normal numbers, and the angles and waits of the variances. -> {z, u, w}
function coupledNoise(seed, n, kind) {
  const next = twister(seed);
  const z = randn(seed, n, next);
  return { z, ...anglesAndWaits(next, countOf(n, kind)) };
}

const variances = ({ u, w }, alpha) => u.map((v, i) => kanter(v, w[i], alpha));

// sqrt(A) z; one variance for all, or one for each place of every plane, or one for each number.
function heavier(z, a, out = new Float32Array(z.length)) {
  const root = a.map(Math.sqrt);
  for (let i = 0; i < z.length; i++) out[i] = root[i % root.length] * z[i];
  return out;
}

const shareBeyond = (values, far) => values.reduce((count, v) => count + (Math.abs(v) > far), 0) / values.length;

// P(|noise| > x) in the unit-normal convention, x as a power of ten: points for a chart with logarithmic axes.
function lawOf(alpha, from, to, n = 60) {
  const at = Array.from({ length: n + 1 }, (_, i) => from + ((to - from) * i) / n);
  const share = survival(at.map((k) => Math.SQRT2 * 10 ** k), alpha);
  return at.map((k, i) => [k, Math.log10(2 * share[i])]);
}

// The Python that makes what is on the screen.
function codeOf({ t, alpha, kind, schedule, seed, picture }) {
  return [
    "import torch",
    "from t2i_learn.core.show import show_strip",
    `from t2i_learn.diffusion.schedules import ${schedule}_schedule`,
    "from t2i_learn.stable.process import stable_schedule",
    ...importLines(pictureHelpers(picture)),
    "from t2i_learn.widgets.stable_forward import coupled_noise",
    "",
    `x0 = ${picture}`,
    `t, alpha = torch.tensor(${t}), ${alpha}`,
    `z, a = coupled_noise(x0.shape, alpha, ${seed}, "${kind}")`,
    `normal, heavy = ${schedule}_schedule(), stable_schedule(${schedule}_schedule(), alpha)`,
    "x_t = normal.b(t) * x0 + normal.s(t) * z",
    "y_t = heavy.b(t) * x0 + heavy.s(t) * a.sqrt() * z",
    'show_strip([x_t, y_t], ["normal noise", "stable noise"])',
  ].join("\n");
}

// ---- what is on the screen ----

function askAboutOne() {
  return question({
    ask: "One A for the whole picture, α = 1.5. How does its noise differ from normal noise?",
    choices: ["single pixels stand out", "it looks the same, of another strength", "it is smoother"],
    answer:
      "It looks the same, but its strength differs. Given A, stable noise is normal noise, and here all numbers have the same A. Press New noise a few times: only the strength changes. Then choose one A for each number: single pixels stand out. In the chart of tails, the blue curve with one A is the normal curve moved sideways. With one A for each number it follows the law.",
  });
}

// Two pictures with a name: the noise, and the picture under it.
function pair(name, sign) {
  const [noise, sum] = [`${sign} of ${name}`, `The picture under ${name}`].map((label) => picture(32, 32, label, { zoom: 6 }));
  const numbers = el("p", { class: "stable-forward-numbers" });
  let rgba = new Uint8ClampedArray(32 * 32 * 4);
  return {
    node: el("div", { class: "stable-forward", role: "group", "aria-label": name }, el("strong", {}, name), el("div", { class: "stable-forward-pictures" }, noise.node, sum.node), numbers),
    sum,
    numbers,
    resize(side) {
      for (const p of [noise, sum]) p.resize(side, side);
      rgba = new Uint8ClampedArray(side * side * 4);
    },
    put(noisy, s, mixture, words) {
      noise.draw(pixels(noisy, s, rgba));
      sum.draw(pixels(mixture, 1, rgba));
      noise.caption(words);
      sum.caption("picture and noise");
    },
  };
}

function render({ model, el: host }) {
  const view = stage(model, host, "Forward process with stable noise");
  const get = (name) => model.get(name);
  const put = (name, value) => model.set(name, value); // other views follow; nothing is sent to the kernel
  let gallery = [];
  let now = null; // the picture and its noise, once it has arrived

  // -- controls
  const choose = picker({ label: "Picture", options: [["0", "…"]], onchange: (v) => put("picture_index", Number(v)) });
  const reseed = button({ label: "New noise", title: "Another seed", onclick: () => put("seed", (get("seed") + 1) % 2 ** 31) });
  const kind = picker({ label: "Kind of noise", options: KINDS, value: get("kind"), onchange: (v) => put("kind", v) });
  const schedule = picker({ label: "Schedule", options: SCHEDULES, value: get("schedule"), onchange: (v) => put("schedule", v) });
  const alpha = slider({
    label: "Stability α", min: 1.01, max: 2, step: 0.01, value: get("alpha"),
    valuetext: (a) => (a === 2 ? "2, normal" : a.toFixed(2)), oninput: (a) => put("alpha", a),
  });
  const time = slider({
    label: "Time t", min: 0, max: 1, step: 0.001, value: get("t"),
    valuetext: (t) => `${t.toFixed(3)}, σ ${number(levelsAt(PRESETS[get("schedule")], t).sigma)}`,
    oninput: (t) => {
      clock.stop();
      put("t", t);
    },
  });
  const clock = running({ get: () => get("t"), set: (t) => put("t", t) });

  // -- pictures, numbers, the chart
  const normal = pair("normal noise", "s · G");
  const heavy = pair("stable noise", "s · √A · G");
  const [low, high] = [-1, 3];
  const tails = tailChart({
    width: 470, height: 250, x: [low, high], low: -4, xlabel: "size of the noise, in units of normal noise",
    label: "Share of the numbers of the noise above a size, both axes logarithmic", names: { law: "stable-forward-law", two: "two", one: "one" },
  });
  const announcer = liveRegion();
  const words = el("p", { class: "t2i-note" });
  view.body.append(
    askAboutOne().node,
    el("div", { class: "t2i-row" }, choose.node, schedule.node, reseed),
    el("div", { class: "t2i-row" }, alpha.node, kind.node),
    el("div", { class: "t2i-row" }, clock.node, time.node),
    el("div", { class: "t2i-row top" }, normal.node, heavy.node),
    el("div", { class: "t2i-row top" }, el("div", { class: "stable-forward-chart" }, tails.node), el("div", { class: "stable-forward-words" }, words, legend())),
    copyButton(copied),
    announcer.node,
  );
  function legend() {
    return el("p", { class: "t2i-note" },
      "Blue: the stable numbers on the screen. Orange, dashed: the normal ones. Thin: the law for this α. Its tail is a power of the size, which is a straight line here; at α = 2 it falls much faster. Sizes outside 0.1 to 1,000 and shares below 0.0001 are not shown.");
  }
  function copied() {
    const { code } = now || { code: "x0" };
    put("code", codeOf({ t: get("t"), alpha: get("alpha"), kind: get("kind"), schedule: get("schedule"), seed: get("seed"), picture: code }));
    model.save_changes(); // the kernel learns where the page stands
    return get("code");
  }

  // -- what follows from what: the picture and the seed, then alpha, then time
  function onPicture() {
    const item = gallery[get("picture_index")] || gallery[0];
    kind.set(get("kind"));
    if (!item) return;
    const make = () => new Float32Array(item.rgb.length);
    now = { ...item, ...coupledNoise(get("seed"), item.rgb.length, get("kind")), x0: planes(item.rgb), noise: make(), sum: make(), other: make() };
    choose.options(gallery.map((g, i) => [String(i), g.label]));
    choose.set(String(Math.max(0, gallery.indexOf(item))));
    for (const p of [normal, heavy]) p.resize(Math.round(Math.sqrt(item.rgb.length / 3)));
    tails.show("two", tailOf(now.z.map(Math.abs)));
    onAlpha();
  }
  function onAlpha() {
    alpha.set(get("alpha"));
    if (!now) return;
    now.a = variances(now, get("alpha"));
    heavier(now.z, now.a, now.noise);
    tails.show("law", lawOf(get("alpha"), low, high));
    tails.show("one", tailOf(now.noise.map(Math.abs)));
    words.textContent = factsOf();
    draw();
  }
  function factsOf() {
    const a = Float64Array.from(now.a, Math.sqrt).sort();
    const size = a.length === 1 ? `√A = ${number(a[0])} for all numbers: the noise is ${a[0] > 1 ? "stronger" : "weaker"} than the clock says` : `√A: median ${number(a[a.length >> 1])}, largest ${number(a.at(-1))}`;
    const far = [now.noise, now.z].map((values) => `${number(100 * shareBeyond(values, FAR), 2)}%`);
    return `${get("alpha") === 2 ? "α = 2: A is 1, nothing has changed" : size}. Beyond ${FAR}: ${far[0]} of the stable numbers, ${far[1]} of the normal ones.`;
  }
  function draw() {
    time.set(get("t"));
    schedule.set(get("schedule"));
    if (!now) return;
    const preset = PRESETS[get("schedule")];
    const [plain, tilted] = [levelsAt(preset, get("t")), levelsAt(stableView(preset, get("alpha")), get("t"))];
    normal.put(now.z, plain.s, mixed(now.x0, now.z, plain.b, plain.s, now.sum), "s · G");
    heavy.put(now.noise, tilted.s, mixed(now.x0, now.noise, tilted.b, tilted.s, now.other), "s · √A · G");
    normal.numbers.replaceChildren(...formula(plain, ""));
    heavy.numbers.replaceChildren(...formula(tilted, "√A · "));
    const at = `at t = ${number(get("t"))}`;
    normal.sum.label(`${now.label} under normal noise ${at}`);
    heavy.sum.label(`${now.label} under stable noise, α = ${number(get("alpha"))}, ${at}`);
    announcer.say(`t ${number(get("t"))}, α ${number(get("alpha"))}. ${words.textContent}`);
  }
  function formula(at, root) {
    const bold = (x) => el("b", {}, number(x));
    const x = (index) => el("span", {}, el("var", {}, "x"), el("sub", {}, index));
    return [x("t"), " = ", bold(at.b), " · ", x("0"), " + ", bold(at.s), ` · ${root}`, el("var", {}, "G")];
  }

  view.listen("msg:custom", (content, buffers) => {
    if (content.type !== "pictures") return;
    const frames = decodeFrames(buffers);
    gallery = content.choices.map((choice, i) => ({ ...choice, rgb: frames[i] }));
    onPicture();
  });
  for (const name of ["t", "schedule"]) view.listen(`change:${name}`, draw);
  for (const name of ["picture_index", "seed", "kind"]) view.listen(`change:${name}`, onPicture);
  view.listen("change:alpha", onAlpha);
  view.later(clock.stop);
  view.later(announcer.close);
  onAlpha();
  draw();
  view.ready();
  return view.close;
}

const maths = { coupledNoise, variances, heavier, stableView, lawOf, codeOf };
export default { render, maths };
