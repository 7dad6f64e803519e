import { ORIGIN } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { CatchUp, ENDS_COUNT_MAX, NOTED_COUNT_MAX } from '../../../src/hub/selection/catch-up.ts';
import { parsePlaceMark } from '../../../src/hub/place-mark.ts';

const at = (offset: number, epoch = 'e1') => ({ epoch, offset });
const base = { mark: '~7', behind: new Map<string, { epoch: string; offset: number }>() };

/** What is to be read, in order. */
function takeAll(catchUp: CatchUp): string[] {
  const taken: string[] = [];
  for (let leg = catchUp.take(); leg !== undefined; leg = catchUp.take()) {
    taken.push(`${leg.channel} ${leg.position.epoch}:${leg.position.offset}`);
  }
  return taken;
}

describe('what a reader still has to read', () => {
  test('is what changed first, then what got news meanwhile', () => {
    const catchUp = new CatchUp(base);
    catchUp.note('c', at(5));
    catchUp.resolve([
      { channel: 'a', position: at(1) },
      { channel: 'b', position: at(2) },
    ]);
    expect(takeAll(catchUp)).toEqual(['a e1:1', 'b e1:2', 'c e1:5']);
    expect(catchUp.isDone).toBe(true);
  });

  test('of a channel that changed includes its news, from the place furthest back', () => {
    const catchUp = new CatchUp(base);
    catchUp.note('a', at(4));
    catchUp.note('b', at(1));
    catchUp.note('b', at(3));
    catchUp.resolve([{ channel: 'a', position: at(2) }]);
    expect(takeAll(catchUp)).toEqual(['a e1:2', 'b e1:1']);
  });

  test('leaves out who stands at the top of the stream, unless it has news', () => {
    const stream = { epoch: 'e1', oldest: 1, top: 3 };
    const changed = ['a', 'b'].map((channel) => ({ channel, position: at(3), stream }));
    const catchUp = new CatchUp(base);
    catchUp.note('b', at(3));
    catchUp.resolve(changed);
    expect(takeAll(catchUp)).toEqual(['b e1:3']);
  });

  test('begins where the place says a channel stood, listed or not', () => {
    const behind = new Map([
      ['a', at(9)],
      ['z', at(4)],
    ]);
    const catchUp = new CatchUp({ mark: '~7', behind });
    catchUp.resolve([{ channel: 'a', position: at(1) }]);
    expect(takeAll(catchUp)).toEqual(['a e1:9', 'z e1:4']);
    expect(behind.size).toBe(2);
  });

  test('keeps what was known first where the stream began anew', () => {
    const catchUp = new CatchUp(base);
    catchUp.note('a', at(4));
    catchUp.note('a', at(1, 'e2'));
    catchUp.resolve([]);
    expect(takeAll(catchUp)).toEqual(['a e1:4']);
  });

  test('keeps the life that was known where there was no stream for a while', () => {
    const catchUp = new CatchUp(base);
    catchUp.note('a', at(4));
    catchUp.note('a', ORIGIN);
    catchUp.note('b', ORIGIN);
    catchUp.note('b', at(1));
    catchUp.resolve([]);
    expect(takeAll(catchUp)).toEqual(['a e1:0', 'b 0:0']);
  });

  test('keeps a life that was lost since, though there was no stream at the place', () => {
    const behind = new Map(['a', 'b'].map((channel) => [channel, ORIGIN]));
    const catchUp = new CatchUp({ mark: '~7', behind });
    catchUp.resolve([
      { channel: 'a', position: at(0, 'lost') },
      { channel: 'b', position: ORIGIN },
    ]);
    expect(takeAll(catchUp)).toEqual(['a lost:0', 'b 0:0']);
  });

  test('is shared: ten thousand readers that stand at one place have one list', () => {
    const changed = Object.freeze([{ channel: 'a', position: at(1) }]);
    const readers = Array.from({ length: 10_000 }, () => new CatchUp(base));
    for (const reader of readers) reader.resolve(changed);
    for (const reader of readers) expect(takeAll(reader)).toEqual(['a e1:1']);
  });

  test('has an end: over so many channels with news the reader is too slow [WILD-6]', () => {
    const catchUp = new CatchUp(base);
    for (let count = 0; count < NOTED_COUNT_MAX; count += 1) {
      expect(catchUp.note(`c${count}`, at(1))).toBe(true);
    }
    expect(catchUp.note('c0', at(2))).toBe(true);
    expect(catchUp.note('one more', at(1))).toBe(false);
  });
});

describe('a leg that can not be read at once', () => {
  test('takes in what is noted before and leaves out what is noted meanwhile', () => {
    const catchUp = new CatchUp(base);
    catchUp.resolve([]);
    catchUp.note('a', at(3));
    catchUp.hold('a', at(5));
    catchUp.note('a', at(7));
    expect(catchUp.isDone).toBe(false);
    expect(catchUp.letGo('a')).toEqual(at(3));
    expect(catchUp.isDone).toBe(true);
  });

  test('can be asked for from further back meanwhile', () => {
    const catchUp = new CatchUp(base);
    catchUp.resolve([]);
    catchUp.hold('a', at(5));
    catchUp.goBack('a', at(2));
    expect(catchUp.letGo('a')).toEqual(at(2));
  });
});

describe('a channel in doubt', () => {
  test('is one too many over as many as may have news [WILD-6]', () => {
    const catchUp = new CatchUp(base);
    for (let count = 0; count < NOTED_COUNT_MAX; count += 1) {
      expect(catchUp.doubt(`c${count}`, base)).toBe(true);
    }
    expect(catchUp.doubt('one more', base)).toBe(false);
    expect(catchUp.doubt('c1', base)).toBe(true);
  });

  test('is asked for after everything else, before its news is read', () => {
    const catchUp = new CatchUp(base);
    catchUp.doubt('a', base);
    catchUp.doubt('a', { mark: '~9', behind: base.behind });
    catchUp.note('a', at(6));
    catchUp.resolve([{ channel: 'b', position: at(1) }]);
    expect(takeAll(catchUp)).toEqual(['b e1:1']);
    expect(catchUp.takeDoubt()).toEqual(['a', base]);
    catchUp.look('a', base);
    expect(catchUp.letGo('a')).toEqual(at(6));
  });

  test('has the news of meanwhile though nothing was known when it was asked for', () => {
    const catchUp = new CatchUp(base);
    catchUp.resolve([]);
    catchUp.look('a', base);
    catchUp.note('a', at(0));
    catchUp.note('a', at(1));
    expect(catchUp.letGo('a')).toEqual(at(0));
  });

  test('again while it is asked for is asked for once more, after the same place', () => {
    const later = { mark: '~9', behind: base.behind };
    const catchUp = new CatchUp(base);
    catchUp.resolve([]);
    catchUp.look('a', base);
    catchUp.doubt('a', later);
    catchUp.hold('b', at(2));
    catchUp.doubt('b', later); // It is read to the head.
    expect(catchUp.letGo('a')).toBeUndefined();
    catchUp.letGo('b');
    expect(catchUp.takeDoubt()).toEqual(['a', base]);
    expect(catchUp.takeDoubt()).toBeUndefined();
  });

  test('again while it is asked for waits for that answer, with the news of meanwhile', () => {
    const catchUp = new CatchUp(base);
    catchUp.resolve([]);
    catchUp.look('a', base);
    catchUp.doubt('a', base);
    expect(catchUp.takeDoubt()).toBeUndefined();
    catchUp.note('a', at(1));
    expect(catchUp.letGo('a')).toEqual(at(1)); // The answer knew nothing of it.
    catchUp.note('a', at(1));
    expect(takeAll(catchUp)).toEqual([]);
    expect(catchUp.takeDoubt()).toEqual(['a', base]);
  });

  test('is none where a leg is still to be read', () => {
    const catchUp = new CatchUp(base);
    catchUp.doubt('a', base);
    catchUp.resolve([{ channel: 'a', position: at(1) }]);
    takeAll(catchUp);
    expect(catchUp.takeDoubt()).toBeUndefined();
  });

  test('is none where news from before the doubt is still to be read', () => {
    const catchUp = new CatchUp(base);
    catchUp.resolve([]);
    catchUp.note('a', at(3));
    catchUp.doubt('a', { mark: '~9', behind: new Map([['a', at(8)]]) });
    expect(takeAll(catchUp)).toEqual(['a e1:3']);
    expect(catchUp.takeDoubt()).toBeUndefined();
  });

  test('goes on where it was read to meanwhile', () => {
    const catchUp = new CatchUp(base);
    catchUp.resolve([]);
    catchUp.reached('a', at(8));
    catchUp.doubt('a', base);
    expect(takeAll(catchUp)).toEqual(['a e1:8']);
  });
});

describe('the mark on the way', () => {
  test('is where it began, and where channels stand since', () => {
    const catchUp = new CatchUp(base);
    expect(catchUp.mark()).toBeUndefined();
    catchUp.resolve([]);
    expect(catchUp.mark()).toBe('~7');
    catchUp.reached('a', at(2));
    expect(parsePlaceMark(catchUp.mark() ?? '')).toEqual({
      mark: '~7',
      behind: new Map([['a', at(2)]]),
    });
  });

  test('is not told any more when that are too many, and nothing is kept for it', () => {
    const catchUp = new CatchUp(base);
    catchUp.resolve([]);
    for (let count = 0; count <= ENDS_COUNT_MAX; count += 1) catchUp.reached(`c${count}`, at(1));
    expect(catchUp.mark()).toBeUndefined();
  });
});
