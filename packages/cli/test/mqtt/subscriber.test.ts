/** What the command prints of what a server of MQTT says. */
import type { Packet } from '@trunkline/server/mqtt-codec';
import { expect, test } from 'vitest';
import { run } from '../../src/main.ts';
import { fakeIo } from '../support/io.ts';
import { connack, FakeBroker, lossOf, publish, suback } from '../support/mqtt-broker.ts';
import type { FakePeer } from '../support/mqtt-broker.ts';

/** Runs the command until it prints a line that has this. */
function printUntil(url: string, text: string, ...args: readonly string[]) {
  const io = fakeIo();
  const watched = (write: (line: string) => void) => (line: string) => {
    write(line);
    if (line.includes(text)) io.stops.ask();
  };
  const stdout = { ...io.stdout, write: watched((line) => io.stdout.write(line)) };
  const stderr = { ...io.stderr, write: watched((line) => io.stderr.write(line)) };
  const watching = { ...io, stdout, stderr };
  const code = run(['subscribe', '--transport', 'mqtt', '--url', url, ...args], watching);
  return { io, code };
}

/** Lets the command come to be live. */
async function welcome(peer: FakePeer, answer: Packet, filters = 1) {
  const connect = await peer.next('connect');
  peer.send(answer);
  const subscribe = await peer.next('subscribe');
  peer.send(suback(...Array.from({ length: filters }, () => 1)));
  return { connect, subscribe };
}

test('[DEV-31] reads with QoS 1 and positions, and says where another transport goes on', async () => {
  await using broker = await FakeBroker.start();
  const { io, code } = printUntil(broker.url, 'k3f9:42', 'room/1');
  const peer = await broker.accept();
  const { connect, subscribe } = await welcome(peer, connack(false));
  expect(connect).toMatchObject({
    cleanStart: true,
    properties: { userProperties: [['trunkline.positions', '1']] },
  });
  expect(subscribe.subscriptions).toMatchObject([{ filter: 'room/1', qos: 1, retainHandling: 2 }]);
  peer.send(publish('room/1', 41));
  expect(await peer.next('puback')).toMatchObject({ packetId: 41 });
  peer.send(publish('room/1', 42));
  expect(await peer.next('disconnect')).toMatchObject({ reason: 0 });
  expect(await code).toBe(0);
  expect(io.outText()).toBe('k3f9:41 41\nk3f9:42 42\n');
  expect(io.err).toEqual([
    'trunkline: connecting\n',
    'trunkline: connected\n',
    'trunkline: room/1: open at now\n',
    'trunkline: disconnected (aborted)\n',
    'trunkline: at k3f9:42; go on with --after k3f9:42\n',
  ]);
});

test('[DEV-17] goes on with its session after a loss, and prints nothing twice', async () => {
  await using broker = await FakeBroker.start();
  const { io, code } = printUntil(broker.url, 'k3f9:3', 'room/+');
  const first = await broker.accept();
  const { connect } = await welcome(first, connack(false));
  first.send(publish('room/1', 1), publish('room/1', 2));
  await first.next('puback');
  await first.next('puback');
  const next = broker.accept();
  first.destroy();
  const second = await next;
  const again = await welcome(second, connack(true));
  expect(again.connect).toMatchObject({ cleanStart: false, clientId: connect.clientId });
  second.send(publish('room/1', 2), publish('room/1', 3));
  expect(await second.next('puback')).toMatchObject({ packetId: 2 });
  expect(await code).toBe(0);
  expect(io.outText()).toBe('k3f9:1 room/1 1\nk3f9:2 room/1 2\nk3f9:3 room/1 3\n');
  expect(io.errText()).toContain('room/+: open at now, nothing missed\n');
  // A pattern stands at a mark, and MQTT tells none.
  expect(io.errText()).not.toContain('--after');
});

test('says that what came meanwhile is lost when its session is', async () => {
  await using broker = await FakeBroker.start();
  const { io, code } = printUntil(broker.url, 'k3f9:9', 'room/1');
  const first = await broker.accept();
  await welcome(first, connack(false));
  const next = broker.accept();
  first.send({ kind: 'disconnect', reason: 0x8b, properties: {} });
  const second = await next;
  await welcome(second, connack(false));
  second.send(publish('room/1', 9));
  expect(await code).toBe(0);
  expect(io.err).toContain('trunkline: connecting (the server answered server shutting down)\n');
  expect(io.err).toContain('trunkline: room/1: open at now, missed (unknown)\n');
});

test('[DEV-32] shows losses, those while it was away and those while it was there', async () => {
  await using broker = await FakeBroker.start();
  const { io, code } = printUntil(broker.url, 'k3f9:5', 'room/1', 'room/+', '--json');
  const first = await broker.accept();
  await welcome(first, connack(false), 2);
  const next = broker.accept();
  first.destroy();
  const second = await next;
  const losses = [lossOf('room/1', 'trimmed'), lossOf('room/2', 'trimmed')];
  await welcome(second, connack(true, { userProperties: losses }), 2);
  second.send(publish('room/3', 5, lossOf('room/3', 'epoch')));
  expect(await code).toBe(0);
  const printed = io.out.map((line) => JSON.parse(line) as Record<string, unknown>);
  const gap = { reason: 'trimmed', from: 1, to: 2 };
  expect(printed.slice(-6, -1)).toMatchObject([
    { kind: 'open', channel: 'room/1', recovered: false, gap },
    { kind: 'open', channel: 'room/+', recovered: true },
    { kind: 'gap', channel: 'room/2', gap },
    { kind: 'gap', channel: 'room/3', gap: { reason: 'epoch' } },
    { kind: 'message', channel: 'room/3', offset: 5, data: 5, position: 'k3f9:5' },
  ]);
});

test('ends with 1 when it is refused', async () => {
  await using broker = await FakeBroker.start();
  const { io, code } = printUntil(broker.url, 'never', 'room/1');
  const peer = await broker.accept();
  await peer.next('connect');
  peer.send(connack(false));
  await peer.next('subscribe');
  peer.send(suback(0x87));
  expect(await code).toBe(1);
  expect(io.err.slice(-2)).toEqual([
    'trunkline: disconnected (room/1: the server answered not authorized)\n',
    'trunkline: forbidden: room/1: the server answered not authorized\n',
  ]);
});

test('ends at once while nobody answers', async () => {
  await using broker = await FakeBroker.start();
  const { code } = printUntil(broker.url, 'connecting', 'room/1');
  expect(await code).toBe(0);
});

test.each([
  [['--after', 'start'], 'MQTT has no --after'],
  [['--last', '3'], 'MQTT has no --last'],
  [['--partial'], 'MQTT has no --partial'],
  [['--presence'], 'MQTT has no --presence'],
  [['--url', 'http://127.0.0.1'], '--url must be like mqtt://'],
])('refuses %j', async (args, text) => {
  const { io, code } = printUntil('mqtt://127.0.0.1:1', 'never', 'room/1', ...args);
  expect(await code).toBe(2);
  expect(io.errText()).toContain(text);
});
