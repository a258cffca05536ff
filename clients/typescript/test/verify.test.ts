// Verifying offline: against the vectors of the log format, and what the gateway gives out.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import {
  type GetConsistencyProofResponse,
  VerificationError,
  verifyConsistency,
  verifyEvent,
} from "@smart-audit/client";
import { event, newUser } from "./support.ts";

const folder = join(import.meta.dirname, "../../../tests/vectors");
const vectors = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .map((name) => ({ name, ...JSON.parse(readFileSync(join(folder, name), "utf8")) }));
const [tree] = vectors.splice(vectors.findIndex((one) => one.name === "00-tree.json"), 1);
const good = vectors.filter((one) => one.expected.verified);
const bad = vectors.filter((one) => !one.expected.verified);

test("every good vector is what it says", async () => {
  assert.equal(good.length, 17);
  for (const { name, file, answer, keys, expected } of good) {
    const found = await verifyEvent(file ?? answer, keys);
    assert.equal(found.origin, expected.origin, name);
    assert.equal(found.treeSize, expected.tree_size, name);
    assert.equal(found.withheld, expected.withheld, name);
    assert.equal(found.event.log_index, String(expected.log_index), name);
    assert.equal(found.event.id, expected.facts.id, name);
    assert.equal(found.event.outcome, `OUTCOME_${expected.facts.outcome.toUpperCase()}`, name);
    for (const [path, value] of Object.entries(expected.disclosed)) {
      // Minus zero is zero in JSON.
      assert.deepEqual(at(found.event, path), JSON.parse(JSON.stringify(value)), `${name}: ${path}`);
    }
  }
});

test("every bad vector is refused", async () => {
  assert.ok(bad.length > 80);
  for (const { name, file, answer, keys } of bad) {
    await assert.rejects(verifyEvent(file ?? answer, keys), VerificationError, name);
  }
});

test("nothing that was changed in a proof is believed", async () => {
  const { file, keys, expected } = vectors.find((one) => one.name === "02-all-fields.json");
  let believed = 0;
  for (let place = 0; place < file.length; place += 23) {
    const other = file[place] === "A" ? "B" : "A";
    const changed = file.slice(0, place) + other + file.slice(place + 1);
    const found = await verifyEvent(changed, keys).catch((error) => {
      assert.ok(error instanceof VerificationError);
    });
    if (found) {
      // Only in signatures of keys that nobody asked about.
      assert.equal(found.event.id, expected.facts.id);
      believed += 1;
    }
  }
  assert.equal(believed, 0);
});

test("a log that has grown is told from one that was changed", async () => {
  const hashes = (tree.consistency_of_3_and_7 as string[]).map(base64);
  const proof: GetConsistencyProofResponse = {
    first_size: "3",
    second_size: "7",
    first_root_hash: "",
    second_root_hash: "",
    hashes,
  };
  const user = await newUser();
  await user.recordEvents({ events: Array.from({ length: 5 }, () => event()) });
  const first = await user.getCheckpoint();
  await user.recordEvents({ events: Array.from({ length: 6 }, () => event()) });
  const second = await user.getCheckpoint();
  const sizes = { first_size: first.tree_size, second_size: second.tree_size };
  const own = await user.getConsistencyProof(sizes);
  const found = await verifyConsistency(first.note, second.note, own, [first.verifier_key]);
  assert.equal(found.origin, first.origin);
  assert.deepEqual([found.firstSize, found.secondSize].map(String), Object.values(sizes));
  for (const [older, newer, wrong] of [
    [second.note, first.note, own],
    [first.note, second.note, proof],
    [first.note, second.note, { ...own, hashes: own.hashes.slice(1) }],
    [first.note.replace("\n", "x\n"), second.note, own],
  ] as const) {
    const call = verifyConsistency(older, newer, wrong, [first.verifier_key]);
    await assert.rejects(call, VerificationError);
  }
});

test("what the gateway gives out verifies by the log's key, and no other's", async () => {
  const user = await newUser();
  const metadata = { why: "€ 5", size: 1e21, ratio: 0.1 };
  const { receipt } = await user.recordEvent({ event: event({ metadata }) });
  const event_id = receipt?.event_id ?? "";
  const organisation_id = receipt?.organisation_id ?? "";
  const keys = [(await (await user.getLogKey({ organisation_id })).text()).trim()];
  const answer = await user.getEvent({ event_id, proof: true });
  const shown = await verifyEvent(answer, keys);
  assert.deepEqual(shown.event.metadata, metadata);
  const disclosed = await user.discloseEvent({ event_id, fields: ["actor.name"] });
  const partly = await verifyEvent(disclosed, keys);
  assert.equal(partly.event.actor.name, "Ada Lovelace");
  assert.equal(partly.event.metadata, undefined);
  assert.equal(partly.withheld, 1);
  const file = await (await user.getEventProof({ event_id })).text();
  assert.deepEqual((await verifyEvent(file, keys)).event, shown.event);
  answer.event = { ...shown.event, action: "document.create" };
  await assert.rejects(verifyEvent(answer, keys), /the event is not what its leaf says/);
  const other = (await newUser()).getCheckpoint();
  await assert.rejects(verifyEvent(file, [(await other).verifier_key]), /not signed by/);
  await assert.rejects(verifyEvent(file, []), VerificationError);
});

function at(value: unknown, path: string): unknown {
  return path.split(".").reduce((found, part) => (found as Record<string, unknown>)[part], value);
}

function base64(hex: string): string {
  return Buffer.from(hex, "hex").toString("base64");
}
