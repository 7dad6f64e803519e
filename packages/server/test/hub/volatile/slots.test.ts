import { describe, expect, test } from 'vitest';
import type { Message } from '@trunkline/wire';
import { MESSAGE_OVERHEAD_SIZE } from '../../../src/hub/message-batch.ts';
import { SLOT_COUNT_MAX, Slots, SLOTS_SIZE_MAX } from '../../../src/hub/volatile/slots.ts';

function message(text: string, rest: Partial<Message> = {}): Message {
  return { offset: 0, time: 0, payload: Buffer.from(text), ...rest };
}

function textsAfter(slots: Slots, sequence = 0): string[] {
  return slots.after(sequence).map(({ message: { payload } }) => Buffer.from(payload).toString());
}

describe('slots', () => {
  test('keep the newest message of each, in the order in which it came [VOL-3]', () => {
    const slots = new Slots();
    slots.put('a', message('a1', { slot: 'x' }));
    slots.put('a', message('b1', { slot: 'y' }));
    const { sequence } = slots;
    slots.put('a', message('a2', { slot: 'x' }));
    slots.put('b', message('c1', { slot: 'x' }));
    expect(textsAfter(slots)).toEqual(['b1', 'a2', 'c1']);
    expect(textsAfter(slots, sequence)).toEqual(['a2', 'c1']);
    expect(textsAfter(slots, slots.sequence)).toEqual([]);
  });

  test('are those of the publishers where none is named [VOL-3]', () => {
    const slots = new Slots();
    slots.put('a', message('1', { from: { session: 's1' } }));
    slots.put('a', message('2', { from: { session: 's2' } }));
    slots.put('a', message('3', { from: { session: 's1' } }));
    slots.put('a', message('4', { slot: 's1' }));
    slots.put('a', message('5'));
    slots.put('a', message('6'));
    expect(textsAfter(slots)).toEqual(['2', '3', '4', '6']);
  });

  test('are bounded in number: the one written longest ago is forgotten', () => {
    const slots = new Slots();
    for (let slot = 0; slot < SLOT_COUNT_MAX; slot += 1) {
      slots.put('a', message(`${slot}`, { slot: `${slot}` }));
    }
    slots.put('a', message('first', { slot: '0' }));
    slots.put('a', message('one more', { slot: 'more' }));
    expect(slots.size).toBe(SLOT_COUNT_MAX);
    expect(textsAfter(slots).slice(0, 1)).toEqual(['2']);
    expect(textsAfter(slots).slice(-2)).toEqual(['first', 'one more']);
  });

  test('are bounded in bytes, but for the newest one', () => {
    const slots = new Slots();
    const size = SLOTS_SIZE_MAX / 4;
    const part = 'x'.repeat(size - MESSAGE_OVERHEAD_SIZE);
    for (let slot = 0; slot < 5; slot += 1) slots.put('a', message(part, { slot: `${slot}` }));
    expect([slots.size, slots.keptSize]).toEqual([4, SLOTS_SIZE_MAX]);
    // Of the same slot it takes the place of the one before.
    slots.put('a', message(part, { slot: '2' }));
    expect([slots.size, slots.keptSize]).toEqual([4, SLOTS_SIZE_MAX]);
    slots.put('a', message('x'.repeat(2 * SLOTS_SIZE_MAX), { slot: 'large' }));
    expect(slots.size).toBe(1);
    slots.put('a', message('small', { slot: 'small' }));
    expect(textsAfter(slots)).toEqual(['small']);
    expect(slots.keptSize).toBe(MESSAGE_OVERHEAD_SIZE + 'small'.length);
  });
});
