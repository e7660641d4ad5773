// The learned coefficient: a small training in the kernel, and the curve that changes with it; earlier steps can be looked at again.

const STEPS = [["4", "4"], ["16", "16"], ["64", "64"], ["0", "infinitely many"]];
const FRAME = [-16, 8]; // of g in the chart
const BITS = [5.5, 12]; // of the bound in the chart
const MOST_MOMENTS = 400; // that a page looks back on
const NAMES = ["steps", "alpha", "low", "high", "learn_ends", "seed"];

// g(t) of the two classical interiors between two ends (Nichol and Dhariwal 2021, eq. 17, for the second).
const linearSchedule = (t, low, high) => low + (high - low) * t;
function cosineSchedule(t, low, high) {
  const [first, last] = [low, high].map((g) => Math.atan(Math.exp(g / 2)));
  return 2 * Math.log(Math.tan(first + (last - first) * t));
}

// A curve's values at equal times as points; `sign` is -1 for the logarithm of the signal-to-noise ratio.
const along = (values, sign) => Array.from(values, (g, i) => [i / (values.length - 1), sign * g]);
const sampled = (f, low, high, n = 129) => Array.from({ length: n }, (_, i) => f(i / (n - 1), low, high));

function factsOf(moment, total, entropy) {
  const [learned, line, cosine] = moment.bits.map((b) => number(b));
  return [
    `step ${moment.step} of ${total}`,
    `bound ${learned} ± ${number(moment.error, 1)} bits per dimension`,
    `between the same ends a line ${line}, the cosine ${cosine}`,
    `the entropy is ${number(entropy)}`,
    `ends ${number(moment.low)} and ${number(moment.high)}`,
  ].join(" · ");
}

function askAboutEnds() {
  return question({
    ask: "Train 300 steps with T = 16, α = 2, and both ends learned, starting at −13.3 and 5. Where does the upper end go?",
    choices: ["it stays near 5, where the noise hides everything", "down, to about −3", "up, as far as it can"],
    answer:
      "Down, to about −3. There the noise has a standard deviation of 0.22, and the data have 0.33. The prior term costs a little more at this end. But there are only 16 steps, and all of them can now be used at low noise, where they gain more. For a likelihood this is right. A sampler would have to begin with the mean and the spread of the data. Train, and watch the right end of the curve.",
  });
}

// The coefficient over time: pale at earlier moments, bold at this one, beside two fixed interiors between the same ends.
function scheduleChart() {
  const node = el("div", {});
  return {
    node,
    show(moments, index, sign) {
      const y = sign > 0 ? FRAME : [-FRAME[1], -FRAME[0]];
      const ticks = [-16, -12, -8, -4, 0, 4, 8, 12, 16].filter((v) => v >= y[0] && v <= y[1]);
      const axes = chart({
        width: 480, height: 280, x: [0, 1], y, xticks: [0, 0.25, 0.5, 0.75, 1], yticks: ticks, xlabel: "time t, from data to noise",
        ylabel: sign > 0 ? "g = log σ²" : "log SNR = −g", label: "The learned coefficient over time, with a line and the cosine between its ends",
      });
      const cut = (points) => points.map(([t, v]) => [t, Math.min(y[1], Math.max(y[0], v))]);
      const put = (points, look) => axes.add("path", { class: look, d: axes.line(cut(points)) });
      const { low, high, curve } = moments[index];
      const stride = Math.max(1, Math.ceil(index / 16));
      for (let i = 0; i < index; i += stride) put(along(moments[i].curve, sign), "learned-schedule-was");
      put(along(sampled(linearSchedule, low, high), sign), "two");
      put(along(sampled(cosineSchedule, low, high), sign), "learned-schedule-cosine");
      put(along(curve, sign), "learned-schedule-is");
      node.replaceChildren(axes.node);
    },
  };
}

// Bits per dimension over the steps: the learned interior and the two others, and what no code can beat.
function bitsChart() {
  const node = el("div", {});
  return {
    node,
    show(moments, index, total, entropy) {
      const axes = chart({
        width: 440, height: 280, x: [0, Math.max(1, total)], y: BITS, xticks: [0, total], yticks: [6, 7, 8, 9, 10, 11, 12], xlabel: "training step",
        ylabel: "bits per dimension", label: "The bound in bits per dimension while it is trained; thin the entropy",
      });
      const cut = (v) => Math.min(BITS[1], Math.max(BITS[0], v));
      const seen = moments.slice(0, index + 1);
      axes.add("path", { class: "learned-schedule-entropy", d: axes.line([[0, entropy], [total, entropy]]) });
      ["learned-schedule-is", "two", "learned-schedule-cosine"].forEach((look, k) => axes.add("path", { class: look, d: axes.line(seen.map((m) => [m.step, cut(m.bits[k])])) }));
      const { step, bits } = seen.at(-1);
      axes.add("circle", { class: "learned-schedule-mark", r: 4, cx: axes.X(step), cy: axes.Y(cut(bits[0])) });
      node.replaceChildren(axes.node);
    },
  };
}

function render({ model, el: host }) {
  const view = stage(model, host, "Learned coefficient");
  const get = (name) => model.get(name);
  const put = (name, value) => model.set(name, value); // other views follow; the kernel hears of it with the next training
  let start = { total: 1, entropy: 0 };
  let moments = [];
  let following = true; // the newest moment is shown
  let sign = 1;

  // -- controls
  const send = (content) => view.send({ ...content, settings: Object.fromEntries(NAMES.map((name) => [name, get(name)])) });
  const steps = picker({ label: "Steps T", options: STEPS, value: String(get("steps")), onchange: (v) => put("steps", Number(v)) });
  const alpha = slider({ label: "Stability α", min: 1.2, max: 2, step: 0.05, value: get("alpha"), valuetext: (a) => (a === 2 ? "2, normal" : a.toFixed(2)), oninput: (a) => put("alpha", Number(a.toFixed(2))) });
  const ends = [["low", "Lower end", -14, -6], ["high", "Upper end", -4, 6]].map(([name, label, min, max]) => [name,
    slider({ label, min, max, step: 0.1, value: get(name), oninput: (g) => put(name, Number(g.toFixed(1))) })]);
  const learn = tick({ label: "learn the ends", value: get("learn_ends"), title: "Otherwise only the curve between them is learned", onchange: (yes) => put("learn_ends", yes) });
  const reseed = button({ label: "New seed", title: "Other first weights, points and noise", onclick: () => put("seed", (get("seed") + 1) % 2 ** 31) });
  const train = button({ label: "Train", title: "From the beginning, with these settings", kind: "main", onclick: () => (get("running") ? view.send({ type: "stop" }) : begin()) });
  const shows = picker({ label: "Show", options: [["1", "g = log σ²"], ["-1", "log SNR = −g"]], onchange: (v) => turn(Number(v)) });
  const bar = el("progress", { class: "learned-schedule-progress", "aria-label": "Training", max: 1, value: 0 });
  const facts = el("p", { class: "t2i-status learned-schedule-facts" });
  const note = el("p", { class: "t2i-note", role: "status" });
  const announcer = liveRegion({ delay: 1500 });
  const curve = scheduleChart();
  const bits = bitsChart();
  const player = playback({ frames: 0, fps: 10, label: "Look back", valuetext: (i) => (moments[i] ? `step ${moments[i].step}` : "–"), onframe: (i) => {
    following = i >= moments.length - 1;
    draw();
  } });
  function begin() {
    following = true;
    send({ type: "train" });
  }
  function turn(direction) {
    sign = direction;
    draw();
  }

  // -- what is shown
  const draw = eachFrame(() => {
    const moment = moments[player.index];
    if (!moment) return;
    curve.show(moments, player.index, sign);
    bits.show(moments, player.index, start.total, start.entropy);
    facts.textContent = factsOf(moment, start.total, start.entropy);
    announcer.say(facts.textContent);
  });
  function follow() {
    steps.set(String(get("steps")));
    alpha.set(get("alpha"));
    for (const [name, control] of ends) control.set(get(name));
    learn.set(get("learn_ends"));
    train.textContent = get("running") ? "Stop" : "Train";
    bar.max = Math.max(1, get("total"));
    bar.value = get("step");
    note.textContent = view.offline ? "A recording: to train, open the notebook." : "New settings are used when you press Train.";
    for (const control of [steps.select, alpha.input, ...ends.map(([, c]) => c.input), learn.input, reseed, train]) control.disabled = view.offline;
  }
  view.listen("msg:custom", (content, buffers) => {
    if (content.type === "start") {
      start = content;
      moments = [];
      following = true;
    }
    if (content.type === "progress") {
      moments = [...moments, { ...content, curve: floats(buffers[0]) }].slice(-MOST_MOMENTS);
      if (following) player.frames(moments, moments.length - 1);
      else player.frames(moments);
      draw();
    }
  });
  for (const name of [...NAMES, "running", "step", "total"]) view.listen(`change:${name}`, follow);
  view.later(player.close);
  view.later(announcer.close);
  view.later(draw.cancel);

  const named = (node, width, words) => el("figure", { class: "t2i-figure", style: `width: ${width}px` }, node, el("figcaption", {}, words));
  view.body.append(
    askAboutEnds().node,
    el("div", { class: "t2i-row" }, steps.node, alpha.node, learn.node, reseed),
    el("div", { class: "t2i-row" }, ...ends.map(([, control]) => control.node)),
    el("div", { class: "t2i-row" }, train, bar, shows.node, note),
    facts,
    el("div", { class: "t2i-row top" },
      named(curve.node, 480, `Bold: learned; pale: earlier. Dashed: a line. Dotted: the cosine. Values of g outside ${number(FRAME[0])} to ${number(FRAME[1])} are drawn at the edge.`),
      named(bits.node, 440, `The bound for each of the three. Values above ${BITS[1]} and below ${BITS[0]} are drawn at the edge. Thin: the entropy.`)),
    el("div", { class: "t2i-row" }, player.node),
    copyButton(() => (moments[player.index] ? moments[player.index].code : get("code"))),
    announcer.node,
  );
  follow();
  view.ready();
  return view.close;
}

const maths = { linearSchedule, cosineSchedule, along, factsOf };
export default { render, maths };
