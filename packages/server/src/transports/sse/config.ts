/** Limits and intervals of event streams. */
export interface SseConfig {
  /** A comment is sent after so long without another byte, against idle timeouts of proxies. */
  readonly keepAliveMs: number;
  /** A peer that has taken nothing for so long although bytes wait for it is gone. */
  readonly stalledMs: number;
  /** How long a refused or drained browser is told to wait, at the least. */
  readonly retryMs: number;
}

export const SSE_DEFAULTS: SseConfig = {
  keepAliveMs: 15_000,
  stalledMs: 60_000,
  retryMs: 1_000,
};
