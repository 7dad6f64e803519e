/**
 * Tokens and tickets nobody should trust. Here's how it works:
 *
 * 1. Claims of all shapes are signed with the right key: an identity, or `unauthenticated`.
 * 2. Good tokens and tickets are broken in a few places: they say what they said, or are refused.
 * 3. Texts that are neither are refused.
 */
import { createHmac } from 'node:crypto';
import { deepStrictEqual, ok, strictEqual } from 'node:assert';
import { Authenticator } from '@trunkline/server/internal/auth/authenticator.ts';
import type { Authentication } from '@trunkline/server/internal/auth/authenticator.ts';
import { ManualClock, seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import { headOf } from '../api/requests.ts';

const SECRET = 'a secret of at least thirty-two bytes';
const HEADERS = [
  '{"alg":"HS256"}',
  '{"alg":"HS256","typ":"JWT"}',
  '{"alg":"none"}',
  '{}',
  '[]',
  '{',
];
const CLAIMS = ['sub', 'sub', 'exp', 'nbf', 'iat', 'channels', 'channels', 'aud', '__proto__'];
const VALUES = [
  ...['"alice"', '""', '"\\u0000"', '7', '-1', '1e400', '1e300', '9999999999', 'null', '[]', '{}'],
  ...['{"a":["publish"]}', '{"a/#":["subscribe"],"+":[]}', '{"#/a":["publish"]}', '{"a":["x"]}'],
  ...['{"a":"publish"}', '{"$a":[]}', '{"__proto__":["history"]}', '{"a":[null]}', '{"":[]}'],
];
const PIECES = ['.', '=', 'A', 'e', '-', '_', '+', '/', 'é', ' ', '\0', 'r1.', '..'];

/** Tries `rounds` tokens and tickets from `seed`; throws an `AssertionError` that names the bad. */
export async function fuzzAuth(seed: number, rounds: number): Promise<void> {
  const random = seededRandom(seed);
  const clock = new ManualClock();
  const authenticator = new Authenticator(
    { development: false, apiKeys: ['key'], jwtSecret: SECRET, secret: 'node' },
    { clock, origins: { isTrusted: () => true } },
  );
  const good = sign('{"alg":"HS256"}', '{"sub":"alice","channels":{"a":["publish"]}}');
  const alice = await authenticator.fromToken(good);
  if (alice.kind !== 'identity') throw new Error('expected the good token to be taken');
  const ticket = authenticator.ticketFor(alice.identity);

  for (let round = 0; round < rounds; round += 1) {
    const told = (text: string): string => `seed ${seed}, round ${round}: ${JSON.stringify(text)}`;
    const claimed = sign(random.pick(HEADERS), makeClaims(random));
    checkOutcome(await authenticator.fromToken(claimed), told(claimed));

    const whole = random.pick([good, ticket, claimed, '']);
    const broken = damaged(random, whole);
    const found = await authenticator.fromToken(broken);
    const head = headOf({ headers: { authorization: `Bearer ${broken}` } });
    for (const each of [found, await authenticator.fromRequest(head)]) {
      checkOutcome(each, told(broken));
    }
    if (found.kind === 'identity') {
      // Base64url ends in bits that mean nothing: another spelling, the same token.
      deepStrictEqual(found, await authenticator.fromToken(whole), told(broken));
    }
    const returned = authenticator.fromTicket(broken);
    checkOutcome(returned, told(broken));
    if (returned.kind === 'identity') strictEqual(broken, ticket, told(broken));
  }
}

function checkOutcome(found: Authentication, told: string): void {
  if (found.kind === 'refused') {
    strictEqual(found.error.code, 'unauthenticated', `${found.error.message}: ${told}`);
    return;
  }
  ok(found.kind === 'identity', told);
  const { identity } = found;
  strictEqual(identity.kind, 'user', told);
  ok(identity.user !== undefined && identity.user !== '', told);
}

function makeClaims(random: SeededRandom): string {
  const members = random.chance(0.8) ? ['"sub":"alice"'] : [];
  while (random.chance(0.7)) members.push(`"${random.pick(CLAIMS)}":${random.pick(VALUES)}`);
  return random.chance(0.05) ? random.pick(VALUES) : `{${members.join()}}`;
}

function sign(header: string, payload: string): string {
  const signed = [header, payload].map((part) => Buffer.from(part).toString('base64url')).join('.');
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

function damaged(random: SeededRandom, text: string): string {
  let broken = text;
  do {
    const at = random.integer(broken.length + 1);
    const piece = random.chance(0.6) ? random.pick(PIECES) : '';
    broken = broken.slice(0, at) + piece + broken.slice(at + random.integer(3));
  } while (random.chance(0.3));
  return broken;
}
