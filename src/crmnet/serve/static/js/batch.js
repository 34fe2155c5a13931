// The Batch tab: many promoters in parts, with progress; then a table and figures.

import { isAbort, request } from "./api.js";
import { BatchResult } from "./batch_view.js";
import { announce, byId, fill, html } from "./dom.js";
import { connectIntake, showProblem } from "./intake.js";
import { InputProblem, readPromoters } from "./sequences.js";
import { count } from "./words.js";

const CHUNK = 256; // small enough for smooth progress, large enough for full batches
const MOST = 200_000; // rows that a browser tab keeps

export function connectBatch(context, open) {
  return new BatchTab(context, open);
}

class BatchTab {
  constructor(context, open) {
    Object.assign(this, { context, running: null });
    this.area = byId("batch-text");
    this.bar = byId("batch-progress");
    this.result = new BatchResult(byId("batch-result"), open);
    this.dropWaiting = connectIntake({ area: this.area, button: byId("batch-open"), input: byId("batch-file"),
      problem: (text) => this.problem(text), use: (text) => this.count(text) });
    byId("batch-run").addEventListener("click", () => this.run());
    byId("batch-cancel").addEventListener("click", () => this.running?.abort());
  }

  problem(text) {
    showProblem("batch-problem", this.area, text);
  }

  /** Text from another tab: starts at once. */
  use(text) {
    this.area.value = text;
    this.run();
  }

  /** Checks the input while it is typed, and says how many promoters it has. */
  count(text) {
    this.problem("");
    if (!text.trim()) return null;
    try {
      const promoters = readPromoters(text);
      if (promoters.length > MOST) throw new InputProblem(`This page takes ${count(MOST, "promoter")} at most. Use crmnet predict on the command line.`);
      byId("batch-run").textContent = `Predict all (${promoters.length.toLocaleString("en-GB")})`;
      return promoters;
    } catch (error) {
      if (!(error instanceof InputProblem)) throw error;
      this.problem(error.message);
      return null;
    }
  }

  async run() {
    this.dropWaiting(); // a count after the run's end would remove its message
    const promoters = this.count(this.area.value);
    if (!promoters) {
      if (!this.area.value.trim()) this.problem("There is no sequence yet. Paste at least one promoter, or open a file.");
      return;
    }
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    this.showRunning(true);
    const rows = [];
    try {
      await this.predict(promoters, rows, running.signal);
      announce(`Predicted ${count(rows.length, "promoter")}`);
    } catch (error) {
      if (!isAbort(error)) this.problem(error.message);
      else if (this.running === running) this.problem(`Cancelled after ${count(rows.length, "promoter")}.`);
    }
    if (this.running !== running) return; // a newer run replaced this one
    this.showRunning(false);
    if (rows.length) this.result.show(rows, this.context.model);
  }

  async predict(promoters, rows, signal) {
    const size = Math.min(CHUNK, this.context.limits.sequences);
    const model = this.context.model.name;
    for (let start = 0; start < promoters.length; start += size) {
      this.showProgress(start, promoters.length);
      const part = promoters.slice(start, start + size);
      const answer = await request("/predict", { body: { promoters: part, model }, signal });
      answer.rows.forEach((row, index) => rows.push({ ...row, sequence: part[index].sequence }));
    }
  }

  showRunning(running) {
    byId("batch-run").disabled = running;
    byId("batch-cancel").hidden = !running;
    this.bar.hidden = !running;
  }

  showProgress(done, all) {
    fill(this.bar, html("progress", { value: done, max: all, "aria-label": "Predicted promoters" }),
      html("p", { class: "hint" }, `${done.toLocaleString("en-GB")} of ${count(all, "promoter")}`));
  }
}
