// A view as the fragment of the page's address. A browser never sends the fragment to a server.

import { applyEdit, readEdit, writeEdit } from "./sequences.js";

/** The fragment of a promoter with its edits. */
export function writeLink({ id, original, edits, model, medium }) {
  const fields = new URLSearchParams({ id, sequence: original, model, medium });
  if (edits.length) fields.set("edits", edits.map(writeEdit).join("."));
  return `#${fields}`;
}

/** What a fragment holds, or null if it holds no promoter. Edits that do not fit are left out with all that follow. */
export function readLink(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  const original = (fields.get("sequence") ?? "").toUpperCase();
  if (!/^[ACGTN]+$/.test(original)) return null;
  return {
    id: fields.get("id") || "promoter",
    original,
    edits: fittingEdits(original, (fields.get("edits") ?? "").split(".")),
    model: fields.get("model"),
    medium: fields.get("medium"),
  };
}

function fittingEdits(original, texts) {
  const edits = [];
  let sequence = original;
  for (const text of texts) {
    const edit = readEdit(text);
    if (!edit || sequence[edit.position - 1] !== edit.from || edit.from === edit.to) break;
    edits.push(edit);
    sequence = applyEdit(sequence, edit);
  }
  return edits;
}
