// Numbers and results in words.

export const number = (value) => (value === null || value === undefined ? "unknown" : minus(value.toFixed(2)));
export const short = (value) => (value === null || value === undefined ? "unknown" : minus(value.toFixed(1)));
export const signed = (value) => (value > 0 ? "+" : "") + minus(value.toFixed(2));
const minus = (text) => text.replace(/^-(?=0(\.0*)?$)/, "").replace("-", "−");

export const percent = (percentile) =>
  percentile > 99.5 ? "over 99" : percentile < 0.5 ? "under 1" : String(Math.round(percentile));

export function strength(percentile) {
  if (percentile >= 90) return "very strong";
  if (percentile >= 70) return "strong";
  if (percentile > 30) return "of medium strength";
  return percentile > 10 ? "weak" : "very weak";
}

/** "a, b and c" */
export function listing(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en-GB")} ${n === 1 ? one : many}`;

const KNOWN_MEDIA = {
  complex: "rich medium with glucose (YPD)",
  defined: "defined medium without uracil (SC-Ura)",
  dream: "grape must, the medium of the DREAM challenge",
};
export const mediumHint = (medium) => KNOWN_MEDIA[medium] ?? "";

/** One sentence that says what the predictions of a promoter mean. */
export function meaning(id, expression) {
  const media = Object.keys(expression);
  const ranked = media.filter((medium) => expression[medium].percentile !== null);
  if (!ranked.length) {
    return `The model predicts ${listing(media.map((m) => `${number(expression[m].value)} in ${m} medium`))} for ${id}.`;
  }
  const groups = new Map();
  for (const medium of ranked) {
    const word = strength(expression[medium].percentile);
    groups.set(word, [...(groups.get(word) ?? []), medium]);
  }
  const parts = [...groups].map(([word, names]) => {
    const shares = names.map((name) => percent(expression[name].percentile));
    const than = new Set(shares).size === 1 ? shares[0] : listing(shares);
    return `${word} in ${listing(names)} medium (stronger than ${than} % of native yeast promoters)`;
  });
  return `${id} is predicted to be ${listing(parts)}.`;
}

/** What a flagged prediction lacks, in one sentence. */
export function intervalsWhenUnlike(expression) {
  const media = Object.keys(expression);
  const without = media.filter((medium) => expression[medium].low === null);
  if (without.length === media.length) return "Such a prediction has no interval.";
  const wider = "Its intervals are wider than those of other promoters";
  return without.length ? `${wider}; in ${listing(without)} medium it has none.` : `${wider}.`;
}

/** The strongest single mutations of a medium, in sentences. An N has no effects: it is left out. */
export function mutationSummary(insert, effect, medium) {
  const all = [...insert].flatMap((from, index) => ["A", "C", "G", "T"].map((to, row) =>
    ({ position: index + 1, from, to, change: effect[row][index] })).filter((one) => one.to !== from && one.change !== null));
  if (!all.length) return { raise: null, lower: null, matters: null, text: "All bases are unknown (N), so no mutation is predicted." };
  const raise = all.reduce((best, one) => (one.change > best.change ? one : best));
  const lower = all.reduce((best, one) => (one.change < best.change ? one : best));
  const sum = [...insert].map((from, index) => effect.reduce((total, row) => total + Math.abs(row[index]), 0) / 3);
  const at = sum.indexOf(Math.max(...sum));
  return {
    raise, lower, matters: { position: at + 1, from: insert[at], size: sum[at] },
    text: `In ${medium} medium, base ${at + 1} (${insert[at]}) matters most: a mutation there changes expression by `
      + `${number(sum[at])} on average. The strongest increase is ${raise.position}${raise.from}>${raise.to} `
      + `(${signed(raise.change)}), the strongest decrease ${lower.position}${lower.from}>${lower.to} (${signed(lower.change)}).`,
  };
}
