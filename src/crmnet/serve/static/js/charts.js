// Lines, histograms and scatter plots: arrays in, an SVG out.

import { svg } from "./dom.js";
import { ticks } from "./scale.js";
import { short } from "./words.js";

const MARGIN = { left: 52, right: 14, top: 12, bottom: 44 };

/** Axes of a plot. `x` and `y` have low, high and label; returns the SVG and functions from data to pixels. */
function frame({ width, height, x, y, label, whole }) {
  const inner = { w: width - MARGIN.left - MARGIN.right, h: height - MARGIN.top - MARGIN.bottom };
  const px = (value) => MARGIN.left + inner.w * (value - x.low) / (x.high - x.low || 1);
  const py = (value) => MARGIN.top + inner.h * (1 - (value - y.low) / (y.high - y.low || 1));
  const tidy = (value) => (Number.isInteger(value) ? String(value) : short(value)).replace("-", "−");
  const across = ticks(x.low, x.high, Math.max(2, Math.min(8, Math.floor(inner.w / 70)))).filter((mark) => !whole || Number.isInteger(mark));
  const root = svg("svg", { class: "chart", role: "img", "aria-label": label, width, height },
    ticks(y.low, y.high, 4).map((mark) => [
      svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: py(mark), y2: py(mark) }),
      svg("text", { x: MARGIN.left - 8, y: py(mark) + 4, "text-anchor": "end" }, tidy(mark)),
    ]),
    across.map((mark) => svg("text", { x: px(mark), y: height - MARGIN.bottom + 18, "text-anchor": "middle" }, tidy(mark))),
    svg("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: height - MARGIN.bottom, y2: height - MARGIN.bottom }),
    svg("text", { class: "title", x: MARGIN.left + inner.w / 2, y: height - 6, "text-anchor": "middle" }, x.label),
    svg("text", { class: "title", transform: `translate(13 ${MARGIN.top + inner.h / 2}) rotate(-90)`, "text-anchor": "middle" }, y.label));
  return { root, px, py };
}

/** The least and greatest number, widened a little; one number gets a range around it. */
export function range(values, room = 0.06) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return { low: 0, high: 1 };
  const edge = (high - low || 1) * room;
  return { low: low - edge, high: high + edge };
}

/** Values of successive steps. `current` marks one step. */
export function stepPlot({ values, label, xLabel, yLabel, width, height = 210, current = null, series = 1 }) {
  const { root, px, py } = frame({
    width, height, label, whole: true,
    x: { low: 0, high: Math.max(1, values.length - 1), label: xLabel }, y: { ...range(values, 0.12), label: yLabel },
  });
  root.append(svg("polyline", { class: `line series-${series}`, points: values.map((value, step) => `${px(step)},${py(value)}`).join(" ") }));
  if (values.length <= 60) values.forEach((value, step) => root.append(
    svg("circle", { class: `dot series-${series}${step === current ? " current" : ""}`, cx: px(step), cy: py(value), r: step === current ? 6 : 4 })));
  return root;
}

/** Counts in bins of equal width: [{low, high, count}]. */
export function bins(values, wanted = 30) {
  const { low, high } = range(values, 0);
  const step = (high - low) / wanted || 1;
  const counts = Array.from({ length: wanted }, (_, index) => ({ low: low + index * step, high: low + (index + 1) * step, count: 0 }));
  for (const value of values) counts[Math.min(wanted - 1, Math.floor((value - low) / step))].count += 1;
  return counts;
}

export function histogram({ values, label, xLabel, width, height = 280, series = 1 }) {
  const counts = bins(values);
  const most = Math.max(...counts.map((bin) => bin.count), 1);
  const { root, px, py } = frame({
    width, height, label,
    x: { low: counts[0].low, high: counts.at(-1).high, label: xLabel }, y: { low: 0, high: most * 1.05, label: "promoters" },
  });
  for (const bin of counts) {
    root.append(svg("rect", { class: `bar series-${series}`, x: px(bin.low) + 0.5, width: Math.max(1, px(bin.high) - px(bin.low) - 1),
      y: py(bin.count), height: py(0) - py(bin.count) }));
  }
  return root;
}

/** One path holds all points, so that tens of thousands draw fast. */
export function scatter({ xs, ys, label, xLabel, yLabel, width, height = 280 }) {
  const { root, px, py } = frame({ width, height, label, x: { ...range(xs), label: xLabel }, y: { ...range(ys), label: yLabel } });
  const path = xs.map((x, index) => `M${px(x).toFixed(1)} ${py(ys[index]).toFixed(1)}h0`).join("");
  root.append(svg("path", { class: "points", d: path, css: { "stroke-opacity": xs.length > 1000 ? 0.35 : 0.65 } }));
  return root;
}
