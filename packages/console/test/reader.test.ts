import type { Position } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import type { LineMessage } from '../src/lines/line.ts';
import { isCaughtUp, Reader, ROWS_MAX } from '../src/reader.ts';
import type { TransportName } from '../src/transports.ts';
import { fakeTransport } from './fake-transport.ts';

const at = (offset: number, epoch = 'k3f9'): Position => ({ epoch, offset });

const message = (offset: number): LineMessage => ({
  position: at(offset),
  kind: 'json',
  payload: String(offset),
});

const reading = {
  server: 'http://127.0.0.1:1',
  channel: 'room/42',
  token: () => undefined,
  events: [],
};

function openReader(name: TransportName, newest?: Position) {
  const transport = fakeTransport(name);
  const reader = new Reader(transport, {
    newest: () => Promise.resolve(newest),
    onMessage: () => {},
  });
  return { reader, last: () => transport.last() };
}

function notes(reader: Reader): string[] {
  return reader.rows.flatMap((row) =>
    row.kind === 'note' && row.note.kind === 'said' ? [row.note.sentence.text] : [],
  );
}

describe('a reader', () => {
  test('counts on over a cut, and says how many it caught up', async () => {
    const { reader, last } = openReader('sse', at(44));
    reader.start(reading);
    last().opened({ kind: 'started', at: at(40) });
    last().message(message(41));
    reader.cut();
    reader.resume();
    expect(last().after).toBe('k3f9:41');
    last().opened({ kind: 'recovered', from: at(41) });
    for (const offset of [42, 43, 44, 45]) last().message(message(offset));
    await Promise.resolve(); // The newest position was told.
    expect(reader.ledger).toMatchObject({ received: 5, missed: 0, doubled: 0 });
    expect(reader.sentence?.text).toBe('Recovered, 3 messages caught up');
    const late = reader.rows.map((row) =>
      row.kind === 'message' ? isCaughtUp(row.message, row.after) : undefined,
    );
    expect(late.slice(0, 4)).toEqual([false, true, true, true]);
  });

  test('shows a server that skips after a resume', () => {
    const { reader, last } = openReader('sse');
    reader.start(reading);
    last().opened({ kind: 'started', at: at(40) });
    reader.cut();
    reader.resume();
    last().opened({ kind: 'recovered', from: at(40) });
    last().message(message(43));
    expect(reader.ledger).toMatchObject({ received: 1, missed: 2 });
  });

  test('counts an announced gap apart and goes on after it', () => {
    const { reader, last } = openReader('sse');
    reader.start(reading);
    last().opened({ kind: 'started', at: at(40) });
    last().gap({ reason: 'trimmed', from: 41, to: 60 }, at(60));
    last().message(message(61));
    expect(reader.ledger).toMatchObject({ received: 1, missed: 0, gaps: 1 });
    expect(reader.sentence).toEqual({
      tone: 'bad',
      text: 'Gap: offsets 41 to 60 no longer kept',
    });
  });

  test('hands its position and its counts to another transport', () => {
    const from = openReader('websocket');
    const to = openReader('sse');
    from.reader.start(reading);
    to.reader.start(reading);
    from.last().opened({ kind: 'started', at: at(40) });
    from.last().message(message(41));
    to.reader.takeOver(from.reader.handOver('sse'), reading);
    expect(from.reader.status.state).toBe('cut');
    expect(notes(from.reader)[0]).toBe('Continued over SSE');
    expect(to.last().after).toBe('k3f9:41');
    to.last().opened({ kind: 'recovered', from: at(41) });
    to.last().message(message(42));
    expect(to.reader.ledger).toMatchObject({ received: 2, missed: 0, doubled: 0 });
    expect(to.reader.via).toEqual(['websocket', 'sse']);
    expect(notes(to.reader)[0]).toBe('Goes on from WebSocket at k3f9:41');
    const keys = to.reader.rows.map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('keeps a bounded number of rows, the newest first', () => {
    const { reader, last } = openReader('sse');
    reader.start(reading);
    last().opened({ kind: 'started', at: at(0) });
    for (let offset = 1; offset <= ROWS_MAX + 50; offset += 1) last().message(message(offset));
    expect(reader.rows).toHaveLength(ROWS_MAX);
    expect(reader.rows[0]).toMatchObject({ message: { payload: String(ROWS_MAX + 50) } });
  });
});
