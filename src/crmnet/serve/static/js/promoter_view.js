// The view of one promoter: cards for expression, bases and edits. They appear as answers arrive.

import { BasesCard } from "./bases_card.js";
import { fill, html } from "./dom.js";
import { EditsCard } from "./edits_card.js";
import { drawExpression } from "./expression_card.js";

export class PromoterView {
  constructor(root, tab) {
    Object.assign(this, { root, tab, data: null });
    this.expression = html("section", { class: "card", "aria-label": "Expression" });
    this.bases = new BasesCard(tab);
    this.edits = new EditsCard(tab);
    this.waiting = html("p", { class: "card hint" }, "Predicting all single mutations …");
  }

  clear() {
    this.data = null;
    fill(this.root);
  }

  /** A sentence in place of the cards. */
  showNote(text) {
    this.data = null;
    fill(this.root, html("p", { class: "card" }, text));
  }

  /** Marks what is shown as out of date until new answers arrive. Undo and redo work at once. */
  wait() {
    for (const card of [this.expression, this.bases.card]) card.setAttribute("aria-busy", "true");
    this.bases.drawSteps();
    if (!this.data) fill(this.root, html("p", { class: "card hint" }, "Predicting …"));
  }

  /** `steps` are predictions up to the current step, `all` also those of edits that were undone. */
  showExpression(steps, all) {
    this.data = { steps, all };
    this.expression.removeAttribute("aria-busy");
    drawExpression(this.expression, this.tab, steps);
    this.edits.draw(all);
    this.edits.card.hidden = !this.tab.trajectory.edits.length;
    // Cards that are there already stay in place, so that a figure keeps where it is scrolled to.
    if (!this.expression.isConnected) fill(this.root, this.expression, this.waiting, this.edits.card);
  }

  showMap(effects) {
    if (this.waiting.isConnected) this.waiting.replaceWith(this.bases.card);
    this.bases.showMap(effects);
  }

  showLogo(attributions, sites) {
    this.bases.showLogo(attributions, sites);
  }

  showOriginalLogo(attributions) {
    this.bases.showOriginalLogo(attributions);
  }

  showVariant(variant) {
    this.edits.showVariant(variant);
  }

  redraw() {
    if (!this.data) return;
    this.edits.draw(this.data.all);
    this.bases.draw();
  }
}
