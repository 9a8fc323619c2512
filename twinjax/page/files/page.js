"use strict";
// One patient's page: what is known, what is foreseen, other doses, candidates. It asks the server and draws.

const $ = (id) => document.getElementById(id);
const state = { view: null, output: null, other: null, goal: null, limit: null, cursor: null, turn: 0, edited: false };

async function ask(path, body) {
  let answer;
  try {
    answer = await fetch(path, body === undefined ? {} : {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
  } catch {
    throw new Error("The server does not answer; is it still running?");
  }
  if (answer.status === 401) { location.reload(); }
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// What was typed, as a number where it is one: else as it is, and the server says what is wrong with it. A comma is the
// decimal sign; where it may be meant for thousands, it is refused.
function read(text, input) {
  if (/,\d{3}(?!\d)/.test(text)) throw unclear(text, "write decimals with a point, and thousands without a sign", input);
  const number = Number(text.replace(",", "."));
  return Number.isFinite(number) ? number : text;
}

function unclear(text, advice, input) {
  return Object.assign(new Error(`“${text}” can be read in two ways: ${advice}`), { input });
}

function typed(input) {
  const text = input.value.trim();
  return text === "" ? null : read(text, input);
}

// Numbers between semicolons, or between commas or spaces where those can be nothing else.
function list(input) {
  const text = input.value.trim();
  if (text.includes(";")) return text.split(";").map((p) => p.trim()).filter(Boolean).map((p) => read(p, input));
  if (/\d,\d|(^|[^\d.])\d{1,3}\s+\d{3}(?!\d)/.test(text)) throw unclear(text, "write semicolons between numbers", input);
  return text.split(/[,\s]+/).filter(Boolean).map((p) => read(p, input));
}

function when(t) {
  const { epoch, time_unit: unit } = state.view;
  if (!epoch || unit !== "h") return `${moment(t)} ${unit}`;
  const date = new Date(Date.parse(epoch) + t * 3.6e6);
  const day = date.toLocaleDateString(undefined, { day: "numeric", month: "short" });
  return `${moment(t)} h (${day}, ${date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" })})`;
}

// Numbers are estimates where `shapes` has no other function for their column.
function table(id, heads, rows, shapes = {}) {
  const numeric = heads.map((_, i) => rows.length > 0 && rows.every((r) => typeof r[i] === "number" || r[i] === null || r[i] === ""));
  const shown = (v, i) => (typeof v === "number" ? (shapes[i] || digits)(v) : v === null || v === undefined ? "" : v);
  const head = element("tr", {}, ...heads.map((h, i) => element("th", { scope: "col", class: numeric[i] ? "num" : "txt" }, h)));
  const body = rows.map((r) => element("tr", {}, ...r.map((v, i) =>
    element("td", { class: numeric[i] ? "num" : heads[i] === "hash" ? "hash" : heads[i] === "why" ? "why" : "txt" }, shown(v, i)))));
  $(id).replaceChildren(element("thead", {}, head), element("tbody", {}, ...body));
}

// --------------------------------------------------------------------------------------------------- the forecast

function curve(forecast, colour) {
  return { time: forecast.time, ...forecast.outputs[state.output], colour };
}

function draw() {
  const v = state.view, unit = v.outputs.find((o) => o.name === state.output).unit;
  const curves = [curve(v.forecast, "blue")];
  if (state.other) curves.push({ ...cropped(curve(state.other, "orange"), v.now, Infinity), measured_lower: null });
  const points = v.measurements.filter((m) => m.output === state.output);
  const doses = [...v.doses, ...(state.other ? state.other.doses.map((d) => ({ ...d, what_if: true })) : [])];
  const width = Math.max(300, Math.min(1070, $("figure").clientWidth)), height = width < 560 ? 300 : 380;
  const to = Math.max(...curves.map((c) => c.time[c.time.length - 1]));
  const made = figure({
    width, height, curves, points, doses, goal: state.goal, limit: state.limit, now: v.now, from: v.start, to,
    time: v.time_unit, unit,
    label: `${state.output} over time: ${points.length} measurements, the forecast with its 90 % band${state.other ? ", and the forecast with other doses" : ""}. The same numbers are in the table below.`,
  });
  made.svg.append(drawn("text", { x: 4, y: 9 }, unit === "au" ? state.output : `${state.output}, ${unit}`));
  made.svg.setAttribute("tabindex", "0");
  const line = drawn("line", { class: "cursor", y1: made.top, y2: made.bottom, visibility: "hidden" });
  made.svg.append(line);
  const point = (t) => {
    state.cursor = Math.min(to, Math.max(v.start, t));
    line.setAttribute("visibility", "visible");
    line.setAttribute("x1", made.x(state.cursor));
    line.setAttribute("x2", made.x(state.cursor));
    const said = curves.flatMap((c, i) => {
      const [m, lo, hi] = ["median", "lower", "upper"].map((n) => digits(between(c, n, state.cursor)));
      return m ? [`${i ? "with these doses" : "planned"} ${m} (${lo} to ${hi})`] : [];
    });
    $("readout").textContent = `${when(state.cursor)}: ${said.join("; ")} ${unit}`;
  };
  made.svg.addEventListener("pointermove", (e) => {
    const box = made.svg.getBoundingClientRect();
    point(made.at(((e.clientX - box.left) / box.width) * width));
  });
  made.svg.addEventListener("keydown", (e) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (!step) return;
    e.preventDefault();
    point((state.cursor ?? v.now) + (step * (to - v.start)) / 100);
  });
  const had = document.activeElement && document.activeElement.closest && document.activeElement.closest("#figure");
  $("figure").replaceChildren(made.svg);
  if (had) made.svg.focus();
  if (state.cursor !== null) point(state.cursor);
  key(curves.length > 1, Boolean(curves[0].measured_lower), points);
  $("remarks").textContent = [...v.forecast.said, ...(state.other ? state.other.said : [])].join(". ");
  numbers(curves, unit);
}

function key(other, measured, points) {
  const item = (mark, text) => element("li", {}, drawn("svg", { viewBox: "0 0 26 14", "aria-hidden": "true" }, ...mark), text);
  const items = [item([drawn("rect", { class: "band-blue", x: 0, y: 1, width: 26, height: 12 }), drawn("line", { class: "line-blue", x1: 0, x2: 26, y1: 7, y2: 7 })], "planned doses: median, 90 % band")];
  if (measured) items.push(item([drawn("rect", { class: "wash-blue", x: 0, y: 0, width: 26, height: 14 })], "what would be measured"));
  if (other) items.push(item([drawn("rect", { class: "band-orange", x: 0, y: 1, width: 26, height: 12 }), drawn("line", { class: "line-orange", x1: 0, x2: 26, y1: 7, y2: 7 })], "with other doses"));
  if (points.length) items.push(item([drawn("circle", { class: "point", cx: 13, cy: 7, r: 4.5 })], "measured"));
  if (points.some((p) => p.kind !== "measured")) items.push(item([drawn("path", { class: "point", d: "M8,3h10l-5,9z" })], "beyond a limit"));
  items.push(item([drawn("path", { class: "tick-given", d: "M13,3l-4,8h8z" })], "dose"));
  if (state.goal) items.push(item([drawn("rect", { class: "goal", x: 0, y: 0, width: 26, height: 14 })], "target"));
  if (state.limit !== null) items.push(item([drawn("line", { class: "limit", x1: 0, x2: 26, y1: 7, y2: 7 })], "harm above"));
  $("key").replaceChildren(...items);
}

function numbers(curves, unit) {
  const v = state.view, c = curves[0], to = c.time[c.time.length - 1];
  const times = Array.from({ length: 13 }, (_, i) => v.now + ((to - v.now) * i) / 12);
  const heads = [`time, ${v.time_unit}`, "median", "lower", "upper"], other = curves[1];
  if (other) heads.push("other doses: median", "lower", "upper");
  table("numbers", heads, times.map((t) => [t, ...curves.flatMap((k) => ["median", "lower", "upper"].map((n) => between(k, n, t)))]), { 0: moment });
  $("numbers").prepend(element("caption", { class: "note" }, `${state.output}, ${unit}`));
}

// --------------------------------------------------------------------------------------------------- other doses

function dose(row, index) {
  const unit = state.view.routes[0] ? state.view.routes[0].unit : "", time = state.view.time_unit;
  const field = (name, text, value, help) => element("label", {}, text, element("input", {
    name, inputmode: "decimal", value: value === null || value === undefined || value === 0 && name !== "time" && name !== "amount" ? "" : String(value), ...(help ? { placeholder: help } : {}),
  }));
  const routes = element("select", { name: "into" }, ...state.view.routes.map((r) =>
    element("option", { value: r.name, selected: r.name === row.into }, r.name)));
  const remove = element("button", { type: "button", "aria-label": `Remove dose ${index + 1}` }, "Remove");
  const made = element("fieldset", { class: "dose" }, element("legend", {}, `Dose ${index + 1}`),
    field("amount", `Amount, ${unit}`, row.amount), field("time", `At, ${time}`, row.time),
    field("duration", `Over, ${time}`, row.duration, "at once"), field("every", `Every, ${time}`, row.every, "once"),
    field("count", "How many", row.count > 1 ? row.count : null, "1"),
    ...(state.view.routes.length > 1 ? [element("label", {}, "Route", routes)] : []),
    element("div", { class: "last" }, remove));
  remove.addEventListener("click", () => { state.edited = true; made.remove(); number(); simulate(); });
  return made;
}

function number() {
  document.querySelectorAll(".dose legend").forEach((l, i) => { l.textContent = `Dose ${i + 1}`; });
}

function edit(rows) {
  $("rows").replaceChildren(...rows.map(dose));
}

function regimen() {
  return [...document.querySelectorAll(".dose")].map((f) => {
    const said = {};
    for (const input of f.querySelectorAll("input")) {
      const value = typed(input);
      if (value !== null) said[input.name] = value;
    }
    const route = f.querySelector("select");
    said.into = route ? route.value : state.view.routes[0].name;
    return said;
  });
}

// Whether an answer is of the twin that is shown. Where a newer one has come since, that is shown in its place.
async function current(found, view) {
  if (found.hash === state.view.hash) return true;
  if (view !== state.view) return false;
  await load();
  if (view === state.view) throw new Error("New data have come for this patient and could not be read.");
  return false;
}

// Every change of a dose is asked at once, and only the answer to the last one is shown.
async function simulate() {
  const turn = ++state.turn, began = performance.now(), view = state.view;
  $("dose-time").textContent = "Simulating…";
  try {
    const found = await ask("/api/what-if", { doses: regimen(), begin: view.begin });
    if (turn !== state.turn) return;
    if (!(await current(found, view))) {
      $("dose-said").textContent = "New data had come for this patient: the forecast is the new one, and the doses are those planned.";
      return;
    }
    state.other = found;
    $("dose-said").textContent = (found.passed || []).join(" ");
    if (found.passed && found.passed.length) {
      remains(found.kept);
      if (!(await moved()) || turn !== state.turn) return;
    }
    $("dose-time").textContent = `Simulated in ${Math.round(performance.now() - began)} ms.`;
    mark(null);
    draw();
  } catch (error) {
    if (turn !== state.turn) return;
    $("dose-said").textContent = error.message;
    $("dose-time").textContent = "The forecast is that of the last doses that could be simulated.";
    mark(error.message, error.input);
  }
}

// What is left of each dose, some of which have come due: the fields that are typed in stay where they are. A dose that
// is being typed is not taken away, as “26” may be the beginning of “26.5”.
function remains(kept) {
  const rows = [...document.querySelectorAll(".dose")];
  if (rows.length !== kept.length) return;
  kept.forEach((k, i) => {
    const at = document.activeElement;
    if (rows[i].contains(at) && (k === null || ["time", "every", "count"].includes(at.name))) return;
    if (k === null) return rows[i].remove();
    if ("time" in k) rows[i].querySelector("[name=time]").value = String(k.time);
    if ("count" in k) rows[i].querySelector("[name=count]").value = k.count > 1 ? String(k.count) : "";
  });
  number();
}

// Time has gone on: the view as it is now, of the same twin; whether it is.
async function moved() {
  const before = state.view, view = await ask("/api/view");
  if (before !== state.view) return false;
  if (view.hash !== before.hash) { await load(); return false; }
  state.view = view;
  known();
  return true;
}

// The field that a message is about.
function mark(why, field) {
  document.querySelectorAll(".dose input").forEach((i) => i.removeAttribute("aria-invalid"));
  if (field) field.setAttribute("aria-invalid", "true");
  const which = why && /dose (\d+)/.exec(why);
  const own = which && document.querySelectorAll(".dose")[Number(which[1]) - 1];
  if (!own) return;
  const name = /amount|above zero/.test(why) ? "amount" : /number of doses|count/.test(why) ? "count" : /past|ahead|time/.test(why) ? "time" : null;
  const input = name && own.querySelector(`[name=${name}]`);
  if (input) input.setAttribute("aria-invalid", "true");
}

// --------------------------------------------------------------------------------------------------- candidates

function question() {
  const form = $("target").elements;
  const asked = { output: state.output, quantity: form.quantity.value, every: list(form.every), tablets: list(form.tablets), into: form.into.value };
  for (const name of ["lower", "upper", "start", "until", "peak"]) asked[name] = typed(form[name]);
  const risk = typed(form.risk);
  return { ...asked, risk: typeof risk === "number" ? risk / 100 : risk };
}

async function seek(event) {
  event.preventDefault();
  const button = $("seek"), view = state.view;
  button.disabled = true;
  button.textContent = "Seeking…";
  $("target-said").textContent = "";
  try {
    const found = await ask("/api/recommend", question());
    if (!(await current(found, view))) {
      $("target-said").textContent = "New data had come for this patient, and the forecast is the new one: find doses again.";
    } else if (found.output !== state.output) {
      $("target-said").textContent = `These doses were for ${found.output}, which is no longer shown: find doses again.`;
    } else {
      state.goal = [found.lower, found.upper];
      state.limit = found.peak;
      show(found);
      draw();
    }
  } catch (error) {
    $("target-said").textContent = error.message;
  } finally {
    button.disabled = false;
    button.textContent = "Find doses";
  }
}

function percent(share) {
  return share === null ? "" : `${(100 * share).toFixed(0)} %`;
}

function show(found) {
  const unit = state.view.outputs.find((o) => o.name === found.output).unit, v = state.view;
  $("side").hidden = false;
  $("side-note").textContent = found.acceptable
    ? "The best first: by the probability of reaching the target without harm."
    : `No candidate keeps the risk of harm below ${percent(found.risk)}. These come nearest.`;
  $("candidates").replaceChildren(...found.candidates.map((c, i) => {
    const own = { time: c.forecast.time, ...c.forecast.outputs[found.output], colour: "blue" };
    const made = figure({
      width: 260, height: 130, curves: [own], goal: [found.lower, found.upper], limit: found.peak, from: v.now,
      to: own.time[own.time.length - 1], time: v.time_unit, unit, small: true,
      label: `${found.output} with ${c.name}: the forecast with its 90 % band and the target`,
    });
    const facts = [["in the target", percent(c.target)]];
    if (found.peak !== null) facts.push(["harm", percent(c.toxicity)], ["target without harm", percent(c.both)]);
    facts.push([`median, ${unit}`, `${digits(c.quantity)} (${digits(c.quantity_lower)} to ${digits(c.quantity_upper)})`]);
    if (c.tablets.length) facts.push(["tablets", c.tablets.map((t) => `${t.count} × ${exact(t.strength)}`).join(" + ")]);
    const take = element("button", { type: "button" }, "Set beside the plan");
    take.addEventListener("click", () => { state.edited = true; edit(c.doses); simulate(); $("h-forecast").scrollIntoView({ block: "start" }); });
    const harm = found.peak !== null && c.toxicity > found.risk;
    return element("article", { class: `candidate${harm ? " harm" : i === 0 ? " best" : ""}` }, element("h3", {}, c.name), made.svg,
      element("dl", {}, ...facts.map(([n, x]) => element("div", {}, element("dt", {}, n), element("dd", {}, x)))), take);
  }));
}

// --------------------------------------------------------------------------------------------------- everything else

function known() {
  const v = state.view, routes = v.routes.map((r) => r.name);
  document.title = `${v.patient}: a patient's twin`;
  $("patient").textContent = v.patient;
  $("about").textContent = `${v.model}, learnt by ${v.method}`;
  const facts = [["latest measurement", when(v.now)], ["measurements", String(v.measurements.length)],
    ...Object.entries(v.covariates).map(([n, x]) => [n, exact(x)]), ["twin", v.hash.slice(0, 12)]];
  $("facts").replaceChildren(...facts.map(([n, x]) => element("div", {}, element("dt", {}, n), element("dd", {}, x))));
  $("output").replaceChildren(...v.outputs.map((o) => element("option", { value: o.name }, o.name)));
  $("choose").hidden = v.outputs.length < 2;
  if (!v.outputs.some((o) => o.name === state.output)) state.output = (v.outputs.find((o) => o.measured) || v.outputs[0]).name;
  $("output").value = state.output;
  const form = $("target").elements;
  const into = form.into.value;
  form.into.replaceChildren(...v.routes.map((r) => element("option", { value: r.name, selected: r.name === into }, r.name)));
  $("into").hidden = routes.length < 2;
  if (!form.start.value) form.start.placeholder = moment(v.begin);
  if (!form.until.value) form.until.value = moment(v.begin + (v.horizon > 24 ? v.horizon - 24 : v.horizon));
  units();
  table("measured", ["time", "output", "value", "", "expected", "off by"], v.measurements.map((m) =>
    [when(m.time), m.output, m.value, m.kind === "measured" ? "" : m.kind, m.expected, m.z]), { 2: exact });
  table("parameters", ["parameter", "unit", "typical", "patient", "lower", "upper"], v.parameters.map((p) =>
    [p.name, p.unit, p.typical, p.patient, p.lower, p.upper]));
  table("audit", ["step", "when", "what", "source", "measurements", "left out", "doses", "moved", "settled", "hash"], v.audit.map((a) =>
    [a.step, a.when.replace("T", " ").slice(0, 16), a.what, a.source, a.measurements, a.left || "", a.doses, a.moved,
      a.settled === false ? "no" : a.settled ? "yes" : "", a.hash.slice(0, 12)]), { 0: exact, 4: exact, 5: exact, 6: exact });
  $("refused").hidden = !v.refusals.length;
  table("refusals", ["received", "message", "why"], v.refusals.map((r) => [r.received.replace("T", " ").slice(0, 16), r.id || "", r.why]));
}

function units() {
  const v = state.view, unit = v.outputs.find((o) => o.name === state.output).unit;
  document.querySelectorAll("#target .unit").forEach((s) => { s.textContent = unit; });
  document.querySelectorAll("#target .time").forEach((s) => { s.textContent = v.time_unit; });
  document.querySelectorAll("#target .amount").forEach((s) => { s.textContent = v.routes[0] ? `${v.routes[0].unit}, as 50; 100` : ""; });
}

async function load() {
  try {
    state.view = await ask("/api/view");
  } catch (error) {
    $("trouble").textContent = error.message;
    $("trouble").hidden = false;
    return;
  }
  $("news").hidden = $("trouble").hidden = $("side").hidden = true;
  $("readout").textContent = $("target-said").textContent = "";
  state.goal = state.limit = state.cursor = null;
  known();
  planned();
  document.body.dataset.ready = "yes";
}

// The doses that are planned, and no others: what was asked before is not shown when it comes.
function planned() {
  clearTimeout(waiting);
  state.turn++;
  state.other = null;
  state.edited = false;
  edit(state.view.plan);
  $("dose-said").textContent = $("dose-time").textContent = "";
  draw();
}

let waiting = null;
// What was asked before this is no longer what is typed: its answer is dropped.
$("doses").addEventListener("input", () => { state.edited = true; state.turn++; clearTimeout(waiting); waiting = setTimeout(simulate, 150); });
$("doses").addEventListener("submit", (event) => { event.preventDefault(); simulate(); });
$("add").addEventListener("click", () => {
  state.edited = true;
  const v = state.view, last = [...document.querySelectorAll(".dose")].length;
  const before = v.doses[v.doses.length - 1], into = before ? before.into : v.routes[0].name;
  $("rows").append(dose({ amount: before ? before.amount : 100, time: Math.ceil(v.begin) + 1, into, duration: before ? before.duration : null, every: 0, count: 1 }, last));
  simulate();
});
$("plan").addEventListener("click", planned);
$("target").addEventListener("submit", seek);
$("output").addEventListener("change", () => { state.output = $("output").value; state.goal = state.limit = null; $("side").hidden = true; units(); draw(); });
$("reload").addEventListener("click", load);
let wide = window.innerWidth;
window.addEventListener("resize", () => { if (state.view && window.innerWidth !== wide) { wide = window.innerWidth; draw(); } });
// New data are said; a dose that has come due is no longer one to come, whether or not others are being edited.
async function watch() {
  const view = state.view;
  if (!view || document.hidden) return;
  try {
    const now = await ask("/api/hash");
    if (view !== state.view) return;
    if (now.hash !== view.hash) $("news").hidden = false;
    else if (state.edited && now.begin > view.begin && due(now.begin)) await simulate();
    else if (!state.edited && view.plan.some((d) => d.time < now.begin) && await moved()) {
      planned();
      $("dose-said").textContent = "A planned dose has come due and counts as given: here are those to come.";
    }
  } catch { /* said when something is asked */ }
}

// Whether a dose that is typed in has come due.
function due(begin) {
  return [...document.querySelectorAll(".dose [name=time]")].some((i) => i.value.trim() !== "" && Number(i.value) < begin);
}
setInterval(watch, 20000);
load();
