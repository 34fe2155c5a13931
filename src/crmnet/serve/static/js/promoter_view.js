// The view of one promoter: cards for expression, mutations and edits. They appear as answers arrive.

import { stepPlot } from "./charts.js";
import { announce, choiceSwitch, fill, html, table, tableSection } from "./dom.js";
import { savePng, saveSvg } from "./download.js";
import { logo, observed, siteBars } from "./logo.js";
import { cellText, columns, focusCell, mutationMap } from "./map.js";
import { drawToFit } from "./responsive.js";
import { expressionRow, interval, nativeWords } from "./scale.js";
import { BASES, difference, readEdit } from "./sequences.js";
import { count, meaning, mutationSummary, number, signed } from "./words.js";

const READOUT = "Point at a base or a site to read it. Click a cell of the map to introduce that mutation.";

export class PromoterView {
  constructor(root, tab) {
    this.root = root;
    this.tab = tab;
    this.colours = "change";
    this.expression = html("section", { class: "card", "aria-label": "Expression" });
    this.edits = html("section", { class: "card", "aria-label": "Your edits" });
    this.bases = html("section", { class: "card", "aria-label": "Base by base" });
    this.figure = html("div", { class: "figure" });
    this.readout = html("p", { class: "readout" }, READOUT);
    this.variant = html("div", {});
  }

  clear() {
    this.data = null;
    fill(this.root);
  }

  /** Marks what is shown as out of date until new answers arrive. */
  wait() {
    this.data = { previous: this.data?.effects ? this.data : this.data?.previous };
    for (const card of [this.expression, this.bases]) card.setAttribute("aria-busy", "true");
    if (!this.root.children.length) fill(this.root, html("p", { class: "card hint" }, "Predicting …"));
  }

  showExpression(steps, all) {
    const { tab } = this;
    this.data = { ...this.data, steps, all };
    const now = steps.at(-1);
    const first = steps.length > 1 ? steps[0] : null;
    const name = first ? `${tab.id} with ${count(steps.length - 1, "edit")}` : tab.id;
    this.expression.removeAttribute("aria-busy");
    fill(this.expression,
      html("div", { class: "row ends" }, html("h3", {}, name), this.actions()),
      html("p", { class: "lead", id: "meaning" }, meaning(name, now.expression)),
      this.warnings(now),
      html("div", { class: "figure stack" }, tab.context.model.media.map((medium) =>
        expressionRow(medium, now.expression[medium.name], first?.expression[medium.name]))),
      this.explanations(now),
      tableSection("Table of the expression", () => this.expressionTable(now, first)));
    const editsCard = tab.trajectory.edits.length ? this.drawEdits() : null;
    const waiting = this.bases.children.length ? this.bases : html("p", { class: "card hint" }, "Predicting all single mutations …");
    fill(this.root, this.expression, editsCard, waiting);
  }

  actions() {
    const { trajectory } = this.tab;
    const act = (label, step, enabled) => html("button", { type: "button", disabled: !enabled, onclick: () => this.tab.goTo(step) }, label);
    return html("div", { class: "row" },
      act("Undo", trajectory.at - 1, trajectory.canUndo), act("Redo", trajectory.at + 1, trajectory.canRedo),
      act("Original", 0, trajectory.canUndo),
      html("button", { type: "button", onclick: (event) => this.copy(event.currentTarget, location.href, "Link copied") }, "Copy link"),
      html("button", { type: "button", onclick: (event) => this.copy(event.currentTarget, trajectory.sequence, "Sequence copied") }, "Copy sequence"));
  }

  async copy(button, text, done) {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = done;
      announce(done);
      setTimeout(() => {
        button.textContent = before;
      }, 2000);
    } catch {
      const field = html("input", { type: "text", readonly: true, "aria-label": "Copy this text" });
      field.value = text;
      button.replaceWith(field);
      field.select();
    }
  }

  warnings(row) {
    return row.unlike_training.flag && html("p", { class: "warning" },
      html("strong", {}, "Take this prediction with care. "), row.unlike_training.words);
  }

  explanations(row) {
    const given = row.notes.length ? html("p", { class: "hint" }, `Note: ${row.notes.join("; ")}.`) : null;
    return [given, html("details", {}, html("summary", {}, "What do these numbers mean?"),
      html("p", { class: "hint" }, html("strong", {}, "Expression"), " is how strongly the promoter drives a fluorescent reporter in the assay. "
        + "In complex and defined medium the unit is the mean sorting bin, from 0 (off) to 17 (strongest). The bins follow the logarithm of "
        + "the fluorescence, so one bin is a fixed factor, not a fixed amount; the published data do not state this factor. "
        + "In dream the unit is the score of the DREAM challenge."),
      html("p", { class: "hint" }, html("strong", {}, "Medium"), " is what the yeast grows in. The numbers of different media have different scales; compare percentiles."),
      html("p", { class: "hint" }, html("strong", {}, "The band and the numbers in brackets"), " are a 90 % interval: about 9 in 10 measurements of random promoters lie inside. For native promoters it is fewer: see the Models tab."),
      html("p", { class: "hint" }, html("strong", {}, "The percentile"), " compares the promoter with 80-base fragments of native yeast promoters, predicted by the same model."))];
  }

  expressionTable(now, first) {
    const rows = this.tab.context.model.media.map(({ name, unit }) => {
      const one = now.expression[name];
      const before = first ? [number(first.expression[name].value), signed(one.value - first.expression[name].value)] : [];
      return [name, number(one.value), interval(one), nativeWords(one.percentile), unit, ...before];
    });
    const head = ["medium", "expression", "90 % interval", "among native promoters", "unit", ...(first ? ["original", "change"] : [])];
    return table("Expression in each medium", head, rows);
  }

  // ---- edits: side by side, trajectory ----

  drawEdits() {
    const { trajectory } = this.tab;
    fill(this.edits, html("h3", {}, "Your edits"), this.stepButtons(), this.sideBySide(), this.variant, this.trajectoryPlot(),
      tableSection("Table of the steps", () => this.stepTable()));
    if (!trajectory.at) fill(this.variant);
    return this.edits;
  }

  stepButtons() {
    const { trajectory } = this.tab;
    const names = [0, ...trajectory.edits.map((_, index) => index + 1)];
    return html("ol", { class: "steps", "aria-label": "Steps of the trajectory" }, names.map((step) =>
      html("li", { class: step > trajectory.at ? "undone" : null }, html("button", {
        type: "button", "aria-current": step === trajectory.at ? "step" : null, onclick: () => this.tab.goTo(step),
        title: step > trajectory.at ? "undone; click to bring it back" : null,
      }, this.tab.stepName(step)))));
  }

  sideBySide() {
    const { original, sequence } = this.tab.trajectory;
    const changed = new Set(difference(original, sequence).map(({ position }) => position - 1));
    const line = (name, bases) => html("div", { class: "line" }, html("span", { class: "name" }, name),
      html("span", {}, [...bases].map((base, index) => (changed.has(index) ? html("mark", {}, base) : base))));
    return html("div", { class: "sequences", tabindex: "0", role: "region", "aria-label": "Original and edited sequence" },
      line("original", original), line("edited", sequence));
  }

  /** Change by all edits together, with its interval, and sites gained and lost. */
  showVariant({ delta, sites_gained: gained, sites_lost: lost }) {
    const parts = Object.entries(delta).map(([medium, one]) =>
      `${signed(one.value)}${one.low === null ? "" : ` (${signed(one.low)} to ${signed(one.high)})`} in ${medium}`);
    fill(this.variant, html("p", {}, html("strong", {}, "All edits together change expression by "), `${parts.join(", ")}. `,
      html("span", { class: "hint" }, "Brackets hold 90 % intervals of the difference.")),
    html("p", {}, html("strong", {}, "Sites gained: "), gained.join(", ") || "none", ". ", html("strong", {}, "Sites lost: "), lost.join(", ") || "none", "."));
  }

  trajectoryPlot() {
    const media = this.tab.media;
    return html("div", { class: "pair figure" }, media.map(({ name }, index) => {
      const box = html("div", {});
      drawToFit(box, (width) => {
        const values = this.data.all.map((row) => row.expression[name].value);
        const label = `Expression in ${name} medium over the steps: ${values.map(number).join(", ")}`;
        fill(box, stepPlot({ values, label, xLabel: "step", yLabel: name, width, current: this.tab.trajectory.at, series: index + 1 }));
      });
      return box;
    }));
  }

  stepTable() {
    const { media } = this.tab.context.model;
    return table("Steps of the trajectory", ["step", "mutation", ...media.map(({ name }) => name)],
      this.data.all.map((row, step) => [String(step), this.tab.stepName(step), ...media.map(({ name }) => row.expression[name].value)]));
  }

  // ---- bases: map, logo, sites ----

  showMap(effects) {
    this.data = { ...this.data, effects };
    this.bases.removeAttribute("aria-busy");
    this.drawBases();
    const last = this.root.lastElementChild;
    if (last !== this.bases) last.replaceWith(this.bases);
    this.drawFigure();
  }

  showLogo(attributions, sites) {
    this.data = { ...this.data, attributions, sites };
    this.drawBases();
    this.drawFigure();
  }

  redraw() {
    if (!this.data?.effects) return;
    if (this.tab.trajectory.edits.length) this.drawEdits();
    this.drawBases();
    this.drawFigure();
  }

  drawBases() {
    const { effects } = this.data;
    const { media } = this.tab.context.model;
    const held = document.activeElement;
    const options = [...media.map(({ name }) => ({ value: name, label: name })), { value: "all", label: "all" }];
    const summaries = this.tab.media.map(({ name }) => html("p", { class: "lead" }, mutationSummary(effects.insert, effects.effect[name], name).text));
    if (this.bases.children.length) {
      fill(this.summary, summaries);
      fill(this.tables, this.baseTables());
      return;
    }
    this.summary = html("div", {}, summaries);
    this.tables = html("div", { class: "stack" }, this.baseTables());
    this.scroller = html("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Logo, sites and map" }, this.figure);
    this.mediumSwitch = html("div", {}, choiceSwitch("Medium", options, this.tab.medium, (name) => this.tab.showMedium(name)));
    fill(this.bases, html("h3", {}, "Base by base"), this.summary,
      html("div", { class: "row" }, this.mediumSwitch,
        choiceSwitch("Colours show", [{ value: "change", label: "change" }, { value: "level", label: "expression" }], this.colours, (value) => {
          this.colours = value;
          this.drawFigure();
        })),
      this.readout, this.scroller, this.legend = html("div", { class: "legend" }), this.editForm(), this.tables);
    drawToFit(this.scroller, () => this.drawFigure());
    held?.focus?.();
  }

  /** Typing a mutation does the same as a click in the map. */
  editForm() {
    const field = html("input", { type: "text", id: "edit", size: "8", placeholder: "35A>G", "aria-describedby": "edit-problem" });
    const problem = html("p", { class: "problem", id: "edit-problem", role: "alert" });
    return html("form", { class: "row", onsubmit: (event) => {
      event.preventDefault();
      problem.textContent = this.tryEdit(field.value);
      if (!problem.textContent) field.value = "";
    } }, html("label", { for: "edit" }, "Or type a mutation"), field, html("button", { type: "submit" }, "Introduce"), problem);
  }

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

  drawFigure() {
    const { effects, attributions, sites } = this.data ?? {};
    const width = this.scroller?.clientWidth;
    if (!effects || !width) return;
    const { insert } = effects;
    const frame = columns(insert.length, width);
    const focused = this.figure.contains(document.activeElement) ? document.activeElement.dataset : null;
    const block = this.figure.contains(document.activeElement) ? document.activeElement.closest(".medium-block")?.dataset.medium : null;
    const read = (text) => {
      this.readout.textContent = text;
    };
    fill(this.figure, this.tab.media.map((medium) => {
      const parts = attributions
        ? [logo({ insert, values: attributions.values[medium.name], frame, medium: medium.name }),
          sites.length ? siteBars({ sites, frame, medium: medium.name, read }) : html("p", { class: "hint" }, "No known site.")]
        : [html("p", { class: "hint" }, "Computing the logo …")];
      return html("div", { class: "medium-block", "data-medium": medium.name },
        this.tab.media.length > 1 && html("h4", {}, medium.name), parts, this.map(medium, frame, read));
    }));
    if (focused?.row !== undefined) {
      focusCell(this.figure.querySelector(`[data-medium="${CSS.escape(block)}"] .map`), focused.row, focused.index);
    }
    this.drawLegend();
  }

  map(medium, frame, read) {
    const { insert, effect, reference } = this.data.effects;
    const expression = reference[medium.name];
    const edited = new Set(difference(this.tab.trajectory.original, insert).map(({ position }) => position));
    return mutationMap({
      insert, effect: effect[medium.name], reference: expression, medium, colours: this.colours, edited, frame,
      extremes: mutationSummary(insert, effect[medium.name], medium.name),
      read: (cell) => read(cellText(cell, expression, medium.name)),
      choose: ({ position, to }) => this.tab.introduce(position, to),
    });
  }

  drawLegend() {
    const key = (sample, text) => html("span", { class: "key" }, html("span", { class: sample, "aria-hidden": "true" }), text);
    const ends = this.colours === "change" ? ["lowers", "raises expression"] : ["low", "high expression"];
    fill(this.legend,
      html("span", { class: "key" }, ends[0], html("span", { class: `ramp ${this.colours}`, "aria-hidden": "true" }), ends[1]),
      key("box", "strongest increase"), key("box dashed", "strongest decrease"),
      this.tab.trajectory.at > 0 && key("box edited", "edited base"),
      html("button", { type: "button", onclick: () => saveSvg(this.figure.querySelector(".map"), `${this.tab.id}-map`) }, "Map as SVG"),
      html("button", { type: "button", onclick: () => savePng(this.figure.querySelector(".map"), `${this.tab.id}-map`) }, "Map as PNG"));
  }

  baseTables() {
    const { effects, attributions, sites } = this.data;
    const { insert } = effects;
    const sections = this.tab.media.flatMap(({ name }) => [
      tableSection(`Table of all single mutations, ${name}`, () => table(`Change of expression, ${name} medium`,
        ["position", "base", ...BASES.map((base) => `to ${base}`)],
        [...insert].map((base, index) => [String(index + 1), base, ...BASES.map((to, row) => (to === base ? "–" : effects.effect[name][row][index]))]))),
      attributions && tableSection(`Table of the attributions, ${name}`, () => table(`Attribution of each base, ${name} medium`,
        ["position", "base", "attribution"],
        observed(insert, attributions.values[name]).map((value, index) => [String(index + 1), insert[index], value]))),
    ]);
    const siteTable = sites && tableSection("Table of the sites", () => (sites.length
      ? table("Known sites", ["factor", "matrix", "bases", "strand", "score", "p-value", ...this.tab.media.map(({ name }) => `contribution, ${name}`)],
        sites.map((site) => [site.name, site.matrix_id, `${site.start}–${site.end}`, site.strand, site.score, site.p_value.toPrecision(2),
          ...this.tab.media.map(({ name }) => site.contribution?.[name] ?? "unknown")]))
      : html("p", { class: "hint" }, "No known site of a yeast factor (JASPAR) has a p-value below 0.0001.")));
    const about = html("details", {}, html("summary", {}, "How to read this figure"),
      html("p", { class: "hint" }, html("strong", {}, "Letters"), " above the line raise expression, letters below it lower it. The height of a letter "
        + "is the expression with this base minus the mean of all four bases at this position."),
      html("p", { class: "hint" }, html("strong", {}, "Bars"), " under the letters are known sites of yeast transcription factors (JASPAR). "
        + "An arrow shows the strand. A site is a match to a motif, not a proof that the factor binds."),
      html("p", { class: "hint" }, html("strong", {}, "Map:"), " a column is a base of the promoter, a row is the base that replaces it. "
        + "Colours show the predicted expression after the mutation, or its change."));
    return [about, ...sections.filter(Boolean), siteTable];
  }
}
