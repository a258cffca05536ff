// Bytes, texts, hashes and canonical JSON.

/** Something that does not hold, and where. */
class Fault extends Error {
  constructor(place, why) {
    super(`${place}: ${why}`);
    this.place = place;
    this.why = why;
  }
}

const HASH_SIZE = 32;

const encode = (text) => new TextEncoder().encode(text);

function decode(bytes, place) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Fault(place, "it is not UTF-8");
  }
}

function concat(...parts) {
  const joined = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

const equal = (one, other) =>
  one.length === other.length && one.every((byte, at) => byte === other[at]);

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function toBase64(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x2000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x2000));
  }
  return btoa(binary);
}

/** The bytes in the one spelling that toBase64 writes. */
function fromBase64(text, place) {
  let bytes = null;
  try {
    bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    // Told below, as is another spelling of the same bytes.
  }
  if (bytes === null || toBase64(bytes) !== text) {
    throw new Fault(place, "a value is not canonical base64");
  }
  return bytes;
}

const toBase64url = (bytes) =>
  toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** Canonical JSON (RFC 8785): the numbers and strings of JSON.stringify, members in order. */
function canonical(value) {
  if (Array.isArray(value)) {
    return `[${value.map(canonical).join(",")}]`;
  }
  if (value !== null && typeof value === "object") {
    const members = Object.keys(value).sort();
    return `{${members.map((name) => `${canonical(name)}:${canonical(value[name])}`).join(",")}}`;
  }
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new RangeError("a number is not finite");
  }
  if (typeof value === "string" && /\p{Surrogate}/u.test(value)) {
    throw new RangeError("half a character stands alone");
  }
  return JSON.stringify(value);
}

/** The object in a line of canonical JSON, given without its newline. */
function readObject(text, place) {
  let content = null;
  let again = null;
  try {
    content = JSON.parse(text);
    again = canonical(content);
  } catch (error) {
    throw new Fault(place, `it is not JSON: ${error.message}`);
  }
  if (content === null || typeof content !== "object" || Array.isArray(content)) {
    throw new Fault(place, "it is not a JSON object");
  }
  if (again !== text) {
    throw new Fault(place, "it is not canonical JSON");
  }
  return content;
}

/** The object in a member that is one line. */
function readOnly(bytes, place) {
  const text = decode(bytes, place);
  if (!text.endsWith("\n")) {
    throw new Fault(place, "it does not end with a newline");
  }
  return readObject(text.slice(0, -1), place);
}

/** The lines of a member, without their newlines. */
function linesOf(bytes, place) {
  const lines = decode(bytes, place).split("\n");
  if (lines.pop() !== "") {
    throw new Fault(place, "its last line does not end with a newline");
  }
  return lines;
}

const isNumber = (value) => Number.isSafeInteger(value) && value >= 0;
const areTexts = (values) =>
  Array.isArray(values) && values.every((value) => typeof value === "string");
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const hasExactly = (object, names) => canonical(Object.keys(object).sort()) === canonical(names);

/** Do something for many items, some at a time; the results are in their order. */
async function forAll(items, action, width = 512) {
  const results = [];
  for (let at = 0; at < items.length; at += width) {
    const some = items.slice(at, at + width);
    results.push(...(await Promise.all(some.map((item, place) => action(item, at + place)))));
  }
  return results;
}
