import { encodeJsonRecord } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { connect } from '../../src/lines/websocket.ts';
import type { LineOptions } from '../../src/lines/line.ts';
import { fakeSockets } from '../fake-socket.ts';
import type { FakeWebSocket } from '../fake-socket.ts';
import { Recorder, standingAt } from '../recorder.ts';
import type { Aside } from '../recorder.ts';

const welcome = {
  type: 'welcome',
  session: 's1',
  node: 'n1',
  ping: 25_000,
  resume: '',
  limits: {},
};
const message = (offset: number) => ({
  type: 'message',
  channel: 'room/42',
  epoch: 'k3f9',
  offset,
  time: 1,
  data: offset,
});
const SUBSCRIBE = { type: 'subscribe', id: 1, channel: 'room/42', snapshot: true, presence: true };
const subscribed = (more: object) => ({
  type: 'subscribed',
  id: 1,
  channel: 'room/42',
  position: 'k3f9:40',
  ...more,
});

function open(rest: Partial<LineOptions> = {}, ...asides: Aside[]) {
  const sockets = fakeSockets();
  const recorder = new Recorder(...asides);
  const line = connect(recorder.options(rest));
  const last = (): FakeWebSocket => {
    const socket = sockets.at(-1);
    if (socket === undefined) throw new Error('no socket was opened');
    return socket;
  };
  return { line, last, sockets, told: recorder.told, pace: recorder.pace };
}

describe('a line over WebSocket', () => {
  test('subscribes after the welcome and reads what follows', () => {
    const { last, told } = open();
    expect(last()).toMatchObject({ url: 'ws://127.0.0.1:1/v1/ws', protocol: 'trunkline.v1.json' });
    expect(last().sent).toEqual([]);
    last().receive(welcome);
    expect(last().sent).toEqual([SUBSCRIBE]);
    last().receive(subscribed({}));
    last().receive(message(41));
    expect(told).toEqual(['started k3f9:40', 'live', 'json k3f9:41 41']);
  });

  test('reads several objects from one frame, in order', () => {
    const { last, told } = open({ standing: standingAt('k3f9:40') });
    last().receive(welcome);
    last().receive(subscribed({ recovered: true }), message(41), message(42));
    expect(told).toEqual(['recovered k3f9:40', 'live', 'json k3f9:41 41', 'json k3f9:42 42']);
  });

  test('[WS-10] says who it is in a hello, and is not taken for somebody else before', () => {
    const { last } = open({ token: () => 'a b' });
    expect(last().url).toBe('ws://127.0.0.1:1/v1/ws');
    last().onopen?.();
    expect(last().sent).toEqual([{ type: 'hello', id: 0, token: 'a b' }]);
    last().receive(welcome);
    expect(last().sent).toHaveLength(1);
    last().receive({ ...welcome, id: 0 });
    expect(last().sent.slice(1)).toEqual([SUBSCRIBE]);
  });

  test('hands its position over when it subscribes again', () => {
    const { last, pace } = open();
    last().receive(welcome);
    last().receive(subscribed({}), message(41));
    last().end(1006);
    pace.advance(50);
    last().receive(welcome);
    expect(last().sent).toEqual([{ ...SUBSCRIBE, after: 'k3f9:41' }]);
  });

  test('tells a gap, at the resume and later', () => {
    const { last, told, line } = open({ standing: standingAt('old1:9') });
    last().receive(welcome);
    last().receive(subscribed({ recovered: false, gap: { reason: 'epoch' } }));
    last().receive({
      type: 'gap',
      channel: 'room/42',
      gap: { reason: 'trimmed', from: 41, to: 50 },
      position: 'k3f9:50',
    });
    expect(told).toEqual(['began with gap epoch', 'live', 'gap room/42 trimmed k3f9:50']);
    expect(line.standing.after).toBe('k3f9:50');
  });

  test.each([1000, 1002, 1009, 4400, 4401, 4403, 4499])('does not come back after %i', (code) => {
    const { last, line, pace } = open();
    last().end(code, 'no');
    expect(line.status).toMatchObject({ state: 'gave-up', reason: 'no' });
    expect(pace.pending).toBe(0);
  });

  test.each([1001, 1005, 1006, 1011, 1013, 4429, 4508, 4510])('comes back after %i', (code) => {
    const { last, line, sockets, pace } = open();
    last().end(code);
    expect(line.status.state).toBe('reconnecting');
    pace.advance(50);
    expect(sockets).toHaveLength(2);
  });

  test('gives up when the subscribe is refused for good, tries again when it is not', () => {
    const refused = open();
    refused.last().receive(welcome);
    refused.last().receive({ type: 'error', id: 1, code: 'bad_request', message: 'not this one' });
    expect(refused.line.status).toMatchObject({ state: 'gave-up', reason: 'not this one' });

    const busy = open();
    busy.last().receive(welcome);
    busy.last().receive({
      type: 'error',
      id: 1,
      code: 'unavailable',
      message: 'busy',
      retryAfter: 2_000,
    });
    expect(busy.line.status.state).toBe('reconnecting');
    const dialled = busy.sockets.length;
    busy.pace.advance(2_049);
    expect(busy.sockets).toHaveLength(dialled);
    busy.pace.advance(1);
    expect(busy.sockets).toHaveLength(dialled + 1);
  });

  test('leaves at a random moment inside the window of a goaway', () => {
    const { last, line, pace } = open();
    last().receive(welcome);
    last().receive(subscribed({}), { type: 'goaway', within: 10_000 });
    pace.advance(4_999);
    expect(line.status.state).toBe('live');
    pace.advance(1);
    expect(line.status.state).toBe('reconnecting');
  });

  test('finds a peer that is gone without a word, and keeps one that answers', () => {
    const { last, line, pace } = open();
    last().receive(welcome);
    last().receive(subscribed({}));
    pace.advance(50_000);
    expect(last().sent.at(-1)).toEqual({ type: 'ping' });
    last().receive({ type: 'pong' });
    pace.advance(10_000);
    expect(line.status.state).toBe('live');
    pace.advance(35_000);
    expect(line.status).toMatchObject({
      state: 'reconnecting',
      reason: 'the server stopped answering',
    });
  });

  test('does not wait for ever for a welcome or for the answer to its subscribe', () => {
    const silent = open();
    silent.pace.advance(10_000);
    expect(silent.line.status).toMatchObject({
      state: 'reconnecting',
      reason: 'no answer in time',
    });

    const half = open();
    half.last().receive(welcome);
    half.pace.advance(10_000);
    expect(half.line.status).toMatchObject({ state: 'reconnecting', reason: 'no answer in time' });
  });

  test('asks a server that does not greet what is missing', () => {
    const { last, line, pace } = open();
    last().onopen?.();
    pace.advance(1_999);
    expect(last().sent).toEqual([]);
    pace.advance(1);
    expect(last().sent).toEqual([{ type: 'hello', id: 0 }]);
    last().receive({ type: 'error', id: 0, code: 'unauthenticated', message: 'a token is needed' });
    expect(line.status).toMatchObject({ state: 'gave-up', reason: 'a token is needed' });
  });

  test('says no hello once it was greeted', () => {
    const { last, pace } = open();
    last().onopen?.();
    last().receive(welcome);
    last().receive(subscribed({}));
    pace.advance(2_000);
    expect(last().sent).toHaveLength(1);
  });

  test('says what a close without a reason means', () => {
    const { last, line } = open();
    last().end(1001);
    expect(line.status.reason).toBe('this node is going away');
  });

  test('[PRES-9] reads on without presence where it may not see it', () => {
    const { last, told, line } = open({}, 'presence');
    last().receive(welcome);
    const refusal = { type: 'error', id: 1, code: 'forbidden', message: 'not for you' };
    last().receive(refusal);
    expect(told).toEqual(['refused room/42']);
    const { presence: _, ...plain } = SUBSCRIBE;
    expect(last().sent.at(-1)).toEqual(plain);
    // A second one is about the channel.
    last().receive(refusal);
    expect(line.status).toMatchObject({ state: 'gave-up', reason: 'not for you' });
  });

  test('[PRES-9] tells who is there, who comes and who goes', () => {
    const { last, told } = open({}, 'presence', 'session');
    const member = { session: 's1', since: 1 };
    last().receive(welcome, subscribed({ members: [member], count: 1 }));
    last().receive({ type: 'join', channel: 'room/42', member });
    last().receive({ type: 'leave', channel: 'room/42', member });
    last().receive({ type: 'presence', channel: 'room/42', members: [], count: 0 });
    expect(told).toEqual([
      'session s1',
      'started k3f9:40',
      'live',
      'page room/42',
      'join room/42',
      'leave room/42',
      'page room/42',
    ]);
  });

  test('[SNAP-3] tells the snapshot that it begins with', () => {
    const { last, told } = open();
    last().receive(welcome, subscribed({ snapshot: true }));
    last().receive({
      type: 'snapshot',
      channel: 'room/42',
      position: 'k3f9:40',
      time: 5,
      data: { n: 1 },
    });
    expect(told.at(-1)).toBe('snapshot k3f9:40 {"n":1}');
  });

  test('[MSG-6] goes on behind what expired', () => {
    const { last, told, line } = open();
    last().receive(welcome, subscribed({}));
    last().receive({ type: 'expired', channel: 'room/42', epoch: 'k3f9', from: 41, to: 43 });
    expect(told.at(-1)).toBe('expired room/42 41 to 43');
    expect(line.standing.after).toBe('k3f9:43');
  });

  test('[WILD-2] subscribes to each filter, and goes on by the mark of each pattern', () => {
    const filters = ['room/42', 'news/#', 'news/+'];
    const { last, told, line, pace } = open({ filters });
    last().receive(welcome);
    expect(last().sent).toEqual([
      SUBSCRIBE,
      { type: 'subscribe', id: 2, channel: 'news/#' },
      { type: 'subscribe', id: 3, channel: 'news/+' },
    ]);
    last().receive(subscribed({}));
    last().receive({ type: 'subscribed', id: 2, channel: 'news/#', mark: '~a1' });
    last().receive({ type: 'subscribed', id: 3, channel: 'news/+', mark: '~b1' });
    const news = { ...message(1), channel: 'news/x' };
    // Of two patterns that match, the one that was answered first brings it.
    last().receive({ ...news, mark: '~a2' });
    last().receive({ type: 'mark', channel: 'news/+', mark: '~b2' });
    last().receive({
      ...{ type: 'expired', channel: 'news/x', epoch: 'k3f9', from: 2, to: 2 },
      mark: '~a3',
    });
    expect(told).toEqual(['started', 'live', 'json news/x k3f9:1 1', 'expired news/x 2 to 2']);
    expect(filters.map((filter) => line.standing.placeOf(filter))).toEqual([
      'k3f9:40',
      '~a3',
      '~b2',
    ]);
    last().end(1006);
    pace.advance(50);
    last().receive(welcome);
    expect(last().sent.slice(1)).toEqual([
      { type: 'subscribe', id: 2, channel: 'news/#', after: '~a3' },
      { type: 'subscribe', id: 3, channel: 'news/+', after: '~b2' },
    ]);
  });

  test('[VOL-1] reads a volatile channel without positions', () => {
    const { last, told } = open();
    const { position: _, ...answer } = subscribed({ volatile: true });
    last().receive(welcome, answer);
    last().receive({ type: 'message', channel: 'room/42', time: 1, data: 'now' });
    expect(told).toEqual(['started', 'live', 'json volatile "now"']);
  });

  test('[BIN-1] speaks binary where it is asked to, and tells what carries it', () => {
    const { last, told } = open({ encoding: () => 'binary' }, 'carrier', 'bytes');
    expect(last()).toMatchObject({ protocol: 'trunkline.v1.bin', binaryType: 'arraybuffer' });
    last().extensions = 'permessage-deflate; client_max_window_bits=15';
    last().onopen?.();
    const frame = encodeJsonRecord(JSON.stringify(welcome));
    last().onmessage?.({ data: frame.slice().buffer });
    expect(told).toEqual([
      'carrier {"encoding":"binary","compression":"permessage-deflate"}',
      `bytes ${frame.length}`,
    ]);
    expect(last().sent).toEqual([encodeJsonRecord(JSON.stringify(SUBSCRIBE))]);
  });

  test('drops a peer that does not speak JSON', () => {
    const { last, line } = open();
    last().onmessage?.({ data: 'hello' });
    expect(line.status.state).toBe('reconnecting');
  });

  test('ignores what it does not know', () => {
    const { last, told, line } = open();
    last().receive(welcome, { type: 'weather', sunny: true });
    last().receive(subscribed({ shiny: true }));
    last().onmessage?.({ data: new ArrayBuffer(2) });
    expect(told).toEqual(['started k3f9:40', 'live']);
    line.cut();
    expect(last().closed).toBe(1000);
  });
});
