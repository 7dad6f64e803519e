/** What the HTTP API is told, with its limits. */

/** How the API is set. */
export interface ApiOptions {
  /** True when every request is local: rate limits don't hold, and tokens may be minted. */
  readonly development: boolean;
  /** Bytes of a request body; over it `too_large`. */
  readonly bodySizeMax?: number;
  /** The longest wait of one poll. */
  readonly pollWaitMsMax?: number;
  /** Waiting polls of one address; over it `rate_limited`. */
  readonly waitingPollsPerAddressMax?: number;
}

/** What holds where nothing is set. */
export const API_DEFAULTS = {
  bodySizeMax: 1024 * 1024,
  pollWaitMsMax: 60_000,
  waitingPollsPerAddressMax: 1_000,
} as const;

/** Channels that one poll reads: as many as one connection may subscribe to. */
export const CHANNELS_PER_READ_MAX = 128;

/** Messages that one poll or page of history answers, unless it asks for fewer. */
export const READ_LIMIT = { default: 100, max: 1_000 } as const;

/** Channels that one listing answers, unless it asks for fewer. */
export const LISTING_LIMIT = { default: 1_000, max: 10_000 } as const;

/** Characters of a query string; node:http bounds the whole head as well. */
export const SEARCH_LENGTH_MAX = 64 * 1024;

/** The life of a token minted in development mode, and the longest that may be asked for. */
export const MINTED_TOKEN_MS = { default: 60 * 60 * 1000, max: 30 * 24 * 60 * 60 * 1000 } as const;
