/** Recorder: writes down what clients do and are told, in the form the checker judges. */
import { formatPosition } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type { Clock } from '@trunkline/server/internal/clock.ts';
import type { ChannelHead } from '../follow-history.ts';
import type { HistoryEvent, StreamState } from '../history.ts';

/** Longer than any read of the log takes. */
const READ_MS_MAX = 1_000;

type Unstamped<T> = T extends HistoryEvent ? Omit<T, 'step'> : never;

/** Looks at the log, past the server. */
export type Inspect = (channel: string) => StreamState;

/** The history of a run while it is being made. */
export class Recorder {
  readonly events: HistoryEvent[] = [];
  readonly failures: unknown[] = [];
  /** The step that is being made. */
  step = 0;
  /** Jumps of Unix time so far: over one of them, what was over its age may come back. */
  #jumps = 0;
  #jumpedAtMs = Number.NEGATIVE_INFINITY;
  readonly #clock: Clock;
  readonly #inspect: Inspect;
  readonly #toldEpochs = new Set<string>();
  /** The newest place in each channel that anyone was told of, by epoch. */
  readonly #known = new Map<string, Position>();
  readonly #channels = new Map<string, string>();
  #named = 0;

  constructor(clock: Clock, inspect: Inspect) {
    this.#clock = clock;
    this.#inspect = inspect;
  }

  get jumps(): number {
    return this.#jumps;
  }

  /** Unix time has jumped. */
  noteJump(): void {
    this.#jumps += 1;
    this.#jumpedAtMs = this.#clock.monotonicMs();
  }

  record(event: Unstamped<HistoryEvent>): void {
    if ('position' in event) this.#toldEpochs.add(event.position.epoch);
    if ('epoch' in event) this.#toldEpochs.add(event.epoch);
    this.events.push({ ...event, step: this.step });
    this.#noteKnown(event);
  }

  /** Where the channel stands, as far as a client could know, for one who asks now. */
  headOf(channel: string): Omit<ChannelHead, 'answered'> {
    const { epoch, oldest, top } = this.#inspect(channel);
    const known = this.#known.get(`${channel} ${epoch}`);
    const comparable = this.stateOf(channel) !== undefined;
    const head = { asked: { epoch, oldest, top }, comparable };
    return known === undefined ? head : { ...head, known };
  }

  /** Which life the channel has in the log now. */
  lifeOf(channel: string): string {
    return this.#inspect(channel).epoch;
  }

  #noteKnown(event: Unstamped<HistoryEvent>): void {
    if (event.kind === 'publish') this.#channels.set(event.attempt, event.channel);
    if (event.kind === 'acknowledged') {
      this.#know(this.#channels.get(event.attempt) ?? '', event.position);
    } else if (event.kind === 'given') {
      this.#know(event.channel, event);
    }
  }

  #know(channel: string, { epoch, offset }: Position): void {
    const key = `${channel} ${epoch}`;
    const { offset: newest = 0 } = this.#known.get(key) ?? {};
    if (offset > newest) this.#known.set(key, { epoch, offset });
  }

  /** Something broke that no client should ever see: the run fails with it. */
  fail(error: unknown): void {
    this.failures.push(error);
  }

  /**
   * Where the log of the channel stands now; `undefined` where a server may rightly go by something
   * else: a life so young that nobody was told of it, or a read that began before time jumped.
   */
  stateOf(channel: string): StreamState | undefined {
    if (this.#clock.monotonicMs() - this.#jumpedAtMs < READ_MS_MAX) return undefined;
    const { epoch, oldest, top } = this.#inspect(channel);
    return this.#toldEpochs.has(epoch) ? { epoch, oldest, top } : undefined;
  }

  /** A name that was not given before. */
  name(prefix: string): string {
    this.#named += 1;
    return `${prefix}${this.#named}`;
  }
}

/** How a server answered one who wants to read. */
export interface OpeningAnswer {
  readonly position: Position;
  readonly recovered?: boolean;
  readonly gap?: Gap;
}

/** What a client asked for, and when. */
export interface Opening {
  readonly transport: string;
  readonly after: string | undefined;
  readonly asked: StreamState | undefined;
  readonly jumps: number;
}

/**
 * An application that follows one channel: it keeps its place and reads on from there, whatever
 * the transport.
 */
export class Reader {
  readonly channel: string;
  readonly #recorder: Recorder;
  #name: string;
  /** Where the application stands; absent before it was ever answered. */
  position: string | undefined;

  constructor(recorder: Recorder, channel: string) {
    this.#recorder = recorder;
    this.channel = channel;
    this.#name = recorder.name('reader-');
  }

  /** The application was reloaded: it stands somewhere else now, or nowhere. */
  restart(position: string | undefined): void {
    this.#name = this.#recorder.name('reader-');
    this.position = position;
  }

  /** To be called when the client asks; see {@link Reader.open}. */
  ask(transport: string, after: string | undefined): Opening {
    const { jumps } = this.#recorder;
    return { transport, after, asked: this.#recorder.stateOf(this.channel), jumps };
  }

  /** The server answered. */
  open(opening: Opening, answer: OpeningAnswer): ReaderSubscription {
    const { transport, after, asked, jumps } = opening;
    const { position, recovered, gap } = answer;
    const answered = this.#recorder.stateOf(this.channel);
    const isComparable = jumps === this.#recorder.jumps && asked !== undefined;
    const subscription = this.#recorder.name('subscription-');
    this.#recorder.record({
      kind: 'opened',
      subscription,
      reader: this.#name,
      channel: this.channel,
      transport,
      position,
      ...(isComparable && answered !== undefined ? { asked, answered } : {}),
      ...(after === undefined ? {} : { after }),
      ...(recovered === undefined ? {} : { recovered }),
      ...(gap === undefined ? {} : { gap }),
    });
    this.position = formatPosition(position);
    return new ReaderSubscription(this.#recorder, this, subscription);
  }
}

/** One subscription, event stream or poll of a reader. */
export class ReaderSubscription {
  readonly #recorder: Recorder;
  readonly #reader: Reader;
  readonly #subscription: string;

  constructor(recorder: Recorder, reader: Reader, subscription: string) {
    this.#recorder = recorder;
    this.#reader = reader;
    this.#subscription = subscription;
  }

  message(epoch: string, offset: number, payload: string): void {
    const subscription = this.#subscription;
    this.#recorder.record({ kind: 'message', subscription, epoch, offset, payload });
    this.#reader.position = formatPosition({ epoch, offset });
  }

  gap(gap: Gap, position: Position): void {
    this.#recorder.record({ kind: 'gap', subscription: this.#subscription, gap, position });
    this.#reader.position = formatPosition(position);
  }

  reached(position: Position): void {
    this.#recorder.record({ kind: 'reached', subscription: this.#subscription, position });
    this.#reader.position = formatPosition(position);
  }

  close(): void {
    this.#recorder.record({ kind: 'closed', subscription: this.#subscription });
  }
}
