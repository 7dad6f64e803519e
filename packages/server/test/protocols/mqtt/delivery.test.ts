import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import type { Message, Position } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import { parsePlaceMark } from '../../../src/hub/place-mark.ts';
import { AliasTable, ClientAliases } from '../../../src/protocols/mqtt/aliases.ts';
import type { Publish, Qos } from '../../../src/protocols/mqtt/codec/packets.ts';
import { PublishEncoding } from '../../../src/protocols/mqtt/encoding.ts';
import type { Form, PublishBatch } from '../../../src/protocols/mqtt/encoding.ts';
import { Outlet } from '../../../src/protocols/mqtt/outlet.ts';
import { SentPlace } from '../../../src/protocols/mqtt/sent-place.ts';
import { GAP_PROPERTY } from '../../../src/protocols/mqtt/subscription.ts';
import { batchOf, CLOCK, formOf, makeDelivery, message, textOf } from './delivery-setup.ts';

const HIGH_WATER = 400;
const LARGE = 'x'.repeat(300);

/** One subscription as the hub serves it: a list of messages and how many of them it was given. */
class Reader {
  readonly outlet: Outlet;
  readonly form: Form;
  readonly isPattern: boolean;
  readonly channels: readonly string[];
  /** All that was published, in order. */
  readonly log: { readonly channel: string; readonly message: Message; readonly qos: Qos }[] = [];
  given = 0;
  #offsets = new Map<string, number>();

  readonly place: SentPlace | undefined;

  constructor(
    outlet: Outlet,
    place: SentPlace | undefined,
    form: Form,
    channels: readonly string[],
  ) {
    this.outlet = outlet;
    this.place = place;
    outlet.place = place;
    this.form = form;
    this.channels = channels;
    this.isPattern = channels.length > 1;
  }

  publish(random: SeededRandom): void {
    const channel = random.pick(this.channels);
    const offset = (this.#offsets.get(channel) ?? 0) + 1;
    this.#offsets.set(channel, offset);
    const qos = random.pick([0, 1, 2, 2] as const);
    const payload = `${channel}:${offset}${random.chance(0.1) ? LARGE : ''}`;
    this.log.push({
      channel,
      message: message(offset, payload, qos),
      qos: Math.min(qos, this.form.qos) as Qos,
    });
  }

  /** The next few, as one batch; with a mark as often as not. */
  next(random: SeededRandom): PublishBatch {
    const count = 1 + random.integer(5);
    const some = this.log.slice(this.given, this.given + count);
    this.given += some.length;
    const runs = some.map((one) => ({
      ...{ channel: one.channel, epoch: 'e1', messages: [one.message] },
    }));
    const mark = this.isPattern && random.chance(0.5) ? `~m.${this.given}` : undefined;
    return new PublishEncoding(this.form, CLOCK).encode(runs, mark);
  }

  /** Of each channel the offset up to which its place says that it was sent. */
  reached(): Map<string, number> {
    const text = this.place?.toString() ?? '';
    if (!this.isPattern) return new Map([[this.channels[0] ?? '', Number(text.split(':')[1])]]);
    const { mark, behind } = parsePlaceMark(text);
    const reached = new Map<string, number>();
    for (const { channel, message: one } of this.log.slice(0, Number(mark.split('.')[1]))) {
      reached.set(channel, one.offset);
    }
    for (const [channel, { offset }] of behind) reached.set(channel, offset);
    return reached;
  }
}

/** A session's delivery, its readers and a client that acknowledges when it likes. */
class World {
  readonly random: SeededRandom;
  readonly countMax: number;
  readonly made;
  readonly readers: readonly Reader[];
  readonly stores: (() => void)[] = [];
  /** Window entries that are stored: what a crash now would leave. */
  storedIds = new Set<number>();
  readonly received: string[] = [];
  readonly toAck: { readonly kind: 'puback' | 'pubrec' | 'pubcomp'; readonly packetId: number }[] =
    [];
  readonly acked = new Set<string>();
  readonly underWay = new Map<number, string>();
  readonly #aliases: ClientAliases | undefined;
  readonly packetSizeMax: number;

  constructor(seed: number) {
    const random = seededRandom(seed);
    this.random = random;
    this.countMax = random.pick([1, 2, 5, 20]);
    this.packetSizeMax = random.chance(0.5) ? 200 : 10_000;
    const hasAliases = random.chance(0.4);
    this.#aliases = hasAliases ? new ClientAliases(2) : undefined;
    const isDurable = random.chance(0.7);
    const store = () =>
      new Promise<void>((resolve) => {
        this.stores.push(() => {
          for (const { packetId } of this.made.window.sent()) this.storedIds.add(packetId);
          resolve();
        });
      });
    this.made = makeDelivery({
      ...{ countMax: this.countMax, packetSizeMax: this.packetSizeMax },
      ...(hasAliases ? { aliases: new AliasTable(2) } : {}),
      ...(isDurable ? { store } : {}),
    });
    this.isDurable = isDurable;
    const make = (qos: Qos, channels: readonly string[], place?: string | Position): Reader => {
      const outlet = new Outlet(this.made.delivery, qos);
      const sent = place === undefined ? undefined : new SentPlace(place);
      return new Reader(outlet, sent, formOf(5, qos), channels);
    };
    this.readers = [
      make(1, ['one'], { epoch: 'e1', offset: 0 }),
      make(2, ['two/a', 'two/b', 'two/c'], '~m.0'),
      make(0, ['none']),
    ];
  }

  readonly isDurable: boolean;

  step(): void {
    const { random } = this;
    const what = random.integer(10);
    const reader = random.pick(this.readers);
    if (what < 3) reader.publish(random);
    else if (what < 6) this.give(reader);
    else if (what < 8) this.acknowledge();
    else if (what === 8) this.drain();
    else this.stores.shift()?.();
  }

  /** As the hub does: nothing is given to who has too much unsent; it asks to be told then. */
  give(reader: Reader): void {
    while (reader.given < reader.log.length) {
      if (reader.outlet.pendingBytes > HIGH_WATER) {
        reader.outlet.requestDrain();
        return;
      }
      this.sendTo(reader);
      if (this.random.chance(0.5)) {
        reader.outlet.requestDrain();
        return;
      }
    }
  }

  sendTo(reader: Reader): void {
    const batch = reader.next(this.random);
    reader.outlet.sendShared(batch, true);
    this.made.link.pendingBytes += this.random.integer(200);
    if (reader.isPattern && this.random.chance(0.3)) {
      this.made.delivery.reach(reader.outlet, { mark: `~m.${reader.given}`, places: [] });
    }
  }

  drain(): void {
    const { link, delivery } = this.made;
    link.pendingBytes = 0;
    if (!link.wantsDrain) return;
    link.wantsDrain = false;
    delivery.onRoom();
    for (const reader of this.readers) this.give(reader);
  }

  acknowledge(): void {
    const { window, delivery } = this.made;
    const index = this.random.integer(this.toAck.length + 1);
    const [ack] = this.toAck.splice(index, 1);
    if (ack === undefined) return;
    const { kind, packetId } = ack;
    const outcome = window.acknowledge(packetId, kind);
    if (kind === 'pubrec') {
      expect(outcome).toBe('released');
      this.toAck.push({ kind: 'pubcomp', packetId });
      this.acked.add(this.underWay.get(packetId) ?? '');
      return;
    }
    expect(outcome).toBe('done');
    this.acked.add(this.underWay.get(packetId) ?? '');
    this.underWay.delete(packetId);
    this.storedIds.delete(packetId);
    delivery.onRoom();
  }

  /** The client reads, and every promise is looked at. */
  check(): void {
    for (const publish of this.made.link.takePublishes()) this.read(publish);
    expect(this.underWay.size).toBeLessThanOrEqual(this.countMax);
    const known = new Set(
      [...this.made.window.sent()].map(({ place }) => `${place.channel}:${place.offset}`),
    );
    for (const reader of this.readers) {
      if (reader.form.qos === 0) continue;
      const reached = reader.reached();
      for (const { channel, message: one, qos } of reader.log) {
        if (one.offset > (reached.get(channel) ?? 0)) continue;
        const name = `${channel}:${one.offset}`;
        const isSafe = qos === 0 || known.has(name) || this.acked.has(name) || this.isTooLarge(one);
        expect(isSafe, `the place is ahead of ${name}, which was not sent`).toBe(true);
      }
    }
  }

  read(publish: Publish): void {
    const topic = this.#aliases?.topicOf(publish) ?? publish.topic;
    const name = textOf(publish).replaceAll('x'.repeat(300), '');
    expect(name.startsWith(`${topic}:`)).toBe(true);
    expect(publish.dup).toBe(false);
    this.received.push(name);
    if (publish.qos === 0) return;
    const { packetId } = publish;
    expect(this.underWay.has(packetId), 'the identifier is in use').toBe(false);
    if (publish.qos === 2 && this.isDurable) {
      expect(this.storedIds.has(packetId), 'QoS 2 left before it was stored').toBe(true);
    }
    this.underWay.set(packetId, name);
    this.toAck.push({ kind: publish.qos === 1 ? 'puback' : 'pubrec', packetId });
  }

  isTooLarge({ payload }: Message): boolean {
    return payload.length > this.packetSizeMax - 50;
  }

  get isOver(): boolean {
    const isGiven = this.readers.every(({ log, given }) => given === log.length);
    return isGiven && this.toAck.length + this.stores.length + this.made.window.count === 0;
  }

  /** Everything is acknowledged, stored and drained until nothing moves. */
  async finish(): Promise<void> {
    for (const reader of this.readers) this.give(reader);
    for (let round = 0; round < 2_000 && !this.isOver; round += 1) {
      this.stores.shift()?.();
      await Promise.resolve();
      await Promise.resolve();
      this.check();
      this.acknowledge();
      this.drain();
    }
    this.check();
    for (const { log, given } of this.readers)
      expect(given, 'a reader stands still').toBe(log.length);
  }
}

describe('Delivery', () => {
  const seeds = Array.from({ length: 60 }, (_, index) => index + 1);

  it.each(seeds)(
    'loses nothing, repeats nothing, keeps order and limits [MQTT-3.3.4-9] [MQTT-4.6.0-6] (seed %i)',
    async (seed) => {
      const world = new World(seed);
      const openAt = world.random.integer(40);
      for (let step = 0; step < 400; step += 1) {
        if (step === openAt) world.made.delivery.open();
        world.step();
        await Promise.resolve();
        await Promise.resolve();
        world.check();
      }
      await world.finish();
      const { received } = world;
      expect(new Set(received).size).toBe(received.length);
      for (const reader of world.readers) {
        const wanted = reader.log
          .filter(({ message: one }) => !world.isTooLarge(one))
          .map(({ channel, message: one }) => `${channel}:${one.offset}`);
        const got = received.filter((name) =>
          reader.channels.some((channel) => name.startsWith(`${channel}:`)),
        );
        expect(got).toEqual(wanted);
      }
    },
  );

  it('shares the bytes of QoS 0, and copies those with packet identifiers once', () => {
    const { delivery, link } = makeDelivery();
    delivery.open();
    const none = batchOf('a', [message(1, 'one'), message(2, 'two')], formOf(5, 0));
    new Outlet(delivery, 0).sendShared(none);
    expect(link.batches).toEqual([none]);
    const some = batchOf('a', [message(1, 'one'), message(2, 'two')], formOf(5, 1));
    new Outlet(delivery, 1).sendShared(some);
    expect(link.batches).toHaveLength(2);
    expect(link.batches[1]?.payload).toHaveLength(some.payload.length);
    expect(link.takePublishes().map(({ packetId }) => packetId)).toEqual([0, 0, 1, 2]);
  });

  it('divides a batch where the window ends, with a place up to there', () => {
    const { delivery, link, window } = makeDelivery({ countMax: 2 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    const place = new SentPlace({ epoch: 'e1', offset: 0 });
    outlet.place = place;
    const all = [1, 2, 3, 4, 5].map((offset) => message(offset, `${offset}`));
    outlet.sendShared(batchOf('a', all, formOf(5, 1)));
    expect(link.takePublishes().map(textOf)).toEqual(['1', '2']);
    expect(place.toString()).toBe('e1:2');
    expect(outlet.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    outlet.requestDrain();
    window.acknowledge(1, 'puback');
    delivery.onRoom();
    expect(place.toString()).toBe('e1:3');
    window.acknowledge(2, 'puback');
    window.acknowledge(3, 'puback');
    delivery.onRoom();
    expect(link.takePublishes().map(textOf)).toEqual(['3', '4', '5']);
    expect(place.toString()).toBe('e1:5');
    expect(link.wantsDrain).toBe(false);
    window.acknowledge(4, 'puback');
    delivery.onRoom();
    expect(link.wantsDrain).toBe(true);
  });

  it('stands at the end of what expired at the end of a batch only when all before it has left', () => {
    const { delivery, window } = makeDelivery({ countMax: 1 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    const place = new SentPlace({ epoch: 'e1', offset: 0 });
    outlet.place = place;
    const runs = [
      { channel: 'a', epoch: 'e1', messages: [message(1, '1'), message(2, '2')] },
      { channel: 'a', epoch: 'e1', messages: [], expired: { from: 3, to: 6 } },
    ];
    outlet.sendShared(new PublishEncoding(formOf(5, 1), CLOCK).encode(runs));
    expect(place.toString()).toBe('e1:1');
    window.acknowledge(1, 'puback');
    delivery.onRoom();
    expect(place.toString()).toBe('e1:6');
  });

  it('takes a mark or a gap in after all that came before it', () => {
    const { delivery, window } = makeDelivery({ countMax: 1 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    const place = new SentPlace('~m.0');
    outlet.place = place;
    outlet.sendShared(batchOf('a', [message(1, '1'), message(2, '2')], formOf(5, 1)));
    delivery.reach(outlet, { mark: undefined, places: [{ channel: 'b', epoch: 'e9', offset: 9 }] });
    const { behind } = parsePlaceMark(place.toString());
    expect(behind).toEqual(new Map([['a', { epoch: 'e1', offset: 1 }]]));
    delivery.reach(outlet, { mark: '~m.7', places: [] });
    expect(place.toString()).not.toBe('~m.7');
    window.acknowledge(1, 'puback');
    delivery.onRoom();
    expect(place.toString()).toBe('~m.7');
  });

  it('lets QoS 0 pass a full window, with aliases too, and never before itself', () => {
    const { delivery, link } = makeDelivery({ countMax: 1, aliases: new AliasTable(1) });
    const stuck = new Outlet(delivery, 1);
    const free = new Outlet(delivery, 0);
    // Both are given something before anything may leave.
    stuck.sendShared(batchOf('stuck', [message(1, 's1'), message(2, 's2')], formOf(5, 1)));
    free.sendShared(batchOf('free', [message(1, 'f1')], formOf(5, 0)));
    expect(free.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    free.requestDrain();
    delivery.onRoom();
    expect(link.wantsDrain).toBe(false);
    delivery.open();
    expect(link.takePublishes().map(textOf)).toEqual(['s1', 'f1']);
    // It asked to be told when it may go on; the others wait for room.
    expect(link.wantsDrain).toBe(true);
    expect(free.pendingBytes).toBe(0);
    expect(stuck.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    free.sendShared(batchOf('free', [message(2, 'f2')], formOf(5, 0)));
    free.sendShared(batchOf('free', [message(3, 'f3')], formOf(5, 0)));
    expect(link.takePublishes().map(textOf)).toEqual(['f2', 'f3']);
  });

  it('keeps the order of a subscription that becomes one of QoS 0', () => {
    const { delivery, link, window } = makeDelivery({ countMax: 1 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    const all = [message(1, '1'), message(2, '2'), message(3, '3')];
    outlet.sendShared(batchOf('a', all, formOf(5, 1)));
    outlet.qos = 0;
    expect(outlet.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    outlet.sendShared(batchOf('a', [message(4, '4')], formOf(5, 0)));
    expect(link.takePublishes().map(textOf)).toEqual(['1']);
    window.acknowledge(1, 'puback');
    delivery.onRoom();
    expect(link.takePublishes().map(textOf)).toEqual(['2']);
    window.acknowledge(2, 'puback');
    delivery.onRoom();
    expect(link.takePublishes().map(textOf)).toEqual(['3', '4']);
    expect(outlet.pendingBytes).toBe(0);
  });

  it('holds QoS 2 and all behind it until it is stored, in order [MQTT-4.6.0-5]', async () => {
    const stores = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let asked = 0;
    const { delivery, link } = makeDelivery({
      store: () => stores[(asked += 1) - 1]?.promise ?? Promise.resolve(),
    });
    delivery.open();
    const [two, none] = [new Outlet(delivery, 2), new Outlet(delivery, 0)];
    two.sendShared(batchOf('a', [message(1, 'a1')], formOf(5, 2)));
    none.sendShared(batchOf('b', [message(1, 'b1')], formOf(5, 0)));
    two.sendShared(batchOf('a', [message(2, 'a2')], formOf(5, 2)));
    expect(link.batches).toHaveLength(0);
    expect(two.pendingBytes).toBeGreaterThan(0);
    none.requestDrain();
    delivery.onRoom();
    expect(link.wantsDrain).toBe(false);
    stores[1]?.resolve();
    await stores[1]?.promise;
    expect(link.batches).toHaveLength(0);
    stores[0]?.resolve();
    await Promise.resolve();
    await Promise.resolve();
    expect(link.takePublishes().map(textOf)).toEqual(['a1', 'b1', 'a2']);
    expect(two.pendingBytes).toBe(0);
    expect(link.wantsDrain).toBe(true);
  });

  it('never sends what can not be stored, whatever becomes of the link', async () => {
    const store = Promise.withResolvers<void>();
    const { delivery, link } = makeDelivery({ store: () => store.promise });
    delivery.open();
    new Outlet(delivery, 2).sendShared(batchOf('a', [message(1, 'a1')], formOf(5, 2)));
    link.close({ code: 'normal' });
    store.reject(new Error('the disk is full'));
    await Promise.resolve();
    await Promise.resolve();
    expect(link.batches).toHaveLength(0);
  });

  it('sends nothing again for a subscription that has ended, and what is behind it goes on', () => {
    const { delivery, link, window } = makeDelivery({ countMax: 1 });
    delivery.open();
    const [gone, other] = [new Outlet(delivery, 1), new Outlet(delivery, 1)];
    gone.sendShared(batchOf('a', [message(1, 'a1'), message(2, 'a2')], formOf(5, 1)));
    other.sendShared(batchOf('b', [message(1, 'b1', 0), message(2, 'b2', 1)], formOf(5, 1)));
    other.requestDrain();
    delivery.drop(gone);
    expect(link.takePublishes().map(textOf)).toEqual(['a1', 'b1']);
    window.acknowledge(1, 'puback');
    delivery.onRoom();
    expect(link.takePublishes().map(textOf)).toEqual(['b2']);
    window.acknowledge(2, 'puback');
    delivery.onRoom();
    expect(link.wantsDrain).toBe(true);
  });

  it('leaves out what is too large for the client, as if it was sent [MQTT-3.1.2-25]', () => {
    const { delivery, link, window } = makeDelivery({ packetSizeMax: 60 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    const place = new SentPlace({ epoch: 'e1', offset: 0 });
    outlet.place = place;
    const all = [message(1, '1'), message(2, 'x'.repeat(100)), message(3, '3'), message(4, LARGE)];
    outlet.sendShared(batchOf('a', all, formOf(5, 1)));
    expect(link.takePublishes().map(textOf)).toEqual(['1', '3']);
    expect(delivery.counts.dropped.too_large).toBe(2);
    expect(window.count).toBe(2);
    expect(place.toString()).toBe('e1:4');
  });

  it('tells losses by the next packet that has room for them [MQTT-3.1.2-24]', () => {
    const { delivery, link } = makeDelivery({ packetSizeMax: 160 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    delivery.tellLoss({ channel: 'a', gap: { reason: 'trimmed', from: 1, to: 3 } });
    outlet.sendShared(batchOf('a', [message(4, 'x'.repeat(120)), message(5, '5')], formOf(5, 1)));
    const [large, small] = link.takePublishes();
    expect(large?.properties.userProperties).toBeUndefined();
    expect(small?.properties.userProperties).toEqual([
      [GAP_PROPERTY, '{"channel":"a","reason":"trimmed","from":1,"to":3}'],
    ]);
    expect(delivery.untold).toEqual([]);
  });

  it('says of more losses than a packet tells that any channel may have lost messages', () => {
    const { delivery, link } = makeDelivery();
    delivery.open();
    for (let index = 0; index < 20; index += 1) {
      delivery.tellLoss({ channel: `c${index}`, gap: { reason: 'epoch' } });
    }
    new Outlet(delivery, 0).sendShared(batchOf('a', [message(1, '1')], formOf(5, 0)));
    const told = link.takePublishes()[0]?.properties.userProperties ?? [];
    expect(told).toHaveLength(8);
    expect(told[0]).toEqual([GAP_PROPERTY, '{"channel":"c0","reason":"epoch"}']);
    expect(told[7]).toEqual([GAP_PROPERTY, '{"channel":"#","reason":"unknown"}']);
  });

  it('lets nothing new leave before what is put first has left', () => {
    const { delivery, link } = makeDelivery();
    let rooms = 0;
    const first = { onRoom: () => void (rooms += 1) };
    delivery.putFirst(first);
    delivery.open();
    const outlet = new Outlet(delivery, 0);
    outlet.sendShared(batchOf('a', [message(2, 'new')], formOf(5, 0)));
    outlet.requestDrain();
    delivery.onRoom();
    expect(rooms).toBe(2);
    expect(link.take()).toEqual([]);
    delivery.endFirst({ onRoom: () => {} });
    expect(outlet.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    delivery.endFirst(first);
    expect(link.takePublishes().map(textOf)).toEqual(['new']);
    expect(link.wantsDrain).toBe(true);
  });
});
