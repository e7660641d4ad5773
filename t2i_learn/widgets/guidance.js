// Guidance: a table of predicted pictures, scales by steps, and what the picture of one cell is made of.

function render({ model, el: host }) {
  const view = stage(model, host, "Guidance");
  const scales = () => model.get("scales");
  let size = { columns: 0, steps: 0, prompt: "" };
  let cells = [];
  let at = { column: 0, step: 0 };
  let asked = "";

  const draw = drawing(view, model, {
    label: "Draw all scales", title: "Draw a column for each scale, all from the same noise",
    ask: () => ({ type: "draw", form: form.values() }),
  });
  const form = settingsForm(view, model, "form", {
    legend: "One seed for all", onenter: () => draw.draw.click(), buttons: [draw.draw],
  });

  const names = ["with the prompt", "without it", "guided", "difference: with minus without"];
  const panels = names.map((name) => picture(32, 32, name, { zoom: 4.5, caption: name }));
  const sum = el("p", { class: "t2i-note", role: "status" });
  const formula = el("p", {}, "guided = without + scale × (with − without)");
  const table = el("table", { class: "t2i-table" });
  const stepBar = slider({ label: "Step", min: 1, max: 1, step: 1, value: 1, valuetext: (v) => `${v} of ${size.steps || 1}`, oninput: (v) => choose(at.column, v - 1) });
  const scaleBar = slider({ label: "Guidance scale", min: 0, max: Math.max(0, scales().length - 1), step: 1, value: 0, valuetext: (v) => number(scales()[v] ?? 0), oninput: (v) => choose(v, at.step) });

  const cellOf = (column, step) => (cells[column] || [])[step];
  const words = (column, step) => `scale ${number(scales()[column])}, step ${step + 1} of ${size.steps}`;
  function lay() {
    cells = Array.from({ length: size.columns }, (_, column) =>
      Array.from({ length: size.steps }, (_, step) => {
        const canvas = el("canvas", { width: 32, height: 32, "aria-label": words(column, step) });
        const node = button({ label: "", title: words(column, step), pressed: false, onclick: () => choose(column, step) });
        node.append(canvas);
        node.setAttribute("aria-label", `${words(column, step)}: not drawn yet`);
        node.tabIndex = -1;
        return { node, canvas, data: null, inspection: null };
      }));
    const head = el("tr", {}, el("td", {}), scales().slice(0, size.columns).map((s) => el("th", { scope: "col" }, number(s))));
    const rows = Array.from({ length: size.steps }, (_, step) =>
      el("tr", {}, el("th", { scope: "row" }, `step ${step + 1}`), cells.map((column) => el("td", {}, column[step].node))));
    const caption = el("caption", { class: "t2i-note" }, size.steps ? `“${size.prompt}”: guidance scales from left to right, steps from top to bottom; the arrow keys choose a cell` : "");
    table.replaceChildren(caption, ...(size.steps ? [head, ...rows] : []));
    stepBar.set(Math.min(at.step, Math.max(0, size.steps - 1)) + 1, { max: Math.max(1, size.steps) });
    scaleBar.set(Math.min(at.column, Math.max(0, size.columns - 1)), { max: Math.max(0, size.columns - 1) });
  }
  function choose(column, step, focus = false) {
    const before = cellOf(at.column, at.step);
    if (before) {
      press(before.node, false);
      before.node.tabIndex = -1;
    }
    at = { column: Math.min(Math.max(column, 0), Math.max(0, size.columns - 1)), step: Math.min(Math.max(step, 0), Math.max(0, size.steps - 1)) };
    stepBar.set(at.step + 1);
    scaleBar.set(at.column);
    const cell = cellOf(at.column, at.step);
    if (!cell) return;
    press(cell.node, true);
    cell.node.tabIndex = 0;
    if (focus) cell.node.focus();
    show();
    guess.update();
  }
  // What an earlier cell was made of is gone as soon as another one is chosen.
  function clearPanels(some) {
    sum.textContent = "";
    for (const panel of some) {
      panel.clear();
      panel.label(`${names[panels.indexOf(panel)]}: not computed yet`);
    }
    panels[3].caption(names[3]);
  }
  function show() {
    const cell = cellOf(at.column, at.step);
    if (!cell || !cell.data) {
      clearPanels(panels);
      return;
    }
    panels[2].draw(cell.data);
    const where = words(at.column, at.step);
    panels[2].label(`${names[2]}, ${where}`);
    panels[2].caption(`guided, scale ${number(scales()[at.column])}`);
    if (!cell.inspection) {
      clearPanels([panels[0], panels[1], panels[3]]);
      ask();
      return;
    }
    const { content, frames } = cell.inspection;
    [0, 1, 3].forEach((panel, i) => panels[panel].draw(frames[i]));
    [0, 1, 3].forEach((panel) => panels[panel].label(`${names[panel]}, ${where}`));
    panels[3].caption(`difference: orange adds light, blue takes it away; full colour is ±${number(content.max_difference)}`);
    sum.textContent = `At ${where}, noise level ${number(cell.sigma)}: the prompt changes the prediction by ${number(content.rms)} (root mean square).`;
  }
  // One request at a time. First the cell that is chosen, then those of its column that an open answer needs.
  function ask() {
    if (view.offline || asked) return;
    const lacks = (cell) => cell && cell.data && !cell.inspection;
    const column = cells[at.column] || [];
    const step = lacks(column[at.step]) ? at.step : guess.isOpen ? column.findIndex(lacks) : -1;
    if (step < 0) return;
    asked = `${at.column} ${step}`;
    model.send({ type: "inspect", column: at.column, step });
  }
  // The answer is read from the column of the chosen cell.
  function answerOf() {
    const column = cells[at.column] || [];
    if (!column.length || column.some((c) => !c.data)) return "Draw all scales to the end: the answer is read from the column of the chosen cell.";
    ask();
    if (column.some((c) => !c.inspection)) return `The column of scale ${number(scales()[at.column])} is being computed …`;
    const changes = column.map((c) => c.inspection.content.rms);
    const most = changes.indexOf(Math.max(...changes));
    return `In the column of scale ${number(scales()[at.column])}, the prompt changes the prediction most at step ${most + 1} of ${size.steps}, by ${number(changes[most])}. At the last step it is ${number(changes.at(-1))}. (All numbers are root mean squares.)`;
  }
  function take(content, frame) {
    const cell = cellOf(content.column, content.step);
    if (!cell) return;
    Object.assign(cell, { data: frame, sigma: content.sigma, inspection: null });
    thumbnail(cell.canvas, content.side, frame);
    cell.node.setAttribute("aria-label", words(content.column, content.step));
    if (panels[0].canvas.width !== content.side) panels.forEach((p) => p.resize(content.side, content.side));
    draw.progress(`Step ${content.step + 1} of ${size.steps}.`);
    if (content.column === at.column && content.step === at.step) show();
  }

  view.listen("msg:custom", (content, buffers) => {
    const frames = decodeFrames(buffers);
    if (content.type === "table") {
      size = content;
      asked = "";
      guess.reset();
      lay();
      choose(Math.min(at.column || 1, size.columns - 1), Math.min(at.step, size.steps - 1));
      if (!size.steps) draw.progress("Nothing is drawn yet.");
    }
    if (content.type === "cell") take(content, frames[0]);
    if (content.type === "inspection") {
      asked = "";
      const cell = cellOf(content.column, content.step);
      if (cell) cell.inspection = { content, frames };
      show();
      guess.update();
    }
  });
  view.listen("change:message", () => { asked = ""; });
  view.listen("change:running", () => {
    if (!model.get("running") && size.steps) {
      const done = Math.min(...cells.map((column) => column.filter((c) => c.data).length));
      draw.progress(done < size.steps ? `Stopped after step ${done} of ${size.steps}.` : `Done in ${size.steps} steps.`);
    }
  });
  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  view.on(table, "keydown", (event) => {
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    choose(at.column + move[0], at.step + move[1], true);
  });

  if (view.offline) form.enable(false);
  const guess = question({
    ask: "Down the column of the chosen cell, in which steps does the prompt change the prediction most: the first, the middle or the last?",
    choices: ["the first", "the middle", "the last"],
    answer: answerOf,
  });
  view.body.append(guess.node, form.node, draw.node,
    el("div", { class: "t2i-row top" }, el("div", { class: "t2i-scroll" }, table),
      el("div", { class: "t2i-column t2i-made" }, el("div", { class: "t2i-row" }, scaleBar.node), el("div", { class: "t2i-row" }, stepBar.node), el("div", { class: "t2i-row top" }, panels.map((p) => p.node)), formula, sum)),
    copyButton(() => model.get("code")));
  lay();
  view.ready();
  return view.close;
}

export default { render };
