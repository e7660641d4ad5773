// A walk among pictures: a table of captions by noises, and two sliders between two of its cells.

const percent = (share) => `${Math.round(100 * share)} %`;
const NAMES = ["captions", "seeds", "start", "end", "noise_share", "caption_share"];

// Where in a square of recorded pictures, row by row, two shares are nearest.
const nearest = (noise, caption, across) => Math.round(caption * (across - 1)) * across + Math.round(noise * (across - 1));

function codeOf({ captions, seeds, start, end, noise_share, caption_share, source }) {
  const cells = [start, end];
  const [texts, numbers] = [cells.map(([row]) => captions[row]), cells.map(([, column]) => seeds[column])];
  return [
    ...(source ? ["from t2i_learn import load"] : []),
    "from t2i_learn.gan.interpolation import interpolate_picture",
    "",
    source ? `model = ${source}` : "# model: the one that latent_walk() was given",
    `picture = interpolate_picture(model, ${JSON.stringify(texts)}, ${JSON.stringify(numbers)}, ${noise_share}, ${caption_share})`,
  ].join("\n");
}

function askAboutWays() {
  return question({
    ask: "One slider walks between two noises, the other between two captions. On which way does the model leave what it was trained on?",
    choices: ["between noises", "between captions", "on both", "on neither"],
    answer: "Between captions. Every noise on the great circle could have been drawn in training. A mixture of two captions never was, unless the model was trained on such mixtures. A good model often draws something between the two, but it was not trained to.",
  });
}

function render({ model, el: host }) {
  const view = stage(model, host, "Latent walk");
  const get = (name) => model.get(name);
  let rows = []; // of {field, cells}
  let square = null;
  let asked = false; // a picture is being drawn
  let again = false; // and another is wanted since

  // -- what is asked of the kernel: the table, or the newest place of the walk when the last one is there
  const send = (type) => view.send({ type, settings: Object.fromEntries(NAMES.map((name) => [name, get(name)])) });
  function walk() {
    follow();
    if (view.offline) recorded();
    else if (asked) again = true;
    else {
      send("interpolate");
      asked = true;
    }
  }
  function put(name, value) {
    model.set(name, value);
    walk();
  }
  function drawTable(name, value) {
    model.set(name, value);
    again = false;
    send("draw"); // the walk's picture comes with it
    asked = true;
  }

  function copied() {
    model.set("code", codeOf(Object.fromEntries([...NAMES, "source"].map((name) => [name, get(name)]))));
    model.save_changes(); // the kernel learns where the page stands
    return get("code");
  }

  // -- controls
  const share = (name, label) => slider({ label, min: 0, max: 1, step: 0.02, value: get(name), valuetext: percent, oninput: (v) => put(name, v) });
  const noise = share("noise_share", "Noise");
  const caption = share("caption_share", "Caption");
  const corner = (name, place, label) => picker({ label, options: [], onchange: (v) => put(name, get(name).map((old, i) => (i === place ? Number(v) : old))) });
  const corners = [["start", 0, "From caption"], ["end", 0, "to caption"], ["start", 1, "From noise"], ["end", 1, "to noise"]]
    .map(([name, place, label]) => ({ name, place, control: corner(name, place, label) }));
  const reseed = button({ label: "New noises", title: "Another noise for every column", onclick: () => drawTable("seeds", get("seeds").map((s) => (s + get("seeds").length) % 2 ** 31)) });
  const table = el("table", { class: "t2i-table latent-walk-table" });
  const here = picture(32, 32, "The picture between the two cells", { zoom: 9 });
  const notes = el("p", { class: "t2i-note", role: "status" });
  const announcer = liveRegion();

  // -- what is shown
  const wordsOf = () => {
    const [from, to] = [get("start"), get("end")];
    const names = [from, to].map(([row]) => get("captions")[row]);
    return `caption ${percent(1 - get("caption_share"))} “${names[0]}”, ${percent(get("caption_share"))} “${names[1]}”; noise ${percent(1 - get("noise_share"))} of ${from[1] + 1}, ${percent(get("noise_share"))} of ${to[1] + 1}`;
  };
  function build(captions, seeds) {
    const head = el("tr", {}, el("td", {}), seeds.map((_, k) => el("th", { scope: "col" }, `noise ${k + 1}`)));
    rows = captions.map((_, row) => {
      const field = textField({ label: "" });
      field.input.setAttribute("aria-label", `Caption ${row + 1}`);
      field.input.disabled = view.offline;
      field.input.addEventListener("change", () => drawTable("captions", get("captions").map((old, i) => (i === row ? field.value : old))));
      return { field, cells: seeds.map(() => el("canvas", { width: 32, height: 32, role: "img" })) };
    });
    const lines = rows.map(({ field, cells }) => el("tr", {}, el("td", {}, field.node), cells.map((cell) => el("td", {}, cell))));
    table.replaceChildren(el("caption", { class: "t2i-note" }, "captions down, noises across; a caption can be changed"), head, ...lines);
  }
  // A table of the same size stays where it is, and with it the focus.
  function lay(captions, seeds) {
    if (rows.length !== captions.length || rows[0].cells.length !== seeds.length) build(captions, seeds);
    rows.forEach((row, i) => {
      row.text = captions[i];
      if (row.field.input !== document.activeElement) row.field.set(captions[i]);
      row.cells.forEach((cell, k) => cell.setAttribute("aria-label", `${captions[i]}, noise ${k + 1}: not drawn yet`));
    });
    for (const { place, control } of corners) control.options(place ? seeds.map((_, k) => [String(k), `${k + 1}`]) : captions.map((text, k) => [String(k), text]));
    follow();
  }
  function show(data) {
    const side = Math.sqrt(data.length / 3);
    if (here.canvas.width !== side) here.resize(side, side);
    here.draw(data);
    here.caption(wordsOf());
    here.label(wordsOf());
    announcer.say(wordsOf());
  }
  function recorded() {
    if (square) show(square.pictures[nearest(get("noise_share"), get("caption_share"), square.across)]);
  }
  function follow() {
    noise.set(get("noise_share"));
    caption.set(get("caption_share"));
    const [rowsThere, columnsThere] = [get("captions").length, get("seeds").length];
    for (const { name, place, control } of corners) {
      control.set(String(get(name)[place]));
      control.select.disabled = view.offline;
    }
    for (const { name } of corners) for (const cell of table.querySelectorAll(`.${name}`)) cell.classList.remove(name);
    for (const name of ["start", "end"]) {
      const [row, column] = get(name);
      if (row < rowsThere && column < columnsThere && rows[row]) rows[row].cells[column].classList.add(name);
    }
    reseed.disabled = view.offline;
    notes.textContent = view.offline ? "A recording of this walk: to choose another, open the notebook." : get("warnings") || "";
    notes.hidden = !notes.textContent;
  }

  view.listen("msg:custom", (content, buffers) => {
    const frames = decodeFrames(buffers);
    if (content.type === "table") lay(content.captions, content.seeds);
    if (content.type === "row" && rows[content.row])
      rows[content.row].cells.forEach((cell, k) => {
        thumbnail(cell, content.side, frames[k]);
        cell.setAttribute("aria-label", `${rows[content.row].text}, noise ${k + 1}`);
      });
    if (content.type === "picture") {
      show(frames[0]);
      asked = false;
      if (again) {
        again = false;
        walk();
      }
    }
    if (content.type === "square") square = { across: content.across, pictures: frames };
  });
  view.listen("change:message", () => { asked = again = false; });
  for (const name of [...NAMES, "warnings"]) view.listen(`change:${name}`, follow);
  view.later(announcer.close);

  view.body.append(
    askAboutWays().node,
    el("div", { class: "t2i-row top" },
      el("div", { class: "t2i-column" }, el("div", { class: "t2i-row" }, reseed), el("div", { class: "t2i-scroll" }, table)),
      el("div", { class: "t2i-column latent-walk-way" },
        ...[[0, 1], [2, 3]].map((pair) => el("div", { class: "t2i-row" }, pair.map((k) => corners[k].control.node))),
        el("div", { class: "t2i-row" }, noise.node),
        el("div", { class: "t2i-row" }, caption.node),
        here.node)),
    notes,
    copyButton(copied),
    announcer.node,
  );
  view.ready();
  return view.close;
}

const maths = { nearest, codeOf };
export default { render, maths };
