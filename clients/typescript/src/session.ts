// Who the client is: tokens that renew themselves, by a refresh token or by an API key.

import { ApiError, ConnectionError, SmartAuditError } from "./errors.ts";

/** The tokens of a session, e.g. an answer of `login`. Whoever has them is that person. */
export interface Tokens {
  access_token: string;
  refresh_token?: string | undefined;
}

type Post = (path: string, body: string | URLSearchParams) => Promise<Response>;

export class Session {
  readonly #apiKey: string | undefined;
  readonly #post: Post;
  readonly #onTokens: (tokens: Tokens | null) => void;
  #tokens: Tokens | null;
  #renewal: Promise<void> | null = null;

  constructor(
    tokens: Tokens | null,
    apiKey: string | undefined,
    post: Post,
    onTokens: (tokens: Tokens | null) => void,
  ) {
    this.#tokens = tokens;
    this.#apiKey = apiKey;
    this.#post = post;
    this.#onTokens = onTokens;
  }

  get tokens(): Tokens | null {
    return this.#tokens;
  }

  set tokens(tokens: Tokens | null) {
    this.#tokens = tokens;
    // A renewal that is under way is one of other tokens.
    this.#renewal = null;
    this.#onTokens(tokens);
  }

  /** The access token to send; an API key is exchanged for the first one. */
  async token(): Promise<string> {
    if (this.#tokens === null && this.#apiKey !== undefined) {
      await this.renew("");
    }
    return this.#tokens?.access_token ?? "";
  }

  get isRenewable(): boolean {
    return this.#apiKey !== undefined || Boolean(this.#tokens?.refresh_token);
  }

  /**
   * Gets a fresh access token, unless another call has done so since `used` was sent. Calls that
   * want one at the same time share it: a refresh token that is used twice ends its session.
   */
  renew(used: string): Promise<void> {
    if ((this.#tokens?.access_token ?? "") !== used) {
      return Promise.resolve();
    }
    if (this.#renewal === null) {
      const renewal = this.#renewOnce().finally(() => {
        if (this.#renewal === renewal) {
          this.#renewal = null;
        }
      });
      this.#renewal = renewal;
    }
    return this.#renewal;
  }

  async #renewOnce(): Promise<void> {
    const begunWith = this.#tokens;
    const answer = await (this.#apiKey === undefined ? this.#refresh() : this.#exchange());
    if (!answer.ok) {
      throw await refusal(answer);
    }
    const fresh = await answer.json().catch((cause) => {
      throw new ConnectionError("the answer broke off", { cause });
    }) as Tokens;
    // A logout or another login meanwhile stays what it is.
    if (this.#tokens !== begunWith) {
      return;
    }
    this.tokens = { access_token: fresh.access_token, refresh_token: fresh.refresh_token };
  }

  #refresh(): Promise<Response> {
    const refresh_token = this.#tokens?.refresh_token;
    if (!refresh_token) {
      throw new SmartAuditError("there is no refresh token: log in, or give an API key");
    }
    return this.#post("/v1/auth/refresh", JSON.stringify({ refresh_token }));
  }

  /** RFC 6749, section 4.4. The client's id is the key's own beginning. */
  #exchange(): Promise<Response> {
    const key = this.#apiKey ?? "";
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: key.slice(0, Math.max(0, key.lastIndexOf("_"))),
      client_secret: key,
    });
    return this.#post("/oauth/token", form);
  }
}

/** An OAuth answer has a shape of its own (RFC 6749, section 5.2). */
async function refusal(answer: Response): Promise<ApiError> {
  const content = await answer.clone().json().catch(() => null) as Record<string, unknown> | null;
  if (typeof content?.["error"] !== "string") {
    return ApiError.of(answer);
  }
  const said = content["error_description"];
  return new ApiError(answer.status, typeof said === "string" ? said : content["error"], {
    reason: content["error"].toUpperCase(),
    requestId: answer.headers.get("x-request-id") ?? "",
  });
}
