/**
 * The server process under load, killed with SIGKILL at random moments: what was acknowledged is
 * there with its payload, offsets have no hole, no position ever means two messages, and a repeated
 * publish with the same key is stored once.
 */
import { seededRandom } from '@trunkline/testkit';
import { expect, test } from 'vitest';
import { NodeProcess } from '../../src/node-process.ts';

const ROUNDS = 6;
const PUBLISHERS = 8;

interface Stored {
  readonly offset: number;
  readonly epoch: string;
  readonly data: string;
}

/** Everything the log has of a channel. */
async function readAll(url: string, channel: string): Promise<Stored[]> {
  const all: Stored[] = [];
  let after = 'start';
  for (;;) {
    const query = new URLSearchParams({ channel, after, limit: '1000' });
    const answer = (await (await fetch(`${url}/v1/poll?${query.toString()}`)).json()) as {
      messages: Stored[];
      positions: Record<string, string>;
      more?: boolean;
      recovered: Record<string, boolean>;
    };
    expect(answer.recovered[channel]).toBe(true);
    all.push(...answer.messages);
    if (answer.more !== true) return all;
    after = answer.positions[channel] ?? '';
  }
}

test('SIGKILL at any moment loses nothing acknowledged', async () => {
  const random = seededRandom(20261120);
  await using server = await NodeProcess.start();
  const acknowledged = new Map<string, string>();
  let count = 0;

  /** Publishes until the server is gone; then tries the last one again with the same key. */
  const publishUntilKilled = async (isKilled: () => boolean, retry: { key?: string }) => {
    while (!isKilled()) {
      const key = retry.key ?? `k${(count += 1)}`;
      retry.key = key;
      try {
        const response = await fetch(`${server.url}/v1/publish`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'idempotency-key': key },
          body: JSON.stringify({ channel: 'log', data: `payload ${key}` }),
        });
        if (!response.ok) continue;
        const { position } = (await response.json()) as { position: string };
        acknowledged.set(position, `payload ${key}`);
        delete retry.key;
      } catch {
        if (!isKilled()) continue;
      }
    }
  };

  const retries = Array.from({ length: PUBLISHERS }, () => ({}));
  for (let round = 0; round < ROUNDS; round += 1) {
    let killed = false;
    const target = acknowledged.size + 20 + random.integer(150);
    const publishers = retries.map((retry) => publishUntilKilled(() => killed, retry));
    await expect
      .poll(() => acknowledged.size, { timeout: 30_000, interval: 1 })
      .toBeGreaterThanOrEqual(target);
    await server.kill();
    killed = true;
    await Promise.all(publishers);
    await server.start();

    const stored = await readAll(server.url, 'log');
    expect(stored.map(({ offset }) => offset)).toEqual(stored.map((_, index) => index + 1));
    const byPosition = new Map(
      stored.map(({ epoch, offset, data }) => [`${epoch}:${offset}`, data]),
    );
    for (const [position, payload] of acknowledged) {
      expect(byPosition.get(position), position).toBe(payload);
    }
    // Retries of unknown outcomes use their keys again: no payload is stored twice.
    expect(new Set(byPosition.values()).size).toBe(stored.length);
  }
}, 120_000);

test('a second server on the same folder is refused and says why', async () => {
  await using server = await NodeProcess.start();
  await expect(NodeProcess.start('--data', server.data)).rejects.toThrow(/in use|locked|another/i);
  expect(await server.publish('room', 1)).toMatch(/:1$/);
}, 60_000);
