// Following a log and exporting it, also when streams break.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, StreamEnded, type TailLine } from "@smart-audit/client";
import { event, newUser, url } from "./support.ts";

/** A `fetch` that cuts the bodies of a path off after some bytes; null lets one pass. */
function cutting(path: string, after: (number | null)[]): typeof globalThis.fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    const limit = new URL(String(input)).pathname === path ? after.shift() : null;
    if (limit === null || limit === undefined || response.body === null) {
      return response;
    }
    let left = limit;
    const cut = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        controller.enqueue(chunk.subarray(0, left));
        left -= chunk.length;
        if (left <= 0) {
          controller.terminate();
        }
      },
    });
    return new Response(response.body.pipeThrough(cut), response);
  };
}

/** Follows until `count` events that are documents' have come. */
async function follow(records: AsyncIterable<TailLine>, count: number): Promise<TailLine[]> {
  const found: TailLine[] = [];
  for await (const record of records) {
    if (record.event?.action.startsWith("document.")) {
      found.push(record);
    }
    if (found.length === count) {
      break;
    }
  }
  return found;
}

test("a tail brings events as they come, and resumes by its cursor", async () => {
  const user = await newUser();
  const filter = "action=document.*";
  const records = user.tail({ filter });
  const first = await records.next();
  assert.ok(first.value.heartbeat);
  const sent = ["document.create", "document.share", "document.delete"];
  await user.recordEvents({ events: sent.map((action) => event({ action })) });
  const found = await follow(records, 3);
  assert.deepEqual(found.map((one) => one.event?.action), sent);
  const again = await follow(user.tail({ filter, cursor: found[0]?.cursor ?? "" }), 2);
  assert.deepEqual(again.map((one) => one.event?.action), sent.slice(1));
});

test("a tail that is cut off goes on, and every event comes once", async () => {
  const user = await newUser();
  const sent = Array.from({ length: 20 }, (_, at) => `document.n${at}`);
  await user.recordEvents({ events: sent.map((action) => event({ action })) });
  const fetch = cutting("/v1/events:tail", [2_500, 0, 3_000, null]);
  const client = new Client({ url, tokens: user.tokens, fetch });
  const breaks: Error[] = [];
  const records = client.tail({ from_start: true }, { onBreak: (one) => breaks.push(one) });
  const found = await follow(records, sent.length);
  assert.deepEqual(found.map((one) => one.event?.action), sent);
  assert.equal(breaks.length, 3);
});

test("a tail ends by its signal, and with its session", async () => {
  const user = await newUser();
  const controller = new AbortController();
  const mine = new Error("enough");
  const records = user.tail({}, { signal: controller.signal });
  await records.next();
  const waiting = assert.rejects(records.next(), mine);
  controller.abort(mine);
  await waiting;
  const others = user.tail();
  await others.next();
  const tokens = user.tokens;
  await user.logout();
  await assert.rejects(
    async () => {
      for await (const record of others) {
        assert.ok(record.cursor);
      }
    },
    (error) => error instanceof StreamEnded && error.reason === "SESSION_ENDED",
  );
  assert.ok(tokens);
});

test("an export brings every event once, past the breaks", async () => {
  const user = await newUser();
  const sent = Array.from({ length: 20 }, (_, at) => `document.n${at}`);
  await user.recordEvents({ events: sent.map((action) => event({ action })) });
  const fetch = cutting("/v1/events:export", [3_000, 1, null]);
  const client = new Client({ url, tokens: user.tokens, fetch });
  const records = client.exportAll({ filter: "action=document.*", proofs: true });
  const found: string[] = [];
  let next = await records.next();
  for (; !next.done; next = await records.next()) {
    found.push(next.value.action);
    assert.equal(next.value.proof?.inclusion_proof?.log_index, next.value.log_index);
  }
  assert.deepEqual(found.sort(), sent.sort());
  assert.equal(next.value.events, 20);
  assert.match(next.value.checkpoint ?? "", /\n\n— /);
});

test("an export in another format is a stream of bytes", async () => {
  const user = await newUser();
  await user.recordEvent({ event: event() });
  const response = await user.exportEvents({ format: "EXPORT_FORMAT_CSV" });
  assert.match(response.headers.get("content-type") ?? "", /^text\/csv/);
  const text = await response.text();
  assert.match(text, /document\.delete/);
  assert.match(text, /#end complete=true/);
});
