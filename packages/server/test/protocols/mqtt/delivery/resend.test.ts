import { seededRandom } from '@trunkline/testkit';
import { CodedError } from '@trunkline/wire';
import type { Message } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import type { Packet, Version } from '../../../../src/protocols/mqtt/codec/packets.ts';
import type { Place } from '../../../../src/protocols/mqtt/messages/place.ts';
import { Outlet } from '../../../../src/protocols/mqtt/delivery/outlet.ts';
import { resend } from '../../../../src/protocols/mqtt/delivery/resend.ts';
import type { Loss } from '../../../../src/protocols/mqtt/session/losses.ts';
import type { Awaited, Sent } from '../../../../src/protocols/mqtt/delivery/window.ts';
import { batchOf, CLOCK, formOf, makeDelivery, message } from './delivery-setup.ts';
import type { DeliveryWorld } from './delivery-setup.ts';
import { anonymous } from '../mqtt-setup.ts';

interface World extends DeliveryWorld {
  readonly sent: readonly Sent[];
  /** What the log has, by offset. */
  readonly log?: ReadonlyMap<number, Message>;
  readonly forbidden?: boolean;
}

function entry(packetId: number, awaited: Awaited, offset = packetId, isRetained = false): Sent {
  const place: Place = { channel: 'a', epoch: 'e1', offset, ...(isRetained ? { isRetained } : {}) };
  return { packetId, awaited, place };
}

const entries = (count: number, awaited: Awaited = 'puback'): Sent[] =>
  Array.from({ length: count }, (_, index) => entry(index + 1, awaited));

const logOf = (count: number): Map<number, Message> =>
  new Map(entries(count).map(({ packetId }) => [packetId, message(packetId, `m${packetId}`)]));

function setUp(world: World) {
  const { version = 5, sent, log = logOf(100), forbidden = false } = world;
  const made = makeDelivery(world);
  const { window, delivery, link } = made;
  window.restore(sent);
  const losses: Loss[] = [];
  const reads: number[] = [];
  const failing = { error: undefined as Error | undefined };
  const hub = {
    messagesAt: async (_: unknown, places: readonly Place[]) => {
      reads.push(places.length);
      // The first one takes longest.
      const { length: nth } = reads;
      for (let turn = 10; turn > nth; turn -= 1) await Promise.resolve();
      if (failing.error !== undefined) throw failing.error;
      return places.map(({ offset }) => log.get(offset));
    },
    permits: () => !forbidden,
  };
  const begin = () =>
    resend({
      ...{ hub, identity: anonymous, window, delivery, nowMs: CLOCK.unixMs },
      formFor: () => formOf(version, 2),
      onLoss: (loss) => losses.push(loss),
    });
  const take = () => link.take().map(packetText);
  const acknowledge = (kind: Awaited, ...ids: readonly number[]) => {
    for (const packetId of ids) expect(window.acknowledge(packetId, kind)).not.toBe('wrong');
    delivery.onRoom();
  };
  return { ...made, losses, reads, failing, begin, take, acknowledge };
}

function packetText(packet: Packet): string {
  if (packet.kind === 'pubrel') return `pubrel ${packet.packetId}`;
  if (packet.kind !== 'publish') return packet.kind;
  const { packetId, qos, dup, payload } = packet;
  return `${Buffer.from(payload).toString()} ${packetId} q${qos}${dup ? ' dup' : ''}`;
}

/** Lets all reads and what follows them come to rest. */
async function rest(): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
}

describe('resend', () => {
  it.each<Version>([4, 5])(
    'sends all again in MQTT %s, with the same identifiers in the same order [MQTT-3.3.1-1] [MQTT-4.4.0-1] [MQTT-4.6.0-1]',
    async (version) => {
      const sent = [
        entry(65_534, 'puback', 1),
        entry(65_535, 'pubcomp', 2),
        entry(2, 'pubrec', 3),
        entry(5, 'puback', 4),
      ];
      const { begin, take, window, delivery } = setUp({ sent, version });
      await begin();
      expect(take()).toEqual(['m1 65534 q1 dup', 'pubrel 65535', 'm3 2 q2 dup', 'm4 5 q1 dup']);
      expect([...window.sent()]).toEqual(sent);
      delivery.open();
      const outlet = new Outlet(delivery, 1);
      expect(outlet.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    },
  );

  it('sends no more than the client takes now, and nothing new before [MQTT-3.3.4-9]', async () => {
    const { begin, take, delivery, acknowledge, link } = setUp({ sent: entries(6), countMax: 2 });
    await begin();
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    outlet.sendShared(batchOf('a', [message(7, 'new')], formOf(5, 1)));
    outlet.requestDrain();
    expect(take()).toEqual(['m1 1 q1 dup', 'm2 2 q1 dup']);
    acknowledge('puback', 1);
    await rest();
    expect(take()).toEqual(['m3 3 q1 dup']);
    acknowledge('puback', 2, 3);
    await rest();
    expect(take()).toEqual(['m4 4 q1 dup', 'm5 5 q1 dup']);
    acknowledge('puback', 4, 5);
    await rest();
    expect(take()).toEqual(['m6 6 q1 dup', 'new 7 q1']);
    expect(link.wantsDrain).toBe(false);
    acknowledge('puback', 6);
    expect(link.wantsDrain).toBe(true);
  });

  it('sends PUBREL again however few messages the client takes [MQTT-4.3.3-6]', async () => {
    const sent = [entry(1, 'pubcomp'), entry(2, 'pubrec'), entry(3, 'pubrec'), entry(4, 'pubcomp')];
    const { begin, take, acknowledge } = setUp({ sent, countMax: 1 });
    await begin();
    expect(take()).toEqual(['pubrel 1', 'm2 2 q2 dup']);
    acknowledge('pubcomp', 1);
    await rest();
    expect(take()).toEqual([]);
    acknowledge('pubrec', 2);
    acknowledge('pubcomp', 2);
    await rest();
    expect(take()).toEqual(['m3 3 q2 dup', 'pubrel 4']);
  });

  it.each([1, 2, 3])('comes to the end with any limit and any order (seed %i)', async (seed) => {
    const random = seededRandom(seed);
    const countMax = 1 + random.integer(10);
    const sent = entries(80).map(({ packetId }) =>
      entry(packetId, random.pick(['puback', 'pubrec', 'pubcomp'] as const)),
    );
    const { begin, link, window, delivery } = setUp({ sent, countMax });
    await begin();
    delivery.open();
    const got: number[] = [];
    let underWay = 0;
    const toAck: [Awaited, number][] = [];
    for (let round = 0; round < 1_000 && window.count > 0; round += 1) {
      for (const packet of link.take()) {
        if (packet.kind === 'publish') {
          got.push(packet.packetId);
          underWay += 1;
          toAck.push([packet.qos === 1 ? 'puback' : 'pubrec', packet.packetId]);
        } else if (packet.kind === 'pubrel') {
          got.push(packet.packetId);
          toAck.push(['pubcomp', packet.packetId]);
        }
      }
      expect(underWay).toBeLessThanOrEqual(countMax);
      const [ack] = toAck.splice(random.integer(toAck.length + 1), 1);
      if (ack === undefined) continue;
      const [kind, packetId] = ack;
      const isRelease = window.acknowledge(packetId, kind) === 'released';
      if (isRelease) toAck.push(['pubcomp', packetId]);
      else if (sent[packetId - 1]?.awaited !== 'pubcomp') underWay -= 1;
      delivery.onRoom();
      await rest();
    }
    expect(got).toEqual(sent.map(({ packetId }) => packetId));
    expect(window.count).toBe(0);
    const outlet = new Outlet(delivery, 1);
    expect(outlet.pendingBytes).toBe(0);
  });

  it('reads a few at a time, and waits for a link that is full', async () => {
    const { begin, take, reads, link, delivery } = setUp({ sent: entries(70), countMax: 100 });
    link.pendingBytes = 1_000_000;
    await begin();
    delivery.open();
    expect(take()).toEqual([]);
    expect(link.wantsDrain).toBe(true);
    link.pendingBytes = 0;
    delivery.onRoom();
    await rest();
    expect(reads).toEqual([32, 32, 6]);
    expect(take()).toHaveLength(70);
  });

  it('reads one after the other, whatever is acknowledged meanwhile', async () => {
    const { begin, take, acknowledge, link } = setUp({ sent: entries(40), countMax: 100 });
    const begun = begin();
    acknowledge('puback', 40);
    await begun;
    expect(take()).toEqual(entries(39).map(({ packetId: id }) => `m${id} ${id} q1 dup`));
    expect(link.goodbye).toBeUndefined();
  });

  it('does not send what is acknowledged while it is read', async () => {
    const { begin, take, acknowledge, window } = setUp({ sent: entries(3) });
    const begun = begin();
    acknowledge('puback', 2);
    await begun;
    expect(take()).toEqual(['m1 1 q1 dup', 'm3 3 q1 dup']);
    expect(window.count).toBe(2);
  });

  it('tells what retention has removed, and ends it', async () => {
    const { begin, take, losses, window } = setUp({ sent: entries(2), log: new Map() });
    await begin();
    expect(take()).toEqual([]);
    expect(window.count).toBe(0);
    expect(losses).toEqual([
      { channel: 'a', gap: { reason: 'trimmed', from: 1, to: 1 } },
      { channel: 'a', gap: { reason: 'trimmed', from: 2, to: 2 } },
    ]);
  });

  it('ends a message of QoS 2 that is gone by PUBREL: its identifier would be taken for it', async () => {
    const stored = Promise.withResolvers<void>();
    const { begin, take, window, acknowledge, losses } = setUp({
      ...{ sent: [entry(1, 'pubrec')], log: new Map(), store: () => stored.promise },
    });
    await begin();
    // Not before it is stored that it is over.
    expect(take()).toEqual([]);
    expect([...window.sent()]).toEqual([entry(1, 'pubcomp')]);
    stored.resolve();
    await rest();
    expect(take()).toEqual(['pubrel 1']);
    expect(losses).toHaveLength(1);
    acknowledge('pubcomp', 1);
    expect(window.count).toBe(0);
  });

  it.each<Awaited>(['puback', 'pubrec'])(
    'sends again what was sent in its time, though that is over, awaiting %s [MQTT-4.4.0-1] [MQTT5-4.3.3-7]',
    async (awaited) => {
      const over = { ...message(1, 'over'), expiresAt: CLOCK.unixMs() };
      const { begin, link, losses } = setUp({
        ...{ sent: [entry(1, awaited)], log: new Map([[1, over]]) },
      });
      await begin();
      expect(losses).toEqual([]);
      expect(link.take()).toMatchObject([
        { kind: 'publish', packetId: 1, dup: true, properties: { messageExpiryInterval: 1 } },
      ]);
    },
  );

  it('does not call lost what may not be read, and what was retained', async () => {
    const first = setUp({ sent: entries(1), log: new Map(), forbidden: true });
    await first.begin();
    const second = setUp({ sent: [entry(1, 'puback', 1, true)], log: new Map() });
    await second.begin();
    for (const { losses, window, take } of [first, second]) {
      expect(losses).toEqual([]);
      expect(take()).toEqual([]);
      expect(window.count).toBe(0);
    }
  });

  it('counts what is too large for the client now as sent [MQTT-3.1.2-25]', async () => {
    const log = new Map([
      [1, message(1, 'x'.repeat(200))],
      [2, message(2, 'x'.repeat(200))],
      [3, message(3, 'm3')],
    ]);
    const sent = [entry(1, 'puback'), entry(2, 'pubrec'), entry(3, 'puback')];
    const { begin, take, losses, window } = setUp({ sent, log, packetSizeMax: 100 });
    await begin();
    expect(take()).toEqual(['pubrel 2', 'm3 3 q1 dup']);
    expect(losses).toEqual([]);
    expect(window.count).toBe(2);
  });

  it('sends nothing with another QoS than before', async () => {
    const log = new Map([[1, message(1, 'm1', 1)]]);
    const { begin, take } = setUp({ sent: [entry(1, 'pubrec')], log });
    await begin();
    expect(take()).toEqual(['pubrel 1']);
  });

  it('says of a retained message that it is one', async () => {
    const { begin, link } = setUp({ sent: [entry(1, 'puback', 1, true)] });
    await begin();
    expect(link.take()).toMatchObject([{ kind: 'publish', retain: true, dup: true }]);
  });

  it('fails where the log can not be read, at once or later', async () => {
    const error = new CodedError('unavailable', 'the log can not be read');
    const first = setUp({ sent: entries(2) });
    first.failing.error = error;
    await expect(first.begin()).rejects.toBe(error);
    const second = setUp({ sent: entries(2), countMax: 1 });
    await second.begin();
    second.delivery.open();
    second.failing.error = error;
    second.acknowledge('puback', 1);
    await rest();
    // The client comes back, and all of it is tried again.
    expect(second.link.goodbye).toEqual({ code: 'unavailable' });
  });
});
