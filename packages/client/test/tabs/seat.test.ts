/** Seats of tabs that find out who has the connection. */
import { expect, test } from 'vitest';
import { TabHost } from '../../src/tabs/host.ts';
import { LINGER_MS, Seat } from '../../src/tabs/seat.ts';
import type { Dialing } from '../../src/tabs/seat.ts';
import { FakePage, FakeWorld } from '../support/tabs-fakes.ts';
import { FakeLog, FakeUpstream } from '../support/tabs-upstream.ts';

class Tab {
  readonly page: FakePage;
  readonly seat: Seat;
  readonly told: string[] = [];
  readonly hosts: string[] = [];
  readonly upstreams: FakeUpstream[] = [];

  constructor(world: FakeWorld, name: string) {
    this.page = new FakePage(world, name);
    const { locks, openChannel, clock } = this.page;
    let ids = 0;
    this.seat = new Seat({
      ...{ group: 'g', locks, openChannel, clock, page: new EventTarget() },
      newId: () => `${name}${(ids += 1)}`,
      createHost: (id, onClose) => {
        this.hosts.push(id);
        const upstream = new FakeUpstream(new FakeLog(), this.page);
        this.upstreams.push(upstream);
        return new TabHost(upstream, { id, group: 'g', clock, onClose, locks });
      },
    });
  }

  dial(): Dialing {
    const dialing = this.seat.dial({
      onPort: (port, lock) => {
        this.told.push(lock === undefined ? 'own host' : 'other host');
        port.listen((value) => {
          const [word] = value as { kind: string; host?: string }[];
          if (word?.kind === 'hello') dialing.reached(word.host ?? '');
        });
        const rest = lock === undefined ? {} : { lock };
        port.post([{ kind: 'hello', version: 1, group: 'g', url: 'u', encoding: 'e', ...rest }]);
      },
      onGone: () => this.told.push('gone'),
    });
    return dialing;
  }
}

function setUp(seed = 1) {
  const world = new FakeWorld(seed);
  const tabs = ['a', 'b', 'c'].map((name) => new Tab(world, name));
  const [a, b, c] = tabs;
  if (a === undefined || b === undefined || c === undefined) throw new Error('expected three');
  return { world, a, b, c };
}

test('one of the tabs leads, and the others reach its host', async () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const { world, a, b, c } = setUp(seed);
    for (const tab of [a, b, c]) tab.dial();
    await world.rest(100);
    const all = [a, b, c];
    expect(all.map(({ seat }) => seat.leads).filter(Boolean)).toEqual([true]);
    expect(all.flatMap(({ hosts }) => hosts)).toHaveLength(1);
    expect(all.flatMap(({ told }) => told).sort()).toEqual([
      'other host',
      'other host',
      'own host',
    ]);
  }
});

test('a leader that dies is followed by another one, and attempts at its host are gone', async () => {
  const { world, a, b, c } = setUp();
  a.dial();
  await world.rest();
  b.dial();
  await world.rest();
  c.dial();
  await world.rest();
  expect([a.told, b.told, c.told]).toEqual([['own host'], ['other host'], ['other host']]);
  a.page.die();
  await world.rest();
  expect([b.told, c.told]).toEqual([
    ['other host', 'gone'],
    ['other host', 'gone'],
  ]);
  expect(b.seat.leads).toBe(true);
  c.dial();
  b.dial();
  await world.rest();
  expect([b.told.at(-1), c.told.at(-1)]).toEqual(['own host', 'other host']);
});

test('the lock of a leader that gives no sign of life is taken, and it steps down', async () => {
  const { world, a, b } = setUp();
  a.dial();
  await world.rest();
  const dialing = b.dial();
  await world.rest();
  a.page.isFrozen = true;
  dialing.silent();
  dialing.close();
  await world.rest();
  expect(b.seat.leads).toBe(true);
  b.dial();
  await world.rest();
  expect(b.told.at(-1)).toBe('own host');
  a.page.isFrozen = false;
  await world.rest();
  expect([a.seat.leads, a.upstreams[0]?.isClosed]).toEqual([false, true]);
});

test('a tab that dials no more leads on for a while, and gives way then', async () => {
  const { world, a, b } = setUp();
  const first = a.dial();
  await world.rest();
  b.dial();
  await world.rest();
  first.close();
  await world.rest(LINGER_MS - 1);
  const second = a.dial();
  await world.rest(LINGER_MS);
  expect(a.seat.leads).toBe(true);
  second.close();
  await world.rest(LINGER_MS);
  expect([a.seat.leads, b.seat.leads]).toEqual([false, true]);
  expect(a.upstreams[0]?.isClosed).toBe(true);
});

test('a page that is left gives the connection away at once', async () => {
  const { world, a, b } = setUp();
  a.dial();
  await world.rest();
  b.dial();
  await world.rest();
  a.seat.resign();
  a.seat.resign();
  await world.rest();
  expect([a.told, a.seat.leads, b.seat.leads]).toEqual([['own host', 'gone'], false, true]);
  a.dial();
  await world.rest();
  expect(a.told.at(-1)).toBe('other host');
});

test('a host that has ended is followed by another one in the same tab', async () => {
  const { world, a, b } = setUp();
  a.dial();
  await world.rest();
  const error = new Error('no') as never;
  a.upstreams[0]?.fail({ kind: 'refused', error });
  b.dial();
  await world.rest();
  expect(b.told).toEqual(['other host']);
  expect(a.hosts).toHaveLength(2);
});

test('an attempt that is closed early leaves nothing behind', async () => {
  const { world, a, b } = setUp();
  a.dial();
  await world.rest();
  b.dial().close();
  const late = b.dial();
  await world.step();
  late.close();
  await world.rest(LINGER_MS);
  expect(b.told).toEqual([]);
  a.page.die();
  await world.rest();
  expect(b.seat.leads).toBe(false);
});
