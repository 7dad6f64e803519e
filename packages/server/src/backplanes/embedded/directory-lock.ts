/**
 * DirectoryLock: one server to a directory. The operating system holds the lock and lets it go
 * when the process ends, however it ends, so there is no stale lock to clean up.
 *
 * It is an exclusive transaction on an empty SQLite file, because Node has no call to lock a file.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BrokerError } from '../../broker/broker.ts';
import { isBusy } from './errors.ts';

const LOCK_FILE = 'lock';

export class DirectoryLock {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /**
   * Locks the directory, made when missing, and is not to be had twice.
   *
   * @throws {BrokerError} when another server has it, or it can't be written.
   */
  static async take(directory: string): Promise<DirectoryLock> {
    try {
      await mkdir(directory, { recursive: true });
      // No waiting: another server does not give it back soon.
      const database = new DatabaseSync(join(directory, LOCK_FILE), { timeout: 0 });
      try {
        database.exec('BEGIN EXCLUSIVE');
      } catch (error) {
        database.close();
        throw error;
      }
      return new DirectoryLock(database);
    } catch (error) {
      throw new BrokerError('unavailable', reasonFor(error, directory), { cause: error });
    }
  }

  /** Lets another server have the directory. Idempotent. */
  release(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

function reasonFor(error: unknown, directory: string): string {
  if (isBusy(error)) {
    return (
      `the data directory ${directory} is in use by another server: ` +
      'stop that one, or choose another directory'
    );
  }
  const text = error instanceof Error ? error.message : String(error);
  return (
    `the data directory ${directory} can't be used (${text}): ` +
    'it must be a directory that this user may write'
  );
}
