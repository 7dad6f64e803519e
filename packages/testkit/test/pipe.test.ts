import { describe, expect, test } from 'vitest';
import { ManualClock } from '../src/manual-clock.ts';
import { Pipe } from '../src/pipe.ts';

describe('Pipe', () => {
  test('lets items out in order, each after its delay and none before an earlier one', () => {
    const clock = new ManualClock();
    const out: string[] = [];
    const pipe = new Pipe<string>(clock, (item) => out.push(`${item}@${clock.monotonicMs()}`));
    pipe.put('now', 0);
    pipe.put('late', 50);
    pipe.put('quick', 10);
    clock.advance(100);
    expect(out).toEqual(['now@0', 'late@50', 'quick@50']);
  });

  test('lets out what it causes only after what is being let out', () => {
    const out: string[] = [];
    const pipe: Pipe<string> = new Pipe(new ManualClock(), (item) => {
      if (item === 'first') pipe.put('caused', 0);
      out.push(item);
    });
    pipe.put('first', 0);
    expect(out).toEqual(['first', 'caused']);
  });

  test('holds everything while blocked, also when it is blocked from inside', async () => {
    const clock = new ManualClock();
    const out: string[] = [];
    const pipe: Pipe<string> = new Pipe(clock, (item) => {
      out.push(item);
      pipe.setBlocked(true);
    });
    pipe.setBlocked(true);
    pipe.put('one', 0);
    pipe.put('two', 0);
    pipe.setBlocked(false);
    expect(out).toEqual([]);
    await clock.settle();
    expect(out).toEqual(['one']);
    pipe.setBlocked(false);
    await clock.settle();
    expect(out).toEqual(['one', 'two']);
  });

  test('loses what is under way when it is cleared', () => {
    const clock = new ManualClock();
    const out: string[] = [];
    const pipe = new Pipe<string>(clock, (item) => out.push(item));
    pipe.put('lost', 50);
    pipe.clear();
    pipe.put('kept', 10);
    clock.advance(100);
    expect(out).toEqual(['kept']);
    expect(clock.timerCount).toBe(0);
  });
});
