/**
 * WatchedFiles: files that somebody else renews, read again while the server runs.
 *
 * They are read and compared, not watched: renewers replace files, links to files and links to
 * folders, over networks too, and reading few kilobytes now and then sees each of these alike. What
 * was read is used only when all of it fits: between the writes of two files nothing changes.
 */
import { readFile } from 'node:fs/promises';
import type { Clock, Timer } from '../clock.ts';
import { ConfigError } from '../config/config-error.ts';
import type { Log } from '../observe/log.ts';

/** How often the files are read again. */
export const RELOAD_INTERVAL_MS = 10_000;

/** Where the files are, and who uses them. */
export interface WatchedFilesParts {
  readonly paths: readonly string[];
  /** What the files are for those who read the log, like `certificate`. */
  readonly what: string;
  /**
   * Uses what the files have, in the order of their paths. Called at the start, and when any of them
   * has changed. It throws when the contents are not usable, and what was taken before stays.
   */
  readonly take: (contents: readonly Buffer[]) => void;
  readonly clock: Clock;
  readonly log: Log;
  /** Reads a file; the system's unless a test says otherwise. */
  readonly read?: ((path: string) => Promise<Buffer>) | undefined;
}

/** Files and what was taken of them last. */
export class WatchedFiles {
  readonly #parts: WatchedFilesParts;
  #taken: readonly Buffer[] = [];
  /** So that each fault is told once: the files are looked at until they are right. */
  #complaint = '';
  #timer: Timer | undefined;
  #closed = false;

  constructor(parts: WatchedFilesParts) {
    this.#parts = parts;
  }

  /** Takes what the files have, and from now on what they change to. @throws {ConfigError} */
  async open(): Promise<void> {
    const { paths, take } = this.#parts;
    try {
      const contents = await this.#read();
      take(contents);
      this.#taken = contents;
    } catch (error) {
      throw new ConfigError([`tls: ${paths.join(', ')}: ${describe(error)}`], error);
    }
    this.#schedule();
  }

  /** Looks at them no more. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    if (this.#closed) return;
    // Never rejects.
    this.#timer = this.#parts.clock.after(RELOAD_INTERVAL_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    try {
      const contents = await this.#read();
      if (!this.#closed && this.#isNew(contents)) {
        this.#parts.take(contents);
        this.#taken = contents;
      }
      this.#complaint = '';
    } catch (error) {
      this.#complain(error);
    }
    this.#schedule();
  }

  #isNew(contents: readonly Buffer[]): boolean {
    return contents.some((one, index) => this.#taken[index]?.equals(one) !== true);
  }

  #complain(error: unknown): void {
    const complaint = describe(error);
    if (complaint === this.#complaint) return;
    this.#complaint = complaint;
    const { paths, what, log } = this.#parts;
    const message = `the new ${what} is not used, the old one still is: ${complaint}`;
    log.warn({ error, paths }, message);
  }

  #read(): Promise<Buffer[]> {
    const { paths, read = readFile } = this.#parts;
    return Promise.all(paths.map((path) => read(path)));
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
