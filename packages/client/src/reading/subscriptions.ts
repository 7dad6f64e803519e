/**
 * Subscriptions: what is read on the wire, and who reads it here.
 *
 * On the wire there is one subscription to a name or pattern, however many read it here. They may
 * stand at different places: when one joins that begins earlier, the wire begins again from there,
 * and the others drop by offset what they had ([WS-13], [WILD-4]). An opening suits whoever stands
 * where it begins or after; for one that it does not suit the wire begins again, from the place of
 * that one. No place moves without a message or a word of the server, so nothing is lost on the way.
 */
import { formatPosition, isWildcard, matchesPattern, parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type {
  GapEvent,
  OpenEvent,
  PresenceEvent,
  ReceivedMessage,
  SnapshotEvent,
} from '../events.ts';
import type { Wish } from '../transports/transport.ts';
import { Place } from './place.ts';
import type { Subscription } from './subscription.ts';

/** All that read one name or pattern. */
interface Wire {
  readonly filter: string;
  readonly subscriptions: Set<Subscription>;
  /** How far the furthest of them has come; absent before the opening of this attempt. */
  head: Place | undefined;
  /** The wish that was told last, from where, and whose it was. */
  asked: { readonly wish: Wish; readonly from?: Place; readonly by?: Subscription } | undefined;
  /** After which place offsets were missing last. */
  hole: string | undefined;
  /** An opening will come for what was revised: until then nothing needs to be revised again. */
  isRevised: boolean;
}

/** What is read of one name or pattern, for tools that show it. */
export interface WireView {
  readonly filter: string;
  readonly subscriptions: ReadonlySet<Subscription>;
}

/** What the subscriptions need of the connection. */
export interface SubscriptionsOptions {
  /** What is to be read of this filter is another thing now. */
  readonly onRevise: (filter: string) => void;
  /** The session of this connection, whose own messages some do not want. */
  readonly session: () => string | undefined;
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #wires = new Map<string, Wire>();
  readonly #patterns = new Set<Wire>();
  /** How many marks were told: they can be ordered by nothing else. */
  #age = 0;
  /** True when the transport tells of every offset that it leaves out. */
  #isContiguous = false;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /** All that is to be read. */
  filters(): string[] {
    return [...this.#wires.values()].filter(isActive).map(({ filter }) => filter);
  }

  /** All that is read, with who reads it. */
  inspect(): readonly WireView[] {
    return [...this.#wires.values()];
  }

  /** Begins to read. Its listener hears nothing before this has returned. */
  add(subscription: Subscription): void {
    const { filter } = subscription;
    let wire = this.#wires.get(filter);
    if (wire === undefined) {
      const none = { head: undefined, asked: undefined, hole: undefined, isRevised: false };
      wire = { filter, subscriptions: new Set(), ...none };
      this.#wires.set(filter, wire);
      if (isWildcard(filter)) this.#patterns.add(wire);
    }
    wire.subscriptions.add(subscription);
    const joined = wire;
    queueMicrotask(() => this.#arrange(joined));
  }

  /** Reads no more. Idempotent. */
  remove(subscription: Subscription): void {
    const wire = this.#wires.get(subscription.filter);
    subscription.isOpen = false;
    if (wire?.subscriptions.delete(subscription) === true) this.#arrange(wire);
  }

  /** The listener has no room: what comes is left to the log, and read on `resume`. */
  pause(subscription: Subscription): void {
    subscription.isPaused = true;
    subscription.isOpen = false;
    const wire = this.#wires.get(subscription.filter);
    if (wire !== undefined) this.#arrange(wire);
  }

  /** There is room again. */
  resume(subscription: Subscription): void {
    subscription.isPaused = false;
    const wire = this.#wires.get(subscription.filter);
    if (wire !== undefined) this.#arrange(wire);
  }

  /** Another attempt reads from now on, beginning with openings. */
  restart(isContiguous: boolean): void {
    this.#isContiguous = isContiguous;
    for (const wire of this.#wires.values()) {
      wire.head = undefined;
      wire.asked = undefined;
      // All that is to be read is asked for by itself.
      wire.isRevised = true;
      for (const one of wire.subscriptions) one.isOpen = false;
    }
  }

  /** What is to be asked for a filter, from where its readers stand; `undefined` for nothing. */
  wish(filter: string): Wish | undefined {
    const wire = this.#wires.get(filter);
    if (wire === undefined || !isActive(wire)) return undefined;
    const by = whoseTurn(wire);
    const { last, snapshot } = by?.options ?? {};
    const after = by?.place.after;
    const wish = {
      filter,
      ...(after !== undefined && { after }),
      ...(after === undefined && last !== undefined && { last }),
      ...(snapshot === true && { snapshot }),
      ...flagsOf(wire),
    };
    wire.asked = {
      wish,
      ...(by !== undefined && { by }),
      ...(by !== undefined && after !== undefined && { from: by.place.copy() }),
    };
    return wish;
  }

  onOpen(opening: OpenEvent): void {
    const wire = this.#wires.get(opening.channel);
    if (wire?.asked === undefined) return;
    const { from, by } = wire.asked;
    wire.isRevised = false;
    const start = this.#startOf(opening, wire.asked);
    for (const one of wire.subscriptions) {
      if (one.isPaused) continue;
      // After a loss nobody can tell how the marks of others compare: it is told to all.
      const isLoss = opening.gap !== undefined && isWildcard(wire.filter) && one.hasBegun;
      const isAsked = isLoss || one === by || (one.hasBegun && one.place.after === from?.after);
      const isNew = !one.hasBegun && !one.wantsOwnStart;
      if (isAsked || isNew) this.#begin(one, opening, start);
      else if (!one.hasBegun || !one.place.isAfter(start)) one.isOpen = false;
      else if (!one.isOpen) this.#resume(one, start);
    }
    wire.head ??= start.copy();
    this.#arrange(wire);
  }

  /** @param filters those that it is for, where the transport knows. */
  onMessage(message: ReceivedMessage, filters?: readonly string[]): void {
    const { channel, epoch, offset, mark } = message;
    const position = epoch === undefined || offset === undefined ? undefined : { epoch, offset };
    if (mark !== undefined) this.#age += 1;
    for (const wire of this.#matching(channel, filters)) {
      for (const one of wire.subscriptions) {
        if (one.isOpen) this.#deliver(wire, one, message, position);
      }
      if (position !== undefined) wire.head?.take(channel, position);
      if (mark !== undefined) this.#reach(wire, mark);
    }
  }

  /** @param filters as with messages. */
  onGap(event: GapEvent, filters?: readonly string[]): void {
    const { channel } = event;
    const position = parsePosition(event.position);
    if (position === undefined) return;
    for (const wire of this.#matching(channel, filters)) {
      wire.head?.take(channel, position);
      for (const one of wire.subscriptions) {
        if (one.isOpen && one.place.take(channel, position)) one.listener.onEvent(event);
      }
    }
  }

  onMark(filters: readonly string[], mark: string): void {
    this.#age += 1;
    for (const filter of filters) {
      const wire = this.#wires.get(filter);
      if (wire !== undefined) this.#reach(wire, mark);
    }
  }

  onExpired(channel: string, text: string): void {
    const position = parsePosition(text);
    if (position === undefined) return;
    for (const wire of this.#matching(channel)) {
      wire.head?.take(channel, position);
      for (const one of wire.subscriptions) {
        // Of another life it says nothing: that has to be told as a loss.
        if (one.isOpen && !one.place.isOtherLife(channel, position)) {
          one.place.take(channel, position);
        }
      }
    }
  }

  /** Presence and snapshots are of channels that were named. */
  onOther(event: PresenceEvent | SnapshotEvent): void {
    const asks = event.kind === 'snapshot' ? 'snapshot' : 'presence';
    for (const one of this.#wires.get(event.channel)?.subscriptions ?? []) {
      if (one.isOpen && one.options[asks] === true) one.listener.onEvent(event);
    }
  }

  /** The server will not have it read. */
  onRefused(filter: string, error: Error): void {
    const wire = this.#wires.get(filter);
    if (wire === undefined) return;
    const readers = [...wire.subscriptions];
    wire.subscriptions.clear();
    this.#arrange(wire);
    for (const { listener } of readers) listener.onEnd(error);
  }

  /** Nothing can be read any more. */
  end(error: Error): void {
    for (const filter of this.#wires.keys()) this.onRefused(filter, error);
  }

  /** Sees to it that all who wait begin: where the wire stands, or by another wish. */
  #arrange(wire: Wire): void {
    const { filter, subscriptions } = wire;
    // Somebody else may read the filter again since this was asked for.
    if (this.#wires.get(filter) !== wire) return;
    if (subscriptions.size === 0) {
      this.#wires.delete(filter);
      this.#patterns.delete(wire);
    }
    if (!isActive(wire)) wire.head = undefined;
    const { head } = wire;
    const waiting = waitingOf(wire);
    if (head === undefined || waiting.some(wantsOpening) || !isAskedFor(wire)) {
      // Where nobody can tell who stands further back, the next mark will.
      const isUnclear = waiting.every(({ hasBegun }) => hasBegun) && hasIncomparable(wire);
      if (isUnclear) return;
      wire.isRevised = true;
      this.#options.onRevise(filter);
      return;
    }
    for (const one of waiting) this.#begin(one, placeEvent(filter, head), head);
  }

  #begin(one: Subscription, opening: OpenEvent, start: Place): void {
    const hasLost = opening.gap !== undefined;
    // What is open already has gone on meanwhile.
    if (one.isOpen && (!hasLost || one.place.isAfter(start))) return;
    if (!one.hasBegun || hasLost) one.place.skipTo(start);
    else one.place.settle(opening, -1);
    one.hasBegun = true;
    one.isOpen = true;
    one.listener.onEvent(opening);
  }

  /** It goes on from its own place, of which the opening of another one says nothing. */
  #resume(one: Subscription, start: Place): void {
    // The oldest message of all is where the other one begins.
    if (one.place.after === 'start') one.place.moveTo(start);
    one.isOpen = true;
    one.listener.onEvent({ ...placeEvent(one.filter, one.place), recovered: true });
  }

  /** Where the wire stands by an opening. */
  #startOf(opening: OpenEvent, { from, wish }: NonNullable<Wire['asked']>): Place {
    const start = new Place(wish.filter);
    const { gap, mark } = opening;
    // Of the channels of a pattern most are whole; those that are not are told one by one.
    if (from !== undefined && (gap === undefined || isWildcard(wish.filter))) start.moveTo(from);
    if (gap !== undefined && mark !== undefined) start.reach(mark, -1);
    const isNow = from === undefined && wish.last === undefined && wish.snapshot !== true;
    if (isNow) this.#age += 1;
    start.settle(opening, isNow ? this.#age : -1);
    return start;
  }

  #reach(wire: Wire, mark: string): void {
    wire.head?.reach(mark, this.#age);
    for (const one of wire.subscriptions) {
      if (!one.isOpen) continue;
      one.place.reach(mark, this.#age);
      if (this.#patterns.has(wire)) one.listener.onMark?.(mark);
    }
    // Who waits may have had to wait for a mark; what is asked for already is not asked for anew.
    if (waitingOf(wire).length > 0 && !wire.isRevised) this.#arrange(wire);
  }

  /**
   * All that read this channel, by its name or by a pattern.
   *
   * @param filters where they are told, of these only.
   */
  #matching(channel: string, filters?: readonly string[]): Wire[] {
    const named = this.#wires.get(channel);
    const wires = named === undefined ? [] : [named];
    for (const wire of this.#patterns) {
      if (matchesPattern(wire.filter, channel)) wires.push(wire);
    }
    return filters === undefined ? wires : wires.filter(({ filter }) => filters.includes(filter));
  }

  #deliver(
    wire: Wire,
    one: Subscription,
    message: ReceivedMessage,
    position: Position | undefined,
  ): void {
    const { channel } = message;
    if (position !== undefined) {
      if (!this.#isExpected(wire, one, channel, position)) return;
      if (!one.place.take(channel, position)) return;
    }
    const isOwn = message.from !== undefined && message.from.session === this.#options.session();
    if (one.options.echo !== false || !isOwn) one.listener.onEvent(message);
  }

  /**
   * False when offsets before it are missing of which nobody told: then the wire begins again. What
   * is missing once more is told as a gap. Of a pattern's channel only another life can be seen: a
   * mark may be further than the messages that were delivered.
   */
  #isExpected(wire: Wire, one: Subscription, channel: string, position: Position): boolean {
    const { place, options } = one;
    const isNamed = wire.filter === channel;
    const isOtherLife = place.isOtherLife(channel, position);
    if (isNamed && this.#isContiguous && options.echo !== false && place.skips(channel, position)) {
      if (wire.hole === place.after) {
        this.#tellGap(one, channel, position, isOtherLife);
        return true;
      }
      wire.hole = place.after;
      one.isOpen = false;
      this.#arrange(wire);
      return false;
    }
    if (isOtherLife) this.#tellGap(one, channel, position, isOtherLife);
    return true;
  }

  #tellGap(one: Subscription, channel: string, { epoch, offset }: Position, isOtherLife: boolean) {
    const reason = isOtherLife ? 'epoch' : 'unknown';
    const at = { epoch, offset: offset - 1 };
    one.place.take(channel, at);
    one.listener.onEvent({ kind: 'gap', channel, gap: { reason }, position: formatPosition(at) });
  }
}

function isActive({ subscriptions }: Wire): boolean {
  return [...subscriptions].some(({ isPaused }) => !isPaused);
}

/** Those that take nothing yet. */
function waitingOf({ subscriptions }: Wire): Subscription[] {
  return [...subscriptions].filter((one) => !one.isOpen && !one.isPaused);
}

/**
 * True when joining where the wire stands would not do. Of a pattern nobody knows where it stands
 * but at a mark, and since then messages may have come.
 */
function wantsOpening({ filter, hasBegun, wantsOwnStart, options }: Subscription): boolean {
  return hasBegun || wantsOwnStart || options.presence === true || isWildcard(filter);
}

function hasIncomparable({ subscriptions }: Wire): boolean {
  return [...subscriptions].some(({ isOpen, place }) => isOpen && !place.isComparable);
}

/** Whose start or place the next wish has: the others can drop what they had. */
function whoseTurn(wire: Wire): Subscription | undefined {
  const active = [...wire.subscriptions].filter(({ isPaused }) => !isPaused);
  const own = active.find(({ wantsOwnStart }) => wantsOwnStart);
  const begun = active.filter(({ hasBegun }) => hasBegun);
  let back = begun.find(({ isOpen }) => !isOpen) ?? begun[0];
  if (own !== undefined || back === undefined) return own;
  for (const one of begun) {
    if (back.place.isAfter(one.place) && !one.place.isAfter(back.place)) back = one;
  }
  return back;
}

/** What one of them asks for, all are given. */
function flagsOf(wire: Wire): Pick<Wish, 'partial' | 'presence' | 'echo'> {
  const active = [...wire.subscriptions].filter(({ isPaused }) => !isPaused);
  return {
    ...(active.some(({ options }) => options.partial === true) && { partial: true }),
    ...(active.some(({ options }) => options.presence === true) && { presence: true }),
    ...(active.every(({ options }) => options.echo === false) && { echo: false }),
  };
}

/** True when the wish that was told last gives everyone what they want. */
function isAskedFor(wire: Wire): boolean {
  const { presence, echo } = flagsOf(wire);
  const wish = wire.asked?.wish;
  return (presence !== true || wish?.presence === true) && (echo === false || wish?.echo !== false);
}

function placeEvent(channel: string, { after = 'start' }: Place): OpenEvent {
  const at = after.startsWith('~') ? { mark: after } : { position: after };
  // A volatile channel has no place, whatever was asked for.
  return { kind: 'open', channel, ...(after !== 'start' && at) };
}
