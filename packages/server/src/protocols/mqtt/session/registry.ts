/**
 * Registry: which session has a connection now. A client identifier has one: who comes with it ends the
 * connection before ([MQTT-3.1.4-2], [MQTT-3.1.4-3]), and takes over when that has stored all it keeps.
 */

import { MqttError } from '../codec/faults.ts';
import { REASONS } from '../codec/reasons.ts';

/** A session that may have to give way. */
export interface Holder {
  /** Ends the connection; resolves when its state is stored. */
  giveWay(): Promise<void>;
}

/** Somebody takes a key. */
interface Turn {
  /** Who comes next. */
  next: PromiseWithResolvers<void> | undefined;
}

export class Registry<H extends Holder> {
  readonly #holders = new Map<string, H>();
  /** By key, while somebody takes it. */
  readonly #turns = new Map<string, Turn>();

  /** Sessions that have a connection. */
  get holders(): Iterable<H> {
    return this.#holders.values();
  }

  get count(): number {
    return this.#holders.size;
  }

  /** True for one that is held, or about to be. */
  isTaken(key: string): boolean {
    return this.#holders.has(key) || this.#turns.has(key);
  }

  /**
   * Does `work` when whoever came before with the same key is done, and whoever holds it has given way.
   * One waits for that: who comes meanwhile takes its place, however many come at once.
   *
   * @param check throws when its turn has come and it is not wanted any more: then nobody gives way.
   * @throws {MqttError} session taken over, where another one came before it had its turn.
   */
  async take<T>(key: string, check: () => void, work: () => Promise<T>): Promise<T> {
    const turn = this.#turns.get(key);
    if (turn === undefined) this.#turns.set(key, { next: undefined });
    else await waitIn(turn);
    try {
      check();
      await this.#holders.get(key)?.giveWay();
      return await work();
    } finally {
      this.#handOn(key);
    }
  }

  /** From here on this one holds the key. */
  hold(key: string, holder: H): void {
    this.#holders.set(key, holder);
  }

  /** It has ended. */
  letGo(key: string, holder: H): void {
    if (this.#holders.get(key) === holder) this.#holders.delete(key);
  }

  /** At once, so that nobody who comes then is first. */
  #handOn(key: string): void {
    const turn = this.#turns.get(key);
    const next = turn?.next;
    if (turn === undefined || next === undefined) {
      this.#turns.delete(key);
      return;
    }
    turn.next = undefined;
    next.resolve();
  }
}

function waitIn(turn: Turn): Promise<void> {
  const message = 'the same client identifier connected again';
  turn.next?.reject(new MqttError(REASONS.sessionTakenOver, '[MQTT-3.1.4-3]', message));
  turn.next = Promise.withResolvers<void>();
  return turn.next.promise;
}
