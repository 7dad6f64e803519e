/**
 * MessageBatch: contiguous messages of one channel on their way to many readers, encoded at most
 * once per encoding.
 */
import { contentSize } from '@trunkline/wire';
import type { Message, Position } from '@trunkline/wire';
import type { SharedBatch } from '../link/shared-batch.ts';
import type { Encoding, Run } from './hub-types.ts';

/** What a message is taken to cost in memory beside its payload and attributes. */
export const MESSAGE_OVERHEAD_SIZE = 256;

/** One encoding of a batch. */
interface Encoded {
  readonly encoding: Encoding;
  readonly mark: string | undefined;
  readonly batch: SharedBatch;
  /** When it has to be made anew, if a message of it expires. */
  readonly untilMs: number | undefined;
}

/** Messages of one channel, contiguous unless the channel is volatile. */
export class MessageBatch {
  readonly channel: string;
  /** Empty where the channel is volatile. */
  readonly epoch: string;
  /** Contiguous and never empty; never changed. */
  readonly messages: readonly Message[];
  readonly first: number;
  readonly last: number;
  /** Bytes this batch keeps in memory, roughly, without its encodings. */
  readonly size: number;
  /** Unix milliseconds at which the first of its messages expires; absent when none does. */
  readonly expiresAt: number | undefined;
  // Nearly every batch meets one encoding; others are kept in the array.
  #encoded: Encoded | undefined;
  #others: Encoded[] | undefined;

  constructor(channel: string, epoch: string, messages: readonly Message[]) {
    this.channel = channel;
    this.epoch = epoch;
    this.messages = messages;
    this.first = messages[0]?.offset ?? 0;
    this.last = this.first + messages.length - 1;
    let size = 0;
    for (const message of messages) size += messageSize(message);
    this.size = size;
    this.expiresAt = firstExpiry(messages);
  }

  /** The position right before these messages; `undefined` in a volatile channel. */
  get before(): Position | undefined {
    return this.epoch === '' ? undefined : { epoch: this.epoch, offset: this.first - 1 };
  }

  /** The messages that are to be delivered at this time, and the offsets that are not. */
  runs(nowMs: number): readonly Run[] {
    const isWhole = this.expiresAt === undefined || this.expiresAt > nowMs;
    return isWhole ? [this] : withoutExpired(this, nowMs);
  }

  /** True when nothing of it is to be told any more: of a log expired offsets are, to the end. */
  isOver(nowMs: number): boolean {
    const { expiresAt = Number.POSITIVE_INFINITY } = this;
    return expiresAt <= nowMs && this.runs(nowMs).length === 0;
  }

  /**
   * These messages in `encoding`, made at the first call, and again when one of them has expired.
   *
   * @param clock asked only where a message can expire.
   * @param mark what to go on from after them, where several channels are read.
   */
  encoded(encoding: Encoding, clock: { unixMs(): number }, mark?: string): SharedBatch {
    const nowMs = this.expiresAt === undefined ? 0 : clock.unixMs();
    const known = this.#known(encoding, mark);
    if (known !== undefined && known.mark === mark && isFresh(known, nowMs)) return known.batch;
    const runs = this.runs(nowMs);
    const batch = encoding.encode(runs, mark);
    this.#keep({ encoding, mark, batch, untilMs: untilWhen(runs, encoding, nowMs) });
    return batch;
  }

  /** Lets go of the encodings: whoever asks for one from here on has it made anew, for all again. */
  forgetEncoded(): void {
    this.#encoded = undefined;
    this.#others = undefined;
  }

  /** What was made for this encoding, with any mark or without one. */
  #known(encoding: Encoding, mark: string | undefined): Encoded | undefined {
    if (this.#encoded === undefined || isLike(this.#encoded, encoding, mark)) return this.#encoded;
    return this.#others?.find((other) => isLike(other, encoding, mark));
  }

  /** Another mark is asked for by others; what had the one before will not be asked for again. */
  #keep(made: Encoded): void {
    const { encoding, mark } = made;
    if (this.#encoded === undefined || isLike(this.#encoded, encoding, mark)) {
      this.#encoded = made;
      return;
    }
    // There may be very many: one for each number of a subscription that stands apart.
    const others = (this.#others ??= []);
    const at = others.findIndex((other) => isLike(other, encoding, mark));
    if (at < 0) others.push(made);
    else others[at] = made;
  }

  /** What a session gets that does not want its own messages; `undefined` when nothing is left. */
  encodedWithout(
    session: string,
    encoding: Encoding,
    clock: { unixMs(): number },
    mark?: string,
  ): SharedBatch | undefined {
    if (!this.messages.some(({ from }) => from?.session === session)) {
      return this.encoded(encoding, clock, mark);
    }
    const runs: Run[] = [];
    for (const run of this.runs(clock.unixMs())) {
      const messages = run.messages.filter(({ from }) => from?.session !== session);
      if (messages.length > 0 || run.expired !== undefined) runs.push({ ...run, messages });
    }
    if (runs.length === 0) return undefined;
    return encoding.encode(runs, mark);
  }

  /** The part of this batch that comes after `offset`; itself when that is all of it. */
  after(offset: number): MessageBatch {
    if (offset < this.first) return this;
    return new MessageBatch(this.channel, this.epoch, this.messages.slice(offset - this.first + 1));
  }
}

/** True when one of the two takes the place of the other. */
function isLike(known: Encoded, encoding: Encoding, mark: string | undefined): boolean {
  return known.encoding === encoding && (known.mark === undefined) === (mark === undefined);
}

function isFresh({ untilMs }: Encoded, nowMs: number): boolean {
  return untilMs === undefined || untilMs > nowMs;
}

/** Divides what is to be delivered from what has expired, which is told by its offsets [MSG-6]. */
function withoutExpired({ channel, epoch, messages }: Run, nowMs: number): readonly Run[] {
  const runs: Run[] = [];
  let alive: Message[] = [];
  let expired: { from: number; to: number } | undefined;
  const close = (): void => {
    const told = expired !== undefined && epoch !== '' ? { expired } : {};
    if (alive.length > 0 || 'expired' in told)
      runs.push({ channel, epoch, messages: alive, ...told });
    alive = [];
    expired = undefined;
  };
  for (const message of messages) {
    if ((message.expiresAt ?? Number.POSITIVE_INFINITY) > nowMs) {
      alive.push(message);
      continue;
    }
    if (alive.length > 0) close();
    expired = { from: expired?.from ?? message.offset, to: message.offset };
  }
  close();
  return runs;
}

/** When what was made of these has to be made anew. */
function untilWhen(
  runs: readonly Run[],
  { freshMs = Number.POSITIVE_INFINITY }: Encoding,
  nowMs: number,
): number | undefined {
  const expiresAt = nextExpiry(runs);
  return expiresAt === undefined ? undefined : Math.min(expiresAt, nowMs + freshMs);
}

function nextExpiry(runs: readonly Run[]): number | undefined {
  let untilMs: number | undefined;
  for (const { messages } of runs) untilMs = sooner(untilMs, firstExpiry(messages));
  return untilMs;
}

/** When the first of these expires; `undefined` when none does. */
function firstExpiry(messages: readonly Message[]): number | undefined {
  let first: number | undefined;
  for (const { expiresAt } of messages) first = sooner(first, expiresAt);
  return first;
}

function sooner(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}

/** Bytes a message keeps in memory, roughly. */
export function messageSize(message: Message): number {
  return contentSize(message) + MESSAGE_OVERHEAD_SIZE;
}

/**
 * Divides contiguous messages into runs of at most `sizeMax` bytes each, but at least one message:
 * a burst must not become one frame that overruns every link at once.
 */
export function divide(messages: readonly Message[], sizeMax: number): (readonly Message[])[] {
  const runs: (readonly Message[])[] = [];
  let start = 0;
  let index = 0;
  let size = 0;
  for (const message of messages) {
    const next = messageSize(message);
    if (size > 0 && size + next > sizeMax) {
      runs.push(messages.slice(start, index));
      start = index;
      size = 0;
    }
    size += next;
    index += 1;
  }
  if (start === 0) return messages.length === 0 ? [] : [messages];
  runs.push(messages.slice(start));
  return runs;
}
