import { CodedError } from '@trunkline/wire';
import { expect, test, vi } from 'vitest';
import { json } from '../../src/encodings/json.ts';
import { transportOf } from '../../src/tabs/shared-transport.ts';
import type { SharedParts } from '../../src/tabs/shared-transport.ts';
import type { UpstreamStart } from '../../src/tabs/upstream.ts';
import { fakePlatform } from '../support/fakes.ts';
import { FakePage, FakeWorld, fakeWorker } from '../support/tabs-fakes.ts';
import { FakeTab } from '../support/tabs-tab.ts';
import { FakeLog, FakeUpstream } from '../support/tabs-upstream.ts';

function setUp() {
  const world = new FakeWorld(1);
  const log = new FakeLog();
  const upstreams: FakeUpstream[] = [];
  const tab = (name: string, parts: Partial<SharedParts> = {}) => {
    const page = new FakePage(world, name);
    const openUpstream = (): FakeUpstream => {
      const upstream = new FakeUpstream(log, page);
      upstreams.push(upstream);
      world.run(page, () => upstream.comeUp());
      return upstream;
    };
    const one = new FakeTab(page, { openUpstream, ...parts });
    one.read('a');
    one.dial();
    return one;
  };
  return { world, log, upstreams, tab };
}

test('[GUA-3] [GUA-4] tabs of one name share, those of another do not', async () => {
  const { world, log, upstreams, tab } = setUp();
  const tabs = [tab('1'), tab('2'), tab('3', { name: 'bo' })];
  await world.rest(100);
  expect(upstreams).toHaveLength(2);
  log.publish('a', 1);
  log.publish('a', 2);
  await world.rest(100);
  for (const { readings, faults } of tabs) {
    expect(readings.get('a')?.got.map(({ data }) => data)).toEqual([1, 2]);
    expect(faults).toEqual([]);
  }
});

test('says why it can not work here', () => {
  const openUpstream = (): never => {
    throw new Error('not asked for');
  };
  const { locks } = new FakePage(new FakeWorld(1), 'tab');
  const platform = fakePlatform();
  const fault = (parts: Partial<SharedParts>) =>
    transportOf({ openUpstream, ...parts }).fault(platform);
  expect(fault({ locks })).toBeUndefined();
  const page = new FakePage(new FakeWorld(1), 'tab');
  expect(fault({ worker: () => fakeWorker(page, page, () => {}) })).toBeUndefined();
  vi.stubGlobal('BroadcastChannel', undefined);
  const told = fault({ locks });
  vi.stubGlobal('navigator', undefined);
  const without = fault({});
  vi.unstubAllGlobals();
  expect([told, without]).toEqual([
    'there is no BroadcastChannel here',
    'Web Locks are only in secure contexts',
  ]);
});

test('a worker that does not start ends the attempt', async () => {
  const page = new FakePage(new FakeWorld(1), 'tab');
  const worker = fakeWorker(page, page, () => {});
  const endings: unknown[] = [];
  const transport = transportOf({
    openUpstream: () => new FakeUpstream(new FakeLog(), page),
    worker: () => worker,
    locks: page.locks,
  });
  const sink = { onEnd: (ending: unknown) => endings.push(ending) };
  const platform = { ...fakePlatform(), clock: page.clock };
  transport.open({ url: 'u', encoding: json }, sink as never, platform);
  await page.world.rest();
  worker.dispatchEvent(new Event('error'));
  expect(endings).toMatchObject([{ kind: 'lost', reason: 'the shared worker did not start' }]);
});

test('a worker that the page may not have ends the attempt', async () => {
  const { world, tab } = setUp();
  const worker = () => {
    throw new Error('policy');
  };
  const one = tab('1', { worker });
  for (let count = 0; count < 20; count += 1) await world.step();
  expect(one.endings[0]).toMatchObject({ kind: 'lost' });
  one.close();
  one.page.die();
});

test('[CODE-3] the next host has the newest token of its tab', async () => {
  const { world, upstreams, tab } = setUp();
  const starts: UpstreamStart[] = [];
  const one = tab('1', {
    openUpstream(start) {
      starts.push(start);
      const upstream = new FakeUpstream(new FakeLog(), one.page);
      upstreams.push(upstream);
      return upstream;
    },
  });
  one.close();
  one.token = 'old';
  one.dial();
  await world.rest();
  upstreams[0]?.fail({ kind: 'stale', error: new CodedError('unauthenticated', 'old') });
  await world.rest();
  one.token = 'new';
  one.dial();
  await world.rest();
  const tokens = [];
  for (const { token } of starts) tokens.push(await token?.());
  expect(tokens).toEqual(['old', 'new']);
});

test('a page that is left gives the connection away', async () => {
  const { world, upstreams, tab } = setUp();
  const page = new EventTarget();
  const first = tab('1', { page });
  await world.rest(100);
  const second = tab('2');
  await world.rest(100);
  page.dispatchEvent(new Event('pagehide'));
  await world.rest(100);
  expect(upstreams.map(({ isClosed }) => isClosed)).toEqual([true, false]);
  expect([first.isReady, second.isReady]).toEqual([true, true]);
});
