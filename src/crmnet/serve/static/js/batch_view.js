// Results of a batch: a table that sorts and filters, a histogram, a scatter of two media, and files.

import { bins, histogram, scatter } from "./charts.js";
import { fill, html, table, tableSection } from "./dom.js";
import { save, savePng, saveSvg, tableText } from "./download.js";
import { drawToFit } from "./responsive.js";
import { count, number, short } from "./words.js";

const PAGE = 50;

export class BatchResult {
  constructor(root, open) {
    Object.assign(this, { root, open });
  }

  show(rows, model) {
    Object.assign(this, { rows, model, media: model.media.map(({ name }) => name), page: 0, text: "", least: null, familiar: false });
    this.medium = this.media[0]; // the medium that ranks and filters
    this.sort = { key: this.medium, down: true };
    this.body = html("div", {});
    this.pager = html("div", { class: "row" });
    this.figures = html("div", { class: "pair" });
    fill(this.root, html("section", { class: "card", "aria-label": "Results" },
      html("h3", {}, `${count(rows.length, "promoter")}, ranked`),
      html("p", { class: "lead" }, this.summary()), this.filters(), this.body, this.pager, this.files()), this.figures);
    this.drawTable();
    this.drawFigures();
    this.root.scrollIntoView({ block: "nearest" });
  }

  summary() {
    const [first] = this.media;
    const best = this.rows.reduce((top, row) => (row.expression[first].value > top.expression[first].value ? row : top));
    const flagged = this.rows.filter((row) => row.unlike_training.flag).length;
    const care = flagged ? ` ${count(flagged, "promoter is", "promoters are")} unlike the training data; take ${flagged === 1 ? "its prediction" : "their predictions"} with care.` : "";
    return `In ${first} medium, the strongest is ${best.id} (${number(best.expression[first].value)}); the median is ${number(median(this.values(first)))}.${care}`;
  }

  filters() {
    const change = (set) => (event) => {
      set(event.target);
      this.page = 0;
      this.drawTable();
    };
    const field = (id, label, input) => html("span", { class: "together" }, html("label", { for: id }, label), input);
    return html("div", { class: "row" },
      field("batch-filter", "Find", html("input", { type: "search", id: "batch-filter", placeholder: "name or bases", oninput: change(({ value }) => {
        this.text = value.trim().toLowerCase();
      }) })),
      field("batch-medium", "Rank by", this.mediumChoice()),
      field("batch-least", "At least", html("input", { type: "number", id: "batch-least", step: "any", oninput: change(({ value }) => {
        this.least = value === "" ? null : Number(value);
      }) })),
      html("label", { class: "row" }, html("input", { type: "checkbox", id: "batch-familiar", onchange: change((field) => {
        this.familiar = field.checked;
      }) }), "Hide those unlike the training data"));
  }

  mediumChoice() {
    const field = html("select", { id: "batch-medium", onchange: () => {
      this.medium = field.value;
      this.sort = { key: this.medium, down: true };
      this.page = 0;
      this.drawTable();
    } }, this.media.map((name) => html("option", { value: name }, name)));
    return field;
  }

  /** Rows that pass the filters, in the chosen order. Equal rows keep the order of the input. */
  get chosen() {
    const { text, least, familiar } = this;
    const value = this.valueOf(this.sort.key);
    const sign = this.sort.down ? -1 : 1;
    return this.rows.filter((row) => (!text || row.id.toLowerCase().includes(text) || row.sequence.toLowerCase().includes(text))
      && (least === null || row.expression[this.medium].value >= least) && !(familiar && row.unlike_training.flag))
      .sort((one, other) => {
        const [a, b] = [value(one), value(other)];
        if (a === null || b === null) return (a === null) - (b === null);
        return sign * (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
      });
  }

  valueOf(key) {
    if (key === "id") return (row) => row.id;
    return (row) => row.expression[key].value;
  }

  drawTable() {
    const rows = this.chosen;
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    this.page = Math.min(this.page, pages - 1);
    const shown = rows.slice(this.page * PAGE, (this.page + 1) * PAGE);
    const held = document.activeElement?.dataset?.key;
    fill(this.body, html("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Predictions" }, html("table", {},
      html("caption", { class: "hidden-text" }, "Predictions"), this.head(),
      html("tbody", {}, shown.map((row, index) => this.line(row, this.page * PAGE + index + 1))))));
    this.body.querySelector(`[data-key="${CSS.escape(held ?? "")}"]`)?.focus();
    const turn = (label, by, off) => html("button", { type: "button", disabled: off, onclick: () => {
      this.page += by;
      this.drawTable();
    } }, label);
    fill(this.pager, turn("Previous", -1, this.page === 0), turn("Next", 1, this.page >= pages - 1),
      html("span", { class: "hint", role: "status", id: "batch-shown" }, `${count(rows.length, "row")} shown, page ${this.page + 1} of ${pages}`));
  }

  head() {
    const column = (key, label, kind) => {
      const here = this.sort.key === key;
      const order = here ? (this.sort.down ? "descending" : "ascending") : "none";
      return html("th", { scope: "col", class: kind, "aria-sort": order }, html("button", { type: "button", "data-key": key, onclick: () => {
        this.sort = { key, down: here ? !this.sort.down : key !== "id" };
        this.page = 0;
        this.drawTable();
      } }, `${label}${here ? (this.sort.down ? " ↓" : " ↑") : ""}`));
    };
    return html("thead", {}, html("tr", {}, html("th", { scope: "col", class: "number" }, "rank"), column("id", "name"),
      column(this.medium, this.medium, "number"), html("th", { scope: "col" }, "90 % interval"),
      html("th", { scope: "col", class: "number", title: "among native yeast promoters" }, "native percentile"),
      this.others.map((name) => column(name, name, "number")),
      html("th", { scope: "col" }, "unlike training"), html("th", { scope: "col" }, "sequence")));
  }

  get others() {
    return this.media.filter((name) => name !== this.medium);
  }

  line(row, rank) {
    const one = row.expression[this.medium];
    return html("tr", {}, html("td", { class: "number" }, String(rank)),
      html("th", { scope: "row" }, html("button", { type: "button", class: "quiet", title: "Open in the Promoter tab",
        onclick: () => this.open({ id: row.id, original: row.sequence }) }, row.id)),
      html("td", { class: "number" }, number(one.value)), html("td", {}, one.low === null ? "–" : `${short(one.low)} to ${short(one.high)}`),
      html("td", { class: "number" }, one.percentile === null ? "–" : short(one.percentile)),
      this.others.map((name) => html("td", { class: "number" }, number(row.expression[name].value))),
      html("td", {}, row.unlike_training.flag ? row.unlike_training.words : "–"), html("td", { class: "mono" }, row.sequence));
  }

  // ---- files ----

  files() {
    const button = (label, name, separator, type) => html("button", { type: "button", onclick: () =>
      save(name, tableText(this.columns(), this.chosen.map((row) => this.fields(row)), separator), type) }, label);
    return html("div", { class: "row" }, button("Download TSV", "predictions.tsv", "\t", "text/tab-separated-values"),
      button("Download CSV", "predictions.csv", ",", "text/csv"),
      html("span", { class: "hint" }, "The files hold the rows that the filters keep, in the order shown, with intervals and percentiles of all media."));
  }

  columns() {
    return ["id", ...this.media.flatMap((name) => [`expression_${name}`, `low_${name}`, `high_${name}`, `percentile_${name}`]), "unlike_training", "sequence"];
  }

  fields(row) {
    return [row.id, ...this.media.flatMap((name) => {
      const { value, low, high, percentile } = row.expression[name];
      return [value, low, high, percentile];
    }), row.unlike_training.flag ? row.unlike_training.words : "", row.sequence];
  }

  // ---- figures ----

  drawFigures() {
    const [first, second] = this.media;
    fill(this.figures, this.histogramCard(first), second && this.scatterCard(first, second));
  }

  values(medium) {
    return this.rows.map((row) => row.expression[medium].value);
  }

  select(label, chosen, use) {
    const field = html("select", { "aria-label": label, onchange: () => use(field.value) }, this.media.map((name) => html("option", { value: name }, name)));
    field.value = chosen;
    return field;
  }

  unit(medium) {
    return `expression, ${medium}`;
  }

  histogramCard(chosen) {
    let medium = chosen;
    const box = html("div", { class: "figure" });
    const numbers = html("div", {});
    const draw = () => {
      drawToFit(box, (width) => fill(box, histogram({ values: this.values(medium), width, xLabel: this.unit(medium),
        label: `Histogram of expression in ${medium} medium of ${count(this.rows.length, "promoter")}`, series: this.media.indexOf(medium) + 1 })));
      fill(numbers, tableSection("Table of the histogram", () => table("Counts", ["from", "to", "promoters"],
        bins(this.values(medium)).map((bin) => [number(bin.low), number(bin.high), String(bin.count)]))));
    };
    draw();
    return html("section", { class: "card", "aria-label": "Histogram" }, html("div", { class: "row ends" }, html("h3", {}, "How many are how strong"),
      this.select("Medium of the histogram", chosen, (name) => {
        medium = name;
        draw();
      })), box, pictures(box, "histogram"), numbers);
  }

  scatterCard(first, second) {
    const axes = { x: first, y: second };
    const box = html("div", { class: "figure" });
    const words = html("p", { class: "hint" });
    const draw = () => {
      const [xs, ys] = [this.values(axes.x), this.values(axes.y)];
      words.textContent = xs.length > 2 ? `Correlation (Pearson's r) of ${axes.x} and ${axes.y}: ${number(correlation(xs, ys))}` : "";
      drawToFit(box, (width) => fill(box, scatter({ xs, ys, width, xLabel: this.unit(axes.x), yLabel: this.unit(axes.y),
        label: `Expression in ${axes.x} and ${axes.y} medium of ${count(this.rows.length, "promoter")}. ${words.textContent}` })));
    };
    draw();
    const choose = (axis, label) => this.select(label, axes[axis], (name) => {
      axes[axis] = name;
      draw();
    });
    return html("section", { class: "card", "aria-label": "Scatter plot" }, html("div", { class: "row ends" }, html("h3", {}, "Two media"),
      html("div", { class: "row" }, choose("x", "Medium across"), choose("y", "Medium upwards"))), box, words, pictures(box, "scatter"),
    html("p", { class: "hint" }, "The table of predictions above holds the numbers of all points."));
  }
}

function pictures(box, name) {
  return html("div", { class: "row" }, html("button", { type: "button", onclick: () => savePng(box.firstChild, name) }, "PNG"),
    html("button", { type: "button", onclick: () => saveSvg(box.firstChild, name) }, "SVG"));
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[upper] : (sorted[upper - 1] + sorted[upper]) / 2;
}

function correlation(xs, ys) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(xs), mean(ys)];
  let [sxy, sxx, syy] = [0, 0, 0];
  xs.forEach((x, index) => {
    const [dx, dy] = [x - mx, ys[index] - my];
    sxy += dx * dy;
    sxx += dx * dx;
    syy += dy * dy;
  });
  return sxy / Math.sqrt(sxx * syy || 1);
}
