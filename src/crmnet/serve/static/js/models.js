// The Models tab: what each model is, how accurate it is, and what it is not for.

import { request } from "./api.js";
import { fill, html, tableSection, table } from "./dom.js";
import { listing, number, percent } from "./words.js";

const SETS = {
  random: "random promoters, complex medium",
  "native-promoters": "fragments of native promoters, complex medium",
  "test:complex": "held-out promoters, complex medium",
  "test:defined": "held-out promoters, defined medium",
  "test:dream": "held-out promoters, dream medium",
};
const setName = (name) => SETS[name] ?? name;

export function showModels(root, { models }) {
  fill(root, html("div", { class: "card" }, html("h3", {}, "Which model should I use?"),
    html("p", { class: "lead" }, "Use yeast for the best numbers, yeast-fast for thousands of promoters. Both predict how strongly a promoter of about 80 bases drives a reporter gene in yeast."),
    html("p", { class: "hint" }, "Accuracy is Pearson's r: the correlation of predicted and measured expression on promoters that the model has not seen; 1 is perfect. Brackets hold 95 % intervals.")),
  models.map(modelCard));
}

function modelCard(model) {
  const card = model.card ?? {};
  return html("section", { class: "card", "aria-label": model.name },
    html("h3", {}, model.name), html("p", {}, sentence(model.about)),
    html("dl", { class: "facts" }, fact("Media", listing(model.media.map(({ name }) => name))),
      fact("Reads", `up to ${model.length} bases with adapters`), fact("Numbers learned", model.parameters.toLocaleString("en-GB")),
      card.tests?.random && accuracy("Accuracy, random promoters", card.tests.random),
      card.tests?.["native-promoters"] && accuracy("Accuracy, native fragments", card.tests["native-promoters"])),
    card.coverage && html("p", {}, coverage(card.coverage)),
    card.not_for?.length && html("div", {}, html("h4", {}, "Do not use it for"), html("ul", {}, card.not_for.map((line) => html("li", {}, line)))),
    card.tests && tableSection("Table of all tests", () => testTable(card.tests)),
    wholeCard(model.name));
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1).replace(/\.?$/, ".");
const fact = (name, value, small) => html("div", {}, html("dt", {}, name), html("dd", {}, value, small && html("small", {}, small)));

/** A tile with Pearson's r, its interval, and the number of promoters. */
function accuracy(name, { pearson, n }) {
  return fact(name, pearson.value.toFixed(3), `${pearson.low.toFixed(3)} to ${pearson.high.toFixed(3)}, ${n.toLocaleString("en-GB")} promoters`);
}

function coverage(sets) {
  const names = { random: "random promoters", "native-promoters": "fragments of native promoters" };
  const parts = Object.keys(names).filter((name) => sets[name]).map((name) =>
    `${percent(100 * sets[name].value)} % of the measurements of ${sets[name].n.toLocaleString("en-GB")} ${names[name]}`);
  return parts.length ? `Its 90 % intervals hold ${listing(parts)} (complex medium).` : null;
}

function testTable(tests) {
  const range = (one) => `${number(one.value)} (${number(one.low)} to ${number(one.high)})`;
  return table("Tests", ["promoters", "number", "families", "Pearson's r", "mean absolute error"],
    Object.entries(tests).map(([name, one]) => [setName(name), one.n.toLocaleString("en-GB"), one.families.toLocaleString("en-GB"), range(one.pearson), range(one.mae)]));
}

function wholeCard(name) {
  const section = html("details", {}, html("summary", {}, "Complete card"));
  section.addEventListener("toggle", async () => {
    if (!section.open || section.children.length > 1) return;
    try {
      const { text } = await request(`/models/${encodeURIComponent(name)}/card`);
      section.append(html("pre", { tabindex: "0" }, text));
    } catch (error) {
      section.append(html("p", { class: "problem" }, error.message));
    }
  });
  return section;
}

