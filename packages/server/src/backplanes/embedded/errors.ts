/** What went wrong in SQLite, in the words of the broker. */
import { BrokerError } from '../../broker/broker.ts';

// https://www.sqlite.org/rescode.html: the low byte of an extended code is the primary one.
const PRIMARY = 0xff;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;
const BUSY = 5;
const READ_ONLY = 8;
const FULL = 13;
const CANT_OPEN = 14;

const ADVICE: Readonly<Record<number, string>> = {
  [READ_ONLY]: 'the log is read-only: check the permissions of its directory',
  [FULL]: 'the disk or the log file is full: make space, and publishing works again',
  [CORRUPT]: 'the log file is damaged: restore a backup into a new directory',
  [NOT_A_DATABASE]: 'the log file is damaged: restore a backup into a new directory',
  [CANT_OPEN]: "the log can't be opened: check its directory and the permissions",
};

/** True when somebody else holds the lock. */
export function isBusy(error: unknown): boolean {
  return resultCode(error) === BUSY;
}

/** A failure of SQLite as an error of the broker; one of the broker stays as it is. */
export function toBrokerError(error: unknown, stored: false | 'unknown' = false): BrokerError {
  if (error instanceof BrokerError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const advice = ADVICE[resultCode(error)] ?? "the log can't be used";
  return new BrokerError('unavailable', `${advice} (${text})`, { stored, cause: error });
}

/**
 * Whether a commit that failed may be found in the file after all. A full or read-only disk refuses
 * the writing itself, so the commit record is not there. After any other error it may be, and would
 * count if the process ended before the next commit overwrites it.
 */
export function storedAfter(error: unknown): false | 'unknown' {
  return [FULL, READ_ONLY, BUSY].includes(resultCode(error)) ? false : 'unknown';
}

function resultCode(error: unknown): number {
  if (!(error instanceof Error) || !('errcode' in error)) return 0;
  return Number(error.errcode) & PRIMARY;
}
