// A request as HTTP: what of it is in the path, in the query and in the body (google.api.http).

import type { Rpc } from "./calls.ts";
import { SmartAuditError } from "./errors.ts";

/** A request on the wire; `target` is path and query. */
export interface Encoded {
  target: string;
  body: string | undefined;
}

export function encode(rpc: Rpc, request: object): Encoded {
  const left: Record<string, unknown> = { ...request };
  const path = rpc.path.replace(/\{(\w+)(=\*\*)?\}/g, (_, name: string, rest?: string) => {
    const value = left[name];
    delete left[name];
    return segments(name, value, rest !== undefined);
  });
  let body: string | undefined;
  if (rpc.body === "*") {
    return { target: path, body: JSON.stringify(left) };
  }
  if (rpc.body !== undefined) {
    body = JSON.stringify(left[rpc.body] ?? {});
    delete left[rpc.body];
  }
  const query = new URLSearchParams();
  add(query, "", left);
  return { target: query.size > 0 ? `${path}?${query}` : path, body };
}

function segments(name: string, value: unknown, isRest: boolean): string {
  const parts = typeof value !== "string" ? [] : isRest ? value.split("/") : [value];
  // A segment of dots would be taken for a step in the path, and lead to another method.
  if (parts.length === 0 || parts.some((part) => /^\.{0,2}$/.test(part))) {
    throw new SmartAuditError(`${name} is needed, and "${String(value)}" cannot be in a path`);
  }
  return parts.map(encodeURIComponent).join("/");
}

function add(query: URLSearchParams, prefix: string, fields: object): void {
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && typeof one === "object") {
        add(query, `${prefix}${name}.`, one);
      } else if (one !== undefined && one !== null) {
        query.append(prefix + name, String(one));
      }
    }
  }
}
