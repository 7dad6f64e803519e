/**
 * Overlaps: several subscriptions of one session that match the same channels.
 *
 * What matches twice is delivered once: each channel has one of them that delivers it, a plain
 * subscription before a pattern, and of patterns the one opened first. When that changes, the
 * channel goes from one cursor to the other at the place where it stands [WILD-4].
 */
import { isOrigin } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { Broker } from '../../broker/broker.ts';
import type { Cursor } from '../cursor.ts';
import type { FanOut } from '../fan-out.ts';
import type { PlaceMark } from '../place-mark.ts';
import type { Leg } from './catch-up.ts';
import type { SelectionCursor } from './selection-cursor.ts';
import type { SelectionFanOut } from './selection-fan-out.ts';

/** What moving channels between cursors needs. */
export interface OverlapParts {
  readonly broker: Broker;
  readonly fanOut: FanOut;
  readonly selectionFanOut: SelectionFanOut;
}

/** Moves channels between the cursors of one session. */
export class Overlaps {
  readonly #parts: OverlapParts;

  constructor(parts: OverlapParts) {
    this.#parts = parts;
  }

  /**
   * A channel is subscribed to by its name, which a pattern delivered so far: the cursor goes on
   * where the pattern's stands, unless it was asked for older messages than the pattern had.
   *
   * @param to opened and not started.
   */
  async take(from: SelectionCursor, to: Cursor): Promise<void> {
    const { name } = to.channel;
    const begin = await this.#positionAt(from.begin, to);
    const behind = from.state === 'behind' ? await this.#positionAt(from.place, to) : undefined;
    const place = behind ?? this.#parts.selectionFanOut.leave(from, name) ?? to.channel.position;
    if (place.epoch !== to.epoch || !isBefore(begin, to.place)) return;
    to.epoch = place.epoch;
    to.offset = place.offset;
  }

  /** A channel is not subscribed to by its name any more: the pattern goes on where that stands. */
  giveBack(from: Cursor, to: SelectionCursor): void {
    if (from.state === 'live' && to.state === 'live') return;
    this.#parts.selectionFanOut.addLeg(to, from.channel.name, from.place);
  }

  /**
   * A pattern was opened that matches a channel subscribed to by its name: what it asked for is
   * delivered there, from further back if need be.
   */
  share(from: SelectionCursor, to: Cursor): void {
    const asked = from.catchUp?.drop(to.channel.name);
    const isOlder = asked?.epoch === to.epoch && asked.offset < to.begin;
    if (asked !== undefined && isOlder) this.#parts.fanOut.goBack(to, asked);
  }

  /** The same where another pattern delivers the channels. @param legs of the pattern opened. */
  async shareLegs(legs: readonly Leg[], to: SelectionCursor): Promise<void> {
    if (legs.length === 0) return;
    const names = legs.map(({ channel }) => channel);
    const changed = (await this.#parts.broker.changedSince(to.begin.mark, names)) ?? [];
    const begins = new Map(changed.map(({ channel, position }) => [channel, position]));
    for (const { channel, position } of legs) {
      const begin = to.begin.behind.get(channel) ?? begins.get(channel);
      const isOlder =
        begin === undefined || (begin.epoch === position.epoch && position.offset < begin.offset);
      if (isOlder) this.#parts.selectionFanOut.addLeg(to, channel, position);
    }
  }

  /** A pattern ends: another one that matches the same channels goes on where they stand. */
  async handOver(from: SelectionCursor, to: SelectionCursor): Promise<void> {
    if (from.state === 'live' || from.state === 'ended') return;
    const place = from.catchUp?.place() ?? from.place;
    const changed =
      (await this.#parts.broker.changedSince(place.mark, from.selection.filters)) ?? [];
    for (const { channel, position } of changed) {
      const at = place.behind.get(channel) ?? position;
      this.#parts.selectionFanOut.addLeg(to, channel, at);
    }
  }

  /** Where a place stands in the channel of a cursor. */
  async #positionAt({ mark, behind }: PlaceMark, { channel }: Cursor): Promise<Position> {
    const own = behind.get(channel.name);
    if (own !== undefined) return own;
    const head = channel.position;
    const changed = await this.#parts.broker.changedSince(mark, [channel.name]);
    return changed?.[0]?.position ?? head;
  }
}

/** True when everything after `place` was delivered by who began at `begin`. */
function isBefore(begin: Position, place: Position): boolean {
  if (isOrigin(begin)) return true;
  return begin.epoch === place.epoch && begin.offset <= place.offset;
}
