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

/** From `index` on, until the next one. */
interface Since extends Level {
  readonly index: number;
  readonly atMs: number;
}

interface Filter {
  /** -1 when it is not granted. */
  granted: number;
  /** Asked for and not answered, in order; -1 asks for its end. */
  readonly asked: number[];
  readonly levels: Since[];
}

/** The subscriptions of one session over time. Places in time are indices of events. */
export class SubscriptionLevels {
  readonly #filters = new Map<string, Filter>();

  /** Something was asked for or answered. */
  note(event: SubscribeEvent | UnsubscribeEvent, index: number): void {
    const filter = this.#filter(event.filter);
    const qos = 'qos' in event ? event.qos : -1;
    if (event.kind === 'subscribe' || event.kind === 'unsubscribe') filter.asked.push(qos);
    else {
      filter.granted = qos;
      // Answers come in order: what was asked for before this is over.
      filter.asked.splice(0, filter.asked.indexOf(qos) + 1);
    }
    const levels = [filter.granted, ...filter.asked];
    const level = { low: Math.min(...levels), high: Math.max(...levels) };
    filter.levels.push({ ...level, index, atMs: event.atMs });
  }

  /**
   * What held between two places: the lowest that one of the filters gave all the time, since each
   * reads from where it began, and the highest that any gave at any time.
   */
  between(channel: string, from: number, to: number): Level {
    let low = -1;
    let high = -1;
    for (const levels of this.#matching(channel)) {
      const held = levels.filter(
        ({ index }, at) => index <= to && (levels[at + 1]?.index ?? Infinity) > from,
      );
      low = Math.max(low, Math.min(...held.map((level) => level.low)));
      high = Math.max(high, ...held.map((level) => level.high));
    }
    return { low, high };
  }

  /** True when anything gave the channel a QoS from a place on, until a time. */
  wasAsked(channel: string, from: number, untilMs: number): boolean {
    return this.#matching(channel).some((levels) =>
      levels.some(
        ({ high, atMs }, at) =>
          high >= 0 && (levels[at + 1]?.index ?? Infinity) > from && atMs <= untilMs,
      ),
    );
  }

  #matching(channel: string): (readonly Since[])[] {
    return [...this.#filters].flatMap(([name, { levels }]) =>
      matchesPattern(name, channel) ? [levels] : [],
    );
  }

  #filter(name: string): Filter {
    let filter = this.#filters.get(name);
    if (filter === undefined) {
      const none: Since = { index: -1, atMs: 0, low: -1, high: -1 };
      filter = { granted: -1, asked: [], levels: [none] };
      this.#filters.set(name, filter);
    }
    return filter;
  }
}
