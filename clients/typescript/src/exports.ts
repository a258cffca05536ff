// All events as they come, past every break on the way (docs/exports.md).

import { ConnectionError, StreamEnded } from "./errors.ts";
import type { Event, EventProof, ExportEventsRequest } from "./generated/types.ts";
import { linesOf } from "./lines.ts";
import { mayPass, pauseAfter, sleep } from "./transport.ts";

const SILENCE_MS = 90_000;
const ATTEMPTS = 10;

/** What to export; the format is ours to choose. */
export type ExportedRequest = Omit<ExportEventsRequest, "format" | "cursor" | "after">;

/** An event, and what proves it when proofs were asked for. */
export type ExportedEvent = Event & { proof?: EventProof };

/** What the last record tells. */
export interface ExportEnd {
  /** How many events there were. */
  events: number;
  /** With it, an export brings what has been recorded since. */
  cursor: string;
  /** The signed note that all proofs lead to; only with proofs. */
  checkpoint: string | undefined;
}

interface EndRecord {
  complete: boolean;
  events: string;
  cursor?: string;
  checkpoint?: string;
  reason?: string;
}

/** Yields every event exactly once, and returns what the last record tells. */
export async function* exported(
  open: (request: ExportEventsRequest) => Promise<Response>,
  request: ExportedRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<ExportedEvent, ExportEnd, undefined> {
  let resumed: ExportEventsRequest = { ...request, format: "EXPORT_FORMAT_JSONL" };
  let total = 0;
  let failures = 0;
  for (;;) {
    try {
      const response = await open(resumed);
      const cursor = response.headers.get("export-cursor") ?? "";
      let part = 0;
      for await (const line of linesOf(response.body, SILENCE_MS)) {
        const record = JSON.parse(line) as ExportedEvent & { end?: EndRecord };
        if (record.end === undefined) {
          yield record;
          part += 1;
          total += 1;
          failures = 0;
          resumed = { ...resumed, cursor: resumed.cursor ?? cursor, after: record.id };
        } else {
          return theEnd(record.end, part, total);
        }
      }
      throw new ConnectionError("the export broke off");
    } catch (error) {
      signal?.throwIfAborted();
      failures += 1;
      const isPassing = error instanceof StreamEnded
        ? error.reason === "TOKEN_EXPIRED" || error.reason === "UNAVAILABLE"
        : mayPass(error);
      if (!isPassing || failures > ATTEMPTS) {
        throw error;
      }
      await sleep(pauseAfter(failures, error), signal);
    }
  }
}

function theEnd(end: EndRecord, part: number, total: number): ExportEnd {
  if (!end.complete) {
    const reason = end.reason ?? "INTERNAL";
    throw new StreamEnded(reason, `the export ended early: ${reason}`, end.cursor ?? "");
  }
  if (Number(end.events) !== part) {
    throw new ConnectionError(`${end.events} events were sent, and ${part} have come`);
  }
  return { events: total, cursor: end.cursor ?? "", checkpoint: end.checkpoint };
}
