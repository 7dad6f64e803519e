/**
 * Link: the first waist. Below it bytes, above it meaning. A transport makes links and never knows
 * what a channel is; a protocol speaks over links and never knows what carries them.
 */
import type { CodeName } from '@trunkline/wire';
import type { SharedBatch } from './shared-batch.ts';

/**
 * One unit on a link, as the peer framed it. A transport keeps frame boundaries; where it has none,
 * see {@link LinkTraits.framed}, a frame is whatever came at once.
 */
export type Frame = string | Uint8Array;

/** What a link can do. A protocol adapts to traits, never to a transport's name. */
export interface LinkTraits {
  /** False when the peer can only listen, as a bare `EventSource` does. */
  readonly duplex: boolean;
  /** True when frames of bytes are possible. */
  readonly binary: boolean;
  /** False for datagrams: frames may be lost or overtaken. */
  readonly reliable: boolean;
  /** False on a bare stream of bytes: they come in order, and cut anywhere. */
  readonly framed: boolean;
}

/** Where a link came from. */
export interface LinkInfo {
  /** The transport's name, for logs and counters only. */
  readonly transport: string;
  /** The peer's IP address. */
  readonly remoteAddress: string;
}

/** How a link or session ends: a code of the registry, or `normal` when nothing is wrong. */
export interface Close {
  readonly code: CodeName | 'normal';
  /** Replaces the code's own phrase; fixed text of at most 123 bytes, never internal detail. */
  readonly reason?: string;
  /** Milliseconds after which to come back, where the transport can say so. */
  readonly retryAfter?: number;
}

/** One live connection, whatever carries it. Gone for good once closed. */
export interface Link {
  readonly info: LinkInfo;
  readonly traits: LinkTraits;
  /** Bytes accepted and not yet handed to the network, what this turn queued included. */
  readonly pendingBytes: number;

  /**
   * Queues one frame of this link's own; leaves at the end of the turn, in order with shared
   * batches. Never blocks and never throws; after `close` it does nothing.
   */
  send(frame: Frame): void;

  /**
   * Queues a batch that many links share; the same guarantees as `send`.
   *
   * @param isLast true when the caller knows of nothing more for this link in this turn: then
   *   waiting for its end, to join the batch with other frames, would gain nothing.
   */
  sendShared(batch: SharedBatch, isLast?: boolean): void;

  /**
   * Asks for one `onDrain`, in a later turn, as soon as nothing is pending. Asking again before
   * it came changes nothing.
   */
  requestDrain(): void;

  /** While paused no `onFrame` is called and the peer feels backpressure. Idempotent. */
  setPaused(paused: boolean): void;

  /** Sends what the transport has for a goodbye, then closes. Idempotent. */
  close(close: Close): void;
}

/**
 * What a protocol gives back for a link. The transport calls it one event at a time, never from
 * inside a call of the protocol to the link.
 */
export interface LinkHandler {
  onFrame(frame: Frame): void;
  /** `pendingBytes` is back to zero, after a `requestDrain`. */
  onDrain(): void;
  /** Last call, exactly once, whoever closed first. */
  onClose(close: Close): void;
}
