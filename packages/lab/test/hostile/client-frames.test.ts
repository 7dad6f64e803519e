/** The client and a WebSocket on which something goes wrong with every frame, in every way. */
import { websocket } from '@trunkline/client';
import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import { CODES, reconnectAfterClose } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import type { FrameWriter, OnText } from '../../src/frame-tap.ts';
import { CHANNEL, TroubledLine } from './troubled-line.ts';

const ONLY = { transports: [websocket] };

/** Ends that are no code of the registry as well. */
const CLOSES = [
  ...new Set([
    ...Object.values(CODES).map(({ close }) => close),
    ...[1000, 1002, 1003, 1005, 1006, 1007, 1010, 1012, 1014, 3000, 4000, 4450, 4500, 4999],
  ]),
];

/** Opens a line of which every text of the server is handed to `onText`. */
function tapped(onText: OnText, options = ONLY): Promise<TroubledLine> {
  return TroubledLine.open(options, (proxy) => (proxy.mood = ({ pass }) => pass({ onText })));
}

function heal({ proxy }: TroubledLine): void {
  proxy.mood = ({ pass }) => pass();
  proxy.cut();
}

describe.each([1, 2, 3, 4])('closed after text %i of each connection', (last) => {
  test.each(CLOSES)('with %i it comes back, or says that it may not', async (code) => {
    let count = 0;
    await using troubled = await TroubledLine.open(ONLY, (proxy) => {
      proxy.mood = ({ pass }) => {
        count = 0;
        pass({
          onText: (text, toClient) => {
            count += 1;
            if (count <= last) toClient.text(text);
            if (count === last) toClient.close(code, 'by the test');
          },
        });
      };
    });
    const { line } = troubled;
    await troubled.publish(3);
    await troubled.pass(60_000);
    const asked = troubled.asked().length;
    expect(asked).toBeLessThan(45);
    const after = reconnectAfterClose(code);
    if (line.state === 'disconnected') {
      expect(['stay', 'refresh']).toContain(after);
      const { error } = troubled.states.at(-1) ?? {};
      expect(error?.message).toContain(`closed with ${code}`);
      expect(troubled.ends).toEqual([error]);
      expect(asked).toBeLessThan(4);
      await expect(line.publish('x', 1)).rejects.toMatchObject({ code: error?.code });
      return;
    }
    expect(after).not.toBe('refresh');
    expect(troubled.states.some(({ reason }) => reason?.includes(`closed with ${code}`))).toBe(
      true,
    );
    heal(troubled);
    await troubled.expectAll();
  });
});

describe('frames that are lost, doubled, swapped or cut', () => {
  const KINDS: Readonly<Record<string, (random: SeededRandom) => OnText>> = {
    lost: (random) => (text, toClient) => {
      if (!random.chance(0.3)) toClient.text(text);
    },
    doubled: (random) => (text, toClient) => {
      toClient.text(text);
      if (random.chance(0.5)) toClient.text(text);
    },
    swapped: (random) => {
      let held: string | undefined;
      return (text, toClient) => {
        if (held === undefined && random.chance(0.5)) {
          held = text;
          return;
        }
        toClient.text(text);
        if (held !== undefined) toClient.text(held);
        held = undefined;
      };
    },
    cut: (random) => (text, toClient) => {
      toClient.text(random.chance(0.2) ? text.slice(0, random.integer(text.length)) : text);
    },
    late: (random) => {
      const held: string[] = [];
      return (text, toClient) => {
        held.push(text);
        while (held.length > 0 && random.chance(0.7)) toClient.text(held.shift() ?? '');
      };
    },
  };

  test.each(
    Object.keys(KINDS).flatMap((kind) => [1, 2, 3, 4, 5].map((seed) => [kind, seed] as const)),
  )(
    '%s, seed %i: nothing is read twice, and nothing is missing without a word',
    async (kind, seed) => {
      const random = seededRandom(seed);
      await using troubled = await TroubledLine.open(ONLY, (proxy) => {
        proxy.mood = ({ pass }) => pass({ onText: KINDS[kind]?.(random) ?? expect.unreachable });
      });
      for (let round = 0; round < 20; round += 1) {
        await troubled.publish(random.integer(4));
        await troubled.pass(2000);
      }
      // Lost answers cost half a minute each.
      expect(troubled.asked().length).toBeLessThan(40);
      heal(troubled);
      // What is missing again when it was asked for anew is told as lost.
      await troubled.expectTold();
    },
  );
});

describe('frames whose members are anything', () => {
  const VALUES: readonly unknown[] = [
    ...[null, true, 0, -1, 1.5, 2 ** 53, 1e308, '', 'x', 'e:1', '~1', '\u0000', 'x'.repeat(70_000)],
    ...[[], [[]], {}, { toString: 1, valueOf: 1 }, { __proto__: null }, { length: -1 }],
  ];

  function mutated(text: string, random: SeededRandom): string {
    return text
      .split('\n')
      .map((line) => {
        if (random.chance(0.5)) return line;
        const fields = JSON.parse(line) as Record<string, unknown>;
        const names = Object.keys(fields);
        const name = random.pick(names);
        const kind = random.integer(5);
        if (kind === 0) delete fields[name];
        else if (kind === 1) fields[random.pick(names)] = fields[name];
        else fields[name] = random.pick(VALUES);
        return JSON.stringify(fields);
      })
      .join('\n');
  }

  test.each(Array.from({ length: 40 }, (_, seed) => seed))(
    'seed %i: nothing breaks, nothing spins, and afterwards all is well',
    async (seed) => {
      const random = seededRandom(seed);
      await using troubled = await tapped((text, toClient) => toClient.text(mutated(text, random)));
      const { line } = troubled;
      const publishes: Promise<unknown>[] = [];
      for (let round = 0; round < 10; round += 1) {
        await troubled.publish(random.integer(4));
        publishes.push(line.publish('other', round).catch((error: unknown) => error));
        publishes.push(line.call('x').catch((error: unknown) => error));
        await troubled.pass(3000);
      }
      expect(troubled.asked().length).toBeLessThan(40);
      troubled.offsets.length = 0;
      heal(troubled);
      if (line.state === 'disconnected') line.open();
      await troubled.until('answers', () => line.waiting === 0);
      await Promise.all(publishes);
      if (troubled.ends.length === 0) {
        // What was published before it is read again may be told as lost.
        await troubled.until('a connection', () => line.state === 'connected');
        await troubled.pass(5000);
        await troubled.publish();
        await troubled.until('the last message', () => troubled.offsets.length > 0);
      }
      const { offsets } = troubled;
      expect(offsets).toEqual([...new Set(offsets)].sort((one, other) => one - other));
      troubled.expectSound();
    },
  );
});

describe('a server that never answers', () => {
  const without =
    (type: string): OnText =>
    (text, toClient: FrameWriter) => {
      const kept = text.split('\n').filter((line) => !line.includes(`"type":"${type}"`));
      if (kept.length > 0) toClient.text(kept.join('\n'));
    };

  test.each([
    ['welcome', 'no welcome within 5000 ms'],
    ['subscribed', 'timeout: no answer within 30000 ms'],
  ])('with %s: it says so, and tries no faster than it should', async (type, reason) => {
    await using troubled = await tapped(without(type));
    await troubled.publish(2);
    await troubled.pass(120_000);
    expect(troubled.reason).toBe(reason);
    expect(troubled.asked().length).toBeLessThan(40);
    heal(troubled);
    await troubled.expectAll();
  });

  test('a publish: it is sent again and stored once', async () => {
    await using troubled = await tapped(without('published'));
    const { line } = troubled;
    const published = line.publish('once', 1);
    await troubled.pass(100_000);
    expect(line.waiting).toBe(1);
    heal(troubled);
    await troubled.until('an answer', () => line.waiting === 0);
    expect(await published).toMatchObject({ offset: 1 });
    const page = await line.channel('once').history({ after: 'start' });
    expect(page.messages).toHaveLength(1);
  });

  test('anything, by steps down to what does answer', async () => {
    await using troubled = await tapped(without('welcome'), {} as typeof ONLY);
    await troubled.until('a connection', () => troubled.line.state === 'connected');
    expect(troubled.line.transport).toBe('sse');
    expect(troubled.line.explain().tried[0]).toMatchObject({
      ...{ name: 'websocket', verdict: 'failed' },
      reason: expect.stringContaining('no welcome within 5000 ms') as string,
    });
    await troubled.expectAll();
  });
});

test('a draining node that takes nobody, for ever, is not asked without end', async () => {
  await using troubled = await tapped((text, toClient) => {
    toClient.text(text);
    toClient.text('{"type":"goaway","within":0}');
  });
  await troubled.pass(60_000);
  expect(troubled.asked().length).toBeLessThan(45);
  expect(troubled.reason).toContain('draining');
  heal(troubled);
  await troubled.expectAll();
});

test('replies that nobody asked for, two welcomes and unknown types change nothing', async () => {
  await using troubled = await tapped((text, toClient) => {
    toClient.text('{"type":"later","channel":"room/1"}\n{"type":"published","id":7777}\n{}');
    toClient.text(text);
    toClient.text('{"type":"welcome","session":"other","ping":1}\n{"type":"error","id":-1}');
    toClient.text(`{"type":"subscribed","channel":"${CHANNEL}","position":"zz:99"}`);
  });
  await troubled.publish(5);
  await troubled.pass(5000);
  expect(troubled.asked()).toHaveLength(1);
  await troubled.expectAll();
});
