import { seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { EMBEDDED_DEFAULTS } from '../../../src/backplanes/embedded/config.ts';
import { MemoryStore } from '../../../src/backplanes/embedded/memory-store.ts';
import type { Append } from '../../../src/backplanes/embedded/store.ts';
import { bufferBytes } from '../../buffers.ts';

const retention = { countMax: 3, sizeMax: 1e9, ageMsMax: 1_000 };

const ALL = { after: 0, countMax: 9, sizeMax: 1e9 };

function store(memorySizeMax: number): MemoryStore {
  return new MemoryStore({
    random: seededRandom(1),
    limits: { ...EMBEDDED_DEFAULTS, memorySizeMax, metadataMs: 0 },
  });
}

function append(channel: string, size = 1_000): Append {
  return { kind: 'append', channel, draft: { payload: new Uint8Array(size) }, retention };
}

/** An empty message of a channel that keeps all. */
function unbound(channel: string): Append {
  return { ...append(channel, 0), retention: { ...retention, countMax: 1_000 } };
}

describe('the memory of all channels together', () => {
  test('has a bound over which a message is refused and nothing is stored', () => {
    const memory = store(100_000);
    let stored = 0;
    while (memory.commit([append(`c${stored}`)], 0)[0]?.kind === 'appended') stored += 1;
    expect(stored).toBeGreaterThan(30);
    expect(stored).toBeLessThan(100);
    expect(memory.commit([append('late')], 0)).toEqual([{ kind: 'full' }]);
    expect(memory.has('late')).toBe(false);
    expect(memory.read('c0', { after: 0, countMax: 9, sizeMax: 1e6 }, 0)).toMatchObject({ top: 1 });
  });

  test('lets a channel go on whose oldest message makes room for the new one', () => {
    const memory = store(20_000);
    for (let count = 0; count < 3; count += 1) memory.commit([append('busy')], 0);
    for (let index = 0; memory.commit([append(`c${index}`)], 0)[0]?.kind === 'appended'; ) {
      index += 1;
    }
    expect(memory.commit([append('busy')], 0)).toMatchObject([{ kind: 'appended', offset: 4 }]);
  });

  test('lets no channel go on whose new message takes more than the oldest gives back', () => {
    const memory = store(100_000);
    for (let count = 0; count < 3; count += 1) memory.commit([append('busy', 1)], 0);
    for (let index = 0; memory.commit([append(`c${index}`)], 0)[0]?.kind === 'appended'; ) {
      index += 1;
    }
    expect(memory.commit([append('busy', 2_000)], 0)).toEqual([{ kind: 'full' }]);
    expect(memory.commit([append('busy', 1)], 0)).toMatchObject([{ kind: 'appended', offset: 4 }]);
  });

  test('counts attributes, and what the oldest message gives back of them', () => {
    const memory = store(100_000);
    const attributed = (channel: string, size: number): Append => {
      const draft = { payload: new Uint8Array(0), attributes: new Uint8Array(size) };
      return { ...append(channel), draft };
    };
    for (let count = 0; count < 3; count += 1) memory.commit([attributed('busy', 1_000)], 0);
    let stored = 0;
    while (memory.commit([attributed(`c${stored}`, 1_000)], 0)[0]?.kind === 'appended') stored += 1;
    expect(stored).toBeLessThan(100);
    expect(memory.commit([attributed('busy', 5_000)], 0)).toEqual([{ kind: 'full' }]);
    for (let count = 0; count < 9; count += 1) {
      const again = count % 2 === 0 ? attributed('busy', 1_000) : append('busy', 1_000);
      expect(memory.commit([again], 0)).toMatchObject([{ kind: 'appended' }]);
    }
  });

  test('keeps nothing of the buffer that a payload or attributes were cut out of', () => {
    const memory = store(1e9);
    const before = bufferBytes();
    for (let count = 0; count < 40; count += 1) {
      const [one, other] = [new Uint8Array(1_000_000), new Uint8Array(1_000_000)];
      const draft = { payload: one.subarray(0, 9), attributes: other.subarray(5, 9) };
      memory.commit([{ ...unbound('c'), draft }], 0);
    }
    expect(bufferBytes() - before).toBeLessThan(5_000_000);
    const { messages } = memory.read('c', ALL, 0);
    expect(messages[0]?.attributes).toEqual(new Uint8Array(4));
  });

  test('has no room for empty messages either, once it is full', () => {
    const memory = store(20_000);
    let stored = 0;
    while (stored < 500 && memory.commit([unbound('c')], 0)[0]?.kind === 'appended') stored += 1;
    expect(stored).toBeLessThan(100);
  });

  test('keeps no payload that retention has removed', () => {
    const memory = store(1e9);
    const before = bufferBytes();
    for (let count = 0; count < 60; count += 1) memory.commit([append('busy', 1_000_000)], 0);
    expect(bufferBytes() - before).toBeLessThan(20_000_000);
    expect(memory.read('busy', ALL, 0).messages.map(({ offset }) => offset)).toEqual([58, 59, 60]);
  });

  test('counts records of the state too', () => {
    const memory = store(100_000);
    const put = (key: string, size: number): string | undefined => {
      const value = new Uint8Array(size);
      return memory.commit([{ kind: 'put', key, value, expiresAt: 1000 }], 0)[0]?.kind;
    };
    let stored = 0;
    while (put(`k${stored}`, 1000) === 'put') stored += 1;
    expect(stored).toBeGreaterThan(30);
    expect(memory.get('k0', 0)?.value.length).toBe(1000);
    expect(memory.commit([append('late')], 0)).toEqual([{ kind: 'full' }]);
    // A record that becomes no larger is written all the same.
    expect(put('k0', 1000)).toBe('put');
    expect(put('k1', 100_000)).toBe('full');
    expect(memory.commit([{ kind: 'delete', key: 'k0' }], 0)).toMatchObject([{ deleted: true }]);
    expect(put('k0', 1000)).toBe('put');
    while (memory.sweep(1000));
    expect(memory.list('', undefined, 9, 0)).toEqual([]);
    expect(memory.commit([append('late')], 0)).toMatchObject([{ kind: 'appended' }]);
  });

  test('is free again when messages and channels have expired', () => {
    const memory = store(100_000);
    for (let index = 0; memory.commit([append(`c${index}`)], 0)[0]?.kind === 'appended'; ) {
      index += 1;
    }
    memory.commit([append('purged')], 0);
    memory.commit([{ kind: 'purge', channel: 'purged' }], 0);
    while (memory.sweep(10_000));
    for (let index = 0; index < 30; index += 1) {
      expect(memory.commit([append(`d${index}`)], 10_000)).toMatchObject([{ kind: 'appended' }]);
    }
  });
});
