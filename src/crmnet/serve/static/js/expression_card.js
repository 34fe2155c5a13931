// The card with the expression of a promoter in all media.

import { announce, fill, html, table, tableSection } from "./dom.js";
import { expressionRow, interval, nativeWords } from "./scale.js";
import { count, intervalsWhenUnlike, meaning, number, signed } from "./words.js";

/** `steps` are the predictions from the original to the current step. */
export function drawExpression(card, tab, steps) {
  const now = steps.at(-1);
  const first = steps.length > 1 ? steps[0] : null;
  const name = first ? `${tab.id} with ${count(steps.length - 1, "edit")}` : tab.id;
  const { media } = tab.context.model;
  const notes = [tab.note, ...now.notes].filter(Boolean);
  fill(card,
    html("div", { class: "row ends" }, html("h3", {}, name), html("div", { class: "row" },
      copyButton("Copy link", () => location.href, "Link copied"),
      copyButton("Copy sequence", () => tab.trajectory.sequence, "Sequence copied"))),
    html("p", { class: "lead", id: "meaning" }, meaning(name, now.expression)),
    now.unlike_training.flag && html("p", { class: "warning" }, html("strong", {}, "Take this prediction with care. "),
      `${now.unlike_training.words} ${intervalsWhenUnlike(now.expression)}`),
    html("div", { class: "figure stack" }, media.map((medium) =>
      expressionRow(medium, now.expression[medium.name], first?.expression[medium.name]))),
    notes.length > 0 && html("p", { class: "hint" }, notes.join(" ")),
    html("div", { class: "tables" }, explanation(), tableSection("Table of the expression", () => expressionTable(media, now, first))));
}

function copyButton(label, text, done) {
  return html("button", { type: "button", onclick: async (event) => {
    const button = event.currentTarget;
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = done;
      announce(done);
      setTimeout(() => {
        button.textContent = label;
      }, 2000);
    } catch { // the browser does not allow it: the user copies
      const field = html("input", { type: "text", readonly: true, "aria-label": "Copy this text", value: text() });
      button.replaceWith(field);
      field.select();
    }
  } }, label);
}

function explanation() {
  const point = (word, text) => html("p", { class: "hint" }, html("strong", {}, word), ` ${text}`);
  return html("details", {}, html("summary", {}, "What do these numbers mean?"),
    point("Expression", "is how strongly the promoter drives a fluorescent reporter in the assay. In complex and defined medium, the "
      + "unit is the mean sorting bin, from 0 (off) to 17 (strongest). The bins follow the logarithm of the fluorescence, so one bin is a "
      + "fixed factor, not a fixed amount; the published data do not state this factor. In dream, the unit is the score of the DREAM challenge."),
    point("The medium", "is what the yeast grows in. Different media have different scales; compare percentiles."),
    point("The band and the brackets", "are a 90 % interval: about 9 in 10 measurements of random promoters lie inside. For native "
      + "promoters it is fewer: see the Models tab."),
    point("The percentile", "compares the promoter with 80-base fragments of native yeast promoters, predicted by the same model."));
}

function expressionTable(media, now, first) {
  const rows = media.map(({ name, unit }) => {
    const one = now.expression[name];
    const before = first?.expression[name].value;
    return [name, number(one.value), interval(one), nativeWords(one.percentile), unit,
      ...(first ? [number(before), signed(one.value - before)] : [])];
  });
  const head = ["medium", "expression", "90 % interval", "among native promoters", "unit", ...(first ? ["original", "change"] : [])];
  return table("Expression in each medium", head, rows);
}
