/**
 * Place: up to where the sink was told everything, in the durable log and in the memory beside it.
 * Its text is a mark, made once for as long as nothing is announced.
 */
import { formatMark } from './mark.ts';
import type { LogIdentity } from './store.ts';

export class Place {
  readonly #identity: LogIdentity;
  #sequence: number;
  #memory = 0;
  #text: string | undefined;

  /** The place at which a log that was just opened stands. */
  constructor(identity: LogIdentity) {
    this.#identity = identity;
    this.#sequence = identity.sequence;
  }

  /** The mark of this place. */
  get text(): string {
    const { id, run } = this.#identity;
    this.#text ??= formatMark({ id, run, sequence: this.#sequence, memory: this.#memory });
    return this.#text;
  }

  /** Everything up to this sequence of the log was told. Places never go back. */
  reach(sequence: number): void {
    if (sequence <= this.#sequence) return;
    this.#sequence = sequence;
    this.#text = undefined;
  }

  /** The same for the memory beside the log. */
  reachInMemory(sequence: number): void {
    if (sequence <= this.#memory) return;
    this.#memory = sequence;
    this.#text = undefined;
  }
}
