/**
 * Sys: the topics below `$SYS`, on which a server tells of itself. They are no channels: they have
 * no log, only what they say now, and that is worked out only while somebody reads it.
 */
import type { Clock, Timer } from '../../../clock.ts';
import { VERSION } from '../../../version.ts';
import type { MqttCounts } from '../counts.ts';

/** What the server tells of, beside its counts. */
export interface SysNumbers {
  readonly connected: number;
  readonly subscriptions: number;
}

/** What it is built from. */
export interface SysParts {
  readonly clock: Clock;
  readonly counts: MqttCounts;
  /** How often it is told; 0 is never. */
  readonly intervalMs: number;
  /** Asked each time. */
  numbers(): SysNumbers;
}

/** What the topics say, by topic. */
export type SysValues = ReadonlyMap<string, string>;

/** Who reads some of the topics. */
export interface SysReader {
  /** These say something else than before. */
  onChange(values: SysValues): void;
}

const ROOT = '$SYS/';

/** How long the numbers hold: all sessions are counted for them, and each who subscribes asks. */
const NUMBERS_MS = 1_000;

/** True for filters of these topics; no wildcard but their own finds them [MQTT-4.7.2-1]. */
export function isSysFilter(filter: string): boolean {
  return filter.startsWith(ROOT);
}

/** The topics of one node. */
export class Sys {
  readonly #parts: SysParts;
  readonly #readers = new Set<SysReader>();
  readonly #startMs: number;
  #told: SysValues = new Map();
  #timer: Timer | undefined;
  #numbers: SysNumbers | undefined;
  #numbersMs = 0;

  constructor(parts: SysParts) {
    this.#parts = parts;
    this.#startMs = parts.clock.monotonicMs();
  }

  /** What all topics say now, in the names that are usual; none where it is turned off. */
  values(): SysValues {
    const { clock, counts, intervalMs } = this.#parts;
    if (intervalMs === 0) return new Map();
    const { connected, subscriptions } = this.#numbersNow();
    const uptime = Math.floor((clock.monotonicMs() - this.#startMs) / 1000);
    const told = {
      version: `trunkline ${VERSION}`,
      uptime: `${uptime} seconds`,
      'clients/connected': connected,
      'clients/active': connected,
      'clients/maximum': counts.sessionsMax,
      'messages/received': counts.receivedCount,
      'messages/sent': counts.sentCount,
      'publish/messages/received': counts.received.publish,
      'publish/messages/sent': counts.sent.publish,
      'publish/messages/dropped': counts.droppedCount,
      'bytes/received': counts.receivedSize,
      'bytes/sent': counts.sentSize,
      'subscriptions/count': subscriptions,
    };
    return new Map(
      Object.entries(told).map(([name, value]) => [`${ROOT}broker/${name}`, String(value)]),
    );
  }

  /** It is told of what changes from now on, until `unwatch`. */
  watch(reader: SysReader): void {
    this.#readers.add(reader);
    if (this.#readers.size > 1) return;
    this.#told = this.values();
    this.#schedule();
  }

  unwatch(reader: SysReader): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #schedule(): void {
    const { clock, intervalMs } = this.#parts;
    const isRead = this.#readers.size > 0;
    this.#timer?.cancel();
    if (intervalMs > 0 && isRead) this.#timer = clock.after(intervalMs, this.#onTime);
  }

  #numbersNow(): SysNumbers {
    const { clock, numbers } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (this.#numbers !== undefined && nowMs - this.#numbersMs < NUMBERS_MS) return this.#numbers;
    this.#numbersMs = nowMs;
    this.#numbers = numbers();
    return this.#numbers;
  }

  readonly #onTime = (): void => {
    const before = this.#told;
    this.#told = this.values();
    const changed = new Map([...this.#told].filter(([topic, text]) => before.get(topic) !== text));
    for (const reader of this.#readers) reader.onChange(changed);
    this.#schedule();
  };
}
