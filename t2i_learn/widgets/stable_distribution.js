// Stable laws by hand: two numbers are dragged; density, draws, running averages and tails are worked out here.

const DRAWS = 10000;
const SHOWN = 500; // draws that stand one after another
const REACH = 8; // half the width of the density's frame
const EDGE = 20; // of the frame of draws
const PARAMS = [["S0", "S0, nothing jumps"], ["S1", "S1, the shorter formula"]];

const drawsOf = ({ u, w }, alpha, beta, param) => u.map((v, i) => chambers(v, w[i], alpha, beta, param));

// Mean and variance of the first n draws, for n = 1, 2, ... -> two arrays like x
function runningMoments(x) {
  let [sum, squares] = [0, 0];
  const [mean, variance] = [new Float64Array(x.length), new Float64Array(x.length)];
  for (let i = 0; i < x.length; i++) {
    sum += x[i];
    squares += x[i] * x[i];
    mean[i] = sum / (i + 1);
    variance[i] = squares / (i + 1) - mean[i] * mean[i];
  }
  return { mean, variance };
}

// The largest draw's part in the sum of all squares.
function shareOfLargest(x) {
  let [most, all] = [0, 0];
  for (const v of x) {
    most = Math.max(most, v * v);
    all += v * v;
  }
  return most / all;
}

// Mean of the law, where it has one: only for alpha above 1.
const meanOf = (alpha, beta, param) => (alpha <= 1 ? NaN : param === "S0" ? -skewOf(alpha, beta) : 0);

// The Python that makes what is on the screen.
function codeOf({ alpha, beta, param, seed }) {
  return [
    "import torch",
    "from t2i_learn.core.show import show_curves",
    "from t2i_learn.stable.distribution import chambers_mallows_stuck, stable_pdf, uniform_and_exponential",
    "from t2i_learn.widgets.stable_distribution import running_moments",
    "",
    `alpha, beta, param = ${alpha}, ${beta}, "${param}"`,
    `x = chambers_mallows_stuck(*uniform_and_exponential((${DRAWS},), torch.Generator().manual_seed(${seed})), alpha, beta, param)`,
    "mean, variance = running_moments(x)",
    `at = torch.linspace(-${REACH}, ${REACH}, 321)`,
    'show_curves({"density": stable_pdf(at, alpha, beta, param)}, at, "x", "density")',
    'show_curves({"running variance": variance}, xlabel="draws", log=True)',
  ].join("\n");
}

// ---- what is on the screen ----

function askAboutOne() {
  return question({
    ask: "Take β = 1 and S1, and let α go from 1.2 to 0.8. Where does the density go?",
    choices: ["it stays, only its tail grows", "off to the left, and back from the right", "it becomes narrower and narrower"],
    answer:
      "Off to the left, and back from the right. In S1 the law is shifted by β tan(πα/2). This shift goes to −∞ as α falls to 1, and comes back from +∞ below 1. At 1 itself S1 has another formula, and the law stands in the middle. S0 has no such shift: choose S0 and go through 1 again.",
  });
}

function densityChart() {
  const node = el("div", {});
  let [top, axes, lines] = [0, null, {}];
  function grow(height) {
    const wanted = [0.4, 0.8, 1.6, 3.2].find((v) => v >= height) || 6.4;
    if (wanted === top) return;
    top = wanted;
    const label = "Density of the stable law, with a histogram of the draws and the normal density";
    axes = chart({ width: 464, height: 250, x: [-REACH, REACH], y: [0, top], xticks: [-8, -4, 0, 4, 8], yticks: [0, top / 2, top], xlabel: "x", ylabel: "density", label });
    lines = Object.fromEntries([["bars", "stable-distribution-bars"], ["normal", "two"], ["law", "stable-distribution-law"]].map(([name, look]) => [name, axes.add("path", { class: look })]));
    node.replaceChildren(axes.node);
  }
  return {
    node,
    show(heights, law, normal) {
      grow(Math.max(...law));
      const width = (2 * REACH) / heights.length;
      const steps = Array.from(heights).flatMap((h, i) => [-REACH + i * width, -REACH + (i + 1) * width].map((x) => [x, Math.min(h, top)]));
      const along = (values) => axes.line(Array.from(values, (v, i) => [-REACH + (2 * REACH * i) / (values.length - 1), Math.min(Math.max(v, 0), top)]));
      update(lines.bars, { d: axes.line([[-REACH, 0], ...steps, [REACH, 0]]) });
      update(lines.law, { d: along(law) });
      update(lines.normal, { d: along(normal) });
    },
  };
}

function drawsChart() {
  const label = `The first ${SHOWN} draws, one after another; those beyond ${EDGE} are cut, and marked`;
  const axes = chart({ width: 310, height: 190, x: [0, SHOWN], y: [-EDGE, EDGE], xticks: [0, SHOWN], yticks: [-EDGE, 0, EDGE], xlabel: "number of the draw", ylabel: "value", label });
  const [spikes, marks] = [axes.add("path", { class: "stable-distribution-spikes" }), axes.add("path", { class: "stable-distribution-marks" })];
  const spike = (v, i) => `M${axes.X(i).toFixed(1)},${axes.Y(0)}V${axes.Y(Math.min(EDGE, Math.max(-EDGE, v))).toFixed(1)}`;
  const mark = (v, i) => (Math.abs(v) > EDGE ? `M${(axes.X(i) - 3).toFixed(1)},${axes.Y(Math.sign(v) * EDGE)}h6` : "");
  return {
    node: axes.node,
    show(x) {
      const first = Array.from(x.subarray(0, SHOWN));
      update(spikes, { d: first.map(spike).join("") });
      update(marks, { d: first.map(mark).join("") });
    },
  };
}

// A running average over the logarithm of the number of draws. Values pass through `scale` and are cut to the frame.
function runningChart({ y, yticks, ytext, label, ylabel, left = 38, scale = (v) => v }) {
  const last = Math.log10(DRAWS);
  const axes = chart({ width: 310, height: 190, x: [0, last], y, xticks: [0, 1, 2, 3, 4], yticks, xtext: powerOfTen, ytext, left, xlabel: "draws", ylabel, label });
  const [level, line] = [axes.add("path", { class: "two" }), axes.add("path", { class: "one" })];
  const at = Array.from({ length: 241 }, (_, k) => Math.round(10 ** ((last * k) / 240)));
  const cut = (v) => Math.min(y[1], Math.max(y[0], v));
  return {
    node: axes.node,
    show(values, truth) {
      update(line, { d: axes.line([...new Set(at)].map((n) => [Math.log10(n), cut(scale(values[n - 1]))])) });
      update(level, { d: Number.isFinite(truth) ? axes.line([[0, cut(scale(truth))], [last, cut(scale(truth))]]) : "" });
    },
  };
}

function render({ model, el: host }) {
  const view = stage(model, host, "Stable laws");
  const get = (name) => model.get(name);
  const put = (name, value) => model.set(name, value); // other views follow; nothing is sent to the kernel
  let made = { seed: -1 };

  const alpha = slider({ label: "Stability α", min: 0.5, max: 2, step: 0.05, value: get("alpha"), valuetext: (a) => (a === 2 ? "2, normal" : a === 1 ? "1" : a.toFixed(2)), oninput: (a) => put("alpha", Number(a.toFixed(2))) });
  const beta = slider({ label: "Skewness β", min: -1, max: 1, step: 0.05, value: get("beta"), valuetext: (b) => number(Number(b.toFixed(2))), oninput: (b) => put("beta", Number(b.toFixed(2))) });
  const param = picker({ label: "Convention", options: PARAMS, value: get("param"), onchange: (v) => put("param", v) });
  const fresh = button({ label: "New draws", title: "Another seed", onclick: () => put("seed", (get("seed") + 1) % 2 ** 31) });

  const curve = densityChart();
  const tails = tailChart({
    width: 464, height: 250, x: [-1, 4], low: -4, xlabel: "size x", label: "Share of the draws above x, and below minus x, both axes logarithmic",
    names: { lawRight: "stable-distribution-law", lawLeft: "stable-distribution-law", left: "two", right: "one" },
  });
  const draws = drawsChart();
  const mean = runningChart({ y: [-3, 3], yticks: [-3, 0, 3], label: "Running mean of the draws; dashed the law's own, where it has one", ylabel: "mean" });
  const variance = runningChart({
    y: [-1, 7], yticks: [-1, 1, 3, 5, 7], ytext: powerOfTen, left: 54, ylabel: "variance", scale: (v) => Math.log10(Math.max(v, 1e-9)),
    label: "Running variance of the draws, logarithmic; dashed the law's own, which is finite at α = 2 only",
  });
  const facts = el("p", { class: "t2i-status stable-distribution-facts" });
  const announcer = liveRegion();
  const named = (node, width, words) => el("figure", { class: "t2i-figure stable-distribution-figure", style: `width: ${width}px` }, node, el("figcaption", {}, words));
  view.body.append(
    askAboutOne().node,
    el("div", { class: "t2i-row" }, alpha.node, beta.node),
    el("div", { class: "t2i-row" }, param.node, fresh, facts),
    el("div", { class: "t2i-row top" },
      named(curve.node, 464, `Thin: the density. Bars: the draws. Dashed: the normal law of this scale. Values beyond ±${REACH} are not shown.`),
      named(tails.node, 464, "Line: to the right. Dashed: to the left. Thin: the law. Sizes outside 0.1 to 10,000 and shares below 0.0001 are not shown.")),
    el("div", { class: "t2i-row top" },
      named(draws.node, 310, `The first ${SHOWN} draws. Those beyond ±${EDGE} are cut at the edge and marked.`),
      named(mean.node, 310, "Mean of the first n draws. Beyond ±3 it is drawn at the edge."),
      named(variance.node, 310, "Variance of the first n draws. Below 0.1 and above 10,000,000 it is drawn at the edge.")),
    copyButton(copied),
    announcer.node,
  );
  function copied() {
    put("code", codeOf({ alpha: get("alpha"), beta: get("beta"), param: get("param"), seed: get("seed") }));
    model.save_changes(); // the kernel learns where the page stands
    return get("code");
  }

  const draw = eachFrame(() => {
    const law = [get("alpha"), get("beta"), get("param")];
    if (made.seed !== get("seed")) made = { seed: get("seed"), ...anglesAndWaits(twister(get("seed")), DRAWS) };
    const x = drawsOf(made, ...law);
    curve.show(histogram(x, -REACH, REACH, 80), density(-REACH, REACH / 160, 321, ...law), density(-REACH, REACH / 160, 321, 2, 0, "S1", 600));
    onTails(x, law);
    const running = runningMoments(x);
    draws.show(x);
    mean.show(running.mean, meanOf(...law));
    variance.show(running.variance, law[0] === 2 ? 2 : NaN);
    const [m, v] = [running.mean, running.variance].map((values) => number(values[DRAWS - 1]));
    facts.textContent = `${DRAWS.toLocaleString("en")} draws: mean ${m}, variance ${v}; the largest makes up ${number(100 * shareOfLargest(x), 2)}% of the squares.`;
    announcer.say(`α ${number(law[0])}, β ${number(law[1])}, ${law[2]}. ${facts.textContent}`);
  });
  function onTails(x, [a, b, p]) {
    tails.show("right", tailOf(x.filter((v) => v > 0), 160, x.length));
    tails.show("left", tailOf(x.filter((v) => v < 0).map((v) => -v), 160, x.length));
    const at = Array.from({ length: 61 }, (_, k) => -1 + k / 12);
    const sizes = at.map((k) => 10 ** k);
    const points = (shares) => at.map((k, i) => [k, Math.log10(shares[i])]);
    tails.show("lawRight", points(survival(sizes, a, b, p)));
    tails.show("lawLeft", points(survival(sizes, a, -b, p))); // the mirrored law
  }
  function follow() {
    alpha.set(get("alpha"));
    beta.set(get("beta"));
    param.set(get("param"));
    draw();
  }
  for (const name of ["alpha", "beta", "param", "seed"]) view.listen(`change:${name}`, follow);
  view.later(draw.cancel);
  view.later(announcer.close);
  follow();
  view.ready();
  return view.close;
}

const maths = { drawsOf, runningMoments, shareOfLargest, codeOf };
export default { render, maths };
