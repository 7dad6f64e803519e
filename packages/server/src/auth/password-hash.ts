/**
 * PasswordHash: what is kept of a password, as text: `scrypt$<N>$<r>$<p>$<salt>$<hash>`, the last two
 * in base64url without padding [AUTH-10]. The numbers are those of RFC 7914, so that a hash says
 * itself what checking it costs, and old ones go on working when new ones cost more.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

/** Bytes of a password, in UTF-8. */
export const PASSWORD_BYTES_MAX = 1024;

/**
 * N of RFC 7914, a power of two: what a check may cost, and what those of new hashes do. With r and p
 * below that is one of the settings that OWASP recommends.
 */
export const PASSWORD_COST: { readonly min: number; readonly max: number; readonly usual: number } =
  { min: 2 ** 10, max: 2 ** 18, usual: 2 ** 14 };
const DEFAULT_BLOCK_SIZE = 8;
const DEFAULT_PARALLELIZATION = 5;
const BLOCK_SIZE_MAX = 32;
const PARALLELIZATION_MAX = 16;
const MEMORY_BYTES_MAX = 256 * 1024 * 1024;

const SALT_SIZE = 16;
const HASH_SIZE = 32;
/** Bytes of those that were made elsewhere. */
const SALT_SIZE_MIN = 8;
const HASH_SIZE_MIN = 16;
const SIZE_MAX = 64;

const FORM = /^scrypt\$([0-9]{1,9})\$([0-9]{1,9})\$([0-9]{1,9})\$([\w-]+)\$([\w-]+)$/;

/** A hash and how it was made. */
export interface PasswordHash {
  /** N of RFC 7914: a power of two. */
  readonly cost: number;
  /** Its r. */
  readonly blockSize: number;
  /** Its p. */
  readonly parallelization: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** Reads the text of a hash. @throws {Error} that says what was expected; it never has the text. */
export function parsePasswordHash(text: string): PasswordHash {
  const match = FORM.exec(text);
  if (match === null) {
    throw new Error('must be like scrypt$N$r$p$salt$hash: make it with trunkline password');
  }
  const [cost = 0, blockSize = 0, parallelization = 0] = match.slice(1, 4).map(Number);
  const wrongCost = costFault(cost);
  if (wrongCost !== undefined) throw new Error(`must have as N ${wrongCost}`);
  if (blockSize < 1 || blockSize > BLOCK_SIZE_MAX) {
    throw new Error(`must have 1 to ${BLOCK_SIZE_MAX} as r, got ${blockSize}`);
  }
  if (parallelization < 1 || parallelization > PARALLELIZATION_MAX) {
    throw new Error(`must have 1 to ${PARALLELIZATION_MAX} as p, got ${parallelization}`);
  }
  const salt = bytesOf(match[4], 'salt', SALT_SIZE_MIN);
  const hash = bytesOf(match[5], 'hash', HASH_SIZE_MIN);
  const read = { cost, blockSize, parallelization, salt, hash };
  if (memoryOf(read) > MEMORY_BYTES_MAX) {
    throw new Error(`must need at most ${MEMORY_BYTES_MAX} bytes, 128·N·r, got ${memoryOf(read)}`);
  }
  return read;
}

/** Why `text` is no hash that can be checked, or `undefined` when it is one. */
export function passwordHashFault(text: string): string | undefined {
  try {
    parsePasswordHash(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Why `cost` can't be N, or `undefined` when it can. */
export function costFault(cost: number): string | undefined {
  const { min, max } = PASSWORD_COST;
  if (cost >= min && cost <= max && Number.isInteger(Math.log2(cost))) return undefined;
  return `a power of two from ${min} to ${max}, got ${cost}`;
}

/** Why `password` can't be one, or `undefined` when it can. */
export function passwordFault(password: string): string | undefined {
  if (password === '') return 'must not be empty';
  const size = Buffer.byteLength(password);
  return size > PASSWORD_BYTES_MAX
    ? `must have at most ${PASSWORD_BYTES_MAX} bytes, got ${size}`
    : undefined;
}

/**
 * Makes the text of a password's hash, with a salt of its own.
 *
 * @param cost N: what each check costs, within `PASSWORD_COST`.
 */
export async function hashPassword(
  password: string,
  cost: number = PASSWORD_COST.usual,
): Promise<string> {
  const made = {
    cost,
    blockSize: DEFAULT_BLOCK_SIZE,
    parallelization: DEFAULT_PARALLELIZATION,
    salt: randomBytes(SALT_SIZE),
    hash: new Uint8Array(HASH_SIZE),
  };
  return format({ ...made, hash: await derive(password, made) });
}

/** True when `known` is the hash of `password`. The work is done off the event loop. */
export async function matchesHash(password: string, known: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, known), known.hash);
}

function derive(password: string, like: PasswordHash): Promise<Buffer> {
  const { cost: N, blockSize: r, parallelization: p, salt, hash } = like;
  // What OpenSSL counts: N and p blocks, and two more to work in.
  const maxmem = memoryOf(like) + 128 * r * (p + 4);
  return new Promise((resolve, reject) => {
    scrypt(password, salt, hash.length, { N, r, p, maxmem }, (error, derived) => {
      if (error === null) resolve(derived);
      else reject(error);
    });
  });
}

function memoryOf({ cost, blockSize }: PasswordHash): number {
  return 128 * cost * blockSize;
}

function format({ cost, blockSize, parallelization, salt, hash }: PasswordHash): string {
  const bytes = [salt, hash].map((one) => Buffer.from(one).toString('base64url'));
  return ['scrypt', cost, blockSize, parallelization, ...bytes].join('$');
}

function bytesOf(text: string | undefined, what: string, sizeMin: number): Uint8Array {
  const bytes = Buffer.from(text ?? '', 'base64url');
  // A lenient decoder takes several spellings for the same bytes, and cuts what is no spelling.
  if (bytes.toString('base64url') !== text) throw new Error(`must have a ${what} in base64url`);
  if (bytes.length >= sizeMin && bytes.length <= SIZE_MAX) return bytes;
  throw new Error(`must have ${sizeMin} to ${SIZE_MAX} bytes of ${what}, got ${bytes.length}`);
}
