// Calling: in a session, within a time, and again when that may help and cannot harm.

import type { CallOptions, Rpc } from "./calls.ts";
import { ApiError, ConnectionError } from "./errors.ts";
import { encode } from "./requests.ts";
import { Session, type Tokens } from "./session.ts";

const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 5_000;
const REFUSED_TOKENS: readonly string[] = ["TOKEN_EXPIRED", "TOKEN_INVALID", "TOKEN_MISSING"];

export interface TransportOptions {
  /** Where the gateway is, e.g. "https://audit.example.com". */
  url: string;
  /** The tokens of a session that began elsewhere. */
  tokens?: Tokens | null | undefined;
  /** A service account's key, exchanged for tokens. It belongs on servers, not in browsers. */
  apiKey?: string | undefined;
  /** Told when the tokens change, so that they can be kept; null once they are of no use. */
  onTokens?: ((tokens: Tokens | null) => void) | undefined;
  /** Milliseconds for one call, repetitions included; 30,000 unless given. */
  timeoutMs?: number | undefined;
  /** How often a call that may be repeated is sent at most; 4 unless given. */
  attempts?: number | undefined;
  /** What to call instead of the platform's `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
}

export class Transport {
  readonly session: Session;
  readonly #url: string;
  readonly #fetch: typeof globalThis.fetch;
  readonly #timeoutMs: number;
  readonly #attempts: number;

  constructor(options: TransportOptions) {
    this.#url = options.url.replace(/\/+$/, "");
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#attempts = options.attempts ?? 4;
    this.session = new Session(
      options.tokens ?? null,
      options.apiKey,
      (path, body) => this.#post(path, body),
      options.onTokens ?? (() => {}),
    );
  }

  /** Calls a method, and reads its answer by `read`, which the time is for as well. */
  async call<Answer>(
    rpc: Rpc,
    request: object,
    options: CallOptions = {},
    read: (response: Response) => Promise<Answer>,
  ): Promise<Answer> {
    const limit = new Limit(options.timeoutMs ?? this.#timeoutMs, options.signal);
    try {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await this.#inSession(rpc, request, options, limit, read);
        } catch (error) {
          const pauseMs = pauseAfter(attempt, error);
          const isWorthIt = rpc.repeatable && attempt < this.#attempts && mayPass(error);
          if (!isWorthIt || limit.signal.aborted || pauseMs > limit.leftMs) {
            throw error;
          }
          await sleep(pauseMs, limit.signal);
        }
      }
    } catch (error) {
      throw limit.reason(error);
    } finally {
      limit.end();
    }
  }

  /** Calls once; when the access token is refused, once more with a fresh one. */
  async #inSession<Answer>(
    rpc: Rpc,
    request: object,
    options: CallOptions,
    limit: Limit,
    read: (response: Response) => Promise<Answer>,
  ): Promise<Answer> {
    const used = rpc.token === "none" ? "" : await limit.during(this.session.token());
    try {
      return await this.#once(rpc, request, options, limit, read, used);
    } catch (error) {
      const isRefused = error instanceof ApiError && REFUSED_TOKENS.includes(error.reason);
      if (!isRefused || rpc.token === "none" || !this.session.isRenewable) {
        throw error;
      }
    }
    await limit.during(this.session.renew(used));
    const fresh = await this.session.token();
    return this.#once(rpc, request, options, limit, read, fresh);
  }

  async #once<Answer>(
    rpc: Rpc,
    request: object,
    options: CallOptions,
    limit: Limit,
    read: (response: Response) => Promise<Answer>,
    token: string,
  ): Promise<Answer> {
    const { target, body } = encode(rpc, request);
    const headers: Record<string, string> = {};
    if (token) {
      headers["authorization"] = `Bearer ${token}`;
    }
    if (body !== undefined) {
      headers["content-type"] = "application/json";
    }
    if (options.requestId !== undefined) {
      headers["x-request-id"] = options.requestId;
    }
    const init = { method: rpc.http, headers, signal: limit.signal };
    const response = await this.#send(target, body === undefined ? init : { ...init, body });
    if (!response.ok) {
      throw await ApiError.of(response);
    }
    try {
      return await read(response);
    } catch (cause) {
      throw new ConnectionError("the answer broke off", { cause });
    }
  }

  /** What a session asks for tokens; no call's signal ends it, since several may wait for it. */
  #post(path: string, body: string | URLSearchParams): Promise<Response> {
    const headers = typeof body === "string" ? { "content-type": "application/json" } : {};
    const signal = AbortSignal.timeout(this.#timeoutMs);
    return this.#send(path, { method: "POST", headers, body, signal });
  }

  async #send(target: string, init: RequestInit): Promise<Response> {
    try {
      // No cookies: a token is all that says who calls.
      const fixed = { credentials: "omit", cache: "no-store", redirect: "error" } as const;
      return await this.#fetch(this.#url + target, { ...fixed, ...init });
    } catch (cause) {
      throw new ConnectionError(`no answer from ${this.#url}`, { cause });
    }
  }
}

/** The time of a call, and the caller's own wish to end it. */
class Limit {
  readonly signal: AbortSignal;
  readonly #ms: number;
  readonly #endsAt: number;
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #wish: AbortSignal | undefined;

  constructor(ms: number, wish: AbortSignal | undefined) {
    const controller = new AbortController();
    this.#ms = ms;
    this.#endsAt = performance.now() + ms;
    this.#timer = setTimeout(() => controller.abort(), ms);
    this.#wish = wish;
    this.signal = wish ? AbortSignal.any([wish, controller.signal]) : controller.signal;
  }

  get leftMs(): number {
    return this.#endsAt - performance.now();
  }

  /** The time no longer counts; the wish does, as for a stream that has begun. */
  end(): void {
    clearTimeout(this.#timer);
  }

  /** Waits for something that knows nothing of the limit. */
  during<Value>(wanted: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      const stop = () => reject(new ConnectionError("the call was ended"));
      if (this.signal.aborted) {
        stop();
      }
      this.signal.addEventListener("abort", stop, { once: true });
      wanted.then(resolve, reject).finally(() => this.signal.removeEventListener("abort", stop));
    });
  }

  /** What to throw: whoever ended the call gets his own reason back. */
  reason(error: unknown): unknown {
    if (this.#wish?.aborted) {
      return this.#wish.reason;
    }
    if (this.signal.aborted && !(error instanceof ApiError)) {
      return new ConnectionError(`no answer within ${this.#ms} ms`, { cause: error });
    }
    return error;
  }
}

export function mayPass(error: unknown): boolean {
  return error instanceof ConnectionError || (error instanceof ApiError && error.mayPass);
}

/** Growing pauses; the jitter keeps clients from marching in step. */
export function pauseAfter(attempt: number, error?: unknown): number {
  const longest = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt - 1, 16));
  const jittered = longest * (0.5 + Math.random() / 2);
  const asked = error instanceof ApiError ? (error.retryAfterS ?? 0) * 1000 : 0;
  return Math.max(jittered, asked);
}

/** Waits; the signal ends the pause, and it is for the caller to see that it did. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) {
      end();
    }
  });
}
