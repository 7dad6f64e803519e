/** What a poll of patterns and volatile channels says, with presence and snapshots. */
import { decodeServerRecords } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import type { ChannelRead, ReadResult } from '../../src/hub/hub-types.ts';
import { messages } from '../hub/messages.ts';
import { expectProblem } from './expectations.ts';
import { jsonOf, textOf } from './requests.ts';
import { API_KEY, setUp } from './set-up.ts';

const AUTHORIZATION = { authorization: `Bearer ${API_KEY}` };
const at = (offset: number) => ({ epoch: 'e1', offset });

function found(channel: string, first: number, last: number): ChannelRead {
  const read = { channel, isFound: true, position: at(first - 1), end: at(last), more: false };
  return { ...read, isFound: true, messages: messages(first, last) };
}

/** An API whose hub answers so. */
function answering(answer: Partial<ReadResult>) {
  const world = setUp();
  world.hub.answer = answer;
  return world;
}

describe('a poll of patterns', () => {
  test('tells them by pattern, and losses also by channel [POLL-6]', async () => {
    const gap = { reason: 'trimmed', from: 1, to: 4 } as const;
    const { askAsServer, hub } = answering({
      channels: [
        { channel: 'a', position: at(2), recovered: true, messages: [], end: at(2), more: false },
        found('room/1', 3, 4),
        { ...found('room/2', 5, 5), recovered: false, gap },
      ],
      patterns: new Map([['room/+', { recovered: false, gap }]]),
      more: true,
    });
    const answer = await askAsServer({ url: '/v1/poll?channel=a&channel=room/%2B&after=~m1' });
    expect(jsonOf(answer)).toEqual({
      messages: [
        expect.objectContaining({ channel: 'room/1', offset: 3 }),
        expect.objectContaining({ channel: 'room/1', offset: 4 }),
        expect.objectContaining({ channel: 'room/2', offset: 5 }),
      ],
      positions: { a: 'e1:2', 'room/1': 'e1:4', 'room/2': 'e1:5' },
      mark: '~m0',
      recovered: { a: true, 'room/+': false },
      gaps: { 'room/2': gap, 'room/+': gap },
      more: true,
    });
    expect([...(hub.reads[0]?.request.channels.keys() ?? [])]).toEqual(['a', 'room/+']);
  });

  test('counts names and patterns together', async () => {
    const { askAsServer } = setUp();
    const names = Array.from({ length: 128 }, (_, index) => `channel=c${index}`).join('&');
    const over = await askAsServer({ url: `/v1/poll?${names}&channel=room/%2B` });
    expectProblem(over, 400, 'bad_request', 'at most 128 channels, got 129');
  });

  test('has another tag for each mark where there is nothing else to go on from', async () => {
    const now = new Map([['room/+', {}]]);
    const world = answering({ channels: [], patterns: now });
    const url = '/v1/poll?channel=room/%2B';
    const first = (await world.askAsServer({ url })).headers?.['etag'];
    expect((await world.askAsServer({ url })).headers?.['etag']).toBe(first);
    await world.hub.publish(
      { identity: { kind: 'server', grants: new Map() }, session: 's' },
      'x',
      { payload: Buffer.from('1') },
    );
    expect((await world.askAsServer({ url })).headers?.['etag']).not.toBe(first);
    world.hub.answer = { channels: [], patterns: new Map([['room/+', { recovered: true }]]) };
    const after = (await world.askAsServer({ url: `${url}&after=~m1` })).headers?.['etag'];
    await world.hub.publish(
      { identity: { kind: 'server', grants: new Map() }, session: 's' },
      'x',
      { payload: Buffer.from('1') },
    );
    expect((await world.askAsServer({ url: `${url}&after=~m1` })).headers?.['etag']).toBe(after);
  });

  test('has another tag when a message expires', async () => {
    const world = answering({ channels: [found('room/1', 3, 4)] });
    const url = '/v1/poll?channel=room/%2B&after=~m1';
    const before = (await world.askAsServer({ url })).headers?.['etag'];
    world.hub.answer = { channels: [{ ...found('room/1', 3, 4), messages: messages(4, 4) }] };
    expect((await world.askAsServer({ url })).headers?.['etag']).not.toBe(before);
  });
});

describe('a poll of volatile channels', () => {
  const passing = [{ channel: 'typing', epoch: '', messages: messages(1, 2) }];

  test('says which they are, and has their messages without offsets [POLL-7]', async () => {
    const { askAsServer } = answering({ channels: [], volatile: ['typing'], passing });
    const answer = jsonOf(await askAsServer({ url: '/v1/poll?channel=typing' }));
    expect(answer).toMatchObject({
      messages: [
        { channel: 'typing', time: 1000, data: 1 },
        { channel: 'typing', time: 1000, data: 2 },
      ],
      positions: {},
      volatile: ['typing'],
    });
    expect(JSON.stringify(answer)).not.toContain('offset');
  });

  test('says the same in binary [BIN-8]', async () => {
    const world = answering({
      channels: [found('room/1', 3, 4)],
      patterns: new Map([['room/+', { recovered: true }]]),
      volatile: ['typing'],
      passing,
    });
    const url = '/v1/poll?channel=typing&channel=room/%2B&after=~m1&wait=30';
    const headers = { ...AUTHORIZATION, accept: 'application/vnd.trunkline.v1+bin' };
    const { body = '' } = await world.ask({ url, headers });
    const [page] = decodeServerRecords(Buffer.from(body));
    if (page?.kind !== 'page') throw new Error('expected a page');
    const json = textOf(await world.askAsServer({ url }));
    expect(json.endsWith(`],${page.json.slice(1)}`)).toBe(true);
    expect(page.messages.map(({ channel, offset }) => [channel, offset])).toEqual([
      ['room/1', 3],
      ['room/1', 4],
      ['typing', undefined],
      ['typing', undefined],
    ]);
  });
});

describe('a poll with presence [PRES-11]', () => {
  test('answers the session that it is known by, and is known by it again', async () => {
    const { askAsServer, hub } = setUp();
    const url = '/v1/poll?channel=a&presence=1';
    const { session } = jsonOf(await askAsServer({ url })) as { session: string };
    expect(session).toMatch(/^[0-9A-Za-z]{16}$/);
    const again = jsonOf(await askAsServer({ url: `${url}&session=${session}&wait=0` }));
    expect(again).toMatchObject({ session });
    expect(hub.reads.map(({ caller, request }) => [caller.session, request.presence])).toEqual([
      [session, true],
      [session, true],
    ]);
  });

  test('takes no session without it', async () => {
    const { askAsServer, hub } = setUp();
    const answer = jsonOf(await askAsServer({ url: '/v1/poll?channel=a&session=word' }));
    expect(answer).not.toHaveProperty('session');
    expect(hub.reads[0]?.caller.session).not.toBe('word');
    expect(hub.reads[0]?.request.presence).toBeUndefined();
  });

  test.each(['', 'a b', 'a'.repeat(65), '%22', 'ä'])('refuses the session %j', async (session) => {
    const { askAsServer } = setUp();
    const url = `/v1/poll?channel=a&presence=1&session=${encodeURIComponent(session)}`;
    expectProblem(await askAsServer({ url }), 400, 'bad_request', '1 to 64 letters, digits');
  });

  test('spares the body for a session that is known, and for no other', async () => {
    const { ask } = setUp();
    const url = '/v1/poll?channel=a&after=0:0&presence=1';
    const tagOf = async (session: string) =>
      (await ask({ url: `${url}${session}`, headers: AUTHORIZATION })).headers?.['etag'];
    expect(await tagOf('&session=s')).toBe(await tagOf('&session=s'));
    expect(await tagOf('')).not.toBe(await tagOf(''));
  });
});

test('a poll with snapshots has them by channel, their payloads as they are [SNAP-3]', async () => {
  const snapshot = {
    position: at(2),
    time: 5,
    payload: Buffer.from('{"big":12345678901234567890}'),
  };
  const read = { position: at(2), recovered: false, messages: messages(3, 3), end: at(3) };
  const gap = { reason: 'epoch' } as const;
  const world = answering({
    channels: [{ ...read, channel: '__proto__', gap, snapshot, more: false }],
  });
  const url = '/v1/poll?channel=__proto__&after=k:1&snapshot=1';
  const answer = await world.askAsServer({ url });
  expect(textOf(answer)).toContain(
    '"gaps":{"__proto__":{"reason":"epoch"}},"snapshots":{"__proto__":{"position":"e1:2","time":5,' +
      '"data":{"big":12345678901234567890}}}',
  );
  expect(world.hub.reads[0]?.request.snapshot).toBe(true);
  const before = answer.headers?.['etag'];
  world.hub.answer = {
    channels: [
      { ...read, channel: '__proto__', gap, snapshot: { ...snapshot, time: 6 }, more: false },
    ],
  };
  expect((await world.askAsServer({ url })).headers?.['etag']).not.toBe(before);
});
