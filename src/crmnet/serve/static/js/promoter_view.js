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
  }

  clear() {
    this.data = null;
    fill(this.root);
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
    const bases = this.bases.data ? this.bases.card : html("p", { class: "card hint" }, "Predicting all single mutations …");
    fill(this.root, this.expression, bases, this.tab.trajectory.edits.length && this.edits.card);
  }

  showMap(effects) {
    this.bases.showMap(effects);
    if (!this.bases.card.isConnected) this.root.children[1].replaceWith(this.bases.card);
    this.bases.drawFigure();
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
