/** LineRecorder: writes down what applications ask of their lines and are told by them. */
import { matchesPattern } from '@trunkline/wire';
import { CHANNELS } from '../simulation/surroundings.ts';
import type { StreamState } from '../history.ts';
import type { Heads, LineEvent } from './line-history.ts';

type Unstamped<T> = T extends LineEvent ? Omit<T, 'step'> : never;

/** The history of a run while it is being made. */
export class LineRecorder {
  readonly events: LineEvent[] = [];
  readonly failures: unknown[] = [];
  /** The step that is being made. */
  step = 0;
  readonly #stateOf: (channel: string) => StreamState;
  readonly #purges = new Map<string, number>();
  #named = 0;

  /** @param stateOf looks at the log, past the server. */
  constructor(stateOf: (channel: string) => StreamState) {
    this.#stateOf = stateOf;
  }

  record(event: Unstamped<LineEvent>): void {
    this.events.push({ ...event, step: this.step });
  }

  /** What is kept of a channel ends, or begins to. */
  readonly purged = (channel: string): void => {
    this.#purges.set(channel, this.purgesOf(channel) + 1);
    this.record({ kind: 'purged', channel });
  };

  /** How often that was so. */
  purgesOf(channel: string): number {
    return this.#purges.get(channel) ?? 0;
  }

  /** Something broke that nobody should ever see: the run fails with it. */
  readonly fail = (error: unknown): void => {
    this.failures.push(error);
  };

  /** Where everything that a name or pattern matches stands now. */
  headsOf(filter: string): Heads {
    const matched = CHANNELS.filter((name) => name === filter || matchesPattern(filter, name));
    return new Map(matched.map((channel) => [channel, this.#stateOf(channel)]));
  }

  /** A name that was not given before. */
  name(prefix: string): string {
    this.#named += 1;
    return `${prefix}${this.#named}`;
  }
}
