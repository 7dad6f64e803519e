/**
 * SessionSaver: the record of one session that outlives its connection, written as the session changes,
 * and once more when its connection has ended.
 */
import type { Clock } from '../../../clock.ts';
import { refusal } from '../../../hub/refusals.ts';
import type { Log } from '../../../observe/log.ts';
import type { SessionRecord } from './record.ts';
import { Saver } from './saver.ts';
import type { SessionStore } from './session-store.ts';

/** What it is built from. */
export interface SessionSaverParts {
  /** The key of the session. */
  readonly key: string;
  readonly clientId: string;
  readonly store: Pick<SessionStore, 'save' | 'remove' | 'pause'>;
  readonly clock: Clock;
  readonly log: Log;
  /** How long what need not be stored at once waits for more. */
  readonly delayMs: number;
  /** What is to be stored now, while it is connected. */
  readonly record: () => SessionRecord;
  /** It is larger than a record may be, and does not become smaller by waiting. */
  readonly onTooLarge: () => void;
}

/** How long after a failure the last record is written again; twice as long each time, up to a bound. */
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;

/** Stores what one session keeps. */
export class SessionSaver {
  readonly #parts: SessionSaverParts;
  readonly #saver: Saver;

  constructor(parts: SessionSaverParts) {
    const { clock, delayMs } = parts;
    this.#parts = parts;
    this.#saver = new Saver({
      ...{ clock, delayMs },
      write: () => this.saveNow(),
      onFailed: (error) => this.#onFailed(error),
    });
  }

  /** Resolves when all that the session keeps by now is stored; never when that can't be done any more. */
  save(): Promise<void> {
    return this.#saver.save();
  }

  /** Stores it within the delay. */
  saveSoon(): void {
    this.#saver.saveSoon();
  }

  /** Stores it, once. @throws {BrokerError} when that can't be done now. */
  saveNow(): Promise<void> {
    return this.#write(this.#parts.record());
  }

  /** Nothing is begun to be written any more. Resolves when nothing is under way either. */
  end(): Promise<void> {
    return this.#saver.end();
  }

  /**
   * Stores the session as its connection left it, or that there is none where it is kept no longer.
   * Resolves when that is done, or can't be done any more: until then nobody goes on with it, who would
   * be sent again what came already. To be called after `end`. Never rejects.
   */
  async saveLast(record: SessionRecord): Promise<void> {
    const { key, clientId, store, clock, log } = this.#parts;
    for (let delayMs = RETRY_MS; ; delayMs = Math.min(delayMs * 2, RETRY_MS_MAX)) {
      try {
        if (record.expirySeconds > 0) await this.#write(record);
        else await store.remove(key);
        return;
      } catch (error) {
        log.warn({ clientId, error }, 'the end of an MQTT session could not be stored');
        const mayPass = refusal(error).code === 'unavailable';
        if (!mayPass || !(await store.pause(key, clock, delayMs))) return;
      }
    }
  }

  #write(record: SessionRecord): Promise<void> {
    const { key, store, clock } = this.#parts;
    // It runs out only while nobody is connected.
    const expiresAt = clock.unixMs() + record.expirySeconds * 1000;
    return store.save(key, record, record.isConnected ? undefined : expiresAt);
  }

  #onFailed(error: unknown): void {
    const { clientId, log, onTooLarge } = this.#parts;
    log.warn({ clientId, error }, 'an MQTT session could not be stored');
    if (error instanceof RangeError) onTooLarge();
  }
}
