/**
 * Limits of HTTP/2 sessions. One connection carries many streams here, so what a peer may take is
 * bounded for the session as well as for each stream.
 */
import { constants } from 'node:http2';
import type { ServerSessionOptions } from 'node:http2';

/** Every limit by name; {@link DEFAULT_HTTP2_LIMITS} has their defaults. */
export interface Http2Limits {
  /** Open streams of one session; more are reset with REFUSED_STREAM, as its SETTINGS say. */
  readonly streamsPerSessionMax: number;
  /** Open streams of all sessions; more are reset with REFUSED_STREAM. */
  readonly streamsMax: number;
  /** Open streams of one remote address; more are reset with REFUSED_STREAM. */
  readonly streamsPerAddressMax: number;
  /**
   * Bytes that a peer may send on a stream and that nobody has read. It bounds what a paused link
   * or an undecided handshake keeps in memory.
   */
  readonly streamWindowSize: number;
  /**
   * Bytes of a session on their way to us. They are granted anew as they come, whether or not
   * anybody reads their streams, so that one paused stream holds up no other.
   */
  readonly sessionWindowSize: number;
  /**
   * Bodies of a session over 64 KB, or of no declared length, that are read at one time; others
   * wait for their turn within their windows.
   */
  readonly largeBodiesMax: number;
  /**
   * Bytes of a session's answers that its peer has not taken. An answer that would come to more is
   * not sent: its stream is reset with ENHANCE_YOUR_CALM.
   */
  readonly answersSizeMax: number;
  /** Bytes of the largest frame that a peer may send; RFC 9113 §6.5.2 allows no less. */
  readonly frameSizeMax: number;
  /** Bytes of the table that decompresses header fields, for each session. */
  readonly headerTableSize: number;
  /**
   * Megabytes that node:http2 may hold for a session: streams, header tables, frames that wait.
   * Above it new streams are reset with ENHANCE_YOUR_CALM.
   */
  readonly sessionMemoryMaxMb: number;
  /** Streams that a peer may reset at once; then the session ends (CVE-2023-44487). */
  readonly resetsBurst: number;
  /** Streams that a peer may reset each second in the long run. */
  readonly resetsPerSecondMax: number;
  /** PING and SETTINGS frames that a peer may send at once; then ENHANCE_YOUR_CALM. */
  readonly controlFramesBurst: number;
  /** PING and SETTINGS frames that a peer may send each second in the long run. */
  readonly controlFramesPerSecondMax: number;
  /** Frames of a session that may be wrong or empty; then it ends. */
  readonly invalidFramesMax: number;
  /** Streams of a session that may be opened beyond the limits; then it ends. */
  readonly refusedStreamsMax: number;
  /** Entries of one SETTINGS frame; more end the session. */
  readonly settingsMax: number;
}

/**
 * The defaults; docs/internals/performance.md has the measurements behind the sizes. A page has at
 * most a few dozen streams; a proxy that has more clients than a session has streams opens another.
 */
export const DEFAULT_HTTP2_LIMITS: Http2Limits = {
  streamsPerSessionMax: 256,
  streamsMax: 100_000,
  streamsPerAddressMax: 10_000,
  streamWindowSize: 64 * 1024 - 1,
  sessionWindowSize: 1024 * 1024,
  largeBodiesMax: 16,
  answersSizeMax: 32 * 1024 * 1024,
  frameSizeMax: 16 * 1024,
  headerTableSize: 4096,
  sessionMemoryMaxMb: 16,
  resetsBurst: 512,
  resetsPerSecondMax: 64,
  controlFramesBurst: 200,
  controlFramesPerSecondMax: 20,
  invalidFramesMax: 100,
  refusedStreamsMax: 100,
  settingsMax: 32,
};

/** The limits as node:http2 takes them. */
export function sessionOptions(
  limits: Http2Limits,
  head: { readonly headSizeMax: number; readonly headersMax: number },
): ServerSessionOptions {
  return {
    maxSettings: limits.settingsMax,
    maxSessionMemory: limits.sessionMemoryMaxMb,
    // Beyond it node:http2 resets the stream; up to it the request is answered 431.
    maxHeaderListPairs: 2 * head.headersMax,
    maxSessionInvalidFrames: limits.invalidFramesMax,
    maxSessionRejectedStreams: limits.refusedStreamsMax,
    // The server sends none.
    maxOutstandingPings: 1,
    streamResetBurst: limits.resetsBurst,
    streamResetRate: limits.resetsPerSecondMax,
    maxDeflateDynamicTableSize: limits.headerTableSize,
    paddingStrategy: constants.PADDING_STRATEGY_NONE,
    settings: {
      // RFC 8441 §3.
      enableConnectProtocol: true,
      enablePush: false,
      headerTableSize: limits.headerTableSize,
      initialWindowSize: limits.streamWindowSize,
      maxConcurrentStreams: limits.streamsPerSessionMax,
      maxFrameSize: limits.frameSizeMax,
      maxHeaderListSize: head.headSizeMax,
    },
  };
}
