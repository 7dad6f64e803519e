/**
 * Counts: what MQTT did at one node since the start, as plain numbers that are added to where it
 * happens. Who wants to know looks at them.
 */
import type { Readings } from '../../observe/metrics.ts';
import type { PacketKind } from './codec/packets.ts';
import { REASONS } from './codec/reasons.ts';

/** Why a message that was published did not go on. */
export type Dropped = 'refused' | 'too_large';

const NO_PACKETS: Readonly<Record<PacketKind, number>> = {
  ...{ connect: 0, connack: 0, publish: 0, puback: 0, pubrec: 0, pubrel: 0, pubcomp: 0 },
  ...{ subscribe: 0, suback: 0, unsubscribe: 0, unsuback: 0, pingreq: 0, pingresp: 0 },
  ...{ disconnect: 0, auth: 0 },
};

/** The names of reason codes in metrics, as `not_authorized`. */
const REASON_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(REASONS).map(([name, reason]) => [
    reason,
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  ]),
);

/** One node's counts. */
export class MqttCounts {
  /** Packets of clients, by kind. */
  readonly received: Record<PacketKind, number> = { ...NO_PACKETS };
  /** Packets to clients, by kind. */
  readonly sent: Record<PacketKind, number> = { ...NO_PACKETS };
  receivedSize = 0;
  sentSize = 0;
  /** Messages of clients that were refused, and messages that were too large for a client. */
  readonly dropped: Record<Dropped, number> = { refused: 0, too_large: 0 };
  /** Messages or places that had to wait for acknowledgements. */
  windowsFull = 0;
  /** The most sessions that were connected at once. */
  sessionsMax = 0;
  readonly #refusedConnects = new Map<number, number>();
  readonly #ended = new Map<number, number>();

  /** A client was not accepted. */
  onRefused(reason: number): void {
    addOne(this.#refusedConnects, reason);
  }

  /** The server ended the connection of a client that was accepted. */
  onEnded(reason: number): void {
    addOne(this.#ended, reason);
  }

  /** How many sessions are connected now. */
  onSessions(count: number): void {
    if (count > this.sessionsMax) this.sessionsMax = count;
  }

  get receivedCount(): number {
    return sum(this.received);
  }

  get sentCount(): number {
    return sum(this.sent);
  }

  get droppedCount(): number {
    return this.dropped.refused + this.dropped.too_large;
  }

  /** For the metrics. */
  get readings() {
    return {
      mqttReceived: used(this.received),
      mqttSent: used(this.sent),
      mqttReceivedBytes: this.receivedSize,
      mqttSentBytes: this.sentSize,
      mqttDropped: Object.entries(this.dropped),
      mqttWindowsFull: this.windowsFull,
      mqttConnectsRefused: named(this.#refusedConnects),
      mqttEnded: named(this.#ended),
    } satisfies Readings;
  }
}

function addOne(counts: Map<number, number>, reason: number): void {
  counts.set(reason, (counts.get(reason) ?? 0) + 1);
}

function named(counts: ReadonlyMap<number, number>): (readonly [string, number])[] {
  return Array.from(counts, ([reason, count]) => [REASON_NAMES.get(reason) ?? 'other', count]);
}

function sum(counts: Readonly<Record<PacketKind, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** Kinds that occur; half of them never do in one direction. */
function used(counts: Readonly<Record<PacketKind, number>>): (readonly [string, number])[] {
  return Object.entries(counts).filter(([, count]) => count > 0);
}
