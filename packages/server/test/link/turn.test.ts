import { ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { Turn } from '../../src/link/turn.ts';

function setUp() {
  const clock = new ManualClock();
  const turn = new Turn(clock);
  const done: string[] = [];
  const writer = (name: string, more: () => void = () => {}) => ({
    flush() {
      done.push(name);
      more();
    },
  });
  return { clock, turn, done, writer };
}

/** A turn ends after a second look at the sockets. */
function endTurn(clock: ManualClock): void {
  clock.runDeferred();
  clock.runDeferred();
}

describe('a turn', () => {
  test('looks once more for input before it ends', () => {
    const { clock, turn, done, writer } = setUp();
    turn.prepare(() => done.push('of the first look'));
    clock.runDeferred();
    expect(done).toEqual([]);
    turn.prepare(() => done.push('of the second look'));
    turn.write(writer('write'));
    clock.runDeferred();
    expect(done).toEqual(['of the first look', 'of the second look', 'write']);
  });

  test('prepares everything before it writes anything, once', () => {
    const { clock, turn, done, writer } = setUp();
    turn.write(writer('write'));
    turn.prepare(() => {
      done.push('prepare');
      turn.write(writer('write what was prepared'));
    });
    expect(clock.deferredCount).toBe(1);
    endTurn(clock);
    expect(done).toEqual(['prepare', 'write', 'write what was prepared']);
    expect(clock.deferredCount).toBe(0);
  });

  test('leaves to the next turn what is asked for while it ends', () => {
    const { clock, turn, done, writer } = setUp();
    turn.prepare(() => {
      done.push('first');
      turn.prepare(() => done.push('asked for by a preparation'));
    });
    turn.write(writer('write', () => turn.write(writer('asked for by a write'))));
    endTurn(clock);
    expect(done).toEqual(['first', 'write']);
    expect(clock.deferredCount).toBe(1);
    endTurn(clock);
    expect(done.slice(2)).toEqual(['asked for by a preparation', 'asked for by a write']);
  });

  test('comes to an end for a preparation asked for by another, though nothing else happens', () => {
    const { clock, turn, done } = setUp();
    turn.prepare(() => turn.prepare(() => done.push('second')));
    endTurn(clock);
    expect(clock.deferredCount).toBe(1);
    endTurn(clock);
    expect(done).toEqual(['second']);
    expect(clock.deferredCount).toBe(0);
  });
});
