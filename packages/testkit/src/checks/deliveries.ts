/**
 * Deliveries: what one subscription was given, from its answer to its end. Its cursor moves by one
 * with each message and jumps only where a gap says so; whatever else it does is a violation.
 */
import { formatPosition, isOrigin, ORIGIN, parsePosition } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type {
  BrokenPromise,
  GapEvent,
  MessageEvent,
  OpenedEvent,
  ReachedEvent,
  StreamLog,
  Violation,
} from '../history.ts';
import { expectedVerdict } from './verdict.ts';

interface Subscription {
  readonly name: string;
  readonly channel: string;
  readonly reader: string;
  cursor: Position;
}

/** Checks promises 1 to 4 as subscribers see them. Events come in the order they happened. */
export class DeliveryCheck {
  readonly #report: (violation: Violation) => void;
  readonly #open = new Map<string, Subscription>();
  /** Where each reader stands: what it was given, or told to go on from. */
  readonly #readers = new Map<string, Position>();

  constructor(report: (violation: Violation) => void) {
    this.#report = report;
  }

  /** The channel of an open subscription. */
  channelOf(subscription: string): string | undefined {
    return this.#open.get(subscription)?.channel;
  }

  onOpened(event: OpenedEvent): void {
    const { subscription: name, channel, reader, position } = event;
    const fail = this.#failer(`${name} (${event.transport})`, channel, event.step);
    this.#checkResume(event, fail);
    if (event.after !== undefined) this.#checkVerdict(event, fail);
    this.#open.set(name, { name, channel, reader, cursor: position });
    this.#readers.set(reader, position);
  }

  onMessage(event: MessageEvent): void {
    const subscription = this.#open.get(event.subscription);
    if (subscription === undefined) return;
    const { cursor } = subscription;
    const { epoch, offset } = event;
    const got = formatPosition({ epoch, offset });
    const fail = this.#failer(subscription.name, subscription.channel, event.step);
    // In a channel that had no message yet the first one names the epoch.
    const begins = isOrigin(cursor) && offset === 1;
    if (epoch !== cursor.epoch && !begins) {
      fail(2, `expected epoch ${cursor.epoch} after ${formatPosition(cursor)}, got ${got} untold`);
    } else if (offset === cursor.offset) {
      fail(3, `got ${got} twice`);
    } else if (offset < cursor.offset) {
      fail(1, `got ${got} after ${formatPosition(cursor)}`);
    } else if (offset > cursor.offset + 1) {
      const missing = `${cursor.offset + 1} to ${offset - 1}`;
      fail(
        2,
        `got ${got} after ${formatPosition(cursor)}: ${missing} came neither as messages nor as a gap`,
      );
    }
    this.#move(subscription, { epoch, offset });
  }

  onGap(event: GapEvent): void {
    const subscription = this.#open.get(event.subscription);
    if (subscription === undefined) return;
    const { cursor } = subscription;
    const { gap, position } = event;
    const fail = this.#failer(subscription.name, subscription.channel, event.step);
    const told = `gap ${gap.reason} to ${formatPosition(position)} at ${formatPosition(cursor)}`;
    if (position.epoch !== cursor.epoch && gap.reason !== 'epoch' && !isOrigin(cursor)) {
      fail(2, `${told}: the epoch changed and the gap does not say so`);
    } else if (position.epoch === cursor.epoch && position.offset < cursor.offset) {
      fail(3, `${told}: what was delivered would come again`);
    } else {
      checkGapRange(gap, cursor, position, told, fail);
    }
    this.#move(subscription, position);
  }

  onReached(event: ReachedEvent): void {
    const subscription = this.#open.get(event.subscription);
    if (subscription === undefined) return;
    const { cursor } = subscription;
    if (samePlace(cursor, event.position)) return;
    const fail = this.#failer(subscription.name, subscription.channel, event.step);
    const told = `was told to go on from ${formatPosition(event.position)} but has everything up to ${formatPosition(cursor)}`;
    const back = event.position.epoch === cursor.epoch && event.position.offset < cursor.offset;
    fail(back ? 3 : 2, told);
  }

  onClosed(subscription: string): void {
    this.#open.delete(subscription);
  }

  /** Every subscription that is still open must have arrived at the top of its stream. */
  onEnd(logs: ReadonlyMap<string, StreamLog>, step: number): void {
    for (const { name, channel, cursor } of this.#open.values()) {
      const log = logs.get(channel);
      // Where there is no stream any more nothing is left to arrive at.
      if (log === undefined || log.epoch === ORIGIN.epoch) continue;
      const top: Position = { epoch: log.epoch, offset: log.top };
      if (samePlace(cursor, top)) continue;
      const fail = this.#failer(name, channel, step);
      fail(
        2,
        `the stream ends at ${formatPosition(top)}, the subscription at ${formatPosition(cursor)}`,
      );
    }
  }

  /** A reader goes on exactly where the server left it. */
  #checkResume(event: OpenedEvent, fail: Fail): void {
    const stands = this.#readers.get(event.reader);
    const after = event.after === undefined ? undefined : parsePosition(event.after);
    if (stands === undefined || after === undefined || samePlace(stands, after)) return;
    const asked = `reader ${event.reader} stands at ${formatPosition(stands)} and was left at ${event.after}`;
    const back = after.epoch === stands.epoch && after.offset < stands.offset;
    fail(back ? 3 : 2, asked);
  }

  #checkVerdict(event: OpenedEvent, fail: Fail): void {
    const { after = '', position, recovered, gap } = event;
    const asked = `resumed after ${after}`;
    if (recovered === undefined) {
      fail(2, `${asked} and was not told whether it recovered`);
      return;
    }
    const from = parsePosition(after);
    if (recovered) {
      if (from !== undefined && !samePlace(from, position)) {
        fail(2, `${asked} and "recovered" at ${formatPosition(position)}: what is between?`);
      }
    } else if (gap === undefined) {
      fail(2, `${asked}, did not recover, and no gap says why`);
    } else if (from !== undefined && from.epoch === position.epoch && gap.reason !== 'ahead') {
      const told = `${asked} with gap ${gap.reason} to ${formatPosition(position)}`;
      if (position.offset < from.offset) fail(3, `${told}: what it has would come again`);
      else checkGapRange(gap, from, position, told, fail);
    }
    this.#checkTruth(event, recovered, fail);
  }

  /** Compares the verdict with the log, where that said the same before and after. */
  #checkTruth(event: OpenedEvent, recovered: boolean, fail: Fail): void {
    const { after = '', asked, answered, gap } = event;
    if (asked === undefined || answered === undefined || asked.epoch !== answered.epoch) return;
    const expected = expectedVerdict(after, asked);
    if (expected === undefined || expected !== expectedVerdict(after, answered)) return;
    const stream = `${answered.epoch}:${answered.oldest} to ${answered.top}`;
    const said = recovered ? 'recovered' : `gap ${gap?.reason}`;
    const told = `resumed after ${after} in ${stream}: expected ${expected}, got ${said}`;
    if (recovered) {
      // The node's memory may still hold what the log has trimmed; the deliveries will show it.
      if (expected !== 'recovered' && expected !== 'trimmed') fail(2, told);
    } else if (gap?.reason !== expected && gap?.reason !== 'limit') {
      fail(4, told);
    }
  }

  #move(subscription: Subscription, position: Position): void {
    subscription.cursor = position;
    this.#readers.set(subscription.reader, position);
  }

  #failer(name: string, channel: string, step: number): Fail {
    return (promise, text) =>
      this.#report({ promise, step, channel, message: `subscription ${name}: ${text}` });
  }
}

type Fail = (promise: BrokenPromise, text: string) => void;

/** A gap within one epoch covers exactly what lies between the two places. */
function checkGapRange(
  gap: Gap,
  before: Position,
  after: Position,
  told: string,
  fail: Fail,
): void {
  if (before.epoch !== after.epoch) return;
  if (gap.from !== undefined && gap.from > before.offset + 1) {
    fail(2, `${told}: it begins at ${gap.from} and leaves out what is before`);
  }
  if (gap.to !== undefined && gap.to < after.offset) {
    fail(2, `${told}: it ends at ${gap.to} and leaves out what is after`);
  }
}

/** The same place; `0:0` is the place before the first message of any epoch. */
function samePlace(a: Position, b: Position): boolean {
  if (a.epoch === b.epoch) return a.offset === b.offset;
  return (isOrigin(a) || isOrigin(b)) && a.offset === b.offset;
}
