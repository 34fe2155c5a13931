// Reading what a user pastes, and editing sequences.

export const BASES = ["A", "C", "G", "T"];
const SEQUENCE_NAMES = ["sequence", "seq", "promoter", "insert", "construct"];
const ID_NAMES = ["id", "name", "gene"];

/** Thrown for input that is not a list of promoters; the message names the line and the remedy. */
export class InputProblem extends Error {}

/** Promoters as [{id, sequence}] from FASTA, a table (TSV or CSV) with a header, or one sequence per line. */
export function readPromoters(text) {
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\r|\n/);
  const first = lines.find((line) => line.trim());
  if (first === undefined) throw new InputProblem("There is no sequence yet. Paste at least one promoter.");
  const promoters = first.trimStart().startsWith(">") ? readFasta(lines) : readLines(lines, first);
  promoters.forEach(check);
  return promoters.map(({ id, sequence }) => ({ id, sequence: sequence.toUpperCase() }));
}

function readFasta(lines) {
  const promoters = [];
  lines.forEach((line, index) => {
    const content = line.trim();
    if (content.startsWith(">")) {
      const id = content.slice(1).trim().split(/\s+/)[0] || `promoter ${promoters.length + 1}`;
      promoters.push({ id, sequence: "", line: index + 1 });
    } else if (content && !content.startsWith(";")) {
      promoters.at(-1).sequence += content.replace(/\s+/g, "");
    }
  });
  return promoters;
}

function readLines(lines, first) {
  const separator = first.includes("\t") ? "\t" : first.includes(",") ? "," : null;
  if (separator === null) {
    return lines.flatMap((line, index) => {
      const sequence = line.replace(/\s+/g, "");
      return sequence ? [{ sequence, line: index + 1 }] : [];
    }).filter((row, index) => index > 0 || !SEQUENCE_NAMES.includes(row.sequence.toLowerCase()))
      .map((row, index) => ({ ...row, id: `promoter ${index + 1}` }));
  }
  return readTable(lines, first, separator);
}

function readTable(lines, first, separator) {
  const cells = (line) => line.split(separator).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
  const head = cells(first).map((name) => name.toLowerCase());
  let sequenceAt = head.findIndex((name) => SEQUENCE_NAMES.includes(name));
  let idAt = head.findIndex((name) => ID_NAMES.includes(name));
  const hasHeader = sequenceAt >= 0;
  if (!hasHeader) {
    sequenceAt = cells(first).findIndex((cell) => /^[ACGTN]{10,}$/i.test(cell));
    if (sequenceAt < 0) {
      throw new InputProblem("Line 1: no column is named sequence. Add a header such as id and sequence.");
    }
    idAt = sequenceAt > 0 ? 0 : -1;
  }
  const start = lines.indexOf(first) + (hasHeader ? 1 : 0);
  return lines.slice(start).flatMap((line, index) => {
    if (!line.trim()) return [];
    const row = cells(line);
    return [{ id: row[idAt] || `promoter ${index + 1}`, sequence: row[sequenceAt] ?? "", line: start + index + 1 }];
  });
}

function check({ id, sequence, line }) {
  if (!sequence) throw new InputProblem(`Line ${line}: ${id} has no sequence.`);
  const wrong = sequence.search(/[^ACGTN]/i);
  if (wrong < 0) return;
  const letter = sequence[wrong];
  const advice = letter.toUpperCase() === "U" ? "Write T instead of U." : "Use the letters A, C, G, T and N.";
  throw new InputProblem(`Line ${line}: base ${wrong + 1} of ${id} is "${letter}". ${advice}`);
}

/** Whether a sequence that has this insert is the insert with one of the two adapters; N may stand at its ends. */
export function hasOneAdapter(sequence, insert) {
  if (insert === "") return false; // nothing but adapters
  const known = sequence.replace(/^N+|N+$/g, "");
  return insert !== sequence && (known.startsWith(insert) || known.endsWith(insert));
}

/** A substitution such as 35A>G, from its text; null if the text is not one. */
export function readEdit(text) {
  const found = /^\s*(\d+)\s*([ACGTN])\s*>\s*([ACGT])\s*$/i.exec(text);
  return found && { position: Number(found[1]), from: found[2].toUpperCase(), to: found[3].toUpperCase() };
}

export const writeEdit = ({ position, from, to }) => `${position}${from}>${to}`;

/** The sequence after one substitution. Positions count from 1. */
export function applyEdit(sequence, { position, to }) {
  return sequence.slice(0, position - 1) + to + sequence.slice(position);
}

/** Positions (from 1) at which two sequences of one length differ, as edits. */
export function difference(before, after) {
  return [...before].flatMap((from, index) =>
    from === after[index] ? [] : [{ position: index + 1, from, to: after[index] }]);
}
