/** Faults: errors that nobody caught, which in a server would be its end. */

/** Notes every uncaught error of this process from now on. */
export class UncaughtErrors implements Disposable {
  readonly found: unknown[] = [];
  readonly #note = (error: unknown): void => {
    this.found.push(error);
  };

  constructor() {
    process.on('uncaughtException', this.#note);
    process.on('unhandledRejection', this.#note);
  }

  [Symbol.dispose](): void {
    process.off('uncaughtException', this.#note);
    process.off('unhandledRejection', this.#note);
  }
}
