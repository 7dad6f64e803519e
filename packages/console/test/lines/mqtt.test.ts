import { PacketDecoder } from '@trunkline/server/internal/protocols/mqtt/codec/decoder.ts';
import { encode } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import type { Packet } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { describe, expect, test } from 'vitest';
import type { LineOptions } from '../../src/lines/line.ts';
import { connect } from '../../src/lines/mqtt.ts';
import { fakeSockets } from '../fake-socket.ts';
import type { FakeWebSocket } from '../fake-socket.ts';
import { Recorder } from '../recorder.ts';
import type { Aside } from '../recorder.ts';

type Loss = Readonly<Record<string, unknown>>;

/** As the properties of a packet say it. */
function told(losses: readonly Loss[], more: readonly (readonly [string, string])[] = []) {
  const gaps = losses.map((loss) => ['trunkline.gap', JSON.stringify(loss)] as const);
  return { userProperties: [...gaps, ...more] };
}

function connack(sessionPresent: boolean, ...losses: Loss[]): Packet {
  return { kind: 'connack', sessionPresent, reason: 0, properties: told(losses) };
}

function suback(...reasons: number[]): Packet {
  return { kind: 'suback', packetId: 1, reasons, properties: {} };
}

function publish(offset: number, { topic = 'room/42', losses = [] as Loss[] } = {}): Packet {
  return {
    kind: 'publish',
    ...{ topic, payload: Buffer.from(String(offset)), qos: 1, retain: false, dup: false },
    packetId: offset,
    properties: told(losses, [['trunkline.position', `k3f9:${offset}`]]),
  };
}

function ended(reason: number): Packet {
  return { kind: 'disconnect', reason, properties: {} };
}

function open(rest: Partial<LineOptions> = {}, ...asides: Aside[]) {
  const sockets = fakeSockets();
  const recorder = new Recorder(...asides);
  const line = connect(recorder.options(rest));
  const last = (): FakeWebSocket => {
    const socket = sockets.at(-1);
    if (socket === undefined) throw new Error('no socket was opened');
    return socket;
  };
  const receive = (...packets: Packet[]): void => {
    const bytes = Buffer.concat(packets.map((packet) => encode(packet, 5)));
    last().onmessage?.({ data: new Uint8Array(bytes).buffer });
  };
  /** The packets that the last connection was sent. */
  const sent = () => {
    const decoder = new PacketDecoder({ packetSizeMax: 100_000 });
    return last().sent.flatMap((bytes) => [...decoder.push(Buffer.from(bytes as Uint8Array))]);
  };
  /** Comes to be live in a session that is new, or that goes on. */
  const begin = (sessionPresent = false, ...losses: Loss[]): void => {
    last().onopen?.();
    receive(connack(sessionPresent, ...losses));
    receive(suback(...(rest.filters ?? ['']).map(() => 1)));
  };
  /** Loses the connection and comes back. */
  const comeBack = (): void => {
    last().end(1006);
    recorder.pace.advance(5_000);
  };
  const { told: heard, pace } = recorder;
  return { line, last, sockets, told: heard, pace, receive, sent, begin, comeBack };
}

describe('a line over MQTT', () => {
  test('[DEV-31] begins a session with positions, and acknowledges what it handed on', () => {
    const { last, told: heard, line, receive, sent, begin } = open({ token: () => 'secret' });
    expect(last()).toMatchObject({ url: 'ws://127.0.0.1:1/v1/ws', protocol: 'mqtt' });
    begin();
    expect(sent()).toMatchObject([
      {
        kind: 'connect',
        cleanStart: true,
        password: Buffer.from('secret'),
        properties: { userProperties: [['trunkline.positions', '1']] },
      },
      { kind: 'subscribe', subscriptions: [{ filter: 'room/42', qos: 1, retainHandling: 2 }] },
      { kind: 'pingreq' },
    ]);
    expect(line.standing.after).toBeUndefined();
    receive(publish(41), publish(42));
    expect(heard).toEqual(['started', 'live', 'json k3f9:41 41', 'json k3f9:42 42']);
    expect(sent().slice(3)).toMatchObject([
      { kind: 'puback', packetId: 41 },
      { kind: 'puback', packetId: 42 },
    ]);
    // Any other transport can go on from here.
    expect(line.standing.after).toBe('k3f9:42');
  });

  test('[DEV-17] goes on with its session, and leaves out what comes again', () => {
    const { told: heard, line, receive, sent, begin, comeBack } = open();
    begin();
    receive(publish(41), publish(42));
    const [first] = sent();
    comeBack();
    begin(true);
    expect(sent()[0]).toMatchObject({ clientId: (first as { clientId: string }).clientId });
    expect(sent()[0]).toMatchObject({ cleanStart: false });
    receive(publish(42), publish(43));
    expect(heard.slice(4)).toEqual([
      'reconnecting: the connection broke',
      'recovered k3f9:42',
      'live',
      'json k3f9:43 43',
    ]);
    // What came again is acknowledged again.
    expect(sent().slice(-2)).toMatchObject([{ packetId: 42 }, { packetId: 43 }]);
    expect(line.standing.after).toBe('k3f9:43');
  });

  test('[DEV-31] knows the word by which presence lists it', () => {
    const { last, told: heard, receive } = open({}, 'session');
    last().onopen?.();
    const properties = { userProperties: [['trunkline.session', 's1'] as const] };
    receive({ kind: 'connack', sessionPresent: false, reason: 0, properties });
    expect(heard).toEqual(['session s1']);
  });

  test('goes on behind a pattern, which has no place to tell', () => {
    const { told: heard, line, receive, begin, comeBack } = open({ filters: ['room/+'] });
    begin();
    receive(publish(7, { topic: 'room/1' }));
    expect(line.standing.after).toBeUndefined();
    comeBack();
    begin(true);
    receive(publish(7, { topic: 'room/1' }), publish(8, { topic: 'room/1' }));
    expect(heard.slice(3)).toEqual([
      'reconnecting: the connection broke',
      'recovered',
      'live',
      'json room/1 k3f9:8 8',
    ]);
  });

  test('tells a gap when the server has its session no more', () => {
    const { told: heard, receive, begin, comeBack } = open();
    begin();
    receive(publish(41));
    comeBack();
    begin(false);
    receive(publish(50));
    expect(heard.slice(4)).toEqual(['began with gap unknown', 'live', 'json k3f9:50 50']);
  });

  test('[DEV-32] tells what was lost while it was away, and while it is there', () => {
    const filters = ['room/42', 'room/+'];
    const { told: heard, receive, begin, comeBack } = open({ filters }, 'begun');
    begin();
    comeBack();
    const trimmed = { reason: 'trimmed', from: 1, to: 2 };
    begin(true, { channel: 'room/42', ...trimmed }, { channel: 'room/7', ...trimmed });
    const losses = [{ channel: 'room/9', ...trimmed }];
    receive(publish(3, { topic: 'room/9', losses }));
    expect(heard.slice(5)).toEqual([
      'begun room/42 nowhere',
      'begun room/+ nowhere',
      'began with gap trimmed',
      'live',
      'gap room/7 trimmed nowhere',
      'gap room/9 trimmed nowhere',
      'json room/9 k3f9:3 3',
    ]);
  });

  test('[DEV-32] takes everything for lost where too much is to be told', () => {
    const { told: heard, receive, begin } = open({}, 'begun');
    begin();
    receive(publish(3, { losses: [{ channel: '#', reason: 'unknown' }] }));
    expect(heard.slice(3)).toEqual(['begun room/42 nowhere', 'json k3f9:3 3']);
  });

  test.each([
    [0x86, 'the token is not good'],
    [0x87, 'not allowed'],
    [0x84, 'the server answered 0x84'],
  ])('gives up when CONNECT is refused with %i', (reason, text) => {
    const { last, line, receive } = open();
    last().onopen?.();
    receive({ kind: 'connack', sessionPresent: false, reason, properties: {} });
    expect(line.status).toMatchObject({ state: 'gave-up', reason: text });
  });

  test('gives up when a filter is refused, in the words of the server', () => {
    const { last, line, receive } = open();
    last().onopen?.();
    const properties = { reasonString: 'a grant is needed' };
    receive(connack(false), { kind: 'suback', packetId: 1, reasons: [0x87], properties });
    expect(line.status).toMatchObject({ state: 'gave-up', reason: 'a grant is needed' });
  });

  test('[DEV-30] begins anew after a refusal, which ended the subscription', () => {
    const { last, line, receive, sent, begin } = open();
    begin();
    line.renew();
    last().onopen?.();
    receive(connack(true), suback(0x87));
    expect(line.status.state).toBe('gave-up');
    line.resume();
    last().onopen?.();
    expect(sent()[0]).toMatchObject({ cleanStart: true });
  });

  test.each([0x00, 0x88, 0x8b, 0x8d, 0x97, 0x98])('comes back after DISCONNECT %i', (reason) => {
    const { line, receive, begin, pace, sockets } = open();
    begin();
    receive(ended(reason), publish(41));
    expect(line.status.state).toBe('reconnecting');
    expect(line.standing.after).toBeUndefined();
    pace.advance(5_000);
    expect(sockets).toHaveLength(2);
  });

  test('takes another name when its own is taken, as a duplicated tab does', () => {
    const { last, line, receive, sent, begin, pace } = open();
    begin();
    const [before] = sent();
    receive(ended(0x8e));
    expect(line.status.reason).toBe('another tab went on with its session');
    pace.advance(5_000);
    last().onopen?.();
    const [after] = sent();
    expect(after).toMatchObject({ kind: 'connect', cleanStart: true });
    expect(after).not.toMatchObject({ clientId: (before as { clientId: string }).clientId });
  });

  test('gives up when the socket is closed for good, and does not acknowledge any more', () => {
    const { last, line, begin } = open();
    begin();
    last().end(4403, 'no');
    expect(line.status).toMatchObject({ state: 'gave-up', reason: 'no' });
  });

  test('finds a peer that is gone without a word, and keeps one that answers', () => {
    const { line, receive, begin, pace, sent } = open();
    begin();
    pace.advance(15_000);
    receive({ kind: 'pingresp' });
    expect(sent().filter(({ kind }) => kind === 'pingreq')).toHaveLength(2);
    pace.advance(15_000);
    expect(line.status.state).toBe('live');
    pace.advance(15_000);
    expect(line.status.reason).toBe('the server stopped answering');
  });

  test('asks as often as the server wants to hear from it', () => {
    const { last, receive, pace, sent } = open();
    last().onopen?.();
    const properties = { serverKeepAlive: 4 };
    receive({ kind: 'connack', sessionPresent: false, reason: 0, properties }, suback(1));
    receive({ kind: 'pingresp' });
    pace.advance(2_000);
    expect(sent().filter(({ kind }) => kind === 'pingreq')).toHaveLength(2);
  });

  test('does not wait for ever for an answer', () => {
    const { line, pace } = open();
    pace.advance(10_000);
    expect(line.status).toMatchObject({ state: 'reconnecting', reason: 'no answer in time' });
  });

  test('drops a server that sends what is no MQTT', () => {
    const { last, line, begin } = open();
    begin();
    last().onmessage?.({ data: 'text' });
    expect(line.status.state).toBe('live');
    last().onmessage?.({ data: Uint8Array.of(0xf0, 0).buffer });
    expect(line.status.reason).toBe('the server sent something that cannot be read');
  });

  test.each([
    ['{"a":1}', undefined, 'json', '{"a":1}'],
    ['{"a":1}', 'application/json', 'json', '{"a":1}'],
    ['{"a":1}', 'text/plain', 'text', '{"a":1}'],
    ['warm', undefined, 'text', 'warm'],
    ['warm', 'application/json', 'text', 'warm'],
    ['warm', 'image/png', 'bytes', 'd2FybQ=='],
    ['\xff', undefined, 'bytes', '/w=='],
    ['\xff', 'text/plain', 'bytes', '/w=='],
  ])('[DEV-10] shows %j of the type %s as %s', (payload, contentType, kind, text) => {
    const { told: heard, receive, begin } = open();
    begin();
    const properties = contentType === undefined ? {} : { contentType };
    receive({
      kind: 'publish',
      ...{ topic: 'room/42', payload: Buffer.from(payload, 'latin1'), retain: false, dup: false },
      ...{ qos: 0, packetId: 0, properties },
    });
    expect(heard.at(-1)).toBe(`${kind} volatile ${text}`);
  });
});
