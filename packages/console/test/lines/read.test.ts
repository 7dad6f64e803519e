import { describe, expect, test } from 'vitest';
import { entryOf, gapOf, isTemporary, toLineMessage, toVerdict } from '../../src/lines/read.ts';

const place = { epoch: 'k3f9', offset: 40 };
const wire = { channel: 'a', epoch: 'k3f9', offset: 41, time: 5 };

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

  test('keeps the position and the event', () => {
    const message = toLineMessage({ ...wire, data: null, event: 'typed' });
    expect(message).toMatchObject({
      position: { epoch: 'k3f9', offset: 41 },
      event: 'typed',
      payload: 'null',
    });
  });
});

describe('toVerdict', () => {
  test('is `started` when no place was asked for', () => {
    expect(toVerdict(undefined, place, undefined, undefined)).toEqual({
      kind: 'started',
      at: place,
    });
  });

  test('believes a recovery only when the server says so in clear', () => {
    expect(toVerdict('k3f9:40', place, true, undefined).kind).toBe('recovered');
    expect(toVerdict('k3f9:40', place, false, undefined).kind).toBe('gap');
    expect(toVerdict('k3f9:40', place, undefined, undefined).kind).toBe('gap');
    expect(toVerdict('k3f9:40', undefined, true, undefined).kind).toBe('gap');
  });

  test('counts from the place asked for, so that a server that skips is found out', () => {
    const verdict = toVerdict('k3f9:38', place, true, undefined);
    expect(verdict).toEqual({ kind: 'recovered', from: { epoch: 'k3f9', offset: 38 } });
  });

  test('lets a gap stand over everything', () => {
    const gap = { reason: 'trimmed', from: 1, to: 9 } as const;
    expect(toVerdict('k3f9:0', place, true, gap)).toEqual({ kind: 'gap', gap, at: place });
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
});
