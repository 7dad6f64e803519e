import { describe, expect, it } from 'vitest';
import { Circle } from '../../../../src/protocols/mqtt/share/circle.ts';
import type { CircleSeat } from '../../../../src/protocols/mqtt/share/circle.ts';
import type { Item } from '../../../../src/protocols/mqtt/share/seat.ts';

interface FakeSeat extends CircleSeat {
  hasRoom: boolean;
  takesIt: boolean;
}

const ITEM: Item = {
  run: { channel: 'a', epoch: 'e' },
  message: { offset: 1, time: 0, payload: new Uint8Array(0) },
};

function setUp(names: string) {
  const circle = new Circle<FakeSeat>();
  const told: string[] = [];
  const seats = Array.from(names, (name) => {
    const seat: FakeSeat = {
      ...{ hasRoom: true, takesIt: true },
      publicationOf: () =>
        seat.takesIt ? ({} as ReturnType<CircleSeat['publicationOf']>) : undefined,
      give: () => void told.push(name),
      requestRoom: () => void told.push(`${name}?`),
    };
    circle.add(seat);
    return seat;
  });
  const give = (count: number) => Array.from({ length: count }, () => circle.give(ITEM, 0));
  return { circle, told, seats, give };
}

describe('Circle', () => {
  it('gives to one after the other', () => {
    const { told, give } = setUp('abc');
    expect(give(7)).toEqual(Array(7).fill('given'));
    expect(told.join('')).toBe('abcabca');
  });

  it('passes over who has no room', () => {
    const { told, seats, give } = setUp('abc');
    if (seats[1] !== undefined) seats[1].hasRoom = false;
    give(4);
    expect(told.join('')).toBe('acac');
  });

  it('is full when nobody has room, and asks for it', () => {
    const { circle, told, seats, give } = setUp('ab');
    for (const seat of seats) seat.hasRoom = false;
    expect([give(1), circle.hasRoom]).toEqual([['full'], false]);
    circle.requestRoom();
    expect(told).toEqual(['a?', 'b?']);
  });

  it('waits for who may take what others do not', () => {
    const { told, seats, give } = setUp('ab');
    const [one, two] = seats;
    if (one === undefined || two === undefined) throw new Error('expected two seats');
    one.takesIt = false;
    two.hasRoom = false;
    expect(give(1)).toEqual(['full']);
    two.takesIt = false;
    two.hasRoom = true;
    expect(give(1)).toEqual(['dropped']);
    expect(told).toEqual([]);
  });

  it('is full while it is empty', () => {
    const { circle, give } = setUp('');
    expect([give(1), circle.hasRoom, circle.count]).toEqual([['full'], false, 0]);
  });

  it.each(['a', 'b', 'c', 'd'])('keeps the turn of the others when %s goes', (name) => {
    const { circle, told, give } = setUp('abcd');
    give(2);
    const seat = circle.seats['abcd'.indexOf(name)];
    if (seat !== undefined) circle.remove(seat);
    if (seat !== undefined) circle.remove(seat);
    give(6);
    expect(told.join('').slice(2)).toBe('cdab'.replace(name, '').repeat(2));
  });
});
