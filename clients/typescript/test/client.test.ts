// Calls, errors, tokens and repetition, against the gateway that runs.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { before, describe, test } from "node:test";

import { ApiError, Client, ConnectionError, SmartAuditError, uuidv7 } from "@smart-audit/client";
import { event, losing, newApiKey, newUser, noting, password, url } from "./support.ts";

/** What the gateway says to a client that asks too often. */
const tooMany = {
  code: 8,
  message: "too many requests; try again later",
  details: [{ reason: "TOO_MANY_REQUESTS", domain: "smart-audit", metadata: {} }],
};
const REFRESH = "/v1/auth/refresh";

describe("a client", () => {
  let user: Client;

  before(async () => {
    user = await newUser();
  });

  test("records an event and reads it back", async () => {
    const metadata = { reason: "retention", size: 1e21, nested: [{ yes: true, no: null }] };
    const { receipt } = await user.recordEvent({ event: event({ metadata }) });
    assert.match(receipt?.event_id ?? "", /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    const read = await user.getEvent({ event_id: receipt?.event_id ?? "", proof: true });
    assert.equal(read.event?.action, "document.delete");
    assert.deepEqual(read.event?.metadata, metadata);
    assert.equal(read.inclusion_proof?.log_index, receipt?.proof?.log_index);
  });

  test("records a batch, of which one event is refused", async () => {
    const known = uuidv7();
    await user.recordEvent({ event: event({ id: known }) });
    const { results } = await user.recordEvents({
      events: [event(), event({ id: known, action: "something.else" }), event()],
    });
    assert.deepEqual(results.map((one) => one.refusal?.reason), [
      undefined,
      "EVENT_ID_CONFLICT",
      undefined,
    ]);
  });

  test("lists page by page, and all", async () => {
    const actor = { id: uuidv7() };
    await user.recordEvents({ events: Array.from({ length: 7 }, () => event({ actor })) });
    const request = { actor_id: actor.id, page_size: 3 };
    const page = await user.listEvents(request);
    assert.equal(page.events.length, 3);
    assert.notEqual(page.next_page_token, "");
    const ids = new Set<string>();
    for await (const one of user.listEvents(request)) {
      ids.add(one.id);
    }
    assert.equal(ids.size, 7);
    const sizes = [];
    for await (const one of user.listEvents(request).pages()) {
      sizes.push(one.events.length);
    }
    assert.deepEqual(sizes, [3, 3, 1]);
  });

  test("sends what is in path, query and body to their places", async () => {
    const actor = { id: `&=? /ä${uuidv7()}` };
    await user.recordEvent({ event: event({ actor, outcome: "OUTCOME_DENIED" }) });
    const filter = `outcome = DENIED AND actor.id = "${actor.id}"`;
    assert.equal((await user.listEvents({ filter })).events.length, 1);
    const counted = await user.aggregateEvents({ filter, group_by: ["action", "outcome"] });
    assert.equal(counted.total, "1");
    await assert.rejects(user.getEvent({ event_id: ".." }), SmartAuditError);
    await assert.rejects(user.getEvent({ event_id: "a/../b" }), refusedFor("INVALID_REQUEST"));
  });

  test("tells why it was refused: reason, fields, request id", async () => {
    const requestId = `web-${uuidv7()}`;
    const wrong = event({ actor: { id: "" }, action: "-" });
    const error = await failure(user.recordEvent({ event: wrong }, { requestId }));
    assert.ok(error instanceof ApiError);
    assert.equal(error.status, 400);
    assert.equal(error.reason, "INVALID_ARGUMENT");
    assert.equal(error.requestId, requestId);
    assert.deepEqual(
      error.violations.map((one) => one.field).sort(),
      ["event.action", "event.actor.id"],
    );
    assert.match(error.message, /event\.action .*\(INVALID_ARGUMENT, request /);
    const missing = await failure(user.getEvent({ event_id: uuidv7() }));
    assert.ok(missing instanceof ApiError);
    assert.deepEqual([missing.status, missing.reason], [404, "EVENT_NOT_FOUND"]);
  });

  test("tells the gateway's own refusals alike", async () => {
    const stranger = new Client({ url });
    await assert.rejects(stranger.listEvents(), refusedFor("TOKEN_MISSING"));
    await assert.rejects(
      stranger.login({ email: "nobody@example.com", password }),
      refusedFor("CREDENTIALS_INVALID"),
    );
  });
});

describe("tokens", () => {
  test("are renewed once for all calls that need it, and told of", async () => {
    const tokens = (await newUser()).tokens;
    const told: (string | undefined)[] = [];
    const { sent, fetch } = noting();
    const client = new Client({
      url,
      tokens: { access_token: "expired", refresh_token: tokens?.refresh_token },
      fetch,
      onTokens: (fresh) => told.push(fresh?.refresh_token),
    });
    await Promise.all(Array.from({ length: 5 }, () => client.getMe()));
    assert.equal(sent.filter((one) => one.path === REFRESH).length, 1);
    assert.equal(told.length, 1);
    assert.notEqual(told[0], tokens?.refresh_token);
    await client.getMe();
    assert.equal(sent.filter((one) => one.path === REFRESH).length, 1);
  });

  test("that cannot be renewed are an error", async () => {
    const client = new Client({ url, tokens: { access_token: "no", refresh_token: "neither" } });
    await assert.rejects(client.getMe(), refusedFor("TOKEN_INVALID"));
  });

  test("come from an API key", async () => {
    const user = await newUser();
    const apiKey = await newApiKey(user, ["events.record"]);
    const { sent, fetch } = noting();
    const machine = new Client({ url, apiKey, fetch });
    await Promise.all([machine.recordEvent({ event: event() }), machine.recordEvent({ event: event() })]);
    assert.equal(sent.filter((one) => one.path === "/oauth/token").length, 1);
    assert.ok(sent.every((one) => !one.headers.get("authorization")?.includes(apiKey)));
    await assert.rejects(machine.listEvents(), refusedFor("SCOPE_MISSING"));
    const wrong = new Client({ url, apiKey: `${apiKey.slice(0, -4)}AAAA` });
    const error = await failure(wrong.recordEvent({ event: event() }));
    assert.ok(error instanceof ApiError);
    assert.equal(error.status, 401);
    assert.ok(!error.message.includes(apiKey.slice(-12, -4)));
  });

  test("that are set while others are being renewed stay", async () => {
    const others = (await newUser()).tokens;
    for (const meanwhile of [null, others]) {
      const refresh_token = (await newUser()).tokens?.refresh_token;
      const client: Client = new Client({
        url,
        tokens: { access_token: "expired", refresh_token },
        fetch: async (input, init) => {
          const answer = await fetch(input, init);
          if (new URL(String(input)).pathname === REFRESH) {
            client.tokens = meanwhile;
          }
          return answer;
        },
      });
      await client.getMe().catch(() => null);
      assert.deepEqual(client.tokens, meanwhile);
    }
  });

  test("are forgotten by a logout", async () => {
    const user = await newUser();
    await user.logout();
    assert.equal(user.tokens, null);
    await assert.rejects(user.getMe(), refusedFor("TOKEN_MISSING"));
  });
});

describe("when the network fails", () => {
  test("an event is sent again, and recorded once", async () => {
    const { sent, fetch } = noting(losing("/v1/events", 2));
    const user = await newUser({ fetch });
    const actor = { id: uuidv7() };
    await user.recordEvent({ event: event({ actor }) });
    const bodies = sent.filter((one) => one.path === "/v1/events").map((one) => one.body);
    assert.equal(bodies.length, 3);
    assert.equal(new Set(bodies).size, 1);
    assert.equal((await user.listEvents({ actor_id: actor.id })).events.length, 1);
  });

  test("what changes something is not sent again", async () => {
    const { sent, fetch } = noting(losing("/v1/holds", 1));
    const user = await newUser({ fetch });
    await assert.rejects(user.placeHold({ target_id: "d_1", reason: "a lawsuit" }), ConnectionError);
    assert.equal(sent.filter((one) => one.path === "/v1/holds").length, 1);
  });

  test("a busy service is asked again, and not sooner than it says", async () => {
    const asked: number[] = [];
    const server = createServer((request, response) => {
      asked.push(performance.now());
      const isBusy = asked.length === 1 || request.method === "POST";
      response.writeHead(isBusy ? 429 : 200, isBusy ? { "retry-after": "1" } : {});
      response.end(JSON.stringify(isBusy ? tooMany : { keys: [] }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const client = new Client({ url: `http://127.0.0.1:${port}` });
      assert.deepEqual(await client.getJwks(), { keys: [] });
      const [first, second] = asked as [number, number];
      assert.ok(second - first >= 1000);
      const login = client.login({ email: "ada@example.com", password });
      const error = await failure(login);
      assert.ok(error instanceof ApiError && error.retryAfterS === 1);
      assert.equal(asked.length, 3);
      asked.length = 0;
      await assert.rejects(client.getJwks({}, { timeoutMs: 500 }), refusedFor("TOO_MANY_REQUESTS"));
      assert.equal(asked.length, 1);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  test("a caller can end a call, and gets the own reason back", async () => {
    const user = await newUser();
    const mine = new Error("the page was left");
    const controller = new AbortController();
    const call = user.listEvents({}, { signal: controller.signal });
    const failed = assert.rejects(call, mine);
    controller.abort(mine);
    await failed;
    const early = user.getMe({}, { signal: AbortSignal.abort(mine) });
    await assert.rejects(early, mine);
  });

  test("a call ends when its time is up", async () => {
    const never: typeof fetch = (_, init) =>
      new Promise((_resolve, reject) => {
        init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      });
    const client = new Client({ url, tokens: { access_token: "t" }, fetch: never });
    const error = await failure(client.getMe({}, { timeoutMs: 20 }));
    assert.ok(error instanceof ConnectionError);
    assert.match(error.message, /within 20 ms/);
  });

  test("nobody there is an error that says where", async () => {
    const client = new Client({ url: "http://127.0.0.1:1", attempts: 2 });
    await assert.rejects(client.getJwks(), /no answer from http:\/\/127\.0\.0\.1:1/);
  });
});

test("ids are UUIDv7: in the order of time, and never the same", () => {
  assert.equal(uuidv7(0).slice(0, 15), "00000000-0000-7");
  assert.ok(uuidv7(Date.UTC(2026, 0)) < uuidv7(Date.UTC(2026, 1)));
  const many = Array.from({ length: 1000 }, () => uuidv7());
  assert.equal(new Set(many).size, 1000);
  assert.ok(many.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)));
});

async function failure(call: PromiseLike<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  return assert.fail("the call did not fail");
}

function refusedFor(reason: string): (error: unknown) => boolean {
  return (error) => error instanceof ApiError && error.reason === reason;
}
