/** What the TCP transport is told: limits with their units. */

/** Every limit by name. */
export interface TcpConfig {
  /** Time for a TLS handshake; after it the connection is cut. */
  readonly handshakeMs: number;
  /** Time that a closed link gives its peer to take what is pending; after it the stream is cut. */
  readonly closeMs: number;
  /** Bytes that are read and dropped of a peer whose link is closed; after more it is cut. */
  readonly closeSizeMax: number;
}

/** Safe on the open internet. */
export const TCP_DEFAULTS: TcpConfig = {
  handshakeMs: 10_000,
  closeMs: 5_000,
  closeSizeMax: 8 * 1024 * 1024,
};
