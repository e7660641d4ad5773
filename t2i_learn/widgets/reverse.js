// The reverse process: the steps of one drawing or two on one timeline.

const HOLDS = [0, 114, 178, 255]; // blue: a part of the prompt holds
const HOLDS_NOT = [128, 128, 128, 70];

// What one trajectory shows: three pictures, what is read in them, and a track of all its steps. -> {node, clear(about), ...}
function trajectoryView(view, name, go) {
  const titles = ["noisy picture", "predicted picture", "predicted noise"];
  const captions = ["x_t: what the model is given", "x̂0: the picture it predicts", "ε̂: the noise it predicts"];
  const panels = titles.map((title, i) => picture(32, 32, `${name}: ${title}`, { zoom: 5, caption: captions[i] }));
  const heading = el("h4", {});
  const reading = el("p", {});
  const verdict = el("p", { class: "t2i-note" });
  const margins = el("p", { class: "t2i-note" });
  const strip = picture(32, 32, `${name}: all predicted pictures`, { zoom: 1 });
  const track = el("div", { class: "t2i-track" });
  const node = el("section", { class: "t2i-trajectory", "aria-label": `Trajectory ${name}`, hidden: true }, heading,
    el("div", { class: "t2i-row top" }, panels.map((p) => p.node), el("div", { class: "t2i-says" }, reading, verdict, margins)), track);
  let trajectory = null;
  let marks = [];
  function cells(canvas) {
    canvas.style.width = "100%";
    const mark = el("div", { class: "mark" });
    marks.push(mark);
    canvas.addEventListener("click", (e) => go(Math.floor((e.offsetX / canvas.clientWidth) * trajectory.steps), trajectory.steps));
    return el("div", { class: "cells" }, canvas, mark);
  }
  function layTrack() {
    marks = [];
    const rows = trajectory.clauses.map((clause) => {
      const { holds } = clause;
      const text = `${clause.words}: ${sinceWhen(clause)}`;
      const bar = picture(trajectory.steps, 1, `${text}; holds at ${holds.filter(Boolean).length} of ${holds.length} steps`, { zoom: 1 });
      bar.canvas.className = "bar";
      const colours = Array.from({ length: trajectory.steps }, (_, k) => (holds[k] ? HOLDS : HOLDS_NOT));
      bar.draw(Uint8Array.from(colours.flat()));
      return [el("span", {}, text), cells(bar.canvas)];
    });
    track.replaceChildren(...[el("span", { class: "t2i-note" }, "every step's x̂0"), cells(strip.canvas)], ...rows.flat());
  }
  // From which step on a clause holds until the last step so far.
  function sinceWhen({ settling_step: settled, holds, notes }) {
    if (settled !== null) return `from step ${settled + 1}`;
    if (holds.length < trajectory.steps) return "not yet";
    return notes.at(-1) ? "not plainly enough at the end" : "not at the end";
  }
  return {
    node,
    sinceWhen,
    get trajectory() {
      return trajectory;
    },
    clear(about) {
      trajectory = about && { ...about, frames: [], texts: [], clauses: [], side: 0 };
      node.hidden = !trajectory;
      if (!trajectory) return;
      const left = trajectory.fork_step === null ? "" : `, left A at step ${trajectory.fork_step + 1}`;
      heading.textContent = `${name}: ${trajectory.title}${left}`;
      [reading, verdict, margins].forEach((p) => p.replaceChildren());
      panels.forEach((p) => p.clear());
      layTrack();
    },
    step({ step, sigma, side }, frames) {
      if (trajectory.side !== side) {
        trajectory.side = side;
        panels.forEach((p) => p.resize(side, side));
        strip.resize(side, side);
        strip.canvas.width = side * trajectory.steps;
      }
      trajectory.frames[step] = { sigma, frames };
      paint(strip.canvas, side, frames[1], side * step);
      strip.label(`${name}: the predicted pictures of steps 1 to ${trajectory.frames.length}`);
    },
    read({ step, text }) {
      trajectory.texts[step] = text;
    },
    verdicts({ clauses, in_grammar: inGrammar }) {
      trajectory.clauses = clauses;
      trajectory.inGrammar = inGrammar;
      layTrack();
    },
    show(step) {
      const at = Math.min(step, trajectory.frames.length - 1);
      const shown = trajectory.frames[at];
      marks.forEach((mark) => {
        mark.style.left = `${(100 * at) / trajectory.steps}%`;
        mark.style.width = `${100 / trajectory.steps}%`;
      });
      if (!shown) return;
      shown.frames.forEach((data, i) => panels[i].draw(data));
      const where = `trajectory ${name}, step ${at + 1} of ${trajectory.steps}`;
      reading.textContent = trajectory.texts[at] ? `The oracle reads in the predicted picture: ${trajectory.texts[at]}` : "";
      panels.forEach((p, i) => p.label(`${where}: ${titles[i]}${i === 1 && trajectory.texts[at] ? `. The oracle reads: ${trajectory.texts[at]}` : ""}`));
      const now = trajectory.clauses.filter((c) => c.holds[at]).map((c) => c.words);
      const whose = trajectory.inGrammar ? "What the prompt says and this picture shows" : "The oracle cannot check this prompt; of what it reads at the last step, this picture shows";
      verdict.textContent = trajectory.clauses.length ? `${whose}: ${now.join(", ") || "nothing yet"}.` : "";
      margins.textContent = trajectory.clauses.filter((c) => c.notes[at]).map((c) => `“${c.words}” has the right direction, but ${c.notes[at]}. The oracle accepts a relation only if the first distance is large enough, and plainly larger than the second.`).join(" ");
    },
  };
}

function render({ model, el: host }) {
  const view = stage(model, host, "The reverse process");
  let following = true;
  let byCode = false;

  const draw = drawing(view, model, {
    label: "Draw A", title: "Draw what A says, from noise",
    ask: () => start({ type: "draw", which: "a" }),
  });
  const both = button({ label: "Draw A and B", title: "Draw both from noise, one step of each in turn", onclick: () => draw.send(start({ type: "draw", which: "ab" })) });
  const fork = button({ label: "Go on from A", title: "From this step of A on, go on with what B says", onclick: () => draw.send(start({ type: "fork", step: stepOf(shows.a.trajectory) })) });
  const enter = () => draw.draw.click();
  const forms = {
    a: settingsForm(view, model, "a", { legend: "A", onenter: enter, buttons: [draw.draw] }),
    b: settingsForm(view, model, "b", { legend: "B: beside A, or from a step of A on", onenter: () => both.click(), buttons: [both, fork] }),
  };
  function start(message) {
    return { ...message, a: forms.a.values(), b: forms.b.values() };
  }

  const shows = { a: trajectoryView(view, "A", goTo), b: trajectoryView(view, "B", goTo) };
  const open = () => Object.values(shows).filter((one) => one.trajectory);
  const length = () => Math.max(1, ...open().map((one) => one.trajectory.steps));
  const player = playback({
    frames: 1, label: "Step", fps: 6,
    valuetext: (i) => {
      const a = shows.a.trajectory;
      const shown = a && a.frames[scaled(i, a)];
      if (!shown) return `${i + 1} of ${length()}`;
      return `${i + 1} of ${length()}, noise level ${number(shown.sigma)}, log SNR ${number(-2 * Math.log(shown.sigma))}`;
    },
    onframe: (i) => {
      if (!byCode) following = false;
      show(i);
    },
  });
  // Two drawings of different lengths run side by side: the same part of each way.
  function scaled(i, trajectory) {
    return length() > 1 ? Math.round((i * (trajectory.steps - 1)) / (length() - 1)) : 0;
  }
  function stepOf(trajectory) {
    return trajectory ? Math.min(scaled(player.index, trajectory), Math.max(0, trajectory.frames.length - 1)) : 0;
  }
  function show(i) {
    open().forEach((one) => one.show(scaled(i, one.trajectory)));
    const a = shows.a.trajectory;
    fork.disabled = view.offline || !a || !a.frames.length;
    fork.textContent = a && a.frames.length ? `Go on from step ${stepOf(a) + 1} of A` : "Go on from A";
  }
  function jump(i) {
    byCode = true;
    player.set(i);
    byCode = false;
  }
  function goTo(step, steps) {
    following = false;
    jump(steps > 1 ? Math.round((step * (length() - 1)) / (steps - 1)) : 0);
  }
  const repaint = eachFrame(() => jump(player.index));

  view.listen("msg:custom", (content, buffers) => {
    const of = shows[content.trajectory];
    if (content.type === "trajectories") {
      following = true;
      for (const name of ["a", "b"]) content.names.includes(name) || shows[name].clear(null);
    }
    if (content.type === "trajectory") {
      if (content.trajectory === "a") ask.reset();
      of.clear(content);
      player.frames(length(), Math.min(player.index, length() - 1));
      showOrHide();
    }
    if (!of || !of.trajectory) return;
    if (content.type === "step") {
      of.step(content, decodeFrames(buffers));
      draw.progress(`${content.trajectory.toUpperCase()}: step ${content.step + 1} of ${of.trajectory.steps}`);
      const { steps } = of.trajectory;
      if (following) jump(length() > 1 && steps > 1 ? Math.round((content.step * (length() - 1)) / (steps - 1)) : 0);
    }
    if (content.type === "reading") of.read(content);
    if (content.type === "verdicts") {
      of.verdicts(content);
      ask.update();
    }
    if (content.type !== "step") repaint();
  });
  function showOrHide() {
    const any = open().length > 0;
    player.node.style.visibility = any ? "visible" : "hidden";
    if (!any) draw.progress("Nothing is drawn yet.");
  }
  view.listen("change:running", () => {
    const a = shows.a.trajectory;
    if (model.get("running") || !a) return;
    const stopped = open().some((one) => one.trajectory.frames.length < one.trajectory.steps);
    draw.progress(stopped ? `Stopped after step ${a.frames.length} of ${a.steps}.` : `Done in ${a.steps} steps.`);
  });

  // The answer is read from the bars of A.
  function answerOf() {
    const a = shows.a.trajectory;
    if (!a || a.frames.length < a.steps || a.texts.length < a.steps) return "Draw A to its end: the answer is read from its steps.";
    if (!a.inGrammar) return "The oracle cannot check this prompt: compare the pictures of the steps yourself.";
    const parts = a.clauses.map((c) => `${c.words} ${shows.a.sinceWhen(c)}`).join("; ");
    const last = Math.max(...a.clauses.map((c) => (c.settling_step === null ? Infinity : c.settling_step)));
    const third = ["the first third", "the middle third", "the last third"][Math.floor((3 * last) / a.steps)];
    const whole = Number.isFinite(last) ? `So everything holds from step ${last + 1} of ${a.steps} on: in ${third}.` : "So, for the oracle, this drawing does not show everything that its prompt says.";
    return `In drawing A: ${parts}. ${whole}`;
  }
  const ask = question({
    ask: "From when on does the predicted picture of A show everything that its prompt says: from a step in the first third, in the middle third, or in the last third?",
    choices: ["first third", "middle", "last third"],
    answer: answerOf,
  });
  if (view.offline) [forms.a, forms.b].forEach((form) => form.enable(false));
  both.disabled = view.offline;
  view.body.append(ask.node, el("div", { class: "t2i-row top" }, forms.a.node, forms.b.node), draw.node, el("div", { class: "t2i-row" }, player.node), shows.a.node, shows.b.node,
    copyButton(() => model.get("code")));
  view.later(player.close);
  view.later(repaint.cancel);
  showOrHide();
  show(0);
  view.ready();
  return view.close;
}

export default { render };
