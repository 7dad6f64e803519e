/** What is published is printed as it was, over each transport, and a later command goes on there. */
import { createServer, resolveConfig } from '@trunkline/server';
import { expect, test } from 'vitest';
import { run } from '../../src/main.ts';
import { fakeIo } from '../support/io.ts';
import type { FakeIo } from '../support/io.ts';

const LINES = ['{"n": 12345678901234567890}', '1e400', '"ä"'];

/** A server in this process that keeps everything in memory. */
async function startServer() {
  const value = { port: 0, mqtt: { port: 'auto' }, store: { memory: true } };
  const server = createServer(resolveConfig({ file: { path: 'the test', value } }).config, {
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  });
  const { urls } = await server.start();
  const [url = '', mqtt = ''] = urls;
  return { url, mqtt, [Symbol.asyncDispose]: () => server.close() };
}

/** Publishes lines to a channel. */
async function publish(url: string, channel: string, lines: readonly string[]): Promise<void> {
  const io = fakeIo({ stdin: lines.map((line) => `${line}\n`).join('') });
  expect(await run(['publish', channel, '--json', '--url', url], io)).toBe(0);
  expect(io.out).toHaveLength(lines.length);
}

/** Prints until these payloads were printed, and ends. */
async function print(expected: readonly string[], ...args: readonly string[]): Promise<FakeIo> {
  const io = fakeIo();
  const write = (line: string) => {
    io.stdout.write(line);
    const printed = payloads(io);
    if (expected.every((one) => printed.includes(one))) io.stops.ask();
  };
  expect(await run(['subscribe', ...args], { ...io, stdout: { ...io.stdout, write } })).toBe(0);
  return io;
}

/** The payloads of what was printed. */
function payloads(io: FakeIo): string[] {
  return io.out.map((line) => line.slice(line.indexOf(' ') + 1).trimEnd());
}

/** What `--after` is to be given next. */
function placeOf(io: FakeIo): string {
  const [, place = ''] = /go on with --after '?([^'\n]+)/.exec(io.err.at(-1) ?? '') ?? [];
  return place;
}

const TRANSPORTS = ['ws', 'sse', 'poll', 'poll --wait 0'];

test.each(TRANSPORTS)('one channel over %s', async (transport) => {
  await using server = await startServer();
  await publish(server.url, 'room/1', LINES);
  const args = ['room/1', '--url', server.url, '--transport', ...transport.split(' ')];
  const begun = LINES.slice(0, 2);
  const first = await print(begun, ...args, '--after', 'start');
  expect(payloads(first)).toEqual(begun);
  const rest = LINES.slice(2);
  expect(payloads(await print(rest, ...args, '--after', placeOf(first)))).toEqual(rest);
  const newest = LINES.slice(1);
  expect(payloads(await print(newest, ...args, '--last', '2'))).toEqual(newest);
});

test.each(TRANSPORTS)('names and patterns over %s', async (transport) => {
  await using server = await startServer();
  await publish(server.url, 'room/1', ['1', '2']);
  await publish(server.url, 'room/2', ['3', '4']);
  const filters = ['room/1', 'room/+', 'other'];
  const args = [...filters, '--url', server.url, '--transport', ...transport.split(' ')];
  const all = ['room/1 1', 'room/1 2', 'room/2 3', 'room/2 4'];
  const first = await print(all, ...args, '--after', 'start');
  expect(payloads(first).toSorted()).toEqual(all);
  await publish(server.url, 'room/1', ['5']);
  await publish(server.url, 'other', ['6']);
  const rest = ['room/1 5', 'other 6'];
  const printed = payloads(await print(rest, ...args, '--after', placeOf(first)));
  // What came by the pattern alone may come again: it goes on at a mark.
  expect(printed.filter((one) => !one.startsWith('room/2')).toSorted()).toEqual(rest.toSorted());
});

test('over MQTT it is printed the same, and another transport goes on there', async () => {
  await using server = await startServer();
  const io = fakeIo();
  const write = (line: string) => {
    io.stdout.write(line);
    if (io.out.length === LINES.length) io.stops.ask();
  };
  // What is published when the command reads comes live.
  const onRead = (line: string) => {
    io.stderr.write(line);
    if (line.includes('open at')) void publishOver(server.mqtt, LINES);
  };
  const stdout = { ...io.stdout, write };
  const args = ['subscribe', 'room/1', '--transport', 'mqtt', '--url', server.mqtt];
  expect(await run(args, { ...io, stdout, stderr: { ...io.stderr, write: onRead } })).toBe(0);
  expect(payloads(io)).toEqual(LINES);
  await publish(server.url, 'room/1', ['"later"']);
  const later = ['room/1', '--url', server.url, '--after', placeOf(io)];
  expect(payloads(await print(['"later"'], ...later))).toEqual(['"later"']);
  const all = ['room/1', '--url', server.url, '--after', 'start'];
  const printed = await print([...LINES, '"later"'], ...all);
  expect(printed.out.slice(0, -1)).toEqual(io.out);
});

/** The same over MQTT. */
async function publishOver(url: string, lines: readonly string[]): Promise<void> {
  const io = fakeIo({ stdin: lines.map((line) => `${line}\n`).join('') });
  const args = ['publish', 'room/1', '--json', '--transport', 'mqtt', '--url', url];
  expect(await run(args, io)).toBe(0);
  expect(io.out).toEqual(lines.map(() => 'acknowledged\n'));
}
