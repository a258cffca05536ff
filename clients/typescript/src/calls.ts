// What a call is: the method, how it may be changed by the caller, and answers that come in pages.

/** Where a method is on the wire, and what may be done with it. */
export interface Rpc {
  http: string;
  /** A template: `{id}` is one segment, `{rest=**}` the rest of the path. */
  path: string;
  /** The field of the request that the body is; "*" is all that the path does not hold. */
  body?: string;
  token: "none" | "optional" | "required";
  /** Whether sending it twice does what sending it once does. */
  repeatable: boolean;
}

/** How one call is made. */
export interface CallOptions {
  /** Ends the call, or what it streams, at once; the call fails with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Milliseconds for all of the call, repetitions included; of a stream, until it begins. */
  timeoutMs?: number | undefined;
  /** Sent as `x-request-id`, by which the call is found in the service's logs. */
  requestId?: string | undefined;
}

interface Page {
  next_page_token?: string;
}

/**
 * Things in pages. Awaited, it is the first page as the service answers it; iterated, it is all
 * things of all pages, each page fetched once its first thing is asked for.
 */
export class Listing<Answer, Item> implements Promise<Answer>, AsyncIterable<Item> {
  readonly [Symbol.toStringTag] = "Listing";
  readonly #fetch: (pageToken: string | undefined) => Promise<Answer>;
  readonly #items: keyof Answer;

  constructor(
    fetch: (pageToken: string | undefined) => Promise<Answer>,
    items: keyof Answer & string,
  ) {
    this.#fetch = fetch;
    this.#items = items;
  }

  then<Done = Answer, Failed = never>(
    onDone?: ((page: Answer) => Done | PromiseLike<Done>) | null,
    onFailed?: ((error: unknown) => Failed | PromiseLike<Failed>) | null,
  ): Promise<Done | Failed> {
    return this.#fetch(undefined).then(onDone, onFailed);
  }

  catch<Failed = never>(
    onFailed?: ((error: unknown) => Failed | PromiseLike<Failed>) | null,
  ): Promise<Answer | Failed> {
    return this.then(undefined, onFailed);
  }

  finally(onEnd?: (() => void) | null): Promise<Answer> {
    return this.then().finally(onEnd);
  }

  /** Every page, from the first on. */
  async *pages(): AsyncGenerator<Answer, void, undefined> {
    let token: string | undefined;
    do {
      const page: Answer = await this.#fetch(token);
      yield page;
      token = (page as Page).next_page_token;
    } while (token);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for await (const page of this.pages()) {
      yield* page[this.#items] as Item[];
    }
  }
}
