// What the widgets that draw share: a form for what to draw and how, Draw and Stop, and what the kernel says of it.

// A number to type, within bounds; something that is no number counts as what stood there before.
function numberField({ label, min, max, step, value }) {
  const id = newId();
  const input = el("input", { id, type: "number", min, max, step, value });
  let last = value;
  return {
    node: el("div", { class: "t2i-number" }, el("label", { for: id }, label), input),
    input,
    get value() {
      const typed = input.valueAsNumber;
      last = Number.isFinite(typed) ? Math.min(max, Math.max(min, typed)) : last;
      return last;
    },
    set(newValue) {
      last = newValue;
      input.value = newValue;
    },
  };
}

// What every form may ask for; the rest are the model's own settings.
const FIELDS = {
  prompt: (value, onenter) => textField({ label: "Prompt", value, onenter }),
  negative_prompt: (value, onenter) => textField({ label: "Negative prompt", value, placeholder: "what to keep away from; may be empty", onenter }),
  seed: (value) => numberField({ label: "Seed", min: 0, max: 2 ** 32 - 1, step: 1, value }),
};

// A field for a setting as the kernel describes it: a menu of names, or a number within bounds.
function settingField({ label, help, choices, min, max, step }, value) {
  const field = choices ? picker({ label, options: choices, value }) : numberField({ label, min, max, step, value });
  field.node.title = help;
  return field;
}

// The fields of one trait of the model, in a frame with a name. -> {node, values(), enable(yes)}
function settingsForm(view, model, trait, { legend, onenter, buttons = [] }) {
  const form = model.get(trait);
  const fields = {};
  for (const [name, make] of Object.entries(FIELDS)) if (name in form) fields[name] = make(form[name], onenter);
  for (const setting of model.get("fields")) if (setting.name in form) fields[setting.name] = settingField(setting, form[setting.name]);
  const control = (field) => field.input || field.select;
  const values = () => {
    const whole = { ...model.get(trait) };
    for (const [name, field] of Object.entries(fields)) whole[name] = field.value;
    return whole;
  };
  function fillIn() {
    for (const [name, field] of Object.entries(fields))
      if (control(field) !== document.activeElement) field.set(model.get(trait)[name]);
  }
  function keep() {
    model.set(trait, values());
    model.save_changes();
  }
  for (const field of Object.values(fields)) view.on(control(field), "change", keep);
  view.listen(`change:${trait}`, fillIn);
  const short = Object.entries(fields).filter(([name]) => !name.endsWith("prompt"));
  return {
    node: el("fieldset", { class: "t2i-form" }, el("legend", {}, legend), fields.prompt.node,
      fields.negative_prompt ? fields.negative_prompt.node : null,
      el("div", { class: "t2i-row" }, short.map(([, field]) => field.node)), el("div", { class: "t2i-row" }, buttons)),
    values,
    enable: (yes) => Object.values(fields).forEach((field) => { control(field).disabled = !yes; }),
  };
}

// Draw, Stop, and a line that says how far it is. `ask` makes the message that Draw sends.
// -> {draw, stop, node, send(message), progress(text)}
function drawing(view, model, { ask, title, label }) {
  const draw = button({ label, title, kind: "main", onclick: () => send(ask()) });
  const stop = button({ label: "Stop", title: "End after the step that is being taken", onclick: () => view.send({ type: "stop" }) });
  const shown = el("span", { class: "t2i-note t2i-progress" });
  const aloud = liveRegion();
  const notes = el("p", { class: "t2i-note", role: "status" });
  const follow = () => {
    stop.disabled = view.offline || !model.get("running");
    notes.textContent = model.get("notes") || "";
    notes.hidden = !notes.textContent;
  };
  function progress(words) {
    const text = view.offline ? "A recording: to draw, open the notebook." : words;
    shown.textContent = text;
    aloud.say(text);
  }
  // Says at once that something was asked for; the first step, or a sentence about what is wrong, takes its place.
  function send(message) {
    progress("Beginning …");
    view.send(message);
  }
  view.listen("change:message", () => model.get("message") && progress(""));
  view.listen("change:running", follow);
  view.listen("change:notes", follow);
  view.later(aloud.close);
  follow();
  draw.disabled = view.offline;
  return {
    draw,
    stop,
    node: el("div", { class: "t2i-row" }, stop, shown, aloud.node, notes),
    send,
    progress,
  };
}
