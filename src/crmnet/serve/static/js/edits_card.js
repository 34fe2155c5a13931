// The card with the edits: steps, original and edited sequence, effect of all edits, expression over the steps.

import { stepPlot } from "./charts.js";
import { fill, html, table, tableSection } from "./dom.js";
import { drawToFit } from "./responsive.js";
import { difference, writeEdit } from "./sequences.js";
import { number, signed } from "./words.js";

export class EditsCard {
  constructor(tab) {
    this.tab = tab;
    this.card = html("section", { class: "card", "aria-label": "Your edits" });
    this.variant = html("div", { class: "figure" });
  }

  /** `rows` are the predictions of all steps, also of edits that were undone. */
  draw(rows) {
    this.rows = rows;
    const { trajectory } = this.tab;
    const now = `${trajectory.original} ${trajectory.sequence} ${this.tab.context.model.name}`;
    if (this.variantOf !== now) fill(this.variant);
    this.variantOf = now;
    fill(this.card, html("h3", {}, "Your edits"), this.steps(), this.sequences(), this.variant, this.plots(),
      tableSection("Table of the steps", () => this.table()));
  }

  name(step) {
    return step === 0 ? "original" : writeEdit(this.tab.trajectory.edits[step - 1]);
  }

  steps() {
    const { at } = this.tab.trajectory;
    return html("ol", { class: "steps", "aria-label": "Steps; choose one to go to it" }, this.rows.map((_, step) =>
      html("li", { class: step > at ? "undone" : null }, html("button", {
        type: "button", "aria-current": step === at ? "step" : null, onclick: () => this.tab.goTo(step),
        title: step > at ? "undone; choose it to bring it back" : null,
      }, this.name(step)))));
  }

  sequences() {
    const { original, sequence } = this.tab.trajectory;
    const changed = new Set(difference(original, sequence).map(({ position }) => position - 1));
    const line = (name, bases) => html("div", { class: "line" }, html("span", { class: "name" }, name),
      html("span", {}, [...bases].map((base, index) => (changed.has(index) ? html("mark", {}, base) : base))));
    return html("div", { class: "sequences", tabindex: "0", role: "region", "aria-label": "Original and edited sequence" },
      line("original", original), line("edited", sequence));
  }

  /** Change by all edits together, with its interval, and sites gained and lost. */
  showVariant({ delta, sites_gained: gained, sites_lost: lost }) {
    const known = Object.values(delta).some(({ low }) => low !== null);
    const parts = Object.entries(delta).map(([medium, { value, low, high }]) =>
      `${signed(value)}${low === null ? "" : ` (${signed(low)} to ${signed(high)})`} in ${medium}`);
    fill(this.variant,
      html("p", {}, html("strong", {}, "All edits together: "), `${parts.join(", ")}. `,
        known && html("span", { class: "hint" }, "Brackets hold 90 % intervals of the change.")),
      html("p", {}, html("strong", {}, "Sites gained: "), `${gained.join(", ") || "none"}. `,
        html("strong", {}, "Sites lost: "), `${lost.join(", ") || "none"}.`));
  }

  plots() {
    return html("div", { class: "pair figure" }, this.tab.media.map(({ name }, index) => {
      const box = html("div", {});
      const values = this.rows.map((row) => row.expression[name].value);
      const label = `Expression in ${name} medium over the steps: ${values.map(number).join(", ")}`;
      drawToFit(box, (width) => fill(box, stepPlot({ values, label, xLabel: "step", yLabel: `expression, ${name}`, width,
        current: this.tab.trajectory.at, series: index + 1 })));
      return box;
    }));
  }

  table() {
    const { media } = this.tab.context.model;
    return table("Steps", ["step", "mutation", ...media.map(({ name }) => name)],
      this.rows.map((row, step) => [String(step), this.name(step), ...media.map(({ name }) => row.expression[name].value)]));
  }
}
