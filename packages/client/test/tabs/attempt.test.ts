/** A tab's attempt, whose host is the test. */
import { describe, expect, test } from 'vitest';
import { ManualClock } from '@trunkline/testkit';
import { json } from '../../src/encodings/json.ts';
import type { Ending } from '../../src/ending.ts';
import { SharedAttempt } from '../../src/tabs/attempt.ts';
import { PORT_VERSION } from '../../src/tabs/port.ts';
import type { HostWord, Port, TabWord } from '../../src/tabs/port.ts';
import { portPair } from '../../src/tabs/ports.ts';
import type { DialHandlers } from '../../src/tabs/seat.ts';
import type { AttemptSink, Wish } from '../../src/transports/transport.ts';

const HELLO: HostWord = { kind: 'hello', version: PORT_VERSION, host: 'h' };
const READY: HostWord = { kind: 'ready', welcome: { session: 's' } };

class Fixture {
  readonly clock = new ManualClock();
  readonly wishes = new Map<string, Wish>();
  /** What the sink was told, as short words. */
  readonly told: string[] = [];
  readonly endings: Ending[] = [];
  readonly words: TabWord[] = [];
  readonly dialed: string[] = [];
  readonly attempt: SharedAttempt;
  room: () => Promise<void> = () => Promise.resolve();
  #far: Port | undefined;
  #handlers: DialHandlers | undefined;

  constructor(onTokenWanted?: () => string | Promise<string>) {
    this.attempt = new SharedAttempt(this.#sink(), {
      group: 'g',
      target: { url: 'http://a', token: 't', encoding: json },
      clock: this.clock,
      random: () => 0.5,
      ...(onTokenWanted === undefined ? {} : { onTokenWanted }),
      dial: (handlers) => {
        this.#handlers = handlers;
        return {
          reached: (host) => this.dialed.push(`reached ${host}`),
          silent: () => this.dialed.push('silent'),
          close: () => this.dialed.push('closed'),
        };
      },
    });
  }

  /** A host is found. */
  connect(lock?: string): void {
    const [near, far] = portPair();
    this.#far = far;
    far.listen((value) => this.words.push(...(value as TabWord[])));
    this.#handlers?.onPort(near, lock);
  }

  /** The dialing ends. */
  lose(): void {
    this.#handlers?.onGone({ kind: 'lost', reason: 'moved' });
  }

  async say(...words: readonly unknown[]): Promise<void> {
    this.#far?.post(words);
    await this.clock.settle();
  }

  /** Connected, and past the greeting. */
  async open(...filters: readonly string[]): Promise<this> {
    for (const filter of filters) this.wishes.set(filter, { filter });
    this.connect();
    await this.say(HELLO, READY);
    this.told.length = 0;
    return this;
  }

  /** The words of the tab since the last time, but for acknowledgements. */
  async said(): Promise<TabWord[]> {
    await this.clock.settle();
    return this.words.splice(0).filter(({ kind }) => kind !== 'took');
  }

  #sink(): AttemptSink {
    const { told } = this;
    return {
      keys: () => [...this.wishes.keys()],
      wish: (key) => this.wishes.get(key),
      onReady: ({ session }) => told.push(`ready ${session}`),
      onOpen: ({ position }, key) => told.push(`open ${key} ${position}`),
      onMessage: ({ offset, mark }, keys) =>
        told.push(`${offset} for ${String(keys)}${mark ?? ''}`),
      onGap: ({ position }, keys) => told.push(`gap ${position} for ${String(keys)}`),
      onMark: (keys, mark) => told.push(`mark ${mark} for ${String(keys)}`),
      onExpired: (channel, position) => told.push(`expired ${channel} ${position}`),
      onPresence: ({ kind }) => told.push(kind),
      onSnapshot: ({ position }) => told.push(`snapshot ${position}`),
      onRefused: (key, error) => told.push(`refused ${key}: ${error.message}`),
      onEnd: (ending) => this.endings.push(ending),
      room: () => this.room(),
    };
  }
}

const message = (offset: number, ...readings: number[]): HostWord => ({
  kind: 'message',
  readings,
  message: { kind: 'message', channel: 'a', offset, epoch: 'e', data: offset },
});
const opened = (reading: number, channel = 'a'): HostWord => ({
  kind: 'open',
  reading,
  opening: { kind: 'open', channel, position: 'e:0' },
});

describe('an attempt', () => {
  test('says who it is, and reads all that is wanted when the connection is there', async () => {
    const fixture = new Fixture();
    fixture.wishes.set('a', { filter: 'a', last: 2 });
    fixture.connect('lock');
    expect(await fixture.said()).toMatchObject([
      { kind: 'hello', version: PORT_VERSION, group: 'g', token: 't', lock: 'lock' },
    ]);
    await fixture.say(HELLO);
    expect(fixture.dialed).toEqual(['reached h']);
    expect(fixture.told).toEqual([]);
    await fixture.say(READY);
    expect(fixture.told).toEqual(['ready s']);
    expect(await fixture.said()).toEqual([
      { kind: 'read', reading: 1, wish: { filter: 'a', last: 2 } },
    ]);
  });

  test('says who it is again to a host that took over before one answered', async () => {
    const fixture = new Fixture();
    fixture.connect();
    fixture.attempt.renew('u');
    await fixture.said();
    fixture.connect();
    expect(await fixture.said()).toMatchObject([{ kind: 'hello', token: 'u' }]);
  });

  test('tells everything with the filters that it is for', async () => {
    const fixture = await new Fixture().open('a', '#');
    await fixture.say(
      opened(1),
      message(1, 1, 2),
      { kind: 'gap', readings: [2], gap: { channel: 'a', gap: {}, position: 'e:4' } },
      { kind: 'mark', readings: [2], mark: '~5' },
      { kind: 'expired', channel: 'a', position: 'e:6' },
      { kind: 'presence', event: { kind: 'join', channel: 'a' } },
      { kind: 'snapshot', event: { kind: 'snapshot', channel: 'a', position: 'e:7' } },
      { kind: 'refused', reading: 1, error: { code: 'forbidden', message: 'no' } },
      message(8, 1),
    );
    expect(fixture.told).toEqual([
      ...['open a e:0', '1 for a,#', 'gap e:4 for #', 'mark ~5 for #', 'expired a e:6'],
      ...['join', 'snapshot e:7', 'refused a: no'],
    ]);
  });

  test('[WILD-3] gives the mark of a message to those that heard it, and to no other', async () => {
    const fixture = await new Fixture().open('a', '#');
    const { message: plain } = message(1) as Extract<HostWord, { kind: 'message' }>;
    await fixture.say({ kind: 'message', readings: [1], message: { ...plain, mark: '~1' } });
    expect(fixture.told).toEqual(['1 for a', 'mark ~1 for a']);
  });

  test('[GUA-3] takes what is on its way when it begins to read anew, but not its places', async () => {
    const fixture = await new Fixture().open('a');
    await fixture.said();
    fixture.wishes.set('a', { filter: 'a', after: 'e:1' });
    fixture.attempt.revise('a');
    expect(await fixture.said()).toEqual([
      { kind: 'read', reading: 2, wish: { filter: 'a', after: 'e:1' }, before: 1 },
    ]);
    await fixture.say(opened(1), message(3, 1), { kind: 'mark', readings: [1], mark: '~3' });
    expect(fixture.told.splice(0)).toEqual(['3 for a']);
    await fixture.say(opened(2), message(4, 1), message(2, 2));
    expect(fixture.told).toEqual(['open a e:0', '2 for a']);
  });

  test('hears nothing of what is wanted no more', async () => {
    const fixture = await new Fixture().open('a');
    await fixture.said();
    fixture.wishes.delete('a');
    fixture.attempt.revise('a');
    fixture.attempt.revise('a');
    expect(await fixture.said()).toEqual([{ kind: 'end', reading: 1 }]);
    await fixture.say(opened(1), message(1, 1));
    expect(fixture.told).toEqual([]);
  });

  test('lets the host say more only when the application has room', async () => {
    const fixture = await new Fixture().open('a');
    await fixture.said();
    const rooms: (() => void)[] = [];
    fixture.room = () => new Promise((resolve) => rooms.push(resolve));
    await fixture.say(opened(1), message(1, 1));
    expect(fixture.words).toEqual([]);
    rooms[0]?.();
    await fixture.clock.settle();
    expect(fixture.words).toEqual([{ kind: 'took', count: 2 }]);
  });

  test('gives a fresh token when one is wanted, and none where the source fails', async () => {
    const fixture = await new Fixture(() => Promise.resolve('u')).open();
    await fixture.said();
    await fixture.say({ kind: 'tokenWanted' });
    expect(await fixture.said()).toEqual([{ kind: 'token', token: 'u' }]);
    const failing = await new Fixture(() => {
      throw new Error('away');
    }).open();
    await failing.said();
    await failing.say({ kind: 'tokenWanted' });
    expect(await failing.said()).toEqual([{ kind: 'token' }]);
  });
});

describe('what an attempt asks', () => {
  test('is answered, in whatever order', async () => {
    const fixture = await new Fixture().open();
    await fixture.said();
    const first = fixture.attempt.request({ kind: 'publish', members: '1' });
    const refused = first.catch((error: unknown) => error);
    const second = fixture.attempt.request({ kind: 'call', members: '2' });
    const ids = (await fixture.said()).map((word) => (word.kind === 'ask' ? word.id : 0));
    await fixture.say(
      { kind: 'answer', id: ids[1], frame: { fields: { n: 2 } } },
      { kind: 'failed', id: ids[0], error: { code: 'forbidden', message: 'no', stored: false } },
      { kind: 'answer', id: 99, frame: { fields: {} } },
    );
    expect(await second).toEqual({ fields: { n: 2 } });
    expect(await refused).toMatchObject({ code: 'forbidden', stored: false });
  });

  test('[PUB-4] may have been stored when the attempt ends before the answer', async () => {
    const fixture = await new Fixture().open();
    const asked = fixture.attempt.request({ kind: 'publish', members: '1' });
    fixture.lose();
    await expect(asked).rejects.toMatchObject({ code: 'unavailable', stored: 'unknown' });
    expect(fixture.endings).toMatchObject([{ kind: 'lost', reason: 'moved' }]);
  });

  test('[PUB-4] was not stored before the connection is there, and over the bound', async () => {
    const fixture = new Fixture();
    const ask = { kind: 'publish', members: '' } as const;
    const early = fixture.attempt.request(ask);
    await expect(early).rejects.toMatchObject({ code: 'unavailable', stored: false });
    await fixture.open();
    const rejected: unknown[] = [];
    for (let count = 0; count < 1025; count += 1) {
      fixture.attempt.request(ask).catch((error: unknown) => rejected.push(error));
    }
    await fixture.clock.settle();
    expect(rejected).toMatchObject([{ code: 'rate_limited', stored: false }]);
  });
});

describe('an attempt ends', () => {
  test('when no host answers in time', async () => {
    const fixture = new Fixture();
    fixture.connect();
    await fixture.clock.pass(5000);
    expect(fixture.endings).toMatchObject([{ kind: 'lost' }]);
    expect(fixture.dialed).toEqual(['silent', 'closed']);
  });

  test('not while the host waits for its connection, as long as it gives signs of life', async () => {
    const fixture = new Fixture();
    fixture.connect();
    await fixture.say(HELLO);
    await fixture.said();
    await fixture.clock.pass(10_000);
    expect(await fixture.said()).toEqual([{ kind: 'probe' }]);
    await fixture.say({ kind: 'alive' });
    await fixture.clock.pass(9000);
    expect(fixture.endings).toEqual([]);
  });

  test('when the host gives no sign of life', async () => {
    const fixture = await new Fixture().open();
    await fixture.clock.pass(10_000);
    await fixture.clock.pass(4499);
    expect(fixture.endings).toEqual([]);
    await fixture.clock.pass(1);
    expect(fixture.endings).toMatchObject([{ kind: 'lost' }]);
    expect(fixture.dialed).toEqual(['reached h', 'silent', 'closed']);
    expect(fixture.clock.timerCount).toBe(0);
  });

  test('but not because this tab was asleep itself', async () => {
    const fixture = await new Fixture().open();
    await fixture.said();
    fixture.attempt.probe();
    expect(await fixture.said()).toMatchObject([{ kind: 'probe', server: true }]);
    const sleep = fixture.clock.monotonicMs;
    fixture.clock.monotonicMs = () => sleep.call(fixture.clock) + 60_000;
    await fixture.clock.pass(3000);
    expect(fixture.endings).toEqual([]);
    await fixture.clock.pass(4500);
    expect(fixture.endings).toMatchObject([{ kind: 'lost' }]);
  });

  test('as the host says', async () => {
    const fixture = await new Fixture().open('a');
    const error = { code: 'forbidden', message: 'no' };
    await fixture.say({ kind: 'end', ending: { kind: 'refused', error } }, opened(1));
    expect(fixture.endings).toMatchObject([{ kind: 'refused', error: { code: 'forbidden' } }]);
    expect(fixture.told).toEqual([]);
  });

  test.each([[[{ kind: 'later' }]], [[{ kind: 'hello', version: 99, host: 'h' }]]])(
    'when the host is of another build: %j',
    async (words) => {
      const fixture = new Fixture();
      fixture.connect();
      await fixture.say(...words);
      expect(fixture.endings).toMatchObject([{ kind: 'refused', error: { code: 'bad_request' } }]);
    },
  );

  test('without a word when it is closed, once', async () => {
    const fixture = await new Fixture().open('a');
    await fixture.said();
    fixture.attempt.close();
    fixture.attempt.close();
    await fixture.say(opened(1));
    fixture.lose();
    expect(await fixture.said()).toEqual([{ kind: 'bye' }]);
    expect([fixture.endings, fixture.told]).toEqual([[], []]);
    expect(fixture.dialed).toEqual(['reached h', 'closed']);
    expect(fixture.clock.timerCount).toBe(0);
  });
});
