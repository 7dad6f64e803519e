/**
 * MessageBatch: contiguous messages of one channel on their way to many readers, encoded at most
 * once per encoding.
 */
import type { Message } from '@trunkline/wire';
import { SharedBatch } from '../link/shared-batch.ts';
import type { Encoding } from './hub-types.ts';

/** What a message is taken to cost in memory beside its payload. */
export const MESSAGE_OVERHEAD_SIZE = 256;

export class MessageBatch {
  readonly channel: string;
  readonly epoch: string;
  /** Contiguous and never empty; never changed. */
  readonly messages: readonly Message[];
  readonly first: number;
  readonly last: number;
  /** Bytes this batch keeps in memory, roughly, without its encodings. */
  readonly size: number;
  // Nearly every channel meets one or two encodings: a list is smaller and faster than a map.
  readonly #encoded: { readonly encoding: Encoding; readonly batch: SharedBatch }[] = [];

  constructor(channel: string, epoch: string, messages: readonly Message[]) {
    this.channel = channel;
    this.epoch = epoch;
    this.messages = messages;
    this.first = messages[0]?.offset ?? 0;
    this.last = this.first + messages.length - 1;
    this.size = messages.reduce((sum, message) => sum + messageSize(message), 0);
  }

  /** These messages in `encoding`, made at the first call. */
  encoded(encoding: Encoding): SharedBatch {
    for (const known of this.#encoded) if (known.encoding === encoding) return known.batch;
    const payload = encoding.encode([this]);
    const batch = new SharedBatch(payload, encoding.text);
    this.#encoded.push({ encoding, batch });
    return batch;
  }

  /** The part of this batch that comes after `offset`; itself when that is all of it. */
  after(offset: number): MessageBatch {
    if (offset < this.first) return this;
    return new MessageBatch(this.channel, this.epoch, this.messages.slice(offset - this.first + 1));
  }
}

/** Bytes a message keeps in memory, roughly. */
export function messageSize(message: Message): number {
  return message.payload.length + MESSAGE_OVERHEAD_SIZE;
}

/**
 * Divides contiguous messages into runs of at most `sizeMax` bytes each, but at least one message:
 * a burst must not become one frame that overruns every link at once.
 */
export function divide(messages: readonly Message[], sizeMax: number): (readonly Message[])[] {
  const runs: (readonly Message[])[] = [];
  let start = 0;
  let size = 0;
  for (const [index, message] of messages.entries()) {
    const next = messageSize(message);
    if (size > 0 && size + next > sizeMax) {
      runs.push(messages.slice(start, index));
      start = index;
      size = 0;
    }
    size += next;
  }
  if (start === 0) return messages.length === 0 ? [] : [messages];
  runs.push(messages.slice(start));
  return runs;
}
