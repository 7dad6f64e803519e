/**
 * Climb: tries a better transport beside the one in use, and hands it over when it works. What is
 * read goes on meanwhile, and a better one that fails disturbs nothing.
 */
import type { Ending } from '../ending.ts';
import type { Timer } from '../platform.ts';
import type { Transport } from '../transports/transport.ts';
import type { Climbable, Climbing, Live } from './connection.ts';
import type { Ladder } from './ladder.ts';

/** How long what was asked of the one in use may take before it is left all the same. */
const ANSWER_MS = 2000;

export class Climb implements Climbing {
  readonly #ladder: Pick<Ladder, 'climb' | 'climbFailed'>;
  readonly #connection: Climbable;
  /** What is tried. */
  #better: Live | undefined;
  #timer: Timer | undefined;
  /** Counts what was given up, so that a late token is known. */
  #turn = 0;

  constructor(ladder: Pick<Ladder, 'climb' | 'climbFailed'>, connection: Climbable) {
    this.#ladder = ladder;
    this.#connection = connection;
  }

  plan(): void {
    this.#timer?.cancel();
    const climb = this.#ladder.climb();
    if (climb === undefined || this.#better !== undefined) return;
    const { clock } = this.#connection.parts.platform;
    this.#timer = clock.after(climb.inMs, () => void this.#try(climb.transport));
  }

  onReady(live: Live): void {
    if (live === this.#better) void this.#take(live);
  }

  onEnd(live: Live, ending: Ending): void {
    if (live !== this.#better) return;
    this.#better = undefined;
    this.#connection.resume();
    if (ending.kind === 'stale') this.#connection.parts.tokens.refused(live.token);
    this.#ladder.climbFailed(live.transport.name, ending);
    this.plan();
  }

  abandon(): void {
    this.#turn += 1;
    this.#timer?.cancel();
    const better = this.#better;
    this.#better = undefined;
    better?.attempt?.close();
    if (better !== undefined) this.#connection.resume();
  }

  /** What was asked is answered where it was asked; what is asked meanwhile waits. */
  async #take(live: Live): Promise<void> {
    const { clock } = this.#connection.parts.platform;
    let timer: Timer | undefined;
    const isLate = new Promise<void>((resolve) => {
      timer = clock.after(ANSWER_MS, resolve);
    });
    await Promise.race([this.#connection.hold(), isLate]);
    timer?.cancel();
    if (live !== this.#better) return;
    this.#better = undefined;
    this.#connection.take(live);
  }

  async #try(transport: Transport): Promise<void> {
    const turn = this.#turn;
    this.#timer = undefined;
    try {
      const token = await this.#connection.parts.tokens.current();
      if (turn !== this.#turn || this.#better !== undefined) return;
      this.#better = this.#connection.tryBeside(transport, token);
    } catch {
      // Without a token nothing is learnt of a transport. The one in use says so when it matters.
      if (turn === this.#turn) this.plan();
    }
  }
}
