// Following a log live, past every break on the way (docs/tail.md).

import { ApiError, ConnectionError, StreamEnded } from "./errors.ts";
import type { TailEventsRequest, TailLine } from "./generated/types.ts";
import { linesOf } from "./lines.ts";
import { mayPass, pauseAfter, sleep } from "./transport.ts";

// The service gives a sign of life each minute at the latest; without any the stream is dead.
const SILENCE_MS = 90_000;
const RESUMED = ["SERVICE_STOPPING", "UNAVAILABLE", "READER_TOO_SLOW"];
const RENEWED = ["TOKEN_EXPIRED", "TOKEN_INVALID"];

/** How to follow a log. */
export interface TailOptions {
  /** Ends the stream; the iteration throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Told of each break that the stream is resumed after. */
  onBreak?: ((error: Error) => void) | undefined;
}

/** What a tail needs of its client. */
export interface TailSource {
  open(request: TailEventsRequest, signal: AbortSignal | undefined): Promise<Response>;
  isRenewable(): boolean;
}

/**
 * Yields events in the order of the log, each at least once, and heartbeats, without end. Keep the
 * `cursor` of the last record that you have handled: a request with it goes on behind it.
 */
export async function* tail(
  source: TailSource,
  request: TailEventsRequest,
  options: TailOptions,
): AsyncGenerator<TailLine, never, undefined> {
  const { signal } = options;
  let resumed = request;
  let failures = 0;
  for (;;) {
    try {
      const response = await source.open(resumed, signal);
      for await (const line of linesOf(response.body, SILENCE_MS)) {
        const record = JSON.parse(line) as TailLine;
        if (record.end) {
          throw new StreamEnded(record.end.reason, record.end.message, record.cursor);
        }
        yield record;
        resumed = goingOn(request, record.cursor);
        failures = 0;
      }
      // However clean an end looks: one that the service wants is told in a last record.
      throw new ConnectionError("the stream broke off");
    } catch (error) {
      signal?.throwIfAborted();
      if (!goesOn(error, source.isRenewable())) {
        throw error;
      }
      options.onBreak?.(error as Error);
      failures += 1;
      await sleep(pauseAfter(failures, error), signal);
      signal?.throwIfAborted();
    }
  }
}

function goesOn(error: unknown, isRenewable: boolean): boolean {
  if (error instanceof StreamEnded) {
    // The next call is refused with the old token, and gets a new one by that.
    return RESUMED.includes(error.reason) || (isRenewable && RENEWED.includes(error.reason));
  }
  const isFull = error instanceof ApiError && error.reason === "TAIL_LIMIT_REACHED";
  return isFull || mayPass(error);
}

/** The request from behind the record that carried the cursor. */
function goingOn(request: TailEventsRequest, cursor: string): TailEventsRequest {
  const { filter, heartbeat_seconds } = request;
  return { filter, heartbeat_seconds, cursor };
}
