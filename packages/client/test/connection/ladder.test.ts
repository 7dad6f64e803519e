import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { Ladder } from '../../src/connection/ladder.ts';
import type { TransportName } from '../../src/transports/transport.ts';
import { fakePlatform } from '../support/fakes.ts';
import { ALL, ended, Kept, ladderOf, transport } from '../support/ladders.ts';

const MINUTE = 60_000;

describe('next', () => {
  test('is the preferred one until it has failed twice in a row', () => {
    const { ladder, next } = ladderOf({});
    expect(next()).toBe('websocket');
    ladder.failed('websocket', ended('closed with 1006'));
    expect(next()).toBe('websocket');
    expect(next()).toBe('websocket');
    ladder.failed('websocket', ended('closed with 1006'));
    expect(next()).toBe('sse');
  });

  test('steps down after one timeout', () => {
    const { ladder, next } = ladderOf({});
    ladder.failed('websocket', ended('no welcome in time', true));
    expect(next()).toBe('sse');
  });

  test('counts failures in a row only', () => {
    const { ladder, next } = ladderOf({});
    for (let count = 0; count < 5; count += 1) {
      ladder.failed('websocket', ended('refused'));
      ladder.worked('websocket');
      ladder.lost('websocket', MINUTE, 'closed with 1006');
    }
    expect(next()).toBe('websocket');
  });

  test('begins again at the top when all fail in turn, and blames none', () => {
    const memory = new Kept();
    const { ladder, next } = ladderOf({ memory });
    const tried: string[] = [];
    for (let count = 0; count < 9; count += 1) {
      tried.push(next());
      ladder.failed(next(), ended('refused'));
    }
    expect(tried).toEqual([
      ...['websocket', 'websocket', 'sse', 'sse', 'long-poll', 'long-poll'],
      // The server is away: once each is enough.
      ...['websocket', 'sse', 'long-poll'],
    ]);
    expect(next()).toBe('websocket');
    ladder.failed('websocket', ended('refused'));
    ladder.worked('sse');
    expect(memory.text).toBeNull();
    ladder.lost('sse', MINUTE, 'closed');
    expect(next()).toBe('websocket');
  });

  test('tries even what is left aside when nothing else works', () => {
    const { ladder, next, fallTo } = ladderOf({ names: ['websocket', 'sse'] });
    fallTo('sse');
    ladder.lost('sse', 1000, 'closed');
    for (let count = 0; count < 4; count += 1) {
      expect(next()).toBe('sse');
      ladder.failed('sse', ended('refused'));
    }
    expect(next()).toBe('websocket');
    expect(next()).toBe('websocket');
    ladder.failed('websocket', ended('refused'));
    expect(next()).toBe('sse');
  });

  test('stays with one that worked a moment ago: a server that restarts is no proxy', () => {
    const { ladder, next } = ladderOf({ names: ['websocket', 'sse'] });
    ladder.worked('websocket');
    ladder.lost('websocket', 1000, 'closed');
    for (let count = 0; count < 3; count += 1) ladder.failed('websocket', ended('refused'));
    expect(next()).toBe('websocket');
    ladder.failed('websocket', ended('refused'));
    expect(next()).toBe('sse');
  });

  test('gives each its usual number of attempts again once one has worked, or on another network', () => {
    for (const isOther of [false, true]) {
      const { ladder, next } = ladderOf({});
      for (let count = 0; count < 6; count += 1) ladder.failed(next(), ended('refused'));
      expect(next()).toBe('websocket');
      if (isOther) {
        ladder.networkChanged();
      } else {
        ladder.worked('websocket');
        ladder.lost('websocket', 100, 'closed');
      }
      ladder.failed('websocket', ended('refused'));
      expect(next()).toBe('websocket');
    }
  });

  test('goes on for ever with a single transport', () => {
    const { ladder, next } = ladderOf({ names: ['websocket'] });
    for (let count = 0; count < 10; count += 1) {
      expect(next()).toBe('websocket');
      ladder.failed('websocket', ended('refused', true));
      ladder.worked('websocket');
      ladder.lost('websocket', 10, 'closed');
    }
  });

  test('stays with what works after a loss, while the better one is left aside', () => {
    const { ladder, clock, next, fallTo } = ladderOf({});
    fallTo('sse');
    ladder.lost('sse', 10 * MINUTE, 'closed');
    expect(next()).toBe('sse');
    clock.advance(10 * MINUTE);
    expect(next()).toBe('websocket');
    // It has failed here before: once is enough.
    ladder.failed('websocket', ended('refused'));
    expect(next()).toBe('sse');
  });

  test('is more patient with what served well here: the server may restart', () => {
    const memory = new Kept();
    const { ladder, clock, next } = ladderOf({ memory });
    ladder.worked('websocket');
    ladder.lost('websocket', 5000, 'closed with 1006');
    for (let count = 0; count < 4; count += 1) {
      expect(next()).toBe('websocket');
      ladder.failed('websocket', ended('closed with 1006'));
    }
    expect(next()).toBe('sse');
    ladder.worked('sse');
    expect(memory.text).toBeNull();
    expect(ladder.climb()).toMatchObject({ transport: { name: 'websocket' }, inMs: 5000 });
    // That is the proof: it fails while another one works.
    ladder.climbFailed('websocket', ended('closed with 1006'));
    expect(memory.text).toContain('websocket');
    ladder.lost('sse', MINUTE, 'closed');
    expect(next()).toBe('sse');
    clock.advance(10 * MINUTE);
    expect(next()).toBe('websocket');
    ladder.failed('websocket', ended('closed with 1006'));
    expect(next()).toBe('sse');
  });

  test('is as impatient as ever when the network is another one', () => {
    const { ladder, next } = ladderOf({});
    ladder.worked('websocket');
    ladder.lost('websocket', MINUTE, 'closed with 1006');
    ladder.networkChanged();
    ladder.failed('websocket', ended('no welcome in time', true));
    expect(next()).toBe('sse');
  });

  test('leaves out what can not work in this runtime', () => {
    const platform = fakePlatform();
    const options = { platform, unixMs: () => 0 };
    const ladder = new Ladder([transport('websocket', 'no WebSocket'), transport('sse')], options);
    expect(ladder.next().name).toBe('sse');
    ladder.worked('sse');
    expect(ladder.climb()).toBeUndefined();
    expect(ladder.explain().tried[0]).toEqual({
      ...{ name: 'websocket', verdict: 'unavailable', reason: 'no WebSocket' },
    });
  });

  test('throws with each fault when none can work', () => {
    const platform = fakePlatform();
    const transports = [transport('websocket', 'no WebSocket'), transport('sse', 'no streams')];
    const ladder = new Ladder(transports, { platform, unixMs: () => 0 });
    const thrown = new CodedError(
      'bad_request',
      'no transport can work here (websocket: no WebSocket; sse: no streams)',
    );
    expect(() => ladder.next()).toThrow(thrown);
    expect(() => new Ladder([], { platform, unixMs: () => 0 }).next()).toThrow(CodedError);
  });
});

describe('a connection that is cut', () => {
  function cut(ladder: Ladder, livedMs: number) {
    const { name } = ladder.next();
    ladder.worked(name);
    ladder.lost(name, livedMs, 'closed with 1006');
  }

  test('three times in a row within five seconds makes its transport unstable', () => {
    const memory = new Kept();
    const { ladder, next } = ladderOf({ memory });
    cut(ladder, 4999);
    cut(ladder, 100);
    expect(next()).toBe('websocket');
    cut(ladder, 0);
    expect(next()).toBe('sse');
    ladder.worked('sse');
    expect(ladder.explain()).toMatchObject({
      transport: 'sse',
      tried: [{ name: 'websocket', verdict: 'unstable', againInMs: 30_000 }, {}, {}],
    });
    // A server that falls again and again looks the same: the next page is to find out by itself.
    expect(memory.text ?? '').not.toContain('websocket');
  });

  test('later than that is no reason to step down', () => {
    const { ladder, next } = ladderOf({});
    for (let count = 0; count < 20; count += 1) {
      cut(ladder, 100);
      cut(ladder, 100);
      cut(ladder, 5000);
      expect(next()).toBe('websocket');
    }
  });

  test('once is enough where its transport failed before, until it was stable', () => {
    const { ladder, next, fallTo } = ladderOf({});
    fallTo('sse');
    ladder.worked('websocket');
    ladder.lost('websocket', 100, 'closed with 1006');
    expect(next()).toBe('sse');
    ladder.worked('sse');
    ladder.worked('websocket');
    ladder.lost('websocket', 5000, 'closed with 1006');
    cut(ladder, 100);
    expect(next()).toBe('websocket');
  });

  test('speaks against a transport that served well before', () => {
    const { ladder, next } = ladderOf({});
    cut(ladder, MINUTE);
    for (let count = 0; count < 3; count += 1) cut(ladder, 100);
    expect(next()).toBe('sse');
    ladder.worked('sse');
    expect(ladder.climb()?.inMs).toBe(30_000);
  });

  test('is not counted together with those on another network', () => {
    const { ladder, next } = ladderOf({});
    cut(ladder, 100);
    cut(ladder, 100);
    ladder.networkChanged();
    cut(ladder, 100);
    expect(next()).toBe('websocket');
  });

  test('is tried again less and less often', () => {
    const { ladder, clock, next } = ladderOf({ names: ['websocket', 'sse'] });
    for (let count = 0; count < 3; count += 1) cut(ladder, 100);
    const waits: number[] = [];
    for (let count = 0; count < 7; count += 1) {
      expect(next()).toBe('sse');
      ladder.worked('sse');
      const climb = ladder.climb();
      if (climb === undefined) return expect.unreachable();
      waits.push(climb.inMs / 1000);
      clock.advance(climb.inMs);
      ladder.worked('websocket');
      ladder.lost('websocket', 100, 'closed with 1006');
    }
    expect(waits).toEqual([30, 60, 120, 240, 480, 600, 600]);
  });

  test('on every transport is a server that falls: the top is tried again', () => {
    const { ladder } = ladderOf({});
    const tried: string[] = [];
    for (let count = 0; count < 10; count += 1) {
      tried.push(ladder.next().name);
      cut(ladder, 100);
    }
    expect(tried.slice(0, 9)).toEqual(ALL.flatMap((name) => [name, name, name]));
    expect(tried[9]).toBe('websocket');
  });
});

describe('climb', () => {
  test('is nothing at the top, and nothing without a transport in use', () => {
    const { ladder, fallTo } = ladderOf({});
    expect(ladder.climb()).toBeUndefined();
    ladder.worked('websocket');
    expect(ladder.climb()).toBeUndefined();
    ladder.lost('websocket', MINUTE, 'closed');
    fallTo('sse');
    expect(ladder.climb()).toBeDefined();
    ladder.lost('sse', MINUTE, 'closed');
    expect(ladder.climb()).toBeUndefined();
  });

  test('comes after 30 s, doubled up to ten minutes', () => {
    const { ladder, clock, fallTo } = ladderOf({});
    fallTo('sse');
    const waits: number[] = [];
    for (let count = 0; count < 8; count += 1) {
      const climb = ladder.climb();
      if (climb === undefined) return expect.unreachable();
      expect(climb.transport.name).toBe('websocket');
      expect(ladder.climb()).toEqual(climb);
      waits.push(climb.inMs / 1000);
      clock.advance(climb.inMs);
      expect(ladder.climb()?.inMs).toBe(0);
      ladder.climbFailed('websocket', ended('closed with 1006'));
    }
    expect(waits).toEqual([30, 60, 120, 240, 480, 600, 600, 600]);
  });

  test('is spread by chance', () => {
    const waits = [0, 0.999].map((fraction) => {
      const { ladder, fallTo } = ladderOf({ random: () => fraction });
      fallTo('sse');
      return Math.round(ladder.climb()?.inMs ?? 0);
    });
    expect(waits).toEqual([24_000, 35_988]);
  });

  test('leads to the better one, and to the best at last', () => {
    const { ladder, clock, fallTo, next } = ladderOf({});
    fallTo('long-poll');
    expect(ladder.climb()?.transport.name).toBe('websocket');
    clock.advance(30_000);
    ladder.climbFailed('websocket', ended('closed with 1006'));
    expect(ladder.climb()).toMatchObject({ transport: { name: 'sse' }, inMs: 0 });
    ladder.worked('sse');
    expect(ladder.climb()).toMatchObject({ transport: { name: 'websocket' }, inMs: 30_000 });
    clock.advance(30_000);
    ladder.worked('websocket');
    expect(ladder.climb()).toBeUndefined();
    expect(next()).toBe('websocket');
    ladder.lost('websocket', MINUTE, 'closed');
    expect(next()).toBe('websocket');
  });

  test('is due soon where several failed in turn: the server may just have started', () => {
    const memory = new Kept();
    const { ladder, fallTo } = ladderOf({ memory });
    fallTo('long-poll');
    expect(ladder.climb()).toMatchObject({ transport: { name: 'websocket' }, inMs: 5000 });
    expect(memory.text).toBeNull();
    ladder.climbFailed('websocket', ended('closed with 1006'));
    expect(memory.text).toContain('websocket');
  });

  test('is due at once when the network changed, and then begins with short waits', () => {
    const { ladder, clock, fallTo } = ladderOf({});
    fallTo('sse');
    for (let count = 0; count < 5; count += 1) ladder.climbFailed('websocket', ended('refused'));
    ladder.networkChanged();
    expect(ladder.climb()?.inMs).toBe(0);
    clock.advance(1000);
    ladder.climbFailed('websocket', ended('refused'));
    expect(ladder.climb()?.inMs).toBe(30_000);
  });

  test('is due at once when the network changed while nothing worked', () => {
    const { ladder, clock, fallTo } = ladderOf({});
    fallTo('sse');
    ladder.lost('sse', MINUTE, 'closed');
    ladder.networkChanged();
    clock.advance(100);
    expect(ladder.next().name).toBe('sse');
    ladder.worked('sse');
    expect(ladder.climb()?.inMs).toBe(0);
  });

  test('that failed without another one in use proves nothing', () => {
    const memory = new Kept();
    const { ladder, next } = ladderOf({ memory });
    ladder.climbFailed('websocket', ended('refused'));
    expect(memory.text).toBeNull();
    expect(next()).toBe('websocket');
  });
});

describe('explain', () => {
  test('says what is in use, since when, and why not another one', () => {
    const { ladder, clock } = ladderOf({});
    expect(ladder.explain()).toEqual({
      tried: ALL.map((name) => {
        return { name, verdict: 'not tried', reason: 'nothing speaks against it' };
      }),
    });
    ladder.failed('websocket', ended('closed with 1006'));
    ladder.failed('websocket', ended('closed with 1006'));
    clock.advance(1000);
    ladder.failed('sse', ended('no answer within 5 s', true));
    clock.advance(500);
    ladder.worked('long-poll');
    const since = clock.unixMs();
    clock.advance(2000);
    expect(ladder.explain()).toEqual({
      transport: 'long-poll',
      since,
      tried: [
        {
          ...{ name: 'websocket', verdict: 'failed', agoMs: 3500, againInMs: 3000 },
          reason: 'it ended before it was ready (closed with 1006): a proxy may block upgrades',
        },
        {
          ...{ name: 'sse', verdict: 'failed', agoMs: 2500, againInMs: 3000 },
          reason:
            'it ended before it was ready (no answer within 5 s): a proxy may buffer answers, or ' +
            'other tabs hold the six connections of HTTP/1.1',
        },
        { name: 'long-poll', verdict: 'in use', reason: 'it works', agoMs: 2000 },
      ],
    });
  });

  test('says nothing of use once it was left', () => {
    const { ladder, next } = ladderOf({});
    ladder.worked('websocket');
    ladder.left();
    expect(ladder.explain()).toMatchObject({ tried: [{ verdict: 'not tried' }, {}, {}] });
    expect(ladder.explain().transport).toBeUndefined();
    expect(next()).toBe('websocket');
  });

  test('tells how the last one was lost', () => {
    const { ladder } = ladderOf({});
    ladder.worked('websocket');
    ladder.lost('websocket', 61_200, 'closed with 1006');
    expect(ladder.explain()).toMatchObject({
      tried: [
        {
          ...{ name: 'websocket', verdict: 'failed', againInMs: 0 },
          reason: 'it ended after 61 s (closed with 1006)',
        },
        {},
        {},
      ],
    });
    expect(ladder.explain().transport).toBeUndefined();
  });
});

test('every run of events leaves a transport to try, and none above is forgotten', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = seeded(seed);
    const memory = new Kept();
    const { ladder, clock } = ladderOf({ memory, random });
    let present: TransportName | undefined;
    for (let step = 0; step < 100; step += 1) {
      clock.advance(Math.floor(random() * MINUTE));
      const climb = ladder.climb();
      expect(climb === undefined).toBe(present === undefined || present === 'websocket');
      expect(climb?.inMs ?? 0).toBeLessThanOrEqual(12 * MINUTE);
      const chance = random();
      if (chance < 0.05) ladder.networkChanged();
      else if (present === undefined) {
        const { name } = ladder.next();
        if (chance < 0.4) ladder.worked((present = name));
        else ladder.failed(name, ended('refused', chance < 0.6));
      } else if (climb !== undefined && chance < 0.5) {
        if (chance < 0.2) ladder.worked((present = climb.transport.name));
        else ladder.climbFailed(climb.transport.name, ended('refused'));
      } else {
        ladder.lost(present, Math.floor(random() * 10_000), 'closed');
        present = undefined;
      }
      expect(ladder.explain().transport).toBe(present);
      expect(memory.text?.length ?? 0).toBeLessThan(1000);
    }
    // When the server answers to all, the best is reached in the end.
    ladder.worked(ladder.next().name);
    for (let climb = ladder.climb(); climb !== undefined; climb = ladder.climb()) {
      clock.advance(climb.inMs);
      ladder.worked(climb.transport.name);
    }
    expect(ladder.explain().transport).toBe('websocket');
  }
});

/** A generator of its own, so that a seed reproduces. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
