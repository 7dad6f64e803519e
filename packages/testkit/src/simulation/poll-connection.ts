/** Polls as a client makes them: one after the other, short and long, each from where it stands. */
import { CodedError, parseAfter } from '@trunkline/wire';
import type { ChannelRead, ReadResult, Start } from '@trunkline/server/internal/hub/hub-types.ts';
import type { MemoryLink } from '../memory-link.ts';
import { placeOf } from './connection.ts';
import type { Connection, ConnectionParts } from './connection.ts';
import { payloadId } from './publication.ts';
import type { Opening, Reader, ReaderSubscription } from './recorder.ts';

const decoder = new TextDecoder();

/** The longest that a long poll waits. */
const WAIT_MS_MAX = 5_000;

/** The longest that a request or an answer is on its way. */
const TRAVEL_MS_MAX = 20;

/** A client that was answered with a failure asks again after so long. */
const RETRY_MS = 100;

/** A client asks so long after the last answer at most. */
const IDLE_MS_MAX = 200;

/** Polls all channels of a device together, one poll after the other. */
export class PollConnection implements Connection {
  readonly transport = 'poll';
  readonly links: readonly MemoryLink[] = [];
  readonly #parts: ConnectionParts;
  /** What the last answer gave each reader: it stands until the next one. */
  readonly #last = new Map<Reader, ReaderSubscription>();
  #isOpen = true;
  #cancelWait: (() => void) | undefined;
  /** The place in the whole order that the last answer told, if nothing was read since. */
  #mark: string | undefined;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#later(parts.random.integer(TRAVEL_MS_MAX), () => this.#ask());
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The client goes; what is under way for it is lost. */
  end(): void {
    this.#isOpen = false;
    this.#cancelWait?.();
    for (const subscription of this.#last.values()) subscription.close();
    this.#last.clear();
  }

  #ask(): void {
    const { server, random, readers, identity } = this.#parts;
    const mark = random.chance(0.3) ? this.#mark : undefined;
    const openings = new Map<string, Opening>();
    const channels = new Map<string, Start>();
    for (const reader of readers) {
      const place = mark === undefined ? placeOf(reader, random) : { after: mark };
      const { after, last, partial } = place;
      openings.set(reader.channel, reader.ask(this.transport, after));
      channels.set(reader.channel, {
        ...(after === undefined ? {} : { after: parseAfter(after) }),
        ...(last === undefined ? {} : { last }),
        ...(partial === undefined ? {} : { partial }),
      });
    }
    const waitMs = random.chance(0.5) ? 0 : random.integer(WAIT_MS_MAX);
    const countMax = random.chance(0.5) ? 2 : 100;
    const request = {
      channels,
      waitMs,
      countMax,
      onWait: (cancel: () => void) => {
        this.#cancelWait = cancel;
      },
    };
    server.read(identity, request).then(
      (result) =>
        this.#later(random.integer(TRAVEL_MS_MAX), () => this.#onAnswer(openings, result)),
      (error: unknown) => this.#onFailure(error),
    );
  }

  #onAnswer(openings: ReadonlyMap<string, Opening>, result: ReadResult): void {
    const { readers, random } = this.#parts;
    for (const read of result.channels) {
      const reader = readers.find(({ channel }) => channel === read.channel);
      const opening = openings.get(read.channel);
      if (reader !== undefined && opening !== undefined) this.#takeIn(reader, opening, read);
    }
    this.#mark = result.mark;
    const more = result.channels.some((read) => read.more);
    this.#later(random.integer(more ? TRAVEL_MS_MAX : IDLE_MS_MAX), () => this.#ask());
  }

  #onFailure(error: unknown): void {
    if (!(error instanceof CodedError)) this.#parts.recorder.fail(error);
    this.#later(RETRY_MS, () => this.#ask());
  }

  #later(delayMs: number, task: () => void): void {
    this.#parts.server.clock.after(delayMs, () => {
      if (this.#isOpen) task();
    });
  }

  /** One poll's part for one channel is a subscription that lasts until the next answer. */
  #takeIn(reader: Reader, opening: Opening, read: ChannelRead): void {
    this.#last.get(reader)?.close();
    const subscription = reader.open(opening, read);
    this.#last.set(reader, subscription);
    for (const { offset, payload } of read.messages) {
      const data: unknown = JSON.parse(decoder.decode(payload));
      subscription.message(read.end.epoch, offset, payloadId(data));
    }
    subscription.reached(read.end);
  }
}
