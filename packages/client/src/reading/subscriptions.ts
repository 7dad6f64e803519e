/**
 * Subscriptions: what is read on the wire, and who reads it here.
 *
 * A name has one wire, however many read it here. They may stand at different places: when one joins
 * that begins earlier, the wire begins again from there, and the others drop by offset what they had
 * ([WS-13]). An opening suits whoever stands where it begins or after; for one that it does not suit
 * the wire begins again, from the place of that one.
 *
 * Of two marks nobody can say which is further. So who read a pattern share a wire only where they
 * stand at the same mark, or begin alike: whoever begins elsewhere has a wire of its own
 * ([APART-1]), until both have come to the same mark ([WILD-2]).
 *
 * No place moves without a message or a word of the server, so nothing is lost on the way.
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

/** One reading of a name or pattern, for all those who have it in common. */
interface Wire {
  /** The filter; of further ones of the same filter with a number, which no filter can end with. */
  readonly key: string;
  readonly filter: string;
  readonly subscriptions: Set<Subscription>;
  /** How far the furthest of them has come; absent before the opening of this attempt. */
  head: Place | undefined;
  /** The wish that was told last, from where, and whose it was. */
  asked: { readonly wish: Wish; readonly from?: Place; readonly by?: Subscription } | undefined;
  /** True when nothing came since its opening or its last mark. */
  isAtMark: boolean;
}

/** Who reads one name or pattern, for tools that show it. */
export interface WireView {
  readonly filter: string;
  readonly subscriptions: ReadonlySet<Subscription>;
}

/** What the subscriptions need of the connection. */
export interface SubscriptionsOptions {
  /** What is to be read by this key is another thing now. */
  readonly onRevise: (key: string) => void;
  /** The session of this connection, whose own messages some do not want. */
  readonly session: () => string | undefined;
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #all = new Set<Subscription>();
  readonly #wires = new Map<string, Wire>();
  /** Those of patterns. */
  readonly #patterns = new Set<Wire>();
  /** True when the transport tells of every offset that it leaves out. */
  #isContiguous = false;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /** All that is to be read. */
  keys(): string[] {
    return [...this.#wires.keys()];
  }

  /** All that is read, with who reads it. */
  inspect(): readonly WireView[] {
    const views = new Map<string, Set<Subscription>>();
    for (const one of this.#all) {
      const readers = views.get(one.filter) ?? new Set();
      views.set(one.filter, readers.add(one));
    }
    return [...views].map(([filter, subscriptions]) => ({ filter, subscriptions }));
  }

  /** Begins to read. Its listener hears nothing before this has returned. */
  add(subscription: Subscription): void {
    this.#all.add(subscription);
    const wire = this.#join(subscription);
    queueMicrotask(() => this.#arrange(wire));
  }

  /** Reads no more. Idempotent. */
  remove(subscription: Subscription): void {
    if (this.#all.delete(subscription)) this.#leave(subscription);
  }

  /** The listener has no room: what comes is left to the log, and read on `resume`. */
  pause(subscription: Subscription): void {
    subscription.isPaused = true;
    this.#leave(subscription);
  }

  /** There is room again. */
  resume(subscription: Subscription): void {
    subscription.isPaused = false;
    if (this.#all.has(subscription)) this.#arrange(this.#join(subscription));
  }

  /** Another attempt reads from now on, beginning with openings. */
  restart(isContiguous: boolean): void {
    this.#isContiguous = isContiguous;
    const wires = [...this.#wires.values()];
    this.#wires.clear();
    this.#patterns.clear();
    for (const { subscriptions } of wires) {
      for (const one of subscriptions) {
        one.isOpen = false;
        this.#join(one);
      }
    }
  }

  /** What is to be asked by this key, from where its readers stand; `undefined` for nothing. */
  wish(key: string): Wish | undefined {
    const wire = this.#wires.get(key);
    if (wire === undefined) return undefined;
    const by = whoseTurn(wire);
    const from = by?.place.after === undefined ? undefined : by.place.copy();
    const wish = { filter: wire.filter, ...startOf(by), ...flagsOf(wire.subscriptions) };
    wire.asked = {
      wish,
      ...(by !== undefined && { by }),
      ...(from !== undefined && { from }),
    };
    return wish;
  }

  onOpen(opening: OpenEvent, key: string): void {
    const wire = this.#wires.get(key);
    if (wire?.asked === undefined) return;
    const { from, by } = wire.asked;
    const start = placeOf(opening, wire.asked);
    for (const one of wire.subscriptions) {
      const isThere = one.hasBegun && one.place.after === from?.after;
      const isNew = !one.hasBegun && !one.wantsOwnStart;
      // All that read a pattern by one wire asked for the same.
      if (this.#patterns.has(wire) || one === by || isThere || isNew) {
        this.#begin(one, opening, start);
      } else if (!one.hasBegun || !one.place.isAfter(start)) one.isOpen = false;
      else if (!one.isOpen) this.#resume(one, start);
    }
    wire.head ??= start.copy();
    wire.isAtMark = start.after !== undefined;
    this.#unite(wire);
    this.#arrange(wire);
  }

  /** @param keys what was told it: it is for those of them that match its channel. */
  onMessage(message: ReceivedMessage, keys: readonly string[]): void {
    const { channel, epoch, offset, mark } = message;
    const position = epoch === undefined || offset === undefined ? undefined : { epoch, offset };
    for (const wire of this.#matching(channel, keys)) {
      for (const one of wire.subscriptions) {
        if (one.isOpen) this.#deliver(wire, one, message, position);
      }
      if (position !== undefined) wire.head?.take(channel, position);
      wire.isAtMark = false;
      if (mark !== undefined) this.#reach(wire, mark);
    }
  }

  /** @param keys as with messages. */
  onGap(event: GapEvent, keys: readonly string[]): void {
    const { channel } = event;
    const position = parsePosition(event.position);
    if (position === undefined) return;
    for (const wire of this.#matching(channel, keys)) {
      wire.head?.take(channel, position);
      wire.isAtMark = false;
      for (const one of wire.subscriptions) {
        if (one.isOpen && one.place.take(channel, position)) one.listener.onEvent(event);
      }
    }
  }

  onMark(keys: readonly string[], mark: string): void {
    for (const key of keys) {
      const wire = this.#wires.get(key);
      if (wire !== undefined) this.#reach(wire, mark);
    }
  }

  /** Of a channel that is named: for a pattern its marks say as much. */
  onExpired(channel: string, text: string): void {
    const wire = this.#wires.get(channel);
    const position = parsePosition(text);
    if (position === undefined || wire === undefined) return;
    wire.head?.take(channel, position);
    for (const one of wire.subscriptions) {
      // Of another life it says nothing: that has to be told as a loss.
      if (one.isOpen && !one.place.isOtherLife(channel, position)) {
        one.place.take(channel, position);
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
  onRefused(key: string, error: Error): void {
    const wire = this.#wires.get(key);
    if (wire === undefined) return;
    const readers = [...wire.subscriptions];
    wire.subscriptions.clear();
    this.#arrange(wire);
    this.#end(readers, error);
  }

  /** Nothing can be read any more. */
  end(error: Error): void {
    this.#wires.clear();
    this.#patterns.clear();
    this.#end([...this.#all], error);
  }

  #end(readers: readonly Subscription[], error: Error): void {
    for (const one of readers) this.#all.delete(one);
    for (const { listener } of readers) listener.onEnd(error);
  }

  /** Finds it a wire, a new one if none will do. */
  #join(one: Subscription): Wire {
    const { filter } = one;
    const isPattern = isWildcard(filter);
    one.key = filter;
    for (let number = 2; ; number += 1) {
      const { key } = one;
      const known = this.#wires.get(key);
      const wire = known ?? newWire(key, filter);
      if (known === undefined) {
        this.#wires.set(key, wire);
        if (isPattern) this.#patterns.add(wire);
      }
      if (!isPattern || (wire.head === undefined && isAlike(wire, one))) {
        wire.subscriptions.add(one);
        return wire;
      }
      one.key = `${filter}\n${number}`;
    }
  }

  #leave(one: Subscription): void {
    one.isOpen = false;
    const wire = this.#wires.get(one.key);
    if (wire?.subscriptions.delete(one) === true) this.#arrange(wire);
  }

  /** Sees to it that all who wait begin: where the wire stands, or by another wish. */
  #arrange(wire: Wire): void {
    const { key, filter, subscriptions, head } = wire;
    // Something else may be read by this key since it was asked for.
    if (this.#wires.get(key) !== wire) return;
    const isOver = subscriptions.size === 0;
    if (isOver) {
      this.#wires.delete(key);
      this.#patterns.delete(wire);
    }
    const waiting = [...subscriptions].filter(({ isOpen }) => !isOpen);
    if (isOver || head === undefined || waiting.some(wantsOpening) || !isAskedFor(wire)) {
      this.#options.onRevise(key);
    } else {
      for (const one of waiting) this.#begin(one, placeEvent(filter, head), head);
    }
  }

  #begin(one: Subscription, opening: OpenEvent, start: Place): void {
    const hasLost = opening.gap !== undefined;
    // What is open already has gone on meanwhile.
    if (one.isOpen && (!hasLost || one.place.isAfter(start))) return;
    if (!one.hasBegun || hasLost) one.place.skipTo(start);
    else one.place.settle(opening);
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

  /** Names have no marks. */
  #reach(wire: Wire, mark: string): void {
    if (wire.head === undefined || !this.#patterns.has(wire)) return;
    wire.head.reach(mark);
    wire.isAtMark = true;
    for (const one of wire.subscriptions) {
      one.place.reach(mark);
      one.listener.onMark?.(mark);
    }
    this.#unite(wire);
  }

  /** Those of a pattern who have come to the same mark have a wire in common from there on. */
  #unite(wire: Wire): void {
    const [one] = wire.subscriptions;
    if (one === undefined || !this.#patterns.has(wire)) return;
    for (const other of this.#patterns) {
      if (other === wire || other.filter !== wire.filter || !other.isAtMark) continue;
      if (!isAlike(other, one)) continue;
      for (const each of wire.subscriptions) {
        each.key = other.key;
        other.subscriptions.add(each);
      }
      wire.subscriptions.clear();
      this.#arrange(wire);
      return;
    }
  }

  /** All of these that read the channel, by its name or by a pattern. */
  #matching(channel: string, keys: readonly string[]): Wire[] {
    return keys.flatMap((key) => {
      const wire = this.#wires.get(key);
      const isPattern = wire !== undefined && this.#patterns.has(wire);
      const isFor = key === channel || (isPattern && matchesPattern(wire.filter, channel));
      return wire === undefined || !isFor ? [] : [wire];
    });
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
      if (one.hole === place.after) {
        this.#tellGap(one, channel, position, isOtherLife);
        return true;
      }
      one.hole = place.after;
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

function newWire(key: string, filter: string): Wire {
  const none = { head: undefined, asked: undefined, isAtMark: false };
  return { key, filter, subscriptions: new Set(), ...none };
}

/** True when joining where the wire stands would not do. */
function wantsOpening({ hasBegun, wantsOwnStart, options }: Subscription): boolean {
  return hasBegun || wantsOwnStart || options.presence === true;
}

/** Whose start or place the next wish has: the others can drop what they had. */
function whoseTurn({ subscriptions }: Wire): Subscription | undefined {
  const own = [...subscriptions].find(({ wantsOwnStart }) => wantsOwnStart);
  const begun = [...subscriptions].filter(({ hasBegun }) => hasBegun);
  let back = begun.find(({ isOpen }) => !isOpen) ?? begun[0];
  if (own !== undefined || back === undefined) return own;
  for (const one of begun) {
    if (back.place.isAfter(one.place) && !one.place.isAfter(back.place)) back = one;
  }
  return back;
}

/** Where one begins or goes on. */
function startOf(one: Subscription | undefined): Pick<Wish, 'after' | 'last' | 'snapshot'> {
  const after = one?.place.after;
  const { last, snapshot } = one?.options ?? {};
  return {
    ...(after !== undefined && { after }),
    ...(after === undefined && last !== undefined && { last }),
    ...(snapshot === true && { snapshot }),
  };
}

/** What one of them asks for, all are given. */
function flagsOf(
  subscriptions: ReadonlySet<Subscription>,
): Pick<Wish, 'partial' | 'presence' | 'echo'> {
  const all = [...subscriptions].map(({ options }) => options);
  return {
    ...(all.some(({ partial }) => partial === true) && { partial: true }),
    ...(all.some(({ presence }) => presence === true) && { presence: true }),
    ...(all.every(({ echo }) => echo === false) && { echo: false }),
  };
}

/** True when it asks for what those of the wire do, from the same place. */
function isAlike({ subscriptions }: Wire, one: Subscription): boolean {
  const [other = one] = subscriptions;
  const [own, its] = [one, other].map((each) => ({
    ...startOf(each),
    ...flagsOf(new Set([each])),
  }));
  return JSON.stringify(own) === JSON.stringify(its);
}

/** True when the wish that was told last gives everyone what they want. */
function isAskedFor({ subscriptions, asked }: Wire): boolean {
  const { presence, echo } = flagsOf(subscriptions);
  const wish = asked?.wish;
  return (presence !== true || wish?.presence === true) && (echo === false || wish?.echo !== false);
}

/** Where a wire stands by an opening. */
function placeOf(opening: OpenEvent, { from, wish }: NonNullable<Wire['asked']>): Place {
  const start = new Place(wish.filter);
  const { gap, mark } = opening;
  // Of the channels of a pattern most are whole; those that are not are told one by one.
  if (from !== undefined && (gap === undefined || isWildcard(wish.filter))) start.moveTo(from);
  if (gap !== undefined && mark !== undefined) start.reach(mark);
  start.settle(opening);
  return start;
}

function placeEvent(channel: string, { after = 'start' }: Place): OpenEvent {
  const at = after.startsWith('~') ? { mark: after } : { position: after };
  // A volatile channel has no place, whatever was asked for.
  return { kind: 'open', channel, ...(after !== 'start' && at) };
}
