// Attributions as letters, and the named sites beneath them.

import { svg } from "./dom.js";
import { BASES } from "./sequences.js";
import { number, signed } from "./words.js";

const SHAPES = { // in a square of side 1, the origin at the top left
  A: "M0 1 .38 0H.62L1 1H.8L.71.76H.29L.2 1ZM.345.6H.655L.5.17Z",
  C: "M.97.68C.92.89.76 1 .53 1 .2 1 .02.8.02.5.02.2.2 0 .53 0 .76 0 .92.11.97.31L.77.36C.73.23.66.17.52.17.32.17.22.3.22.5.22.71.32.83.52.83.67.83.75.76.78.62Z",
  G: "M.55.46H1V.86C.88.95.73 1 .56 1 .2 1 .02.79.02.5.02.2.21 0 .55 0 .78 0 .93.1.98.3L.78.34C.74.23.67.17.54.17.33.17.22.3.22.5.22.71.33.83.55.83.65.83.73.81.8.76V.63H.55Z",
  T: "M0 0H1V.18H.6V1H.4V.18H0Z",
};
const LANE = 24;

/** The value of the base that is present at each position. */
export const observed = (insert, values) => [...insert].map((base, index) => values[BASES.indexOf(base)]?.[index] ?? 0);

/** Letters above the line raise expression, letters below it lower it. */
export function logo({ insert, values, frame, medium }) {
  const heights = observed(insert, values);
  const top = Math.max(...heights, 0);
  const bottom = Math.min(...heights, 0);
  const tall = 96;
  const unit = tall / (top - bottom || 1);
  const zero = 4 + top * unit;
  return svg("svg", {
    class: "logo", role: "img", width: frame.width, height: tall + 8, "aria-label": logoText(insert, heights, medium),
  },
  svg("text", { class: "axis-label", x: 2, y: 14, "aria-hidden": "true" }, signed(top)),
  bottom < 0 && svg("text", { class: "axis-label", x: 2, y: tall + 4, "aria-hidden": "true" }, signed(bottom)),
  heights.map((value, index) => letter(insert[index], value, frame.x(index), zero, unit, frame.cell)),
  svg("line", { class: "axis", x1: frame.left, x2: frame.x(insert.length), y1: zero, y2: zero }));
}

function letter(base, value, x, zero, unit, cell) {
  const tall = Math.abs(value) * unit;
  if (tall < 0.3 || !SHAPES[base]) return null;
  const y = value > 0 ? zero - tall : zero;
  return svg("path", { d: SHAPES[base], class: `base-${base}`, "fill-rule": "evenodd",
    transform: `translate(${x + cell * 0.05} ${y}) scale(${cell * 0.9} ${tall})` });
}

function logoText(insert, heights, medium) {
  const order = heights.map((value, index) => ({ value, index })).sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const names = order.slice(0, 5).map(({ value, index }) => `${index + 1} ${insert[index]} ${signed(value)}`);
  return `Attributions in ${medium} medium. The five largest: ${names.join(", ")}.`;
}

/** Bars with the names of sites. `read(text)` shows a site's details on hover and focus. */
export function siteBars({ sites, frame, medium, read }) {
  const lanes = arrange(sites, frame.cell);
  const count = Math.max(...lanes, -1) + 1;
  return svg("svg", { class: "sites", role: "group", "aria-label": `Known sites, with their contribution in ${medium} medium`,
    width: frame.width, height: count * LANE + 4 },
  sites.map((site, index) => bar(site, lanes[index], frame, medium, read)));
}

function arrange(sites, cell) {
  const ends = [];
  return sites.map((site) => {
    const start = site.start * cell;
    const lane = ends.findIndex((end) => end < start);
    const chosen = lane < 0 ? ends.length : lane;
    ends[chosen] = Math.max((site.end + 1) * cell, start + (site.name.length + 3) * 8);
    return chosen;
  });
}

function bar(site, lane, frame, medium, read) {
  const contribution = site.contribution?.[medium] ?? null;
  const text = siteText(site, contribution, medium);
  const show = () => read(text);
  const sign = contribution === null ? "" : contribution > 0 ? "raises" : "lowers";
  return svg("g", { tabindex: "0", role: "img", "aria-label": text, class: `site ${sign}`, onpointerenter: show, onfocus: show },
    svg("rect", { x: frame.x(site.start - 1), y: lane * LANE + 3, rx: 4, height: LANE - 5,
      width: (site.end - site.start + 1) * frame.cell }),
    svg("text", { x: frame.x(site.start - 1) + 5, y: lane * LANE + 17 }, `${site.name} ${site.strand === "-" ? "←" : "→"}`));
}

export function siteText(site, contribution, medium) {
  const strand = site.strand === "-" ? "reverse strand" : "forward strand";
  const part = contribution === null ? "" : `, contributes ${signed(contribution)} in ${medium} medium`;
  return `${site.name}, bases ${site.start} to ${site.end}, ${strand}, score ${number(site.score)}${part}`;
}
