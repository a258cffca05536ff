// gRPC-Web by a client of others, Connect's, through the gateway: what this package does not speak.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";

import { createFileRegistry, type DescService, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { event, newUser, url } from "./support.ts";

// Services that are known at run time alone have no types of their own.
type Untyped = Record<string, (request: object, options?: object) => any>;

const file = process.env["SMART_AUDIT_DESCRIPTORS"] ?? ".smart-audit/run/descriptors.pb";
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)));
const AUTH = "smart_audit.api.auth.v1.AuthService";
const EVENTS = "smart_audit.api.audit.v1.EventService";
const TAILS = "smart_audit.api.audit.v1.TailService";

let token = "";

before(async () => {
  token = (await newUser()).tokens?.access_token ?? "";
});

function service(name: string, token?: string): Untyped {
  const withToken: Interceptor = (next) => (request) => {
    if (token !== undefined) {
      request.header.set("authorization", `Bearer ${token}`);
    }
    return next(request);
  };
  const transport = createGrpcWebTransport({ baseUrl: url, interceptors: [withToken] });
  const known = registry.getService(name);
  assert.ok(known, `${name} is not in ${file}`);
  return createClient(known, transport) as Client<DescService> as Untyped;
}

function called(name: string, token: string | undefined, method: string, request: object) {
  return service(name, token)[method]?.(request);
}

test("a unary call answers, with 64-bit integers and bytes as they are", async () => {
  const wanted = { ...event(), outcome: 1 };
  const { receipt } = await called(EVENTS, token, "recordEvent", { event: wanted });
  assert.equal(typeof receipt.proof.logIndex, "bigint");
  assert.equal(receipt.proof.rootHash.length, 32);
  const page = await called(EVENTS, token, "listEvents", { pageSize: 1, filter: "action=document.*" });
  assert.equal(page.events[0].id, receipt.eventId);
  assert.equal(page.events[0].actor.name, "Ada Lovelace");
});

test("a stream brings each message as it comes, and ends when its reader has enough", async () => {
  const enough = new AbortController();
  const request = { filter: "action=document.*" };
  const records = service(TAILS, token)["tailEvents"]?.(request, { signal: enough.signal });
  const iterator = records[Symbol.asyncIterator]();
  try {
    assert.equal((await iterator.next()).value.record.case, "heartbeat");
    const wanted = { ...event(), outcome: 2 };
    const { receipt } = await called(EVENTS, token, "recordEvent", { event: wanted });
    const { record } = (await iterator.next()).value;
    assert.deepEqual(
      record.value.events.map((one: { id: string }) => one.id),
      [receipt.eventId],
    );
  } finally {
    enough.abort();
  }
  await assert.rejects(iterator.next(), (error) => ConnectError.from(error).code === Code.Canceled);
});

test("a refusal keeps its code, its reason and the fields", async () => {
  const error = await refusal(called(AUTH, undefined, "signup", { email: "x" }));
  assert.equal(error.code, Code.InvalidArgument);
  assert.equal(detail(error, "google.rpc.ErrorInfo")["reason"], "INVALID_ARGUMENT");
  const fields = detail(error, "google.rpc.BadRequest")["fieldViolations"] as { field: string }[];
  assert.deepEqual(
    fields.map((one) => one.field).sort(),
    ["email", "first_name", "last_name", "password"],
  );
});

test("the gateway's own refusal is one of gRPC, too", async () => {
  const missing = await refusal(called(EVENTS, undefined, "listEvents", {}));
  assert.equal(missing.code, Code.Unauthenticated);
  const forged = await refusal(called(EVENTS, `${token}x`, "listEvents", {}));
  assert.equal(forged.code, Code.Unauthenticated);
});

async function refusal(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  return assert.fail("it was not refused");
}

function detail(error: ConnectError, name: string): Record<string, unknown> {
  const known = registry.getMessage(name);
  assert.ok(known);
  const [found] = error.findDetails(known);
  assert.ok(found, `there is no ${name}`);
  return found as unknown as Record<string, unknown>;
}
