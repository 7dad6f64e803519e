/** What authentication is told, decided by the configuration as a whole. */

/** Who is let in, and what proves it. */
export interface AuthOptions {
  /** True when every request is local by its Host and Origin, and all of them are welcome. */
  readonly development: boolean;
  /** True when clients without a token are let in. Default: only in development mode. */
  readonly anonymous?: boolean;
  /** Bearer keys with which applications call the server. Default: none. */
  readonly apiKeys?: readonly string[];
  /** Shared secret of HS256 tokens. Default: none, so tokens are refused outside development. */
  readonly jwtSecret?: string;
  /** Signs resume tickets, the same on all nodes. */
  readonly secret: string;
}

/** Tokens remembered as verified; over it the oldest is forgotten and verified again. */
export const VERIFIED_TOKENS_MAX = 10_000;

/** How far ahead the clock of a token's issuer may be. A token's end knows no tolerance. */
export const CLOCK_TOLERANCE_MS = 5_000;

/** The life of a ticket whose identity has no end of its own, so that old keys fade out. */
export const ENDLESS_TICKET_MS_MAX = 24 * 60 * 60 * 1000;
