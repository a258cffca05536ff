// Why a call failed, as the service says it (AIP-193) or as the network leaves it.

import type { ErrorReason } from "./generated/types.ts";

/** All that this package throws on its own. */
export class SmartAuditError extends Error {
  override name = "SmartAuditError";
}

/** What is wrong with a field of the request, e.g. "event.actor.id". */
export interface Violation {
  field: string;
  description: string;
}

/** The service, or the gateway before it, has refused the call. */
export class ApiError extends SmartAuditError {
  override name = "ApiError";
  /** The HTTP status. */
  readonly status: number;
  /** Why; empty when something on the way answered that is not ours. */
  readonly reason: ErrorReason | (string & {});
  /** Finds the call in the service's logs; may be empty. */
  readonly requestId: string;
  /** The values in the message, by name. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly Violation[];
  /** After how many seconds to try again, where the service says so. */
  readonly retryAfterS: number | undefined;

  constructor(status: number, message: string, details: Partial<Details> = {}) {
    super(message);
    this.status = status;
    this.reason = details.reason ?? "";
    this.requestId = details.requestId ?? "";
    this.metadata = details.metadata ?? {};
    this.violations = details.violations ?? [];
    this.retryAfterS = details.retryAfterS;
  }

  /** Whether the same call may succeed in a moment. */
  get mayPass(): boolean {
    return this.status === 502 || this.status === 503 || this.status === 504 ||
      this.reason === "OVERLOADED" || this.reason === "TOO_MANY_REQUESTS";
  }

  /** Reads an answer that is no success. */
  static async of(response: Response): Promise<ApiError> {
    const status = await response.json().catch(() => null);
    const wait = Number(response.headers.get("retry-after") ?? NaN);
    const found: Partial<Details> = {
      requestId: response.headers.get("x-request-id") ?? "",
      ...(Number.isFinite(wait) ? { retryAfterS: wait } : {}),
    };
    for (const detail of detailsOf(status)) {
      if (typeof detail["reason"] === "string") {
        found.reason = detail["reason"];
        found.metadata = detail["metadata"] as Record<string, string> ?? {};
      } else if (Array.isArray(detail["field_violations"])) {
        found.violations = detail["field_violations"] as Violation[];
      } else if (typeof detail["request_id"] === "string") {
        found.requestId = detail["request_id"];
      }
    }
    return new ApiError(response.status, sentence(status, response, found), found);
  }
}

/** No answer came: the network failed, the answer broke off, or the time was up. */
export class ConnectionError extends SmartAuditError {
  override name = "ConnectionError";
}

/** A stream cannot go on, by a reason that trying again does not mend. */
export class StreamEnded extends SmartAuditError {
  override name = "StreamEnded";
  readonly reason: ErrorReason | (string & {});
  /** Where to resume once the reason is gone. */
  readonly cursor: string;

  constructor(reason: string, message: string, cursor: string) {
    super(message || reason);
    this.reason = reason;
    this.cursor = cursor;
  }
}

/** What was to be proven does not hold; the message says what. */
export class VerificationError extends SmartAuditError {
  override name = "VerificationError";
}

interface Details {
  reason: string;
  requestId: string;
  metadata: Readonly<Record<string, string>>;
  violations: readonly Violation[];
  retryAfterS: number;
}

function detailsOf(status: unknown): Record<string, unknown>[] {
  const details = (status as { details?: unknown } | null)?.details;
  return Array.isArray(details) ? details : [];
}

/** One sentence, then what is wrong with the fields, then reason and request id. */
function sentence(status: unknown, response: Response, found: Partial<Details>): string {
  const said = (status as { message?: unknown } | null)?.message;
  const message = typeof said === "string" && said ? said : `HTTP status ${response.status}`;
  const fields = (found.violations ?? []).map((one) => `${one.field} ${one.description}`);
  const marks = [found.reason ?? String(response.status)];
  if (found.requestId) {
    marks.push(`request ${found.requestId}`);
  }
  return `${[message, ...fields].join("; ")} (${marks.join(", ")})`;
}
