// Progress of a design job, and its results.

import { stepPlot } from "./charts.js";
import { fill, html } from "./dom.js";
import { save } from "./download.js";
import { drawToFit } from "./responsive.js";
import { difference, writeEdit } from "./sequences.js";
import { count, number, signed } from "./words.js";

/** Shows a running job in `root`; later states change the same elements, so that the Stop button keeps its focus. */
export function progressCard(root, job, stop) {
  let card = root.querySelector("[data-job]");
  if (card?.dataset.job !== job.job) {
    card = html("section", { class: "card", "data-job": job.job, "aria-label": "Search" },
      html("div", { class: "row ends" }, html("h3", {}, "Searching"), html("button", { type: "button", onclick: (event) => {
        event.currentTarget.disabled = true;
        event.currentTarget.textContent = "Stopping …";
        stop();
      } }, "Stop and keep the best")),
      html("div", { class: "progress" }), html("div", { class: "best" }), html("div", { class: "figure" }));
    fill(root, card);
  }
  const { step, steps, best, history } = job.progress;
  const text = job.state === "queued" ? "Waiting for another search to end" : step === 0 ? "Loading the models" : `Step ${step}${steps ? ` of at most ${steps}` : ""}`;
  const bar = html("progress", { max: steps ?? 1, "aria-label": "Progress of the search", ...(steps ? { value: step } : {}) });
  fill(card.querySelector(".progress"), bar, html("p", { class: "hint" }, text));
  fill(card.querySelector(".best"), best && html("p", {}, html("strong", {}, `Best so far: ${number(best.value)} `),
    html("span", { class: "hint" }, "(value by the model of the search)")),
  best && html("div", { class: "sequences", tabindex: "0", role: "region", "aria-label": "Best sequence so far" }, best.sequence));
  if (history.length > 1) drawHistory(card.querySelector(".figure"), history);
}

function drawHistory(box, values) {
  drawToFit(box, (width) => fill(box, stepPlot({ values, width, xLabel: "step", yLabel: "value of the best design",
    label: `Value of the best design at each step, from ${number(values[0])} to ${number(values.at(-1))}` })));
}

/** The designs of a job that ended. `open(design)` shows one in the Promoter tab. */
export function designCard(job, asked, open) {
  if (!job.result) {
    return html("section", { class: "card" }, html("h3", {}, "Stopped"), html("p", {}, "The search had not started, so there is no design."));
  }
  const { designs, order_tsv: order, summary } = job.result;
  const media = designs.length ? Object.keys(designs[0].expression) : [];
  const title = job.state === "stopped" ? `Stopped: ${count(designs.length, "design")} so far` : count(designs.length, "design");
  if (!designs.length) {
    const text = asked.start.kind === "sequence"
      ? "No change within these rules improves your promoter. Allow more changed bases or loosen a rule."
      : "The search found no promoter that keeps all rules. Loosen a rule.";
    return html("section", { class: "card" }, html("h3", {}, "No design"), html("p", {}, text), report(summary));
  }
  const files = `/api/v1/jobs/${encodeURIComponent(job.job)}`;
  return html("section", { class: "card", "aria-label": "Designs", id: "designs" },
    html("h3", {}, title), verdict(designs, asked), legendOfRoles(asked),
    designTable(designs, media, asked, open),
    html("div", { class: "row" },
      html("button", { type: "button", class: "primary", onclick: () => save("order.tsv", order, "text/tab-separated-values") }, "Download the order sheet"),
      html("a", { href: `${files}/designs.tsv`, download: "designs.tsv" }, "All numbers (TSV)"),
      html("a", { href: `${files}/designs.fasta`, download: "designs.fasta" }, "Sequences (FASTA)")),
    html("p", { class: "hint" }, "The order sheet holds each complete oligo, with the adapters of the assay."),
    history(job.progress.history),
    report(summary));
}

const report = (lines) => (lines?.length
  ? html("details", {}, html("summary", {}, "What the search reports"), html("ul", {}, lines.map((line) => html("li", {}, line))))
  : null);

function verdict(designs, asked) {
  const [best] = designs;
  const medium = asked.goal.medium;
  const judged = best.judge[medium];
  const value = best.expression[medium]?.value;
  const from = asked.start.kind === "sequence" && asked.before?.[medium] ? asked.before[medium].value : null;
  const gain = from === null ? "" : ` (${signed(value - from)} from ${number(from)})`;
  const unknown = asked.start.kind === "sequence" ? [...best.start_sequence].filter((base) => base === "N").length : 0;
  const chosen = unknown ? `, and chooses a base for each N (${unknown})` : "";
  const edits = asked.start.kind === "sequence" ? ` It changes ${count(best.edits, "base")}: ${editList(best)}${chosen}.` : "";
  return html("p", { class: "lead" }, `The best design is predicted at ${number(value)} in ${medium} medium${gain}. `
    + `The judge, a model that the search did not use, gives ${number(judged)}.${edits}`);
}

/** The changed bases; the base for an N of the start is not a change, as in the number of edits. */
const editList = ({ start_sequence: start, sequence }) => (start?.length === sequence.length
  ? difference(start, sequence).filter(({ from }) => from !== "N").map(writeEdit).join(", ") || "none" : "–");

function legendOfRoles(asked) {
  return asked.oracle
    ? html("p", { class: "warning" }, "For this goal, the model of the search and the judge learned from the same measurements. The judge is a weaker check than for complex medium.")
    : null;
}

function designTable(designs, media, asked, open) {
  const fromStart = asked.start.kind === "sequence";
  const first = media.includes(asked.goal.medium) ? asked.goal.medium : media[0];
  const others = media.filter((name) => name !== first);
  const remarks = designs.some((one) => one.flags.length);
  const value = (one, name) => html("td", { class: "number" }, number(one.expression[name].value));
  const head = ["", "design", first, "judge", "gap", fromStart && "changes", ...others, remarks && "remarks", "sequence"].filter((name) => name !== false);
  const row = (one) => html("tr", {},
    html("td", {}, html("button", { type: "button", onclick: () => open(one), "aria-label": `Open ${one.id} in the Promoter tab` }, "Open")),
    html("th", { scope: "row" }, one.id),
    value(one, first),
    html("td", { class: "number" }, number(one.judge[asked.goal.medium])),
    html("td", { class: "number" }, one.gap === null ? "–" : signed(one.gap)),
    fromStart && html("td", {}, editList(one)),
    others.map((name) => value(one, name)),
    remarks && html("td", {}, one.flags.join("; ") || "–"),
    html("td", { class: "mono" }, one.sequence));
  return html("div", {},
    html("div", { class: "table full", tabindex: "0", role: "region", "aria-label": "Designs" }, html("table", {},
      html("caption", { class: "hidden-text" }, "Designs, the best first"),
      html("thead", {}, html("tr", {}, head.map((name) => html("th", { scope: "col" }, name || html("span", { class: "hidden-text" }, "open"))))),
      html("tbody", {}, designs.map(row)))),
    html("p", { class: "hint" }, "All designs keep the rules. Judge: expression by the second model. Gap: how much higher the model of the search rates the design than the judge does; a large gap asks for care."));
}

function history(values) {
  if (values.length < 2) return null;
  const box = html("div", { class: "figure" });
  drawHistory(box, values);
  return html("details", {}, html("summary", {}, "Course of the search"), box);
}
