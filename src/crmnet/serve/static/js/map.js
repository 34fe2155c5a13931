// The 4 × L map of all single mutations: hover and arrow keys read, a click or Enter introduces the mutation.

import { svg } from "./dom.js";
import { BASES } from "./sequences.js";
import { number, signed } from "./words.js";

export const ROW = 24;

/** Where the columns of logo, sites and map stand: the same for all of them. */
export function columns(length, available) {
  const left = 46;
  const least = available > 700 ? 11 : 14; // a finger needs more than a mouse
  const cell = Math.max(least, Math.floor((available - left - 4) / length));
  return { left, cell, width: left + cell * length + 4, x: (index) => left + index * cell };
}

/** Colour of a change of expression; `largest` is the change with the full colour. */
export function changeColour(change, largest) {
  const share = Math.min(1, Math.abs(change) / (largest || 1));
  return `color-mix(in oklab, var(${change > 0 ? "--raises" : "--lowers"}) ${(100 * share).toFixed(1)}%, var(--neutral))`;
}

/** Colour of an expression between the ends of the medium's scale. */
export function levelColour(value, low, high) {
  const share = Math.max(0, Math.min(1, (value - low) / (high - low)));
  return share < 0.5
    ? `color-mix(in oklab, var(--middle) ${(200 * share).toFixed(1)}%, var(--low))`
    : `color-mix(in oklab, var(--high) ${(200 * share - 100).toFixed(1)}%, var(--middle))`;
}

/**
 * The map of one medium. `effect` is 4 × L: the change of expression by each base at each position.
 * `read(cell)` and `choose(cell)` get {position, from, to, change}; `edited` holds edited positions.
 */
export function mutationMap({ insert, effect, reference, medium, colours, edited, extremes, frame, read, choose }) {
  const largest = Math.max(...effect.flat().map(Math.abs));
  const colour = (change) => (colours === "change" ? changeColour(change, largest)
    : levelColour(reference + change, medium.low, medium.high));
  const cellAt = (node) => {
    const row = Number(node.dataset.row);
    const index = Number(node.dataset.index);
    return { position: index + 1, from: insert[index], to: BASES[row], change: effect[row][index], row, index };
  };
  const map = svg("svg", {
    class: "map", role: "grid", width: frame.width, height: 4 * ROW + 24,
    "aria-label": `All single mutations, ${medium.name} medium. Arrow keys move, Enter introduces the mutation.`,
    "aria-rowcount": 4, "aria-colcount": insert.length,
  });
  BASES.forEach((base, row) => map.append(svg("g", { role: "row", "aria-label": `to ${base}` },
    svg("text", { class: `row-label base-${base}`, x: frame.left - 10, y: row * ROW + 17, "text-anchor": "end", "aria-hidden": "true" }, base),
    [...insert].map((from, index) => cell({ from, base, row, index, change: effect[row][index], colour, frame })))));
  map.append(marks(insert, edited, extremes, frame));
  listen(map, cellAt, read, choose);
  return map;
}

function cell({ from, base, row, index, change, colour, frame }) {
  const same = from === base;
  const unknown = change === null;
  const label = same ? `${index + 1}${from}, the base of this sequence`
    : `${index + 1}${from}>${base}: ${unknown ? "not predicted" : signed(change)}`;
  return svg("g", { role: "gridcell", "aria-label": label, tabindex: row === 0 && index === 0 ? "0" : "-1",
    "data-row": row, "data-index": index, class: same ? "cell same" : unknown ? "cell unknown" : "cell" },
  svg("rect", { x: frame.x(index), y: row * ROW, width: frame.cell - 1, height: ROW - 1, rx: 2, css: unknown ? {} : { fill: colour(change) } }),
  same && svg("text", { x: frame.x(index) + (frame.cell - 1) / 2, y: row * ROW + 16, "text-anchor": "middle" }, base));
}

function marks(insert, edited, extremes, frame) {
  const box = ({ position, to }, name) => svg("rect", { class: name, x: frame.x(position - 1), y: BASES.indexOf(to) * ROW,
    width: frame.cell - 1, height: ROW - 1, rx: 2 });
  return svg("g", { "aria-hidden": "true", class: "marks" },
    [...edited].map((position) => svg("rect", { class: "edited", x: frame.x(position - 1) - 1, y: -1, rx: 3,
      width: frame.cell + 1, height: 4 * ROW + 1 })),
    extremes.raise && [box(extremes.raise, "highest"), box(extremes.lower, "lowest")],
    [...insert].map((_, index) => ((index + 1) % 10 === 0 || index === 0) && svg("text", {
      class: "axis-label", x: frame.x(index) + frame.cell / 2, y: 4 * ROW + 17, "text-anchor": "middle" }, index + 1)));
}

function listen(map, cellAt, read, choose) {
  const found = (event) => event.target.closest("[role=gridcell]");
  map.addEventListener("pointerover", (event) => found(event) && read(cellAt(found(event))));
  map.addEventListener("focusin", (event) => {
    const node = found(event);
    if (!node) return;
    map.querySelector("[tabindex='0']")?.setAttribute("tabindex", "-1");
    node.setAttribute("tabindex", "0");
    read(cellAt(node));
  });
  map.addEventListener("click", (event) => found(event) && choose(cellAt(found(event))));
  map.addEventListener("keydown", (event) => {
    const node = found(event);
    if (!node) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose(cellAt(node));
    } else move(map, node, event);
  });
}

function move(map, node, event) {
  const { row, index } = node.dataset;
  const last = map.querySelectorAll("[data-row='0']").length - 1;
  const steps = {
    ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
    Home: [0, -Infinity], End: [0, Infinity],
  }[event.key];
  if (!steps) return;
  event.preventDefault();
  focusCell(map, clamp(Number(row) + steps[0], 3), clamp(Number(index) + steps[1], last));
}

const clamp = (value, last) => Math.max(0, Math.min(last, value));

export function focusCell(map, row, index) {
  map.querySelector(`[data-row="${row}"][data-index="${index}"]`)?.focus();
}

export function cellText({ position, from, to, change }, expression, medium) {
  if (from === to) return `Base ${position} is ${from} in this sequence. Expression in ${medium} medium is ${number(expression)}.`;
  if (change === null) return `Base ${position} is unknown (${from}), so the effect of ${to} there is not predicted.`;
  return `${position}${from}>${to}: expression in ${medium} medium changes by ${signed(change)}, `
    + `from ${number(expression)} to ${number(expression + change)}.`;
}
