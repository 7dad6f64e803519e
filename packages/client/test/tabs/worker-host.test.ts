/** The host in a worker: whom it serves, and when it has no connection. */
import { expect, test } from 'vitest';
import { exactJson } from '../../src/encodings/exact.ts';
import { json } from '../../src/encodings/json.ts';
import { wayOf } from '../../src/tabs/port.ts';
import { portPair } from '../../src/tabs/ports.ts';
import type { UpstreamStart } from '../../src/tabs/upstream.ts';
import { IDLE_MS_MAX, WorkerHost } from '../../src/tabs/worker-host.ts';
import { fakePlatform } from '../support/fakes.ts';
import { FakePage, FakeWorld } from '../support/tabs-fakes.ts';
import { FakeLog, FakeUpstream } from '../support/tabs-upstream.ts';

function setUp() {
  const world = new FakeWorld(1);
  const page = new FakePage(world, 'worker');
  const starts: UpstreamStart[] = [];
  const upstreams: FakeUpstream[] = [];
  const host = new WorkerHost({
    ...{ group: 'g', platform: { ...fakePlatform(), clock: page.clock }, locks: undefined },
    ...{ encodings: [json, exactJson], newId: () => 'h' },
    openUpstream(start) {
      starts.push(start);
      const upstream = new FakeUpstream(new FakeLog(), page);
      upstreams.push(upstream);
      return upstream;
    },
  });
  /** A tab that says hello; what it hears. */
  const visit = (rest: object = {}) => {
    const [near, far] = portPair();
    const words: { kind: string }[] = [];
    near.listen((value) => words.push(...(value as { kind: string }[])));
    host.accept(far);
    const hello = { kind: 'hello', version: 1, group: 'g', url: 'http://a', encoding: wayOf(json) };
    near.post([{ ...hello, ...rest }]);
    return { words, leave: () => near.post([{ kind: 'bye' }]) };
  };
  return { world, host, starts, upstreams, visit };
}

test('the first tab says which server, and the others share its connection', async () => {
  const { world, starts, visit } = setUp();
  const first = visit({ token: 't', encoding: wayOf(exactJson) });
  const second = visit();
  await world.rest();
  expect([first.words, second.words]).toMatchObject([[{ kind: 'hello' }], [{ kind: 'hello' }]]);
  expect(starts).toMatchObject([{ target: { url: 'http://a', encoding: exactJson } }]);
  expect(await starts[0]?.token?.()).toBe('t');
});

test.each([
  { why: 'of another group', rest: { group: 'h' } },
  { why: 'with an encoding that is not in the worker', rest: { encoding: 'later' } },
  { why: 'that says no word', rest: { kind: 'later' } },
])('a tab $why is refused, and makes no connection', async ({ rest }) => {
  const { world, starts, visit } = setUp();
  const { words } = visit(rest);
  await world.rest();
  expect(words).toMatchObject([
    { kind: 'end', ending: { kind: 'refused', error: { code: 'bad_request' } } },
  ]);
  expect(starts).toEqual([]);
});

test('tabs without a token have a connection without one', async () => {
  const { world, starts, visit } = setUp();
  visit();
  await world.rest();
  expect(starts[0]).not.toHaveProperty('token');
});

test('a connection that no tab uses is closed after a while, and made again', async () => {
  const { world, upstreams, visit } = setUp();
  const first = visit();
  await world.rest();
  first.leave();
  await world.rest(IDLE_MS_MAX - 1);
  const second = visit();
  await world.rest(IDLE_MS_MAX);
  expect(upstreams[0]?.isClosed).toBe(false);
  second.leave();
  await world.rest(IDLE_MS_MAX);
  expect(upstreams[0]?.isClosed).toBe(true);
  visit();
  await world.rest();
  expect(upstreams).toHaveLength(2);
});
