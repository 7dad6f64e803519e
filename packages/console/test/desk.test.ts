import { describe, expect, test } from 'vitest';
import { Desk } from '../src/desk.ts';
import type { LineMessage } from '../src/lines/line.ts';
import { MetricsFeed } from '../src/metrics.ts';
import { fakeTransport } from './fake-transport.ts';

const at = (offset: number) => ({ epoch: 'k3f9', offset });

const message = (offset: number, event?: string): LineMessage => ({
  position: at(offset),
  kind: 'json',
  payload: '1',
  ...(event === undefined ? {} : { event }),
});

/** The load is another test's matter. */
class SilentFeed extends MetricsFeed {
  override async start(): Promise<void> {}
}

function openDesk(token?: string) {
  const websocket = fakeTransport('websocket');
  const sse = fakeTransport('sse');
  const desk = new Desk({
    server: 'http://127.0.0.1:1',
    channel: 'room/42',
    token,
    feed: new SilentFeed('http://127.0.0.1:1'),
    transports: [websocket, sse],
  });
  desk.start();
  return { desk, websocket, sse };
}

describe('a desk', () => {
  test('reads one channel over every transport', () => {
    const { websocket, sse } = openDesk('t');
    for (const transport of [websocket, sse]) {
      expect(transport.last()).toMatchObject({ channel: 'room/42', token: 't', after: undefined });
    }
  });

  test('begins anew in another channel', () => {
    const { desk, websocket } = openDesk();
    websocket.last().opened({ kind: 'started', at: at(40) });
    desk.watch('room/43');
    expect(websocket.last()).toMatchObject({ channel: 'room/43', after: undefined });
    expect(desk.readers[0]?.ledger.received).toBe(0);
  });

  test('goes on from the same positions with another token', () => {
    const { desk, websocket, sse } = openDesk();
    websocket.last().opened({ kind: 'started', at: at(40) });
    desk.readers[1]?.cut();
    desk.useToken('fresh');
    expect(websocket.last()).toMatchObject({ token: 'fresh', after: 'k3f9:40' });
    expect(sse.attempts).toHaveLength(1);
    desk.readers[1]?.resume();
    expect(sse.last().token).toBe('fresh');
    desk.useToken('');
    expect(websocket.last().token).toBeUndefined();
  });

  test('moves a position from one transport to another', () => {
    const { desk, websocket, sse } = openDesk();
    websocket.last().opened({ kind: 'started', at: at(40) });
    websocket.last().message(message(41));
    desk.move('websocket', 'sse');
    expect(desk.readers[0]?.status.state).toBe('cut');
    expect(sse.last().after).toBe('k3f9:41');
    expect(desk.readers[1]?.ledger.received).toBe(1);
  });

  test('leaves a pane alone that is moved onto itself', () => {
    const { desk, websocket } = openDesk();
    websocket.last().opened({ kind: 'started', at: at(40) });
    desk.move('websocket', 'websocket');
    expect(websocket.attempts).toHaveLength(1);
    expect(desk.readers[0]?.status.state).toBe('live');
  });

  test('tells the one that hears by name of names that the others saw', () => {
    const { websocket, sse } = openDesk();
    websocket.last().opened({ kind: 'started', at: at(40) });
    sse.last().opened({ kind: 'started', at: at(40) });
    websocket.last().message(message(41, 'typed'));
    expect(websocket.attempts).toHaveLength(1);
    expect(sse.attempts).toHaveLength(2);
    expect(sse.last().after).toBe('k3f9:40');
    expect([...sse.last().events]).toEqual(['typed']);
  });
});
