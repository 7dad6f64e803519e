/** What the client makes of presence and history, over each transport of a real server. */
import { connect, longPoll, sse, websocket } from '@trunkline/client';
import type { Line, Transport } from '@trunkline/client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';

const ROOM = 'room/1';
const POLL = { timeout: 20_000, interval: 20 };

function open(server: LabServer, transport: Transport): Line {
  const line = connect(server.url, { transports: [transport] });
  onTestFinished(() => line.close());
  return line;
}

/** Lists so many who come and go by one short poll each; they stay for the grace time. */
async function crowd(server: LabServer, prefix: string, count: number): Promise<void> {
  const polls = Array.from({ length: count }, (_, index) =>
    server.get(`/v1/poll?channel=${ROOM}&presence=1&session=${prefix}${index}`),
  );
  for (const { status, text } of await Promise.all(polls)) expect(status, text).toBe(200);
}

describe.each([websocket, sse, longPoll])('over $name', (transport) => {
  test('[PRES-7] [PRES-8] follows a crowd of more than one page', async () => {
    const presence = { listed: true, graceMs: 60_000 };
    await using server = await startServer({ dev: true, namespaces: { '#': { presence } } });
    await crowd(server, 'early', 150);
    const channel = open(server, transport).channel(ROOM, { presence: true });
    const { members } = channel;
    const end = channel.subscribe(() => {});
    await expect.poll(() => [members.isComplete, members.all.length], POLL).toEqual([true, 151]);
    await crowd(server, 'late', 3);
    await expect.poll(() => members.count, POLL).toBe(154);
    await crowd(server, 'many', 200);
    await expect.poll(() => [members.isComplete, members.count], POLL).toEqual([true, 354]);
    expect(new Set(members.all.map(({ session }) => session)).size).toBe(354);
    end();
  });

  test('[HIST-1] iterates what a channel keeps in both directions', async () => {
    await using server = await startServer({ dev: true });
    const values = Array.from({ length: 25 }, (_, index) => index + 1);
    await server.publish(ROOM, ...values);
    const channel = open(server, transport).channel<number>(ROOM);
    const read = async (options: Parameters<typeof channel.history>[0]) => {
      const found: number[] = [];
      for await (const { data } of await channel.history(options)) found.push(data);
      return found;
    };
    expect(await read({ after: 'start', limit: 10 })).toEqual(values);
    expect(await read({ limit: 10 })).toEqual(values.toReversed());
    expect(await read({ last: 12, limit: 5 })).toEqual(values.toReversed().slice(0, 12));
  });
});
