/**
 * SelectionNews: what one turn brought to a selection, for those who wait for it. All of them are
 * given the same object, and with it the same arrays of messages.
 */
import type { Message, Position } from '@trunkline/wire';
import type { MessageBatch } from '../message-batch.ts';
import type { PlaceMark } from '../place-mark.ts';

/** What one channel of a log brought. */
export interface ChannelNews {
  readonly channel: string;
  /** Right before the messages. */
  readonly before: Position;
  readonly messages: readonly Message[];
  /** Bytes, roughly. */
  readonly size: number;
}

/** Messages of several channels, and the place after them. */
export class SelectionNews {
  /** Everything up to here was given, and nothing after it. */
  readonly place: PlaceMark;
  /** Those of volatile channels, in the order in which they came. */
  readonly passing: readonly MessageBatch[];
  readonly #batches: readonly MessageBatch[];
  #channels: readonly ChannelNews[] | undefined;

  constructor(batches: readonly MessageBatch[], place: PlaceMark) {
    this.place = place;
    this.passing = batches.filter(({ epoch }) => epoch === '');
    this.#batches = batches.filter(({ epoch }) => epoch !== '');
  }

  /**
   * Those of the log, in the order of the channels' names; `undefined` when a channel brought what
   * does not follow upon itself, so that only the log can tell what was missed.
   */
  get channels(): readonly ChannelNews[] | undefined {
    this.#channels ??= join(this.#batches);
    return this.#channels.length === 0 && this.#batches.length > 0 ? undefined : this.#channels;
  }
}

/** Empty when something does not follow. */
function join(batches: readonly MessageBatch[]): readonly ChannelNews[] {
  const found = new Map<string, ChannelNews>();
  for (const { channel, epoch, first, messages, size } of batches) {
    const known = found.get(channel);
    if (known === undefined) {
      found.set(channel, { channel, before: { epoch, offset: first - 1 }, messages, size });
      continue;
    }
    const { before } = known;
    const isNext = before.epoch === epoch && before.offset + known.messages.length + 1 === first;
    if (!isNext) return [];
    const joined = [...known.messages, ...messages];
    found.set(channel, { channel, before, messages: joined, size: known.size + size });
  }
  return [...found.values()].sort((a, b) => (a.channel < b.channel ? -1 : 1));
}
