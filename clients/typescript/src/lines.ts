// The lines of a body that is still coming.

import { ConnectionError } from "./errors.ts";

/**
 * Yields each whole line. What stands behind the last newline is no line: it was cut off.
 * Throws ConnectionError when the body breaks off, or nothing comes for `silenceMs`.
 */
export async function* linesOf(
  body: ReadableStream<Uint8Array> | null,
  silenceMs: number,
): AsyncGenerator<string, void, undefined> {
  if (body === null) {
    return;
  }
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await within(silenceMs, reader.read());
      if (done) {
        return;
      }
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      yield* lines.filter((line) => line !== "");
    }
  } finally {
    // Ends the request as well, when the reader of the lines has had enough.
    await reader.cancel().catch(() => undefined);
  }
}

async function within<Value>(ms: number, wanted: Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came for ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([wanted, silence]);
  } catch (cause) {
    throw new ConnectionError("the stream broke off", { cause });
  } finally {
    clearTimeout(timer);
  }
}
