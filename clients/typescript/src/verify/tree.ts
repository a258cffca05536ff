// The Merkle tree of RFC 9162, section 2.1. Sizes may be beyond 32 bits: no bit operators here.

import { type Bytes, demand, isEqual, joined, sha256 } from "./bytes.ts";

export function leafHash(leaf: Bytes): Promise<Bytes> {
  return sha256(joined(Uint8Array.of(0), leaf));
}

export function nodeHash(left: Bytes, right: Bytes): Promise<Bytes> {
  return sha256(joined(Uint8Array.of(1), left, right));
}

const half = (number: number) => Math.floor(number / 2);

/** The root to which a path leads. Source: RFC 9162, section 2.1.3.2. */
export async function rootOf(
  hash: Bytes,
  index: number,
  size: number,
  path: Bytes[],
): Promise<Bytes> {
  demand(Number.isSafeInteger(index) && 0 <= index && index < size, "the leaf is not in the tree");
  let [node, last, computed] = [index, size - 1, hash];
  for (const sibling of path) {
    demand(last > 0, "the path is too long");
    if (node % 2 === 1 || node === last) {
      computed = await nodeHash(sibling, computed);
      while (node % 2 === 0 && node > 0) {
        [node, last] = [half(node), half(last)];
      }
    } else {
      computed = await nodeHash(computed, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  demand(last === 0, "the path is too short");
  return computed;
}

/** That the second tree extends the first. Source: RFC 9162, section 2.1.4.2. */
export async function demandConsistency(
  first: { size: number; root: Bytes },
  second: { size: number; root: Bytes },
  hashes: Bytes[],
): Promise<void> {
  demand(0 < first.size && first.size <= second.size, "the later log is shorter: it was rolled back");
  if (first.size === second.size) {
    demand(hashes.length === 0, "the proof is too long");
    demand(isEqual(first.root, second.root), "the logs of one size have two roots");
    return;
  }
  let [node, last] = [first.size - 1, second.size - 1];
  while (node % 2 === 1) {
    [node, last] = [half(node), half(last)];
  }
  // A first tree that is perfect is a node of the second: its root is not in the proof.
  const [start, ...rest] = node === 0 ? [first.root, ...hashes] : hashes;
  demand(start, "the proof is too short");
  let [older, newer] = [start, start];
  for (const sibling of rest) {
    demand(last > 0, "the proof is too long");
    if (node % 2 === 1 || node === last) {
      older = await nodeHash(sibling, older);
      newer = await nodeHash(sibling, newer);
      while (node % 2 === 0 && node > 0) {
        [node, last] = [half(node), half(last)];
      }
    } else {
      newer = await nodeHash(newer, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  demand(last === 0, "the proof is too short");
  const holds = isEqual(older, first.root) && isEqual(newer, second.root);
  demand(holds, "the later log does not extend the earlier one: something was changed");
}
