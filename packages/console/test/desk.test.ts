import { describe, expect, test } from 'vitest';
import { Desk } from '../src/desk.ts';
import type { LineMessage } from '../src/lines/line.ts';
import { MetricsFeed } from '../src/metrics.ts';
import { beginning, fakeTransport } from './fake-transport.ts';
import type { FakeTransport } from './fake-transport.ts';

const message = (offset: number, channel = 'room/42'): LineMessage => ({
  channel,
  position: { epoch: 'k3f9', offset },
  kind: 'json',
  payload: '1',
});

/** The load is another test's matter. */
class SilentFeed extends MetricsFeed {
  override async start(): Promise<void> {}
}

function openDesk(token?: string, ...others: readonly FakeTransport[]) {
  const websocket = fakeTransport('websocket');
  const sse = fakeTransport('sse');
  const desk = new Desk({
    server: 'http://127.0.0.1:1',
    filters: ['room/42'],
    token,
    feed: new SilentFeed('http://127.0.0.1:1'),
    transports: [websocket, sse, ...others],
  });
  desk.start();
  return { desk, websocket, sse };
}

describe('a desk', () => {
  test('reads the same over every transport', () => {
    const { websocket, sse } = openDesk('t');
    for (const transport of [websocket, sse]) {
      expect(transport.last()).toMatchObject({ filters: ['room/42'], token: 't' });
      expect(transport.last().after()).toBeUndefined();
    }
  });

  test('begins anew in other channels and patterns', () => {
    const { desk, websocket } = openDesk();
    websocket.last().begun(beginning('k3f9:40'));
    desk.watch(['room/43', 'news/#']);
    expect(websocket.last().filters).toEqual(['room/43', 'news/#']);
    expect(websocket.last().after()).toBeUndefined();
    expect(desk.readers[0]?.ledger.received).toBe(0);
  });

  test('goes on from the same places with another token', () => {
    const { desk, websocket, sse } = openDesk();
    websocket.last().begun(beginning('k3f9:40'));
    desk.readers[1]?.cut();
    desk.useToken('fresh');
    expect(websocket.last().token).toBe('fresh');
    expect(websocket.last().after()).toBe('k3f9:40');
    expect(sse.attempts).toHaveLength(1);
    desk.readers[1]?.resume();
    expect(sse.last().token).toBe('fresh');
    desk.useToken('');
    expect(websocket.last().token).toBeUndefined();
  });

  test('moves a place from one transport to another', () => {
    const { desk, websocket, sse } = openDesk();
    websocket.last().begun(beginning('k3f9:40'));
    websocket.last().message(message(41));
    desk.move('websocket', 'sse');
    expect(desk.readers[0]?.status.state).toBe('cut');
    expect(sse.last().after()).toBe('k3f9:41');
    expect(desk.readers[1]?.ledger.received).toBe(1);
  });

  test('leaves both panes alone where one can take no place', () => {
    const mqtt = fakeTransport('mqtt');
    const { desk, websocket } = openDesk(undefined, mqtt);
    websocket.last().begun(beginning('k3f9:40'));
    desk.move('websocket', 'mqtt');
    expect(desk.readers.map(({ status }) => status.state)).toEqual([
      'live',
      'connecting',
      'connecting',
    ]);
    expect(mqtt.attempts).toHaveLength(1);
  });

  test('leaves a pane alone that is moved onto itself', () => {
    const { desk, websocket } = openDesk();
    websocket.last().begun(beginning('k3f9:40'));
    desk.move('websocket', 'websocket');
    expect(websocket.attempts).toHaveLength(1);
    expect(desk.readers[0]?.status.state).toBe('live');
  });

  test('lists every pane as present when it is to take part', () => {
    const { desk, websocket, sse } = openDesk();
    sse.last().begun(beginning('k3f9:40'));
    expect(sse.last().takesPart).toBe(false);
    desk.takePart(true);
    expect(sse.last().takesPart).toBe(true);
    expect(sse.last().after()).toBe('k3f9:40');
    // It is listed unasked.
    expect(websocket.attempts).toHaveLength(1);
  });

  test('knows who is there from the WebSocket, and which of them are its own', () => {
    const { desk, websocket, sse } = openDesk();
    const page = { kind: 'page', channel: 'room/42', members: [], count: 2 } as const;
    websocket.last().tell({ kind: 'session', session: 's1' });
    websocket.last().tell({ kind: 'presence', news: page });
    sse.last().tell({ kind: 'presence', news: { ...page, count: 9 } });
    expect(desk.attendanceOf('room/42')?.count).toBe(2);
    expect(desk.ownSession('s1')).toBe('websocket');
    expect(desk.ownSession('s2')).toBeUndefined();
    desk.watch(['room/43']);
    expect(desk.attendanceOf('room/42')).toBeUndefined();
  });

  test('names the channels that a pattern brought', () => {
    const { desk, websocket } = openDesk();
    desk.watch(['room/42', 'news/#']);
    websocket.last().message(message(7, 'news/a'));
    expect(desk.channels).toEqual(['room/42', 'news/a']);
  });
});
