// Words from a picture: a caption as it is written, what else each word could have been, and the way back to a picture.

const DARK = 0.2; // share of its light that a place keeps where nobody looks

// A picture under the light of a map: bright where the decoder looked. `light` has h * h bytes, the brightest 255.
function lightPicture(frame, light) {
  const side = Math.sqrt(frame.length / 3);
  const h = Math.sqrt(light.length);
  const out = new Uint8Array(frame.length);
  for (let i = 0; i < side * side; i++) {
    const place = Math.floor((Math.floor(i / side) * h) / side) * h + Math.floor(((i % side) * h) / side);
    const share = DARK + ((1 - DARK) * light[place]) / 255;
    for (let c = 0; c < 3; c++) out[3 * i + c] = Math.round(frame[3 * i + c] * share);
  }
  return out;
}

const percent = (p) => (p < 0.005 && p > 0 ? "under 1 %" : `${Math.round(100 * p)} %`);

function render({ model, el: host }) {
  const view = stage(model, host, "Words from a picture");
  const me = newId();
  let words = [];
  let frame = null;
  let drawn = null;
  let chosen = -1; // which word is looked at; none: the whole picture
  let report = null;
  let head = { undo: false, redo: false };

  const values = () => ({ form: form.values(), caption_style: style.value, shows: shows.value });
  const draw = drawing(view, model, { label: "Draw the caption", title: "Let the other model draw what the line says", ask: () => ({ type: "draw", ...values() }) });
  const read = button({ label: "Read it to the captioner", title: "How likely are these words for the captioner?", onclick: () => draw.send({ type: "read", ...values() }) });
  const form = settingsForm(view, model, "form", { legend: "The caption, as it is drawn", onenter: () => draw.draw.click(), buttons: [draw.draw, read] });
  function keep(name, value) {
    model.set(name, value);
    model.save_changes();
  }
  const shows = textField({ label: "A picture of", value: model.get("shows"), onenter: () => fresh.click() });
  const style = picker({ label: "Style", options: model.get("styles"), value: model.get("caption_style"), onchange: (v) => keep("caption_style", v) });
  view.on(shows.input, "change", () => keep("shows", shows.value));
  for (const [name, field] of Object.entries({ shows, caption_style: style })) view.listen(`change:${name}`, () => field.set(model.get(name)));
  const fresh = button({ label: "Draw it", title: "A picture to describe, drawn by the model", onclick: () => draw.send({ type: "new", ...values() }) });
  const opener = pictureOpener(view, model);
  const describe = button({ label: "Describe", title: "Let the captioner write, word by word", kind: "main", onclick: () => draw.send({ type: "describe", ...values() }) });
  const undo = button({ label: "Undo", title: "Take back the last caption, drawing or picture (Ctrl Z)", onclick: () => view.send({ type: "undo" }) });
  const redo = button({ label: "Redo", title: "Do again what was taken back (Ctrl Y)", onclick: () => view.send({ type: "redo" }) });
  const again = button({ label: "Describe the drawn picture", title: "The drawn picture becomes the one to describe", onclick: () => view.send({ type: "look_at_drawn" }) });

  const left = picture(32, 32, "the picture", { zoom: 9 });
  const right = picture(32, 32, "not drawn yet", { zoom: 9 });
  const colour = picker({ label: "Colour", options: model.get("palette").map(([name]) => name), value: "red" });
  const rgbOf = () => model.get("palette").find(([name]) => name === colour.value)[1];
  const help = el("p", { class: "t2i-note", id: newId() }, `${BRUSH_HELP}.`);
  const brush = canvasBrush(view, left, {
    side: 32, help, redraw: eachFrame(() => showPicture()),
    paint(from, to, size) {
      const side = Math.sqrt(frame.length / 3);
      const covered = new Uint8Array(side * side);
      stroke(covered, side, from, to, size, 1);
      frame = Uint8Array.from(frame, (value, i) => (covered[Math.floor(i / 3)] ? rgbOf()[i % 3] : value));
      if (chosen >= 0) choose(-1);
    },
    done: handOver,
    tell: (column, row, isDown) => said.say(`column ${column + 1}, row ${row + 1}${isDown ? `, painting ${colour.value}` : ""}`),
  });
  const canvas = button({ label: "Fill", title: "The whole picture in the chosen colour, to paint on", onclick: () => {
    frame = Uint8Array.from(frame, (_, i) => rgbOf()[i % 3]);
    handOver();
  } });
  function handOver() {
    model.set("message", "");
    model.send({ type: "paint", by: me }, {}, [frame.slice().buffer]);
    showPicture();
  }
  const line = el("div", { class: "describe-words", role: "group", "aria-label": "The caption, word by word: choose a word" });
  const others = el("div", { class: "describe-others", role: "group", "aria-label": "What else could stand here" });
  const verdict = el("p", { class: "t2i-note", role: "status" });
  const reading = el("p", { class: "t2i-note" });
  const said = liveRegion();

  function wordButton(word, k) {
    const node = button({ label: word.word, title: `Look at “${word.word}”`, pressed: k === chosen, onclick: () => choose(k === chosen ? -1 : k) });
    node.append(el("span", { class: "share" }, percent(word.probability)));
    node.setAttribute("aria-label", `${word.word}, ${percent(word.probability)}`);
    return node;
  }
  function otherButton([token, text, chance]) {
    const same = token === words[chosen].token;
    const node = button({ label: `${text} ${percent(chance)}`, title: same ? "This is the word that stands there" : `Put “${text}” here, and go on from it`, pressed: same, onclick: () => same || draw.send({ type: "replace", index: chosen, token }) });
    node.disabled = view.offline && !same;
    return node;
  }
  function showPicture() {
    if (!frame) return;
    const word = words[chosen];
    left.draw(withBrush(word ? lightPicture(frame, word.light) : frame, brush.covered()));
    left.label(word ? `where the captioner looked when it wrote “${word.word}”, word ${chosen + 1}` : "the picture that is described");
    left.caption(word ? `bright: where it looked for “${word.word}”` : "the picture");
  }
  function showOthers() {
    const word = words[chosen];
    others.replaceChildren(...(word ? [el("span", { class: "t2i-note" }, `Instead of “${word.word}”:`), ...word.alternatives.map(otherButton)] : [el("span", { class: "t2i-note" }, words.length ? "Choose a word to see what else could stand there." : "Nothing is written yet.")]));
  }
  function choose(k) {
    chosen = k;
    [...line.children].forEach((node, i) => press(node, i === k));
    showPicture();
    showOthers();
    guess.update();
    if (words[k]) said.say(`${words[k].word}: ${words[k].alternatives.map(([, text, p]) => `${text} ${percent(p)}`).join(", ")}`);
  }
  function sized(shown, side) {
    if (shown.canvas.width === side) return;
    shown.resize(side, side);
    shown.node.style.width = shown.canvas.style.width = `${side * Math.max(1, Math.round(288 / side))}px`;
  }
  function enable() {
    undo.disabled = view.offline || !head.undo;
    redo.disabled = view.offline || !head.redo;
    again.disabled = view.offline || !drawn;
    for (const node of [describe, fresh, read]) node.disabled = view.offline;
  }
  view.listen("msg:custom", (content, buffers) => {
    const [data] = decodeFrames(buffers);
    if (content.type === "picture") {
      sized(left, content.side);
      if (content.by !== me) {
        frame = data;
        brush.resize(content.side);
      }
      head = content;
      words = [];
      drawn = null;
      report = null;
      chosen = -1;
      line.replaceChildren();
      verdict.textContent = reading.textContent = "";
      right.clear();
      right.label("not drawn yet");
      right.caption("not drawn yet");
      choose(-1);
    }
    if (content.type === "word") {
      words[content.index] = { ...content, light: data };
      line.append(wordButton(words[content.index], content.index));
      draw.progress(`${words.length} word${words.length > 1 ? "s" : ""}.`);
      if (content.index === 0) showOthers();
    }
    if (content.type === "written") {
      report = content;
      const end = content.ended ? "" : " It is not finished.";
      verdict.textContent = `The captioner's confidence is ${number(content.confidence, 2)}. The oracle says: ${content.verdict}.${end}`;
      draw.progress(`Written in ${words.length} words.`);
      said.say(`${content.caption}. ${verdict.textContent}`);
      guess.update();
    }
    if (content.type === "drawn") {
      drawn = data;
      sized(right, content.side);
      right.draw(data);
      right.label("the picture that was drawn of the caption");
      right.caption("drawn of the caption");
      reading.textContent = content.reading ? `The oracle reads in the drawn picture: ${content.reading}.` : "";
    }
    if (content.type === "calls") draw.progress(`Working: ${content.calls} network calls.`);
    if (content.type === "end") draw.progress(content.done ? `Done in ${content.calls} network calls.` : `Stopped after ${content.calls} network calls.`);
    enable();
  });
  view.listen("change:running", () => {
    if (!model.get("running") && words.length && !report) draw.progress(`Stopped after ${words.length} words.`);
  });
  undoKeys(view, undo, redo);
  // The answer is read from the words on the screen.
  function answerOf() {
    if (!words.length) return "Describe the picture: the answer is read from its words.";
    const least = words.reduce((a, b) => (b.probability < a.probability ? b : a));
    return `In the caption on the screen it is “${least.word}”, with ${percent(least.probability)}.`;
  }
  const guess = question({ ask: "Which word of the caption is the captioner least sure of: a colour, a shape, or a word between them?", choices: ["a colour", "a shape", "another word"], answer: answerOf });
  const row = (...nodes) => el("div", { class: "t2i-row" }, ...nodes);
  view.body.append(guess.node, row(shows.node, fresh, opener.node), row(describe, style.node, undo, redo), draw.node,
    line, others, verdict,
    el("div", { class: "t2i-row top" }, el("div", { class: "t2i-column describe-pane" }, left.node, row(colour.node, canvas), row(brush.size.node), help), el("div", { class: "t2i-column describe-pane" }, right.node, row(again))), reading,
    form.node, said.node, copyButton(() => model.get("code")));
  view.later(said.close);
  if (view.offline) {
    form.enable(false);
    for (const control of [shows.input, style.select, colour.select, brush.size.input, canvas]) control.disabled = true;
  }
  right.clear();
  showOthers();
  enable();
  view.ready();
  return view.close;
}

export default { render, maths: { lightPicture } };
