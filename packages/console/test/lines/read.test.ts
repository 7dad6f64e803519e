import { describe, expect, test } from 'vitest';
import {
  beginningOf,
  entryOf,
  fromBinary,
  gapOf,
  isTemporary,
  parseJson,
  toLineMessage,
  toPresence,
  toSnapshot,
} from '../../src/lines/read.ts';

const wire = { channel: 'a', epoch: 'k3f9', offset: 41, time: 5 };
const bytes = (text: string) => new TextEncoder().encode(text);

describe('toLineMessage', () => {
  test('shows JSON as JSON, text as text and bytes as base64', () => {
    expect(toLineMessage({ ...wire, data: 'x' })).toMatchObject({ kind: 'json', payload: '"x"' });
    expect(toLineMessage({ ...wire, data: 'x', contentType: 'text/plain' })).toMatchObject({
      kind: 'text',
      payload: 'x',
    });
    expect(
      toLineMessage({ ...wire, bytes: 'AAE=', contentType: 'application/octet-stream' }),
    ).toMatchObject({ kind: 'bytes', payload: 'AAE=' });
  });

  test('keeps the channel, the position and the event', () => {
    const message = toLineMessage({ ...wire, data: null, event: 'typed' });
    expect(message).toMatchObject({
      channel: 'a',
      position: { epoch: 'k3f9', offset: 41 },
      event: 'typed',
      payload: 'null',
    });
  });

  test('[VOL-1] has no position in a volatile channel', () => {
    expect(toLineMessage({ channel: 'a', time: 5, data: 1 })).not.toHaveProperty('position');
  });
});

test('[BIN-6] a message in binary says the same', () => {
  const { channel, epoch, offset, time } = wire;
  const message = { channel, epoch, offset, time };
  expect(fromBinary({ ...message, payload: bytes('{"x":1}') })).toEqual(
    toLineMessage({ ...wire, data: { x: 1 } }),
  );
  expect(fromBinary({ ...message, payload: bytes('hi'), contentType: 'text/plain' })).toEqual(
    toLineMessage({ ...wire, data: 'hi', contentType: 'text/plain' }),
  );
  const octets = { payload: Uint8Array.of(0, 1), contentType: 'application/octet-stream' };
  expect(fromBinary({ ...message, ...octets })).toMatchObject({ kind: 'bytes', payload: 'AAE=' });
  // Text that is no UTF-8 is shown as bytes rather than wrongly.
  const broken = { payload: Uint8Array.of(255), contentType: 'text/plain' };
  expect(fromBinary({ ...message, ...broken })).toMatchObject({ kind: 'bytes', payload: '/w==' });
});

test('[SNAP-3] a snapshot has the place where the messages go on', () => {
  expect(toSnapshot('a', { position: 'k3f9:40', time: 5, data: { n: 1 } })).toEqual({
    channel: 'a',
    position: 'k3f9:40',
    time: 5,
    kind: 'json',
    payload: '{"n":1}',
  });
});

describe('toPresence', () => {
  const member = { session: 's1', since: 5 };

  test('reads pages, joins and leaves', () => {
    const page = { channel: 'a', members: [member], count: 1, next: 'n' };
    expect(toPresence('presence', page)).toEqual({ kind: 'page', ...page });
    expect(toPresence('join', { channel: 'a', member })).toEqual({
      kind: 'join',
      channel: 'a',
      member,
    });
  });

  test('reads nothing from what it does not understand', () => {
    expect(toPresence('presence', { channel: 'a' })).toBeUndefined();
    expect(toPresence('join', { channel: 'a', member: {} })).toBeUndefined();
    expect(toPresence('leave', 'a')).toBeUndefined();
  });
});

describe('beginningOf', () => {
  const told = {
    recovered: { a: true, b: false },
    gaps: { b: { reason: 'epoch' } },
    volatile: ['v'],
  };

  test('finds what is said of each channel', () => {
    expect(beginningOf('a', told, 'k3f9:1')).toEqual({
      filter: 'a',
      place: 'k3f9:1',
      recovered: true,
      gap: undefined,
      isVolatile: false,
    });
    expect(beginningOf('b', told, undefined)).toMatchObject({
      recovered: false,
      gap: { reason: 'epoch' },
      place: undefined,
    });
  });

  test('[SSE-11] has no place in a volatile channel, whatever stands for all', () => {
    expect(beginningOf('v', told, '~m')).toMatchObject({ isVolatile: true, place: undefined });
  });
});

describe('untrusted answers', () => {
  test('have entries of their own only', () => {
    expect(entryOf({ a: 1 }, 'a')).toBe(1);
    expect(entryOf({}, 'toString')).toBeUndefined();
    expect(entryOf(undefined, 'a')).toBeUndefined();
    expect(entryOf('a', 'length')).toBe(undefined);
  });

  test('are a gap without a known reason rather than none', () => {
    expect(gapOf({ from: 1 })).toEqual({ reason: 'unknown' });
    expect(gapOf(undefined)).toBeUndefined();
  });

  test('are worth another try when their code is not known', () => {
    expect(isTemporary('forbidden')).toBe(false);
    expect(isTemporary('draining')).toBe(true);
    expect(isTemporary('brand_new')).toBe(true);
  });

  test('are nothing when they are no JSON', () => {
    expect(parseJson('{')).toBeUndefined();
  });
});
