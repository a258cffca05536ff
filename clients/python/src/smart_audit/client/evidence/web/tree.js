// The Merkle tree of RFC 9162, section 2.1. Sizes may be beyond 32 bits: no bit operators here.

const half = (number) => Math.floor(number / 2);

const leafHash = (leaf) => sha256(concat(Uint8Array.of(0), leaf));
const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

/** How many perfect subtrees cover the leaves begin <= index < end, from left to right. */
function perfectCount(begin, end) {
  let count = 0;
  let width = 1;
  // Upwards from an odd begin, then downwards along the bits that are left.
  while (begin + width <= end) {
    if ((begin / width) % 2 === 1) {
      begin += width;
      count += 1;
    }
    width *= 2;
  }
  for (; width >= 1; width /= 2) {
    if (begin + width <= end) {
      begin += width;
      count += 1;
    }
  }
  return count;
}

/** The root of the tree of `size` leaves that a range and the subtrees beside it make. */
async function rangeRoot(leafHashes, begin, size, left, right) {
  const place = "range-proof.json";
  let end = begin + leafHashes.length;
  if (begin >= end || end > size) {
    throw new Fault(place, `leaves ${begin} to ${end} are not a range in a tree of ${size} leaves`);
  }
  if (left.length !== perfectCount(0, begin) || right.length !== perfectCount(end, size)) {
    throw new Fault(place, "it has more or fewer hashes than this range takes");
  }
  const before = [...left];
  const behind = [...right].reverse();
  let nodes = leafHashes;
  for (let width = 1; width < size; width *= 2) {
    nodes = [...nodes];
    if (begin % 2 === 1) {
      nodes.unshift(before.pop());
      begin -= 1;
    }
    if (end % 2 === 1 && end * width < size) {
      // The right half is a perfect subtree, or else the ragged edge of the tree.
      const taken = (end + 1) * width <= size ? [behind.pop()] : behind.splice(0).reverse();
      nodes.push(await fold(taken));
      end += 1;
    }
    const pairs = [];
    for (let at = 0; at + 1 < nodes.length; at += 2) {
      pairs.push([nodes[at], nodes[at + 1]]);
    }
    const last = nodes.length % 2 === 1 ? [nodes.at(-1)] : [];
    nodes = [...(await forAll(pairs, ([one, other]) => nodeHash(one, other), 4096)), ...last];
    begin = half(begin);
    end = half(end + 1);
  }
  return nodes[0];
}

/** The root over subtrees from larger to smaller. */
async function fold(hashes) {
  let root = hashes.at(-1);
  for (const left of hashes.slice(0, -1).reverse()) {
    root = await nodeHash(left, root);
  }
  return root;
}

/** The root to which a path leads (RFC 9162, section 2.1.3.2), or null. */
async function pathRoot(hash, index, size, path) {
  let node = index;
  let last = size - 1;
  if (node > last) {
    return null;
  }
  for (const sibling of path) {
    if (last === 0) {
      return null;
    }
    if (node % 2 === 1 || node === last) {
      hash = await nodeHash(sibling, hash);
      while (node % 2 === 0 && node > 0) {
        node = half(node);
        last = half(last);
      }
    } else {
      hash = await nodeHash(hash, sibling);
    }
    node = half(node);
    last = half(last);
  }
  return last === 0 ? hash : null;
}
