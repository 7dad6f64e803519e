/** A delivery over a link that does what the test says, and what a client makes of its bytes. */
import type { Message } from '@trunkline/wire';
import type { Close, Frame, Link, LinkInfo, LinkTraits } from '../../../../src/link/link.ts';
import type { SharedBatch } from '../../../../src/link/shared-batch.ts';
import type { AliasTable } from '../../../../src/protocols/mqtt/codec/aliases.ts';
import { encodeAttributes } from '../../../../src/protocols/mqtt/messages/attributes.ts';
import { PacketDecoder } from '../../../../src/protocols/mqtt/codec/decoder.ts';
import type {
  Packet,
  Publish,
  Qos,
  Version,
} from '../../../../src/protocols/mqtt/codec/packets.ts';
import { MqttCounts } from '../../../../src/protocols/mqtt/counts.ts';
import { Delivery } from '../../../../src/protocols/mqtt/delivery/delivery.ts';
import { Losses } from '../../../../src/protocols/mqtt/session/losses.ts';
import { PublishEncoding } from '../../../../src/protocols/mqtt/messages/encoding.ts';
import type { PublishBatch } from '../../../../src/protocols/mqtt/messages/encoding.ts';
import type { Form } from '../../../../src/protocols/mqtt/messages/form.ts';
import { Window } from '../../../../src/protocols/mqtt/delivery/window.ts';

/** A link that keeps what it is given. */
export class PlainLink implements Link {
  readonly info: LinkInfo = { transport: 'test', remoteAddress: '127.0.0.1' };
  readonly traits: LinkTraits = { duplex: true, binary: true, reliable: true, framed: false };
  pendingBytes = 0;
  /** True when it was asked to tell that it has drained. */
  wantsDrain = false;
  goodbye: Close | undefined;
  readonly batches: SharedBatch[] = [];
  readonly #decoder: PacketDecoder;
  #taken = 0;

  constructor(version: Version, packetSizeMax = 1_000_000) {
    this.#decoder = new PacketDecoder({ from: 'server', version, packetSizeMax });
  }

  send(_frame: Frame): void {
    throw new Error('all that a delivery sends is in order with its batches');
  }

  sendShared(batch: SharedBatch): void {
    if (this.goodbye === undefined) this.batches.push(batch);
  }

  requestDrain(): void {
    this.wantsDrain = true;
  }

  setPaused(): void {}

  close(close: Close): void {
    this.goodbye ??= close;
  }

  /** What the client reads of what it was not given before. */
  take(): Packet[] {
    const bytes = Buffer.concat(this.batches.slice(this.#taken).map(({ payload }) => payload));
    this.#taken = this.batches.length;
    return [...this.#decoder.push(bytes)];
  }

  /** The same, all of it messages. */
  takePublishes(): Publish[] {
    return this.take().map((packet) => {
      if (packet.kind !== 'publish') throw new Error(`expected PUBLISH, got ${packet.kind}`);
      return packet;
    });
  }
}

export interface DeliveryWorld {
  readonly version?: Version;
  readonly countMax?: number;
  readonly packetSizeMax?: number;
  readonly aliases?: AliasTable;
  readonly store?: () => Promise<void>;
}

/** A delivery and what is around it. */
export function makeDelivery(world: DeliveryWorld = {}) {
  const { version = 5, countMax = 4, packetSizeMax = 1_000_000, aliases, store } = world;
  const link = new PlainLink(version, packetSizeMax);
  const window = new Window(countMax);
  const losses = new Losses();
  const counts = new MqttCounts();
  const parts = { link, window, packetSizeMax, aliases, store, losses, counts };
  return { link, window, losses, delivery: new Delivery(parts) };
}

export const CLOCK = { unixMs: () => 1_000_000 };

export const formOf = (version: Version, qos: Qos): Form => ({
  ...{ version, qos, retainAsPublished: false, ids: [], positions: false },
});

/** A message that was published over MQTT. */
export function message(offset: number, payload: string, qos: Qos = 2): Message {
  return {
    ...{ offset, time: 1, payload: Buffer.from(payload) },
    attributes: encodeAttributes({ qos, retain: false, properties: {} }),
  };
}

/** A batch of one channel. */
export function batchOf(
  channel: string,
  messages: readonly Message[],
  form: Form,
  mark?: string,
): PublishBatch {
  const runs = [{ channel, epoch: 'e1', messages }];
  return new PublishEncoding(form, CLOCK).encode(runs, mark);
}

export const textOf = ({ payload }: Publish): string => Buffer.from(payload).toString();
