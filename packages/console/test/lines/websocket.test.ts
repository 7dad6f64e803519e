import { describe, expect, test } from 'vitest';
import { connect } from '../../src/lines/websocket.ts';
import type { LineOptions } from '../../src/lines/line.ts';
import { fakeSources } from '../fake-sources.ts';
import type { FakeWebSocket } from '../fake-sources.ts';
import { Recorder } from '../recorder.ts';

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
const subscribed = (more: object) => ({
  type: 'subscribed',
  id: 1,
  channel: 'room/42',
  position: 'k3f9:40',
  ...more,
});

function open(rest: Partial<LineOptions> = {}) {
  const { sockets } = fakeSources();
  const recorder = new Recorder();
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
    expect(last().sent).toEqual([{ type: 'subscribe', id: 1, channel: 'room/42' }]);
    last().receive(subscribed({}));
    last().receive(message(41));
    expect(told).toEqual(['started k3f9:40', 'live', 'json k3f9:41 41']);
  });

  test('reads several objects from one frame, in order', () => {
    const { last, told } = open({ after: 'k3f9:40' });
    last().receive(welcome);
    last().receive(subscribed({ recovered: true }), message(41), message(42));
    expect(told).toEqual(['recovered k3f9:40', 'live', 'json k3f9:41 41', 'json k3f9:42 42']);
  });

  test('hands its position over when it subscribes again', () => {
    const { last, pace } = open({ token: () => 'a b' });
    expect(last().url).toContain('access_token=a+b');
    last().receive(welcome);
    last().receive(subscribed({}), message(41));
    last().end(1006);
    pace.advance(50);
    last().receive(welcome);
    expect(last().sent).toEqual([
      { type: 'subscribe', id: 1, channel: 'room/42', after: 'k3f9:41' },
    ]);
  });

  test('tells a gap, at the resume and later', () => {
    const { last, told, line } = open({ after: 'old1:9' });
    last().receive(welcome);
    last().receive(subscribed({ recovered: false, gap: { reason: 'epoch' } }));
    last().receive({
      type: 'gap',
      channel: 'room/42',
      gap: { reason: 'trimmed', from: 41, to: 50 },
      position: 'k3f9:50',
    });
    expect(told).toEqual(['gap epoch k3f9:40', 'live', 'gap trimmed k3f9:50']);
    expect(line.position).toEqual({ epoch: 'k3f9', offset: 50 });
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
    refused.last().receive({ type: 'error', id: 1, code: 'forbidden', message: 'not this one' });
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
