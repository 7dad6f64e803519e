import { ManualClock, seededRandom } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { Saver } from '../../../../src/protocols/mqtt/session/saver.ts';

/** A saver of one number, whose writes end when the test says so. */
function setUp() {
  const clock = new ManualClock();
  const kept = { value: 0, stored: 0 };
  const writes: { readonly value: number; end(error?: Error): void }[] = [];
  const errors: unknown[] = [];
  const saver = new Saver({
    write: () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const { value } = kept;
      const end = (error?: Error): void => {
        if (error !== undefined) reject(error);
        else {
          kept.stored = value;
          resolve();
        }
      };
      writes.push({ value, end });
      return promise;
    },
    clock,
    delayMs: 500,
    onFailed: (error) => errors.push(error),
  });
  /** What a promise says of itself by now. */
  const state = async (promise: Promise<void>): Promise<'done' | 'waiting'> => {
    let done = false;
    void promise.then(() => (done = true));
    await clock.settle();
    return done ? 'done' : 'waiting';
  };
  return { clock, kept, writes, errors, saver, state };
}

describe('Saver', () => {
  it('writes once for all that one turn brings, with what is kept at its end', async () => {
    const { saver, kept, writes, state, clock } = setUp();
    const first = saver.save();
    kept.value = 1;
    const second = saver.save();
    kept.value = 2;
    expect(writes).toHaveLength(0);
    await clock.settle();
    expect(writes.map(({ value }) => value)).toEqual([2]);
    expect(await state(first)).toBe('waiting');
    writes[0]?.end();
    expect(await state(first)).toBe('done');
    expect(await state(second)).toBe('done');
  });

  it('writes once more for all who ask during a write', async () => {
    const { saver, kept, writes, state, clock } = setUp();
    const first = saver.save();
    await clock.settle();
    kept.value = 1;
    const during = [saver.save(), saver.save()];
    kept.value = 2;
    expect(writes).toHaveLength(1);
    writes[0]?.end();
    expect(await state(first)).toBe('done');
    for (const one of during) expect(await state(one)).toBe('waiting');
    expect(writes.map(({ value }) => value)).toEqual([0, 2]);
    writes[1]?.end();
    for (const one of during) expect(await state(one)).toBe('done');
    // Nothing is left to do, and the next one begins anew.
    void saver.save();
    await clock.settle();
    expect(writes).toHaveLength(3);
  });

  it('waits with what has time, and lets it go with what has none', async () => {
    const { saver, writes, clock } = setUp();
    saver.saveSoon();
    saver.saveSoon();
    await clock.pass(499);
    expect(writes).toHaveLength(0);
    await clock.pass(1);
    expect(writes).toHaveLength(1);
    // One that was asked for while a write is under way is not part of it.
    saver.saveSoon();
    writes[0]?.end();
    await clock.pass(500);
    expect(writes).toHaveLength(2);
    void saver.save();
    saver.saveSoon();
    expect(clock.timerCount).toBe(0);
  });

  it('tries again what failed, and whoever waits waits until it is done', async () => {
    const { saver, kept, writes, errors, state, clock } = setUp();
    const first = saver.save();
    await clock.settle();
    const during = saver.save();
    writes[0]?.end(new Error('the disk is full'));
    expect(await state(first)).toBe('waiting');
    kept.value = 7;
    const after = saver.save();
    expect(errors).toHaveLength(1);
    expect(writes).toHaveLength(1);
    await clock.pass(1_000);
    expect(writes.map(({ value }) => value)).toEqual([0, 7]);
    writes[1]?.end(new Error('still full'));
    expect(await state(after)).toBe('waiting');
    await clock.pass(1_000);
    writes[2]?.end();
    for (const one of [first, during, after]) expect(await state(one)).toBe('done');
    expect(writes).toHaveLength(3);
  });

  it('goes on after a write that fails before it has begun', async () => {
    const clock = new ManualClock();
    const errors: unknown[] = [];
    let fails = true;
    const saver = new Saver({
      write: () => {
        if (fails) throw new RangeError('too large');
        return Promise.resolve();
      },
      ...{ clock, delayMs: 1, onFailed: (error) => errors.push(error) },
    });
    let done = false;
    void saver.save().then(() => (done = true));
    await clock.settle();
    expect(errors).toHaveLength(1);
    fails = false;
    await clock.pass(1_000);
    expect(done).toBe(true);
  });

  it('ends when the write under way is over, and begins no other', async () => {
    const { saver, writes, state, clock } = setUp();
    const first = saver.save();
    await clock.settle();
    const during = saver.save();
    saver.saveSoon();
    const ended = saver.end();
    expect(await state(ended)).toBe('waiting');
    writes[0]?.end();
    expect(await state(ended)).toBe('done');
    expect(await state(first)).toBe('done');
    expect(await state(during)).toBe('waiting');
    const late = saver.save();
    saver.saveSoon();
    await clock.pass(10_000);
    expect(await state(late)).toBe('waiting');
    expect(writes).toHaveLength(1);
  });

  it('does not try again after its end what fails', async () => {
    const { saver, writes, state, clock } = setUp();
    void saver.save();
    await clock.settle();
    const ended = saver.end();
    writes[0]?.end(new Error('the disk is full'));
    expect(await state(ended)).toBe('done');
    await clock.pass(10_000);
    expect(writes).toHaveLength(1);
    expect(clock.timerCount).toBe(0);
  });

  it('ends at once where nothing is under way', async () => {
    const { saver, state } = setUp();
    expect(await state(saver.end())).toBe('done');
  });

  it.each([1, 2, 3, 4, 5])('says it is stored only when it is (seed %i)', async (seed) => {
    const random = seededRandom(seed);
    const { saver, kept, writes, clock } = setUp();
    let begun = 0;
    let resolved = 0;
    let asked = 0;
    for (let step = 0; step < 400; step += 1) {
      if (random.chance(0.4)) {
        kept.value += 1;
        const wanted = kept.value;
        asked += 1;
        void saver.save().then(() => {
          resolved += 1;
          expect(kept.stored).toBeGreaterThanOrEqual(wanted);
        });
      } else if (random.chance(0.3)) saver.saveSoon();
      else if (random.chance(0.5) && begun < writes.length) {
        writes[begun]?.end(random.chance(0.3) ? new Error('failed') : undefined);
        begun += 1;
      } else await clock.pass(random.integer(1_500));
      expect(writes.length - begun).toBeLessThanOrEqual(1);
    }
    for (let round = 0; round < 10; round += 1) {
      await clock.pass(1_000);
      for (; begun < writes.length; begun += 1) writes[begun]?.end();
    }
    await clock.settle();
    expect(resolved).toBe(asked);
    expect(kept.stored).toBe(kept.value);
  });
});
