/**
 * Stops: requests to end, by SIGINT, SIGTERM or SIGHUP. The first asks politely, the second means at
 * once.
 */

/**
 * A terminal signals the whole group and a wrapper hands its own signal on, so that one request may
 * come twice. Nobody presses a key again so soon.
 */
const ECHO_MS = 200;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export class Stops {
  readonly #nowMs: () => number;
  readonly #exit: () => void;
  #lastMs = Number.NEGATIVE_INFINITY;
  #tasks: (() => void)[] = [];
  #asked = false;

  /**
   * @param nowMs a monotonic clock.
   * @param exit ends the process at once.
   */
  constructor(nowMs: () => number, exit: () => void) {
    this.#nowMs = nowMs;
    this.#exit = exit;
  }

  /** Listens to the signals of this process. */
  static ofProcess(): Stops {
    const stops = new Stops(
      () => performance.now(),
      () => process.exit(1),
    );
    for (const signal of SIGNALS) process.on(signal, () => stops.ask());
    return stops;
  }

  /** Calls `task` when the first request comes; at once if it came. */
  onStop(task: () => void): void {
    if (this.#asked) task();
    else this.#tasks.push(task);
  }

  /** A request to end. Without anyone who ends politely it means at once. */
  ask(): void {
    const nowMs = this.#nowMs();
    const isEcho = nowMs - this.#lastMs < ECHO_MS;
    this.#lastMs = nowMs;
    if (isEcho) return;
    if (this.#asked || this.#tasks.length === 0) {
      this.#exit();
      return;
    }
    this.#asked = true;
    for (const task of this.#tasks.splice(0)) task();
  }
}
