/** What the WebSocket transport is told: limits and intervals with their units. */
export interface WebSocketConfig {
  /** So often the server pings a peer. */
  readonly pingIntervalMs: number;
  /** Time for a sign of life after a ping; after it the link closes with `timeout`. */
  readonly pongMs: number;
  /** Time for the closing handshake, our pending bytes included; after it the stream is cut. */
  readonly closeMs: number;
  /** Time from the first to the last byte of a message; after it the link closes with `timeout`. */
  readonly messageMs: number;
  /** Time for the decision who is let in; after it the handshake is refused as `unavailable`. */
  readonly admitMs: number;
  /** Bytes of one frame's payload; over it the link closes with `too_large` (1009). */
  readonly frameBytesMax: number;
  /** Bytes of one message, all its fragments together; over it as above. */
  readonly messageBytesMax: number;
  /** Frames that make up one message; over it as above. */
  readonly fragmentsMax: number;
}

/** Safe on the open internet. Most load balancers cut a connection that is silent for 60 s. */
export const WEBSOCKET_DEFAULTS: WebSocketConfig = {
  pingIntervalMs: 25_000,
  pongMs: 10_000,
  closeMs: 10_000,
  messageMs: 120_000,
  admitMs: 10_000,
  frameBytesMax: 1024 * 1024,
  messageBytesMax: 1024 * 1024,
  fragmentsMax: 1024,
};
