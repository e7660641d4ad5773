// An editor of pictures: a brush for the mask, a prompt, before and after, and what changed between them.

// A mask as text: its pixels row by row, eight to two hexadecimal digits.
function packMask(mask) {
  let text = "";
  for (let i = 0; i < mask.length; i += 8) {
    let byte = 0;
    for (let b = 0; b < 8; b++) byte = 2 * byte + (mask[i + b] ? 1 : 0);
    text += byte.toString(16).padStart(2, "0");
  }
  return text;
}

function unpackMask(text, count) {
  return Uint8Array.from({ length: count }, (_, i) => (parseInt(text.slice(2 * (i >> 3), 2 * (i >> 3) + 2), 16) >> (7 - (i & 7))) & 1);
}

// A picture with its mask as a pattern of light and dark pixels, which is seen on every colour.
function maskedPicture(frame, mask) {
  const side = Math.sqrt(mask.length);
  const light = (i) => ((Math.floor(i / side) + i) % 2 ? 255 : 0);
  return Uint8Array.from(frame, (value, i) => (mask[Math.floor(i / 3)] ? 0.45 * value + 0.55 * light(Math.floor(i / 3)) : value));
}

// The left columns of one picture and the others of another.
function splitPicture(before, after, columns) {
  const side = Math.sqrt(before.length / 3);
  return Uint8Array.from(after, (value, i) => (Math.floor(i / 3) % side < columns ? before[i] : value));
}

// The mask painted on the canvas of `shown`. `done(mask)` is called after each stroke, `redraw()` when the brush or the
// mask looks different. -> {mask, covered(), take(mask), tools, enable(yes)}
function maskBrush(view, shown, { side, help, done, redraw, say }) {
  const erase = tick({ label: "erase", title: "The brush takes away from the mask; E switches it" });
  const own = { mask: new Uint8Array(side * side) };
  const brush = canvasBrush(view, shown, {
    side, help, redraw,
    paint: (from, to, size) => stroke(own.mask, Math.sqrt(own.mask.length), from, to, size, erase.value ? 0 : 1),
    done: () => done(own.mask),
    tell(column, row, isDown) {
      const where = `column ${column + 1}, row ${row + 1}, ${own.mask[Math.sqrt(own.mask.length) * row + column] ? "in the mask" : "outside the mask"}`;
      say(isDown ? `${where}, ${erase.value ? "erasing" : "painting"}` : where);
    },
    key(name) {
      if (name === "e") erase.set(!erase.value);
      return name === "e";
    },
  });
  function fill(f) {
    own.mask = Uint8Array.from(own.mask, f);
    done(own.mask);
    redraw();
  }
  const whole = [
    button({ label: "All", title: "The whole picture may change", onclick: () => fill(() => 1) }),
    button({ label: "None", title: "An empty mask: the method chooses what changes", onclick: () => fill(() => 0) }),
    button({ label: "Invert", title: "What is in the mask goes out, and what is out goes in", onclick: () => fill((v) => 1 - v) }),
  ];
  return {
    own,
    covered: brush.covered,
    take(mask) {
      own.mask = mask;
      brush.resize(Math.sqrt(mask.length));
    },
    tools: [brush.size.node, erase.node, ...whole],
    enable(yes) {
      for (const control of [brush.size.input, erase.input, ...whole]) control.disabled = !yes;
    },
  };
}

// What the oracle says: what changed and what stayed, and which claims of the prompt hold. -> {node, show(report)}
function editReport() {
  const lists = { changed: el("ul", {}), kept: el("ul", {}), claims: el("ul", {}) };
  const titles = { changed: "What changed", kept: "What stayed", claims: "What the prompt says" };
  const columns = Object.keys(lists).map((name) => el("div", { class: "editor-list" }, el("strong", {}, titles[name]), lists[name]));
  const outside = el("p", { class: "t2i-note" });
  const node = el("div", { class: "editor-report", role: "group", "aria-label": "The oracle's comparison", hidden: true }, el("div", { class: "t2i-row top" }, columns), outside);
  const items = (texts, none) => (texts.length ? texts : [none]).map((text) => el("li", {}, text));
  return {
    node,
    show(report) {
      node.hidden = !report;
      if (!report) return;
      const texts = (changed) => report.changes.filter((c) => c.changed === changed).map((c) => c.text);
      lists.changed.replaceChildren(...items(texts(true), "nothing that the oracle reads"));
      lists.kept.replaceChildren(...items(texts(false), "nothing that the oracle reads"));
      const claims = report.clauses.map((c) => `${c.words}: ${c.holds ? "yes" : "no"}`);
      lists.claims.replaceChildren(...items(claims, "The grammar of the course does not read this prompt, so nobody checks it."));
      outside.textContent = report.outside === null ? "" : `Outside the mask the picture differs by ${number(report.outside)} levels of 255 on average.`;
    },
  };
}

function render({ model, el: host }) {
  const view = stage(model, host, "Editor");
  const me = newId();
  let state = null; // what the kernel said last
  let frames = [];
  const values = () => ({ form: form.values(), strength: strength.value, method: method.value, source_prompt: source.value });
  const change = drawing(view, model, { label: "Change the picture", title: "Change what the mask covers, or what the method chooses", ask: () => ({ type: "draw", ...values() }) });
  const form = settingsForm(view, model, "form", { legend: "What the picture should show", onenter: () => change.draw.click(), buttons: [change.draw] });
  function keep(name, value) {
    model.set(name, value);
    model.save_changes();
  }
  const strength = slider({ label: "Strength", min: 0.05, max: 1, step: 0.05, value: model.get("strength"), valuetext: (v) => v.toFixed(2), oninput: () => {} });
  const method = picker({ label: "Method without a mask", options: model.get("methods"), value: model.get("method"), onchange: (v) => keep("method", v) });
  const source = textField({ label: "What it shows now", value: model.get("source_prompt"), placeholder: "a caption; may be empty", onenter: () => fresh.click() });
  view.on(strength.input, "change", () => keep("strength", strength.value));
  view.on(source.input, "change", () => keep("source_prompt", source.value));
  for (const [name, field] of Object.entries({ strength, method, source_prompt: source })) view.listen(`change:${name}`, () => field.set(model.get(name)));
  const fresh = button({ label: "Draw it", title: "Let the model draw what the line says, with the seed below", onclick: () => change.send({ type: "new", ...values() }) });
  const opener = pictureOpener(view, model);

  const left = picture(32, 32, "before", { zoom: 9 });
  const right = picture(32, 32, "after", { zoom: 9 });
  const help = el("p", { class: "t2i-note", id: newId() }, `${BRUSH_HELP}, E erases.`);
  const said = liveRegion();
  const brush = maskBrush(view, left, { side: 32, help, done: (mask) => model.send({ type: "mask", mask: packMask(mask), by: me }), redraw: eachFrame(() => show()), say: said.say });
  const split = slider({ label: "Before", min: 0, max: 32, step: 1, value: 0, valuetext: (v) => `${v} of ${state ? state.side : 32} columns`, oninput: () => show() });
  const undo = button({ label: "Undo", title: "Take back the last stroke, change or opened picture (Ctrl Z)", onclick: () => view.send({ type: "undo" }) });
  const redo = button({ label: "Redo", title: "Do again what was taken back (Ctrl Y)", onclick: () => view.send({ type: "redo" }) });
  const goOn = button({ label: "Keep the change", title: "The picture after the change becomes the picture to change", onclick: () => view.send({ type: "keep" }) });
  const overlay = button({ label: "Show the found mask", title: "What the method itself chose to change", pressed: false, onclick: () => { press(overlay, overlay.getAttribute("aria-pressed") !== "true"); show(); } });
  const useFound = button({ label: "Use the found mask", title: "Take it as your own mask", onclick: () => view.send({ type: "use_found" }) });
  const readings = { before: el("p", { class: "editor-reading" }), after: el("p", { class: "editor-reading" }) };
  const report = editReport();

  function show() {
    if (!state) return;
    left.draw(withBrush(maskedPicture(frames[0], brush.own.mask), brush.covered()));
    const share = Math.round((100 * brush.own.mask.reduce((a, b) => a + b, 0)) / brush.own.mask.length);
    left.label(`the picture before, ${share} percent of it in the mask`);
    left.caption(share || brush.own.mask.some(Boolean) ? `before; the mask covers ${share || "less than 1"} %` : "before; no mask yet: the method chooses what changes");
    const found = state.found && overlay.getAttribute("aria-pressed") === "true";
    const after = frames[1] || frames[0];
    const whole = splitPicture(frames[0], after, split.value);
    right.draw(found ? maskedPicture(whole, unpackMask(state.found, state.side ** 2)) : whole);
    right.label(frames[1] ? `the picture after${split.value ? `, its left ${split.value} columns as before` : ""}${found ? ", under the mask that the method found" : ""}` : "not changed yet");
    right.caption(frames[1] ? "after; move the slider to see what was there before" : "not changed yet");
  }
  // What a moment of the work looks like; a stroke of another view changes the mask alone.
  function take(content, pictures) {
    state = content;
    frames = pictures;
    const { side } = content;
    if (left.canvas.width !== side) {
      for (const p of [left, right]) {
        p.resize(side, side);
        p.node.style.width = p.canvas.style.width = `${side * Math.max(1, Math.round(288 / side))}px`;
      }
      split.set(0, { max: side });
    }
    if (!frames[1]) split.set(0);
    brush.take(unpackMask(content.mask, side ** 2));
    for (const name of ["before", "after"]) {
      readings[name].textContent = content.readings[name] ? `The oracle reads, ${name}: ${content.readings[name]}.` : "";
    }
    report.show(content.report);
    if (!content.found) press(overlay, false);
    enable();
    show();
  }
  function enable() {
    const off = view.offline || !state;
    undo.disabled = off || !state.undo;
    redo.disabled = off || !state.redo;
    goOn.disabled = off || !frames[1];
    useFound.disabled = off;
    fresh.disabled = off;
    overlay.hidden = useFound.hidden = !state || !state.found;
    split.enable(Boolean(frames[1]));
  }
  view.listen("msg:custom", (content, buffers) => {
    if (content.type === "state") take(content, decodeFrames(buffers));
    if (content.type === "mask" && state) {
      Object.assign(state, { undo: content.undo, redo: content.redo });
      if (content.by !== me) brush.take(unpackMask(content.mask, state.side ** 2));
      enable();
      show();
    }
    if (content.type === "calls") change.progress(`Working: ${content.calls} network calls.`);
    if (content.type === "end") {
      change.progress(content.done ? `Done in ${content.calls} network calls.` : `Stopped after ${content.calls} network calls: nothing has changed.`);
      if (content.done && state && state.report) said.say(`${state.report.changes.filter((c) => c.changed).map((c) => c.text).join("; ") || "Nothing that the oracle reads has changed"}.`);
    }
  });
  undoKeys(view, undo, redo);
  const guess = question({
    ask: "With an empty mask the model may change every pixel. With a mask it may not touch what lies outside. In which of the two cases does the thing beside the edited one stay where it is more often?",
    choices: ["without a mask", "with a mask"],
    answer: "With a mask that leaves it out: its pixels are put back at each step. Without a mask it depends on the method and on the strength.",
  });
  const row = (...nodes) => el("div", { class: "t2i-row" }, ...nodes);
  const pane = (name, shown, ...below) => el("div", { class: "t2i-column editor-pane", role: "group", "aria-label": name }, shown.node, ...below);
  view.body.append(guess.node, row(source.node, fresh, opener.node), form.node, row(strength.node, method.node), change.node,
    el("div", { class: "t2i-row top" },
      pane("Before, and the mask", left, row(...brush.tools), row(undo, redo), help),
      pane("After", right, row(split.node), row(goOn, overlay, useFound))),
    readings.before, readings.after, report.node, said.node, copyButton(() => model.get("code")));
  view.later(said.close);
  if (view.offline) {
    form.enable(false);
    brush.enable(false);
    for (const control of [source.input, strength.input, method.select]) control.disabled = true;
  }
  enable();
  view.ready();
  return view.close;
}

export default { render, maths: { packMask, unpackMask, stroke, maskedPicture, splitPicture } };
