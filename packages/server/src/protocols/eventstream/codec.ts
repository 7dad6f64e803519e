/**
 * Codec of the event stream: messages and the server's own events as `text/event-stream` (WHATWG
 * HTML §9.2) has them.
 */
import {
  decodeUtf8,
  encodeBase64,
  encodeMessage,
  formatPosition,
  oneLine,
  payloadKind,
} from '@trunkline/wire';
import type { Draft, Gap, Message, Position } from '@trunkline/wire';
import type { Encoding, Run } from '../../hub/hub-types.ts';
import type { FilterVerdict } from '../../hub/selection/selection-opening.ts';
import { snapshotMembers } from '../../hub/snapshots.ts';
import type { Snapshot } from '../../hub/snapshots.ts';
import { SharedBatch } from '../../link/shared-batch.ts';

/** One channel: `id:` is the position, `event:` the message's event, `data:` the payload. */
export const eventStream: Encoding = {
  name: 'eventstream',
  encode: (runs) => encodeOne(runs, (_run, message) => payloadLines(message)),
};

/** The same, but `data:` is the message as an object [SSE-12]. */
export const eventStreamOfObjects: Encoding = {
  name: 'eventstream of objects',
  encode: (runs) => encodeOne(runs, objectLines),
};

function encodeOne(
  runs: readonly Run[],
  linesOf: (run: Run, message: Message) => string,
): SharedBatch {
  let text = '';
  for (const run of runs) {
    const { epoch, messages, expired } = run;
    // An event without data is not dispatched, but its id is remembered (WHATWG HTML §9.2.6).
    if (expired !== undefined) text += `id: ${epoch}:${expired.to}\n\n`;
    for (const message of messages) {
      if (epoch !== '') text += `id: ${epoch}:${message.offset}\n`;
      text += `${linesOf(run, message)}\n`;
    }
  }
  return new SharedBatch(Buffer.from(text, 'utf8'), true);
}

/** Several channels: `data:` is the message as an object, and the last has a mark as its `id:`. */
export const eventStreamOfMany: Encoding = {
  name: 'eventstream of many',
  encode(runs, mark) {
    let text = '';
    const last = runs.at(-1)?.messages.at(-1);
    for (const run of runs) {
      for (const message of run.messages) {
        if (message === last && mark !== undefined) text += `id: ${mark}\n`;
        text += `${objectLines(run, message)}\n`;
      }
    }
    if (last === undefined && mark !== undefined) text += `id: ${mark}\n\n`;
    return new SharedBatch(Buffer.from(text, 'utf8'), true);
  },
};

/** `event:` and `data:` lines of one message. */
function payloadLines(message: Draft): string {
  const { payload, contentType, event } = message;
  const kind = payloadKind(contentType);
  if (kind !== 'bytes') {
    const text = decodeUtf8(payload);
    // A carriage return would end the line, so text that has one travels as bytes.
    if (text !== undefined && (kind === 'json' || !text.includes('\r'))) {
      const lines = kind === 'json' ? [oneLine(text)] : text.split('\n');
      return `${eventLine(event)}${lines.map((line) => `data: ${line}\n`).join('')}`;
    }
  }
  return `event: bytes:${event ?? 'message'}\ndata: ${encodeBase64(payload)}\n`;
}

/** The same with the whole message as an object [MSG-2]. */
function objectLines({ channel, epoch }: Run, message: Message): string {
  return `${eventLine(message.event)}data: ${encodeMessage(channel, epoch, message, false)}\n`;
}

function eventLine(event: string | undefined): string {
  return event === undefined ? '' : `event: ${event}\n`;
}

/** The first event: where the stream stands in each channel, before its messages [SSE-2]. */
export function openEvent(opening: {
  readonly session: string;
  readonly retryMs: number;
  /** The position or mark to resume from, where there is one. */
  readonly id?: string;
  readonly verdicts: readonly (readonly [string, FilterVerdict])[];
}): string {
  const { session, id, verdicts, retryMs } = opening;
  const of = (value: (verdict: FilterVerdict) => unknown): object =>
    Object.fromEntries<unknown>(
      verdicts
        .map(([filter, verdict]) => [filter, value(verdict)] as const)
        .filter(([, told]) => told !== undefined),
    );
  const volatile = verdicts.filter(([, verdict]) => verdict.volatile).map(([filter]) => filter);
  const data = JSON.stringify({
    session,
    positions: of(({ position }) => position && formatPosition(position)),
    recovered: of(({ recovered }) => recovered),
    gaps: of(({ gap }) => gap),
    ...(volatile.length === 0 ? {} : { volatile }),
  });
  const idLine = id === undefined ? '' : `id: ${id}\n`;
  return `retry: ${retryMs}\n${idLine}event: open\ndata: ${data}\n\n`;
}

/**
 * Messages are lost to this stream, which goes on after `position`.
 *
 * @param isOnly true when the stream carries this channel alone: its position is the id then.
 */
export function gapEvent(channel: string, gap: Gap, position: Position, isOnly: boolean): string {
  const place = formatPosition(position);
  const data = JSON.stringify({ channel, gap, position: place });
  return `${isOnly ? `id: ${place}\n` : ''}event: gap\ndata: ${data}\n\n`;
}

/** What to resume from, without an event: it is remembered and not dispatched (WHATWG §9.2.6). */
export function idEvent(id: string): string {
  return `id: ${id}\n\n`;
}

const snapshots = new WeakMap<Snapshot, SharedBatch>();

/** The event that gives a channel's state; the same object for the same snapshot [SNAP-4]. */
export function sharedSnapshot(channel: string, snapshot: Snapshot): SharedBatch {
  let batch = snapshots.get(snapshot);
  if (batch === undefined) {
    const data = `{"channel":${JSON.stringify(channel)},${snapshotMembers(snapshot)}}`;
    batch = new SharedBatch(Buffer.from(`event: snapshot\ndata: ${data}\n\n`), true);
    snapshots.set(snapshot, batch);
  }
  return batch;
}
