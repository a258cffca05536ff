// The members of a bundle, read out of their bytes.

const WHY = {
  leaves: "outside the filters, or removed by retention; none of their hashes is missing",
  fields: "the exporter chose not to disclose them; their salted digests stand in the leaf",
  unavailable: "the exporter could not read them: they were erased, or were not handed out",
};

const proofName = (index) => `proofs/${index}.tlog-proof`;

const MAX_EMBEDDED = 16 * 1024 * 1024; // bytes of all members together

/** What the page holds of the other members. */
function dataBlock(members) {
  const texts = members.map(([name, bytes]) => `"${name}":${JSON.stringify(decode(bytes, name))}`);
  return `{${texts.join(",")}}`.replaceAll("<", "\\u003c");
}

function readManifest(bytes) {
  const place = "manifest.json";
  const manifest = readOnly(bytes, place);
  const { withheld, members, filters } = manifest;
  const names = ["begin", "created_at", "disclose", "disclosed", "end", "events", "filters",
    "format", "members", "organisation_id", "origin", "root", "size", "version", "withheld"];
  const counted = Object.keys(WHY).sort();
  const isWhole =
    hasExactly(manifest, names) &&
    manifest.format === "smart-audit/evidence" &&
    manifest.version === 1 &&
    areTexts([manifest.organisation_id, manifest.origin, manifest.root]) &&
    TIME.test(manifest.created_at) &&
    [manifest.begin, manifest.end, manifest.size, manifest.events, manifest.disclosed].every(
      isNumber,
    ) &&
    (manifest.disclose === "all" || areTexts(manifest.disclose)) &&
    isObject(filters) &&
    Object.entries(filters).every(([name, value]) => isFilter(name, value)) &&
    isObject(withheld) &&
    hasExactly(withheld, counted) &&
    counted.every(
      (name) =>
        isObject(withheld[name]) &&
        hasExactly(withheld[name], ["count", "why"]) &&
        isNumber(withheld[name].count) &&
        withheld[name].why === WHY[name],
    ) &&
    isObject(members) &&
    Object.values(members).every(
      (one) =>
        isObject(one) &&
        hasExactly(one, ["sha256", "size"]) &&
        isNumber(one.size) &&
        areTexts([one.sha256]),
    );
  if (!isWhole) {
    throw new Fault(place, "it is not a manifest of version 1");
  }
  return manifest;
}

const isFilter = (name, value) =>
  FILTERS.includes(name) && areTexts([value]) && (!name.startsWith("occurred_") || TIME.test(value));

function readRangeProof(bytes) {
  const place = "range-proof.json";
  const proof = readOnly(bytes, place);
  const { begin, end, size, left, right } = proof;
  if (
    !hasExactly(proof, ["begin", "end", "left", "right", "size"]) ||
    ![begin, end, size].every(isNumber) ||
    ![left, right].every(areTexts)
  ) {
    throw new Fault(place, "it is not a range proof");
  }
  const hashes = [left, right].map((side) => side.map((one) => fromBase64(one, place)));
  if (hashes.flat().some((one) => one.length !== HASH_SIZE)) {
    throw new Fault(place, "one of its hashes is not 32 bytes long");
  }
  return { begin, end, size, left: hashes[0], right: hashes[1] };
}

/** The path in a C2SP tlog-proof of this index under this checkpoint. */
function readTlogProof(bytes, index, note) {
  const place = proofName(index);
  const text = decode(bytes, place);
  const head = `c2sp.org/tlog-proof@v1\nindex ${index}\n`;
  const tail = `\n${note}`;
  const lines = text.slice(head.length, text.length - tail.length);
  if (head + lines + tail !== text || (lines !== "" && !lines.endsWith("\n"))) {
    throw new Fault(place, "it is not this index's, or not this checkpoint's");
  }
  const path = lines.split("\n").slice(0, -1).map((line) => fromBase64(line, place));
  if (path.some((one) => one.length !== HASH_SIZE)) {
    throw new Fault(place, "one of its hashes is not 32 bytes long");
  }
  return path;
}
