/** The contract of state stores: small records beside the streams. */
import { describe, expect, test } from 'vitest';
import { run, SETTINGS } from './broker-world.ts';
import type { BrokerTraits, CreateWorld } from './broker-world.ts';

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function text(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : new TextDecoder().decode(value);
}

/** Runs the contract against the state of one kind of broker. */
export function describeState(name: string, traits: BrokerTraits, create: CreateWorld): void {
  describe(`${name} keeps the contract of state`, () => {
    test('gives back what was put, with a version that rises with every put', async () => {
      await using world = await create(SETTINGS);
      const { state } = (await run(world)).broker;
      expect(await state.get('k')).toBeUndefined();
      const first = (await state.put('k', bytes('1'))) ?? 0;
      const second = (await state.put('k', bytes('2'))) ?? 0;
      expect(first).toBeGreaterThan(0);
      expect(second).toBeGreaterThan(first);
      const record = await state.get('k');
      expect(record).toMatchObject({ key: 'k', version: second });
      expect(text(record?.value)).toBe('2');
    });

    test('keeps its own copy of a value', async () => {
      await using world = await create(SETTINGS);
      const { state } = (await run(world)).broker;
      const value = bytes('abc');
      await state.put('k', value);
      value.fill(0);
      expect(text((await state.get('k'))?.value)).toBe('abc');
    });

    test('writes only over the version that was read', async () => {
      await using world = await create(SETTINGS);
      const { state } = (await run(world)).broker;
      expect(await state.put('k', bytes('1'), { ifVersion: 7 })).toBeUndefined();
      const version = await state.put('k', bytes('1'), { ifVersion: 0 });
      expect(version).toBeDefined();
      expect(await state.put('k', bytes('2'), { ifVersion: 0 })).toBeUndefined();
      expect(await state.put('k', bytes('2'), { ifVersion: version ?? -1 })).toBeDefined();
      expect(await state.put('k', bytes('3'), { ifVersion: version ?? -1 })).toBeUndefined();
      expect(text((await state.get('k'))?.value)).toBe('2');
    });

    test('lets exactly one of many win who write over the same version', async () => {
      await using world = await create(SETTINGS);
      const { state } = (await run(world)).broker;
      const puts = Array.from({ length: 20 }, (_, index) =>
        state.put('k', bytes(`${index}`), { ifVersion: 0 }),
      );
      const won = (await Promise.all(puts)).filter((version) => version !== undefined);
      expect(won).toHaveLength(1);
    });

    test('deletes, on a condition or without', async () => {
      await using world = await create(SETTINGS);
      const { state } = (await run(world)).broker;
      expect(await state.delete('k')).toBe(false);
      const version = (await state.put('k', bytes('1'))) ?? 0;
      expect(await state.delete('k', { ifVersion: version + 1 })).toBe(false);
      expect(await state.delete('k', { ifVersion: version })).toBe(true);
      expect(await state.get('k')).toBeUndefined();
      expect(await state.delete('k', { ifVersion: 0 })).toBe(false);
    });

    test('never gives a version of a key again', async () => {
      await using world = await create(SETTINGS);
      const { state } = (await run(world)).broker;
      const first = (await state.put('k', bytes('1'))) ?? 0;
      await state.delete('k');
      const second = (await state.put('k', bytes('1'))) ?? 0;
      expect(second).toBeGreaterThan(first);
      expect(await state.put('k', bytes('2'), { ifVersion: first })).toBeUndefined();
    });

    test('lets a record go when its time has come', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const { state } = broker;
      await broker.publish(
        'clock',
        { payload: bytes('0') },
        {
          retention: { countMax: 1, sizeMax: 1, ageMsMax: 1e9 },
          durable: true,
        },
      );
      const slice = await broker.read('clock', { after: 0, countMax: 1, sizeMax: 1 });
      const now = slice.messages[0]?.time ?? 0;
      await state.put('k', bytes('1'), { expiresAt: now + 1000 });
      await world.pass(999);
      expect(await state.get('k')).toBeDefined();
      await world.pass(1);
      expect(await state.get('k')).toBeUndefined();
      expect(await state.list('', { countMax: 9 })).toEqual([]);
      expect(await state.delete('k')).toBe(false);
      expect(await state.put('k', bytes('2'), { ifVersion: 0 })).toBeDefined();
      await world.pass(86_400_000);
      expect(text((await state.get('k'))?.value)).toBe('2');
    });

    test('lists records by prefix in the order of their keys, page by page', async () => {
      await using world = await create(SETTINGS);
      const { state } = (await run(world)).broker;
      // The last two stand the other way round where text is ordered by UTF-16 units.
      const keys = ['a', 'a/', 'a/1', 'a/10', 'a/2', 'a/ü', 'a/\uffee', 'a/\u{1f600}'];
      for (const key of [...keys, 'A', 'b', 'a0', '%', 'a_']) await state.put(key, bytes(key));
      const all = await state.list('a/', { countMax: 100 });
      expect(all.map(({ key }) => key)).toEqual(keys.slice(1));
      expect(all.map(({ value }) => text(value))).toEqual(keys.slice(1));
      const paged: string[] = [];
      let after: string | undefined;
      for (;;) {
        const page = await state.list('a/', { countMax: 2, ...(after !== undefined && { after }) });
        if (page.length === 0) break;
        paged.push(...page.map(({ key }) => key));
        after = paged.at(-1);
      }
      expect(paged).toEqual(keys.slice(1));
      expect(await state.list('a/', { after: 'A', countMax: 1 })).toHaveLength(1);
      expect(await state.list('a/', { after: 'b', countMax: 9 })).toEqual([]);
      expect(await state.list('nothing', { countMax: 9 })).toEqual([]);
      expect(await state.list('a/', { countMax: 0 })).toEqual([]);
    });

    test('tells keys apart that differ by any character', async () => {
      await using world = await create(SETTINGS);
      const { state } = (await run(world)).broker;
      const keys = ['', 'k', 'K', 'k\0', 'k\0a', 'k ', 'k%', 'ü', 'u\u0308'];
      for (const key of keys) await state.put(key, bytes(key));
      for (const key of keys) expect(text((await state.get(key))?.value)).toBe(key);
      expect(await state.list('', { countMax: 99 })).toHaveLength(keys.length);
    });

    test('takes keys of 512 bytes and values of 1 MB, and no larger', async () => {
      await using world = await create(SETTINGS);
      const { state } = (await run(world)).broker;
      const key = 'ü'.repeat(256);
      const value = new Uint8Array(2 ** 20).fill(7);
      expect(await state.put(key, value)).toBeDefined();
      expect((await state.get(key))?.value).toEqual(value);
      await expect(state.put(`${key}x`, value)).rejects.toThrow(RangeError);
      await expect(state.put('k', new Uint8Array(2 ** 20 + 1))).rejects.toThrow(RangeError);
    });

    test('takes no key that UTF-8 can not hold for one that it can', async () => {
      await using world = await create(SETTINGS);
      const { state } = (await run(world)).broker;
      await state.put('\ufffd', bytes('1'));
      const calls = [
        () => state.get('\ud800'),
        () => state.put('\ud800', bytes('2')),
        () => state.delete('\ud800'),
        () => state.list('\ud800', { countMax: 1 }),
        () => state.list('', { after: '\ud800', countMax: 1 }),
      ];
      for (const call of calls) await expect(call()).rejects.toThrow(RangeError);
      expect(text((await state.get('\ufffd'))?.value)).toBe('1');
    });

    test('lists values of 1 MB and thousands of records, page by page', async () => {
      await using world = await create(SETTINGS);
      const { state } = (await run(world)).broker;
      const large = Array.from(
        { length: 20 },
        (_, index) => `large/${String(index).padStart(2, '0')}`,
      );
      const small = Array.from(
        { length: 2500 },
        (_, index) => `small/${String(index).padStart(4, '0')}`,
      );
      await Promise.all(large.map((key) => state.put(key, new Uint8Array(2 ** 20).fill(1))));
      await Promise.all(small.map((key) => state.put(key, bytes(key))));
      const pagesOf = async (prefix: string): Promise<string[][]> => {
        const pages: string[][] = [];
        for (;;) {
          const after = pages.at(-1)?.at(-1);
          const given = { countMax: 10_000, ...(after !== undefined && { after }) };
          const page = await state.list(prefix, given);
          if (page.length === 0) return pages;
          pages.push(page.map(({ key }) => key));
        }
      };
      for (const [prefix, keys] of [
        ['large/', large],
        ['small/', small],
      ] as const) {
        const pages = await pagesOf(prefix);
        expect(pages.flat()).toEqual(keys);
        expect(pages.length).toBeGreaterThan(1);
      }
      const all = await Promise.all(large.map((key) => state.get(key)));
      for (const record of all) expect(record?.value.length).toBe(2 ** 20);
    });

    test('lists each record once that is there all the time, whatever comes and goes', async () => {
      await using world = await create(SETTINGS);
      const { state } = (await run(world)).broker;
      for (const key of ['b', 'd', 'f', 'h']) await state.put(key, bytes(key));
      const first = await state.list('', { countMax: 2 });
      await Promise.all([state.put('a', bytes('')), state.put('e', bytes('')), state.delete('d')]);
      const after = first.at(-1)?.key ?? '';
      const rest = await state.list('', { after, countMax: 9 });
      expect([...first, ...rest].map(({ key }) => key)).toEqual(['b', 'd', 'e', 'f', 'h']);
    });

    test.runIf(traits.durable)('outlives the process', async () => {
      for (const end of ['close', 'crash'] as const) {
        await using world = await create(SETTINGS);
        const first = await run(world);
        const version = (await first.broker.state.put('k', bytes('1'))) ?? 0;
        await (end === 'close' ? first.broker.close() : world.crash());
        const { state } = (await run(world)).broker;
        expect(await state.get('k')).toMatchObject({ version });
        expect((await state.put('k', bytes('2'))) ?? 0).toBeGreaterThan(version);
      }
    });
  });
}
