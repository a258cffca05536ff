// Signed notes, checkpoints and verifier keys (C2SP signed-note, tlog-checkpoint, tlog-cosignature).

import {
  type Bytes,
  demand,
  fromBase64,
  HASH_SIZE,
  isEqual,
  joined,
  sha256,
  utf8,
} from "./bytes.ts";

const LOG_KEY = 1;
const WITNESS_KEY = 4;
const KEY_ID_SIZE = 4;
const TIME_SIZE = 8;

/** The signed state of a log; `root` has 32 bytes. */
export interface SignedCheckpoint {
  origin: string;
  size: number;
  root: Bytes;
}

interface Key {
  name: string;
  type: number;
  id: Bytes;
  publicKey: Bytes;
}

interface Signature {
  name: string;
  id: Bytes;
  bytes: Bytes;
}

/**
 * The checkpoint in a note that all of these keys have signed: at least one of the log itself,
 * and perhaps those of witnesses.
 */
export async function openCheckpoint(note: string, keys: string[]): Promise<SignedCheckpoint> {
  const blank = note.lastIndexOf("\n\n");
  demand(blank >= 0 && note.endsWith("\n"), "the note has no signatures");
  demand(!/[\x00-\x09\x0b-\x1f]/.test(note), "the note has a control character");
  const text = note.slice(0, blank + 1);
  const signatures = note.slice(blank + 2, -1).split("\n").map(readSignature);
  const known = await Promise.all(keys.map(readKey));
  for (const key of known) {
    await demandSigned(text, signatures, key);
  }
  const checkpoint = readCheckpoint(text);
  const logs = known.filter((key) => key.type === LOG_KEY);
  // The key of one log must not vouch for another log of the same installation.
  const isOfLog = logs.length > 0 && logs.every((key) => key.name === checkpoint.origin);
  demand(isOfLog, "the key is that of another log, or that of a witness alone");
  return checkpoint;
}

function readCheckpoint(text: string): SignedCheckpoint {
  const lines = text.slice(0, -1).split("\n");
  const [origin, size, root] = lines;
  demand(origin && size && root && !lines.includes(""), "the checkpoint is not whole");
  const isNumber = /^(0|[1-9][0-9]*)$/.test(size) && Number.isSafeInteger(Number(size));
  demand(isNumber, "the checkpoint's size is not a number");
  const bytes = fromBase64(root);
  demand(bytes.length === HASH_SIZE, "the checkpoint's root is not a hash");
  return { origin, size: Number(size), root: bytes };
}

function readSignature(line: string): Signature {
  const match = /^— ([^\s+]+) (\S+)$/u.exec(line);
  demand(match?.[1] && match[2], "a line below the checkpoint is no signature");
  const bytes = fromBase64(match[2]);
  demand(bytes.length > KEY_ID_SIZE, "a line below the checkpoint is no signature");
  return { name: match[1], id: bytes.slice(0, KEY_ID_SIZE), bytes: bytes.slice(KEY_ID_SIZE) };
}

/** A verifier key: its name, "+", its id in hex, "+", base64 of type and public key. */
async function readKey(text: string): Promise<Key> {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text.trim());
  demand(match?.[1] && match[3], "a verifier key is malformed");
  const typed = fromBase64(match[3]);
  const type = typed[0] ?? 0;
  const isEd25519 = [LOG_KEY, WITNESS_KEY].includes(type) && typed.length === 1 + HASH_SIZE;
  demand(isEd25519, "a verifier key is not Ed25519");
  const id = (await sha256(joined(utf8(`${match[1]}\n`), typed))).slice(0, KEY_ID_SIZE);
  const hex = Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
  demand(hex === match[2], "a verifier key's id is not its own");
  return { name: match[1], type, id, publicKey: typed.slice(1) };
}

/** The key has signed, and made no signature that is bad. */
async function demandSigned(text: string, signatures: Signature[], key: Key): Promise<void> {
  const made = signatures.filter((one) => one.name === key.name && isEqual(one.id, key.id));
  demand(made.length > 0, `the checkpoint is not signed by ${key.name}`);
  for (const { bytes } of made) {
    let [signature, message] = [bytes, text];
    if (key.type === WITNESS_KEY) {
      demand(bytes.length > TIME_SIZE, `the signature of ${key.name} is not valid`);
      const time = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
      [signature, message] = [bytes.slice(TIME_SIZE), `cosignature/v1\ntime ${time}\n${text}`];
    }
    const isGood = await isSigned(key.publicKey, signature, utf8(message));
    demand(isGood, `the signature of ${key.name} is not valid`);
  }
}

async function isSigned(publicKey: Bytes, signature: Bytes, message: Bytes): Promise<boolean> {
  // A platform that has no Ed25519 fails here, and nothing is proven.
  const key = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", key, signature, message);
}
