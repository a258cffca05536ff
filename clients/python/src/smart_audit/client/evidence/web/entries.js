// An entry of the log as an event: the leaf's public members and the disclosures in their places.

const TIME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$/;
const RESERVED = ["_sd", "_sd_alg", "..."];

/** A leaf that is shown, opened by its disclosures. */
async function readEntry(leaf, disclosures, withheld, place) {
  const { _sd: digests, _sd_alg: algorithm, ...facts } = readObject(decode(leaf, place), place);
  if (algorithm !== "sha-256" || !areTexts(digests) || leaf.length > 0xffff || "..." in facts) {
    throw new Fault(place, "the leaf is not one of an event");
  }
  if (digests.some((digest, at) => at > 0 && digests[at - 1] >= digest)) {
    throw new Fault(place, "the leaf's digests are not in order");
  }
  if (facts.version !== 1) {
    throw new Fault(place, "the leaf's version is not 1");
  }
  const unopened = new Set(digests);
  const disclosed = new Map();
  for (const encoded of disclosures) {
    const { name, value, digest } = await readDisclosure(encoded, place);
    if (!unopened.delete(digest)) {
      throw new Fault(place, `disclosure "${name}" is not of this leaf, or is given twice`);
    }
    if (Object.hasOwn(facts, name) || disclosed.has(name)) {
      throw new Fault(place, `disclosure "${name}" repeats a fact`);
    }
    disclosed.set(name, value);
  }
  if (new Set(withheld).size !== withheld.length || withheld.some((one) => !unopened.has(one))) {
    throw new Fault(place, "a digest that is called withheld is not, or is named twice");
  }
  const { version: _, ...event } = facts;
  placeAll(event, disclosed, place);
  return {
    hash: await leafHash(leaf),
    facts,
    event,
    names: [...disclosed.keys()],
    disclosed: disclosures.length,
    withheld: withheld.length,
    unavailable: unopened.size - withheld.length,
  };
}

/** base64url of a JSON array [salt, name, value] (RFC 9901, section 4.2.1). */
async function readDisclosure(encoded, place) {
  const digest = toBase64url(await sha256(encode(encoded)));
  let content = null;
  try {
    if (/^[A-Za-z0-9_-]+$/.test(encoded)) {
      const binary = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
      const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
      content = JSON.parse(decode(bytes, place));
    }
  } catch {
    // Told below.
  }
  if (!Array.isArray(content) || content.length !== 3 || !areTexts(content.slice(0, 2))) {
    throw new Fault(place, "a disclosure is not base64url of [salt, name, value]");
  }
  const [, name, value] = content;
  if (RESERVED.includes(name)) {
    throw new Fault(place, `a disclosure cannot be named "${name}"`);
  }
  return { name, value, digest };
}

function placeAll(event, disclosed, place) {
  const names = [...disclosed.keys()];
  for (const name of names) {
    if (names.some((other) => other.startsWith(`${name}.`))) {
      throw new Fault(place, `disclosure "${name}" and another are one within the other`);
    }
  }
  for (const name of names) {
    placeOne(event, name, disclosed.get(name), place);
  }
}

/** Puts a value where its path leads; objects on the way are made, elements of arrays are not. */
function placeOne(event, name, value, place) {
  const way = name.split(".");
  const last = way.pop();
  let holder = event;
  for (const part of way) {
    if (Array.isArray(holder) && /^(0|[1-9][0-9]{0,8})$/.test(part) && part < holder.length) {
      holder = holder[part];
    } else if (isObject(holder)) {
      if (!Object.hasOwn(holder, part)) {
        setOwn(holder, part, {});
      }
      holder = holder[part];
    } else {
      throw new Fault(place, `disclosure "${name}" has no place in the event`);
    }
  }
  if (!isObject(holder)) {
    throw new Fault(place, `disclosure "${name}" has no place in the event`);
  }
  if (Object.hasOwn(holder, last) || name === "version") {
    throw new Fault(place, `disclosure "${name}" repeats a fact`);
  }
  setOwn(holder, last, value);
}

/** Sets a member of any name, "__proto__" included. */
function setOwn(object, name, value) {
  Object.defineProperty(object, name, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

/** Verifies that the fields that are shown, and no others, are those that were chosen. */
function requireChosen({ names, withheld }, disclose, place) {
  const isChosen = (name) => disclose === "all" || disclose.some((path) => leadsTo(path, name));
  if (!names.every(isChosen) || (withheld > 0 && disclose === "all")) {
    throw new Fault(place, "the fields that are shown are not those that were chosen");
  }
}

/** Whether a path names a field or what is above it; "*" stands for any one part. */
function leadsTo(path, name) {
  const [wanted, parts] = [path.split("."), name.split(".")];
  return (
    wanted.length <= parts.length &&
    wanted.every((part, at) => part === "*" || part === parts[at])
  );
}

/** Verifies that an event is one that the filters let through. */
function requireMatch(facts, filters, place) {
  const targets = Array.isArray(facts.targets) ? facts.targets : [];
  const time = TIME.test(facts.occurred_at) ? facts.occurred_at : null;
  const matches = {
    occurred_from: (wanted) => time !== null && wanted <= time,
    occurred_before: (wanted) => time !== null && time < wanted,
    actor_id: (wanted) => facts.actor?.id === wanted,
    action: (wanted) => facts.action === wanted,
    target_id: (wanted) => targets.some((target) => target?.id === wanted),
    outcome: (wanted) => facts.outcome === wanted,
  };
  for (const [name, wanted] of Object.entries(filters)) {
    if (!Object.hasOwn(matches, name) || !matches[name](wanted)) {
      throw new Fault(place, `the event does not match the filter ${name}`);
    }
  }
}
