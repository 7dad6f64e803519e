/** Fingerprint: tells whether two publishes with the same idempotency key are the same message. */
import { createHash } from 'node:crypto';
import type { Draft } from '@trunkline/wire';
import type { Idempotency } from '../../broker/broker.ts';

/**
 * A SHA-256 of what must be the same: payload, content type and event name. Not `ttl`: it is how
 * long, not what, and one who tries again may ask for what is left of it. Nor `attributes`: one who
 * comes back over another protocol, or another version of one, says the same with others.
 */
export function draftFingerprint(draft: Draft): Uint8Array {
  const hash = createHash('sha256');
  // The JSON text has no raw zero byte, so nothing can move from one part into another.
  hash.update(JSON.stringify([draft.contentType ?? null, draft.event ?? null]));
  hash.update('\0');
  hash.update(draft.payload);
  return hash.digest();
}

/** One text for scope and key; different pairs give different texts. */
export function scopedKey({ scope, key }: Idempotency): string {
  return `${scope.length}:${scope}${key}`;
}

/** True when two fingerprints are the same. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
