// Two stages: a draft, a slider of levels, and the refined picture of each, with what the oracle reads.

function render({ model, el: host }) {
  const view = stage(model, host, "Two stages");
  const levels = () => model.get("levels");
  let steps = 0;
  let prompt = ""; // of what is shown
  let draft = null;
  let found = [];

  const draw = drawing(view, model, {
    label: "Draw", title: "Draw a draft and refine it from every level",
    ask: () => ({ type: "draw", form: form.values() }),
  });
  const form = settingsForm(view, model, "form", {
    legend: "One draft for all levels", onenter: () => draw.draw.click(), buttons: [draw.draw],
  });

  const names = ["draft", "draft under noise", "refined"];
  const panels = names.map((name) => picture(32, 32, name, { zoom: 6, caption: name }));
  const level = slider({
    label: "Refine from level", min: 0, max: levels().length - 1, step: 1, value: model.get("level_index"),
    valuetext: (k) => number(levels()[k]), oninput: choose,
  });
  const strip = el("div", { class: "t2i-row two-stage-levels", role: "group", "aria-label": "Refined pictures, by level" });
  const claims = el("table", { class: "two-stage-claims" });
  const drawnFor = el("p", { class: "t2i-note" });
  const margins = el("p", { class: "t2i-note" });
  const moved = el("p", { class: "t2i-note" });
  const announcer = liveRegion();

  function lay() {
    found = levels().map((value, k) => {
      const canvas = el("canvas", { width: 32, height: 32, "aria-hidden": "true" });
      const node = button({ label: "", title: `from level ${number(value)}`, pressed: k === model.get("level_index"), onclick: () => choose(k) });
      node.append(canvas, el("span", {}, number(value)));
      node.setAttribute("aria-label", `from level ${number(value)}: not drawn yet`);
      return { node, canvas, made: null };
    });
    strip.replaceChildren(...found.map((f) => f.node));
  }
  // A new drawing: what was there is grey, the buttons stay, and with them the focus.
  function forget() {
    draft = null;
    found.forEach((f, k) => {
      f.made = null;
      f.canvas.getContext("2d").clearRect(0, 0, f.canvas.width, f.canvas.height);
      f.node.setAttribute("aria-label", `from level ${number(levels()[k])}: not drawn yet`);
    });
  }
  function choose(k) {
    model.set("level_index", k);
    model.save_changes();
    show();
  }
  const mark = (yes) => el("td", { class: yes ? "yes" : "no" }, yes ? "✓ yes" : "✗ no");
  function show() {
    const k = Math.min(model.get("level_index"), levels().length - 1);
    level.set(k);
    found.forEach((f, i) => press(f.node, i === k));
    const made = found[k].made;
    const value = number(levels()[k]);
    panels[0].caption(draft ? `draft: ${draft.text}` : "draft");
    panels[0].label(draft ? `draft: ${draft.text}` : "draft: not drawn yet");
    panels[1].caption(`draft under noise of level ${value}`);
    panels[2].caption(made ? `refined: ${made.text}` : "refined: not drawn yet");
    panels[1].label(`draft under noise of level ${value}${made ? "" : ": not drawn yet"}`);
    panels[2].label(made ? `refined from level ${value}: ${made.text}` : "refined: not drawn yet");
    const none = new Uint8Array(3 * panels[0].canvas.width ** 2).fill(128);
    panels[0].draw(draft ? draft.frame : none);
    panels[1].draw(made ? made.frames[0] : none);
    panels[2].draw(made ? made.frames[1] : none);
    const inGrammar = !made || made.in_grammar;
    const caption = el("caption", { class: "t2i-hidden" }, "What the oracle accepts, claim by claim");
    const first = inGrammar ? "the prompt says" : "the oracle cannot take this prompt apart; the refined picture shows";
    const head = el("tr", {}, [first, "draft", "refined"].map((text) => el("th", { scope: "col" }, text)));
    const rows = (made ? made.claims : []).map((c) => el("tr", {}, el("th", { scope: "row" }, c.words), c.holds.map(mark)));
    claims.replaceChildren(...(rows.length ? [caption, head, ...rows] : []));
    drawnFor.textContent = steps ? `Drawn for “${prompt}”.` : "";
    margins.textContent = (made ? made.claims : []).flatMap((c) => ["draft", "refined picture"].map((of, i) => c.notes[i] && `“${c.words}” has the right direction in the ${of}, but ${c.notes[i]}.`)).filter(Boolean).join(" ");
    if (margins.textContent) margins.textContent += " The oracle accepts a relation only if the first distance is large enough, and plainly larger than the second.";
    moved.textContent = made ? `From level ${value} the picture differs from its draft by ${number(made.rms_change)} (root mean square).` : "";
    announcer.say(moved.textContent);
  }
  function said(now = null) {
    const count = found.filter((f) => f.made).length;
    const all = `${found.length} level${found.length === 1 ? "" : "s"}`;
    if (!steps) draw.progress("Nothing is drawn yet.");
    else if (count === found.length) draw.progress(`Done: ${all}.`);
    else if (!model.get("running")) draw.progress(`Stopped after ${count} of ${all}.`);
    else draw.progress(`Level ${count + 1} of ${all}${now && now.step ? `, step ${now.step} of ${steps}` : ""}.`);
  }

  view.listen("msg:custom", (content, buffers) => {
    const frames = decodeFrames(buffers);
    if (content.type === "start") {
      steps = content.steps;
      prompt = content.prompt;
      guess.reset();
      forget();
      show();
    }
    if (content.type === "draft") {
      draft = { ...content, frame: frames[0] };
      if (panels[0].canvas.width !== content.side) panels.forEach((p) => p.resize(content.side, content.side));
      show();
    }
    if (content.type === "refinement" && found[content.level_index]) {
      const slot = found[content.level_index];
      slot.made = { ...content, frames };
      thumbnail(slot.canvas, draft.side, frames[1]);
      slot.node.setAttribute("aria-label", `from level ${number(levels()[content.level_index])}: ${content.text}`);
      if (content.level_index === model.get("level_index")) show();
      guess.update();
    }
    // Before the first step of a drawing "running" is not yet true: "Beginning …" stands until then.
    if (content.type !== "start" || !steps || model.get("running")) said(content.type === "step" ? content : null);
  });
  view.listen("change:level_index", show);
  view.listen("change:running", () => said());
  view.later(announcer.close);

  if (view.offline) form.enable(false);
  // The answer is read from the places of the things, as the oracle reads them.
  function answerOf() {
    if (!draft || found.some((f) => !f.made)) return "Draw all levels to the end: the answer is read from their pictures.";
    const named = (keeps) => levels().filter((_, k) => found[k].made.keeps_layout === keeps).map((v) => number(v)).join(", ");
    const [kept, lost] = [named(true), named(false)];
    if (!lost) return "From none of these levels: by the oracle's reading, each thing stays within 0.1 of the side from its place in the draft.";
    const those = kept ? `From level ${kept} each thing stays within 0.1 of the side from its place in the draft. From level ${lost} it does not.` : `From all of these levels a thing moves by more than 0.1 of the side, appears or vanishes.`;
    return `By the oracle's reading: ${those} A thing has many pixels, so its place can be found in noise that hides each single pixel.`;
  }
  const guess = question({
    ask: "From which level on does the refined picture no longer keep the draft's layout?",
    choices: ["the lowest", "somewhere between", "never"],
    answer: answerOf,
  });
  view.body.append(guess.node, form.node, draw.node, el("div", { class: "t2i-row" }, level.node),
    el("div", { class: "t2i-row top" }, panels.map((p) => p.node), el("div", { class: "t2i-column" }, drawnFor, claims, margins, moved, announcer.node)),
    strip, copyButton(() => (found[model.get("level_index")].made || { code: model.get("code") }).code));
  lay();
  show();
  view.ready();
  return view.close;
}

export default { render };
