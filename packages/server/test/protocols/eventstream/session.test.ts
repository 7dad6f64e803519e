import { MemoryLink } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { ACTIONS } from '../../../src/auth/identity.ts';
import type { Identity } from '../../../src/auth/identity.ts';
import type { NamespaceRules } from '../../../src/config/namespace-rules.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { EventStreamProtocol } from '../../../src/protocols/eventstream/protocol.ts';
import { Wheel } from '../../../src/wheel.ts';
import type { Start } from '../../../src/hub/hub-types.ts';
import { after, setUp } from '../../hub/hub-setup.ts';
import { away } from '../../hub/scripted-broker.ts';

const anonymous: Identity = { kind: 'anonymous', grants: new Map() };

async function setUpStreams(highWaterSize = 1_000, rules: Partial<NamespaceRules> = {}) {
  const world = setUp(rules, highWaterSize);
  await world.hub.open();
  const { clock, hub, turn } = world;
  const wheel = new Wheel(clock);
  const lines: string[] = [];
  const log = { ...silentLog, error: (_fields: object, text: string) => lines.push(text) };
  const protocol = new EventStreamProtocol({ hub, wheel, clock, log, retryMs: 1_000 });
  const open = async (
    start: Start = {},
    identity = anonymous,
    presence = false,
  ): Promise<MemoryLink> => {
    const link = new MemoryLink({ clock, turn, traits: { duplex: false, binary: false } });
    const caller = { identity, session: 's1' };
    const starts = new Map([['news', start]]);
    link.attach(protocol.open(link, { caller, starts, presence, snapshot: false }));
    await clock.settle();
    return link;
  };
  const openMany = async (
    starts: Record<string, Start>,
    identity = anonymous,
  ): Promise<MemoryLink> => {
    const link = new MemoryLink({ clock, turn, traits: { duplex: false, binary: false } });
    const caller = { identity, session: 's1' };
    const request = { caller, starts: new Map(Object.entries(starts)) };
    link.attach(protocol.open(link, { ...request, presence: false, snapshot: false }));
    await clock.settle();
    return link;
  };
  const take = (link: MemoryLink): string => link.takeFrames().join('');
  return { ...world, lines, open, openMany, take, wheel };
}

function openEvent(position: string, rest: string): string {
  return (
    `retry: 1000\nid: ${position}\nevent: open\n` +
    `data: {"session":"s1","positions":{"news":"${position}"},${rest}}\n\n`
  );
}

describe('an event stream that asks to be listed', () => {
  const user: Identity = { kind: 'user', user: 'ada', grants: new Map() };

  test('is told who is there, itself included [PRES-10]', async () => {
    const { hub, open, take } = await setUpStreams();
    const link = await open({}, anonymous, true);
    // The list has the reader itself.
    expect(take(link)).toContain('event: presence\ndata: {"channel":"news","members":[{"session":');
    expect(hub.presence.count('news')).toBe(1);
  });

  test('is listed and told nothing where it may not look [PRES-1]', async () => {
    const allow = { anonymous: ACTIONS, user: ['subscribe'] } as const;
    const { hub, open, take, publish } = await setUpStreams(1_000, { allow });
    const link = await open({}, user, true);
    expect(hub.presence.count('news')).toBe(1);
    expect(hub.presence.watcherCount).toBe(0);
    await publish(1);
    expect(take(link)).toMatch(/^retry: .+\nid: 0:0\nevent: open\n.+\n\nid: e1:1\ndata: 1\n\n$/);
    expect(link.goodbye).toBeUndefined();
  });
});

describe('an event stream', () => {
  test('says first where it stands, so that one cut before its first message resumes [SSE-2]', async () => {
    const { open, publish, take } = await setUpStreams();
    await publish(2);
    const link = await open();
    expect(take(link)).toBe(openEvent('e1:2', '"recovered":{},"gaps":{}'));
    await publish(1);
    expect(take(link)).toBe('id: e1:3\ndata: 1\n\n');
  });

  test('gives what was missed behind its first event', async () => {
    const { open, publish, take } = await setUpStreams();
    await publish(3);
    expect(take(await open(after('e1:1')))).toBe(
      openEvent('e1:1', '"recovered":{"news":true},"gaps":{}') +
        'id: e1:2\ndata: 1\n\nid: e1:3\ndata: 1\n\n',
    );
  });

  test('tells in its first event that something can not be recovered', async () => {
    const { open, publish, take } = await setUpStreams();
    await publish(3);
    expect(take(await open(after('zz:1')))).toBe(
      openEvent('e1:3', '"recovered":{"news":false},"gaps":{"news":{"reason":"epoch"}}'),
    );
  });

  test('tells what is lost while it lives, with the position to go on from [SSE-5]', async () => {
    const { broker, clock, open, publish, take } = await setUpStreams();
    const link = await open();
    await publish(1);
    take(link);
    broker.lose('news');
    await publish(1);
    await clock.settle();
    expect(take(link)).toBe(
      'id: e2:0\nevent: gap\n' +
        'data: {"channel":"news","gap":{"reason":"epoch"},"position":"e2:0"}\n\n' +
        'id: e2:1\ndata: 1\n\n',
    );
  });

  test('falls behind for a slow client and reads on', async () => {
    const { clock, open, publish, take } = await setUpStreams(500);
    const link = await open();
    take(link);
    link.hold();
    await publish(2_000);
    expect(link.pendingBytes).toBeLessThan(500 + 64 * 1024);
    link.release();
    await clock.settle();
    const ids = [...take(link).matchAll(/^id: e1:(\d+)$/gm)].map(([, offset]) => Number(offset));
    expect(ids).toEqual(Array.from({ length: 2_000 }, (_, index) => index + 1));
  });
});

describe('the end of an event stream', () => {
  test('comes with a code when the log can not be read', async () => {
    const { broker, hub, open } = await setUpStreams();
    broker.failure = away;
    const link = await open();
    expect(link.goodbye).toEqual({ code: 'unavailable', retryAfter: 1_000 });
    expect(hub.activeChannels('#')).toEqual([]);
  });

  test('comes with internal, and a line in the log, when the fault is ours', async () => {
    const { broker, lines, open } = await setUpStreams();
    broker.failure = new TypeError('a bug');
    const link = await open();
    expect(link.goodbye).toEqual({ code: 'internal' });
    expect(lines).toEqual(['opening an event stream failed']);
  });

  test('comes with the end of the token [AUTH-5]', async () => {
    const { clock, hub, open, wheel } = await setUpStreams();
    const link = await open({}, { ...anonymous, expiresAt: clock.unixMs() + 5_000 });
    await clock.pass(4_000);
    expect(link.goodbye).toBeUndefined();
    await clock.pass(2_000);
    expect(link.goodbye).toMatchObject({ code: 'unauthenticated' });
    expect(hub.activeChannels('#')).toEqual([]);
    expect(wheel.armedCount).toBe(0);
  });

  test('comes at once for a token that ended before the stream began', async () => {
    const { clock, open } = await setUpStreams();
    const link = await open({}, { ...anonymous, expiresAt: clock.unixMs() - 5_000 });
    await clock.pass(1_000);
    expect(link.goodbye).toMatchObject({ code: 'unauthenticated' });
  });

  test('gives everything back when the client leaves', async () => {
    const { clock, hub, open, wheel } = await setUpStreams();
    const link = await open({}, { ...anonymous, expiresAt: clock.unixMs() + 60_000 });
    expect(hub.activeChannels('#')).toHaveLength(1);
    link.drop();
    await clock.settle();
    expect(hub.activeChannels('#')).toEqual([]);
    expect(wheel.armedCount).toBe(0);
  });

  test('gives everything back when the client leaves before the stream is open', async () => {
    const { broker, clock, hub, open, publish, wheel } = await setUpStreams();
    await publish(1);
    broker.holdReads();
    const link = await open({}, { ...anonymous, expiresAt: clock.unixMs() + 60_000 });
    link.drop();
    await clock.settle();
    broker.releaseReads();
    await clock.settle();
    expect(link.frames).toEqual([]);
    expect(hub.activeChannels('#')).toEqual([]);
    expect(wheel.armedCount).toBe(0);
  });

  test('leaves nothing of what the peer sends', async () => {
    const { clock, open, take } = await setUpStreams();
    const link = await open();
    take(link);
    link.receive('GET / HTTP/1.1');
    await clock.settle();
    expect(link.goodbye).toBeUndefined();
    expect(take(link)).toBe('');
  });
});

describe('an event stream without a channel [SSE-13]', () => {
  test('is open, reads nothing, and ends with its token', async () => {
    const { clock, openMany, publish, take, wheel } = await setUpStreams();
    const link = await openMany({}, { ...anonymous, expiresAt: clock.unixMs() + 5_000 });
    expect(take(link)).toBe(
      'retry: 1000\nevent: open\n' +
        'data: {"session":"s1","positions":{},"recovered":{},"gaps":{}}\n\n',
    );
    await publish(1);
    expect(take(link)).toBe('');
    await clock.pass(6_000);
    expect(link.goodbye).toMatchObject({ code: 'unauthenticated' });
    expect(wheel.armedCount).toBe(0);
  });

  test('gives everything back when the client leaves', async () => {
    const { clock, openMany, wheel } = await setUpStreams();
    const link = await openMany({}, { ...anonymous, expiresAt: clock.unixMs() + 5_000 });
    link.drop();
    await clock.settle();
    expect(wheel.armedCount).toBe(0);
  });
});

describe('an event stream of several channels', () => {
  test('has a mark as the id of the last message of a flush [SSE-9]', async () => {
    const { openMany, publish, take } = await setUpStreams();
    await publish(1, 'a');
    const link = await openMany({ a: {}, 'b/+': {} });
    const opened = take(link);
    expect(opened).toContain('"positions":{"a":"e1:1"}');
    expect(opened).toMatch(/^id: ~1/m);
    await publish(2, 'b/1');
    const events = take(link).trimEnd().split('\n\n');
    expect(events).toHaveLength(2);
    expect(events[0]).not.toContain('id:');
    expect(events[1]).toMatch(/^id: ~3\ndata: \{.*"channel":"b\/1","offset":2/);
  });

  test('reads once what a name and a pattern match, from the place further back', async () => {
    const { openMany, publish, take } = await setUpStreams();
    await publish(4, 'a/1');
    const link = await openMany({ 'a/1': after('e1:2'), 'a/+': { after: { kind: 'start' } } });
    await publish(1, 'a/1');
    const offsets = [...take(link).matchAll(/"offset":(\d+)/g)].map(([, offset]) => Number(offset));
    expect(offsets).toEqual([1, 2, 3, 4, 5]);
  });

  test('tells each loss after open and before any message, without an id [SSE-9]', async () => {
    const { broker, openMany, publish, take } = await setUpStreams();
    await publish(5, 'a');
    broker.trim('a', 4);
    await publish(1, 'b');
    const link = await openMany({ '#': { after: { kind: 'mark', mark: '~1' }, partial: true } });
    const [opened, gap, ...messages] = take(link).trimEnd().split('\n\n');
    expect(opened).toContain('"recovered":{"#":false}');
    expect(gap).toMatch(/^event: gap\ndata: \{"channel":"a","gap":\{"reason":"trimmed"/);
    expect(messages.filter((event) => event.includes('data:'))).toHaveLength(3);
  });

  test('has an id alone where no message could tell the mark [SSE-10]', async () => {
    const { broker, clock, openMany, publish, take } = await setUpStreams();
    const link = await openMany({ 'a/+': {} });
    await publish(2, 'a/1');
    take(link);
    broker.lose('a/1');
    broker.doubt('a/1');
    await publish(0, 'a/1');
    await clock.settle();
    const told = take(link);
    expect(told).toContain('event: gap');
    expect(told).toMatch(/\n\nid: ~2\n\n$/);
  });
});
