// The card "Base by base": logo, sites and map of one medium or of all, with undo and redo.

import { choiceSwitch, fill, html, table, tableSection } from "./dom.js";
import { savePng, saveSvg } from "./download.js";
import { logo, observed, siteBars } from "./logo.js";
import { cellText, columns, focusCell, mutationMap } from "./map.js";
import { drawToFit } from "./responsive.js";
import { BASES, difference, readEdit } from "./sequences.js";
import { mutationSummary } from "./words.js";

const READOUT = "Point at a base or a site to read it. Click a cell of the map to introduce that mutation.";

export class BasesCard {
  constructor(tab) {
    this.tab = tab;
    this.colours = "change";
    this.data = null;
    this.summary = html("div", {});
    this.mediumSwitch = html("div", {});
    this.readout = html("p", { class: "readout" }, READOUT);
    this.figure = html("div", { class: "figure" });
    this.scroller = html("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Logo, sites and map" }, this.figure);
    this.legend = html("div", { class: "legend" });
    this.steps = ["Undo", "Redo", "Back to the original"].map((label) => html("button", { type: "button" }, label));
    this.tables = html("div", { class: "tables" });
    this.card = html("section", { class: "card", "aria-label": "Base by base" },
      html("h3", {}, "Base by base"), this.summary, html("div", { class: "row" }, this.mediumSwitch, this.colourSwitch()),
      this.readout, this.scroller, this.legend, html("div", { class: "row" }, this.steps, this.editForm()), this.tables);
    drawToFit(this.scroller, () => this.drawFigure());
  }

  showMap(effects) {
    this.data = { effects };
    this.card.removeAttribute("aria-busy");
    this.read(READOUT); // what was read belongs to another sequence
    this.draw();
    this.scrollToMain();
  }

  /** Where the figure is wider than the screen: brings the base that matters most into view, once for each promoter. */
  scrollToMain() {
    const { original } = this.tab.trajectory;
    const width = this.scroller.clientWidth;
    if (this.scrolledFor === original || !width) return;
    this.scrolledFor = original;
    const { insert, effect } = this.data.effects;
    const [{ name }] = this.tab.media;
    const { matters } = mutationSummary(insert, effect[name], name);
    if (matters) this.scroller.scrollLeft = columns(insert.length, width).x(matters.position - 1) - width / 2;
  }

  showLogo(attributions, sites) {
    Object.assign(this.data, { attributions, sites });
    this.draw();
  }

  /** The logo of the original stands above that of the edited sequence. */
  showOriginalLogo(before) {
    this.data.before = before;
    this.drawFigure();
  }

  draw() {
    if (!this.data) return;
    const { insert, effect } = this.data.effects;
    fill(this.summary, this.tab.media.map(({ name }) => html("p", { class: "lead" }, mutationSummary(insert, effect[name], name).text)));
    this.drawMediumSwitch();
    this.drawSteps();
    this.drawFigure();
    this.drawTables();
  }

  colourSwitch() {
    return choiceSwitch("Colours show", [{ value: "change", label: "change" }, { value: "level", label: "expression" }], this.colours, (value) => {
      this.colours = value;
      this.drawFigure();
    });
  }

  /** The choice of media; it stays, with its focus, while model and medium stay. */
  drawMediumSwitch() {
    const { model } = this.tab.context;
    const state = `${model.name} ${this.tab.medium}`;
    if (this.mediumSwitch.dataset.state === state) return;
    const focused = this.mediumSwitch.contains(document.activeElement);
    const options = model.media.map(({ name }) => ({ value: name, label: name }));
    if (options.length > 1) options.push({ value: "all", label: "all media" });
    fill(this.mediumSwitch, choiceSwitch("Medium", options, this.tab.medium, (name) => this.tab.showMedium(name)));
    this.mediumSwitch.dataset.state = state;
    if (focused) this.mediumSwitch.querySelector("input:checked").focus();
  }

  drawSteps() {
    const { at, canUndo, canRedo } = this.tab.trajectory;
    [[at - 1, canUndo], [at + 1, canRedo], [0, canUndo]].forEach(([step, enabled], index) => {
      this.steps[index].disabled = !enabled;
      this.steps[index].onclick = () => this.tab.goTo(step);
    });
  }

  /** Typing a mutation does the same as a click in the map. */
  editForm() {
    const field = html("input", { type: "text", id: "edit", size: "9", placeholder: "35A>G", autocomplete: "off", "aria-describedby": "edit-problem" });
    const problem = html("span", { class: "problem", id: "edit-problem", role: "alert" });
    return html("form", { class: "row", onsubmit: (event) => {
      event.preventDefault();
      problem.textContent = this.tryEdit(field.value);
      if (!problem.textContent) field.value = "";
    } }, html("label", { for: "edit" }, "or type a mutation"), field, html("button", { type: "submit" }, "Introduce"), problem);
  }

  /** Introduces a mutation that was typed; returns what is wrong with it. */
  tryEdit(text) {
    const { sequence } = this.tab.trajectory;
    const edit = readEdit(text);
    if (!edit) return "Write a mutation as position, base, > and new base, such as 35A>G.";
    const present = sequence[edit.position - 1];
    if (present === undefined) return `The promoter has ${sequence.length} bases; there is no position ${edit.position}.`;
    if (present !== edit.from) return `Position ${edit.position} is ${present}, not ${edit.from}.`;
    if (present === edit.to) return `Position ${edit.position} is ${present} already.`;
    this.tab.introduce(edit.position, edit.to);
    return "";
  }

  // ---- figure ----

  drawFigure() {
    const width = this.scroller.clientWidth;
    if (!this.data || !width) return;
    const active = this.figure.contains(document.activeElement) ? document.activeElement : null;
    const held = active?.dataset.row && { ...active.dataset, medium: active.closest(".medium-block").dataset.medium };
    const frame = columns(this.data.effects.insert.length, width);
    fill(this.figure, this.tab.media.map((medium) => this.block(medium, frame)));
    if (held) focusCell(this.figure.querySelector(`[data-medium="${CSS.escape(held.medium)}"] .map`), held.row, held.index);
    this.drawLegend();
  }

  read(text) {
    this.readout.textContent = text;
  }

  /** Logo, sites and map of one medium, their columns in line. */
  block(medium, frame) {
    const many = this.tab.media.length > 1;
    return html("div", { class: "medium-block", "data-medium": medium.name }, many && html("h4", {}, medium.name),
      this.logos(medium.name, frame), this.map(medium, frame));
  }

  logos(medium, frame) {
    const { effects, attributions, sites, before } = this.data;
    if (!attributions) return html("p", { class: "hint" }, "Computing the logo …");
    const compare = before && this.tab.trajectory.at > 0;
    const one = ({ insert, values }, name) => [compare && html("p", { class: "logo-name" }, name),
      logo({ insert, values: values[medium], frame, medium: `${medium}${compare ? ` (${name})` : ""}` })];
    return [compare && one(before, "original"), one({ insert: effects.insert, values: attributions.values }, "edited"),
      sites.length ? siteBars({ sites, frame, medium, read: (text) => this.read(text) }) : html("p", { class: "hint" }, "No known site.")];
  }

  map(medium, frame) {
    const { insert, effect, reference } = this.data.effects;
    const expression = reference[medium.name];
    return mutationMap({
      insert, effect: effect[medium.name], reference: expression, medium, colours: this.colours, frame,
      edited: difference(this.tab.trajectory.original, insert).map(({ position }) => position),
      extremes: mutationSummary(insert, effect[medium.name], medium.name),
      read: (cell) => this.read(cellText(cell, expression, medium.name)),
      choose: ({ position, to }) => this.tab.introduce(position, to),
    });
  }

  drawLegend() {
    const key = (sample, text) => html("span", { class: "key" }, html("span", { class: sample, "aria-hidden": "true" }), text);
    const [low, high] = this.colours === "change" ? ["lowers", "raises expression"] : ["low", "high expression"];
    const figure = () => this.figure.querySelector(".map");
    const name = `${this.tab.id}-map`;
    fill(this.legend, html("span", { class: "key" }, low, html("span", { class: `ramp ${this.colours}`, "aria-hidden": "true" }), high),
      key("box", "strongest increase"), key("box dashed", "strongest decrease"), this.tab.trajectory.at > 0 && key("box edited", "edited base"),
      html("span", { class: "key" }, "Map as ", html("button", { type: "button", class: "small", onclick: () => savePng(figure(), name) }, "PNG"),
        html("button", { type: "button", class: "small", onclick: () => saveSvg(figure(), name) }, "SVG")));
  }

  // ---- the same as tables ----

  drawTables() {
    fill(this.tables, howToRead(), this.tab.media.map(({ name }) => [this.mutationTable(name), this.attributionTable(name)]), this.siteTable());
  }

  mutationTable(medium) {
    const { insert, effect } = this.data.effects;
    const line = (base, index) => [String(index + 1), base, ...BASES.map((to, row) => (to === base ? "–" : effect[medium][row][index] ?? "unknown"))];
    return tableSection(`Table of all single mutations, ${medium}`, () => table(`Change of expression, ${medium} medium`,
      ["position", "base", ...BASES.map((base) => `to ${base}`)], [...insert].map(line)));
  }

  attributionTable(medium) {
    const { effects: { insert }, attributions } = this.data;
    return attributions && tableSection(`Table of the attributions, ${medium}`, () => table(`Attribution of each base, ${medium} medium`,
      ["position", "base", "attribution"],
      observed(insert, attributions.values[medium]).map((value, index) => [String(index + 1), insert[index], value])));
  }

  siteTable() {
    const { sites } = this.data;
    const media = this.tab.media.map(({ name }) => name);
    return sites && tableSection("Table of the sites", () => (sites.length
      ? table("Known sites", ["factor", "matrix", "bases", "strand", "score", "p-value", ...media.map((name) => `contribution, ${name}`)],
        sites.map((site) => [site.name, site.matrix_id, `${site.start}–${site.end}`, site.strand, site.score, site.p_value.toPrecision(2),
          ...media.map((name) => site.contribution?.[name] ?? "unknown")]))
      : html("p", { class: "hint" }, "No known site of a yeast factor (JASPAR) has a p-value below 0.0001.")));
  }
}

function howToRead() {
  const point = (word, text) => html("p", { class: "hint" }, html("strong", {}, word), ` ${text}`);
  return html("details", {}, html("summary", {}, "How to read this figure"),
    point("Letters", "above the line raise expression, letters below it lower it. The height of a letter says how much expression changes, "
      + "on average, when this base is replaced."),
    point("Bars", "under the letters are known sites of yeast transcription factors (JASPAR). An arrow shows the strand. A bar is red if "
      + "the bases of the site raise expression, blue if they lower it. A site is a match to a motif, not a proof that the factor binds."),
    point("Map:", "a column is a base of the promoter, a row is the base that replaces it. The colour shows how the mutation changes "
      + "expression, or the expression after it."));
}
