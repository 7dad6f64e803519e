/**
 * Place: how far the reading of one name or pattern has come, over all attempts and transports.
 * Pure. It is why no offset is delivered twice, whatever a server or a proxy repeats.
 */
import { formatPosition, isOrigin, isWildcard, parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';

/** Channels that a pattern brought and of which the newest offset is remembered. */
const CHANNELS_MAX = 10_000;

/** Where the server says that a subscription stands. */
interface Stated {
  readonly position?: string;
  readonly mark?: string;
}

export class Place {
  readonly #filter: string;
  readonly #isPattern: boolean;
  /** Where each channel stands: the one that is named, or those that a pattern brought. */
  readonly #positions = new Map<string, Position>();
  /** Of a pattern; of a name only what an application gave it to begin with. */
  #mark: string | undefined;

  /** @param after where to begin, as an application remembered it. */
  constructor(filter: string, after?: string) {
    this.#filter = filter;
    this.#isPattern = isWildcard(filter);
    const position = after === undefined ? undefined : parsePosition(after);
    if (position !== undefined && !this.#isPattern) this.#positions.set(filter, position);
    else this.#mark = after;
  }

  /** Where to go on; `undefined` before the first opening. */
  get after(): string | undefined {
    const position = this.#isPattern ? undefined : this.#positions.get(this.#filter);
    return position === undefined ? this.#mark : formatPosition(position);
  }

  /**
   * True when whoever reads on from `earlier` surely gets everything that comes after this place. Of
   * two marks nobody can say it, unless they are the same.
   */
  isAfter(earlier: Place): boolean {
    if (this.after === earlier.after) return true;
    const own = this.#positions.get(this.#filter);
    const other = earlier.#positions.get(this.#filter);
    if (other === undefined || isOrigin(other))
      return other !== undefined || earlier.#mark === 'start';
    return own?.epoch === other.epoch && own.offset >= other.offset;
  }

  /** The same place, on its own. */
  copy(): Place {
    const copy = new Place(this.#filter);
    copy.moveTo(this);
    return copy;
  }

  /** Stands where the other one does. */
  moveTo(other: Place): void {
    this.#positions.clear();
    for (const [channel, position] of other.#positions) this.#positions.set(channel, position);
    this.#mark = other.#mark;
  }

  /**
   * Goes on where the other one stands, or begins there. Of the channels of a pattern only the mark
   * says that.
   */
  skipTo(other: Place): void {
    if (!this.#isPattern) this.moveTo(other);
    this.#mark = other.#mark;
  }

  /** Stands where the server says, as far as it is not known better. */
  settle({ position, mark }: Stated): void {
    const parsed = position === undefined ? undefined : parsePosition(position);
    const known = this.#positions.get(this.#filter);
    // Before its first message a channel has no life: the server may know of one by now.
    const isKnown = this.#isPattern ? this.#mark?.startsWith('~') : known && !isOrigin(known);
    if (isKnown === true) return;
    if (parsed !== undefined) this.#set(this.#filter, parsed);
    if (mark !== undefined) this.reach(mark);
  }

  /** Everything up to the mark was delivered. It says nothing of a name. */
  reach(mark: string): void {
    if (this.#isPattern) this.#mark = mark;
  }

  /** True when the position neither follows on this place nor is before it. */
  skips(channel: string, { epoch, offset }: Position): boolean {
    const known = this.#positions.get(channel);
    if (known === undefined) return false;
    // In a channel that has had no message every life is the same one, and begins with 1.
    if (isOrigin(known)) return offset > 1;
    return known.epoch !== epoch || offset > known.offset + 1;
  }

  /** True when the channel is known by another life than the position's. */
  isOtherLife(channel: string, { epoch }: Position): boolean {
    const known = this.#positions.get(channel);
    return known !== undefined && !isOrigin(known) && known.epoch !== epoch;
  }

  /** Goes on after the position; false when this place was not before it. */
  take(channel: string, position: Position): boolean {
    const known = this.#positions.get(channel);
    if (known?.epoch === position.epoch && position.offset <= known.offset) return false;
    this.#set(channel, position);
    return true;
  }

  #set(channel: string, position: Position): void {
    this.#positions.delete(channel); // The newest go to the end.
    this.#positions.set(channel, position);
    if (this.#positions.size <= CHANNELS_MAX) return;
    const [oldest] = this.#positions.keys();
    if (oldest !== undefined) this.#positions.delete(oldest);
  }
}
