/** Resuming, over every transport: what was missed comes, or the server says why not. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { offsetsOf } from '../../src/reader.ts';
import type { Begin, Reader, ReadTransport } from '../../src/reader.ts';
import { PATIENT_TRANSPORTS, READ_TRANSPORTS } from '../../src/readers/all.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';

const NAMESPACES = {
  'small/#': { history: { countMax: 3 } },
  'none/#': { history: { countMax: 0 } },
  'limited/#': { resumeCountMax: 2 },
};

let server: LabServer;
let count = 0;

beforeAll(async () => {
  server = await startServer({ namespaces: NAMESPACES });
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

/** A channel that no other test knows, with messages 1, 2, … in it. */
async function channelWith(messages: number, prefix = 'resume'): Promise<[string, string]> {
  count += 1;
  const channel = `${prefix}/${count}`;
  if (messages === 0) return [channel, ''];
  const values = Array.from({ length: messages }, (_, index) => index + 1);
  const stored = await server.publish(channel, ...values);
  return [channel, stored[0]?.epoch ?? ''];
}

function payloadsOf(messages: readonly { readonly payload: unknown }[]): unknown[] {
  return messages.map(({ payload }) => payload);
}

describe.each(READ_TRANSPORTS)('over $name', (transport: ReadTransport) => {
  const open = (begin: Begin): Promise<Reader> => transport.open(server, begin);

  test('[REC-2] [GUA-7] gives everything behind a position, in order, and says recovered', async () => {
    const [channel, epoch] = await channelWith(5);
    await using reader = await open({ channel, after: `${epoch}:2` });
    expect(reader.verdict).toEqual({ position: `${epoch}:2`, recovered: true });
    expect(payloadsOf(await reader.take(3))).toEqual(['3', '4', '5']);
    expect(reader.position).toBe(`${epoch}:5`);
  });

  test('[REC-2] says recovered where nothing was missed, and goes on live', async () => {
    const [channel, epoch] = await channelWith(2);
    await using reader = await open({ channel, after: `${epoch}:2` });
    expect(reader.verdict).toEqual({ position: `${epoch}:2`, recovered: true });
    await server.publish(channel, 3);
    expect(offsetsOf(await reader.take(1))).toEqual([3]);
  });

  test('[CH-4] [REC-2] resumes from 0:0 with all that was published since', async () => {
    const [channel] = await channelWith(0);
    await using before = await open({ channel });
    expect(before.position).toBe('0:0');
    await server.publish(channel, 'a', 'b');
    await using reader = await open({ channel, after: '0:0' });
    expect(reader.verdict.recovered).toBe(true);
    expect(payloadsOf(await reader.take(2))).toEqual(['"a"', '"b"']);
  });

  test('[REC-1] begins at the oldest message with start', async () => {
    const [channel, epoch] = await channelWith(5, 'small');
    await using reader = await open({ channel, after: 'start' });
    expect(reader.verdict).toEqual({ position: `${epoch}:2`, recovered: true });
    expect(offsetsOf(await reader.take(3))).toEqual([3, 4, 5]);
  });

  test('[REC-1] begins with the first message ever where start finds none', async () => {
    const [channel] = await channelWith(0);
    await using reader = await open({ channel, after: 'start' });
    expect(reader.verdict).toEqual({ position: '0:0', recovered: true });
    await server.publish(channel, 1);
    expect(offsetsOf(await reader.take(1))).toEqual([1]);
  });

  test('[REC-1] resumes one of several channels named in after', async () => {
    const [channel, epoch] = await channelWith(3);
    const after = new URLSearchParams({ 'other/one': 'x:1', [channel]: `${epoch}:1` }).toString();
    await using reader = await open(
      transport.kind === 'WebSocket'
        ? { channel, after: `${epoch}:1` } // A subscribe names its one channel itself.
        : { channel, after },
    );
    expect(reader.verdict.recovered).toBe(true);
    expect(offsetsOf(await reader.take(2))).toEqual([2, 3]);
  });

  test('[REC-5] begins with the newest messages with last', async () => {
    const [channel, epoch] = await channelWith(5);
    await using reader = await open({ channel, last: 2 });
    expect(reader.verdict).toEqual({ position: `${epoch}:3` });
    expect(offsetsOf(await reader.take(2))).toEqual([4, 5]);
  });

  test('[REC-5] gives all there are where last asks for more', async () => {
    const [channel] = await channelWith(2);
    await using reader = await open({ channel, last: 50 });
    expect(offsetsOf(await reader.take(2))).toEqual([1, 2]);
  });

  test('[REC-5] lets after win over last', async () => {
    const [channel, epoch] = await channelWith(5);
    await using reader = await open({ channel, last: 1, after: `${epoch}:3` });
    expect(reader.verdict.recovered).toBe(true);
    expect(offsetsOf(await reader.take(2))).toEqual([4, 5]);
  });

  test('[REC-5] begins with what comes from now on with neither', async () => {
    const [channel, epoch] = await channelWith(2);
    await using reader = await open({ channel });
    expect(reader.verdict).toEqual({ position: `${epoch}:2` });
    await server.publish(channel, 3);
    expect(offsetsOf(await reader.take(1))).toEqual([3]);
  });

  test('[REC-3] [REC-4] gap trimmed: retention took what was missed', async () => {
    const [channel, epoch] = await channelWith(6, 'small');
    await using reader = await open({ channel, after: `${epoch}:1` });
    expect(reader.verdict).toEqual({
      position: `${epoch}:6`,
      recovered: false,
      gap: { reason: 'trimmed', from: 2, to: 6 },
    });
    await server.publish(channel, 7);
    expect(offsetsOf(await reader.take(1))).toEqual([7]);
  });

  test('[REC-4] gap trimmed with partial: what is left comes behind the gap', async () => {
    const [channel, epoch] = await channelWith(6, 'small');
    await using reader = await open({ channel, after: `${epoch}:1`, partial: true });
    expect(reader.verdict).toEqual({
      position: `${epoch}:3`,
      recovered: false,
      gap: { reason: 'trimmed', from: 2, to: 3 },
    });
    expect(offsetsOf(await reader.take(3))).toEqual([4, 5, 6]);
  });

  test('[REC-3] gap trimmed: a channel that keeps nothing is honest about it', async () => {
    const [channel, epoch] = await channelWith(2, 'none');
    await using reader = await open({ channel, after: `${epoch}:1` });
    expect(reader.verdict).toMatchObject({ recovered: false, gap: { reason: 'trimmed' } });
    await using whole = await open({ channel, after: `${epoch}:2` });
    expect(whole.verdict).toMatchObject({ recovered: true });
  });

  test('[REC-3] gap ahead: the position is beyond the stream', async () => {
    const [channel, epoch] = await channelWith(2);
    await using reader = await open({ channel, after: `${epoch}:9` });
    expect(reader.verdict).toEqual({
      position: `${epoch}:2`,
      recovered: false,
      gap: { reason: 'ahead' },
    });
    await server.publish(channel, 3);
    expect(offsetsOf(await reader.take(1))).toEqual([3]);
  });

  test.each(['nonsense', 'e:-1', 'e:01', ':4', `${'e'.repeat(33)}:1`, 'e:9007199254740993', '~!'])(
    '[REC-3] gap unknown: %s is no position',
    async (after) => {
      const [channel, epoch] = await channelWith(1);
      await using reader = await open({ channel, after });
      expect(reader.verdict).toEqual({
        position: `${epoch}:1`,
        recovered: false,
        gap: { reason: 'unknown' },
      });
    },
  );

  test('[REC-3] gap limit: more was missed than one resume may carry', async () => {
    const [channel, epoch] = await channelWith(5, 'limited');
    await using reader = await open({ channel, after: `${epoch}:1` });
    expect(reader.verdict).toEqual({
      position: `${epoch}:5`,
      recovered: false,
      gap: { reason: 'limit', from: 2, to: 5 },
    });
    await using partial = await open({ channel, after: `${epoch}:1`, partial: true });
    expect(partial.verdict).toEqual({
      position: `${epoch}:3`,
      recovered: false,
      gap: { reason: 'limit', from: 2, to: 3 },
    });
    expect(offsetsOf(await partial.take(2))).toEqual([4, 5]);
  });

  test('[REC-3] [CH-6] gap epoch: a server that keeps nothing on disk was restarted', async () => {
    const channel = 'news';
    let position = '';
    {
      await using first = await startServer();
      position = (await first.publish(channel, 1, 2))[1]?.position ?? '';
    }
    await using second = await startServer();
    await using early = await transport.open(second, { channel, after: position });
    expect(early.verdict).toEqual({
      position: '0:0',
      recovered: false,
      gap: { reason: 'epoch' },
    });
    const [stored] = await second.publish(channel, 'again');
    expect(stored?.offset).toBe(1);
    expect(offsetsOf(await early.take(1))).toEqual([1]);
    await using late = await transport.open(second, { channel, after: position });
    expect(late.verdict).toEqual({
      position: stored?.position,
      recovered: false,
      gap: { reason: 'epoch' },
    });
  });

  test('[GUA-3] [GUA-4] sees each offset once over many reconnects', async () => {
    const [channel] = await channelWith(0);
    const seen: number[] = [];
    let after = '0:0';
    for (let round = 0; round < 8; round += 1) {
      await server.publish(channel, ...[1, 2, 3].map((value) => round * 3 + value));
      await using reader = await open({ channel, after });
      expect(reader.verdict.recovered).toBe(true);
      // Two of three are processed, then the connection is lost.
      const wanted = round === 7 ? 24 - seen.length : 2;
      seen.push(...offsetsOf(await reader.take(wanted)));
      after = reader.position;
    }
    expect(seen).toEqual(Array.from({ length: 24 }, (_, index) => index + 1));
  });

  test('[REC-2] carries a long miss in one resume', async () => {
    const [channel, epoch] = await channelWith(1000);
    await using reader = await open({ channel, after: `${epoch}:3` });
    expect(reader.verdict.recovered).toBe(true);
    const offsets = offsetsOf(await reader.take(997));
    expect(offsets).toEqual(Array.from({ length: 997 }, (_, index) => index + 4));
  });
});

describe.each(PATIENT_TRANSPORTS)('over $name', (transport: ReadTransport) => {
  test('[GUA-1] sees messages in the order of their offsets while many publish', async () => {
    const [channel] = await channelWith(0);
    await using reader = await transport.open(server, { channel, after: '0:0' });
    const publishing = Array.from({ length: 40 }, (_, index) => server.publish(channel, index));
    const messages = await reader.take(40);
    await Promise.all(publishing);
    expect(offsetsOf(messages)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
  });
});

describe('over WebSocket, SSE, long polling, short polling', () => {
  test('[REC-6] [GUA-8] hands one position from each to the next', async () => {
    const [channel] = await channelWith(0);
    const order = [...READ_TRANSPORTS, ...READ_TRANSPORTS.toReversed()];
    const seen: number[] = [];
    let after = '0:0';
    for (const transport of order) {
      await server.publish(channel, transport.name, transport.name);
      await using reader = await transport.open(server, { channel, after });
      expect(reader.verdict.recovered).toBe(true);
      seen.push(...offsetsOf(await reader.take(2)));
      after = reader.position;
    }
    expect(seen).toEqual(order.flatMap((_, index) => [index * 2 + 1, index * 2 + 2]));
  });
});
