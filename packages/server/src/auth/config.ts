/** What authentication is told: what a config file says of it, and what that means as a whole. */
import { z } from 'zod';
import { field } from '../config/field.ts';
import { infoFault, userFault } from './claims.ts';
import { ACTIONS, grantFault } from './identity.ts';
import { passwordHashFault } from './password-hash.ts';

/** What stands for the user in the patterns of `auth.certificates.channels`. */
export const USER_PLACE = '%u';

const secretText = z.string().min(1);
const actions = z.array(z.enum(ACTIONS));

const channels = z.record(z.string().superRefine(refuseWith(channelFault)), actions);

/** Patterns as they are for somebody; who it is can make one too long, and is refused then. */
const channelsOfUser = z.record(
  z
    .string()
    .superRefine(refuseWith((pattern) => channelFault(pattern.replaceAll(USER_PLACE, 'user')))),
  actions,
);

const user = z.strictObject({
  password: z.string().superRefine(refuseWith(passwordHashFault)).exactOptional(),
  channels: channels.exactOptional(),
  info: z.unknown().superRefine(refuseWith(infoFault)).optional(),
});

/** Who may come in, as a config file says it. */
export const authSchema = z.strictObject({
  apiKeys: field(
    z.array(secretText).default([]),
    'Bearer keys with which applications call the server.',
    { env: 'TRUNKLINE_API_KEY', flag: '--api-key <key>', secret: true },
  ),
  jwtSecret: field(secretText.exactOptional(), 'Shared secret that signs HS256 tokens.', {
    env: 'TRUNKLINE_JWT_SECRET',
    flag: '--jwt-secret <secret>',
    secret: true,
  }),
  origins: field(
    z.array(z.string().min(1)).default([]),
    'Origins let in beside the server’s own; * stands for one label of a host, any port, or all.',
    { env: 'TRUNKLINE_ORIGIN', flag: '--origin <pattern>' },
  ),
  insecure: field(
    z.boolean().default(false),
    'Serve on an address that is not loopback without auth, or in development mode.',
    { env: 'TRUNKLINE_INSECURE', flag: '--insecure' },
  ),
  users: field(
    z.record(z.string().superRefine(refuseWith(userFault)), user).default({}),
    'Who logs in over MQTT by a name: password (a hash from trunkline password), channels (actions ' +
      'by pattern, as a token has them) and info, each of which may be left out.',
    { secret: true },
  ),
  certificates: z
    .strictObject({
      name: field(
        z.enum(['commonName', 'dns', 'uri']).default('commonName'),
        'Where a client certificate names its user: the subject’s common name, or the only DNS name ' +
          'or URI among the alternative names.',
        { env: 'TRUNKLINE_CERTIFICATE_NAME' },
      ),
      channels: field(
        channelsOfUser.default({}),
        'What a client certificate grants to a user whom auth.users does not know: actions by ' +
          'pattern, in which %u stands for the user.',
      ),
    })
    .prefault({}),
});

/** Who may come in, decided. */
export type AuthConfig = z.output<typeof authSchema>;

/** Who is let in, and what proves it. */
export interface AuthOptions {
  /** True when every request is local by its Host and Origin, and all of them are welcome. */
  readonly development: boolean;
  /** True when clients without a token are let in. Default: only in development mode. */
  readonly anonymous?: boolean;
  /** Bearer keys with which applications call the server. Default: none. */
  readonly apiKeys?: readonly string[];
  /** Shared secret of HS256 tokens. Default: none, so tokens are refused outside development. */
  readonly jwtSecret?: string;
  /** Signs resume tickets, the same on all nodes. */
  readonly secret: string;
  /** Who logs in by a name, by that name. Default: nobody. */
  readonly users?: AuthConfig['users'];
  /** What a client certificate says and grants. Default: the common name, and nothing. */
  readonly certificates?: AuthConfig['certificates'];
}

/** Tokens remembered as verified; over it the oldest is forgotten and verified again. */
export const VERIFIED_TOKENS_MAX = 10_000;

/** How far ahead the clock of a token's issuer may be. A token's end knows no tolerance. */
export const CLOCK_TOLERANCE_MS = 5_000;

/** The life of a ticket whose identity has no end of its own, so that old keys fade out. */
export const ENDLESS_TICKET_MS_MAX = 24 * 60 * 60 * 1000;

/** Passwords remembered as right; over it the oldest is forgotten and checked again. */
export const VERIFIED_PASSWORDS_MAX = 10_000;

/** How long a password is remembered as right, so that coming back soon costs next to nothing. */
export const VERIFIED_PASSWORD_MS = 10 * 60 * 1000;

/**
 * Passwords checked at the same time. The threads that do it read files and look up names as well,
 * and each check takes its hash's memory.
 */
export const PASSWORD_CHECKS_MAX = 2;

/** Passwords that wait for their check; over it a login is refused with `unavailable`. */
export const PASSWORDS_WAITING_MAX = 128;

/** Of those, how many of one address: nobody keeps all others out by asking. */
export const PASSWORDS_WAITING_PER_ADDRESS_MAX = 32;

/** When somebody who was refused because too many passwords waited may try again. */
export const PASSWORD_RETRY_MS = 2_000;

/** In other brokers `%u` and `%c` stand for somebody anywhere; here they would grant nothing. */
function channelFault(pattern: string): string | undefined {
  if (!/%[uc]/.test(pattern)) return grantFault(pattern);
  return 'has %u in auth.certificates alone, and %c nowhere: write the name of the user';
}

/** Makes a refinement of a function that says why something can't be. */
function refuseWith<T>(fault: (value: T) => string | undefined) {
  return (value: T, context: { addIssue(message: string): void }): void => {
    const message = fault(value);
    if (message !== undefined) context.addIssue(message);
  };
}
