// The Design tab: the form, the job and its progress, and the designs.

import { follow, isAbort, request } from "./api.js";
import { announce, byId, fill, html } from "./dom.js";
import { designCard, progressCard } from "./design_view.js";
import { InputProblem, difference, hasOneAdapter, readPromoters } from "./sequences.js";
import { listing, short } from "./words.js";

const chosen = (name) => document.querySelector(`#design-form input[name=${name}]:checked`).value;
const words = (id) => byId(id).value.split(/[,;\s]+/).filter(Boolean);
const numberIn = (id) => (byId(id).value === "" ? null : Number(byId(id).value));

export function connectDesign(context, promoter, tabs) {
  return new DesignTab(context, promoter, tabs);
}

class DesignTab {
  constructor(context, promoter, tabs) {
    Object.assign(this, { context, promoter, tabs, job: null, lookup: null });
    this.result = byId("design-result");
    this.form = byId("design-form");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.start();
    });
    this.form.addEventListener("change", () => this.adapt());
    byId("design-take").addEventListener("click", () => this.take());
    byId("design-start").addEventListener("input", () => this.showStart());
    byId("design-n").max = context.limits.designs;
    this.fillMedia();
    context.onModel(() => {
      this.fillMedia();
      this.showStart();
    });
    this.adapt();
    this.invite();
  }

  invite() {
    fill(this.result, html("div", { class: "card" }, html("h3", {}, "Your designs appear here"),
      html("p", { class: "hint" }, "Choose a goal and press Design. You see the best promoter so far while the search runs, and you can stop at any time. "
        + "Each result opens in the Promoter tab, where you see its effect base by base."),
      html("p", { class: "hint" }, "“Twice as strong”: expression is a place on a logarithmic scale, and the published data do not state how many times "
        + "brighter one bin is. So state the goal on the scale: pick “As strong as possible” and look at the gain, or pick an expression.")));
  }

  fillMedia() {
    const { media } = this.context.model;
    for (const id of ["design-medium", "design-minus"]) {
      const before = byId(id).value;
      fill(byId(id), media.map(({ name }) => html("option", { value: name }, name)));
      byId(id).value = media.some(({ name }) => name === before) ? before : (media[id === "design-minus" ? 1 : 0] ?? media[0]).name;
    }
  }

  /** Shows the fields that the chosen goal and start need. */
  adapt() {
    const goal = chosen("goal");
    byId("design-minus-row").hidden = goal !== "separate";
    byId("design-value-row").hidden = goal !== "target";
    byId("design-start-row").hidden = chosen("start") !== "sequence";
    const medium = this.context.model.media.find(({ name }) => name === byId("design-medium").value);
    byId("design-value-hint").textContent = `${short(medium.low)} to ${short(medium.high)}`;
    if (chosen("start") === "sequence" && !byId("design-start").value) this.take();
  }

  take() {
    const { trajectory } = this.promoter;
    if (trajectory) byId("design-start").value = trajectory.sequence;
    this.showStart();
  }

  /** The expression of the start, so that the goal can be compared with it. */
  async showStart() {
    const line = byId("design-start-value");
    this.lookup?.abort();
    this.lookup = new AbortController();
    line.textContent = "";
    this.before = null;
    try {
      const [one] = readPromoters(byId("design-start").value);
      const { signal } = this.lookup;
      const predict = async (sequence) => {
        const body = { promoters: [{ id: one.id, sequence }], model: this.context.model.name };
        return (await request("/predict", { body, signal })).rows[0];
      };
      let row = await predict(one.sequence);
      if (hasOneAdapter(one.sequence, row.insert)) row = await predict(row.insert); // a design has both adapters
      this.before = row.expression;
      const values = Object.entries(row.expression).map(([medium, { value }]) => `${short(value)} in ${medium}`);
      line.textContent = `Now ${listing(values)} medium.`;
    } catch (error) {
      if (!isAbort(error)) line.textContent = byId("design-start").value.trim() ? error.message : "";
    }
  }

  /** The request, from the form. Throws InputProblem for what is missing. */
  body() {
    const kind = chosen("goal");
    const medium = byId("design-medium").value;
    const minus = kind === "separate" ? byId("design-minus").value : null;
    if (minus === medium) throw new InputProblem("Choose two different media.");
    const value = kind === "target" ? numberIn("design-value") : null;
    if (kind === "target" && value === null) throw new InputProblem("State the expression to reach.");
    const fromSequence = chosen("start") === "sequence";
    const gc = (id) => (numberIn(id) === null ? null : numberIn(id) / 100);
    return {
      goal: { kind, medium, minus_medium: minus, value },
      start: fromSequence ? { kind: "sequence", sequence: readPromoters(byId("design-start").value)[0].sequence } : { kind: "random" },
      n: numberIn("design-n") ?? 5,
      method: byId("design-method").value,
      max_edits: fromSequence ? numberIn("design-edits") : null,
      avoid_enzymes: words("design-enzymes"), avoid_motifs: words("design-avoid"), keep_motifs: words("design-keep"),
      gc_low: gc("design-gc-low"), gc_high: gc("design-gc-high"),
      max_homopolymer: numberIn("design-run-length"),
      preset: byId("design-preset").value || null,
      seed: numberIn("design-seed") ?? 0,
      ...this.oracle([medium, minus]),
    };
  }

  /**
   * The default oracle knows complex medium only; for other media, the oracle is a fast model that knows them. The server
   * chooses judge and ranker: as the judge, a model that neither searches nor ranks.
   */
  oracle(media) {
    return media.every((name) => name === null || name === "complex") ? {} : { oracle: "yeast-fast" };
  }

  async start() {
    byId("design-problem").textContent = "";
    this.stopFollowing?.();
    try {
      this.asked = this.body();
      byId("design-run").disabled = true;
      const job = await request("/design", { body: this.asked });
      this.job = job.job;
      this.show({ ...job, progress: job.progress ?? { step: 0, steps: null, best: null, history: [] } });
      this.result.scrollIntoView({ block: "nearest" });
      this.stopFollowing = follow(job.job, (state) => this.show(state), () => this.poll());
    } catch (error) {
      byId("design-problem").textContent = error.message;
      byId("design-run").disabled = false;
    }
  }

  /** The stream ended early: asks once how the job stands. */
  async poll() {
    try {
      this.show(await request(`/jobs/${this.job}`));
    } catch (error) {
      byId("design-problem").textContent = error.message;
      byId("design-run").disabled = false;
    }
  }

  async stop() {
    try {
      await request(`/jobs/${this.job}`, { method: "DELETE" });
    } catch (error) {
      byId("design-problem").textContent = error.message;
    }
  }

  show(job) {
    const running = ["queued", "running"].includes(job.state);
    byId("design-run").disabled = running;
    if (running) {
      progressCard(this.result, job, () => this.stop());
      return;
    }
    if (job.state === "failed") {
      byId("design-problem").textContent = job.error?.message ?? "The search failed.";
      this.invite();
      return;
    }
    const n = job.result?.designs.length ?? 0; // a job that was stopped while it waited has no result
    announce(`${job.state === "stopped" ? "Stopped" : "Done"}: ${n} designs`);
    fill(this.result, designCard(job, { ...this.asked, before: this.before }, (design) => this.open(design)));
  }

  /** Shows a design in the Promoter tab; if it has a start, as edits of the start. */
  open({ id, sequence, start_sequence: start }) {
    const fromStart = this.asked.start.kind === "sequence" && start?.length === sequence.length && !start.includes("N");
    const edits = fromStart ? difference(start, sequence) : [];
    this.promoter.open({ id, original: fromStart ? start : sequence, edits });
    this.tabs.select("promoter");
  }
}
