/**
 * MessagesAt: messages by their places, for who kept those and not the messages.
 */
import type { Message, Position } from '@trunkline/wire';
import type { Broker } from '../broker/broker.ts';
import type { Clock } from '../clock.ts';
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
  readonly clock: Pick<Clock, 'unixMs'>;
}

/** Places of one channel this close together are read at once. */
const DISTANCE_MAX = 16;

/** Messages of one read. */
const COUNT_MAX = 1_000;

/**
 * Finds messages: in the log, else where the channel retains that very one. `undefined` stands for one
 * that is gone or over.
 *
 * @throws {BrokerError} when the log can't be read.
 */
export async function messagesAt(
  parts: MessagesAtParts,
  places: readonly MessagePlace[],
): Promise<readonly (Message | undefined)[]> {
  const found = new Map<MessagePlace, Message>();
  for (const group of groups(places)) await readGroup(parts, group, found);
  for (const place of places) {
    if (!found.has(place)) await findRetained(parts, place, found);
  }
  const nowMs = parts.clock.unixMs();
  return places.map((place) => {
    const message = found.get(place);
    return (message?.expiresAt ?? Number.POSITIVE_INFINITY) > nowMs ? message : undefined;
  });
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
  place: MessagePlace,
  found: Map<MessagePlace, Message>,
): Promise<void> {
  const page = await retained.find(place.channel, { countMax: 1 });
  const [kept] = page.messages;
  if (kept?.epoch !== place.epoch || kept.message.offset !== place.offset) return;
  found.set(place, kept.message);
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
