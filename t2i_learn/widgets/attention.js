// Attention: words to click, and where in the picture they are read.

const CIVIDIS = [[0, 34, 78], [26, 56, 111], [67, 78, 108], [97, 101, 111], [125, 124, 120], [155, 148, 118], [188, 174, 108], [222, 201, 88], [254, 232, 56]];

// A number from 0 to 1 in colours: straight lines between nine of cividis.
function cividis(x) {
  const at = Math.min(Math.max(x, 0), 1) * (CIVIDIS.length - 1);
  const left = Math.min(Math.floor(at), CIVIDIS.length - 2);
  return CIVIDIS[left].map((v, i) => v + (at - left) * (CIVIDIS[left + 1][i] - v));
}

// A map (n * n shades of 255) in colours, and laid over a grey picture (side * side * 3); both side * side * 3.
function colorizeMap(shades, picture, side) {
  const n = Math.round(Math.sqrt(shades.length));
  const plain = new Uint8Array(side * side * 3);
  const over = new Uint8Array(side * side * 3);
  for (let i = 0; i < side * side; i++) {
    const place = Math.floor((Math.floor(i / side) * n) / side) * n + Math.floor(((i % side) * n) / side);
    const colour = cividis(shades[place] / 255);
    const grey = picture ? 0.3 * picture[3 * i] + 0.59 * picture[3 * i + 1] + 0.11 * picture[3 * i + 2] : 255;
    for (let c = 0; c < 3; c++) {
      plain[3 * i + c] = colour[c];
      over[3 * i + c] = 0.55 * colour[c] + 0.45 * grey;
    }
  }
  return { plain, over };
}

// Where in the list of numbers, and in the bytes, a map of a layer, a head (0: their mean) and a word begins.
function indexOf({ heads, words }, layer, head, word) {
  return (layer * (heads + 1) + head) * words.length + word;
}

function render({ model, el: host }) {
  const view = stage(model, host, "Attention");
  let steps = [];
  let total = 0;
  let asked = false;
  let following = true;
  let byCode = false;
  let chosen = { word: 3, layer: -1, head: 0 };
  let offered = "";

  const draw = drawing(view, model, { label: "Draw the picture", title: "Draw what the form says", ask: () => ({ type: "draw", form: form.values() }) });
  const form = settingsForm(view, model, "form", {
    legend: "What is drawn", onenter: () => draw.draw.click(), buttons: [draw.draw],
  });
  const player = playback({
    frames: 1, label: "Step", fps: 4,
    valuetext: (i) => (steps[i] ? `${i + 1} of ${total}, noise level ${number(steps[i].sigma)}` : `${i + 1} of ${Math.max(1, total)}`),
    onframe: () => {
      if (!byCode) following = false;
      show();
    },
  });
  const layerPick = picker({ label: "Layer", options: ["first"], onchange: (v) => choose({ layer: Number(v) }) });
  const headPick = picker({ label: "Head", options: ["mean of all"], onchange: (v) => choose({ head: Number(v) }) });
  const words = el("div", { class: "t2i-words", role: "group", "aria-label": "Words of the prompt: choose one" });
  const shown = picture(32, 32, "predicted picture", { zoom: 7, caption: "the predicted picture" });
  const over = picture(32, 32, "where the word is read, over the picture", { zoom: 7, caption: "where the word is read" });
  const plain = picture(32, 32, "where the word is read", { zoom: 7, caption: "the same alone: 8 × 8 places" });
  const ramp = el("canvas", { width: 64, height: 1, role: "img", "aria-label": "from dark blue, not read, to yellow, read most" });
  const most = el("span", {});
  const announcer = liveRegion();
  const image = ramp.getContext("2d").createImageData(64, 1);
  for (let i = 0; i < 64; i++) image.data.set([...cividis(i / 63), 255], 4 * i);
  ramp.getContext("2d").putImageData(image, 0, 0);

  const now = () => steps[Math.min(player.index, steps.length - 1)];
  function offer(maps) {
    const key = `${maps.words.join(" ")} ${maps.layers} ${maps.heads}`;
    if (offered !== key) {
      offered = key;
      if (chosen.layer < 0 || chosen.layer >= maps.layers) chosen.layer = Math.floor(maps.layers / 2);
      layerPick.options(Array.from({ length: maps.layers }, (_, k) => [k, `${k + 1} of ${maps.layers}`]));
      headPick.options(Array.from({ length: maps.heads + 1 }, (_, k) => [k, k ? `${k} of ${maps.heads}` : "mean of all"]));
      chosen.word = Math.min(chosen.word, maps.words.length - 1);
      chosen.head = Math.min(chosen.head, maps.heads);
      layerPick.set(chosen.layer);
      headPick.set(chosen.head);
      words.replaceChildren(...maps.words.map((word, k) => {
        const node = button({ label: word, title: `Show where “${word}” is read`, pressed: k === chosen.word, onclick: () => choose({ word: k }) });
        node.append(el("span", { class: "share" }));
        return node;
      }));
    }
    [...words.children].forEach((node, k) => {
      const share = maps.shares[indexOf(maps, chosen.layer, chosen.head, k)];
      node.lastChild.textContent = `${Math.round(100 * share)} %`;
      node.setAttribute("aria-label", `${maps.words[k]}, ${Math.round(100 * share)} percent of all reading`);
      press(node, k === chosen.word);
    });
  }
  function choose(change) {
    Object.assign(chosen, change);
    show();
  }
  function show() {
    const step = now();
    if (!step) return;
    const at = Math.min(player.index, steps.length - 1);
    shown.draw(step.frame);
    shown.label(`predicted picture of step ${at + 1}`);
    if (!step.maps) {
      ask(at);
      return;
    }
    const { maps, shades } = step;
    offer(maps);
    const index = indexOf(maps, chosen.layer, chosen.head, chosen.word);
    const drawn = colorizeMap(shades.subarray(index * maps.places, (index + 1) * maps.places), step.frame, step.side);
    over.draw(drawn.over);
    plain.draw(drawn.plain);
    const word = maps.words[chosen.word];
    const head = chosen.head ? `head ${chosen.head}` : "mean of all heads";
    const where = `where “${word}” is read, step ${at + 1}, layer ${chosen.layer + 1}, ${head}`;
    over.label(`${where}, laid over the picture`);
    plain.label(where);
    over.caption(`where “${word}” is read`);
    most.textContent = `the brightest place gives “${word}” ${Math.round(100 * maps.maxima[index])} % of its reading`;
    announcer.say(`${where}: ${most.textContent}`);
    guess.update();
  }
  // A new drawing: nothing of the last one stays.
  function forget() {
    offered = "";
    words.replaceChildren();
    most.textContent = "";
    over.caption("where the word is read");
    for (const p of [shown, over, plain]) {
      p.clear();
      p.label("not drawn yet");
    }
    guess.reset();
  }
  // One request at a time; when the maps arrive and another step is shown by then, they are asked for again.
  function ask(step) {
    if (view.offline || asked) return;
    asked = true;
    model.send({ type: "inspect", step });
  }
  view.listen("msg:custom", (content, buffers) => {
    const frames = decodeFrames(buffers);
    if (content.type === "drawing") {
      following = true;
      forget();
      steps = [];
      total = content.steps;
      asked = false;
      player.frames(Math.max(1, total), 0);
      player.node.style.visibility = total ? "visible" : "hidden";
      if (!total) draw.progress("Nothing is drawn yet.");
    }
    if (content.type === "step") {
      if (shown.canvas.width !== content.side) [shown, over, plain].forEach((p) => p.resize(content.side, content.side));
      steps[content.step] = { frame: frames[0], sigma: content.sigma, side: content.side };
      draw.progress(`Step ${content.step + 1} of ${total}.`);
      byCode = true;
      if (following) player.set(content.step);
      byCode = false;
    }
    if (content.type === "maps") {
      asked = false;
      if (steps[content.step]) Object.assign(steps[content.step], { maps: content, shades: frames[0] });
      show();
    }
  });
  view.listen("change:message", () => { asked = false; });
  view.listen("change:running", () => {
    if (!model.get("running") && total) draw.progress(steps.length < total ? `Stopped after step ${steps.length} of ${total}.` : `Done in ${total} steps.`);
  });
  if (view.offline) form.enable(false);
  // The answer is read from the maps on the screen.
  function answerOf() {
    const { maps } = now() || {};
    if (!maps) return "Draw the picture: the answer is read from its maps.";
    const share = (word) => `${Math.round(100 * maps.shares[indexOf(maps, chosen.layer, chosen.head, word)])} %`;
    const last = maps.words.length - 1;
    return `Often to the tokens at the two ends of the prompt. In the maps on the screen, ${maps.words[0]} has ${share(0)} of all reading, and ${maps.words[last]} has ${share(last)}. Language models often put such weight on their first token.`;
  }
  const guess = question({
    ask: "The shares of each place sum to 100 %, also where the picture needs no word. Which tokens get these shares?",
    answer: answerOf,
  });
  view.body.append(guess.node, form.node, draw.node, el("div", { class: "t2i-row" }, player.node), words, el("div", { class: "t2i-row" }, layerPick.node, headPick.node),
    el("div", { class: "t2i-row top" }, shown.node, over.node, plain.node),
    el("div", { class: "t2i-legend" }, "not read", ramp, "read most", most), announcer.node, copyButton(() => model.get("code")));
  view.later(player.close);
  view.later(announcer.close);
  player.node.style.visibility = "hidden";
  view.ready();
  return view.close;
}

export default { render, maths: { cividis, colorizeMap, indexOf } };
