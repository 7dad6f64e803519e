import { seededRandom } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { MqttError } from '../../../../src/protocols/mqtt/codec/faults.ts';
import { REASONS } from '../../../../src/protocols/mqtt/codec/reasons.ts';
import { Registry } from '../../../../src/protocols/mqtt/session/registry.ts';
import type { Holder } from '../../../../src/protocols/mqtt/session/registry.ts';

class Session implements Holder {
  readonly name: string;
  readonly #ended = Promise.withResolvers<void>();
  isAsked = false;

  constructor(name: string) {
    this.name = name;
  }

  giveWay(): Promise<void> {
    this.isAsked = true;
    return this.#ended.promise;
  }

  end(): void {
    this.#ended.resolve();
  }
}

const nothing = (): void => {};

async function rest(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

describe('Registry', () => {
  it('knows who holds a key, until that one lets go of it', () => {
    const registry = new Registry<Session>();
    const [one, two] = [new Session('one'), new Session('two')];
    registry.hold('a', one);
    registry.hold('b', two);
    expect(registry.count).toBe(2);
    expect([...registry.holders]).toEqual([one, two]);
    // Another one has taken its place by now.
    registry.hold('a', two);
    registry.letGo('a', one);
    expect([...registry.holders]).toEqual([two, two]);
    registry.letGo('a', two);
    expect(registry.count).toBe(1);
    expect(registry.isTaken('a')).toBe(false);
  });

  it('lets who comes wait until the holder has given way [MQTT4-3.1.4-2] [MQTT5-3.1.4-3]', async () => {
    const registry = new Registry<Session>();
    const before = new Session('before');
    registry.hold('a', before);
    let isDone = false;
    const taken = registry.take('a', nothing, async () => {
      isDone = true;
      await Promise.resolve();
      return 7;
    });
    await rest();
    expect(before.isAsked).toBe(true);
    expect(isDone).toBe(false);
    expect(registry.isTaken('a')).toBe(true);
    before.end();
    expect(await taken).toBe(7);
  });

  it('lets the last one wait of those who come with one key, and others meanwhile', async () => {
    const registry = new Registry<Session>();
    const order: string[] = [];
    const gate = Promise.withResolvers<void>();
    const first = registry.take('a', nothing, async () => {
      order.push('first');
      await gate.promise;
      order.push('first ends');
    });
    const second = registry.take('a', nothing, async () => void order.push('second'));
    const third = registry.take('a', nothing, async () => void order.push('third'));
    await registry.take('b', nothing, async () => void order.push('other'));
    expect(order).toEqual(['first', 'other']);
    const told = { reason: REASONS.sessionTakenOver };
    await expect(second).rejects.toMatchObject(told);
    gate.resolve();
    await Promise.all([first, third]);
    expect(order).toEqual(['first', 'other', 'first ends', 'third']);
    expect(registry.isTaken('a')).toBe(false);
  });

  it('goes on after one who fails, or does not want it any more', async () => {
    const registry = new Registry<Session>();
    const holder = new Session('holder');
    registry.hold('a', holder);
    const late = registry.take(
      'a',
      () => {
        throw new Error('it has gone');
      },
      async () => 'never',
    );
    await expect(late).rejects.toThrow('it has gone');
    // Nobody gives way to who has gone.
    expect(holder.isAsked).toBe(false);
    holder.end();
    const failing = registry.take('a', nothing, () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    const next = registry.take('a', nothing, async () => 'next');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('next');
    expect(registry.isTaken('a')).toBe(true);
    registry.letGo('a', holder);
    expect(registry.isTaken('a')).toBe(false);
  });

  it.each([1, 2, 3])('never has two at one key at once (seed %i)', async (seed) => {
    const random = seededRandom(seed);
    const registry = new Registry<Session>();
    const inside = new Map<string, number>();
    const asked: Promise<void>[] = [];
    const served: string[] = [];
    let replaced = 0;
    for (let index = 0; index < 200; index += 1) {
      const key = random.pick(['a', 'b']);
      const pauses = random.integer(5);
      const fails = random.chance(0.2);
      const work = async (): Promise<void> => {
        inside.set(key, (inside.get(key) ?? 0) + 1);
        expect(inside.get(key)).toBe(1);
        for (let pause = 0; pause < pauses; pause += 1) await Promise.resolve();
        inside.set(key, (inside.get(key) ?? 0) - 1);
        served.push(`${key}${index}`);
        const session = new Session(`${index}`);
        session.end();
        registry.hold(key, session);
        if (fails) throw new Error('it failed');
      };
      const onError = (error: unknown): void =>
        void (replaced += error instanceof MqttError ? 1 : 0);
      asked.push(registry.take(key, nothing, work).catch(onError));
      if (random.chance(0.3)) await Promise.resolve();
    }
    await Promise.all(asked);
    expect(served.length + replaced).toBe(200);
    expect(replaced).toBeGreaterThan(50);
    for (const key of ['a', 'b']) {
      const own = served
        .filter((name) => name.startsWith(key))
        .map((name) => Number(name.slice(1)));
      expect(own).toEqual(own.toSorted((one, other) => one - other));
    }
  });
});
