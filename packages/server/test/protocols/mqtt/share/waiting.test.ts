import type { Message } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import { SentPlace } from '../../../../src/protocols/mqtt/delivery/sent-place.ts';
import type { Portion } from '../../../../src/protocols/mqtt/share/share-reader.ts';
import { Waiting } from '../../../../src/protocols/mqtt/share/waiting.ts';

const messageAt = (offset: number): Message => ({ offset, time: 0, payload: new Uint8Array(0) });
const placeAt = (offset: number) => ({ channel: 'a', epoch: 'e', offset });

function portion(offsets: readonly number[], end: number): Portion {
  const runs = [[], offsets].map((those) => {
    return { channel: 'a', epoch: 'e', messages: those.map(messageAt) };
  });
  return { runs, end: { mark: undefined, places: [placeAt(end)] } };
}

describe('Waiting', () => {
  it('gives all in their order, and stands at the end', () => {
    const waiting = new Waiting();
    const place = new SentPlace('e:0');
    const given: number[] = [];
    waiting.add(portion([1, 2], 2));
    waiting.add(portion([], 4));
    waiting.add(portion([5], 5));
    const count = waiting.give(place, ({ message }) => {
      given.push(message.offset);
      return message.offset === 2 ? 'dropped' : 'given';
    });
    expect([given, count, place.toString(), waiting.isEmpty]).toEqual([[1, 2, 5], 3, 'e:5', true]);
  });

  it('stops where one is not taken, and goes on there', () => {
    const waiting = new Waiting();
    const place = new SentPlace('e:0');
    waiting.add(portion([1, 2, 3], 4));
    const upTo = (max: number) =>
      waiting.give(place, ({ message }) => (message.offset > max ? 'full' : 'given'));
    expect([upTo(2), place.toString(), waiting.isEmpty]).toEqual([2, 'e:2', false]);
    expect([upTo(2), place.toString()]).toEqual([0, 'e:2']);
    expect([upTo(9), place.toString(), waiting.isEmpty]).toEqual([1, 'e:4', true]);
  });
});
