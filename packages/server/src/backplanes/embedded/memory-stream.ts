/**
 * MemoryStream: one life of one channel's stream in memory. Retention by count and size is applied
 * when something is appended, by age when something is read.
 */
import { contentSize } from '@trunkline/wire';
import type { Draft, Message } from '@trunkline/wire';
import type { ReadRange, Retention, StreamBounds, StreamSlice } from '../../broker/broker.ts';
import { toMessage } from './message.ts';
import { lowerBound } from './order.ts';

/** Removed messages that may lie before the first retained one until the arrays are cut. */
const SLACK = 64;

/** What a message takes beside its payload and attributes, roughly. */
const MESSAGE_SIZE = 256;
/** What a stream takes beside its messages, roughly. */
export const STREAM_SIZE = 1024;

/** Stands where a message was until the arrays are cut, so that its payload is free at once. */
const REMOVED: Message = { offset: 0, time: 0, payload: new Uint8Array(0) };

export class MemoryStream {
  readonly epoch: string;
  /** Sequence of the first message of this life. */
  readonly born: number;
  #messages: Message[] = [];
  #sequences: number[] = [];
  /** Index of the oldest retained message. */
  #head = 0;
  #size = 0;
  #top = 0;
  #last = 0;
  #trimmed = 0;
  #newestTime = 0;
  #retention: Retention = { countMax: 0, sizeMax: 0, ageMsMax: 0 };

  constructor(epoch: string, born: number) {
    this.epoch = epoch;
    this.born = born;
  }

  /** Sequence of the newest message. */
  get last(): number {
    return this.#last;
  }

  /** Bytes that the stream takes, roughly; the places of removed messages included. */
  get size(): number {
    return STREAM_SIZE + this.#size + this.#messages.length * MESSAGE_SIZE;
  }

  /** Time of the newest message. */
  get newestTime(): number {
    return this.#newestTime;
  }

  /** Bytes by which a message makes the stream larger; at most 0 where an older one makes room. */
  growth(size: number, { countMax }: Retention): number {
    const isFull = this.#messages.length - this.#head >= Math.max(1, countMax);
    return isFull ? size - this.#sizeAt(this.#head) : size + MESSAGE_SIZE;
  }

  append(draft: Draft, retention: Retention, sequence: number, nowMs: number): Message {
    const time = Math.max(nowMs, this.#newestTime);
    const message = toMessage(withOwnBytes(draft), this.#top + 1, time);
    this.#messages.push(message);
    this.#sequences.push(sequence);
    this.#size += contentSize(message);
    this.#top = message.offset;
    this.#last = sequence;
    this.#newestTime = message.time;
    this.#retention = retention;
    this.#trim();
    return message;
  }

  read(range: ReadRange, nowMs: number): StreamSlice {
    const first = this.#firstVisible(nowMs);
    const slice = this.#boundsFrom(first);
    const { oldest } = slice;
    if (range.countMax <= 0) return { ...slice, messages: [] };
    const indexOf = (offset: number): number => first + (offset - oldest);
    if (range.before === undefined) {
      const from = Math.max(first, indexOf(range.after + 1));
      return { ...slice, messages: this.#run(from, this.#messages.length, range) };
    }
    const end = Math.min(this.#messages.length, indexOf(range.before));
    return { ...slice, messages: this.#runBack(first, end, range) };
  }

  /** Where the stream stands, as age leaves it. */
  bounds(nowMs: number): StreamBounds {
    return this.#boundsFrom(this.#firstVisible(nowMs));
  }

  /** The newest offset at the time when `sequence` was the newest of all; exact or too low. */
  offsetAt(sequence: number): number {
    if (this.#trimmed > sequence) return 0;
    const after = lowerBound(this.#head, this.#sequences.length, (index) => {
      return (this.#sequences[index] ?? 0) > sequence;
    });
    return this.#top - (this.#sequences.length - after);
  }

  /** Lets go of what is over its age. @returns true when no message is left. */
  expire(nowMs: number): boolean {
    this.#advance(this.#firstVisible(nowMs));
    this.#cut(0);
    return this.#messages.length === 0;
  }

  #boundsFrom(first: number): StreamBounds {
    const oldest = this.#top + 1 - (this.#messages.length - first);
    return { epoch: this.epoch, oldest, top: this.#top };
  }

  #run(from: number, end: number, range: ReadRange): Message[] {
    let size = 0;
    let to = from;
    while (to < end && to - from < range.countMax) {
      size += this.#sizeAt(to);
      if (size > range.sizeMax && to > from) break;
      to += 1;
    }
    return this.#messages.slice(from, to);
  }

  #runBack(first: number, end: number, range: ReadRange): Message[] {
    let size = 0;
    let from = end;
    while (from > first && end - from < range.countMax) {
      size += this.#sizeAt(from - 1);
      if (size > range.sizeMax && from < end) break;
      from -= 1;
    }
    return this.#messages.slice(from, Math.max(from, end));
  }

  /** Index of the oldest message that is within count and age. Times never fall. */
  #firstVisible(nowMs: number): number {
    const goneUpTo = nowMs - this.#retention.ageMsMax;
    return lowerBound(this.#head, this.#messages.length, (index) => {
      return (this.#messages[index]?.time ?? 0) > goneUpTo;
    });
  }

  #trim(): void {
    const { countMax, sizeMax } = this.#retention;
    let head = Math.max(this.#head, this.#messages.length - countMax);
    let size = this.#size;
    for (let index = this.#head; index < head; index += 1) {
      size -= this.#sizeAt(index);
    }
    // The newest message stays even if it alone is larger.
    while (size > sizeMax && head < this.#messages.length - 1) {
      size -= this.#sizeAt(head);
      head += 1;
    }
    this.#advance(head);
    this.#cut(SLACK);
  }

  #advance(head: number): void {
    if (head === this.#head) return;
    for (let index = this.#head; index < head; index += 1) {
      this.#size -= this.#sizeAt(index);
      this.#messages[index] = REMOVED;
    }
    this.#trimmed = this.#sequences[head - 1] ?? this.#trimmed;
    this.#head = head;
  }

  #sizeAt(index: number): number {
    const message = this.#messages[index];
    return message === undefined ? 0 : contentSize(message);
  }

  /** Frees removed messages once they are more than `slack` and than those retained. */
  #cut(slack: number): void {
    if (this.#head <= slack || this.#head * 2 < this.#messages.length) return;
    this.#messages = this.#messages.slice(this.#head);
    this.#sequences = this.#sequences.slice(this.#head);
    this.#head = 0;
  }
}

/** What is cut out of a larger buffer would keep all of that buffer alive: copied. */
function withOwnBytes(draft: Draft): Draft {
  const payload = ownBytes(draft.payload);
  if (draft.attributes !== undefined) {
    return { ...draft, payload, attributes: ownBytes(draft.attributes) };
  }
  return payload === draft.payload ? draft : { ...draft, payload };
}

function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.length === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}
