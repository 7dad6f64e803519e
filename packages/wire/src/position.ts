/**
 * Positions: places in a channel's stream, and the words a client may say for one ([CH-4], [REC-1]).
 *
 * A position is never guessed: what can't be decoded stays `unknown` and is answered with a gap,
 * because treating it as "caught up" would lose messages silently.
 */

/** A place in a channel's stream: "I have everything up to here". */
export interface Position {
  /** Names one life of the stream; offsets compare only within one epoch. */
  readonly epoch: string;
  /** Offset of the last message seen; 0 means none yet. */
  readonly offset: number;
}

/** The position in a channel that has had no message yet: resuming from it gives everything. */
export const ORIGIN: Position = { epoch: '0', offset: 0 };

const POSITION = /^([0-9A-Za-z_-]{1,32}):(0|[1-9][0-9]{0,15})$/;
const MARK = /^~[0-9A-Za-z._~-]{1,4000}$/;

/** Reads `epoch:offset`; `undefined` when the text is no position. */
export function parsePosition(text: string): Position | undefined {
  const match = POSITION.exec(text);
  if (match === null) return undefined;
  const offset = Number(match[2]);
  if (!Number.isSafeInteger(offset)) return undefined;
  return { epoch: match[1] ?? '', offset };
}

/** Writes a position as `epoch:offset`. */
export function formatPosition(position: Position): string {
  return `${position.epoch}:${position.offset}`;
}

/** True for `0:0`, which is a position in every life of every channel. */
export function isOrigin(position: Position): boolean {
  return position.epoch === ORIGIN.epoch && position.offset === 0;
}

/** True when the text has the shape of a mark; only the backplane that made it can read it. */
export function isMark(text: string): boolean {
  return MARK.test(text);
}

/** Where a client asks to go on in one channel. */
export type After =
  | { readonly kind: 'position'; readonly position: Position }
  /** Everything that is retained. */
  | { readonly kind: 'start' }
  /** A place in the backplane's whole order. */
  | { readonly kind: 'mark'; readonly mark: string }
  /** Not decodable: the answer is a gap with this reason. */
  | { readonly kind: 'unknown'; readonly text: string };

/** Reads what a client said for one channel. Never fails: what is no position is `unknown`. */
export function parseAfter(text: string): After {
  if (text === 'start') return { kind: 'start' };
  const position = parsePosition(text);
  if (position !== undefined) return { kind: 'position', position };
  if (isMark(text)) return { kind: 'mark', mark: text };
  return { kind: 'unknown', text };
}

/**
 * Reads what a client said for several channels: `A=POS&B=POS` form-encoded, or one word (`start`,
 * a mark, a position) that holds for each. A channel that the text does not name has no entry; if
 * it names none of them, it is no such list, and `unknown` for each.
 */
export function parseAfterEach(text: string, channels: readonly string[]): Map<string, After> {
  const after = new Map<string, After>();
  if (text.includes('=')) {
    const wanted = new Set(channels);
    for (const [channel, place] of new URLSearchParams(text)) {
      if (wanted.has(channel)) after.set(channel, parseAfter(place));
    }
    if (after.size > 0) return after;
  }
  const one = parseAfter(text);
  for (const channel of channels) after.set(channel, one);
  return after;
}

/** Why a stream can't prove that nothing was missed ([REC-3]). */
export type GapReason =
  /** Well-formed, but not this stream's life. */
  | 'epoch'
  /** Retention removed it. */
  | 'trimmed'
  /** The position is beyond the stream. */
  | 'ahead'
  /** Not decodable as a position. */
  | 'unknown'
  /** More than one resume may carry: read on by `history`. */
  | 'limit';

/** What was missed, as far as the stream knows. */
export interface Gap {
  readonly reason: GapReason;
  /** First offset that is not delivered; absent when offsets can't tell. */
  readonly from?: number;
  /** Last offset that is not delivered, inclusive. */
  readonly to?: number;
}
