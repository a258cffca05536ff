// What the tests share: the gateway that runs, people who use it, and a network that fails.

import { Client, type ClientOptions, type EventInput, uuidv7 } from "@smart-audit/client";

/** Where the gateway is that the tests call. */
export const url = process.env["SMART_AUDIT_URL"] ?? "http://localhost:8000";
export const password = "correct horse battery staple";

/** A client that has signed up and logged in: with an organisation of its own, and so a log. */
export async function newUser(options: Partial<ClientOptions> = {}): Promise<Client> {
  const client = new Client({ url, ...options });
  const email = `${uuidv7()}@example.com`;
  await client.signup({ email, password, first_name: "Ada", last_name: "Lovelace" });
  await client.login({ email, password });
  return client;
}

/** An API key of a service account in the user's organisation. */
export async function newApiKey(user: Client, scopes: string[]): Promise<string> {
  const { service_account } = await user.createServiceAccount({ name: "billing", scopes });
  const made = await user.createApiKey({ service_account_id: service_account?.id ?? "" });
  return made.key;
}

export function event(changes: Partial<EventInput> = {}): EventInput {
  return {
    action: "document.delete",
    actor: { id: "u_1", name: "Ada Lovelace" },
    targets: [{ id: "d_1", type: "document" }],
    outcome: "OUTCOME_SUCCESS",
    ...changes,
  };
}

/** A `fetch` that notes what is sent. */
export function noting(fetch: typeof globalThis.fetch = globalThis.fetch) {
  const sent: { path: string; body: unknown; headers: Headers }[] = [];
  const noted: typeof globalThis.fetch = (input, init) => {
    const path = new URL(String(input)).pathname;
    sent.push({ path, body: init?.body, headers: new Headers(init?.headers) });
    return fetch(input, init);
  };
  return { sent, fetch: noted };
}

/** A `fetch` whose answers get lost on the way back, the first `count` times on a path. */
export function losing(path: string, count: number): typeof globalThis.fetch {
  let left = count;
  return async (input, init) => {
    const response = await fetch(input, init);
    if (new URL(String(input)).pathname === path && left > 0) {
      left -= 1;
      await response.body?.cancel();
      throw new TypeError("the connection was reset");
    }
    return response;
  };
}
