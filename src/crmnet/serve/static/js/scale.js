// Expression of one promoter in one medium, on the scale of the medium.

import { html, svg } from "./dom.js";
import { mediumHint, number, percent, short, signed } from "./words.js";

/**
 * A row with the name of the medium, the scale and the numbers.
 * `medium` has name, unit, low and high; `original` is the expression before the edits, or null.
 */
export function expressionRow(medium, expression, original) {
  const scale = figure(medium, expression, original);
  const moved = original && original.value !== expression.value;
  return html("div", { class: "expression" },
    html("div", {}, html("h4", {}, medium.name), html("p", { class: "hint" }, mediumHint(medium.name))),
    scale,
    html("div", { class: "numbers" },
      html("p", {}, html("strong", {}, number(expression.value)), ` ${interval(expression)}`),
      moved && html("p", { class: "moved" }, `${signed(expression.value - original.value)} by your edits, from ${number(original.value)}`),
      html("p", { class: "hint" }, nativeWords(expression.percentile))));
}

export function nativeWords(percentile) {
  return percentile === null ? "No reference promoters are known for this medium."
    : `stronger than ${percent(percentile)} % of native promoters`;
}

export function interval({ low, high }) {
  return low === null ? "(no interval)" : `(${short(low)} to ${short(high)})`;
}

function figure(medium, expression, original) {
  const place = (value) => 2 + 96 * Math.max(0, Math.min(1, (value - medium.low) / (medium.high - medium.low)));
  const at = (value) => `${place(value)}%`;
  const marks = ticks(medium.low, medium.high, 6);
  const label = `${number(expression.value)} on a scale from ${short(medium.low)} to ${short(medium.high)}, `
    + `interval ${interval(expression)}`;
  const known = expression.low !== null;
  return svg("svg", { class: "scale", role: "img", "aria-label": label, height: 46, width: "100%" },
    svg("line", { class: "axis", x1: "2%", x2: "98%", y1: 18, y2: 18 }),
    marks.map((mark) => [
      svg("line", { class: "axis", x1: at(mark), x2: at(mark), y1: 18, y2: 24 }),
      svg("text", { x: at(mark), y: 40, "text-anchor": "middle" }, short(mark).replace(/\.0$/, "")),
    ]),
    known && svg("rect", {
      class: "interval", x: at(expression.low), y: 11, height: 14, rx: 7,
      width: `${Math.max(0.5, place(expression.high) - place(expression.low))}%`,
    }),
    original && svg("circle", { class: "before", cx: at(original.value), cy: 18, r: 6 }),
    svg("circle", { class: "now", cx: at(expression.value), cy: 18, r: 7 }));
}

/** About `wanted` round numbers between two ends. */
export function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}
