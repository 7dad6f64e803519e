import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { Outbox } from '../../src/publishing/outbox.ts';
import { UncertainError } from '../../src/publishing/published.ts';
import { FakeAttempt } from './fake-attempt.ts';
import { OutboxWorld } from './outbox-world.ts';

const HOUR = 3_600_000;

describe('publishing', () => {
  test('sends at once and in order, and tells the position of each', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publishAll('a', 'b', 'a');
    expect(world.attempt.data).toEqual([0, 1, 2]);
    expect(world.outbox.waiting).toBe(3);
    await world.accept(2, 0, 1);
    expect(world.results).toEqual([
      { channel: 'a', offset: 2, epoch: 'e', position: 'e:2' },
      { channel: 'b', offset: 3, epoch: 'e', position: 'e:3' },
      { channel: 'a', offset: 1, epoch: 'e', position: 'e:1' },
    ]);
    world.expectIdle();
  });

  test('waits for a connection as long as it must, without a timer', async () => {
    const world = new OutboxWorld();
    world.publishAll('a', 'b');
    await world.clock.pass(100 * HOUR);
    expect(world.clock.timerCount).toBe(0);
    world.ready();
    expect(world.attempt.data).toEqual([0, 1]);
    await world.accept(0, 1);
    world.expectIdle();
  });

  test('has a key of its own for each publish unless one is given [PUB-3]', () => {
    const world = new OutboxWorld();
    const other = new Outbox({ clock: world.clock, random: () => 0.25 });
    world.ready();
    other.onReady(world.attempt, {});
    world.publishAll('a', 'a');
    world.publish('a', { key: 'mine"' });
    other.publish('a', '"channel":"a","data":1').catch(() => {});
    const keys = world.attempt.publishes.map(({ fields }) => fields['key']);
    expect(new Set(keys).size).toBe(4);
    expect(keys[2]).toBe('mine"');
  });

  test('tells that a channel is volatile [VOL-1]', async () => {
    const world = new OutboxWorld();
    world.ready().publishes.length = 0;
    world.publish('a');
    world.attempt.publishes[0]?.accept({ channel: 'a', volatile: true });
    await world.clock.settle();
    expect(world.results).toEqual([{ channel: 'a', volatile: true }]);
  });

  test('takes an answer without a position for no answer', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publish('a');
    world.attempt.publishes[0]?.accept({ portal: 'log in' });
    await world.clock.pass(60);
    expect(world.attempt.data).toEqual([0, 0]);
    await world.accept(1);
    expect(world.told).toEqual(['e:2']);
  });
});

describe('after a loss', () => {
  test('sends everything without an answer again, in order and with the same keys [GUA-6]', async () => {
    const world = new OutboxWorld();
    const first = world.ready();
    world.publishAll('a', 'b', 'a');
    await world.accept(1);
    await world.lose();
    world.publish('a');
    const second = world.ready();
    expect(second.data).toEqual([0, 2, 3]);
    expect(second.publishes[0]?.fields).toEqual(first.publishes[0]?.fields);
    expect(second.publishes[1]?.fields).toEqual(first.publishes[2]?.fields);
    await world.accept(0, 1, 2);
    world.expectIdle();
  });

  test('sends a volatile publish again too, which may deliver it twice', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publish('a');
    await world.lose();
    world.ready().publishes[0]?.accept({ channel: 'a', volatile: true });
    await world.clock.settle();
    expect(world.told).toEqual(['volatile']);
  });

  test('sends nothing of a channel before the old attempt has told what became of it', async () => {
    const world = new OutboxWorld();
    const first = world.ready();
    world.publish('a');
    // As when a better transport takes over: the old one is closed in the same turn.
    const second = world.ready();
    world.publishAll('a', 'b');
    expect(second.data).toEqual([2]);
    first.close();
    await world.clock.settle();
    expect(second.data).toEqual([2, 0, 1]);
  });

  test('takes an answer that an old attempt had already', async () => {
    const world = new OutboxWorld();
    const first = world.ready();
    world.publish('a');
    first.publishes[0]?.accept();
    world.ready();
    await world.clock.settle();
    expect(world.told).toEqual(['e:1']);
    expect(world.attempt.data).toEqual([]);
    world.expectIdle();
  });

  test.each(['unauthenticated', 'forbidden', 'bad_request'] as const)(
    'takes %s from an attempt that is over for its end, not for a refusal',
    async (code) => {
      const world = new OutboxWorld();
      const first = world.ready();
      world.publish('a');
      world.outbox.onLost();
      first.publishes[0]?.refuse(code);
      await world.clock.settle();
      world.ready();
      await world.accept(0);
      expect(world.told).toEqual(['e:1']);
    },
  );

  test('sends what an attempt never sent as if for the first time', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publish('a');
    world.outbox.onLost();
    world.attempt.publishes[0]?.refuse('unavailable', { stored: false });
    await world.clock.pass(100 * HOUR);
    expect(world.told).toEqual(['waits']);
    expect(world.clock.timerCount).toBe(0);
    world.ready();
    await world.accept(0);
    expect(world.told).toEqual(['e:1']);
  });
});

describe('an attempt that ends while it is asked', () => {
  test('leaves everything to the next one', async () => {
    const world = new OutboxWorld();
    world.publishAll('a', 'a', 'b');
    const broken = new FakeAttempt();
    const asked: unknown[] = [];
    broken.request = (ask) => {
      asked.push(ask);
      world.outbox.onLost();
      return Promise.reject(new CodedError('unavailable', 'it is over', { stored: false }));
    };
    world.outbox.onReady(broken, { commandsPerSecond: 2 });
    await world.clock.settle();
    expect(asked).toHaveLength(1);
    expect(world.clock.timerCount).toBe(0);
    world.ready();
    expect(world.attempt.data).toEqual([0, 1, 2]);
    await world.accept(0, 1, 2);
    world.expectIdle();
  });
});

describe('a key that is about to be forgotten', () => {
  test('leaves its publish uncertain rather than stored twice, connected or not', async () => {
    const world = new OutboxWorld();
    world.ready({ keyWindowMs: 10_000 });
    world.publish('a');
    await world.clock.pass(1000);
    await world.lose();
    await world.clock.pass(7999);
    expect(world.told).toEqual(['waits']);
    await world.clock.pass(1);
    expect(world.results[0]).toBeInstanceOf(UncertainError);
    expect(world.results[0]).toMatchObject({
      code: 'uncertain',
      message: expect.stringContaining('look into the history') as string,
      cause: { code: 'unavailable', stored: 'unknown' },
    });
    world.expectIdle();
  });

  test('is counted from the first time it was sent', async () => {
    const world = new OutboxWorld();
    for (let times = 0; times < 9; times += 1) {
      world.ready({ keyWindowMs: 10_000 });
      if (times === 0) world.publish('a');
      expect(world.attempt.data).toEqual([0]);
      await world.clock.pass(1000);
      await world.lose();
    }
    expect(world.told).toEqual(['UncertainError']);
  });

  test('is counted while the machine sleeps and the monotonic clock stands still', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publish('a');
    await world.lose();
    world.clock.stepUnix(HOUR * 0.9);
    world.ready();
    expect(world.attempt.data).toEqual([]);
    await world.clock.settle();
    expect(world.told).toEqual(['UncertainError']);
  });

  test('has an hour unless the server says another time', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publish('a');
    await world.lose();
    await world.clock.pass(HOUR * 0.9 - 1);
    expect(world.told).toEqual(['waits']);
    world.ready();
    expect(world.attempt.data).toEqual([0]);
  });

  test('may have longer than a timer can wait', async () => {
    const world = new OutboxWorld();
    world.ready({ keyWindowMs: 1000 * HOUR });
    world.publish('a');
    await world.lose();
    await world.clock.pass(899 * HOUR);
    expect(world.told).toEqual(['waits']);
    await world.clock.pass(HOUR);
    expect(world.told).toEqual(['UncertainError']);
  });

  test('does not hold up those behind it', async () => {
    const world = new OutboxWorld();
    world.ready({ keyWindowMs: 10_000 });
    world.publish('a');
    await world.lose();
    world.publish('a');
    await world.clock.pass(HOUR);
    world.ready();
    await world.accept(0);
    expect(world.told).toEqual(['UncertainError', 'e:1']);
    world.expectIdle();
  });
});

describe('giving a publish up', () => {
  test('before it was sent rejects with the reason, and it is never sent', async () => {
    const world = new OutboxWorld();
    const aborter = new AbortController();
    world.publish('a', { signal: aborter.signal });
    world.publish('a');
    aborter.abort(new Error('changed my mind'));
    await world.clock.settle();
    expect(world.results[0]).toMatchObject({ message: 'changed my mind' });
    world.ready();
    expect(world.attempt.data).toEqual([1]);
  });

  test('while it waits to be tried again rejects with the reason', async () => {
    const world = new OutboxWorld();
    const aborter = new AbortController();
    world.ready();
    world.publish('a', { signal: aborter.signal });
    await world.refuse(0);
    world.publish('a');
    aborter.abort(new Error('changed my mind'));
    expect(world.attempt.data).toEqual([0, 1]);
    await world.accept(1);
    expect(world.told).toEqual(['Error', 'e:1']);
    world.expectIdle();
  });

  test('after it was sent is uncertain, and its answer changes nothing', async () => {
    const world = new OutboxWorld();
    const aborter = new AbortController();
    world.ready();
    world.publishAll('a');
    world.publish('a', { signal: aborter.signal });
    world.publishAll('a');
    const reason = new Error('changed my mind');
    aborter.abort(reason);
    await world.clock.settle();
    expect(world.results[1]).toBeInstanceOf(UncertainError);
    expect(world.results[1]).toHaveProperty('cause', reason);
    await world.accept(1);
    // It counts as a later one all the same, and not against those behind it.
    await world.refuse(0, 2);
    await world.clock.pass(100);
    await world.accept(3);
    expect(world.told).toEqual(['unavailable false', 'UncertainError', 'e:2']);
    world.expectIdle();
  });

  test('in advance sends nothing', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publish('a', { signal: AbortSignal.abort(new Error('never')) });
    await world.clock.settle();
    expect(world.told).toEqual(['Error']);
    expect(world.attempt.data).toEqual([]);
    world.expectIdle();
  });

  test('is not listened for any more when it was answered', async () => {
    const world = new OutboxWorld();
    const { signal } = new AbortController();
    let count = 0;
    signal.addEventListener = () => (count += 1);
    signal.removeEventListener = () => (count -= 1);
    world.ready();
    world.publish('a', { signal });
    expect(count).toBe(1);
    await world.accept(0);
    expect(count).toBe(0);
  });
});

describe('the bounds of an outbox', () => {
  test('refuse what would be too many, until one was answered', async () => {
    const world = new OutboxWorld({ countMax: 2 });
    world.ready();
    world.publishAll('a', 'a', 'a');
    await world.accept(0);
    world.publish('a');
    await world.clock.settle();
    expect(world.told).toEqual(['e:1', 'waits', 'rate_limited false', 'waits']);
    expect(world.results[2]).toMatchObject({
      message: expect.stringContaining('at most 2 publishes of') as string,
    });
  });

  test('refuse what would be too large', async () => {
    const world = new OutboxWorld({ sizeMax: 80 });
    world.publishAll('a', 'a', 'a');
    await world.clock.settle();
    expect(world.told).toEqual(['waits', 'waits', 'rate_limited false']);
    world.ready();
    await world.accept(0);
    world.publish('a');
    await world.clock.settle();
    expect(world.told.at(-1)).toBe('waits');
  });

  test('are 1,000 publishes of 8 Mi characters', async () => {
    const world = new OutboxWorld();
    for (let count = 0; count < 1001; count += 1) world.publish('a');
    await world.clock.settle();
    expect(world.told.indexOf('rate_limited false')).toBe(1000);
    const large = `"channel":"a","data":"${'x'.repeat(8 * 1024 * 1024)}"`;
    await expect(new OutboxWorld().outbox.publish('a', large)).rejects.toMatchObject({
      stored: false,
    });
  });

  test('of the server are kept: so many commands a second and no more [WS-12]', async () => {
    const world = new OutboxWorld();
    world.ready({ commandsPerSecond: 100 });
    for (let count = 0; count < 200; count += 1) world.publish('a');
    expect(world.attempt.publishes.length).toBeLessThan(50);
    await world.clock.pass(1000);
    expect(world.attempt.publishes.length).toBeLessThanOrEqual(100);
    await world.clock.pass(4000);
    expect(world.attempt.data).toEqual(Array.from({ length: 200 }, (_, index) => index));
    expect(world.clock.timerCount).toBe(0);
  });
});

describe('closing an outbox', () => {
  test('tells what certainly is not stored from what may be', async () => {
    const world = new OutboxWorld();
    world.ready();
    world.publishAll('a', 'b');
    await world.lose();
    world.ready();
    world.publish('a');
    await world.lose();
    world.publish('a');
    world.outbox.close();
    world.publish('a');
    await world.clock.settle();
    const uncertain = Array.from({ length: 3 }, () => 'UncertainError');
    expect(world.told).toEqual([...uncertain, 'unavailable false', 'unavailable false']);
    world.expectIdle();
  });

  test('tells of what is under way what its attempt does as it ends', async () => {
    const world = new OutboxWorld();
    const { publishes } = world.ready();
    world.publishAll('a', 'b', 'c', 'd');
    world.outbox.close(new CodedError('unauthenticated', 'expired', { stored: false }));
    world.outbox.open();
    publishes[0]?.accept();
    publishes[1]?.refuse('unavailable', { stored: false });
    publishes[2]?.refuse('forbidden', { stored: false });
    publishes[3]?.refuse('unavailable', { stored: 'unknown' });
    await world.clock.settle();
    const refused = 'unauthenticated false';
    expect(world.told).toEqual(['e:1', refused, refused, 'UncertainError']);
    world.expectIdle();
  });

  test('tells why when there is more to say, and opens again', async () => {
    const world = new OutboxWorld();
    world.publish('a');
    world.outbox.close(new CodedError('forbidden', 'no', { stored: false }));
    world.publish('a');
    world.outbox.open();
    world.publish('a');
    world.ready();
    await world.accept(0);
    expect(world.told).toEqual(['forbidden false', 'forbidden false', 'e:1']);
    world.expectIdle();
  });
});
