import { seededRandom } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import type { Place } from '../../../../src/protocols/mqtt/messages/place.ts';
import { Window } from '../../../../src/protocols/mqtt/delivery/window.ts';
import type { AckOutcome, Awaited, Sent } from '../../../../src/protocols/mqtt/delivery/window.ts';

const place = (offset: number): Place => ({ channel: 'c', epoch: 'e1', offset });

const sentOf = (window: Window): Sent[] => [...window.sent()];

/** What a window has to do, written in the plainest way. */
class Model {
  readonly #countMax: number;
  /** In the order sent. */
  readonly #all = new Map<number, Sent>();
  nextId = 1;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get sent(): Sent[] {
    return [...this.#all.values()];
  }

  get free(): number {
    return Math.max(0, this.#countMax - this.#all.size);
  }

  add(at: Place, qos: 1 | 2): number {
    const packetId = this.nextId;
    expect(this.#all.has(packetId), 'a packet identifier is used while in use').toBe(false);
    this.#all.set(packetId, { packetId, awaited: qos === 1 ? 'puback' : 'pubrec', place: at });
    this.nextId = (packetId % 65_535) + 1;
    return packetId;
  }

  acknowledge(packetId: number, kind: Awaited, failed: boolean): AckOutcome {
    const one = this.#all.get(packetId);
    if (one === undefined) return 'unknown';
    if (kind === 'pubrec' && !failed && one.awaited !== 'puback') {
      this.#all.set(packetId, { ...one, awaited: 'pubcomp' });
      return 'released';
    }
    if (one.awaited !== kind) return 'wrong';
    this.#all.delete(packetId);
    return 'done';
  }
}

const KINDS = ['puback', 'pubrec', 'pubcomp'] as const;

describe('Window', () => {
  it.each([1, 2, 3, 4, 5, 6])('does as a plain table does, past 65,535 (seed %i)', (seed) => {
    const random = seededRandom(seed);
    const countMax = random.pick([1, 2, 7, 16, 40]);
    const model = new Model(countMax);
    let window = new Window(countMax);
    // It begins shortly before the identifiers begin again.
    model.nextId = 65_535 - random.integer(20);
    window.restore([{ packetId: model.nextId, awaited: 'puback', place: place(0) }]);
    model.add(place(0), 1);
    for (let step = 1; step < 3_000; step += 1) {
      if (random.chance(0.4) && model.free > 0) {
        const qos = random.chance(0.5) ? 1 : 2;
        expect(window.add(place(step), qos)).toBe(model.add(place(step), qos));
      } else if (random.chance(0.02) && model.sent.length > 0) {
        // The session goes on over another connection; the identifiers after the last one too.
        const sent = sentOf(window);
        window = new Window(countMax);
        window.restore(sent);
        model.nextId = ((sent.at(-1)?.packetId ?? 0) % 65_535) + 1;
      } else {
        const known = model.sent.map(({ packetId }) => packetId);
        const any = random.integer(65_536);
        const packetId = known.length === 0 || random.chance(0.1) ? any : random.pick(known);
        const kind = random.pick(KINDS);
        const failed = kind === 'pubrec' && random.chance(0.2);
        expect(window.acknowledge(packetId, kind, failed)).toBe(
          model.acknowledge(packetId, kind, failed),
        );
      }
      expect(sentOf(window)).toEqual(model.sent);
      expect(window.count).toBe(model.sent.length);
      expect(window.free).toBe(model.free);
    }
  });

  it('gives each identifier once in 65,535, and 0 never [MQTT-2.2.1-4] [MQTT-2.3.1-4]', () => {
    const window = new Window(1);
    const seen = new Set<number>();
    for (let count = 0; count < 65_535; count += 1) {
      const id = window.add(place(count), 1);
      seen.add(id);
      window.acknowledge(id, 'puback');
    }
    expect(seen.size).toBe(65_535);
    expect(seen.has(0)).toBe(false);
    expect(window.add(place(1), 1)).toBe(1);
  });

  it('never gives an identifier that is in use, however long one is not acknowledged [MQTT-2.3.1-4] [MQTT5-4.3.2-1] [MQTT5-4.3.3-1]', () => {
    const window = new Window(10);
    const first = window.add(place(0), 2);
    let count = 0;
    for (; window.free > 0; count += 1) {
      const id = window.add(place(count), 1);
      expect(id).not.toBe(first);
      window.acknowledge(id, 'puback');
    }
    expect(count).toBeGreaterThan(30_000);
    expect(sentOf(window)).toEqual([{ packetId: first, awaited: 'pubrec', place: place(0) }]);
    window.acknowledge(first, 'pubrec');
    window.acknowledge(first, 'pubcomp');
    expect(window.free).toBe(10);
  });

  it('answers a repeated PUBREC as the first one, and a repeated PUBCOMP not at all', () => {
    const window = new Window(4);
    const id = window.add(place(1), 2);
    expect(window.acknowledge(id, 'pubcomp')).toBe('wrong');
    expect(window.acknowledge(id, 'pubrec')).toBe('released');
    expect(window.acknowledge(id, 'pubrec')).toBe('released');
    expect(window.count).toBe(1);
    expect(window.acknowledge(id, 'pubcomp')).toBe('done');
    expect(window.acknowledge(id, 'pubcomp')).toBe('unknown');
    expect(window.acknowledge(id, 'pubrec')).toBe('unknown');
    expect(window.count).toBe(0);
  });

  it('ends a message of QoS 2 that the client refuses (5.0 §4.9)', () => {
    const window = new Window(1);
    const id = window.add(place(1), 2);
    expect(window.acknowledge(id, 'pubrec', true)).toBe('done');
    expect(window.free).toBe(1);
  });

  it('knows nothing of what was not sent, in an empty window too', () => {
    const window = new Window(4);
    for (const kind of KINDS) expect(window.acknowledge(1, kind)).toBe('unknown');
    const id = window.add(place(1), 1);
    expect(window.acknowledge(id + 1, 'puback')).toBe('unknown');
    expect(window.acknowledge(0, 'puback')).toBe('unknown');
    expect(window.awaitedOf(id)).toBe('puback');
    expect(window.awaitedOf(id + 1)).toBeUndefined();
  });

  it('has no room while it was restored with more than the client takes now', () => {
    const window = new Window(2);
    window.restore(
      [1, 2, 3, 4].map((packetId) => ({ packetId, awaited: 'puback', place: place(packetId) })),
    );
    expect([window.count, window.free, window.isRoomy]).toEqual([4, 0, false]);
    for (const id of [1, 2, 3]) {
      expect(window.acknowledge(id, 'puback')).toBe('done');
    }
    expect([window.count, window.free, window.isRoomy]).toEqual([1, 1, true]);
    expect(window.add(place(5), 1)).toBe(5);
  });

  it('is restored across the end of the identifiers, with what was acknowledged between', () => {
    const sent: Sent[] = [
      { packetId: 65_534, awaited: 'pubcomp', place: place(1) },
      { packetId: 2, awaited: 'pubrec', place: place(2) },
    ];
    const window = new Window(8);
    window.restore(sent);
    expect(sentOf(window)).toEqual(sent);
    expect(window.acknowledge(65_535, 'puback')).toBe('unknown');
    expect(window.add(place(3), 1)).toBe(3);
    expect(() => window.restore(sent)).toThrow('before anything is sent');
  });

  it('is worth a read again at the largest limit there is', () => {
    const window = new Window(65_535);
    expect(window.isRoomy).toBe(true);
    while (window.free > 0) window.add(place(1), 1);
    expect(window.isRoomy).toBe(false);
    for (const { packetId } of sentOf(window)) window.acknowledge(packetId, 'puback');
    expect(window.isRoomy).toBe(true);
  });
});
