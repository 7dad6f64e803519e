/**
 * MessagesAt: messages by their places, for who kept those and not the messages.
 */
import type { Message, Position } from '@trunkline/wire';
import type { Broker } from '../broker/broker.ts';
import { READ_SIZE_MAX } from './config.ts';
import type { Retained } from './retained.ts';

/** Where a message of a channel stands. */
export interface MessagePlace extends Position {
  readonly channel: string;
}

/** What finding needs. */
export interface MessagesAtParts {
  readonly broker: Pick<Broker, 'read'>;
  readonly retained: Pick<Retained, 'find'>;
}

/** Places of one channel this close together are read at once. */
const DISTANCE_MAX = 16;

/** Messages of one read. */
const COUNT_MAX = 1_000;

/**
 * Finds messages: in the log, else where the channel retains that very one. `undefined` stands for one
 * that is gone. Those whose time is over are among them, as in what is read of a log.
 *
 * @throws {BrokerError} when the log can't be read.
 */
export async function messagesAt(
  parts: MessagesAtParts,
  places: readonly MessagePlace[],
): Promise<readonly (Message | undefined)[]> {
  const found = new Map<MessagePlace, Message>();
  for (const group of groups(places)) await readGroup(parts, group, found);
  const gone = Map.groupBy(
    places.filter((place) => !found.has(place)),
    ({ channel }) => channel,
  );
  for (const [channel, ofChannel] of gone) await findRetained(parts, channel, ofChannel, found);
  return places.map((place) => found.get(place));
}

async function readGroup(
  { broker }: MessagesAtParts,
  group: readonly MessagePlace[],
  found: Map<MessagePlace, Message>,
): Promise<void> {
  let rest = group;
  for (let [first] = rest; first !== undefined; [first] = rest) {
    const last = rest.at(-1) ?? first;
    const slice = await broker.read(first.channel, {
      after: first.offset - 1,
      countMax: last.offset - first.offset + 1,
      sizeMax: READ_SIZE_MAX,
    });
    const byOffset = new Map(slice.messages.map((message) => [message.offset, message]));
    const end = slice.messages.at(-1)?.offset ?? last.offset;
    for (const place of rest) {
      const message = byOffset.get(place.offset);
      if (message !== undefined && place.epoch === slice.epoch) found.set(place, message);
    }
    // Large messages come a few at a time.
    rest = rest.filter(({ offset }) => offset > end);
  }
}

async function findRetained(
  { retained }: MessagesAtParts,
  channel: string,
  places: readonly MessagePlace[],
  found: Map<MessagePlace, Message>,
): Promise<void> {
  const page = await retained.find(channel, { countMax: 1 });
  const [kept] = page.messages;
  if (kept === undefined) return;
  for (const place of places) {
    const isIt = kept.epoch === place.epoch && kept.message.offset === place.offset;
    if (isIt) found.set(place, kept.message);
  }
}

/** Those of one channel and life that lie close together, in their order. */
function groups(places: readonly MessagePlace[]): readonly (readonly MessagePlace[])[] {
  const sorted = places.toSorted(
    (a, b) => compare(a.channel, b.channel) || compare(a.epoch, b.epoch) || a.offset - b.offset,
  );
  const all: MessagePlace[][] = [];
  for (const place of sorted) {
    const group = all.at(-1);
    const [first] = group ?? [];
    const last = group?.at(-1);
    const isNear =
      first !== undefined &&
      last?.channel === place.channel &&
      last.epoch === place.epoch &&
      place.offset - last.offset <= DISTANCE_MAX &&
      place.offset - first.offset < COUNT_MAX;
    if (isNear) group?.push(place);
    else all.push([place]);
  }
  return all;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
