// The GAN lab: two networks are trained in the kernel on points; each step is shown here, and earlier ones can be looked at again.

const DATA = [["clusters", "eight modes"], ["grid", "twenty-five modes"], ["moons", "two moons"], ["rings", "two rings"], ["drawing", "your own drawing"]];
const GAN_LOSSES = ["minimax", "non-saturating", "wasserstein", "hinge", "relativistic"];
const PENALTY = { wasserstein: "unit slope", relativistic: "zero slope" }; // what the penalty of a loss asks for
const WEIGHTS = [0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
const SHOWS = ["surface", "arrows", "grid", "real points"];
const COORDINATE_LIMIT = 5; // the largest coordinate that is sent
const ARROW_LIMIT = 4; // the longest arrow, in units of their mean
const SIGNED = ["#0072b2", "#ffffff", "#e69f00"]; // taken for generated, undecided, taken for real
const PURPLE = "#cc79a7"; // of the arrows
const MOST_MOMENTS = 400; // that a page looks back on

// Numbers out of 16-bit integers.
function unpacked(data, limit) {
  return Float32Array.from(new Int16Array(bytes(data).slice().buffer), (v) => (v * limit) / 32767);
}

// A row of points as lines of so many points each.
function linesOf(points, fine) {
  const pairs = Array.from({ length: points.length / 2 }, (_, i) => [points[2 * i], points[2 * i + 1]]);
  return Array.from({ length: pairs.length / fine }, (_, k) => pairs.slice(k * fine, (k + 1) * fine));
}

// A learning rate for a place of its slider, which is the power of ten; two digits.
const rateOf = (power) => Number((10 ** power).toPrecision(2));
const powerOf = (rate) => Math.log10(Math.max(rate, 1e-6));

// A message and its bytes, ready to be drawn.
function momentOf(content, [fake, arrows, surface, warp]) {
  const [points, vectors] = [unpacked(fake, COORDINATE_LIMIT), unpacked(arrows, ARROW_LIMIT)];
  return { ...content, fake: points, arrows: vectors, surface: Array.from(bytes(surface), (v) => v / 255), warp: linesOf(unpacked(warp, COORDINATE_LIMIT), 24) };
}

function factsOf(moment) {
  const facts = [`step ${moment.step}`, moment.words];
  if (moment.d_loss !== undefined) facts.push(`discriminator's loss ${number(moment.d_loss)}`);
  if (moment.g_loss !== undefined) facts.push(`generator's loss ${number(moment.g_loss)}`);
  if (moment.auc !== undefined) facts.push(`${Math.round(100 * moment.auc)}% of pairs ranked right`);
  return facts.join(" · ");
}

// Curves of numbers that the moments hold under some names; the first is blue, the second orange and dashed.
function curvesOf(moments, names, { label, ylabel, bounds = null }) {
  const held = moments.flatMap((m) => names.map((name) => m[name])).filter((v) => v !== undefined);
  const low = bounds ? bounds[0] : Math.min(0, ...held);
  const high = bounds ? bounds[1] : Math.max(low + 0.1, ...held);
  const last = Math.max(1, moments.length ? moments.at(-1).step : 1);
  const ticks = [low, ...(low < 0 && high > 0 ? [0] : []), ...(bounds ? [(low + high) / 2] : []), high];
  const drawn = chart({ width: 420, height: 150, x: [0, last], y: [low, high], xticks: [0, last], yticks: ticks, xlabel: "step", ylabel, label });
  names.forEach((name, i) => {
    const points = moments.filter((m) => m[name] !== undefined).map((m) => [m.step, m[name]]);
    drawn.add("path", { class: ["one", "two"][i], d: drawn.line(points) });
  });
  return drawn;
}

function askAboutMomentum() {
  return question({
    ask: "Most trainings use momentum 0.9. With data of eight modes and the relativistic loss, how many modes does the generator cover after 600 steps?",
    choices: ["all eight", "about half", "only a few"],
    answer: "Only a few: two of eight in the comparison on the page of this widget. Momentum keeps a part of the last directions, but the other network has changed the right direction meanwhile. So the points run past the modes. Set Momentum to 0.9, press Reset and Train. Then compare with momentum 0, where all eight are covered.",
  });
}

function render({ model, el: host }) {
  const view = stage(model, host, "GAN lab");
  const get = (name) => model.get(name);
  let run = { centres: [], radius: 0, real: [] };
  let moments = [];
  let following = true; // the newest moment is shown
  let waiting = ""; // "reset" or "rates", a moment before it is asked for
  let timer = 0;

  // -- what is asked of the kernel
  const NAMES = ["data", "points", "gan_loss", "weight", "d_steps", "seed", "lr", "d_lr", "beta1", "every"];
  const send = (content) => view.send({ ...content, fps: calm() ? 2 : 20, settings: Object.fromEntries(NAMES.map((name) => [name, get(name)])) });
  const newest = () => {
    following = true;
    if (moments.length) player.set(moments.length - 1);
  };
  // What a control asks for when it has come to rest: a slider that is dragged asks once. A reset takes the rates along.
  function soon(type, name, value) {
    model.set(name, value);
    waiting = waiting === "reset" ? "reset" : type;
    clearTimeout(timer);
    timer = setTimeout(flush, 150);
  }
  function flush() {
    clearTimeout(timer);
    if (waiting) send({ type: waiting });
    waiting = "";
  }
  const rule = (name, value) => soon("reset", name, value);
  const rate = (name, value) => soon("rates", name, value);
  function ask(content) {
    flush();
    newest();
    send(content);
  }

  // -- controls
  const data = picker({ label: "Data", options: DATA, value: get("data"), onchange: (v) => rule("data", v) });
  const ganLoss = picker({ label: "Loss", options: GAN_LOSSES, value: get("gan_loss"), onchange: (v) => rule("gan_loss", v) });
  const weight = picker({ label: "Penalty", options: WEIGHTS.map((w) => [String(w), w ? number(w) : "none"]), value: String(get("weight")), onchange: (v) => rule("weight", Number(v)) });
  const reseed = button({ label: "New seed", title: "Begin again with other weights, batches and noise", onclick: () => rule("seed", (get("seed") + 1) % 2 ** 32) });
  const rates = [["lr", "Learning rate of G"], ["d_lr", "Learning rate of D"]].map(([name, label]) => [name,
    slider({ label, min: -5, max: 0, step: 0.25, value: powerOf(get(name)), valuetext: (v) => number(rateOf(v), 2), oninput: (v) => rate(name, rateOf(v)) })]);
  const beta1 = slider({ label: "Momentum", min: 0, max: 0.95, step: 0.05, value: get("beta1"), oninput: (v) => rate("beta1", v) });
  const dSteps = slider({ label: "Updates of D a step", min: 1, max: 10, step: 1, value: get("d_steps"), oninput: (v) => rule("d_steps", v) });
  const every = picker({ label: "Show every", options: [1, 5, 10, 50].map((n) => [String(n), n === 1 ? "step" : `${n} steps`]), value: String(get("every")), onchange: (v) => pace(Number(v)) });
  const shows = SHOWS.map((name) => tick({ label: name, value: true, title: `Show the ${name}`, onchange: () => draw() }));
  const stepD = button({ label: "Step D", title: "One update of the discriminator: the surface changes, the points stay", onclick: () => ask({ type: "step", network: "discriminator" }) });
  const stepG = button({ label: "Step G", title: "One update of the generator: the points move, the surface stays", onclick: () => ask({ type: "step", network: "generator" }) });
  const both = button({ label: "Step both", title: "The discriminator's updates, then the generator's", onclick: () => ask({ type: "step", network: "both" }) });
  const train = button({ label: "Train", title: "Step after step, until you stop it", kind: "main", onclick: () => (get("running") ? view.send({ type: "stop" }) : ask({ type: "play" })) });
  const restart = button({ label: "Reset", title: "Begin again with the same seed", onclick: () => ask({ type: "reset" }) });
  const undo = button({ label: "Undo", title: "Take back the last point", onclick: () => rule("points", get("points").slice(0, -1)) });
  const wipe = button({ label: "Clear", title: "Take all points away", onclick: () => rule("points", []) });
  const tools = el("div", { class: "t2i-row" }, undo, wipe, el("span", { class: "t2i-note" }, "Draw in the plane with the mouse; or go there with Tab, move with the arrow keys, put a point with Space, take it back with Backspace."));
  const facts = el("p", { class: "t2i-status gan-lab-facts" });
  const notes = el("p", { class: "t2i-note", role: "status" });
  const announcer = liveRegion();
  const where = panel("The plane");
  const losses = el("div", {});
  const ranked = el("div", {});
  const player = playback({ frames: 0, fps: 10, label: "Look back", valuetext: (i) => (moments[i] ? `step ${moments[i].step}` : "–"), onframe: (i) => {
    following = i >= moments.length - 1;
    draw();
  } });
  const pen = sketch(view, where, {
    active: () => get("data") === "drawing" && !view.offline,
    get: () => get("points"),
    set: (points) => rule("points", points),
    say: (text) => announcer.say(text),
    redraw: () => draw(),
    full: view.complain,
  });
  function pace(steps) {
    model.set("every", steps);
    send({ type: "settings" });
  }

  // -- what is shown
  const on = (name) => shows[SHOWS.indexOf(name)].value;
  const draw = eachFrame(() => {
    const moment = moments[player.index];
    where.clear("#ffffff");
    if (moment) scene(moment);
    pen.draw();
  });
  function scene(moment) {
    if (on("surface")) where.heat(moment.surface, 36, SIGNED);
    if (on("grid")) where.lines(moment.warp, "#00000066", 0.8);
    rings(moment);
    if (on("real points")) where.dots(run.real, 1, "#000000", 1.7);
    where.dots(moment.fake, 1, "#009e73", 2.8, "#00332699");
    if (on("arrows")) where.arrows(moment.fake, moment.arrows, 15, PURPLE);
    facts.textContent = factsOf(moment);
    where.caption.textContent = `Black: real points, green: generated points. Orange surface: taken for real; blue: taken for generated; strongest at 2.5 standard deviations or more. ${outsideText(moment.fake, 1, "generated point")}`;
    where.canvas.setAttribute("aria-label", `The plane, ${get("gan_loss")} loss, ${factsOf(moment)}`);
    announcer.say(factsOf(moment));
    const seen = moments.slice(0, player.index + 1);
    losses.replaceChildren(curvesOf(seen, ["d_loss", "g_loss"], { ylabel: "loss", label: "Losses: the discriminator's as a line, the generator's dashed" }).node);
    ranked.replaceChildren(curvesOf(seen, ["auc"], { ylabel: "ranked right", bounds: [0, 1], label: "Share of pairs that the discriminator ranks right; one half is even" }).node);
  }
  // Around each mode a circle: whole when it is found.
  function rings(moment) {
    const { context } = where;
    context.strokeStyle = "#000000aa";
    run.centres.forEach(([x, y], k) => {
      const found = moment.mass[k] >= 0.25;
      context.lineWidth = found ? 1.6 : 0.8;
      context.setLineDash(found ? [] : [2, 4]);
      context.beginPath();
      context.arc(...toScreen(x, y), PIXEL(run.radius) - PIXEL(0), 0, 2 * Math.PI);
      context.stroke();
    });
    context.setLineDash([]);
  }

  // -- what follows from what
  function follow() {
    for (const [control, name] of [[data, "data"], [ganLoss, "gan_loss"]]) control.set(get(name));
    if (!WEIGHTS.includes(get("weight"))) weight.options([...WEIGHTS, get("weight")].map((w) => [String(w), w ? number(w) : "none"]));
    weight.set(String(get("weight")));
    weight.select.title = PENALTY[get("gan_loss")] ? `The discriminator's slope is asked for: ${PENALTY[get("gan_loss")]}` : "This loss has no penalty";
    for (const [name, control] of rates) control.set(powerOf(get(name)));
    for (const [control, name] of [[beta1, "beta1"], [dSteps, "d_steps"]]) control.set(get(name));
    every.set(String(get("every")));
    const drawing = get("data") === "drawing";
    tools.hidden = !drawing;
    where.canvas.tabIndex = drawing ? 0 : -1;
    where.canvas.setAttribute("role", drawing && !view.offline ? "application" : "img");
    train.textContent = get("running") ? "Stop" : "Train";
    notes.textContent = view.offline ? "A recording: to train, open the notebook." : get("warnings") || "";
    notes.hidden = !notes.textContent;
    const controls = [data.select, ganLoss.select, weight.select, reseed, ...rates.map(([, c]) => c.input), beta1.input, dSteps.input, every.select, stepD, stepG, both, train, restart, undo, wipe];
    for (const control of controls) control.disabled = view.offline;
    if (!view.offline) {
      weight.select.disabled = !PENALTY[get("gan_loss")];
      undo.disabled = wipe.disabled = !get("points").length;
    }
    draw();
  }
  view.listen("msg:custom", (content, buffers) => {
    if (content.type === "run") {
      run = { ...content, real: unpacked(buffers[0], COORDINATE_LIMIT) };
      moments = [];
      following = true;
    }
    if (content.type === "moment") {
      moments = [...moments, momentOf(content, buffers)].slice(-MOST_MOMENTS);
      if (following) player.frames(moments, moments.length - 1);
      else player.frames(moments);
      draw();
    }
  });
  for (const name of [...NAMES, "running", "warnings"]) view.listen(`change:${name}`, follow);
  view.later(() => clearTimeout(timer));
  view.later(player.close);
  view.later(announcer.close);
  view.later(draw.cancel);

  view.body.append(
    askAboutMomentum().node,
    el("div", { class: "t2i-row" }, data.node, ganLoss.node, weight.node, reseed),
    el("div", { class: "t2i-row" }, ...rates.map(([, control]) => control.node)),
    el("div", { class: "t2i-row" }, beta1.node, dSteps.node),
    el("div", { class: "t2i-row" }, stepD, stepG, both, train, restart, every.node),
    tools,
    facts,
    notes,
    el("div", { class: "t2i-row top" },
      el("div", { class: "t2i-column" }, where.node, el("div", { class: "points-shows" }, shows.map((s) => s.node))),
      el("div", { class: "t2i-column gan-lab-curves" }, losses, el("p", { class: "t2i-note" }, "Line: the discriminator's loss; dashed: the generator's."), ranked, el("div", { class: "t2i-row" }, player.node))),
    copyButton(() => (moments[player.index] ? moments[player.index].code : get("code"))),
    announcer.node,
  );
  follow();
  view.ready();
  return view.close;
}

const maths = { unpacked, linesOf, rateOf, powerOf };
export default { render, maths };
