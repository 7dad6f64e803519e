/**
 * Renewal: a client of 5.0 shows a new token by AUTH, and stays connected (5.0 §4.12.1).
 */
import type { Authenticator } from '../../../auth/authenticator.ts';
import { MqttError } from '../codec/faults.ts';
import type { Auth } from '../codec/packets.ts';
import { REASONS } from '../codec/reasons.ts';
import { loginReason } from '../refusal.ts';
import type { MqttSession } from '../session/session.ts';

/** The one method: the data is a token, and one step is all it takes. */
export const AUTHENTICATION_METHOD = 'token';

export class Renewal {
  readonly #authenticator: Pick<Authenticator, 'fromToken'>;

  constructor(authenticator: Pick<Authenticator, 'fromToken'>) {
    this.#authenticator = authenticator;
  }

  /**
   * Gives the session its new identity.
   *
   * @returns what the client is answered.
   * @throws {MqttError} that ends the connection: the token is not good, or another user's, or it does
   *   not allow what is subscribed to.
   */
  async renew(session: MqttSession, { reason, properties }: Auth): Promise<Auth> {
    const { authenticationMethod, authenticationData } = properties;
    if (reason !== REASONS.reauthenticate) {
      throw new MqttError(REASONS.protocolError, '§3.15.2.1', 'expected AUTH to begin anew');
    }
    if (authenticationMethod !== AUTHENTICATION_METHOD || !session.terms.hasMethod) {
      const message = 'expected the authentication method of CONNECT';
      throw new MqttError(REASONS.badAuthenticationMethod, '[MQTT-4.12.1-1]', message);
    }
    const token = Buffer.from(authenticationData ?? []).toString();
    const found = await this.#authenticator.fromToken(token);
    if (found.kind === 'refused') {
      throw new MqttError(loginReason(found.error), '[MQTT-4.12.1-2]', found.error.message);
    }
    if (found.kind === 'none') {
      throw new MqttError(REASONS.notAuthorized, '[MQTT-4.12.1-2]', 'the token is not valid');
    }
    const { kind, user } = session.identity;
    if (found.identity.kind !== kind || found.identity.user !== user) {
      const message = `the token must be of user ${user ?? '(none)'}`;
      throw new MqttError(REASONS.notAuthorized, '[MQTT-4.12.1-2]', message);
    }
    if (!session.renew(found.identity)) {
      const message = 'the token does not allow all that is subscribed to';
      throw new MqttError(REASONS.notAuthorized, '[MQTT-4.12.1-2]', message);
    }
    return { kind: 'auth', reason: REASONS.success, properties: { authenticationMethod } };
  }
}
