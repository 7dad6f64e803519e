import { ManualClock, MemoryLink } from '@trunkline/testkit';
import type { Position } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { MessageBatch } from '../../../src/hub/message-batch.ts';
import { SelectionBatch } from '../../../src/hub/selection/selection-batch.ts';
import { SelectionCursor } from '../../../src/hub/selection/selection-cursor.ts';
import type { Sharing } from '../../../src/hub/selection/selection-cursor.ts';
import { Selection } from '../../../src/hub/selection/selection.ts';
import { message, messages } from '../messages.ts';
import { placesEncoding, SelectionListener } from './selection-setup.ts';

const here = { mark: '~9', behind: new Map<string, never>() };
const encoding = placesEncoding();

function cursorOf(sharing?: Sharing, mutedSession?: string): SelectionCursor {
  const listener = new SelectionListener(new MemoryLink({ clock: new ManualClock() }), encoding);
  const cursor = new SelectionCursor(listener, new Selection(['#']), here, mutedSession);
  cursor.sharing = sharing;
  return cursor;
}

function textOf(batch: SelectionBatch, cursor: SelectionCursor): string | undefined {
  const shared = batch.for(cursor);
  return shared === undefined ? undefined : Buffer.from(shared.payload).toString();
}

const whole = {
  ...{ marksApart: false, omits: () => false, isWhole: () => true },
  namedPlaces: () => new Map<string, Position>(),
};

describe('what a turn brought to a selection', () => {
  const two = (): SelectionBatch =>
    new SelectionBatch(
      [new MessageBatch('a', 'e1', messages(1, 2)), new MessageBatch('b', 'e1', messages(4, 4))],
      '~9',
      1_000,
    );

  test('is encoded once for all who want all of it', () => {
    encoding.count = 0;
    const batch = two();
    expect(textOf(batch, cursorOf())).toBe('a:1 a:2 b:4 ~9');
    expect(batch.for(cursorOf())).toBe(batch.for(cursorOf(whole)));
    expect(encoding.count).toBe(1);
  });

  test('has no mark where other readers of the session have not come so far', () => {
    const behind = { ...whole, isWhole: () => false };
    expect(textOf(two(), cursorOf(behind))).toBe('a:1 a:2 b:4');
  });

  test('has none where a mark would be taken for that of another pattern [WS-17]', () => {
    expect(textOf(two(), cursorOf({ ...whole, marksApart: true }))).toBe('a:1 a:2 b:4');
  });

  test('leaves out what another subscription delivers, and what the session published', () => {
    const omitting = { ...whole, omits: (channel: string) => channel === 'a' };
    expect(textOf(two(), cursorOf(omitting))).toBe('b:4 ~9');
    const own = { ...message(3), from: { session: 's1' } };
    const batch = new SelectionBatch([new MessageBatch('a', 'e1', [own, message(4)])], '~9', 1_000);
    expect(textOf(batch, cursorOf(undefined, 's1'))).toBe('a:4 ~9');
    expect(textOf(batch, cursorOf(undefined, 's2'))).toBe('a:3 a:4 ~9');
  });

  test('is nothing when all of it is left out', () => {
    expect(textOf(two(), cursorOf({ ...whole, omits: () => true }))).toBeUndefined();
  });
});
