/** The contract of brokers: what a protocol keeps with a message for its own readers. */
import { describe, expect, test } from 'vitest';
import type { Message } from '@trunkline/wire';
import { ALL, AMPLE, draft, expectStream, options, run, SETTINGS } from './broker-world.ts';
import type { BrokerTraits, CreateWorld } from './broker-world.ts';

const SOME = Uint8Array.of(0, 255, 10, 13);

/** The attributes of each message; `absent` where it has no such property. */
function attributesOf(messages: readonly Message[]): (number[] | string | undefined)[] {
  return messages.map((message) =>
    'attributes' in message ? message.attributes && [...message.attributes] : 'absent',
  );
}

/** What is promised about attributes. */
export function describeAttributes(traits: BrokerTraits, create: CreateWorld): void {
  describe('attributes', () => {
    test('are kept with a message as they are, and are absent where there were none', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watchPattern('#');
      const drafts = [
        { ...draft('1'), attributes: SOME },
        draft('2'),
        { ...draft('3'), attributes: new Uint8Array(0), contentType: 'text/plain', ttl: 5_000 },
        { payload: new Uint8Array(0), attributes: SOME.subarray(1, 3), from: { session: 's' } },
      ];
      const expected = [[...SOME], 'absent', [], [255, 10]];
      for (const durable of [true, false]) {
        const channel = durable ? 'kept' : 'm';
        for (const one of drafts) await broker.publish(channel, one, options({ durable }));
        const { messages } = await broker.read(channel, ALL);
        expect(attributesOf(messages)).toEqual(expected);
        expect(messages.map(({ payload }) => [...payload])).toEqual(
          drafts.map(({ payload }) => [...payload]),
        );
        const told = sink.told.filter((one) => one.channel === channel);
        expect(attributesOf(told.map(({ message }) => message))).toEqual(expected);
      }
    });

    test('are kept when they are part of a larger buffer, and when they are many', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const large = new Uint8Array(2 ** 16).map((_, index) => index % 251);
      const drafts = Array.from({ length: 20 }, (_, index) => ({
        payload: large.subarray(index, index + 5),
        ...(index % 3 === 0 && { attributes: large.subarray(index * 7, index * 2_000) }),
      }));
      await Promise.all(drafts.map((one) => broker.publish('a', one, options())));
      const { messages } = await broker.read('a', ALL);
      expect(messages.map(({ offset: _, time: __, ...rest }) => rest)).toStrictEqual(drafts);
    });

    test('count against the size of what is kept and of what is read', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const given = options({ retention: { ...AMPLE, sizeMax: 1_000 } });
      const half = { payload: new Uint8Array(150), attributes: new Uint8Array(150) };
      for (let count = 0; count < 20; count += 1) await broker.publish('a', half, given);
      const offsets = async (sizeMax: number): Promise<number[]> => {
        const { messages } = await broker.read('a', { ...ALL, sizeMax });
        return messages.map(({ offset }) => offset);
      };
      expect(await offsets(ALL.sizeMax)).toEqual([18, 19, 20]);
      expect(await offsets(600)).toEqual([18, 19]);
      expect(await offsets(599)).toEqual([18]);
      await broker.publish('a', { payload: new Uint8Array(700) }, given);
      expect(await offsets(ALL.sizeMax)).toEqual([20, 21]);
      await broker.publish('a', { ...draft('x'), attributes: new Uint8Array(5_000) }, given);
      expect(await offsets(ALL.sizeMax)).toEqual([22]);
    });

    test('are no part of what a key stands for: those of the first publish are kept', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const keyed = options({ key: 'k' });
      const first = await broker.publish('a', { ...draft('x'), attributes: SOME }, keyed);
      for (const again of [draft('x'), { ...draft('x'), attributes: SOME.subarray(1) }]) {
        const { position } = first;
        expect(await broker.publish('a', again, keyed)).toEqual({ position, duplicate: true });
      }
      await expectStream(broker, 'a', ['x']);
      expect(attributesOf((await broker.read('a', ALL)).messages)).toEqual([[...SOME]]);
    });

    test('are carried with what is broadcast', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('a');
      const drafts = [{ ...draft('x'), attributes: SOME }, draft('y')];
      for (const one of drafts) broker.broadcast('a', one);
      await broker.mark();
      expect(sink.broadcasts.map((one) => one.draft)).toEqual(drafts);
      expect(sink.broadcasts[1]?.draft).not.toHaveProperty('attributes');
    });

    for (const end of ['close', 'crash'] as const) {
      test.runIf(traits.durable)(`are read back by the next process (${end})`, async () => {
        await using world = await create(SETTINGS);
        const first = await run(world);
        await first.broker.publish('a', { ...draft('1'), attributes: SOME }, options());
        await first.broker.publish('a', draft('2'), options());
        await (end === 'close' ? first.broker.close() : world.crash());
        const { broker } = await run(world);
        await broker.publish('a', { ...draft('3'), attributes: Uint8Array.of(7) }, options());
        await expectStream(broker, 'a', ['1', '2', '3']);
        const { messages } = await broker.read('a', ALL);
        expect(attributesOf(messages)).toEqual([[...SOME], 'absent', [7]]);
      });
    }
  });
}
