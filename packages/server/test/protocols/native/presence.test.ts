import {
  nativePresence,
  toPageFrame,
  toPageRequest,
} from '@trunkline/server/internal/protocols/native/presence.ts';
import { decodeServerFrames } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';

const ALICE = { session: 's1', user: 'alice', info: { name: 'A\nB' }, since: 5 };
const NOBODY = { session: 's2', since: 6 };

describe('nativePresence', () => {
  test('writes each event as a push on a line of its own [PRES-5] [PRES-7]', () => {
    const bytes = nativePresence.encode('room "1"', [
      { kind: 'join', member: ALICE },
      { kind: 'leave', member: NOBODY },
      { kind: 'snapshot', page: { members: [ALICE, NOBODY], count: 2, next: 'abc' } },
    ]);
    const text = Buffer.from(bytes).toString();
    expect(text.split('\n')).toHaveLength(3);
    expect(decodeServerFrames(text)).toEqual([
      { type: 'join', channel: 'room "1"', member: ALICE },
      { type: 'leave', channel: 'room "1"', member: NOBODY },
      { type: 'presence', channel: 'room "1"', members: [ALICE, NOBODY], count: 2, next: 'abc' },
    ]);
  });

  test('answers a command with its id [PRES-8]', () => {
    expect(toPageFrame(7, 'room', { members: [NOBODY], count: 1 })).toEqual({
      type: 'presence',
      id: 7,
      channel: 'room',
      members: [NOBODY],
      count: 1,
    });
  });
});

describe('toPageRequest', () => {
  test('asks for 100 unless told otherwise, and goes on after the page before [PRES-8]', () => {
    const command = { type: 'presence', id: 1, channel: 'room' } as const;
    expect(toPageRequest(command)).toEqual({ countMax: 100 });
    expect(toPageRequest({ ...command, limit: 1_000, after: 'abc' })).toEqual({
      countMax: 1_000,
      after: 'abc',
    });
  });

  test.each([0, 1_001])('refuses a limit of %i [PRES-8]', (limit) => {
    expect(() => toPageRequest({ type: 'presence', id: 1, channel: 'room', limit })).toThrow(
      `limit must be a whole number from 1 to 1000, got ${limit}`,
    );
  });
});
