import { encodeJsonRecord } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { binary } from '../../src/encodings/binary.ts';
import { json } from '../../src/encodings/json.ts';
import type { Frame } from '../../src/encodings/encoding.ts';
import type { Ending } from '../../src/ending.ts';
import { Session } from '../../src/transports/session.ts';
import type { Reply } from '../../src/transports/session.ts';
import type { Target, Welcome } from '../../src/transports/transport.ts';
import { fakePlatform } from '../support/fakes.ts';

function dialed(target: Partial<Target> = {}, platform = fakePlatform()) {
  const welcomes: Welcome[] = [];
  const pushes: [string, Frame][] = [];
  const endings: Ending[] = [];
  const handlers = {
    onWelcome: (welcome: Welcome) => void welcomes.push(welcome),
    onPush: (type: string, frame: Frame) => void pushes.push([type, frame]),
    onEnd: (ending: Ending) => void endings.push(ending),
  };
  const whole = { url: 'https://server.example/base', encoding: json, ...target };
  const session = new Session(whole, handlers, platform);
  const [socket] = platform.sockets;
  return { platform, clock: platform.clock, session, welcomes, pushes, endings, socket };
}

function opened(target: Partial<Target> = {}) {
  const { socket, ...others } = dialed(target);
  if (socket === undefined) throw new Error('nothing was dialed');
  socket.open();
  return { ...others, socket };
}

function welcomed(welcome: object = {}) {
  const parts = opened();
  parts.socket.receive({ type: 'welcome', session: 's', ping: 25_000, ...welcome });
  return parts;
}

function ask(session: Session): Reply[] {
  const replies: Reply[] = [];
  session.request('"type":"x"', (reply) => void replies.push(reply));
  return replies;
}

const PING = { type: 'ping' };

describe('a session that begins', () => {
  test('dials below the base path and says hello with its token [WS-1] [WS-10]', () => {
    const { socket } = opened({ token: 't"' });
    expect(socket.url).toBe('wss://server.example/base/v1/ws');
    expect(socket.protocols).toEqual(['trunkline.v1.json']);
    expect(socket.sent).toEqual([{ id: 1, type: 'hello', token: 't"' }]);
  });

  test('waits to be welcomed where it has no token [WS-10]', () => {
    const { socket, welcomes, session } = opened();
    expect(socket.sent).toEqual([]);
    expect(session.isOpen).toBe(false);
    const limits = { messageBytes: 1, frameBytes: 2, commandsPerSecond: 3, keyWindowMs: 4 };
    socket.receive({ type: 'welcome', session: 's', user: 'u', node: 'n', ping: 9, limits });
    expect(welcomes).toEqual([
      { session: 's', user: 'u', messageBytes: 1, commandsPerSecond: 3, keyWindowMs: 4 },
    ]);
    expect(session.isOpen).toBe(true);
  });

  test('takes of a welcome only what is what it should be [MSG-5]', () => {
    for (const limits of [undefined, null, 5, [], { keyWindowMs: '1', commandsPerSecond: null }]) {
      const { welcomes, endings } = welcomed({ session: 5, user: null, ping: 'x', limits });
      expect([welcomes, endings]).toEqual([[{}], []]);
    }
  });

  test('with a token is welcomed by the answer to its hello alone [WS-10]', () => {
    const { socket, welcomes } = opened({ token: 't' });
    socket.receive({ type: 'welcome', session: 'anonymous' });
    expect(welcomes).toEqual([]);
    socket.receive({ type: 'welcome', id: 1, session: 's', user: 'u' });
    socket.receive({ type: 'welcome', session: 'again' });
    expect(welcomes).toEqual([{ session: 's', user: 'u' }]);
  });

  test('without a token asks who it is taken for when no welcome comes [WS-10]', () => {
    const { socket, clock, endings, welcomes } = opened();
    clock.advance(2500);
    expect(socket.sent).toEqual([{ id: 1, type: 'hello' }]);
    socket.receive({ type: 'error', id: 1, code: 'unauthenticated', message: 'say who you are' });
    expect(endings).toMatchObject([{ kind: 'stale', error: { message: 'say who you are' } }]);
    expect(welcomes).toEqual([]);
    expect(clock.timerCount).toBe(0);
  });

  test('may be welcomed twice [WS-10]', () => {
    const { socket, clock, welcomes } = opened();
    clock.advance(2500);
    socket.receive({ type: 'welcome', session: 's' }, { type: 'welcome', id: 1, session: 's' });
    expect(welcomes).toHaveLength(1);
  });

  test('hears no push before the welcome', () => {
    const { socket, pushes } = opened();
    socket.receive({ type: 'message', channel: 'a' });
    expect(pushes).toEqual([]);
  });

  test.each([
    ['a hello without an answer', () => opened({ token: 't' })],
    ['a server that never opens', () => dialed()],
    ['silence', () => opened()],
  ])('ends after 5 s of %s', (_, begin) => {
    const { clock, endings, socket } = begin();
    clock.advance(4999);
    expect(endings).toEqual([]);
    clock.advance(1);
    expect(endings).toEqual([
      { kind: 'lost', reason: 'no welcome within 5000 ms', hint: {}, isTimeout: true },
    ]);
    expect(socket?.closedWith).toBe(1000);
    expect(clock.timerCount).toBe(0);
  });

  test.each([
    ['unauthenticated', { kind: 'stale' }],
    ['forbidden', { kind: 'refused', error: { code: 'forbidden' } }],
    ['unavailable', { kind: 'lost', hint: { notBeforeMs: 70 } }],
  ])('ends when its hello is refused with %s [CODE-1]', (code, ending) => {
    const { socket, endings } = opened({ token: 't' });
    socket.receive({ type: 'error', id: 1, code, message: 'no', retryAfter: 70 });
    expect(endings).toMatchObject([ending]);
  });

  test('refuses an address that is none, but not from inside the constructor', async () => {
    const { endings, clock } = dialed({ url: 'ftp://x' });
    expect(endings).toEqual([]);
    await clock.settle();
    expect(endings).toMatchObject([{ kind: 'refused', error: { code: 'bad_request' } }]);
    expect(clock.timerCount).toBe(0);
  });

  test('refuses where the runtime throws, and says why', async () => {
    const platform = fakePlatform();
    const Refusing = class extends platform.WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        throw new DOMException('insecure', 'SecurityError');
      }
    };
    const { endings } = dialed({}, { ...platform, WebSocket: Refusing });
    await platform.clock.settle();
    expect(endings).toMatchObject([
      { kind: 'refused', error: { message: 'SecurityError: insecure' } },
    ]);
  });

  test('says nothing of a dialing that it gave up', async () => {
    const { session, endings, clock } = dialed({ url: 'ftp://x' });
    session.close();
    await clock.settle();
    expect(endings).toEqual([]);
  });

  test('ends where the server speaks another subprotocol', () => {
    const { socket, endings } = dialed();
    if (socket === undefined) throw new Error('nothing was dialed');
    Object.assign(socket, { protocol: 'mqtt' }).open();
    expect(endings).toMatchObject([
      { kind: 'lost', reason: 'the server speaks mqtt, not trunkline.v1.json' },
    ]);
  });

  test('speaks binary where that was asked for [BIN-1]', () => {
    const { socket, endings, welcomes, pushes, session } = dialed({ encoding: binary });
    if (socket === undefined) throw new Error('nothing was dialed');
    expect(socket.protocols).toEqual(['trunkline.v1.bin']);
    const sent: unknown[] = [];
    const send = (data: unknown) => sent.push(data);
    Object.assign(socket, { protocol: 'trunkline.v1.bin', send }).open();
    const receive = (text: string) =>
      socket.dispatchEvent(
        new MessageEvent('message', { data: encodeJsonRecord(text).slice().buffer }),
      );
    receive('{"type":"welcome","session":"s"}');
    receive('{"type":"later"}');
    session.send('"type":"ping"');
    expect(sent).toEqual([encodeJsonRecord('{"type":"ping"}')]);
    expect([welcomes.length, pushes.length]).toEqual([1, 1]);
    socket.receive({ type: 'pong' });
    expect(endings).toMatchObject([{ kind: 'lost', reason: expect.stringContaining('text') }]);
  });
});

describe('commands', () => {
  test('are answered by id, in whatever order [CMD-1] [CMD-4]', () => {
    const { session, socket } = welcomed();
    const [first, second] = [ask(session), ask(session)];
    expect(socket.sent).toEqual([
      { id: 1, type: 'x' },
      { id: 2, type: 'x' },
    ]);
    socket.receive({ type: 'y', id: 2 }, { type: 'y', id: 1 }, { type: 'y', id: 1 }, { id: 7 });
    expect(first).toEqual([{ fields: { type: 'y', id: 1 } }]);
    expect(second).toEqual([{ fields: { type: 'y', id: 2 } }]);
  });

  test('fail with what the server says [CMD-3] [PUB-4]', () => {
    const { session, socket } = welcomed();
    const replies = [ask(session), ask(session), ask(session)];
    socket.receive(
      { type: 'error', id: 1, code: 'rate_limited', message: 'm', retryAfter: 9, stored: false },
      { type: 'error', id: 2, code: 'never heard of', retryAfter: -1, stored: 'unknown' },
      { type: 'error', id: 3, code: 'forbidden', message: 'm' },
    );
    const [one, two, three] = replies.flat();
    expect(one).toMatchObject({ code: 'rate_limited', retryAfter: 9, stored: false });
    expect(two).toMatchObject({ code: 'internal', stored: 'unknown' });
    expect(two).toMatchObject({ retryAfter: undefined, message: 'never heard of' });
    expect(three).toMatchObject({ code: 'forbidden', stored: undefined });
  });

  test('fail unsent before the welcome and after the end', () => {
    const { session } = opened();
    expect(ask(session)).toMatchObject([{ code: 'unavailable', stored: false }]);
    session.close();
    expect(ask(session)).toMatchObject([{ code: 'unavailable', stored: false }]);
  });

  test('fail as perhaps stored when the session ends, before the end is told', () => {
    const { session, socket, endings } = welcomed();
    const told: string[] = [];
    session.request('"type":"x"', () => told.push(`answer ${endings.length}`));
    socket.end(1006);
    expect(told).toEqual(['answer 0']);
    expect(endings).toHaveLength(1);
  });

  test('fail when no answer comes within 30 s, and the session goes on', () => {
    const { session, socket, clock, endings } = welcomed();
    const replies = ask(session);
    for (let second = 0; second < 30; second += 1) {
      clock.advance(1000);
      socket.receive({ type: 'pong' });
    }
    expect(replies).toMatchObject([{ code: 'timeout', stored: 'unknown' }]);
    socket.receive({ type: 'y', id: 1 });
    expect([replies.length, endings]).toEqual([1, []]);
  });

  test('are bounded', () => {
    const { session, clock } = welcomed();
    const waiting = Array.from({ length: 1024 }, () => ask(session));
    expect(ask(session)).toMatchObject([{ code: 'rate_limited', stored: false }]);
    session.close();
    expect(waiting.flat()).toHaveLength(1024);
    expect(clock.timerCount).toBe(0);
  });

  test('that want no answer are sent while little is unsent, and dropped else', () => {
    const { session, socket } = welcomed();
    session.send('"a":1');
    Object.assign(socket, { bufferedAmount: 64 * 1024 + 1 });
    session.send('"a":2');
    expect(socket.sent).toEqual([{ a: 1 }]);
    const early = opened();
    early.session.send('"a":3');
    expect(early.socket.sent).toEqual([]);
  });

  test('say how long those that can wait should [WS-12]', () => {
    const { session, clock } = welcomed({ limits: { commandsPerSecond: 10 } });
    const sent: number[] = [];
    for (let ms = 0; ms < 3000; ms += 10) {
      while (session.paceMs === 0 && sent.length < 1000) {
        session.send('"type":"x"');
        sent.push(ms);
      }
      expect(session.paceMs).toBeLessThanOrEqual(100);
      clock.advance(10);
    }
    expect(sent.filter((ms) => ms === 0)).toHaveLength(6);
    expect(sent.length).toBeLessThanOrEqual(36);
    expect(sent.length).toBeGreaterThan(30);
    for (const limits of [{}, { commandsPerSecond: 0 }, { commandsPerSecond: -1 }]) {
      const free = welcomed({ limits }).session;
      for (let count = 0; count < 100; count += 1) free.send('"type":"x"');
      expect(free.paceMs).toBe(0);
    }
  });
});

describe('a session that lives', () => {
  test('hands on pushes, of types that it does not know too [MSG-5]', () => {
    const { socket, pushes, endings } = welcomed();
    socket.receive({ type: 'later', x: 1 }, { type: 5 }, {}, { type: 'pong' });
    expect(pushes.map(([type]) => type)).toEqual(['later', 'pong']);
    expect(endings).toEqual([]);
  });

  test('asks after a silence of the ping interval, and is lost 10 s later [WS-3]', () => {
    const { socket, clock, endings } = welcomed({ ping: 2000 });
    clock.advance(1500);
    socket.receive({ type: 'later' });
    clock.advance(1999);
    expect(socket.sent).toEqual([]);
    clock.advance(1);
    expect(socket.sent).toEqual([PING]);
    clock.advance(9999);
    expect(endings).toEqual([]);
    clock.advance(1);
    expect(endings).toMatchObject([{ kind: 'lost', reason: 'no answer to a ping' }]);
    expect([socket.closedWith, clock.timerCount]).toEqual([1000, 0]);
  });

  test('stays for hours while anything is heard, with one timer [WS-3]', () => {
    const { socket, clock, endings } = welcomed();
    for (let count = 0; count < 400; count += 1) {
      clock.advance(25_000);
      expect(socket.sent).toHaveLength(count + 1);
      socket.receive({ type: count % 2 === 0 ? 'pong' : 'later' });
      expect(clock.timerCount).toBe(1);
    }
    expect(endings).toEqual([]);
  });

  test('does not take the sleep of a page for a silence', () => {
    const { socket, clock, endings } = welcomed();
    clock.advance(25_000);
    expect(socket.sent).toEqual([PING]);
    // Asleep: on waking the timer that is over runs first, then the socket hears what has come.
    clock.advance(9000);
    expect(endings).toEqual([]);
    socket.receive({ type: 'pong' });
    clock.advance(24_999);
    expect([endings, socket.sent]).toEqual([[], [PING]]);
  });

  test.each([
    [-5, 1000],
    [0, 1000],
    [1e12, 300_000],
  ])('believes a ping interval of %d ms as far as it is sound', (ping, ms) => {
    const { socket, clock } = welcomed({ ping });
    clock.advance(ms - 1);
    expect(socket.sent).toEqual([]);
    clock.advance(1);
    expect(socket.sent).toEqual([PING]);
  });

  test('looks for a sign of life when it is asked to, and is lost 3 s later', () => {
    const { session, socket, clock, endings } = welcomed();
    session.probe();
    clock.advance(1000);
    session.probe();
    expect(socket.sent).toEqual([PING]);
    clock.advance(1999);
    expect(endings).toEqual([]);
    clock.advance(1);
    expect(endings).toMatchObject([{ kind: 'lost', reason: 'no answer to a ping' }]);
  });

  test('lives on after a probe that was answered by anything', () => {
    const { session, socket, clock, endings } = welcomed();
    session.probe();
    socket.receive({ type: 'later' });
    clock.advance(24_999);
    expect([socket.sent, endings]).toEqual([[PING], []]);
  });

  test('a probe shortens the time that a ping after a silence has', () => {
    const { session, clock, endings } = welcomed();
    clock.advance(26_000);
    session.probe();
    clock.advance(3000);
    expect(endings).toHaveLength(1);
  });

  test('has nothing to probe before the welcome and after the end', () => {
    const { session, socket, clock } = opened();
    session.probe();
    session.close();
    session.probe();
    expect([socket.sent, clock.timerCount]).toEqual([[], 0]);
  });

  test('leaves at a random moment after goaway, and comes back elsewhere at once [WS-6]', () => {
    const { socket, clock, pushes, endings } = welcomed();
    socket.receive({ type: 'goaway', within: 8000 }, { type: 'goaway', within: 1 });
    clock.advance(3999);
    socket.receive({ type: 'message' });
    expect(pushes).toHaveLength(1);
    clock.advance(1);
    expect(endings).toEqual([
      { kind: 'lost', reason: 'draining: asked to go away', hint: { withinMs: 0 } },
    ]);
  });

  test('comes back inside what is left of the time when the server closes first [WS-6]', () => {
    const { socket, clock, endings } = welcomed();
    socket.receive({ type: 'goaway', within: 8000 });
    clock.advance(2000);
    socket.end(1001);
    expect(endings).toMatchObject([{ kind: 'lost', hint: { withinMs: 6000 } }]);
    expect(clock.timerCount).toBe(0);
  });

  test.each([undefined, -1, 'soon', null, NaN, { valueOf: 1, toString: 1 }])(
    'leaves at once within %j',
    (within) => {
      const { socket, clock, endings } = welcomed();
      socket.receive({ type: 'goaway', within });
      clock.advance(0);
      expect(endings).toHaveLength(1);
    },
  );

  test('leaves in time, however long it is told', () => {
    const { socket, clock, endings } = welcomed();
    socket.receive({ type: 'goaway', within: 1e15 });
    for (let count = 0; count < 15; count += 1) {
      clock.advance(10_000);
      socket.receive({ type: 'pong' });
    }
    expect(endings).toHaveLength(1);
  });
});

describe('the end of a session', () => {
  test.each([
    [1000, 'refused', [1000, 1002, 1003, 1007, 1009, 4400, 4403, 4404, 4409, 4499]],
    [4401, 'stale', [4401]],
    [1006, 'lost', [1001, 1005, 1006, 1011, 1012, 1013, 4429, 4500, 4508, 4510, 4999]],
  ])('is what its close code says, like %d: %s [CODE-2] [CODE-3] [CODE-4]', (_, kind, codes) => {
    for (const code of codes) {
      const { socket, endings } = welcomed();
      socket.end(code, 'why');
      expect(endings).toMatchObject([{ kind }]);
      socket.end(code);
      socket.receive({ type: 'later' });
      expect(endings).toHaveLength(1);
    }
  });

  test('remembers when to come back from the error before it [CODE-3]', () => {
    const { socket, endings } = welcomed();
    socket.receive({ type: 'error', code: 'rate_limited', message: 'slow', retryAfter: 7000 });
    socket.end(4429);
    expect(endings).toMatchObject([{ kind: 'lost', hint: { notBeforeMs: 7000 } }]);
  });

  test('forgets an error that was followed by anything else [WS-15]', () => {
    const { socket, endings } = welcomed();
    socket.receive({ type: 'error', code: 'rate_limited', message: 'slow', retryAfter: 7000 });
    socket.receive({ type: 'pong' });
    socket.end(1006);
    expect(endings).toEqual([{ kind: 'lost', reason: 'closed with 1006', hint: {} }]);
  });

  test.each([
    ['no JSON', '{'],
    ['no object', '[1]'],
    ['null', 'null'],
  ])('comes with a frame that is %s', (_, frame) => {
    const { socket, pushes, endings } = welcomed();
    socket.receive({ type: 'before' }, frame, { type: 'behind' });
    expect(endings).toMatchObject([
      { kind: 'lost', reason: expect.stringContaining('expected a JSON object') },
    ]);
    expect(pushes).toEqual([]);
    expect(socket.closedWith).toBe(1000);
  });

  test.each([new ArrayBuffer(1), undefined, new Blob([])])('comes with %o for a frame', (data) => {
    const { socket, endings } = welcomed();
    socket.dispatchEvent(new MessageEvent('message', { data }));
    expect(endings).toMatchObject([{ kind: 'lost' }]);
  });

  test('is not told where this side closed', () => {
    const { session, socket, clock, endings, pushes } = welcomed();
    session.close();
    session.close();
    socket.receive({ type: 'later' });
    socket.end(1006);
    session.end({ kind: 'lost', reason: 'x' });
    expect([endings, pushes, clock.timerCount]).toEqual([[], [], 0]);
  });

  test('leaves the rest of a frame unread', () => {
    const { session, socket, pushes } = welcomed();
    session.request('"type":"x"', () => session.close());
    socket.receive({ type: 'one' }, { type: 'y', id: 1 }, { type: 'two' });
    expect(pushes.map(([type]) => type)).toEqual(['one']);
  });
});
