/** Publication: one thing an application wants to say, however often it has to try. */
import type { Clock } from '@trunkline/server/internal/clock.ts';
import type { Position } from '@trunkline/wire';
import type { Recorder } from './recorder.ts';

/** What its publisher knows of it. */
export type PublicationState = 'new' | 'under way' | 'stored' | 'refused' | 'unknown' | 'given up';

/** What is to be published, and by whom. */
export interface PublicationFields {
  readonly user: string;
  readonly channel: string;
  /** Present when it may be tried again. */
  readonly key?: string;
  /** Characters that make the payload larger. */
  readonly padding: number;
  /** Milliseconds after which it is not to be delivered; absent is never. */
  readonly ttl?: number;
  readonly slot?: string;
}

/** A payload with an id of its own, and how far its publishing has come. */
export class Publication {
  readonly user: string;
  readonly channel: string;
  readonly key: string | undefined;
  readonly ttl: number | undefined;
  readonly slot: string | undefined;
  /** The payload as JSON text. */
  readonly json: string;
  readonly #id: string;
  readonly #recorder: Recorder;
  readonly #clock: Clock;
  #state: PublicationState = 'new';

  constructor(recorder: Recorder, clock: Clock, fields: PublicationFields) {
    this.#recorder = recorder;
    this.#clock = clock;
    this.user = fields.user;
    this.channel = fields.channel;
    this.key = fields.key;
    this.ttl = fields.ttl;
    this.slot = fields.slot;
    this.#id = recorder.name('payload-');
    this.json = JSON.stringify({ id: this.#id, padding: 'x'.repeat(fields.padding) });
  }

  get state(): PublicationState {
    return this.#state;
  }

  /** What a command or a request has of it beside the payload. */
  get options(): { readonly key?: string; readonly ttl?: number; readonly slot?: string } {
    const { key, ttl, slot } = this;
    return {
      ...(key === undefined ? {} : { key }),
      ...(ttl === undefined ? {} : { ttl }),
      ...(slot === undefined ? {} : { slot }),
    };
  }

  /** True when its publisher may try it again without saying it twice. */
  get isOpen(): boolean {
    return this.key !== undefined && (this.#state === 'unknown' || this.#state === 'refused');
  }

  /** It is being sent on this connection. */
  begin(connection: string): Attempt {
    const attempt = this.#recorder.name('attempt-');
    const { user, channel, options } = this;
    this.#recorder.record({
      kind: 'publish',
      attempt,
      connection,
      user,
      channel,
      payload: this.#id,
      atMs: this.#clock.monotonicMs(),
      unixMs: this.#clock.unixMs(),
      ...options,
    });
    this.#state = 'under way';
    let isOver = false;
    const end = (state: PublicationState): boolean => {
      if (isOver) return false;
      isOver = true;
      this.#state = state;
      return true;
    };
    return {
      acknowledged: (position) => {
        if (end('stored')) this.#recorder.record({ kind: 'acknowledged', attempt, position });
      },
      passed: () => {
        if (end('stored')) this.#recorder.record({ kind: 'passed', attempt });
      },
      refused: (code, stored) => {
        const known = stored === undefined ? {} : { stored };
        // Where another payload had the key it is no use to try again.
        const state = code === 'conflict' ? 'given up' : 'refused';
        if (end(state)) this.#recorder.record({ kind: 'refused', attempt, code, ...known });
      },
      lost: () => void end('unknown'),
    };
  }
}

/** One try and what becomes of it. What is said first counts. */
export interface Attempt {
  acknowledged(position: Position): void;
  /** It went to whoever listens to a volatile channel. */
  passed(): void;
  refused(code: string, stored: false | 'unknown' | undefined): void;
  /** Nobody will ever say what became of it. */
  lost(): void;
}

/** The id in a payload as it arrived; what is no payload of ours is told apart by its text. */
export function payloadId(data: unknown): string {
  if (typeof data === 'object' && data !== null && 'id' in data && typeof data.id === 'string') {
    return data.id;
  }
  return `foreign ${JSON.stringify(data)}`;
}
