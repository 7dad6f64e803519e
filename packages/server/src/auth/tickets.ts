/**
 * Tickets: the `resume` of a welcome. A ticket carries an identity alone, signed with the secret
 * that all nodes share, so that a client comes back to any node without asking whoever issued its
 * token. Signing and checking are synchronous: a handshake waits for nothing.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { CodedError } from '@trunkline/wire';
import type { Clock } from '../clock.ts';
import { ENDLESS_TICKET_MS_MAX } from './config.ts';
import { ACTIONS } from './identity.ts';
import type { Action, Identity } from './identity.ts';

/** Names the format; another one begins differently. */
const PREFIX = 'r1.';

/** What a ticket says. Short names: it is sent with every welcome. */
interface TicketBody {
  readonly kind: Identity['kind'];
  readonly user?: string;
  readonly info?: unknown;
  /** Actions by pattern, one bit each in the order of `ACTIONS`: shorter than the token's list. */
  readonly grants?: Readonly<Record<string, number>>;
  /** When the identity ends. */
  readonly ends?: number;
  /** When the ticket ends: no later than the identity. */
  readonly until?: number;
}

/** Signs and checks resume tickets. */
export class Tickets {
  readonly #key: Uint8Array;
  readonly #clock: Clock;
  #anonymous: string | undefined;

  /** @param secret the same on all nodes. */
  constructor(secret: string, clock: Clock) {
    // A key of its own, so that no signature made for another purpose is a ticket.
    this.#key = createHmac('sha256', secret).update('trunkline resume ticket').digest();
    this.#clock = clock;
  }

  /**
   * A ticket for the identity. It ends with the identity; one that never ends gets a ticket of a
   * day, and an anonymous one, which proves nothing, the same ticket for all.
   */
  sign(identity: Identity): string {
    if (identity.kind === 'anonymous') {
      this.#anonymous ??= this.#seal({ kind: 'anonymous' });
      return this.#anonymous;
    }
    const { kind, user, info, grants, expiresAt } = identity;
    return this.#seal({
      kind,
      ...(user === undefined ? {} : { user }),
      ...(info === undefined ? {} : { info }),
      ...(grants.size === 0 ? {} : { grants: grantBits(identity) }),
      ...(expiresAt === undefined
        ? { until: this.#clock.unixMs() + ENDLESS_TICKET_MS_MAX }
        : { ends: expiresAt }),
    });
  }

  /**
   * The identity a ticket carries.
   *
   * @throws {CodedError} `unauthenticated` when it is no ticket of these nodes, or has ended.
   */
  verify(ticket: string): Identity {
    const body = this.#open(ticket);
    const end = body.ends ?? body.until;
    if (end !== undefined && end <= this.#clock.unixMs()) {
      throw refused('the resume ticket has expired: say hello with a token');
    }
    return {
      kind: body.kind,
      ...(body.user === undefined ? {} : { user: body.user }),
      ...(body.info === undefined ? {} : { info: body.info }),
      grants: grantsOf(body),
      ...(body.ends === undefined ? {} : { expiresAt: body.ends }),
    };
  }

  #seal(body: TicketBody): string {
    const signed = PREFIX + Buffer.from(JSON.stringify(body)).toString('base64url');
    return `${signed}.${this.#mac(signed).toString('base64url')}`;
  }

  #open(ticket: string): TicketBody {
    const dot = ticket.lastIndexOf('.');
    if (!ticket.startsWith(PREFIX) || dot < PREFIX.length) {
      throw refused('resume must be the ticket of a welcome');
    }
    const signed = ticket.slice(0, dot);
    // As text, because a lenient decoder would take several spellings for the same bytes.
    const given = Buffer.from(ticket.slice(dot + 1));
    const expected = Buffer.from(this.#mac(signed).toString('base64url'));
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw refused('the resume ticket is not signed by this server: say hello with a token');
    }
    // Signed, so written by `#seal`: its shape needs no second check.
    const json = Buffer.from(signed.slice(PREFIX.length), 'base64url').toString();
    return JSON.parse(json) as TicketBody;
  }

  #mac(signed: string): Buffer {
    return createHmac('sha256', this.#key).update(signed).digest();
  }
}

function grantBits(identity: Identity): Record<string, number> {
  const bits = [...identity.grants].map(([pattern, actions]): [string, number] => [
    pattern,
    ACTIONS.reduce((sum, action, bit) => (actions.has(action) ? sum | (1 << bit) : sum), 0),
  ]);
  return Object.fromEntries(bits);
}

function grantsOf(body: TicketBody): Map<string, ReadonlySet<Action>> {
  const grants = new Map<string, ReadonlySet<Action>>();
  for (const [pattern, bits] of Object.entries(body.grants ?? {})) {
    grants.set(pattern, new Set(ACTIONS.filter((_, bit) => (bits & (1 << bit)) !== 0)));
  }
  return grants;
}

function refused(message: string): CodedError {
  return new CodedError('unauthenticated', message);
}
