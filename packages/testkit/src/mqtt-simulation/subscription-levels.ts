/**
 * SubscriptionLevels: which QoS a session's subscriptions gave to a channel at each moment, as far
 * as its client can know. Between a request and its answer both the old and the new may hold.
 */
import { matchesPattern } from '@trunkline/wire';
import type { SubscribeEvent, UnsubscribeEvent } from './mqtt-history.ts';

/** The QoS that a channel certainly has, and may have; -1 is none. */
export interface Level {
  readonly low: number;
  readonly high: number;
}

interface Filter {
  /** -1 when it is not granted. */
  granted: number;
  /** Asked for and not answered, in order; -1 asks for its end. */
  asked: number[];
}

/** From `index` on, until the next one. */
interface Since extends Level {
  readonly index: number;
  readonly atMs: number;
}

const NONE: Since = { index: -1, atMs: 0, low: -1, high: -1 };

/** The subscriptions of one session over time. Places in time are indices of events. */
export class SubscriptionLevels {
  readonly #filters = new Map<string, Filter>();
  readonly #byChannel: ReadonlyMap<string, Since[]>;

  constructor(channels: readonly string[]) {
    this.#byChannel = new Map(channels.map((channel) => [channel, [NONE]]));
  }

  /** Something was asked for or answered. */
  note(event: SubscribeEvent | UnsubscribeEvent, index: number): void {
    const known = this.#filters.get(event.filter) ?? { granted: -1, asked: [] };
    this.#filters.set(event.filter, known);
    const qos = 'qos' in event ? event.qos : -1;
    if (event.kind === 'subscribe' || event.kind === 'unsubscribe') known.asked.push(qos);
    else {
      known.granted = qos;
      // Answers come in order: what was asked for before this is over.
      known.asked.splice(0, known.asked.indexOf(qos) + 1);
    }
    for (const [channel, levels] of this.#byChannel) {
      if (matchesPattern(event.filter, channel))
        levels.push({ ...this.#now(channel), index, atMs: event.atMs });
    }
  }

  /** The lowest and the highest that held at any time between two places. */
  between(channel: string, from: number, to: number): Level {
    const levels = this.#byChannel.get(channel) ?? [NONE];
    let low = 2;
    let high = -1;
    for (const [at, level] of levels.entries()) {
      const endsAt = levels[at + 1]?.index ?? Infinity;
      if (endsAt <= from || level.index > to) continue;
      low = Math.min(low, level.low);
      high = Math.max(high, level.high);
    }
    return { low, high };
  }

  /** True when anything gave the channel a QoS from a place on, until a time. */
  wasAsked(channel: string, from: number, untilMs: number): boolean {
    const levels = this.#byChannel.get(channel) ?? [NONE];
    return levels.some(
      ({ high, atMs }, at) =>
        high >= 0 && (levels[at + 1]?.index ?? Infinity) > from && atMs <= untilMs,
    );
  }

  /** The highest of all that match counts ([MQTT-3.3.5-1] of 3.1.1). */
  #now(channel: string): Level {
    let low = -1;
    let high = -1;
    for (const [filter, { granted, asked }] of this.#filters) {
      if (!matchesPattern(filter, channel)) continue;
      low = Math.max(low, Math.min(granted, ...asked));
      high = Math.max(high, granted, ...asked);
    }
    return { low, high };
  }
}
