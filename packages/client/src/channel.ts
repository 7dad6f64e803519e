/** Channel: what an application has of one channel, or of all that a pattern matches. */
import { formatPosition, parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import { backoffMs } from './backoff.ts';
import type {
  GapEvent,
  OpenEvent,
  PresenceEvent,
  ReceivedMessage,
  SnapshotEvent,
} from './events.ts';
import { needed } from './features.ts';
import type { Attending } from './features.ts';
import type { Line } from './line.ts';
import type { Platform } from './platform.ts';
import type { Payload, PublishOptions, SendOptions } from './publishing/outgoing.ts';
import type { Published } from './publishing/published.ts';
import { GapError } from './reading/gap-error.ts';
import type { HistoryMessage, HistoryOptions, HistoryPage } from './reading/history.ts';
import type { Members } from './reading/members.ts';
import { Pull } from './reading/pull.ts';
import { Reading } from './reading/reading.ts';
import type { TakenEvent } from './reading/reading.ts';
import type { ReadingOptions } from './reading/subscription.ts';
import type { Schema } from './schema.ts';

/** A message of a channel whose payloads are of this type. */
export type Message<T = unknown> = HistoryMessage<T>;

/** Where the messages of a channel begin that wait for the application's state. */
export interface LoadStart {
  /** Everything after this is delivered when the state is there. Absent where there are no places. */
  readonly position?: string;
  /** What was lost, when this is not the first time. */
  readonly gap?: GapEvent['gap'];
}

/** How a channel is read. */
export interface ChannelOptions<T, In = T> extends ReadingOptions {
  /**
   * Loads the state that the messages change: before the first of them and after every loss. They
   * wait for it, so nothing falls between the two. It may answer with the position that the state
   * is of, and what is up to there is not delivered.
   */
  readonly load?: ((start: LoadStart) => void | string | Promise<void | string>) | undefined;
  /** Hears of messages that were lost; the reading goes on. */
  readonly onGap?: ((gap: GapEvent) => void) | undefined;
  /**
   * Checks and types payloads: any validator of the Standard Schema. A message that it refuses is
   * left out and told as an `error` of the line.
   */
  readonly schema?: Schema<T, In> | undefined;
}

/** What a listener may hear beside messages. */
export interface ChannelListener<T> {
  /** Where it returns a promise it hears no other message until that has resolved. */
  readonly onMessage: (message: Message<T>) => unknown;
  /** Messages flow from here on. */
  readonly onOpen?: (opening: OpenEvent) => void;
  readonly onGap?: (gap: GapEvent) => void;
  /** The state of the channel, in place of the messages before it. */
  readonly onSnapshot?: (snapshot: SnapshotEvent) => void;
  /** Who is there, comes and goes; with `presence: true`. See also {@link Channel.members}. */
  readonly onPresence?: (event: PresenceEvent) => void;
  /** Of a pattern: everything up to this mark was told, and `after` it goes on from here. */
  readonly onMark?: (mark: string) => void;
  /** It is over, and why: nothing more will come. */
  readonly onEnd?: (error: unknown) => void;
}

/** @typeParam In what is published, where a schema makes another type of it. */
export class Channel<T = unknown, In = T> implements AsyncIterable<Message<T>, undefined> {
  readonly name: string;
  readonly #line: Line;
  readonly #platform: Platform;
  readonly #options: ChannelOptions<T, unknown>;
  readonly #validate: Validate<T>;
  #attendance: Attending | undefined;

  /** Made by {@link Line.channel}. */
  constructor(line: Line, platform: Platform, name: string, options: ChannelOptions<T, In>) {
    this.#line = line;
    this.#platform = platform;
    this.name = name;
    this.#options = options;
    const { schema } = options;
    const check = schema && needed(line.features, 'schemas');
    this.#validate = (message) =>
      check === undefined ? (message as Message<T>) : check(schema, message);
  }

  /** What it is made of. For what is built on channels: applications have no need of it. */
  get parts(): {
    readonly line: Line;
    readonly platform: Platform;
    readonly options: ChannelOptions<T, unknown>;
  } {
    return { line: this.#line, platform: this.#platform, options: this.#options };
  }

  /**
   * Who is there. Follows the changes while somebody listens to them or the channel is read with
   * `presence: true`.
   */
  get members(): Members {
    return this.#attending().members;
  }

  /**
   * Reads until the returned function is called. All that read the same channel share what comes
   * over the connection, and the last one that ends takes it away.
   */
  subscribe(listener: ChannelListener<T> | ChannelListener<T>['onMessage']): () => void {
    const own = typeof listener === 'function' ? { onMessage: listener } : listener;
    const { presence, ...others } = this.#options;
    const isFollowed = presence === true && this.#line.features.members !== undefined;
    // The members are followed apart.
    const options = isFollowed && own.onPresence === undefined ? others : this.#options;
    const taker = new ChannelTaker<T>(own, this.#options, {
      platform: this.#platform,
      unfollow: isFollowed ? this.#attending().follow() : undefined,
      validate: this.#validate,
      report: (error) => this.#line.report(error),
    });
    const reading = new Reading(this.#line.subscriptions, this.name, options, taker);
    return () => {
      taker.end();
      reading.end();
    };
  }

  /**
   * Messages, until the line is closed; leaving the loop ends the reading.
   *
   * @throws {GapError} when messages were lost and the channel has neither `load` nor `onGap`.
   * @throws {CodedError} when the server will not have it read.
   */
  [Symbol.asyncIterator](): Pull<Message<T>> {
    const { load, onGap } = this.#options;
    return new Pull((pull) => {
      const unlisten = this.#line.on('state', ({ state, error }) => {
        // Whoever waits for the next message of a line that was closed would do so for ever.
        if (state === 'disconnected' && error === undefined) void pull.return(); // It never rejects.
      });
      const end = this.subscribe({
        onMessage: (message) => pull.give(message),
        onEnd(error) {
          unlisten();
          pull.fail(error);
        },
        ...(load === undefined && onGap === undefined && { onGap: throwGap }),
      });
      return () => {
        unlisten();
        end();
      };
    });
  }

  /** As {@link Line.publish}. */
  publish(data: In & Payload, options?: PublishOptions): Promise<Published> {
    return this.#line.publish(this.name, data, options);
  }

  /** As {@link Line.send}. */
  send(data: In & Payload, options?: SendOptions): void {
    this.#line.send(this.name, data, options);
  }

  /** Reads what the channel keeps, page by page. @throws {CodedError} */
  async history(options?: HistoryOptions): Promise<HistoryPage<T>> {
    const read = needed(this.#line.features, 'history');
    return read<T>((ask) => this.#line.request(ask), this.name, options, this.#validate);
  }

  #attending(): Attending {
    this.#attendance ??= needed(this.#line.features, 'members')(this);
    return this.#attendance;
  }
}

/** What a message is to the application; a promise where its validator needs time. */
type Validate<T> = (message: ReceivedMessage) => Message<T> | Promise<Message<T>>;

/** What a taker needs beside its listener. */
interface TakerParts<T> {
  readonly platform: Platform;
  /** It does not need to know any more who is there. */
  readonly unfollow: (() => void) | undefined;
  readonly report: (error: unknown) => void;
  readonly validate: Validate<T>;
}

/** Tells a listener what comes, when the state is there that it changes. */
class ChannelTaker<T> {
  readonly #listener: ChannelListener<T>;
  readonly #options: ChannelOptions<T, unknown>;
  readonly #parts: TakerParts<T>;
  #hasLoaded = false;
  #hasEnded = false;
  /** What the state has already. */
  #floor: Position | undefined;

  constructor(
    listener: ChannelListener<T>,
    options: ChannelOptions<T, unknown>,
    parts: TakerParts<T>,
  ) {
    this.#listener = listener;
    this.#options = options;
    this.#parts = parts;
  }

  end(): void {
    this.#hasEnded = true;
    this.#parts.unfollow?.();
  }

  onEnd(error: unknown): void {
    this.#hasEnded = true;
    this.#parts.unfollow?.();
    if (this.#listener.onEnd !== undefined) this.#listener.onEnd(error);
    else this.#parts.report(error);
  }

  take(event: TakenEvent): void | PromiseLike<void> {
    switch (event.kind) {
      case 'open':
        return this.#onOpen(event);
      case 'message':
        return this.#onMessage(event);
      case 'gap':
        return this.#onGap(event);
      case 'snapshot':
        return this.#listener.onSnapshot?.(event);
      case 'mark':
        return this.#listener.onMark?.(event.mark);
      default:
        return this.#listener.onPresence?.(event);
    }
  }

  #onOpen(event: OpenEvent): void | PromiseLike<void> {
    const { channel, gap, position = '', mark } = event;
    this.#listener.onOpen?.(event);
    if (gap !== undefined) return this.#onGap({ kind: 'gap', channel, gap, position });
    if (this.#hasLoaded) return undefined;
    this.#hasLoaded = true;
    const at = position === '' ? mark : position;
    return this.#load({ ...(at !== undefined && { position: at }) });
  }

  #onGap(event: GapEvent): void | PromiseLike<void> {
    const { load, onGap } = this.#options;
    const listeners = [onGap, this.#listener.onGap];
    for (const listener of listeners) listener?.(event);
    if (load === undefined && listeners.every((one) => one === undefined)) {
      this.#parts.report(new GapError(event));
    }
    this.#hasLoaded = true;
    return this.#load({ position: event.position, gap: event.gap });
  }

  /** Asks for the state until it is there: without it no message has a meaning. */
  #load(start: LoadStart): void | PromiseLike<void> {
    const { load } = this.#options;
    if (load === undefined) return undefined;
    return this.#loadAgain(load, start);
  }

  async #loadAgain(load: NonNullable<ChannelOptions<T>['load']>, start: LoadStart): Promise<void> {
    const { clock, random } = this.#parts.platform;
    for (let attempt = 0; !this.#hasEnded; attempt += 1) {
      try {
        const position = await load(start);
        this.#floor = position === undefined ? undefined : parsePosition(position);
        return;
      } catch (error) {
        this.#parts.report(error);
        const delayMs = backoffMs(attempt, random());
        await new Promise<void>((resolve) => void clock.after(delayMs, resolve));
      }
    }
  }

  #onMessage(message: ReceivedMessage): void | PromiseLike<void> {
    const { epoch, offset = 0 } = message;
    if (epoch !== undefined && epoch === this.#floor?.epoch && offset <= this.#floor.offset) return;
    try {
      const valid = this.#parts.validate(message);
      const told = valid instanceof Promise ? valid.then(this.#tell) : this.#tell(valid);
      return told instanceof Promise ? told.catch(this.#parts.report) : told;
    } catch (error) {
      return this.#parts.report(error);
    }
  }

  readonly #tell = (message: Message<T>): void | PromiseLike<void> =>
    this.#listener.onMessage(message) as void | PromiseLike<void>;
}

/** Whoever reads in a loop and has said nothing of losses learns of them by the end of it. */
function throwGap(event: GapEvent): never {
  throw new GapError(event);
}

/** The position of a message; `undefined` in a volatile channel. */
export function positionOf({ epoch, offset }: Message): string | undefined {
  return epoch === undefined || offset === undefined
    ? undefined
    : formatPosition({ epoch, offset });
}
