/** The host and its guests: what a tab is told, and how it is known to be gone. */
import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { GUEST_SILENCE_MS_MAX, UNTAKEN_COUNT_MAX } from '../../src/tabs/guest.ts';
import { GUESTS_MAX, TabHost } from '../../src/tabs/host.ts';
import type { TabHostOptions } from '../../src/tabs/host.ts';
import { PORT_VERSION } from '../../src/tabs/port.ts';
import type { HostWord, Port, TabWord } from '../../src/tabs/port.ts';
import { portPair } from '../../src/tabs/ports.ts';
import { TokenDesk } from '../../src/tabs/token-desk.ts';
import { FakePage, FakeWorld } from '../support/tabs-fakes.ts';
import { FakeLog, FakeUpstream } from '../support/tabs-upstream.ts';

const HELLO = {
  kind: 'hello',
  version: PORT_VERSION,
  group: 'g',
  url: 'u',
  encoding: 'e',
} as const;

/** A tab at a host that the test plays by hand. */
class Visitor {
  readonly words: HostWord[] = [];
  readonly #port: Port;

  constructor(host: TabHost, ...words: readonly TabWord[]) {
    const [near, far] = portPair();
    this.#port = near;
    near.listen((value) => this.words.push(...(value as HostWord[])));
    host.accept(far);
    if (words.length > 0) this.say(...words);
  }

  say(...words: readonly TabWord[]): void {
    this.#port.post(words);
  }

  /** What it was told since the last time. */
  told(): HostWord[] {
    return this.words.splice(0);
  }

  kinds(): string[] {
    return this.told().map(({ kind }) => kind);
  }
}

function setUp(options: Partial<TabHostOptions> = {}) {
  const world = new FakeWorld(1);
  const page = new FakePage(world, 'host');
  const log = new FakeLog();
  const upstream = new FakeUpstream(log, page);
  const closed: string[] = [];
  const counts: number[] = [];
  const host = new TabHost(upstream, {
    ...{ id: 'h', group: 'g', clock: world.clock },
    onClose: () => closed.push('closed'),
    onGuests: (count) => counts.push(count),
    ...options,
  });
  const read = (reading: number, filter: string, rest: object = {}): TabWord => ({
    ...{ kind: 'read', reading, wish: { filter, ...rest } },
  });
  return { world, page, log, upstream, host, closed, counts, read };
}

describe('a tab', () => {
  test('is told that the connection is there, at once or when it comes', async () => {
    const { world, upstream, host } = setUp();
    const early = new Visitor(host, HELLO);
    await world.rest();
    expect(early.told()).toEqual([{ kind: 'hello', version: PORT_VERSION, host: 'h' }]);
    upstream.comeUp('s');
    const late = new Visitor(host, HELLO);
    await world.rest();
    expect(early.told()).toEqual([{ kind: 'ready', welcome: { session: 's' } }]);
    expect(late.kinds()).toEqual(['hello', 'ready']);
  });

  test.each([
    { why: 'another version', hello: { ...HELLO, version: PORT_VERSION + 1 } },
    { why: 'another group', hello: { ...HELLO, group: 'h' } },
  ])('of $why is refused', async ({ hello }) => {
    const { world, host, counts } = setUp();
    const visitor = new Visitor(host, hello);
    await world.rest();
    expect(visitor.told()).toMatchObject([{ kind: 'end', ending: { kind: 'refused' } }]);
    expect(counts).toEqual([1, 0]);
  });

  test('that says what is no word is refused', async () => {
    const { world, host } = setUp();
    const visitor = new Visitor(host, HELLO, { kind: 'later' } as never);
    await world.rest();
    expect(visitor.told()).toMatchObject([{ kind: 'end', ending: { kind: 'refused' } }]);
  });

  test('that does not say who it is is not waited for', async () => {
    const { world, host, counts } = setUp();
    void new Visitor(host);
    await world.rest(10_000);
    expect(counts).toEqual([1, 0]);
    expect(world.clock.timerCount).toBe(0);
  });

  test('hears a message once, however many of its readings it is for', async () => {
    const { world, upstream, host, log, read } = setUp();
    upstream.comeUp();
    const visitor = new Visitor(host, HELLO);
    await world.rest();
    visitor.say(read(1, 'a'), read(2, '#'));
    await world.rest();
    visitor.told();
    log.publish('a', 1);
    await world.rest();
    expect(visitor.told()).toMatchObject([
      { kind: 'message', readings: [1, 2], message: { channel: 'a', offset: 1 } },
    ]);
  });

  test('gets a payload that is nested too deeply for a clone', async () => {
    const { world, upstream, host, log, read } = setUp();
    upstream.comeUp();
    const visitor = new Visitor(host, HELLO);
    await world.rest();
    visitor.say(read(1, 'a'));
    await world.rest();
    visitor.told();
    log.publish('a', JSON.parse('['.repeat(20_000) + ']'.repeat(20_000)));
    await world.rest();
    expect(visitor.kinds()).toEqual(['deep']);
  });

  test('gets bytes without the buffer that they lie in', async () => {
    const { world, upstream, host, log, read } = setUp();
    upstream.comeUp();
    const visitor = new Visitor(host, HELLO);
    await world.rest();
    visitor.say(read(1, 'a'));
    await world.rest();
    visitor.told();
    const bytes = new Uint8Array(100_000).subarray(5, 8);
    const message = { ...log.publish('b', 0), channel: 'a', bytes };
    upstream.hear(message);
    await world.rest();
    const [word] = visitor.told();
    expect(word).toMatchObject({ kind: 'message', message: { bytes: new Uint8Array(3) } });
    const got = word?.kind === 'message' ? word.message.bytes : undefined;
    expect(got?.buffer.byteLength).toBe(3);
  });

  test('reads without echo all the same: the session is that of other tabs, too', async () => {
    const { world, upstream, host, read } = setUp();
    upstream.comeUp();
    const visitor = new Visitor(host, HELLO);
    await world.rest();
    visitor.say(read(1, 'a', { echo: false, after: 'e:0' }));
    await world.rest();
    expect(upstream.wishes).toEqual([{ filter: 'a', after: 'e:0' }]);
  });

  test('[GUA-2] publishes in the order of its asking, and is answered by number', async () => {
    const { world, upstream, host, log } = setUp();
    upstream.comeUp();
    const visitor = new Visitor(host, HELLO);
    await world.rest();
    visitor.told();
    for (const id of [1, 2]) {
      const members = `"channel":"a","data":${id}`;
      visitor.say({ kind: 'ask', id, ask: { kind: 'publish', members } });
    }
    await world.rest();
    expect(log.messages.map(({ data }) => data)).toEqual([1, 2]);
    expect(visitor.told()).toMatchObject([
      { kind: 'answer', id: 1, frame: { fields: { offset: 1 } } },
      { kind: 'answer', id: 2, frame: { fields: { offset: 2 } } },
    ]);
  });

  test('has what it asks while the connection is away refused as not stored', async () => {
    const { world, host } = setUp();
    const ask = { kind: 'publish', members: '' } as const;
    const visitor = new Visitor(host, HELLO, { kind: 'ask', id: 1, ask });
    await world.rest();
    expect(visitor.told().at(-1)).toMatchObject({ kind: 'failed', error: { stored: false } });
  });
});

describe('a tab is gone', () => {
  test('when it says so, and its readings end', async () => {
    const { world, upstream, host, counts, read } = setUp();
    upstream.comeUp();
    const visitor = new Visitor(host, HELLO);
    await world.rest();
    visitor.say(read(1, 'a'));
    await world.rest();
    expect(upstream.readingCount).toBe(1);
    visitor.say({ kind: 'bye' });
    await world.rest();
    expect([upstream.readingCount, counts.at(-1)]).toEqual([0, 0]);
    expect(world.clock.timerCount).toBe(0);
  });

  test('when its lock comes free, however it died', async () => {
    const world = new FakeWorld(1);
    const page = new FakePage(world, 'host');
    const tab = new FakePage(world, 'tab');
    const { host, counts } = setUp({ locks: page.locks });
    void tab.locks.request('lock', {}, () => new Promise(() => {}));
    await world.rest();
    void new Visitor(host, { ...HELLO, lock: 'lock' });
    await world.rest();
    expect(counts).toEqual([1]);
    tab.die();
    await world.rest();
    expect(counts).toEqual([1, 0]);
  });

  test('when it is silent for long, where there are no locks', async () => {
    const { world, host, counts } = setUp();
    const visitor = new Visitor(host, { ...HELLO, lock: 'lock' });
    await world.rest(GUEST_SILENCE_MS_MAX - 1);
    visitor.say({ kind: 'probe' });
    await world.rest(GUEST_SILENCE_MS_MAX - 1);
    expect(counts).toEqual([1]);
    await world.rest(1);
    expect(counts).toEqual([1, 0]);
    expect(visitor.kinds()).toEqual(['hello', 'alive', 'end']);
  });

  test('when it takes nothing: what waits for it is bounded, and it may come back', async () => {
    const { world, upstream, host, log, read, counts } = setUp();
    upstream.comeUp();
    const slow = new Visitor(host, HELLO);
    const swift = new Visitor(host, HELLO);
    await world.rest();
    for (const one of [slow, swift]) one.say(read(1, 'a'));
    await world.rest();
    for (let count = 0; count < UNTAKEN_COUNT_MAX; count += 1) {
      log.publish('a', count);
      if (count % 1000 === 0) await world.rest();
      if (count % 1000 === 0) swift.say({ kind: 'took', count: 1000 });
    }
    await world.rest();
    const last = slow.told().at(-1);
    expect(last).toMatchObject({ kind: 'end', ending: { kind: 'lost', hint: { withinMs: 0 } } });
    expect(swift.told().at(-1)).toMatchObject({ kind: 'message' });
    expect(upstream.readingCount).toBe(1);
    expect(counts.at(-1)).toBe(1);
  });

  test('when it takes little that is large', async () => {
    const { world, upstream, host, log, read, counts } = setUp();
    upstream.comeUp();
    const slow = new Visitor(host, HELLO);
    await world.rest();
    slow.say(read(1, 'a'));
    await world.rest();
    for (let count = 0; count < 200; count += 1) log.publish('a', 'x'.repeat(60_000));
    await world.rest();
    expect(counts.at(-1)).toBe(0);
  });
});

describe('the host', () => {
  test('sends tabs away when the connection is lost, and they wait here for the next one', async () => {
    const { world, upstream, host, closed } = setUp();
    upstream.comeUp();
    const first = new Visitor(host, HELLO);
    await world.rest();
    first.told();
    upstream.goAway();
    const again = new Visitor(host, HELLO);
    await world.rest();
    expect(first.told()).toMatchObject([
      { kind: 'end', ending: { kind: 'lost', hint: { withinMs: 0 } } },
    ]);
    expect(again.kinds()).toEqual(['hello']);
    upstream.comeUp();
    await world.rest();
    expect(again.kinds()).toEqual(['ready']);
    expect(closed).toEqual([]);
  });

  test('tells all tabs the last word of the server, and closes', async () => {
    const { world, upstream, host, closed } = setUp();
    const visitor = new Visitor(host, HELLO);
    await world.rest();
    upstream.fail({ kind: 'stale', error: new CodedError('unauthenticated', 'old') });
    const late = new Visitor(host, HELLO);
    await world.rest();
    expect(visitor.told().at(-1)).toMatchObject({ kind: 'end', ending: { kind: 'stale' } });
    expect(late.told()).toMatchObject([{ kind: 'end', ending: { kind: 'lost' } }]);
    expect([upstream.isClosed, closed]).toEqual([true, ['closed']]);
  });

  test('says goodbye once', async () => {
    const { world, host, closed } = setUp();
    const visitor = new Visitor(host, HELLO);
    await world.rest();
    host.close();
    host.close();
    await world.rest();
    expect(visitor.kinds()).toEqual(['hello', 'end']);
    expect(closed).toEqual(['closed']);
  });

  test('serves so many tabs and no more', async () => {
    const { world, host, counts } = setUp();
    for (let count = 0; count < GUESTS_MAX; count += 1) void new Visitor(host, HELLO);
    const over = new Visitor(host, HELLO);
    await world.rest();
    expect(over.told()).toMatchObject([{ kind: 'end', ending: { kind: 'lost' } }]);
    expect(counts).not.toContain(GUESTS_MAX + 1);
  });

  test('asks a tab that lives for the next token, and takes those that come unasked', async () => {
    const tokens = new TokenDesk();
    const { world, host, upstream } = setUp({ tokens });
    const visitor = new Visitor(host, { ...HELLO, token: 'a' });
    await world.rest();
    expect(await tokens.take()).toBe('a');
    const next = tokens.take();
    await world.rest();
    expect(visitor.kinds()).toEqual(['hello', 'tokenWanted']);
    visitor.say({ kind: 'token', token: 'b' });
    expect(await next).toBe('b');
    visitor.say({ kind: 'token', token: 'c' });
    await world.rest();
    expect(upstream.renewed).toEqual(['c']);
    const unanswered = tokens.take().then(() => tokens.take());
    await world.rest(10_000);
    expect(await unanswered).toBe('c');
  });

  test('looks for the server when a tab doubts it, and not when a tab doubts the host', async () => {
    const { world, host, upstream } = setUp();
    upstream.comeUp();
    const visitor = new Visitor(host, HELLO);
    await world.rest();
    visitor.say({ kind: 'probe' });
    await world.rest();
    expect(upstream.probeCount).toBe(0);
    visitor.say({ kind: 'probe', server: true });
    await world.rest();
    expect(upstream.probeCount).toBe(1);
  });
});
