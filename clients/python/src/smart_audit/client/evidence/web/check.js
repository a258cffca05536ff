// Verifying a bundle. Each check goes on as far as it can, so that all faults have their places.
// The manifest's digests find what was damaged; but whoever changes a member can change the
// manifest too, so each thing a person reads is computed again from the leaves, and the leaves
// from the signature.

const CHECKS = [
  "the zip holds the members of a bundle",
  "the members are those that the manifest names",
  "the checkpoint is signed",
  "the leaves are complete and open to their disclosures",
  "the events are what their leaves state",
  "the range of leaves leads to the signed root",
  "each event has a proof of its own",
  "the summary and the manifest say what the events say",
  "the page is whole",
];
const [ZIP, MEMBERS, SIGNATURES, OPENED, DERIVED, RANGE, PROOFS, CLAIMS, PAGE] = CHECKS;

/**
 * Verifies a bundle: its members by name. isEmbedded: they are this page's own data, and so the
 * page cannot be among them. The result tells for each check "ok", "failed" or "skipped", all
 * faults, and what was read. Throws Unable when the browser cannot check.
 */
async function checkBundle(members, isEmbedded) {
  await requireCrypto();
  return new Check(members, isEmbedded).run();
}

class Check {
  constructor(members, isEmbedded) {
    this.members = members;
    this.isEmbedded = isEmbedded;
    this.faults = [];
    this.states = new Map();
    this.entries = []; // of the leaves that are shown
    this.hashes = [];
    this.tally = new Tally();
  }

  async run() {
    for (const [name, step] of [
      [ZIP, () => this.zip()],
      [MEMBERS, () => this.digests()],
      [SIGNATURES, () => this.signatures()],
      [OPENED, () => this.leaves()],
      [DERIVED, () => this.events()],
      [RANGE, () => this.range()],
      [PROOFS, () => this.proofs()],
      [CLAIMS, () => this.claims()],
      [PAGE, () => this.page()],
    ]) {
      const before = this.faults.length;
      this.states.set(name, "ok");
      await this.noting(step);
      if (this.faults.length > before) {
        this.states.set(name, "failed");
      }
    }
    return this;
  }

  get holds() {
    return this.faults.length === 0 && ![...this.states.values()].includes("failed");
  }

  /** Notes the fault that ends a step. */
  async noting(step) {
    try {
      return await step();
    } catch (error) {
      if (error instanceof Unable) {
        throw error;
      }
      const isFault = error instanceof Fault;
      this.faults.push(isFault ? error : new Fault("bundle", `it cannot be read: ${error}`));
      return undefined;
    }
  }

  /** Does something for each item; faults are noted in the items' order, not in that of time. */
  async notingAll(items, action) {
    const ended = await forAll(items, (item, at) =>
      action(item, at).then(
        (value) => () => value,
        (error) => () => {
          throw error;
        },
      ),
    );
    const values = [];
    for (const end of ended) {
      values.push(await this.noting(end));
    }
    return values;
  }

  fault(place, why) {
    this.faults.push(new Fault(place, why));
  }

  member(name) {
    if (!this.members.has(name)) {
      throw new Fault(name, "it is missing");
    }
    return this.members.get(name);
  }

  known(value, place) {
    if (value === undefined) {
      throw new Fault(place, "it did not hold, so what rests on it cannot be checked");
    }
    return value;
  }

  async zip() {
    if (this.isEmbedded) {
      this.states.set(ZIP, "skipped");
    }
  }

  async digests() {
    const manifest = readManifest(this.member("manifest.json"));
    this.manifest = manifest;
    const isOther = (name) => name === "manifest.json" || name === "verify.html";
    for (const name of Object.keys(manifest.members)) {
      if (!this.members.has(name) && !(this.isEmbedded && isOther(name))) {
        this.fault(name, "it is missing");
      }
    }
    await this.notingAll([...this.members], async ([name, bytes]) => {
      if (name !== "manifest.json" && !Object.hasOwn(manifest.members, name)) {
        throw new Fault(name, "the manifest does not name it");
      }
      if (!isOther(name)) {
        const noted = manifest.members[name];
        if (bytes.length !== noted.size || hex(await sha256(bytes)) !== noted.sha256) {
          throw new Fault(name, "its digest is not that of the manifest");
        }
      }
    });
  }

  async signatures() {
    this.keys = await readKeys(this.member("keys.txt"));
    this.signed = await openNote(readNote(this.member("checkpoint.txt")), this.keys);
  }

  async leaves() {
    const place = "leaves.jsonl";
    this.proof = readRangeProof(this.member("range-proof.json"));
    const lines = linesOf(this.member(place), place);
    const read = await this.notingAll(lines, (line, at) => this.leaf(line, at));
    let following = this.proof.begin;
    read.forEach((leaf, at) => {
      if (leaf !== undefined) {
        if (leaf.index !== following) {
          this.fault(`${place}, line ${at + 1}`, `index ${following} should stand here`);
        }
        following = leaf.index;
        this.hashes.push(leaf.hash);
        if (leaf.entry !== null) {
          this.entries.push(leaf);
          this.tally.add(leaf.entry.facts);
        }
      }
      following += 1;
    });
    if (following !== this.proof.end) {
      this.fault(place, `it ends before index ${following}, not before ${this.proof.end}`);
    }
  }

  async leaf(text, at) {
    const place = `leaves.jsonl, line ${at + 1}`;
    const line = readObject(text, place);
    if (isNumber(line.index) && hasExactly(line, ["index", "leaf_hash"])) {
      const hash = fromBase64(String(line.leaf_hash), place);
      if (hash.length !== HASH_SIZE) {
        throw new Fault(place, "the leaf's hash is not 32 bytes long");
      }
      return { index: line.index, hash, entry: null };
    }
    const { index, disclosures, withheld } = line;
    if (
      !isNumber(index) ||
      !hasExactly(line, ["disclosures", "index", "leaf", "withheld"]) ||
      ![[line.leaf], disclosures, withheld].every(areTexts)
    ) {
      throw new Fault(place, "it is not a leaf or a leaf's hash");
    }
    const where = `${place}, index ${index}`;
    const entry = await readEntry(fromBase64(line.leaf, where), disclosures, withheld, where);
    if (this.manifest !== undefined) {
      if (entry.facts.organisation_id !== this.manifest.organisation_id) {
        throw new Fault(where, "the leaf is another organisation's");
      }
      requireMatch(entry.facts, this.manifest.filters, where);
      requireChosen(entry, this.manifest.disclose, where);
    }
    return { index, hash: entry.hash, entry };
  }

  async events() {
    const name = "events.jsonl";
    const lines = linesOf(this.member(name), name);
    let at = 0;
    for (const { index, entry } of this.entries) {
      const { event, withheld, unavailable } = entry;
      const stated = canonical({ log_index: index, event, withheld, unavailable });
      while (at < lines.length && this.indexOf(lines[at], at) < index) {
        this.fault(`${name}, line ${at + 1}`, "it has no leaf that is shown, or comes twice");
        at += 1;
      }
      if (at === lines.length || this.indexOf(lines[at], at) > index) {
        this.fault(name, `the event of index ${index} is missing`);
        continue;
      }
      if (lines[at] !== stated) {
        const why = `the event of index ${index} is not what its leaf states`;
        this.fault(`${name}, line ${at + 1}`, why);
      }
      at += 1;
    }
    for (; at < lines.length; at += 1) {
      this.fault(`${name}, line ${at + 1}`, "it has no leaf that is shown, or comes twice");
    }
  }

  /** The log index that a line of events.jsonl states; -1 when it states none. */
  indexOf(line, at) {
    try {
      const { log_index: index } = readObject(line, `events.jsonl, line ${at + 1}`);
      return isNumber(index) ? index : -1;
    } catch {
      return -1;
    }
  }

  async range() {
    const place = "range-proof.json";
    const signed = this.known(this.signed, "checkpoint.txt");
    const { begin, end, size, left, right } = this.known(this.proof, place);
    if (size !== signed.size) {
      throw new Fault(place, "its size is not that of the checkpoint");
    }
    if (begin + this.hashes.length !== end) {
      throw new Fault(place, "the leaves are not as many as its range has");
    }
    if (!equal(await rangeRoot(this.hashes, begin, size, left, right), signed.root)) {
      throw new Fault(place, "the range of leaves does not lead to the signed root");
    }
  }

  async proofs() {
    const signed = this.known(this.signed, "checkpoint.txt");
    await this.notingAll(this.entries, async ({ index, hash }) => {
      const name = proofName(index);
      const path = readTlogProof(this.member(name), index, signed.note.whole);
      const root = await pathRoot(hash, index, signed.size, path);
      if (root === null || !equal(root, signed.root)) {
        throw new Fault(name, "the path does not lead to the signed root");
      }
    });
  }

  async claims() {
    const manifest = this.known(this.manifest, "manifest.json");
    const signed = this.known(this.signed, "checkpoint.txt");
    const proof = this.known(this.proof, "range-proof.json");
    const state = [signed.origin, signed.size, signed.rootText, proof.begin, proof.end];
    const { origin, size, root, begin, end } = manifest;
    if (canonical([origin, size, root, begin, end]) !== canonical(state)) {
      this.fault("manifest.json", "log, size, root or range are not those of the other members");
    }
    if (!signed.origin.endsWith(`/${manifest.organisation_id}`)) {
      this.fault("manifest.json", "the log is another organisation's");
    }
    const sum = (name) => this.entries.reduce((total, { entry }) => total + entry[name], 0);
    const events = this.entries.length;
    const { leaves, fields, unavailable } = manifest.withheld;
    const claimed = [manifest.events, leaves.count, manifest.disclosed, fields.count,
      unavailable.count];
    const counts = [events, proof.end - proof.begin - events, sum("disclosed"), sum("withheld"),
      sum("unavailable")];
    if (canonical(claimed) !== canonical(counts)) {
      this.fault("manifest.json", "it counts other events or fields than there are");
    }
    this.names(manifest);
    const text = summaryText(manifest, this.keys, signed, this.tally);
    if (decode(this.member("summary.txt"), "summary.txt") !== text) {
      this.fault("summary.txt", "it is not the summary of this bundle");
    }
  }

  /** The members are those of these events, in their order. */
  names(manifest) {
    const names = ["checkpoint.txt", "keys.txt", "range-proof.json", "leaves.jsonl",
      "events.jsonl", ...this.entries.map(({ index }) => proofName(index)), "summary.txt"];
    const whole = [...names, "manifest.json", ...(this.isEmbedded ? [] : ["verify.html"])];
    if (canonical([...this.members.keys()]) !== canonical(whole)) {
      this.fault("zip", "its members are not those of these events, in their order");
    }
    if (!hasExactly(manifest.members, [...names, "verify.html"].sort())) {
      this.fault("manifest.json", "it names other members than a bundle of these events has");
    }
  }

  /** The page in a zip: its digest without its data, and the data. */
  async page() {
    if (this.isEmbedded) {
      this.states.set(PAGE, "skipped");
      return;
    }
    const name = "verify.html";
    const text = decode(this.member(name), name);
    // Written so that these tags do not stand in this very script.
    const opening = '\x3cscript type="application/json" id="bundle">';
    const begin = text.indexOf(opening) + opening.length;
    const end = text.indexOf("\x3c/script>", begin);
    if (begin < opening.length || end < 0) {
      throw new Fault(name, "it has no data block");
    }
    const empty = encode(text.slice(0, begin) + text.slice(end));
    const noted = this.known(this.manifest, "manifest.json").members[name];
    if (noted?.size !== empty.length || noted.sha256 !== hex(await sha256(empty))) {
      this.fault(name, "its digest is not that of the manifest");
    }
    const held = text.slice(begin, end);
    const others = [...this.members].filter(([other]) => other !== name);
    const size = others.reduce((total, [, bytes]) => total + bytes.length, 0);
    const expected = size > MAX_EMBEDDED ? "" : dataBlock(others);
    if (held !== expected) {
      this.fault(name, "it holds other data than the bundle");
    }
  }
}
