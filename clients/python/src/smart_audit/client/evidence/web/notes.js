// Signed notes, checkpoints, verifier keys and witnesses' cosignatures (C2SP).

const LOG_KEY = 1;
const WITNESS_KEY = 4;
const END_OF_TIME = 253402300800n; // seconds; the year 10000

/** The browser lacks what a check needs: nothing is wrong with the bundle, and nothing is proven. */
class Unable extends Error {}

// RFC 8032, section 7.1, test 2: what a browser must accept, and with one bit turned, refuse.
const KNOWN = {
  key: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
  message: "72",
  signature:
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
};

const unhex = (text) => Uint8Array.from(text.match(/../g), (byte) => parseInt(byte, 16));

/** Throws Unable unless the browser verifies Ed25519, and verifies it rightly. */
async function requireCrypto() {
  if (!globalThis.crypto?.subtle) {
    throw new Unable("this browser offers no cryptography to this page");
  }
  const [key, message, signature] = [KNOWN.key, KNOWN.message, KNOWN.signature].map(unhex);
  let accepts = false;
  let refuses = false;
  try {
    accepts = await ed25519(key, signature, message);
    signature[0] ^= 1;
    refuses = !(await ed25519(key, signature, message));
  } catch {
    // Told below.
  }
  if (!accepts || !refuses) {
    throw new Unable("this browser cannot verify Ed25519 signatures");
  }
}

async function ed25519(publicKey, signature, message) {
  const key = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", key, signature, message);
}

/** A verifier key of one of the types: name+hex(key id)+base64(type and public key). */
async function readKey(text, types, place) {
  const [name, id, ...rest] = text.split("+");
  const encoded = rest.join("+");
  if (!name || /\s/u.test(name) || !/^[0-9a-f]{8}$/.test(id ?? "")) {
    throw new Fault(place, "it is not a verifier key");
  }
  const typed = fromBase64(encoded, place);
  const [type] = typed;
  if (!types.includes(type) || typed.length !== 1 + HASH_SIZE) {
    throw new Fault(place, `the key of ${name} is not an Ed25519 key of type ${types.join(" or ")}`);
  }
  const computed = hex((await sha256(concat(encode(`${name}\n`), typed))).subarray(0, 4));
  if (computed !== id) {
    throw new Fault(place, `the key id of ${name} is ${computed}, not ${id}`);
  }
  return { text, type, name, id, publicKey: typed.subarray(1) };
}

/** The keys in keys.txt: those of the log, and those of witnesses. */
async function readKeys(bytes) {
  const place = "keys.txt";
  const words = linesOf(bytes, place).map((line) => line.split(" "));
  const log = words.filter((word) => word[0] === "log" && word.length === 2);
  const witnesses = words.filter((word) => word[0] === "witness" && word.length === 3);
  const written = [
    ...log.map(([, key]) => `log ${key}\n`),
    ...witnesses.map(([, , key], at) => `witness w${at + 1} ${key}\n`),
    "quorum none\n",
  ].join("");
  if (written !== decode(bytes, place) || log.length === 0) {
    throw new Fault(place, "it is not a list of log keys, witness keys and a quorum");
  }
  return {
    log: await Promise.all(log.map(([, key]) => readKey(key, [LOG_KEY], place))),
    witnesses: await Promise.all(witnesses.map(([, , key]) => readKey(key, [WITNESS_KEY], place))),
  };
}

/** A note taken apart; its text is not to be trusted yet. */
function readNote(bytes) {
  const place = "checkpoint.txt";
  const whole = decode(bytes, place);
  const blank = whole.lastIndexOf("\n\n");
  if (blank < 0 || /[\x00-\x09\x0b-\x1f]/.test(whole)) {
    throw new Fault(place, "it is not a signed note");
  }
  const lines = whole.slice(blank + 2).split("\n");
  if (lines.pop() !== "" || lines.length === 0 || lines.length > 100) {
    throw new Fault(place, "it does not end with signature lines");
  }
  const signatures = lines.map((line) => {
    const match = /^— ([^\s+]+) ([A-Za-z0-9+/=]+)$/u.exec(line);
    if (match === null) {
      throw new Fault(place, "a line below the text is not a signature");
    }
    const raw = fromBase64(match[2], place);
    if (raw.length <= 4) {
      throw new Fault(place, "a signature is empty");
    }
    return { name: match[1], id: hex(raw.subarray(0, 4)), bytes: raw.subarray(4) };
  });
  return { whole, text: whole.slice(0, blank + 1), signatures };
}

/** The checkpoint in a note's text: origin, size, root. */
function readCheckpoint(text) {
  const place = "checkpoint.txt";
  const lines = text.slice(0, -1).split("\n");
  const [origin, size, root] = lines;
  if (lines.length < 3 || lines.includes("") || !/^(0|[1-9][0-9]{0,15})$/.test(size)) {
    throw new Fault(place, "it is not a checkpoint");
  }
  const rootBytes = fromBase64(root, place);
  if (rootBytes.length !== HASH_SIZE || !isNumber(Number(size))) {
    throw new Fault(place, "its root is not a hash, or its size is too large for this page");
  }
  return { origin, size: Number(size), root: rootBytes, rootText: root };
}

/** The signature lines of a key, all of which must be valid; none is no fault here. */
async function signaturesOf(key, note) {
  const made = note.signatures.filter((one) => one.name === key.name && one.id === key.id);
  for (const { bytes } of made) {
    const time = key.type === WITNESS_KEY ? cosignedAt(bytes) : null;
    const head = time === null ? "" : `cosignature/v1\ntime ${time}\n`;
    const signature = time === null ? bytes : bytes.subarray(8);
    if (!(await ed25519(key.publicKey, signature, encode(head + note.text)).catch(() => false))) {
      throw new Fault("checkpoint.txt", `the signature of ${key.name} is not valid`);
    }
  }
  return made.map((one) => one.bytes);
}

function cosignedAt(bytes) {
  if (bytes.length !== 72) {
    throw new Fault("checkpoint.txt", "a cosignature is not 72 bytes long");
  }
  const time = new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0);
  if (time < 0n) {
    throw new Fault("checkpoint.txt", "the time of a cosignature is too large");
  }
  return time;
}

/** Verifies that all of these keys have signed the note; says when the witnesses did. */
async function openNote(note, keys) {
  const checkpoint = readCheckpoint(note.text);
  const cosignatures = [];
  for (const key of [...keys.log, ...keys.witnesses]) {
    const made = await signaturesOf(key, note);
    if (made.length === 0) {
      throw new Fault("checkpoint.txt", `${key.name} has not signed it by the given key`);
    }
    if (key.type === WITNESS_KEY) {
      cosignatures.push({ witness: key.name, time: timeText(cosignedAt(made.at(-1))) });
    } else if (key.name !== checkpoint.origin) {
      // The key of one log must not vouch for another log of the same installation.
      throw new Fault("checkpoint.txt", `${key.name} signed it for ${checkpoint.origin}`);
    }
  }
  return { ...checkpoint, note, cosignatures };
}

function timeText(seconds) {
  if (seconds >= END_OF_TIME) {
    return String(seconds);
  }
  return new Date(Number(seconds) * 1000).toISOString().replace(".000Z", "Z");
}

/** The keys that the reader trusts; each must have signed. Throws a Fault that says why not. */
async function requireTrusted(texts, signed) {
  const place = texts.length === 1 ? "your key" : "your keys";
  const keys = await Promise.all(
    texts.map((text) => readKey(text, [LOG_KEY, WITNESS_KEY], place)),
  );
  if (keys.every((key) => key.type === WITNESS_KEY)) {
    throw new Fault(place, "a key of the log is needed, beside those of witnesses");
  }
  for (const key of keys) {
    if (key.type === LOG_KEY && key.name !== signed.origin) {
      throw new Fault(place, `it is the key of another log, ${key.name}`);
    }
    if ((await signaturesOf(key, signed.note)).length === 0) {
      throw new Fault("checkpoint.txt", `${key.name} has not signed it by the key that you trust`);
    }
  }
}
