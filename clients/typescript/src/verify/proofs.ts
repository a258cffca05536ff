// Verifying, on this machine and by keys that the caller knows: nothing is asked of the service.

import { VerificationError } from "../errors.ts";
import type {
  DiscloseEventResponse,
  Event,
  GetConsistencyProofResponse,
  GetEventResponse,
  InclusionProof,
} from "../generated/types.ts";
import {
  type Bytes,
  canonical,
  demand,
  fromBase64,
  fromBase64url,
  isEqual,
  type JsonValue,
  textOf,
  toBase64,
} from "./bytes.ts";
import { eventOf, isShown, type OpenedLeaf, openLeaf } from "./leaf.ts";
import { openCheckpoint, type SignedCheckpoint } from "./notes.ts";
import { demandConsistency, leafHash, rootOf } from "./tree.ts";

const FIRST_LINE = "c2sp.org/tlog-proof@v1";

/** What an event's proof proves. */
export interface VerifiedEvent {
  /** The event as its leaf and the disclosures state it; what is withheld is empty. */
  event: Event;
  /** How many of its fields are withheld. */
  withheld: number;
  /** The log's name, which ends with the organisation's id. */
  origin: string;
  /** How many entries the log had when the checkpoint was signed. */
  treeSize: number;
}

interface Claim {
  leaf: Bytes;
  disclosures: string[];
  logIndex: number;
  path: Bytes[];
  note: string;
}

/**
 * Verifies that an event was in the log when its checkpoint was signed.
 *
 * proof: a proof file (.tlog-proof), the answer of `getEvent` with `proof: true`, or that of
 * `discloseEvent`. keys: verifier keys of the log, and perhaps of witnesses, as noted earlier or as
 * their owners publish them; each must have signed.
 * Throws VerificationError with what does not hold.
 */
export async function verifyEvent(
  proof: string | GetEventResponse | DiscloseEventResponse,
  keys: string[],
): Promise<VerifiedEvent> {
  return refusing(async () => {
    if (typeof proof === "string") {
      return (await check(readFile(proof), keys)).verified;
    }
    const { claim, place, event } = readAnswer(proof);
    const { verified, hash, signed } = await check(claim, keys);
    demandBeside(place, hash, signed);
    demand(isShown(verified.event, event), "the event is not what its leaf says");
    return verified;
  });
}

/**
 * Verifies that nothing was changed or taken away between two checkpoints, which the keys signed.
 *
 * first: the note that was kept, e.g. of `getCheckpoint`. proof: the answer of `getConsistencyProof`
 * for these two sizes. Throws VerificationError with what does not hold.
 */
export async function verifyConsistency(
  first: string,
  second: string,
  proof: GetConsistencyProofResponse,
  keys: string[],
): Promise<{ origin: string; firstSize: number; secondSize: number }> {
  return refusing(async () => {
    const [older, newer] = [await openCheckpoint(first, keys), await openCheckpoint(second, keys)];
    await demandConsistency(older, newer, proof.hashes.map(fromBase64));
    return { origin: newer.origin, firstSize: older.size, secondSize: newer.size };
  });
}

async function check(
  claim: Claim,
  keys: string[],
): Promise<{ verified: VerifiedEvent; hash: Bytes; signed: SignedCheckpoint }> {
  const opened: OpenedLeaf = await openLeaf(claim.leaf, claim.disclosures);
  const signed = await openCheckpoint(claim.note, keys);
  const isOwn = signed.origin.endsWith(`/${opened.facts.organisation_id}`);
  demand(isOwn, "the log is another organisation's");
  const hash = await leafHash(claim.leaf);
  const root = await rootOf(hash, claim.logIndex, signed.size, claim.path);
  demand(isEqual(root, signed.root), "the path does not lead to the signed root");
  const verified = {
    event: eventOf(opened, claim.logIndex),
    withheld: opened.withheld,
    origin: signed.origin,
    treeSize: signed.size,
  };
  return { verified, hash, signed };
}

/** What a proof says beside its path is not needed; a person may read it all the same. */
function demandBeside(place: InclusionProof, hash: Bytes, signed: SignedCheckpoint): void {
  demand(place.tree_size === String(signed.size), "the proof's tree_size is not the true one");
  demand(place.root_hash === toBase64(signed.root), "the proof's root_hash is not the true one");
  demand(place.leaf_hash === toBase64(hash), "the proof's leaf_hash is not the true one");
}

function readAnswer(answer: GetEventResponse | DiscloseEventResponse) {
  const shown = "proof" in answer && answer.proof ? answer.proof : answer as GetEventResponse;
  const place = shown.inclusion_proof;
  demand(place && answer.event, "the answer holds no proof: ask for the event with proof: true");
  const claim: Claim = {
    leaf: fromBase64(shown.leaf),
    disclosures: shown.disclosures,
    logIndex: indexOf(place.log_index),
    path: place.hashes.map(fromBase64),
    note: answer.checkpoint,
  };
  if ("proof_file" in answer) {
    demand(isSame(readFile(answer.proof_file), claim), "proof_file holds something else");
  }
  if ("leaf_hash" in answer) {
    demand(answer.leaf_hash === place.leaf_hash, "leaf_hash is not that of the proof");
  }
  return { claim, place, event: answer.event };
}

/** A C2SP tlog-proof, its extra data being the leaf and the disclosures. */
function readFile(text: string): Claim {
  const blank = text.indexOf("\n\n");
  const [first, extra = "", place = "", ...hashes] = text.slice(0, blank).split("\n");
  demand(blank > 0 && first === FIRST_LINE, "the file is not a proof");
  demand(extra.startsWith("extra "), "the proof has no extra data");
  demand(place.startsWith("index "), "the proof has no index");
  const [leaf, ...disclosures] = textOf(fromBase64(extra.slice("extra ".length))).split("~");
  demand(leaf && disclosures.pop() === "", "the extra data does not end with ~");
  return {
    leaf: fromBase64url(leaf),
    disclosures,
    logIndex: indexOf(place.slice("index ".length)),
    path: hashes.map(fromBase64),
    note: text.slice(blank + 2),
  };
}

function indexOf(text: string): number {
  demand(/^(0|[1-9][0-9]{0,19})$/.test(text), "the index is not a number");
  return Number(text);
}

function isSame(one: Claim, other: Claim): boolean {
  const written = ({ leaf, disclosures, logIndex, path, note }: Claim): JsonValue => [
    toBase64(leaf),
    disclosures,
    logIndex,
    path.map(toBase64),
    note,
  ];
  return canonical(written(one)) === canonical(written(other));
}

/** What cannot be read proves nothing either. */
async function refusing<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof VerificationError) {
      throw cause;
    }
    throw new VerificationError(`it cannot be read or checked: ${cause}`, { cause });
  }
}
