/**
 * SessionStore: the records of sessions, in the broker's state. A session is known by its user and its
 * client identifier, so that nobody comes by another one's session by its name.
 */
import { hash } from 'node:crypto';
import type { Identity } from '../../../auth/identity.ts';
import type { StateRecord, StateStore } from '../../../broker/state.ts';
import type { Clock } from '../../../clock.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import type { SessionRecord } from './record.ts';

/** All of their keys begin with this. */
export const SESSION_PREFIX = 'mqtt/session/';

/** The key of a session. Applications and those who are nobody have none of each other's. */
export function sessionKey(
  { kind, user }: Pick<Identity, 'kind' | 'user'>,
  clientId: string,
): string {
  const name = JSON.stringify([kind, user ?? null, clientId]);
  return hash('sha256', name, 'base64url');
}

/** Reads and writes records. */
export class SessionStore {
  readonly #state: StateStore;
  #isClosing = false;
  /** By key, those who wait to try again. */
  readonly #pauses = new Map<string, (mayTry: boolean) => void>();

  constructor(state: StateStore) {
    this.#state = state;
  }

  /** `undefined` where there is none that can be read. @throws {BrokerError} when the log can't be. */
  async load(key: string): Promise<SessionRecord | undefined> {
    const found = await this.#state.get(`${SESSION_PREFIX}${key}`);
    return found === undefined ? undefined : decodeRecord(found.value);
  }

  /**
   * @param expiresAt Unix milliseconds after which it is gone by itself.
   * @throws {BrokerError} when nobody knows whether it is stored; what was stored before holds then.
   */
  async save(key: string, record: SessionRecord, expiresAt: number | undefined): Promise<void> {
    const options = expiresAt === undefined || expiresAt === Infinity ? {} : { expiresAt };
    await this.#state.put(`${SESSION_PREFIX}${key}`, encodeRecord(record), options);
  }

  /**
   * A session that was stored as connected is so no more: from now on it runs out. One that was
   * stored anew since it was read stays as it is.
   */
  async disconnect(
    { key, value, version }: StateRecord,
    clock: Pick<Clock, 'unixMs'>,
  ): Promise<void> {
    const record = decodeRecord(value);
    if (record?.isConnected !== true) return;
    const nowMs = clock.unixMs();
    const left: SessionRecord = { ...record, isConnected: false, quietBefore: nowMs };
    await this.#state.put(key, encodeRecord(left), {
      ifVersion: version,
      expiresAt: nowMs + record.expirySeconds * 1000,
    });
  }

  /** Waits before a write is tried again. @returns false when it must not be: the store closes. */
  async pause(key: string, clock: Clock, delayMs: number): Promise<boolean> {
    if (this.#isClosing) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#pauses.set(key, resolve);
    const timer = clock.after(delayMs, () => resolve(true));
    const mayTry = await promise;
    this.#pauses.delete(key);
    timer.cancel();
    return mayTry;
  }

  /** Somebody needs it: what waits is tried now. */
  hurry(key: string): void {
    this.#pauses.get(key)?.(true);
  }

  /** Nobody waits any more: what does is tried once more, and what fails from now on is given up. */
  close(): void {
    this.#isClosing = true;
    for (const resolve of this.#pauses.values()) resolve(true);
  }

  /** The session is gone. */
  async remove(key: string): Promise<void> {
    await this.#state.delete(`${SESSION_PREFIX}${key}`);
  }
}
