// The client: every method of the API, and what takes more than one call.

import { type CallOptions, Listing, type Rpc } from "./calls.ts";
import { type ExportedEvent, type ExportedRequest, type ExportEnd, exported } from "./exports.ts";
import { Api } from "./generated/api.ts";
import type {
  EventInput,
  LogoutRequest,
  LogoutResponse,
  RecordEventRequest,
  RecordEventResponse,
  RecordEventsRequest,
  RecordEventsResponse,
  TailEventsRequest,
  TailLine,
} from "./generated/types.ts";
import { uuidv7 } from "./ids.ts";
import type { Tokens } from "./session.ts";
import { tail, type TailOptions } from "./tail.ts";
import { Transport, type TransportOptions } from "./transport.ts";

/** How to reach the gateway, and as whom. */
export type ClientOptions = TransportOptions;

/**
 * A client of one installation, in one session. Log in by its methods, or give it tokens or an API
 * key; tokens renew themselves.
 *
 * A call that fails throws an ApiError, or a ConnectionError when there was no answer. Reads and
 * events are sent again when the service does not answer; nothing else is.
 */
export class Client extends Api {
  readonly #transport: Transport;

  constructor(options: ClientOptions) {
    super();
    this.#transport = new Transport(options);
  }

  /** The tokens of the session; null before it and behind it. */
  get tokens(): Tokens | null {
    return this.#transport.session.tokens;
  }

  set tokens(tokens: Tokens | null) {
    this.#transport.session.tokens = tokens;
  }

  protected override async call<Answer>(
    rpc: Rpc,
    request: object,
    options: CallOptions | undefined,
  ): Promise<Answer> {
    const answer = await this.#transport.call(rpc, request, options, (got) => got.json());
    if (!rpc.path.endsWith(":impersonate")) {
      this.#adopt(answer);
    }
    return answer as Answer;
  }

  protected override open(
    rpc: Rpc,
    request: object,
    options: CallOptions | undefined,
  ): Promise<Response> {
    return this.#transport.call(rpc, request, options, (got) => Promise.resolve(got));
  }

  protected override list<Answer, Item>(
    rpc: Rpc,
    items: keyof Answer & string,
    request: object,
    options: CallOptions | undefined,
  ): Listing<Answer, Item> {
    const page = (token: string | undefined) =>
      this.call<Answer>(rpc, token ? { ...request, page_token: token } : request, options);
    return new Listing(page, items);
  }

  /** As the API's own, with an id of the client's (UUIDv7) where none is given. */
  override recordEvent(
    request: RecordEventRequest,
    options?: CallOptions,
  ): Promise<RecordEventResponse> {
    return super.recordEvent({ event: withId(request.event) }, options);
  }

  /** As the API's own, with ids of the client's (UUIDv7) where none are given. */
  override recordEvents(
    request: RecordEventsRequest,
    options?: CallOptions,
  ): Promise<RecordEventsResponse> {
    return super.recordEvents({ events: request.events.map(withId) }, options);
  }

  /** Ends the session, and forgets its tokens. */
  override async logout(
    request: LogoutRequest = {},
    options?: CallOptions,
  ): Promise<LogoutResponse> {
    const answer = await super.logout(request, options);
    this.tokens = null;
    return answer;
  }

  /**
   * Follows the log live: events and heartbeats, for as long as the session lives. Each record has
   * a cursor; keep that of the last one that you have handled, and give it to resume.
   * Throws StreamEnded, e.g. with SESSION_ENDED, when it cannot go on.
   */
  tail(
    request: TailEventsRequest = {},
    options: TailOptions = {},
  ): AsyncGenerator<TailLine, never, undefined> {
    const { session } = this.#transport;
    const source = {
      open: (wanted: TailEventsRequest, signal: AbortSignal | undefined) =>
        this.tailEventsAsLines(wanted, { signal }),
      isRenewable: () => session.isRenewable,
    };
    return tail(source, request, options);
  }

  /**
   * Every event that the log has now, one after the other: of a filter in the order of
   * `occurred_at`, else in that of the log. A break on the way is mended.
   * For other formats, or the bytes themselves, use `exportEvents` and read the Response's body.
   */
  exportAll(
    request: ExportedRequest = {},
    options: CallOptions = {},
  ): AsyncGenerator<ExportedEvent, ExportEnd, undefined> {
    return exported((wanted) => this.exportEvents(wanted, options), request, options.signal);
  }

  /**
   * Whoever logs in or changes organisation by this client is the one it calls for. Who impersonates
   * stays who he is: the tokens in the answer are for another client.
   */
  #adopt(answer: unknown): void {
    const { access_token, refresh_token } = (answer ?? {}) as Partial<Tokens>;
    if (access_token) {
      this.tokens = { access_token, refresh_token };
    }
  }
}

function withId(event: EventInput): EventInput {
  return event.id ? event : { ...event, id: uuidv7() };
}
