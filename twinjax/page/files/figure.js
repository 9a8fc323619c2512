"use strict";
// Figures as SVG: bands, curves, points, doses. No library, no network.

const SVG = "http://www.w3.org/2000/svg";

function drawn(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// An estimate: to three digits or four.
function digits(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(2);
  return String(Number(value.toPrecision(size >= 1000 ? 4 : 3)));
}

// What was measured, given, or counted: as it is.
function exact(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "";
  const size = Math.abs(value), own = Number(value.toPrecision(12));
  return size !== 0 && (size >= 1e7 || size < 1e-4) ? own.toExponential() : String(own);
}

// A time: to a hundredth of its unit.
function moment(t) {
  return exact(Number(t.toFixed(2)));
}

// Round numbers that divide a range into about so many parts.
function ticks(low, high, parts) {
  const rough = (high - low) / parts;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found;
}

// Hours: ticks at parts of days.
function hours(low, high, parts) {
  const steps = [1, 2, 3, 6, 12, 24, 48, 72, 168, 336, 672];
  const step = steps.find((s) => (high - low) / s <= parts);
  if (!step || high - low < parts) return ticks(low, high, parts);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(k * step);
  return found;
}

function path(xs, ys, x, y) {
  let text = "", pen = "M";
  for (let i = 0; i < xs.length; i++) {
    if (ys[i] === null) { pen = "M"; continue; }
    text += `${pen}${x(xs[i]).toFixed(1)},${y(ys[i]).toFixed(1)}`;
    pen = "L";
  }
  return text;
}

function ribbon(xs, lower, upper, x, y) {
  const kept = xs.map((_, i) => i).filter((i) => lower[i] !== null && upper[i] !== null);
  if (!kept.length) return "";
  const up = kept.map((i) => `${x(xs[i]).toFixed(1)},${y(upper[i]).toFixed(1)}`);
  const down = kept.reverse().map((i) => `${x(xs[i]).toFixed(1)},${y(lower[i]).toFixed(1)}`);
  return `M${up.join("L")}L${down.join("L")}Z`;
}

// The part of a curve between two times, with its own values at both.
function cropped(c, from, to) {
  const low = Math.max(from, c.time[0]), high = Math.min(to, c.time[c.time.length - 1]);
  const kept = c.time.map((_, i) => i).filter((i) => c.time[i] > low && c.time[i] < high);
  const cut = (name) => [between(c, name, low), ...kept.map((i) => c[name][i]), between(c, name, high)];
  const parts = Object.entries(c).map(([name, values]) => [name, Array.isArray(values) ? cut(name) : values]);
  return { ...Object.fromEntries(parts), time: [low, ...kept.map((i) => c.time[i]), high] };
}

// A figure of curves {time, lower, median, upper, measured_lower?, measured_upper?, colour}, with what is around them.
function figure({ width, height, curves, points = [], doses = [], goal = null, limit = null, now = null, from, to,
                  label, time, unit, small = false }) {
  curves = curves.map((c) => cropped(c, from, to));
  const left = small ? 34 : 48, right = small ? 14 : 8, top = 12, bottom = small ? 22 : 62;
  let most = 0, least = 0;
  for (const c of curves) {
    c.time.forEach((t, i) => {
      for (const v of [c.upper[i], c.measured_upper && !small ? c.measured_upper[i] : null]) if (v !== null) most = Math.max(most, v);
      for (const v of [c.lower[i]]) if (v !== null) least = Math.min(least, v);
    });
  }
  for (const p of points) { most = Math.max(most, p.value); least = Math.min(least, p.value); }
  if (goal) most = Math.max(most, goal[1]);
  if (limit !== null) most = Math.max(most, limit);
  most = most > least ? most + 0.04 * (most - least) : least + 1;
  const x = (t) => left + ((t - from) / (to - from)) * (width - left - right);
  const y = (v) => top + ((most - v) / (most - least)) * (height - top - bottom);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (const v of ticks(least, most, small ? 3 : 5)) {
    svg.append(drawn("line", { class: "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) }));
    svg.append(drawn("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, exact(v)));
  }
  for (const t of hours(from, to, small ? 4 : Math.max(4, Math.round(width / 90)))) {
    svg.append(drawn("line", { class: "axis", x1: x(t), x2: x(t), y1: height - bottom, y2: height - bottom + 4 }));
    svg.append(drawn("text", { x: x(t), y: height - bottom + 17, "text-anchor": "middle" }, exact(t)));
  }
  if (goal) svg.append(drawn("rect", { class: "goal", x: left, width: width - left - right, y: y(goal[1]), height: Math.max(1, y(Math.max(goal[0], least)) - y(goal[1])) }));
  if (limit !== null) svg.append(drawn("line", { class: "limit", x1: left, x2: width - right, y1: y(limit), y2: y(limit) }));
  for (const c of curves) {
    if (c.measured_lower && !small) svg.append(drawn("path", { class: `wash-${c.colour}`, d: ribbon(c.time, c.measured_lower.map((v) => v === null ? null : Math.max(v, least)), c.measured_upper, x, y) }));
    svg.append(drawn("path", { class: `band band-${c.colour}`, d: ribbon(c.time, c.lower, c.upper, x, y) }));
  }
  for (const c of curves) svg.append(drawn("path", { class: `line-${c.colour}`, d: path(c.time, c.median, x, y) }));
  svg.append(drawn("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }));
  if (now !== null && now >= from) {
    svg.append(drawn("line", { class: "now", x1: x(now), x2: x(now), y1: top, y2: height - bottom }));
    const late = x(now) > width / 2;
    if (!small) svg.append(drawn("text", { x: x(now) + (late ? -4 : 4), y: top + 9, "text-anchor": late ? "end" : "start" }, "latest measurement"));
  }
  for (const d of small ? [] : doses) {
    if (d.time < from || d.time > to) continue;
    const at = x(d.time), base = height - bottom + 25 + (d.what_if ? 9 : 0);
    svg.append(drawn("path", { class: d.what_if ? "tick-if dose-if" : "tick-given", d: `M${at},${base}l-4,7h8z` }, drawn("title", {}, `${exact(d.amount)} at ${moment(d.time)} ${time}`)));
  }
  for (const p of points) {
    const px = x(p.time), py = y(p.value);
    if (p.time < from || p.time > to) continue;
    const title = drawn("title", {}, `${exact(p.value)} ${unit} at ${moment(p.time)} ${time}${p.kind === "measured" ? "" : `, ${p.kind} this limit`}`);
    if (p.kind === "measured") svg.append(drawn("circle", { class: "point", cx: px, cy: py, r: 4.5 }, title));
    else svg.append(drawn("path", { class: "point", d: p.kind === "below" ? `M${px - 5},${py - 4}h10l-5,9z` : `M${px - 5},${py + 4}h10l-5,-9z` }, title));
  }
  if (!small) svg.append(drawn("text", { x: width - right, y: height - 4, "text-anchor": "end" }, `time, ${time}`));
  return { svg, at: (px) => from + ((px - left) / (width - left - right)) * (to - from), x, top, bottom: height - bottom };
}

// The value of a curve at a time, in straight lines between its own; none before it begins and after it ends.
function between(c, name, t) {
  const xs = c.time, i = xs.findIndex((s) => s >= t);
  if (i < 0 || t < xs[0]) return null;
  if (xs[i] === t) return c[name][i];
  const share = (t - xs[i - 1]) / (xs[i] - xs[i - 1]);
  return c[name][i - 1] === null || c[name][i] === null ? null : c[name][i - 1] * (1 - share) + c[name][i] * share;
}
