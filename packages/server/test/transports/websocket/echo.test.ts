import { WEBSOCKET_DEFAULTS } from '@trunkline/server/internal/transports/websocket/config.ts';
import { openEcho } from '@trunkline/server/internal/transports/websocket/echo.ts';
import { afterEach, describe, expect, test } from 'vitest';
import { Harness, TICK_MS } from './harness.ts';

const { pingIntervalMs, pongMs } = WEBSOCKET_DEFAULTS;

const opened: Harness[] = [];

afterEach(async () => {
  for (const harness of opened.splice(0)) await harness[Symbol.asyncDispose]();
});

describe('openEcho', () => {
  test('sends back text and bytes as they came', async () => {
    const harness = await openEchoing();
    const { peer } = harness;
    peer.send('hello ü');
    peer.send(Buffer.from([0, 255]));
    peer.send('');
    await harness.until('three frames', () => peer.frames.length === 3);
    expect(peer.frames).toEqual(['hello ü', Uint8Array.from([0, 255]), '']);
  });

  test('stops reading from a peer that does not read, and goes on afterwards', async () => {
    const harness = await openEchoing();
    const { link, peer } = harness;
    const message = 'x'.repeat(1000);
    peer.setReading(false);
    // More than the kernel takes in either direction.
    const count = 40_000;
    for (let sent = 0; sent < count; sent += 1) peer.send(message);
    await harness.until('the echo to stop', () => link.pendingBytes > 128 * 1024);
    await harness.rest();
    expect(link.pendingBytes).toBeLessThan(512 * 1024);
    peer.setReading(true);
    await harness.until('all of it', () => peer.frames.length === count);
    expect(peer.frames.every((frame) => frame === message)).toBe(true);
  });

  test('is dropped with a peer that writes and never reads', async () => {
    const harness = await openEchoing();
    const { clock, link, peer } = harness;
    peer.setReading(false);
    for (let sent = 0; sent < 40_000; sent += 1) peer.send('x'.repeat(1000));
    await harness.until('the echo to stop', () => link.pendingBytes > 128 * 1024);
    await clock.pass(pingIntervalMs + TICK_MS);
    await harness.rest();
    await clock.pass(2 * (pongMs + TICK_MS));
    await harness.until('the end', () => harness.goneCount === 1);
    expect(link.pendingBytes).toBe(0);
  });

  test('sends back messages of the largest size, one after the other', async () => {
    const harness = await openEchoing();
    const { peer } = harness;
    const message = Buffer.alloc(1024 * 1024, 7);
    for (let sent = 0; sent < 5; sent += 1) peer.send(message);
    await harness.until('all of them', () => peer.frames.length === 5);
    expect(peer.frames.every((frame) => message.equals(frame as Uint8Array))).toBe(true);
  });
});

async function openEchoing(): Promise<Harness> {
  const harness = await Harness.open();
  opened.push(harness);
  harness.link.start(openEcho(harness.link));
  return harness;
}
