/** Limits of the HTTP listener: each bounds time or memory that a peer could otherwise take. */

/** Every limit by name; {@link DEFAULT_HTTP_LIMITS} has their defaults. */
export interface HttpLimits {
  /** Bytes of a request's head; more is answered 431. */
  readonly headSizeMax: number;
  /** Header lines of a request; more are answered 431. */
  readonly headersMax: number;
  /** Milliseconds from the first byte of a head (or the connection's start) to its last; then 408. */
  readonly headMs: number;
  /** Milliseconds that a TLS handshake may take; then the connection is cut. */
  readonly handshakeMs: number;
  /** Milliseconds that reading a body may take; then its reader fails with `timeout` (408). */
  readonly bodyMs: number;
  /** Milliseconds in which the peer has to take an answer; then the connection is cut. */
  readonly answerMs: number;
  /** Milliseconds that a kept-alive connection may be silent; then it is closed. */
  readonly idleMs: number;
  /** Milliseconds that a connection being closed waits for the peer; then it is cut. */
  readonly lingerMs: number;
  /** Bytes that are read and dropped from a connection being closed; after more it is cut. */
  readonly lingerSizeMax: number;
  /**
   * Requests of one connection that may wait for their answers; one more is answered 429. They are
   * served one by one, so that a connection never keeps more than one answer in memory.
   */
  readonly pipelinedMax: number;
  /** Open connections; more are answered 503 and closed. */
  readonly connectionsMax: number;
  /** Open connections of one remote address; more are answered 429 and closed. */
  readonly connectionsPerAddressMax: number;
  /** Refused connections that are told so at one time; more are cut without a word. */
  readonly refusalsMax: number;
  /** Milliseconds that a refused connection is told to wait before it comes back. */
  readonly refusedRetryMs: number;
}

/**
 * The defaults. Idle connections outlive the 60 s after which most load balancers drop theirs, so
 * that it is the balancer that closes first and no request meets a closing connection.
 */
export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  headSizeMax: 16 * 1024,
  headersMax: 100,
  headMs: 10_000,
  handshakeMs: 10_000,
  bodyMs: 30_000,
  answerMs: 120_000,
  idleMs: 75_000,
  lingerMs: 5_000,
  lingerSizeMax: 8 * 1024 * 1024,
  pipelinedMax: 100,
  connectionsMax: 100_000,
  connectionsPerAddressMax: 10_000,
  refusalsMax: 500,
  refusedRetryMs: 5_000,
};
