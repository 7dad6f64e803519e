/** Several channels and patterns as one subscription, over WebSocket and event streams. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventStreamPeer } from '../../src/event-stream.ts';
import type { Fields } from '../../src/http.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { tokenOf, JWT_SECRET } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

let server: LabServer;
let closed: LabServer;

beforeAll(async () => {
  server = await startServer({
    namespaces: {
      'short/#': { history: { countMax: 2 } },
      'live/#': { volatile: true },
    },
  });
  closed = await startServer({ auth: { jwtSecret: JWT_SECRET } });
});

afterAll(async () => {
  expect([server.faults, closed.faults]).toEqual([[], []]);
  await server[Symbol.asyncDispose]();
  await closed[Symbol.asyncDispose]();
});

/** A session that was welcomed. */
async function open(): Promise<WebSocketPeer> {
  const peer = await WebSocketPeer.open(server.port);
  await peer.nextOf('welcome');
  return peer;
}

/** The next messages, as `channel:data`. */
async function messages(peer: WebSocketPeer, count: number): Promise<string[]> {
  const found: string[] = [];
  while (found.length < count) found.push(brief(await peer.nextOf('message')));
  return found;
}

function brief(message: Fields): string {
  return `${String(message['channel'])}:${JSON.stringify(message['data'])}`;
}

/** Nothing more comes, but for marks: what is answered after it comes next. */
async function expectNothing(peer: WebSocketPeer): Promise<void> {
  peer.send({ type: 'ping' });
  let type: unknown;
  do ({ type } = await peer.next());
  while (type === 'mark');
  expect(type).toBe('pong');
}

/** Messages of a session up to a number, and the mark of the last that had one. */
async function readMarked(
  peer: WebSocketPeer,
  count: number,
): Promise<{ readonly found: string[]; readonly mark: string }> {
  const found: string[] = [];
  let mark = '';
  while (found.length < count || mark === '') {
    const fields = await peer.next();
    if (fields['type'] === 'message') found.push(brief(fields));
    if (typeof fields['mark'] === 'string') ({ mark } = fields as { mark: string });
  }
  return { found, mark };
}

describe('a pattern over WebSocket', () => {
  test('[WILD-1] [WS-17] delivers every channel it matches, those born later included', async () => {
    using peer = await open();
    const answer = await peer.call({ type: 'subscribe', id: 1, channel: 'w1/+' });
    expect(answer).toMatchObject({ type: 'subscribed', id: 1, channel: 'w1/+' });
    expect(String(answer['mark'])).toMatch(/^~/);
    expect(answer).not.toHaveProperty('position');
    await server.publish('w1/a', 1);
    await server.publish('w1/b', 2);
    await server.publish('w1/b/c', 3);
    await server.publish('w1', 4);
    await server.publish('w1/a', 5);
    expect(await messages(peer, 3)).toEqual(['w1/a:1', 'w1/b:2', 'w1/a:5']);
    await expectNothing(peer);
  });

  test('[WILD-1] [CH-3] matches the parent by #, and private channels by nothing', async () => {
    using peer = await open();
    await peer.call({ type: 'subscribe', id: 1, channel: '#' });
    await server.publish('w2', 1);
    await server.publish('w2/x/y', 2);
    const found = await messages(peer, 2);
    expect(found).toEqual(['w2:1', 'w2/x/y:2']);
  });

  test('[WILD-2] [WILD-3] goes on by a mark, with channels born during the absence', async () => {
    using first = await open();
    await first.call({ type: 'subscribe', id: 1, channel: 'w3/#' });
    await server.publish('w3/a', 1, 2);
    const { mark } = await readMarked(first, 2);
    first[Symbol.dispose]();
    await server.publish('w3/a', 3);
    await server.publish('w3/new', 4, 5);
    using second = await open();
    const answer = await second.call({ type: 'subscribe', id: 1, channel: 'w3/#', after: mark });
    expect(answer).toMatchObject({ recovered: true, mark });
    const read = await readMarked(second, 3);
    expect(read.found.toSorted()).toEqual(['w3/a:3', 'w3/new:4', 'w3/new:5']);
    await server.publish('w3/a', 6);
    expect(await messages(second, 1)).toEqual(['w3/a:6']);
    // What came while catching up has a mark as well: nothing of it comes again.
    using third = await open();
    await third.call({ type: 'subscribe', id: 1, channel: 'w3/#', after: read.mark });
    expect(await messages(third, 1)).toEqual(['w3/a:6']);
    await expectNothing(third);
  });

  test('[WILD-5] begins at the start, and with the newest of each', async () => {
    await server.publish('w4/a', 1, 2, 3);
    await server.publish('w4/b', 4, 5);
    using all = await open();
    const answer = await all.call({ type: 'subscribe', id: 1, channel: 'w4/+', after: 'start' });
    expect(answer).toMatchObject({ recovered: true });
    const found = await messages(all, 5);
    expect(found.toSorted()).toEqual(['w4/a:1', 'w4/a:2', 'w4/a:3', 'w4/b:4', 'w4/b:5']);
    using newest = await open();
    await newest.call({ type: 'subscribe', id: 1, channel: 'w4/+', last: 1 });
    expect((await messages(newest, 2)).toSorted()).toEqual(['w4/a:3', 'w4/b:5']);
    await expectNothing(newest);
  });

  test('[WILD-5] tells which channels lost something', async () => {
    using first = await open();
    await first.call({ type: 'subscribe', id: 1, channel: 'short/w5/+' });
    await server.publish('short/w5/a', 1);
    const { mark } = await readMarked(first, 1);
    await server.publish('short/w5/a', 2, 3, 4, 5);
    await server.publish('short/w5/b', 6);
    using second = await open();
    const command = { type: 'subscribe', id: 1, channel: 'short/w5/+', after: mark };
    const answer = await second.call(command);
    expect(answer).toMatchObject({ recovered: false, gap: { reason: 'trimmed', to: 5 } });
    expect(await second.next()).toMatchObject({
      type: 'gap',
      channel: 'short/w5/a',
      gap: { reason: 'trimmed', to: 5 },
    });
    expect(await messages(second, 1)).toEqual(['short/w5/b:6']);
    await expectNothing(second);
    const partial = await open();
    await partial.call({ ...command, partial: true });
    expect(await partial.nextOf('gap')).toMatchObject({ gap: { reason: 'trimmed', to: 3 } });
    const left = await messages(partial, 3);
    expect(left.toSorted()).toEqual(['short/w5/a:4', 'short/w5/a:5', 'short/w5/b:6']);
    partial[Symbol.dispose]();
  });

  test.each(['k3f9:3', '~nobody.made.this', 'a=b'])(
    '[WILD-5] [REC-3] after %s says that it is not known',
    async (after) => {
      using peer = await open();
      const answer = await peer.call({ type: 'subscribe', id: 1, channel: 'w6/+', after });
      expect(answer).toMatchObject({ recovered: false, gap: { reason: 'unknown' } });
      await server.publish('w6/a', 1);
      expect(await messages(peer, 1)).toEqual(['w6/a:1']);
    },
  );

  test('[WILD-4] delivers once what matches several subscriptions', async () => {
    using peer = await open();
    for (const [id, channel] of ['w7/a', 'w7/+', 'w7/#', '+/a', 'w7/b'].entries()) {
      expect(await peer.call({ type: 'subscribe', id, channel })).toMatchObject({ channel });
    }
    await server.publish('w7/a', 1, 2);
    await server.publish('w7/b', 3);
    await server.publish('w7/c', 4);
    expect(await messages(peer, 4)).toEqual(['w7/a:1', 'w7/a:2', 'w7/b:3', 'w7/c:4']);
    await expectNothing(peer);
    await peer.call({ type: 'unsubscribe', id: 9, channel: 'w7/a' });
    await peer.call({ type: 'unsubscribe', id: 10, channel: 'w7/+' });
    await server.publish('w7/a', 5);
    await server.publish('w7/c', 6);
    expect(await messages(peer, 2)).toEqual(['w7/a:5', 'w7/c:6']);
    await expectNothing(peer);
  });

  test('[WILD-4] resumes overlapping subscriptions without a double', async () => {
    using first = await open();
    const { position } = await first.call({ type: 'subscribe', id: 1, channel: 'w8/a' });
    await first.call({ type: 'subscribe', id: 2, channel: 'w8/+' });
    await server.publish('w8/b', 0);
    const { mark } = await readMarked(first, 1);
    await server.publish('w8/a', 1, 2);
    await server.publish('w8/b', 3);
    for (const order of [
      ['w8/a', 'w8/+'],
      ['w8/+', 'w8/a'],
    ]) {
      using peer = await open();
      for (const [id, channel] of order.entries()) {
        const after = channel === 'w8/a' ? String(position) : mark;
        peer.send({ type: 'subscribe', id, channel, after });
      }
      const found: string[] = [];
      for (let answers = 0; answers < 2 || found.length < 3; ) {
        const fields = await peer.next();
        if (fields['type'] === 'subscribed') answers += 1;
        else if (fields['type'] === 'message') found.push(brief(fields));
      }
      expect(found.toSorted(), order.join()).toEqual(['w8/a:1', 'w8/a:2', 'w8/b:3']);
      await expectNothing(peer);
    }
  });

  test('[WILD-4] reads again from further back where that is asked for', async () => {
    await server.publish('w9/a', 1, 2, 3);
    using peer = await open();
    await peer.call({ type: 'subscribe', id: 1, channel: 'w9/a', last: 1 });
    expect(await messages(peer, 1)).toEqual(['w9/a:3']);
    await peer.call({ type: 'subscribe', id: 2, channel: 'w9/+', after: 'start' });
    expect(await messages(peer, 3)).toEqual(['w9/a:1', 'w9/a:2', 'w9/a:3']);
    await expectNothing(peer);
  });

  test('[WS-16] leaves out what the session itself publishes', async () => {
    using peer = await open();
    await peer.call({ type: 'subscribe', id: 1, channel: 'w10/+', echo: false });
    await peer.call({ type: 'subscribe', id: 2, channel: 'w10b', echo: false });
    await peer.call({ type: 'publish', id: 3, channel: 'w10/a', data: 'mine' });
    await peer.call({ type: 'publish', id: 4, channel: 'w10b', data: 'mine' });
    await server.publish('w10/a', 'theirs');
    await server.publish('w10b', 'theirs');
    expect(await messages(peer, 2)).toEqual(['w10/a:"theirs"', 'w10b:"theirs"']);
  });

  test('[VOL-1] [WILD-1] has the volatile channels it matches', async () => {
    using peer = await open();
    await peer.call({ type: 'subscribe', id: 1, channel: 'live/w11/+' });
    const answer = await peer.call({ type: 'publish', id: 2, channel: 'live/w11/a', data: 1 });
    expect(answer).toMatchObject({ type: 'published', volatile: true });
    expect(answer).not.toHaveProperty('offset');
    const message = await peer.nextOf('message');
    expect(message).toMatchObject({ channel: 'live/w11/a', data: 1 });
    expect(message).not.toHaveProperty('offset');
  });

  test('[AUTH-7] needs a grant that contains it whole', async () => {
    const channels = { 'a/+': ['subscribe'], b: ['subscribe'] };
    const token = tokenOf('ada', { channels });
    const peer = await WebSocketPeer.open(closed.port, { path: `/v1/ws?access_token=${token}` });
    await peer.nextOf('welcome');
    const ask = async (id: number, channel: string): Promise<unknown> => {
      const { type, code } = await peer.call({ type: 'subscribe', id, channel });
      return code ?? type;
    };
    expect(await ask(1, 'a/+')).toBe('subscribed');
    expect(await ask(2, 'a/#')).toBe('forbidden');
    expect(await ask(3, '+/+')).toBe('forbidden');
    expect(await ask(4, '#')).toBe('forbidden');
    expect(await ask(5, '@ada/#')).toBe('forbidden');
    peer[Symbol.dispose]();
  });
});

describe('an event stream of several channels', () => {
  test('[SSE-9] [WILD-2] has message objects, marks as ids, and goes on by them', async () => {
    await server.publish('w20/a', 1);
    const query = '?channel=w20/a&channel=w20/b&channel=w20x/%2B';
    const first = await EventStreamPeer.open(`${server.url}/v1/sse${query}`);
    const opened = await first.next();
    expect(opened.type).toBe('open');
    expect(JSON.parse(opened.data)).toMatchObject({ positions: { 'w20/b': '0:0' } });
    expect(opened.id).toMatch(/^~/);
    await server.publish('w20/b', 2);
    await server.publish('w20x/c', 3);
    const found = [await first.next(), await first.next()];
    expect(found.map(({ data }) => brief(JSON.parse(data) as Fields))).toEqual([
      'w20/b:2',
      'w20x/c:3',
    ]);
    const { id } = found[1] ?? { id: '' };
    expect(id).toMatch(/^~/);
    first[Symbol.dispose]();
    await server.publish('w20/a', 4);
    await server.publish('w20x/new', 5);
    const second = await EventStreamPeer.open(`${server.url}/v1/sse${query}`, {
      'last-event-id': id,
    });
    const again = JSON.parse((await second.next()).data) as Fields;
    expect(again['recovered']).toEqual({ 'w20/a': true, 'w20/b': true, 'w20x/+': true });
    const missed = [await second.next(), await second.next()];
    expect(missed.map(({ data }) => brief(JSON.parse(data) as Fields)).toSorted()).toEqual([
      'w20/a:4',
      'w20x/new:5',
    ]);
    second[Symbol.dispose]();
  });

  test('[SSE-9] [REC-1] begins each channel where it is told', async () => {
    const [first] = await server.publish('w21/a', 1, 2);
    await server.publish('w21/b', 3);
    const after = new URLSearchParams({ 'w21/a': first?.position ?? '' });
    const search = new URLSearchParams({ channel: 'w21/a', after: after.toString() });
    search.append('channel', 'w21/b');
    const stream = await EventStreamPeer.open(`${server.url}/v1/sse?${search}`);
    const opened = await stream.next();
    expect(JSON.parse(opened.data)).toMatchObject({ recovered: { 'w21/a': true } });
    expect(brief(JSON.parse((await stream.next()).data) as Fields)).toBe('w21/a:2');
    // Cut before its first message it would go on from the same place.
    const again = await EventStreamPeer.open(`${server.url}/v1/sse?${search}`, {
      'last-event-id': opened.id,
    });
    await again.next();
    expect(brief(JSON.parse((await again.next()).data) as Fields)).toBe('w21/a:2');
    stream[Symbol.dispose]();
    again[Symbol.dispose]();
  });

  test('[SSE-11] [VOL-1] of a volatile channel has no id', async () => {
    const stream = await EventStreamPeer.open(`${server.url}/v1/sse?channel=live/w22`);
    const opened = await stream.next();
    expect(JSON.parse(opened.data)).toMatchObject({ positions: {}, volatile: ['live/w22'] });
    expect(opened.id).toBe('');
    const answer = await fetch(`${server.url}/v1/publish`, {
      method: 'POST',
      body: JSON.stringify({ channel: 'live/w22', data: { x: 1 } }),
    });
    expect(await answer.json()).toEqual({ channel: 'live/w22', volatile: true });
    expect(await stream.next()).toMatchObject({ type: 'message', data: '{"x":1}', id: '' });
    stream[Symbol.dispose]();
  });
});
