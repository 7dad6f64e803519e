/**
 * Reader: a channel read over any transport, so that one test proves a clause on all of them. It
 * takes no part in what it reads: verdicts, positions and payloads are handed on as they came.
 */
import type { LabServer } from './server.ts';

/** Where a reader begins. */
export interface Begin {
  readonly channel: string;
  readonly after?: string;
  readonly last?: number;
  readonly partial?: boolean;
  /** A JWT or an API key. */
  readonly token?: string;
}

/** A gap as it stands on the wire. */
export interface GapTold {
  readonly reason: string;
  readonly from?: number;
  readonly to?: number;
}

/** What the server said about where a reader begins. */
export interface VerdictTold {
  readonly position: string;
  readonly recovered?: boolean;
  readonly gap?: GapTold;
}

/** A message as far as every transport tells it. */
export interface Received {
  /** `epoch:offset`. */
  readonly position: string;
  readonly offset: number;
  /** JSON and text as they stand on the wire, bytes as bytes. */
  readonly payload: string | Buffer;
  readonly event?: string;
}

/** One reading of one channel. */
export interface Reader extends AsyncDisposable {
  readonly verdict: VerdictTold;
  /** After the last message that was taken. */
  readonly position: string;
  /** The next messages, in the order they came. @throws when they do not come. */
  take(count: number): Promise<readonly Received[]>;
}

/** One way to read. */
export interface ReadTransport {
  /** As the columns of the matrix are called: the kind, behind `binary` where that is the codec. */
  readonly name: string;
  readonly kind: 'WebSocket' | 'SSE' | 'long polling' | 'short polling';
  /** False where JSON stands on one line, whatever line breaks it was published with. */
  readonly keepsLineBreaks: boolean;
  open(server: LabServer, begin: Begin): Promise<Reader>;
}

/** The query of a read over HTTP. */
export function readQuery(begin: Begin, more: Readonly<Record<string, string>> = {}): string {
  const { channel, after, last, partial, token } = begin;
  return new URLSearchParams({
    channel,
    ...(after === undefined ? {} : { after }),
    ...(last === undefined ? {} : { last: String(last) }),
    ...(partial === undefined ? {} : { partial: String(partial) }),
    ...(token === undefined ? {} : { access_token: token }),
    ...more,
  }).toString();
}

/** The offsets of messages. */
export function offsetsOf(messages: readonly Received[]): number[] {
  return messages.map(({ offset }) => offset);
}
