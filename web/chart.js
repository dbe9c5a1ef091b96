// A curve over training steps, drawn as SVG at the width that there is.
import { make, number, svg } from "./dom.js";

const HEIGHT = 150;
const MARGIN = { top: 8, right: 10, bottom: 20, left: 44 };
// Weight of the newest value in the smooth curve.
const NEWEST = 0.2;

export class Chart {
  // `series`: `{field, name, colour}` of the step's numbers; `range`: fixed `[low, high]`, or null for that of the values.
  constructor({ title, about, series, range = null, wide = false }) {
    Object.assign(this, { title, series, range, steps: [], cursor: null });
    this.plot = svg("svg", { role: "img", height: HEIGHT });
    this.legend = make("ul", { className: "legend" });
    this.table = make("tbody");
    const heads = ["Step", ...series.map(({ name }) => name)].map((text) => make("th", { scope: "col" }, text));
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), this.table);
    this.numbers = make("details", {}, make("summary", {}, "Numbers"), make("div", { className: "scroll" }, table));
    this.numbers.addEventListener("toggle", () => this.tabulate());
    const hint = make("p", { className: "hint" }, about);
    this.element = make("section", { className: `card chart${wide ? " wide" : ""}` }, make("h3", {}, title), hint, this.plot, this.legend, this.numbers);
    this.plot.addEventListener("pointermove", (event) => this.point(event));
    this.plot.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  show(steps) {
    this.steps = steps;
    this.draw();
    this.tabulate();
  }

  draw() {
    const width = this.plot.clientWidth;
    if (width === 0 || this.steps.length === 0) return;
    const [first, last] = [this.steps[0].step, this.steps.at(-1).step];
    const [low, high] = this.range ?? extent(this.steps, this.series);
    const x = (step) => MARGIN.left + ((width - MARGIN.left - MARGIN.right) * (step - first)) / Math.max(1, last - first);
    const y = (value) => MARGIN.top + ((HEIGHT - MARGIN.top - MARGIN.bottom) * (high - value)) / (high - low);
    this.x = x;
    const parts = [0, 0.5, 1].flatMap((share) => {
      const value = low + share * (high - low);
      const line = svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) });
      return [line, svg("text", { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, number(value).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, ""))];
    });
    parts.push(svg("text", { x: x(first), y: HEIGHT - 4 }, `step ${first}`));
    if (last > first) parts.push(svg("text", { x: x(last), y: HEIGHT - 4, "text-anchor": "end" }, String(last)));
    for (const { field, colour, dashed } of this.series) {
      const points = this.steps.filter((step) => Number.isFinite(step[field]));
      const look = `s${colour}${dashed ? " d1" : ""}`;
      const path = (values) => points.map((step, i) => `${i ? "L" : "M"}${x(step.step).toFixed(1)} ${y(values[i]).toFixed(1)}`).join("");
      const values = points.map((step) => step[field]);
      parts.push(svg("path", { class: `raw s${colour}`, d: path(values) }));
      parts.push(svg("path", { class: `smooth ${look}`, d: path(smoothed(values)) || "M0 0" }));
      if (points.length === 1) parts.push(svg("circle", { class: look, cx: x(first), cy: y(values[0]), r: 2.5 }));
    }
    if (this.cursor) parts.push(svg("line", { class: "cursor", x1: x(this.cursor.step), x2: x(this.cursor.step), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }));
    this.plot.replaceChildren(...parts);
    this.say(this.cursor ?? this.steps.at(-1));
  }

  say(step) {
    const items = this.series.map(({ field, name, colour, dashed }) => {
      const line = svg("line", { class: `s${colour}${dashed ? " d1" : ""}`, x1: 0, x2: 22, y1: 4, y2: 4 });
      const swatch = svg("svg", { "aria-hidden": "true", viewBox: "0 0 22 8" }, line);
      return make("li", {}, swatch, `${name} ${number(step[field])}`);
    });
    this.legend.replaceChildren(...items, make("li", { className: "soft" }, `at step ${step.step}`));
    const texts = this.series.map(({ field, name }) => `${name} ${number(step[field])}`);
    this.plot.setAttribute("aria-label", `${this.title}, at step ${step.step}: ${texts.join(", ")}`);
  }

  point(event) {
    if (!this.x) return;
    const at = event && event.clientX - this.plot.getBoundingClientRect().left;
    const far = (step) => Math.abs(this.x(step.step) - at);
    this.cursor = event && this.steps.reduce((best, step) => (far(step) < far(best) ? step : best));
    this.draw();
  }

  tabulate() {
    if (!this.numbers.open) return;
    const rows = this.steps.map((step) => {
      const cells = this.series.map(({ field }) => make("td", {}, number(step[field])));
      return make("tr", {}, make("td", {}, String(step.step)), ...cells);
    });
    this.table.replaceChildren(...rows);
  }
}

function extent(steps, series) {
  const values = steps.flatMap((step) => series.map(({ field }) => step[field])).filter(Number.isFinite);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
}

function smoothed(values) {
  let mean = values[0];
  return values.map((value) => (mean += NEWEST * (value - mean)));
}
