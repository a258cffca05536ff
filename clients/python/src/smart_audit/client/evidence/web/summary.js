// The bundle in words: the same text, letter by letter, that the writer of bundles puts in.

const FILTERS = [
  "occurred_from",
  "occurred_before",
  "actor_id",
  "action",
  "target_id",
  "outcome",
];
const MAX_LINES = 50; // of one count

const HOW = `How to verify
  1. Open verify.html in a browser. It needs no network and sends nothing. Paste the log's
     verifier key as you noted it earlier, or as the log's operator publishes it.
  2. Or run: smart-audit verify evidence FILE.zip --key KEY
  3. Or write a verifier: the format is described in docs/evidence.md of Smart Audit, and stands
     on C2SP signed-note, tlog-checkpoint and tlog-proof, RFC 9162, RFC 8785 and RFC 9901.

What this proves: the events are entries of the log, word for word, and no entry between the first
and the last one is missing here. What it does not prove: that what was recorded is true, and that
no other entry matches the filters, be it withheld here as a hash or outside this range.
`;

const UNSEEN =
  /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

/** Text with unseen characters, which could fake a line, written as \uXXXX. */
const printable = (text) =>
  text.replace(UNSEEN, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Events counted by who, what and how it ended. */
class Tally {
  constructor() {
    this.actions = new Map();
    this.actors = new Map();
    this.outcomes = new Map();
  }

  add(facts) {
    const text = (value) => (typeof value === "string" ? value : "");
    const actor = isObject(facts.actor) ? facts.actor : {};
    const who = [text(actor.type), text(actor.id)].filter((part) => part !== "").join(" ");
    for (const [counts, name] of [
      [this.actions, text(facts.action)],
      [this.actors, who],
      [this.outcomes, text(facts.outcome)],
    ]) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
}

function compareBytes(one, other) {
  const [left, right] = [encode(one), encode(other)];
  const at = left.findIndex((byte, place) => byte !== right[place]);
  return at < 0 ? left.length - right.length : left[at] - (right[at] ?? -1);
}

/** The most frequent first; among equals by the order of their UTF-8. */
const ordered = (counts) =>
  [...counts].sort(([a, m], [b, n]) => n - m || compareBytes(a, b));

function counted(title, counts) {
  const all = ordered(counts);
  const line = (count, name) => `${String(count).padStart(10)}  ${name}\n`;
  const rest = all.slice(MAX_LINES);
  const more = rest.reduce((sum, [, count]) => sum + count, 0);
  return [
    `${title}\n`,
    ...all.slice(0, MAX_LINES).map(([name, count]) => line(count, printable(name))),
    ...(rest.length ? [line(more, `in ${rest.length} more`)] : []),
  ].join("");
}

function summaryRows(manifest, keys, signed) {
  const { withheld, filters } = manifest;
  return [
    ["Log", manifest.origin],
    ["Organisation", manifest.organisation_id],
    ["Entries", `${manifest.begin} to ${manifest.end - 1} of a log of ${manifest.size}`],
    ["Events shown", String(manifest.events)],
    ["Entries withheld", `${withheld.leaves.count}, as hashes`],
    ["Fields disclosed", String(manifest.disclosed)],
    [
      "Fields withheld",
      `${withheld.fields.count} by choice, ${withheld.unavailable.count} unavailable`,
    ],
    ...FILTERS.filter((name) => Object.hasOwn(filters, name)).map((name) => [
      "Filter",
      `${name} = ${filters[name]}`,
    ]),
    ["Root", manifest.root],
    ...keys.log.map((key) => ["Log key", key.text]),
    ...signed.cosignatures.map((one) => ["Witness", `${one.witness}, ${one.time}`]),
    ["Created", `${manifest.created_at}, by the exporter's clock`],
  ];
}

function summaryText(manifest, keys, signed, tally) {
  return [
    "Evidence from an audit log\n",
    summaryRows(manifest, keys, signed)
      .map(([name, value]) => `${name.padEnd(18)}${printable(value)}\n`)
      .join(""),
    counted("By action", tally.actions),
    counted("By actor", tally.actors),
    counted("By outcome", tally.outcomes),
    HOW,
  ].join("\n");
}
