// Stable laws in the page: numbers out of torch's uniforms, the density, the tails, and a chart for tails.

const LEAST = 2 ** -54; // what a uniform number of 0 is taken for

// Uniform in [0, 1) with 53 bits, as torch.rand(n, dtype=torch.float64) draws them.
function doubles(next, n) {
  const bits = () => (next() & 0x1fffff) * 2 ** 32 + next();
  return Float64Array.from({ length: n }, () => bits() / 2 ** 53);
}

// What stable numbers are made of: uniform and exponential numbers. -> {u, w}
function anglesAndWaits(next, n) {
  const above = (x) => Math.max(x, LEAST);
  const u = doubles(next, n).map(above);
  return { u, w: doubles(next, n).map((x) => -Math.log1p(-above(x))) };
}

// The random variance A that an angle and a wait make (Kanter 1975), in logarithms; 1 at alpha = 2.
function kanter(v, w, alpha) {
  const a = alpha / 2;
  if (a === 1) return 1;
  const u = Math.PI * (1 - v);
  const sine = Math.sin(Math.PI * Math.min(v, 1 - v));
  const kappa = Math.log(Math.sin((1 - a) * u)) + (a * Math.log(Math.sin(a * u)) - Math.log(sine)) / (1 - a);
  return Math.exp(((kappa - Math.log(w)) * (1 - a)) / a);
}

const skewOf = (alpha, beta) => beta * Math.tan((Math.PI * alpha) / 2);

// The stable number that an angle and a wait make (Chambers, Mallows and Stuck 1976; Weron 1996).
function chambers(u, w, alpha, beta, param) {
  const v = Math.PI * (u - 0.5);
  if (alpha === 1) {
    const turn = Math.PI / 2 + beta * v;
    return (2 / Math.PI) * (turn * Math.tan(v) - beta * Math.log(((Math.PI / 2) * w * Math.cos(v)) / turn));
  }
  const skew = skewOf(alpha, beta);
  const tilted = alpha * v + Math.atan(skew);
  const size = Math.log(Math.max(Math.cos(v - tilted), 1e-300) / w) * ((1 - alpha) / alpha) - Math.log(Math.cos(v)) / alpha;
  const x = (1 + skew * skew) ** (1 / (2 * alpha)) * Math.sin(tilted) * Math.exp(size);
  return x - (param === "S0" ? skew : 0);
}

// Logarithm of E exp(i k X) for a frequency k >= 0. -> [real, imaginary]
function logCharacteristic(k, alpha, beta, param) {
  if (alpha === 1) return [-k, k > 0 ? ((-beta * 2) / Math.PI) * k * Math.log(k) : 0];
  const power = k ** alpha;
  return [-power, skewOf(alpha, beta) * (power - (param === "S0" ? k : 0))];
}

// Density at `count` places, `step` apart: the inverse Fourier integral, in k = u^3, by trapezoids. From one place to the
// next each wave turns by the same angle, so that only its first cosine has to be worked out.
function density(first, step, count, alpha, beta, param, n = 4000) {
  const out = new Float64Array(count);
  const du = 30 ** (1 / (3 * alpha)) / (n - 1);
  for (let i = 1; i < n; i++) {
    const k = (i * du) ** 3;
    const [real, imaginary] = logCharacteristic(k, alpha, beta, param);
    const weight = ((i === n - 1 ? 1.5 : 3) * (i * du) ** 2 * Math.exp(real) * du) / Math.PI;
    const [c, s] = [Math.cos(step * k), Math.sin(step * k)];
    let [x, y] = [weight * Math.cos(imaginary - first * k), weight * Math.sin(imaginary - first * k)];
    for (let j = 0; j < count; j++) {
      out[j] += x;
      const turned = x * c + y * s;
      y = y * c - x * s;
      x = turned;
    }
  }
  return out;
}

// P(X > x) at many places, as an integral over an angle (Zolotarev 1986; Nolan 2020, theorem 3.3).
function survival(xs, alpha, beta = 0, param = "S1") {
  const shift = param === "S0" && alpha !== 1 ? skewOf(alpha, beta) : 0;
  const sides = { 1: above(alpha, beta), "-1": above(alpha, -beta) };
  return Float64Array.from(xs, (x0) => {
    const x = x0 + shift;
    const turned = alpha === 1 ? beta < 0 : x < 0;
    return turned ? 1 - sides[-1](-x) : sides[1](x);
  });
}

// The same for one place x >= 0 (any x for alpha = 1 and beta >= 0): how much of the angle lies to the right of a soft step
// from 0 to 1 whose place x decides. A table, made once, says where the step is; Gauss's rule sums it up. -> a function of x
function above(alpha, beta) {
  if (alpha === 1 && beta === 0) return (x) => 0.5 - Math.atan(x) / Math.PI;
  const start = alpha === 1 ? Math.PI / 2 : Math.atan(skewOf(alpha, beta)) / alpha;
  const [width, sign] = [Math.PI / 2 + start, alpha > 1 ? -1 : 1];
  if (width < 1e-12) return () => 0; // all of the law is on the other side
  const power = alpha === 1 ? -Math.PI / (2 * beta) : alpha / (alpha - 1);
  const [up, down] = [(y) => 1 / (1 + Math.exp(-y)), (y) => 1 / (1 + Math.exp(y))]; // shares of the angle below and above y
  const steep = (y) => sign * logSteepness(alpha, beta, start, width * up(y), width * down(y));
  const ys = Float64Array.from({ length: 1500 }, (_, i) => 36 * (i / 749.5 - 1));
  const table = ys.map(steep);
  return (x) => {
    if (alpha !== 1 && x === 0) return width / Math.PI;
    const grown = sign * (alpha === 1 ? power * x : power * Math.log(x));
    const [zero, one] = (alpha > 1 ? [-5, 20] : [-20, 5]).map((s) => readOff(table, ys, s - grown));
    const half = (one - zero) / Math.ceil((one - zero) / (alpha === 1 ? 1.5 : 4)) / 2; // of a piece
    let sum = down(one);
    for (let middle = zero + half; middle < one; middle += 2 * half) {
      for (const [place, weight] of GAUSS) {
        const y = middle + half * place;
        const bent = Math.exp(sign * (steep(y) + grown));
        sum += weight * half * (alpha > 1 ? Math.exp(-bent) : -Math.expm1(-bent)) * up(y) * down(y);
      }
    }
    return (width * sum) / Math.PI;
  };
}

// Gauss's rule on [-1, 1]: places, where a Legendre polynomial is 0, and weights.
const GAUSS = Array.from({ length: 32 }, (_, i) => {
  let [x, slope] = [Math.cos((Math.PI * (i + 0.75)) / 32.5), 1];
  for (let round = 0; round < 8; round++) {
    let [before, now] = [1, x];
    for (let k = 2; k <= 32; k++) [before, now] = [now, ((2 * k - 1) * x * now - (k - 1) * before) / k];
    slope = (32 * (before - x * now)) / (1 - x * x);
    x -= now / slope;
  }
  return [x, 2 / ((1 - x * x) * slope * slope)];
});

// A table between its entries by straight lines, beyond them at its ends; `keys` rise.
function readOff(keys, values, key) {
  let [low, high] = [0, keys.length - 1];
  if (!(key > keys[low])) return values[low];
  if (!(key < keys[high])) return values[high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (keys[middle] < key) low = middle;
    else high = middle;
  }
  return values[low] + ((values[high] - values[low]) * (key - keys[low])) / (keys[high] - keys[low]);
}

// Logarithm of the function in the integrand; the angle is `from` above its lower end and `to` below pi / 2.
function logSteepness(alpha, beta, start, from, to) {
  const [angle, cosine] = [from - start, Math.sin(to)];
  if (alpha === 1) {
    const turn = Math.PI / 2 + beta * angle;
    return Math.log((2 / Math.PI) * turn) - Math.log(cosine) + (turn * (Math.cos(to) / cosine)) / beta;
  }
  const rest = Math.log(Math.max(Math.cos(alpha * start + (alpha - 1) * angle), 1e-300)) - Math.log(cosine);
  const ratio = Math.log(cosine) - Math.log(Math.max(Math.sin(alpha * from), 1e-300));
  return (Math.log(Math.cos(alpha * start)) + alpha * ratio) / (alpha - 1) + rest;
}

// Share of `all` numbers that lie above each of these: points (log10 x, log10 share), about `most` of them, evenly spread.
function tailOf(values, most = 160, all = values.length) {
  const sorted = Float64Array.from(values).sort();
  const n = sorted.length;
  const points = [];
  let last = -Infinity;
  for (let rank = 1; rank <= n && sorted[n - rank] > 0; rank++) {
    const at = Math.log10(rank / all);
    if (at - last < Math.log10(all) / most && rank < n) continue;
    last = at;
    points.push([Math.log10(sorted[n - rank]), at]);
  }
  return points;
}

// Axes for tails, both logarithmic, and lines by name. -> {node, show(name, points)}
function tailChart({ width, height, x, low, label, xlabel, names }) {
  const whole = (from, to) => Array.from({ length: to - from + 1 }, (_, k) => from + k);
  const axes = chart({
    width, height, x, y: [low, 0], xticks: whole(...x), yticks: whole(low, 0), xtext: powerOfTen, ytext: powerOfTen,
    xlabel, ylabel: "share above", label, left: 54,
  });
  const lines = Object.fromEntries(Object.entries(names).map(([name, look]) => [name, axes.add("path", { class: look })]));
  const inside = ([a, b]) => a >= x[0] && a <= x[1] && b >= low && b <= 0;
  return { node: axes.node, show: (name, points) => update(lines[name], { d: axes.line(points.filter(inside)) }) };
}
