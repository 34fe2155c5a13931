// The edits of one promoter, with undo and redo. Edits beyond `at` are those that redo brings back.

import { applyEdit } from "./sequences.js";

export class Trajectory {
  constructor(original, edits = []) {
    this.original = original;
    this.edits = edits;
    this.at = edits.length;
  }

  /** Sequences from the original to the last edit that is in force. */
  get steps() {
    const steps = [this.original];
    for (const edit of this.edits.slice(0, this.at)) steps.push(applyEdit(steps.at(-1), edit));
    return steps;
  }

  get sequence() {
    return this.steps.at(-1);
  }

  get applied() {
    return this.edits.slice(0, this.at);
  }

  get canUndo() {
    return this.at > 0;
  }

  get canRedo() {
    return this.at < this.edits.length;
  }

  /** Introduces a base; drops edits that were undone. Returns false if the base is there already. */
  introduce(position, to) {
    const from = this.sequence[position - 1];
    if (from === undefined || from === to) return false;
    this.edits = [...this.applied, { position, from, to }];
    this.at += 1;
    return true;
  }

  goTo(step) {
    this.at = Math.max(0, Math.min(step, this.edits.length));
  }
}
