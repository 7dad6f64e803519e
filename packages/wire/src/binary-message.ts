/**
 * Messages as binary records: those of one channel that go together name it once ([BIN-5]).
 * Payloads are raw bytes, and what a message has in common with the one before it is not repeated.
 */
import type { ByteReader, ByteWriter } from './bytes.ts';
import { bad } from './fields.ts';
import type { Draft, Message, Sender } from './message.ts';
import { BYTES_TYPE } from './publish.ts';

/** Which fields of a message are there ([BIN-6]). */
const FLAG = {
  contentType: 0x01,
  event: 0x02,
  from: 0x04,
  user: 0x08,
  mark: 0x10,
  same: 0x20,
  reserved: 0x40,
  more: 0x80,
} as const;

/** Fields that a message with `same` has from the one before it. */
const TAKEN_OVER = FLAG.contentType | FLAG.event | FLAG.from | FLAG.user;

/** Messages of one channel, in order. */
export interface MessageRun {
  readonly channel: string;
  /** Of all of them; empty where the channel is volatile and they have no offsets. */
  readonly epoch: string;
  readonly messages: readonly Message[];
}

/** A message as a reader of binary frames gets it. */
export interface ChannelMessage extends Draft {
  readonly channel: string;
  /** Absent, as `epoch` is, in volatile channels. */
  readonly offset?: number;
  readonly epoch?: string;
  /** Milliseconds since 1970 at which the server stored it. */
  readonly time: number;
  /** Everything up to here was sent; where several channels are read. */
  readonly mark?: string;
  /** The number of the subscription it is for, where that stands apart. */
  readonly as?: number;
}

/** The index behind the messages from `start` whose offsets follow one another. */
export function endOfStretch({ epoch, messages }: MessageRun, start: number): number {
  if (epoch === '') return messages.length;
  let end = start + 1;
  while (end < messages.length && messages[end]?.offset === (messages[end - 1]?.offset ?? 0) + 1) {
    end += 1;
  }
  return end;
}

/**
 * Writes the body of a record with the messages from `start` up to `end`, of which there is at least
 * one.
 *
 * @param mark what to go on from after the last of them.
 */
export function writeMessages(
  writer: ByteWriter,
  { channel, epoch, messages }: MessageRun,
  { start, end, mark }: { start: number; end: number; mark: string | undefined },
): void {
  writer.text(channel);
  writer.text(epoch);
  if (epoch !== '') writer.varint(messages[start]?.offset ?? 0);
  let before: Message | undefined;
  for (let index = start; index < end; index += 1) {
    const message = messages[index];
    if (message === undefined) return;
    writeMessage(writer, message, before, index === end - 1 ? mark : undefined);
    before = message;
  }
}

function writeMessage(
  writer: ByteWriter,
  message: Message,
  before: Message | undefined,
  mark: string | undefined,
): void {
  const { contentType, event, from, payload, time } = message;
  const same = before !== undefined && isAlike(message, before);
  const flags = (same ? FLAG.same : flagsOf(message)) | (mark === undefined ? 0 : FLAG.mark);
  writer.byte(flags);
  writer.signed(time - (before?.time ?? 0));
  if (!same) {
    if (contentType !== undefined) writeContentType(writer, contentType);
    if (event !== undefined) writer.text(event);
    if (from !== undefined) writer.text(from.session);
    if (from?.user !== undefined) writer.text(from.user);
  }
  if (mark !== undefined) writer.text(mark);
  writer.sized(payload);
}

function flagsOf({ contentType, event, from }: Message): number {
  return (
    (contentType === undefined ? 0 : FLAG.contentType) |
    (event === undefined ? 0 : FLAG.event) |
    (from === undefined ? 0 : FLAG.from) |
    (from?.user === undefined ? 0 : FLAG.user)
  );
}

function isAlike(one: Draft, other: Draft): boolean {
  return (
    one.contentType === other.contentType &&
    one.event === other.event &&
    (one.from === other.from ||
      (one.from !== undefined &&
        one.from.session === other.from?.session &&
        one.from.user === other.from.user))
  );
}

/**
 * Reads the body of a record of messages.
 *
 * @param as the number of the subscription they are for, where that stands apart.
 * @throws {CodedError} when it is none.
 */
export function readMessages(reader: ByteReader, as?: number): ChannelMessage[] {
  const channel = reader.text('channel');
  const epoch = reader.text('epoch');
  const isVolatile = epoch === '';
  let offset = isVolatile ? 0 : reader.varint('offset');
  let time = 0;
  let shared: Shared | undefined;
  const messages: ChannelMessage[] = [];
  while (!reader.isDone) {
    const flags = reader.byte('flags');
    time += reader.signed('time');
    shared = readShared(reader, flags, shared);
    const mark = (flags & FLAG.mark) === 0 ? undefined : reader.text('mark');
    // Members that this version does not know [MSG-5].
    if ((flags & FLAG.more) !== 0) reader.text('more');
    const payload = reader.sized('payload');
    if (!Number.isSafeInteger(time) || time < 0 || !Number.isSafeInteger(offset)) {
      throw bad('a time and an offset must be from 0 to 2^53 − 1');
    }
    const message: Mutable = { channel, time, payload };
    if (!isVolatile) {
      message.offset = offset;
      message.epoch = epoch;
    }
    if (shared.contentType !== undefined) message.contentType = shared.contentType;
    if (shared.event !== undefined) message.event = shared.event;
    if (shared.from !== undefined) message.from = shared.from;
    if (mark !== undefined) message.mark = mark;
    if (as !== undefined) message.as = as;
    messages.push(message);
    offset += 1;
  }
  return messages;
}

type Mutable = { -readonly [Field in keyof ChannelMessage]: ChannelMessage[Field] };

/** What messages may have in common with the one before. */
type Shared = Pick<Draft, 'contentType' | 'event' | 'from'>;

function readShared(reader: ByteReader, flags: number, before: Shared | undefined): Shared {
  if ((flags & FLAG.reserved) !== 0) throw bad(`flags must be known ones, got ${flags}`);
  if ((flags & FLAG.same) !== 0) {
    if (before === undefined || (flags & TAKEN_OVER) !== 0) {
      throw bad('a message that is like the one before it must come after one and repeat nothing');
    }
    return before;
  }
  const shared: { contentType?: string; event?: string; from?: Sender } = {};
  if ((flags & FLAG.contentType) !== 0) shared.contentType = readContentType(reader);
  if ((flags & FLAG.event) !== 0) shared.event = reader.text('event');
  if ((flags & FLAG.from) !== 0) {
    const session = reader.text('session');
    shared.from = (flags & FLAG.user) === 0 ? { session } : { user: reader.text('user'), session };
  } else if ((flags & FLAG.user) !== 0) {
    throw bad('a message with a user must have a session');
  }
  return shared;
}

/** Writes a content type; that of bytes of which nothing was said as an empty text. */
export function writeContentType(writer: ByteWriter, contentType: string): void {
  writer.text(contentType === BYTES_TYPE ? '' : contentType);
}

/** Reads what {@link writeContentType} wrote. */
export function readContentType(reader: ByteReader): string {
  const contentType = reader.text('contentType');
  return contentType === '' ? BYTES_TYPE : contentType;
}
