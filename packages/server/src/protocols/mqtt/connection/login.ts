/** Login: who a client is, by its CONNECT or by what carries it. */
import type { Authentication } from '../../../auth/authenticator.ts';
import type { Identity } from '../../../auth/identity.ts';
import { MqttError } from '../codec/faults.ts';
import type { Connect } from '../codec/packets.ts';
import { REASONS } from '../codec/reasons.ts';
import type { NodeParts } from '../parts.ts';
import { loginReason } from '../refusal.ts';
import { AUTHENTICATION_METHOD } from './renewal.ts';

/** What the carrier of a client says of it. */
export interface Carried {
  readonly remoteAddress: string;
  /** Whom a certificate or the handshake proved; absent where CONNECT tells. */
  readonly identity: Identity | undefined;
}

/**
 * Finds out who a client is.
 *
 * @throws {MqttError} that says why that can't be said, or not now.
 */
export async function identify(
  connect: Connect,
  carried: Carried,
  { authenticator, log }: Pick<NodeParts, 'authenticator' | 'log'>,
): Promise<Identity> {
  const found = await authenticate(connect, carried, authenticator);
  if (found.kind === 'identity') return found.identity;
  if (found.kind === 'none') {
    const message = 'a token, or a user name and its password, is needed';
    throw new MqttError(REASONS.notAuthorized, '[MQTT-3.1.4-2]', message);
  }
  const { error } = found;
  if (error.code === 'internal') {
    log.error({ error: error.cause }, 'who connects over MQTT could not be checked');
  }
  throw new MqttError(loginReason(error), '[MQTT-3.1.4-2]', error.message);
}

/** What a client says of itself wins over what its carrier says of it. */
function authenticate(
  { userName, password, properties }: Connect,
  { remoteAddress, identity }: Carried,
  authenticator: NodeParts['authenticator'],
): Authentication | Promise<Authentication> {
  const { authenticationMethod, authenticationData } = properties;
  if (authenticationMethod !== undefined) {
    if (authenticationMethod !== AUTHENTICATION_METHOD) {
      const message = `expected the authentication method ${AUTHENTICATION_METHOD}`;
      throw new MqttError(REASONS.badAuthenticationMethod, '[MQTT-4.12.0-1]', message);
    }
    return authenticator.fromToken(Buffer.from(authenticationData ?? []).toString());
  }
  if (password === undefined && identity !== undefined) return { kind: 'identity', identity };
  return authenticator.fromLogin({
    address: remoteAddress,
    ...(userName === undefined ? {} : { user: userName }),
    ...(password === undefined ? {} : { password }),
  });
}
