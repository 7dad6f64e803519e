import type { Position } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import type { LineMessage } from '../src/lines/line.ts';
import { Standing } from '../src/lines/standing.ts';
import { isCaughtUp, placeText, Reader, ROWS_MAX } from '../src/reader.ts';
import type { ReaderContext } from '../src/reader.ts';
import type { TransportName } from '../src/transports.ts';
import { beginning, fakeTransport } from './fake-transport.ts';

const at = (offset: number, epoch = 'k3f9'): Position => ({ epoch, offset });

const message = (offset: number, channel = 'room/42'): LineMessage => ({
  channel,
  position: at(offset),
  kind: 'json',
  payload: String(offset),
});

const reading = {
  server: 'http://127.0.0.1:1',
  filters: ['room/42'],
  token: () => undefined,
  takesPart: () => false,
};

function openReader(name: TransportName, rest: Partial<ReaderContext> = {}) {
  const transport = fakeTransport(name);
  const reader = new Reader(transport, {
    newest: () => Promise.resolve(undefined),
    kept: ({ from, to }) => Promise.resolve(to - from + 1),
    onPresence: () => {},
    onSession: () => {},
    ...rest,
  });
  return { reader, last: () => transport.last() };
}

/** Resolves when everything that was asked of the page is answered. */
async function answered(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
}

function notes(reader: Reader): string[] {
  return reader.rows.flatMap((row) => {
    if (row.kind !== 'note') return [];
    return [row.note.kind === 'said' ? row.note.sentence.text : reader.say(row.note.outcome).text];
  });
}

describe('a reader', () => {
  test('counts on over a cut, and says how many it caught up', async () => {
    const { reader, last } = openReader('sse', { newest: () => Promise.resolve(at(44)) });
    reader.start(reading);
    last().begun(beginning('k3f9:40'));
    last().message(message(41));
    reader.cut();
    reader.resume();
    expect(last().after()).toBe('k3f9:41');
    last().begun(beginning('k3f9:41', { recovered: true }));
    for (const offset of [42, 43, 44, 45]) last().message(message(offset));
    await answered();
    expect(reader.ledger).toMatchObject({ received: 5, missed: 0, doubled: 0 });
    expect(reader.sentence?.text).toBe('Recovered, 3 messages caught up');
    const late = reader.rows.map((row) =>
      row.kind === 'message' ? isCaughtUp(row.message, row.after) : undefined,
    );
    expect(late.slice(0, 4)).toEqual([false, true, true, true]);
  });

  test('shows a server that skips after a resume', () => {
    const { reader, last } = openReader('websocket');
    reader.start(reading);
    last().begun(beginning('k3f9:40'));
    reader.cut();
    reader.resume();
    last().begun(beginning('k3f9:42', { recovered: true }));
    last().message(message(43));
    expect(reader.ledger).toMatchObject({ received: 1, missed: 2 });
  });

  test('counts an announced gap apart and goes on after it', () => {
    const { reader, last } = openReader('sse');
    reader.start(reading);
    last().begun(beginning('k3f9:40'));
    last().gap('room/42', { reason: 'trimmed', from: 41, to: 60 }, at(60));
    last().message(message(61));
    expect(reader.ledger).toMatchObject({ received: 1, missed: 0, gaps: 1 });
    expect(notes(reader)[0]).toBe('Gap: offsets 41 to 60 no longer kept');
  });

  test('[MSG-6] asks the log for a hole where the transport can not tell what expired', async () => {
    const { reader, last } = openReader('long-poll', { kept: () => Promise.resolve(1) });
    reader.start(reading);
    last().begun(beginning('k3f9:40'));
    last().message(message(44));
    expect(reader.ledger.missed).toBe(0);
    await answered();
    expect(reader.ledger).toMatchObject({ missed: 1, expired: 2 });
  });

  test('asks again at the next opening when the log did not answer', async () => {
    const log: { kept?: number } = {};
    const { reader, last } = openReader('long-poll', { kept: () => Promise.resolve(log.kept) });
    reader.start(reading);
    last().begun(beginning('k3f9:40'));
    last().message(message(42));
    await answered();
    expect(reader.ledger).toMatchObject({ missed: 0, expired: 0 });
    log.kept = 1;
    reader.renew();
    last().begun(beginning('k3f9:42', { recovered: true }));
    await answered();
    expect(reader.ledger).toMatchObject({ missed: 1, expired: 0 });
  });

  test('counts each channel of a pattern by itself', () => {
    const { reader, last } = openReader('websocket');
    reader.start({ ...reading, filters: ['room/+'] });
    last().begun(beginning('~m1', { filter: 'room/+' }));
    last().message(message(7, 'room/1'));
    last().message(message(1, 'room/2'));
    last().message(message(8, 'room/1'));
    last().message(message(3, 'room/2'));
    expect(reader.ledger).toMatchObject({ received: 4, missed: 1, doubled: 0 });
    expect(reader.isMany).toBe(true);
    last().gap('room/1', { reason: 'trimmed', from: 9, to: 9 }, at(9));
    expect(notes(reader)[0]).toBe('room/1: Gap: offset 9 no longer kept');
  });

  test('[WILD-5] knows nothing of the channels of a pattern whose mark is not known', () => {
    const { reader, last } = openReader('websocket');
    reader.start({ ...reading, filters: ['room/+'] });
    last().begun(beginning('~m1', { filter: 'room/+' }));
    last().message(message(7, 'room/1'));
    reader.renew();
    const gap = { reason: 'unknown' } as const;
    last().begun(beginning('~m9', { filter: 'room/+', recovered: false, gap }));
    last().message(message(99, 'room/1'));
    expect(reader.ledger).toMatchObject({ gaps: 1, missed: 0 });
  });

  test('says at which snapshot it begins', () => {
    const { reader, last } = openReader('websocket');
    reader.start(reading);
    last().begun(beginning('k3f9:30'));
    const snapshot = { channel: 'room/42', position: 'k3f9:30', time: 5 };
    last().tell({ kind: 'snapshot', snapshot: { ...snapshot, kind: 'json', payload: '1' } });
    last().message(message(31));
    expect(reader.rows[1]).toMatchObject({ kind: 'snapshot', snapshot });
    expect(reader.ledger.missed).toBe(0);
  });

  test('goes on in another encoding and weighs it anew', () => {
    const { reader, last } = openReader('websocket');
    reader.start(reading);
    last().tell({ kind: 'carrier', carrier: { encoding: 'json' } });
    last().begun(beginning('k3f9:40'));
    last().tell({ kind: 'bytes', count: 300 });
    last().message(message(41));
    expect(reader.traffic).toMatchObject({ bytes: 300, messages: 1 });
    reader.encode('binary');
    expect(last().encoding).toBe('binary');
    expect(last().after()).toBe('k3f9:41');
    last().tell({ kind: 'carrier', carrier: { encoding: 'binary' } });
    expect(reader.traffic).toMatchObject({ bytes: 0, messages: 0 });
    expect(reader.ledger.received).toBe(1);
  });

  test('hands its place and its counts to another transport', () => {
    const from = openReader('websocket');
    const to = openReader('sse');
    from.reader.start(reading);
    to.reader.start(reading);
    from.last().begun(beginning('k3f9:40'));
    from.last().message(message(41));
    to.reader.takeOver(from.reader.handOver('sse'), reading);
    expect(from.reader.status.state).toBe('cut');
    expect(notes(from.reader)[0]).toBe('Continued over SSE');
    expect(to.last().after()).toBe('k3f9:41');
    expect(notes(to.reader)[0]).toBe('Goes on from WebSocket at k3f9:41');
    to.last().begun(beginning('k3f9:41', { recovered: true }));
    to.last().message(message(42));
    expect(to.reader.ledger).toMatchObject({ received: 2, missed: 0, doubled: 0 });
    expect(from.reader.ledger.received).toBe(1);
    expect(to.reader.via).toEqual(['websocket', 'sse']);
    const keys = to.reader.rows.map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('keeps a bounded number of rows, the newest first', () => {
    const { reader, last } = openReader('sse');
    reader.start(reading);
    last().begun(beginning('k3f9:0'));
    for (let offset = 1; offset <= ROWS_MAX + 50; offset += 1) last().message(message(offset));
    expect(reader.rows).toHaveLength(ROWS_MAX);
    expect(reader.rows[0]).toMatchObject({ message: { payload: String(ROWS_MAX + 50) } });
  });
});

describe('placeText', () => {
  test('says one place, or how many there are', () => {
    const standing = new Standing(['a', 'b/#']);
    expect(placeText(standing)).toBe('no place yet');
    standing.begin('a', 'k3f9:1');
    expect(placeText(standing)).toBe('k3f9:1');
    standing.begin('b/#', '~m');
    expect(placeText(standing)).toBe('2 places');
  });
});
