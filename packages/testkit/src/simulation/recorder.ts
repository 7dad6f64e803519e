/** Recorder: writes down what clients do and are told, in the form the checker judges. */
import { formatPosition } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type { HistoryEvent, StreamState } from '../history.ts';

type Unstamped<T> = T extends HistoryEvent ? Omit<T, 'step'> : never;

/** Looks at the log, past the server. */
export type Inspect = (channel: string) => StreamState;

/** The history of a run while it is being made. */
export class Recorder {
  readonly events: HistoryEvent[] = [];
  readonly failures: unknown[] = [];
  /** The step that is being made. */
  step = 0;
  readonly #inspect: Inspect;
  #named = 0;

  constructor(inspect: Inspect) {
    this.#inspect = inspect;
  }

  record(event: Unstamped<HistoryEvent>): void {
    this.events.push({ ...event, step: this.step });
  }

  /** Something broke that no client should ever see: the run fails with it. */
  fail(error: unknown): void {
    this.failures.push(error);
  }

  /** Where the log of the channel stands now. */
  stateOf(channel: string): StreamState {
    const { epoch, oldest, top } = this.#inspect(channel);
    return { epoch, oldest, top };
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
  readonly asked: StreamState;
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
    return { transport, after, asked: this.#recorder.stateOf(this.channel) };
  }

  /** The server answered. */
  open(opening: Opening, answer: OpeningAnswer): ReaderSubscription {
    const { transport, after, asked } = opening;
    const { position, recovered, gap } = answer;
    const subscription = this.#recorder.name('subscription-');
    this.#recorder.record({
      kind: 'opened',
      subscription,
      reader: this.#name,
      channel: this.channel,
      transport,
      position,
      asked,
      answered: this.#recorder.stateOf(this.channel),
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
