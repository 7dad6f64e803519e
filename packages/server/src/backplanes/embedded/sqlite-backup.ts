/** A copy of the log while it is in use. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/**
 * Writes the log at `path`, as it is at one moment, to `target`, which is there whole or not at
 * all. A log started from the copy begins new epochs: the original may have gone on since, so an
 * offset must not be given again.
 */
export function backUp(path: string, target: string): void {
  const partial = `${target}.partial`;
  rmSync(partial, { force: true });
  try {
    writeCopy(path, partial);
    renameSync(partial, target);
    sync(dirname(target));
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

function writeCopy(path: string, partial: string): void {
  const database = new DatabaseSync(path);
  try {
    database.prepare('VACUUM INTO ?').run(partial);
  } finally {
    database.close();
  }
  const copy = new DatabaseSync(partial);
  try {
    copy.exec('PRAGMA synchronous = full; UPDATE log SET clean = 0, lossy = 1');
  } finally {
    copy.close();
  }
  sync(partial);
}

function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
