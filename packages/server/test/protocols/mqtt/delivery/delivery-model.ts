/**
 * Seeded deliveries held against a model: readers as the hub serves them, a client that acknowledges
 * when it likes, a store that takes its time.
 */
import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import type { Message, Position } from '@trunkline/wire';
import { expect } from 'vitest';
import { parsePlaceMark } from '../../../../src/hub/place-mark.ts';
import { AliasTable, ClientAliases } from '../../../../src/protocols/mqtt/codec/aliases.ts';
import type { Publish, Qos } from '../../../../src/protocols/mqtt/codec/packets.ts';
import { PublishEncoding } from '../../../../src/protocols/mqtt/messages/encoding.ts';
import type { PublishBatch } from '../../../../src/protocols/mqtt/messages/encoding.ts';
import type { Form } from '../../../../src/protocols/mqtt/messages/form.ts';
import { Outlet } from '../../../../src/protocols/mqtt/delivery/outlet.ts';
import { SentPlace } from '../../../../src/protocols/mqtt/delivery/sent-place.ts';
import { CLOCK, formOf, makeDelivery, message, textOf } from './delivery-setup.ts';

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
export class DeliveryModel {
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
