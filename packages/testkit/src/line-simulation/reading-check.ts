/**
 * Reading check: what each listener of a line was told, against what there was. In each channel it
 * is given every offset once and in order, from where it began until it stops, but for those that a
 * gap names, those whose time was over and, if it does not want them, those of its own line.
 */
import { formatPosition, isOrigin, isWildcard } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { StreamTable } from '../checks/stream-table.ts';
import type { BrokenPromise, PublishEvent, StreamLog, Violation } from '../history.ts';
import { VOLATILE_CHANNELS } from '../simulation/surroundings.ts';
import type {
  BeginsEvent,
  Heads,
  HearsEvent,
  ListensEvent,
  MissesEvent,
  ReadingEvent,
} from './line-history.ts';

/** What else is known of a run. */
export interface ReadingFacts {
  readonly table: StreamTable;
  readonly publishes: ReadonlyMap<string, PublishEvent>;
  /** The newest messages of a channel that are there for sure, and are not too many at once. */
  readonly countMin: (channel: string) => number;
  readonly report: (violation: Violation) => void;
}

/** Where each channel stands. */
type Places = ReadonlyMap<string, Position>;

interface Reader {
  readonly listens: ListensEvent;
  /** Its line, and those of the readers whose place it took over. */
  readonly lines: ReadonlySet<string>;
  hasBegun: boolean;
  /** What it was given or told to go on from. */
  places: Map<string, Position>;
  /** In channels of which it was told nothing yet: everything after these comes. */
  bases: Map<string, Position>;
  /** Both, as they were when it was told the last mark. */
  atMark: { readonly mark: string; readonly bases: Places } | undefined;
  hasEnded: boolean;
}

/** Judges readers. Events come in the order they happened. */
export class ReadingCheck {
  readonly #facts: ReadingFacts;
  readonly #readers = new Map<string, Reader>();
  /** Channels that had a life before, of which whoever is slow may be told yet. */
  readonly #reborn = new Set<string>();

  constructor(facts: ReadingFacts) {
    this.#facts = facts;
  }

  onEvent(event: ReadingEvent): void {
    if (event.kind === 'listens') {
      this.#onListens(event);
      return;
    }
    const reader = this.#readers.get(event.reader);
    if (reader === undefined) return;
    switch (event.kind) {
      case 'begins':
        return this.#onBegins(reader, event);
      case 'hears':
        return this.#onHears(reader, event);
      case 'misses':
        return this.#onMisses(reader, event);
      case 'reaches':
        return note(reader, event.mark);
      case 'ends':
        reader.hasEnded = true;
        return this.#fail(reader, event.step, 'unasked', `it ended: ${event.reason}`);
      default:
        reader.hasEnded = true;
    }
  }

  onPurged(channel: string): void {
    this.#reborn.add(channel);
  }

  /** Whoever still listens has arrived at the newest of every channel. */
  onEnd(
    logs: ReadonlyMap<string, StreamLog>,
    heads: (filter: string) => Heads,
    step: number,
  ): void {
    for (const reader of this.#readers.values()) {
      if (reader.hasEnded || VOLATILE_CHANNELS.includes(reader.listens.filter)) continue;
      if (!reader.hasBegun) {
        this.#fail(reader, step, 2, 'it never began');
        continue;
      }
      for (const channel of heads(reader.listens.filter).keys()) {
        const log = logs.get(channel);
        if (log === undefined || log.top === 0) continue;
        this.#expectNothingMissing(
          reader,
          channel,
          { epoch: log.epoch, offset: log.top + 1 },
          step,
        );
      }
    }
  }

  #onListens(listens: ListensEvent): void {
    const before = this.#readers.get(listens.continues ?? '');
    const reader: Reader = {
      listens,
      lines: new Set([...(before?.lines ?? []), listens.line]),
      hasBegun: false,
      places: new Map(),
      bases: new Map(),
      atMark: undefined,
      hasEnded: false,
    };
    this.#readers.set(listens.reader, reader);
    const { filter, after } = listens;
    if (before === undefined || after === undefined || after === 'start') return;
    if (isWildcard(filter)) {
      if (before.atMark?.mark !== after) return;
      reader.bases = new Map(before.atMark.bases);
      reader.atMark = before.atMark;
    } else {
      const place = before.places.get(filter);
      if (place !== undefined) reader.places.set(filter, place);
    }
  }

  #onBegins(reader: Reader, event: BeginsEvent): void {
    const { filter } = reader.listens;
    const isFirst = !reader.hasBegun;
    reader.hasBegun = true;
    if (isWildcard(filter)) this.#onBeginsPattern(reader, event, isFirst);
    else if (event.position !== undefined)
      this.#onBeginsName(reader, event, event.position, isFirst);
    // Whoever begins behind a mark stands there, whatever the server calls that place now.
    const isPlaced = !isFirst || reader.listens.after !== undefined;
    if (event.mark !== undefined && (!isPlaced || event.gap !== undefined)) {
      note(reader, event.mark);
    }
  }

  #onBeginsName(reader: Reader, event: BeginsEvent, position: Position, isFirst: boolean): void {
    const { filter } = reader.listens;
    const place = reader.places.get(filter);
    const told = `it begins at ${formatPosition(position)}`;
    if (event.gap !== undefined) {
      const goesBack = place?.epoch === position.epoch && position.offset < place.offset;
      if (goesBack && event.gap.reason !== 'ahead') {
        this.#fail(reader, event.step, 3, `${told} after ${formatPosition(place)}`);
      }
      reader.places.set(filter, position);
    } else if (place === undefined) {
      reader.places.set(filter, position);
    } else if (isFirst && !isOrigin(place) && place.epoch !== position.epoch) {
      const stands = formatPosition(place);
      this.#fail(reader, event.step, 2, `${told} though it had asked for what is after ${stands}`);
    } else if (isFirst) {
      // What lies between was over.
      const next = { epoch: position.epoch, offset: position.offset + 1 };
      this.#expectNothingMissing(reader, filter, next, event.step);
    }
  }

  #onBeginsPattern(reader: Reader, event: BeginsEvent, isFirst: boolean): void {
    const { listens } = reader;
    const { after, last } = listens;
    if (!isFirst && event.gap === undefined) return;
    if (event.gap !== undefined) reader.places.clear();
    const hasPlace = reader.bases.size > 0 && event.gap === undefined;
    for (const [channel, { epoch, oldest, top }] of event.heads) {
      let offset = top;
      if (event.gap === undefined && (after ?? last) !== undefined) {
        const count = Math.min(last ?? Infinity, this.#facts.countMin(channel));
        offset = Math.max(oldest - 1, top - count);
      }
      if (!hasPlace) reader.bases.set(channel, { epoch, offset });
    }
  }

  #onHears(reader: Reader, event: HearsEvent): void {
    const { channel, position, step } = event;
    if (position !== undefined) {
      const place = reader.places.get(channel);
      if (place?.epoch === position.epoch && position.offset <= place.offset) {
        const at = formatPosition(position);
        const isSameOne = position.offset === place.offset;
        const told = isSameOne ? `got ${at} twice` : `got ${at} after ${formatPosition(place)}`;
        this.#fail(reader, step, isSameOne ? 3 : 1, told, channel);
      } else this.#expectNothingMissing(reader, channel, position, step);
      reader.places.set(channel, position);
    }
  }

  #onMisses(reader: Reader, event: MissesEvent): void {
    const { channel, position, step, gap } = event;
    const place = reader.places.get(channel);
    // What was over by the time is told to nobody: a life of it alone may have come and gone.
    const isOver = gap.reason === 'epoch' && isOrigin(position);
    if (!isOver && place?.epoch === position.epoch && position.offset <= place.offset) {
      const told = `gap ${gap.reason} to ${formatPosition(position)}, where it was already`;
      this.#fail(reader, step, 3, `${told}: it stands at ${formatPosition(place)}`, channel);
    }
    reader.places.set(channel, position);
  }

  /** Nothing that it should have been given lies before this position. */
  #expectNothingMissing(reader: Reader, channel: string, next: Position, step: number): void {
    const place = reader.places.get(channel) ?? reader.bases.get(channel);
    const isKnownLife = place?.epoch === next.epoch;
    const stands = place === undefined ? 'nothing' : formatPosition(place);
    // Where it was told nothing yet, whoever is slow may have begun in a life before.
    if (!isKnownLife && !reader.places.has(channel) && this.#reborn.has(channel)) return;
    if (!isKnownLife && place !== undefined && !isOrigin(place)) {
      const told = `expected epoch ${place.epoch} after ${stands}, got ${formatPosition(next)} untold`;
      this.#fail(reader, step, 2, told, channel);
      return;
    }
    const from = isKnownLife ? place.offset + 1 : 1;
    for (let offset = from; offset < next.offset; offset += 1) {
      const missing = { epoch: next.epoch, offset };
      if (this.#isExcused(reader, channel, missing)) continue;
      const payload = this.#facts.table.payloadAt({ channel, position: missing }) ?? 'a message';
      const told = `${payload} at ${formatPosition(missing)} came neither as a message nor as a gap`;
      this.#fail(reader, step, 2, `after ${stands}: ${told} (next ${next.offset})`, channel);
      return;
    }
  }

  /** It was over, or is not wanted. */
  #isExcused({ listens, lines }: Reader, channel: string, position: Position): boolean {
    const payload = this.#facts.table.payloadAt({ channel, position });
    const mayLack = ({ ttl, connection }: PublishEvent): boolean =>
      ttl !== undefined || (!listens.echo && lines.has(connection.split(' ')[0] ?? ''));
    const publish = this.#facts.publishes.get(payload ?? '');
    if (publish !== undefined) return mayLack(publish);
    // Nobody was told which one it is: it may be any of those that nobody was told a place of.
    return [...this.#facts.publishes.values()].some(
      (one) =>
        one.channel === channel &&
        mayLack(one) &&
        this.#facts.table.placesOf(one.payload).length === 0,
    );
  }

  #fail(
    { listens }: Reader,
    step: number,
    promise: BrokenPromise,
    told: string,
    channel = listens.filter,
  ): void {
    const message = `${listens.reader} of ${listens.line} (${listens.filter}): ${told}`;
    this.#facts.report({ promise, step, channel, message });
  }
}

/** The last mark, and where everything stood. */
function note(reader: Reader, mark: string): void {
  reader.atMark = { mark, bases: new Map([...reader.bases, ...reader.places]) };
}
