// What the reader sees. All data goes in as text: nothing of a bundle is ever markup.

const SHOWN_ROWS = 500;

/** An element with attributes, and with texts and elements inside. */
function make(tag, attributes = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name, value);
    } else {
      element.setAttribute(name, value);
    }
  }
  element.append(...inside);
  return element;
}

const part = (id) => document.getElementById(id);
const text = (value) => printable(typeof value === "string" ? value : canonical(value));
const plural = (count, one, many = `${one}s`) =>
  `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** The verdict: its kind for the eye, one sentence, and what it rests on. */
function showVerdict(kind, sentence, ground) {
  document.documentElement.dataset.verdict = kind;
  const marks = { verified: "✓", own: "!", failed: "✗", unable: "?", pending: "…", empty: "…" };
  part("verdict").replaceChildren(
    make("span", { class: "mark", "aria-hidden": "true" }, marks[kind]),
    make("div", {}, make("strong", {}, sentence), make("p", {}, ground)),
  );
}

function showChecks(states) {
  const marks = { ok: "✓", failed: "✗", skipped: "–" };
  const words = { ok: "holds", failed: "fails", skipped: "needs the zip" };
  part("checks").replaceChildren(
    ...CHECKS.map((name) => {
      const state = states.get(name);
      const remark = state === "ok" ? [] : [make("small", {}, ` ${words[state]}`)];
      return make(
        "li",
        { class: state },
        make("span", { class: "mark", title: words[state] }, marks[state]),
        make("span", {}, name[0].toUpperCase() + name.slice(1), ...remark),
      );
    }),
  );
}

function showFaults(faults) {
  part("faults").hidden = faults.length === 0;
  const shown = faults.slice(0, 200);
  const more = faults.length - shown.length;
  part("fault-list").replaceChildren(
    ...shown.map((fault) =>
      make("li", {}, make("b", {}, text(fault.place)), `: ${text(fault.why)}`),
    ),
    ...(more > 0 ? [make("li", {}, `and ${more} more`)] : []),
  );
}

/** The bundle's own keys. trusted: those among them, as text, that the reader trusts. */
function showKeys(keys, trusted) {
  const all = [...(keys?.log ?? []), ...(keys?.witnesses ?? [])];
  part("own-keys").replaceChildren(
    ...all.map((key) => {
      const isTrusted = trusted.includes(key.text);
      const kind = key.type === WITNESS_KEY ? "witness" : "log";
      const mark = isTrusted ? "you trust it" : "nobody vouches for it";
      return make(
        "li",
        {},
        `${kind} `,
        make("code", {}, text(key.text)),
        make("small", { class: isTrusted ? "good" : "" }, ` ${mark}`),
      );
    }),
  );
}

function showFacts(check) {
  const { manifest, keys, signed, tally } = check;
  const isKnown = ![manifest, keys, signed].includes(undefined);
  part("facts").hidden = part("counts").hidden = !isKnown;
  part("facts-title").textContent = check.holds ? "What this bundle is" : "What this bundle claims";
  if (!isKnown) {
    return;
  }
  part("fact-list").replaceChildren(
    ...summaryRows(manifest, keys, signed).map(([name, value]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, text(value))),
    ),
  );
  part("count-tables").replaceChildren(
    ...[
      ["Actions", tally.actions],
      ["Actors", tally.actors],
      ["Outcomes", tally.outcomes],
    ].map(([title, counts]) => countTable(title, counts)),
  );
}

function countTable(title, counts) {
  const all = ordered(counts);
  const shown = all.slice(0, 8);
  const rest = all.slice(8).reduce((sum, [, count]) => sum + count, 0);
  const most = Math.max(1, ...all.map(([, count]) => count));
  const rows = shown.map(([name, count]) => {
    const bar = make("meter", { min: "0", max: String(most), value: String(count) });
    return make(
      "tr",
      {},
      make("td", {}, text(name) || "none", bar),
      make("td", { class: "number" }, count.toLocaleString("en")),
    );
  });
  if (rest > 0) {
    const others = plural(all.length - 8, "other");
    rows.push(make("tr", {}, make("td", {}, others), make("td", { class: "number" }, String(rest))));
  }
  return make("table", {}, make("caption", {}, title), make("tbody", {}, ...rows));
}

/** The events in the order of the log, and between them what is withheld. */
class EventTable {
  constructor(check) {
    this.entries = check.entries;
    this.proof = check.proof;
    this.limit = SHOWN_ROWS;
    // Where a word of the filter is looked for; made when it is needed first.
    this.haystacks = null;
    part("events").hidden = this.entries.length === 0;
    part("filter").value = "";
    this.show();
  }

  show() {
    const words = part("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length === 0 ? this.entries : this.filtered(words);
    const shown = found.slice(0, this.limit);
    const rows = [];
    let following = this.proof?.begin ?? 0;
    for (const leaf of shown) {
      if (words.length === 0) {
        rows.push(...gapRow(following, leaf.index));
      }
      rows.push(...eventRows(leaf));
      following = leaf.index + 1;
    }
    if (words.length === 0 && shown.length === this.entries.length) {
      rows.push(...gapRow(following, this.proof?.end ?? following));
    }
    part("event-rows").replaceChildren(...rows);
    const total = plural(this.entries.length, "event");
    const matching = words.length === 0 ? total : `${found.length} of ${total} match`;
    const isCut = shown.length < found.length;
    part("event-count").textContent = isCut ? `${matching}, the first ${shown.length}` : matching;
    part("show-all").hidden = !isCut;
  }

  showAll() {
    this.limit = Infinity;
    this.show();
  }

  filtered(words) {
    this.haystacks ??= this.entries.map(({ index, entry }) =>
      `${index} ${canonical(entry.event)}`.toLowerCase(),
    );
    return this.entries.filter((_, at) => words.every((word) => this.haystacks[at].includes(word)));
  }
}

function gapRow(begin, end) {
  if (begin >= end) {
    return [];
  }
  const where = end - begin === 1 ? `Entry ${begin}` : `Entries ${begin} to ${end - 1}`;
  const what = `${where} withheld: here as ${end - begin === 1 ? "a hash" : "hashes"}, none missing`;
  return [make("tr", { class: "gap" }, make("td", { colspan: "7" }, what))];
}

function eventRows({ index, entry }) {
  const { event } = entry;
  const actor = isObject(event.actor) ? event.actor : {};
  const targets = Array.isArray(event.targets) ? event.targets.filter(isObject) : [];
  const details = make("tr", { class: "details", hidden: "" }, make("td", { colspan: "7" }));
  const button = make("button", { type: "button", "aria-expanded": "false" }, String(index));
  button.addEventListener("click", () => {
    const isOpen = details.hidden;
    if (isOpen) {
      details.firstChild.replaceChildren(fieldList(entry));
    }
    details.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
  });
  const notes = [];
  if (entry.withheld > 0) {
    notes.push(make("span", { class: "tag withheld" }, `${entry.withheld} withheld`));
  }
  if (entry.unavailable > 0) {
    notes.push(make("span", { class: "tag unavailable" }, `${entry.unavailable} unavailable`));
  }
  const outcome = text(event.outcome ?? "");
  const row = make(
    "tr",
    { class: "event" },
    make("td", { class: "number" }, button),
    make("td", { class: "time" }, ...timeParts(event.occurred_at)),
    make("td", { class: "action" }, text(event.action ?? "")),
    make("td", { class: "wide" }, ...party(actor)),
    make(
      "td",
      { class: "wide" },
      ...targets.slice(0, 3).flatMap(party),
      targets.length > 3 ? `and ${targets.length - 3} more` : "",
    ),
    make(
      "td",
      { class: "outcome" },
      make("span", { class: `tag ${outcomeClass(outcome)}` }, outcome),
    ),
    make("td", { class: "wide" }, ...notes),
  );
  return [row, details];
}

const outcomeClass = (outcome) =>
  ["success", "failure", "denied"].includes(outcome) ? outcome : "other";

function timeParts(time) {
  if (typeof time !== "string" || !TIME.test(time)) {
    return [text(time ?? "")];
  }
  return [time.slice(0, 10), " ", time.slice(11, 19), make("small", {}, time.slice(19))];
}

/** An actor or a target: the name if there is one, kind and id. */
function party({ id, type, name, email }) {
  const label = [type, id].filter((value) => typeof value === "string").map(text).join(" ");
  const shown = [name, email].filter((value) => typeof value === "string").map(text).join(", ");
  return [make("div", {}, ...(shown ? [make("bdi", {}, shown), " "] : []), make("code", {}, label))];
}

/** All fields of an event by their paths. */
function fieldList(entry) {
  const rows = [...fieldsOf(entry.event, "")].map(([path, value]) =>
    make("div", {}, make("dt", {}, printable(path)), make("dd", {}, text(value))),
  );
  for (const [count, why] of [
    [entry.withheld, "withheld by the exporter's choice; salted digests stand for them"],
    [entry.unavailable, "unavailable: erased, or not handed out to the exporter"],
  ]) {
    if (count > 0) {
      const what = plural(count, "field");
      rows.push(make("div", { class: "hidden" }, make("dt", {}, what), make("dd", {}, why)));
    }
  }
  const hash = make("div", {}, make("dt", {}, "leaf hash"), make("dd", {}, toBase64(entry.hash)));
  return make("dl", {}, ...rows, hash);
}

function* fieldsOf(value, path) {
  const isBranch = value !== null && typeof value === "object" && Object.keys(value).length > 0;
  if (!isBranch) {
    yield [path, value];
    return;
  }
  for (const name of Object.keys(value)) {
    yield* fieldsOf(value[name], path === "" ? name : `${path}.${name}`);
  }
}
