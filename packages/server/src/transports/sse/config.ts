/** Limits and intervals of event streams. */
export interface SseConfig {
  /**
   * A comment is sent so often while nothing waits for the peer, against idle timeouts of proxies.
   * A peer that does not take its goodbye is cut after as long.
   */
  readonly keepAliveMs: number;
  /** A peer that has taken nothing for so long although bytes wait for it is gone. */
  readonly stalledMs: number;
  /** How long a refused or drained browser is told to wait, at the least. */
  readonly retryMs: number;
}

/** What holds unless the operator says otherwise. */
export const SSE_DEFAULTS: SseConfig = {
  keepAliveMs: 15_000,
  stalledMs: 60_000,
  retryMs: 1_000,
};
