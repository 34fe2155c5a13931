// The Promoter tab: what is pasted, which promoter is shown, its edits, and the requests for its view.

import { isAbort, request } from "./api.js";
import { announce, byId, fill, html } from "./dom.js";
import { connectIntake, showProblem } from "./intake.js";
import { readLink, writeLink } from "./link.js";
import { PromoterView } from "./promoter_view.js";
import { InputProblem, difference, hasOneAdapter, readPromoters, writeEdit } from "./sequences.js";
import { Trajectory } from "./trajectory.js";
import { count, meaning } from "./words.js";

const SHOWN = 20; // promoters in this tab; more belong into the Batch tab
const COMPLETED = "The pasted sequence has only one of the two adapters; everything here is of its insert with both.";
const EMPTY = "It has no insert: there are no bases besides the adapters.";

export function connectPromoters(context) {
  return new PromoterTab(context);
}

class PromoterTab {
  constructor(context) {
    this.context = context;
    this.area = byId("promoters");
    this.list = byId("promoter-list");
    this.predictions = new Map(); // model and sequence → row of /predict
    this.promoters = [];
    this.medium = null; // one medium, or "all"
    this.view = new PromoterView(byId("promoter-view"), this);
    this.connect();
  }

  connect() {
    const problem = (text) => showProblem("promoters-problem", this.area, text);
    const dropWaiting = connectIntake({ area: this.area, button: byId("open-file"), input: byId("file"), problem, use: (text) => this.use(text) });
    byId("predict").addEventListener("click", () => {
      dropWaiting(); // shown again after the pause, it would lose an edit made meanwhile
      this.use(this.area.value);
    });
    this.context.onModel(() => this.reload());
    byId("examples").append(
      ...this.context.examples.map((example) => html("button", {
        type: "button", title: example.note, onclick: () => this.paste(example.id, example.sequence),
      }, example.title ?? example.id)),
      html("button", { type: "button", onclick: () => this.random() }, "Random"));
    window.addEventListener("hashchange", () => this.readAddress());
    document.addEventListener("keydown", (event) => this.shortcut(event));
  }

  shortcut(event) {
    const typing = event.target.matches?.("input, textarea, select");
    if (!(event.ctrlKey || event.metaKey) || typing || byId("panel-promoter").hidden || !this.trajectory) return;
    const key = event.key.toLowerCase();
    const back = key === "z" && !event.shiftKey;
    const again = key === "y" || (key === "z" && event.shiftKey);
    if (!back && !again) return;
    event.preventDefault();
    this.goTo(this.trajectory.at + (back ? -1 : 1));
  }

  async random() {
    try {
      const { id, sequence } = await request(`/examples/random?seed=${Math.floor(Math.random() * 1e9)}`);
      this.paste(id, sequence);
    } catch (error) {
      this.problem(error);
    }
  }

  paste(id, sequence) {
    this.area.value = `>${id}\n${sequence}\n`;
    this.use(this.area.value);
  }

  /** Shows a promoter that another tab hands over, with its edits. */
  open({ id, original, edits = [] }) {
    this.area.value = `>${id}\n${original}\n`;
    this.promoters = [{ id, sequence: original, edits }];
    showProblem("promoters-problem", this.area, "");
    this.select(0);
  }

  use(text) {
    try {
      const promoters = text.trim() ? readPromoters(text) : [];
      showProblem("promoters-problem", this.area, "");
      if (promoters.length > SHOWN) this.offerBatch(text, promoters.length);
      this.promoters = promoters.slice(0, SHOWN);
    } catch (error) {
      if (!(error instanceof InputProblem)) throw error;
      this.problem(error);
      return;
    }
    this.select(0);
  }

  offerBatch(text, n) {
    fill(byId("promoters-problem"), `These are ${count(n, "promoter")}; this tab shows the first ${SHOWN}. `,
      html("button", { type: "button", onclick: () => this.onMany(text) }, "Open all in the Batch tab"));
  }

  problem(error) {
    if (isAbort(error)) return;
    showProblem("promoters-problem", this.area, error.message);
    this.view.clear();
    fill(this.list);
  }

  select(index) {
    this.index = index;
    const promoter = this.promoters[index];
    if (!promoter) {
      this.view.clear();
      fill(this.list);
      history.replaceState(null, "", location.pathname);
      return;
    }
    promoter.trajectory ??= new Trajectory(promoter.sequence, promoter.edits ?? []);
    this.reload();
  }

  get trajectory() {
    return this.promoters[this.index]?.trajectory;
  }

  get id() {
    return this.promoters[this.index].id;
  }

  /** Media of the model that figures show. */
  get media() {
    const all = this.context.model.media;
    return this.medium === "all" ? all : all.filter(({ name }) => name === this.medium);
  }

  introduce(position, to) {
    if (!this.trajectory.introduce(position, to)) return;
    announce(`Introduced ${writeEdit(this.trajectory.applied.at(-1))}`);
    this.reload();
  }

  goTo(step) {
    const before = this.trajectory.at;
    this.trajectory.goTo(step);
    if (this.trajectory.at === before) return;
    announce(`Step ${this.trajectory.at} of ${this.trajectory.edits.length}`);
    this.reload();
  }

  showMedium(name) {
    this.medium = name;
    this.writeAddress();
    this.view.redraw();
  }

  writeAddress() {
    const { original, applied } = this.trajectory;
    const link = writeLink({ id: this.id, original, edits: applied, model: this.context.model.name, medium: this.medium });
    history.replaceState(null, "", link);
  }

  readAddress() {
    const view = readLink(location.hash);
    if (!view) return;
    this.context.choose(view.model);
    this.medium = view.medium;
    this.open(view);
  }

  /** Requests everything for the sequence as it is now. Answers for an earlier sequence are dropped. */
  async reload() {
    if (!this.trajectory) return;
    this.current?.abort();
    this.current = new AbortController();
    const { signal } = this.current;
    const known = this.context.model.media.map(({ name }) => name);
    if (this.medium !== "all" && !known.includes(this.medium)) this.medium = known[0];
    this.view.wait();
    try {
      await this.load(signal);
    } catch (error) {
      if (!signal.aborted) this.problem(error);
    }
  }

  async load(signal) {
    const model = this.context.model.name;
    const ask = (path, body) => {
      const answer = request(path, { body: { ...body, model }, signal });
      answer.catch(() => {}); // awaited below; an abort before that is not an error
      return answer;
    };
    do {
      await this.predict(ask);
      if (signal.aborted) return;
    } while (this.normalise());
    const sequence = this.trajectory.sequence;
    this.writeAddress();
    if (!this.known(this.trajectory.original).insert) {
      this.view.showNote(`${this.id} cannot be shown. ${EMPTY}`);
      this.showList();
      return;
    }
    this.view.showExpression(this.rowsOfSteps(), this.rowsOfEdits());
    this.showList();
    const effects = ask("/saturate", { sequence });
    const attributions = ask("/attribute", { sequence });
    const sites = ask("/scan", { sequence });
    const change = this.netChange();
    const variant = change && ask("/mutate", change);
    this.view.showMap(await effects);
    this.view.showLogo(await attributions, (await sites).sites);
    if (variant) this.view.showVariant((await variant).variants[0]);
    if (this.trajectory.at) this.view.showOriginalLogo(await ask("/attribute", { sequence: this.trajectory.original }));
    announce(meaning(this.id, this.rowsOfSteps().at(-1).expression));
  }

  /** All edits together as one variant; null if the sequence is the original, also after edits that cancel each other. */
  netChange() {
    const { original, sequence } = this.trajectory;
    const changes = difference(original, sequence);
    return changes.length ? { sequence: original, changes: [changes.map(writeEdit).join("+")] } : null;
  }

  /** Predicts all pasted promoters and all steps that are not known yet, in one request. */
  async predict(ask) {
    const wanted = [...this.promoters.map(({ id, sequence }) => ({ id, sequence })),
      ...this.allSteps().map((sequence, step) => ({ id: `${this.id} step ${step}`, sequence }))];
    const missing = [...new Map(wanted.filter(({ sequence }) => !this.known(sequence))
      .map((one) => [one.sequence, one])).values()];
    if (missing.length) {
      const { rows } = await ask("/predict", { promoters: missing });
      rows.forEach((row, index) => this.predictions.set(this.key(missing[index].sequence), row));
    }
  }

  key(sequence) {
    return `${this.context.model.name} ${sequence}`;
  }

  known(sequence) {
    return this.predictions.get(this.key(sequence));
  }

  /**
   * Keeps only the inserts: positions then count on the insert everywhere. The server adds both adapters to an insert, so
   * the prediction of a sequence with one adapter does not hold for its insert. Returns whether a sequence changed.
   */
  normalise() {
    let changed = false;
    for (const promoter of this.promoters) {
      const row = this.known(promoter.sequence);
      const { insert } = row;
      if (insert === promoter.sequence || insert === "") continue;
      changed = true;
      promoter.completed = hasOneAdapter(promoter.sequence, insert);
      if (!promoter.completed) this.predictions.set(this.key(insert), row);
      promoter.sequence = insert;
      if (promoter.trajectory) promoter.trajectory = new Trajectory(insert, promoter.trajectory.edits);
    }
    return changed;
  }

  /** What was added to the shown promoter, in words. */
  get note() {
    return this.promoters[this.index].completed ? COMPLETED : null;
  }

  allSteps() {
    const all = new Trajectory(this.trajectory.original, this.trajectory.edits);
    return all.steps;
  }

  rowsOfSteps() {
    return this.trajectory.steps.map((sequence) => this.known(sequence));
  }

  rowsOfEdits() {
    return this.allSteps().map((sequence) => this.known(sequence));
  }

  showList() {
    if (this.promoters.length < 2) {
      fill(this.list);
      return;
    }
    const remark = ({ sequence, completed }) => (this.known(sequence).insert === "" ? EMPTY : completed && COMPLETED);
    const entry = (promoter, index) => html("li", {},
      html("button", { type: "button", "aria-pressed": String(index === this.index), onclick: () => this.select(index) }, promoter.id),
      html("span", {}, meaning(promoter.id, this.known(promoter.sequence).expression),
        this.known(promoter.sequence).unlike_training.flag && " Unlike the training data.", remark(promoter) && ` ${remark(promoter)}`));
    fill(this.list, html("section", { class: "card", "aria-label": "Pasted promoters" },
      html("h3", {}, count(this.promoters.length, "promoter")), html("p", { class: "hint" }, "Choose one to see it base by base."),
      html("ul", { class: "list" }, this.promoters.map(entry))));
  }
}
