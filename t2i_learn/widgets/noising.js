// What the widgets share that dissolve a picture: schedules, a picture and its noise as numbers, what is counted and drawn.

const LONGEST = 4000; // ms from picture to noise when it plays

const b_vp = (sigma) => 1 / Math.sqrt(1 + sigma * sigma);
const b_flow = (sigma) => 1 / (1 + sigma);
const b_ve = () => 1;

function linearSigma() {
  const sums = new Float64Array(1001);
  for (let k = 0; k < 1000; k++) sums[k + 1] = sums[k] - Math.log1p(-(1e-4 + ((0.02 - 1e-4) * k) / 999));
  return (t) => Math.sqrt(Math.expm1(between(sums, t * 1000)));
}

// Read a table between its entries, by straight lines.
function between(table, x) {
  const left = Math.min(Math.max(Math.floor(x), 0), table.length - 2);
  return table[left] + (table[left + 1] - table[left]) * (x - left);
}

function cosineSigma() {
  const wave = (t) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  const first = wave(0);
  return (t) => Math.sqrt(Math.max(0, first / wave(t) - 1));
}

const PRESETS = {
  cosine: { sigma: cosineSigma(), b: b_vp, last: 0.999 },
  linear: { sigma: linearSigma(), b: b_vp, last: 1 },
  straight: { sigma: (t) => t / (1 - t), b: b_flow, last: 0.999 },
  log_linear: { sigma: (t) => 0.002 * 40000 ** t, b: b_ve, last: 1 },
};

// All that a time means in a schedule.
function levelsAt(schedule, t) {
  const sigma = schedule.sigma(Math.min(Math.max(t, 0), schedule.last));
  const b = schedule.b(sigma);
  return { sigma, b, s: sigma * b, logSnr: -2 * Math.log(sigma) };
}

// x_t = b x0 + s z, number by number.
function mixed(x0, z, b, s, out = new Float32Array(x0.length)) {
  for (let i = 0; i < x0.length; i++) out[i] = b * x0[i] + s * z[i];
  return out;
}

// Share of the values in each of `bins` equal parts of [low, high], over the width of one: a density.
function histogram(values, low, high, bins) {
  const counts = new Float64Array(bins);
  const scale = bins / (high - low);
  for (let i = 0; i < values.length; i++) {
    const k = Math.floor((values[i] - low) * scale);
    if (k >= 0 && k < bins) counts[k] += 1;
  }
  return counts.map((c) => (c * scale) / values.length);
}

function moments(values) {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    sum += values[i];
    squares += values[i] * values[i];
  }
  const mean = sum / values.length;
  return { mean, deviation: Math.sqrt(Math.max(0, squares / values.length - mean * mean)) };
}

// 8-bit RGB, pixel by pixel -> three planes in [-1, 1], as torch has them.
function planes(rgb) {
  const n = rgb.length / 3;
  const out = new Float32Array(rgb.length);
  for (let i = 0; i < n; i++) for (let c = 0; c < 3; c++) out[c * n + i] = rgb[3 * i + c] / 127.5 - 1;
  return out;
}

// scale * planes -> RGBA; the clamped array rounds and cuts to 0..255.
function pixels(values, scale, rgba) {
  const n = values.length / 3;
  const gain = 127.5 * scale;
  for (let i = 0, j = 0; i < n; i++, j += 4) {
    rgba[j] = gain * values[i] + 127.5;
    rgba[j + 1] = gain * values[i + n] + 127.5;
    rgba[j + 2] = gain * values[i + 2 * n] + 127.5;
    rgba[j + 3] = 255;
  }
  return rgba;
}

// The package's names that the Python of a picture may use, and where they are.
const PICTURE_HELPERS = {
  open_image: "t2i_learn.core.files",
  scene_picture: "t2i_learn.widgets.forward",
  square_thumbnail: "t2i_learn.widgets.forward",
  task_picture: "t2i_learn.widgets.forward",
};

const SCHEDULE_FUNCTIONS = { cosine: "cosine_schedule", linear: "linear_schedule", straight: "flow_schedule", log_linear: "log_linear_schedule" };

// [name, module] of each helper that is called in some Python.
function pictureHelpers(python) {
  return Object.entries(PICTURE_HELPERS).filter(([name]) => new RegExp(`(^|\\W)${name}\\(`).test(python));
}

// Lines of imports for [name, module] pairs: one for each module, in the order of the alphabet.
function importLines(pairs) {
  const modules = [...new Set(pairs.map(([, module]) => module))].sort();
  const namesOf = (module) => [...new Set(pairs.filter(([, m]) => m === module).map(([name]) => name))].sort();
  return modules.map((module) => `from ${module} import ${namesOf(module).join(", ")}`);
}

// A button that lets time run from where it is to 1; four times as slowly for who asked for less motion. -> {node, stop()}
function running({ get, set }) {
  const node = button({ label: "Play", title: "From picture to noise", onclick: () => (playing ? stop() : start()) });
  let playing = 0;
  function start() {
    const whole = LONGEST * (calm() ? 4 : 1);
    const began = performance.now() - (get() >= 1 ? 0 : get()) * whole;
    node.textContent = "Pause";
    const go = (when) => {
      const t = Math.min(1, (when - began) / whole);
      set(Math.round(1000 * Math.max(0, t)) / 1000);
      if (t < 1) playing = requestAnimationFrame(go);
      else stop();
    };
    playing = requestAnimationFrame(go);
  }
  function stop() {
    cancelAnimationFrame(playing);
    playing = 0;
    node.textContent = "Play";
  }
  return { node, stop };
}
