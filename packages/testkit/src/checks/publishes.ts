/**
 * Publishes: what publishers were told, against what the log and all readers saw. Judged at the
 * end, when every place of every payload is known.
 */
import { formatPosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type {
  AcknowledgedEvent,
  PublishEvent,
  RefusedEvent,
  StreamLog,
  Violation,
} from '../history.ts';
import type { StreamTable } from './stream-table.ts';

interface Attempt {
  readonly event: PublishEvent;
  /** Its place among all events of the run. */
  readonly index: number;
  position?: Position;
  answeredIndex?: number;
  refused?: RefusedEvent;
}

/** Checks promises 1, 5 and 6 as publishers see them. */
export class PublishCheck {
  readonly #report: (violation: Violation) => void;
  readonly #attempts = new Map<string, Attempt>();
  readonly #byPayload = new Map<string, Attempt[]>();
  /** Where each channel was purged, as places among all events. */
  readonly #purges = new Map<string, number[]>();

  constructor(report: (violation: Violation) => void) {
    this.#report = report;
  }

  onPublish(event: PublishEvent, index: number): void {
    const attempt: Attempt = { event, index };
    this.#attempts.set(event.attempt, attempt);
    groupOf(this.#byPayload, event.payload).push(attempt);
  }

  /** @returns the publish that was acknowledged. */
  onAcknowledged(event: AcknowledgedEvent, index: number): PublishEvent | undefined {
    const attempt = this.#attempts.get(event.attempt);
    if (attempt === undefined) return undefined;
    attempt.position = event.position;
    attempt.answeredIndex = index;
    return attempt.event;
  }

  onRefused(event: RefusedEvent): void {
    const attempt = this.#attempts.get(event.attempt);
    if (attempt !== undefined) attempt.refused = event;
  }

  /** All tries to publish a payload, in their order. */
  triesOf(payload: string): readonly PublishEvent[] {
    return (this.#byPayload.get(payload) ?? []).map(({ event }) => event);
  }

  /** How often a channel was purged so far. */
  purgesOf(channel: string): number {
    return this.#purges.get(channel)?.length ?? 0;
  }

  onPurged(channel: string, index: number): void {
    groupOf(this.#purges, channel).push(index);
  }

  /** Everything was said: judges it. */
  onEnd(history: {
    readonly table: StreamTable;
    readonly logs: ReadonlyMap<string, StreamLog> | undefined;
    readonly keyWindowMs: number;
  }): void {
    this.#checkOrder(history.table);
    this.#checkRefusals(history.table);
    this.#checkKeys(history.keyWindowMs);
    this.#checkStoredOnce(history.table, history.keyWindowMs);
    if (history.logs !== undefined) this.#checkStored(history.logs);
  }

  /** [Promise 1] What one connection sent to a channel has offsets in the order sent. */
  #checkOrder(table: StreamTable): void {
    const last = new Map<string, { readonly offset: number; readonly payload: string }>();
    for (const attempt of this.#attempts.values()) {
      const position = this.#ownPlace(attempt, table);
      if (position === undefined) continue;
      const { connection, channel, payload } = attempt.event;
      const id = `${connection} ${channel} ${position.epoch}`;
      const before = last.get(id);
      if (before !== undefined && position.offset < before.offset) {
        const places = `${payload} at ${position.offset}, ${before.payload} at ${before.offset}`;
        this.#fail(
          1,
          attempt,
          `connection ${connection} sent it after ${before.payload}: ${places}`,
        );
      }
      last.set(id, { offset: position.offset, payload });
    }
  }

  /** Where this very try was stored, if that is certain: a repeated try may stand for another. */
  #ownPlace(attempt: Attempt, table: StreamTable): Position | undefined {
    const tries = this.#byPayload.get(attempt.event.payload) ?? [];
    if (tries[0] !== attempt) return undefined;
    const next = tries[1];
    if (next === undefined)
      return attempt.position ?? table.placesOf(attempt.event.payload)[0]?.position;
    const { answeredIndex } = attempt;
    return answeredIndex !== undefined && answeredIndex < next.index ? attempt.position : undefined;
  }

  /** [Promise 5] What was refused as not stored is nowhere. */
  #checkRefusals(table: StreamTable): void {
    for (const [payload, tries] of this.#byPayload) {
      const first = tries[0];
      const place = table.placesOf(payload)[0];
      if (first === undefined || place === undefined) continue;
      if (!tries.every((attempt) => attempt.refused?.stored === false)) continue;
      const at = formatPosition(place.position);
      this.#fail(5, first, `was refused with "stored": false and is at ${at} all the same`);
    }
  }

  /** [Promise 6] All who used one key were told one place, and for one payload only. */
  #checkKeys(keyWindowMs: number): void {
    const groups = new Map<string, Attempt[]>();
    for (const attempt of this.#attempts.values()) {
      const { key, user, channel } = attempt.event;
      if (key !== undefined) groupOf(groups, JSON.stringify([user, channel, key])).push(attempt);
    }
    for (const tries of groups.values()) {
      const first = tries.find((attempt) => attempt.position !== undefined);
      if (first?.position === undefined) continue;
      for (const attempt of tries) {
        const { position, event } = attempt;
        if (position === undefined || !this.#isOneSpan([first, attempt], keyWindowMs)) continue;
        if (event.payload !== first.event.payload) {
          this.#fail(6, attempt, `key ${event.key} was taken by ${first.event.payload} before`);
        } else if (formatPosition(position) !== formatPosition(first.position)) {
          const told = `${formatPosition(first.position)} at first and ${formatPosition(position)} later`;
          this.#fail(6, attempt, `key ${event.key} was acknowledged with ${told}`);
        }
      }
    }
  }

  /** [Promises 3 and 6] One publish is stored once. */
  #checkStoredOnce(table: StreamTable, keyWindowMs: number): void {
    for (const [payload, tries] of this.#byPayload) {
      const places = table.placesOf(payload);
      const first = tries[0];
      if (first === undefined || places.length < 2) continue;
      const keyed = first.event.key !== undefined;
      // A key that was forgotten in time, or an honest repetition without one, may store it twice.
      if (tries.length > 1 && !(keyed && this.#isOneSpan(tries, keyWindowMs))) continue;
      const all = places.map((place) => formatPosition(place.position)).join(' and ');
      this.#fail(keyed ? 6 : 3, first, `is stored at ${all}`);
    }
  }

  /** True when no key could be forgotten between these tries. */
  #isOneSpan(tries: readonly Attempt[], keyWindowMs: number): boolean {
    const times = tries.map((attempt) => attempt.event.atMs);
    if (Math.max(...times) - Math.min(...times) > keyWindowMs) return false;
    const channel = tries[0]?.event.channel ?? '';
    const from = Math.min(...tries.map((attempt) => attempt.index));
    // What was not answered may be stored at any time.
    const to = Math.max(...tries.map((attempt) => attempt.answeredIndex ?? Infinity));
    return !(this.#purges.get(channel) ?? []).some((index) => index >= from && index <= to);
  }

  /** [Promise 5] What was acknowledged is in the log, unless retention or a purge removed it. */
  #checkStored(logs: ReadonlyMap<string, StreamLog>): void {
    for (const attempt of this.#attempts.values()) {
      const { position, event } = attempt;
      if (position === undefined) continue;
      const log = logs.get(event.channel);
      const told = `was acknowledged at ${formatPosition(position)}, but the log`;
      if (log === undefined || log.epoch !== position.epoch) {
        const purges = this.#purges.get(event.channel) ?? [];
        if (purges.some((index) => index >= attempt.index)) continue;
        this.#fail(5, attempt, `${told} is of epoch ${log?.epoch ?? 'none'}`);
      } else if (position.offset > log.top) {
        this.#fail(5, attempt, `${told} ends at ${log.top}`);
      } else if (position.offset >= log.oldest) {
        const payload = log.payloads.get(position.offset);
        if (payload !== event.payload)
          this.#fail(5, attempt, `${told} holds ${payload ?? 'nothing'} there`);
      }
    }
  }

  #fail(promise: Violation['promise'], attempt: Attempt, text: string): void {
    const { step, channel, payload } = attempt.event;
    this.#report({ promise, step, channel, message: `publish ${payload}: ${text}` });
  }
}

function groupOf<T>(groups: Map<string, T[]>, name: string): T[] {
  let group = groups.get(name);
  if (group === undefined) {
    group = [];
    groups.set(name, group);
  }
  return group;
}
