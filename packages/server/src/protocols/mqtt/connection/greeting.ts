/**
 * Greeting: whether a CONNECT is accepted, and what it is answered. It asks in an order in which what is
 * cheap to refuse is refused first.
 */
import type { Identity } from '../../../auth/identity.ts';
import { packetSize } from '../codec/encode.ts';
import { MqttError } from '../codec/faults.ts';
import type { Connack, Connect, Will } from '../codec/packets.ts';
import { REASONS } from '../codec/reasons.ts';
import { SESSION_PROPERTY } from '../messages/encoding.ts';
import { WORD_LENGTH } from '../parts.ts';
import type { NodeParts } from '../parts.ts';
import { lossProperties } from '../session/losses.ts';
import type { Loss } from '../session/losses.ts';
import { sessionKey } from '../session/session-store.ts';
import type { MqttSession, SessionClient } from '../session/session.ts';
import { orEnd } from '../session/sessions.ts';
import type { Sessions } from '../session/sessions.ts';
import type { KeptWill, Wills } from '../wills/will.ts';
import type { MqttConnection } from './connection.ts';
import { identify } from './login.ts';
import { grant, grantedProperties } from './terms.ts';
import type { Granted } from './terms.ts';

/** A client that was accepted, kept as long as it is connected. */
export interface Accepted {
  readonly session: MqttSession;
  readonly connection: MqttConnection;
  /** What is to be published when the client goes without a word. */
  readonly will: KeptWill | undefined;
}

/** The answer to a CONNECT. */
export interface Welcome {
  readonly session: MqttSession;
  readonly connack: Connack;
}

/** Greets the clients of one node, and sees them off. */
export class Greeting {
  readonly #parts: NodeParts;
  readonly #sessions: Sessions;
  readonly #wills: Wills;

  constructor(parts: NodeParts, sessions: Sessions, wills: Wills) {
    this.#parts = parts;
    this.#sessions = sessions;
    this.#wills = wills;
  }

  /**
   * Accepts a client; the connection before under its name has ended then.
   *
   * @param proved who its carrier says it is; absent where CONNECT tells.
   * @throws {MqttError} that says why not.
   */
  async greet(
    connect: Connect,
    connection: MqttConnection,
    proved: Identity | undefined,
  ): Promise<Welcome> {
    const { config, random } = this.#parts;
    const closed = this.#parts.refusal();
    if (closed !== undefined) {
      const isSent = config.serverReference !== undefined;
      const reason = isSent ? REASONS.useAnotherServer : REASONS.serverUnavailable;
      throw new MqttError(reason, '§3.2.2.2', closed.message);
    }
    const granted = grant(connect, config, random.word(WORD_LENGTH));
    const { remoteAddress } = connection.link.info;
    const identity = await identify(connect, { remoteAddress, identity: proved }, this.#parts);
    const key = sessionKey(identity, granted.clientId);
    if (connect.will !== undefined) this.#wills.check({ identity, session: key }, connect.will);
    const demandPresence = (): void => {
      // Who has gone ends nobody else's connection.
      if (connection.isOver) throw new MqttError(REASONS.unspecifiedError, '§3.1.4', 'it has gone');
    };
    return this.#sessions.inTurn(key, demandPresence, async () => {
      const client: SessionClient = { identity, connection, terms: { ...granted, key } };
      const connackFor = (isPresent: boolean, losses: readonly Loss[]): Connack => ({
        kind: 'connack',
        sessionPresent: isPresent,
        reason: REASONS.success,
        properties: {
          ...grantedProperties(connect, granted, config),
          ...methodOf(connect),
          ...lossProperties(losses),
        },
      });
      const { session, isPresent, losses } = await this.#sessions.begin(client, {
        cleanStart: connect.cleanStart,
        canTell: (lost) =>
          granted.version === 5 && packetSize(connackFor(true, lost), 5) <= granted.packetSizeMax,
      });
      const will = await this.#settleWills(session, isPresent, connect.will);
      const connack = withWord(connackFor(isPresent, losses), session, granted);
      this.#sessions.hold(key, connection);
      connection.accept({ session, connection, will });
      return { session, connack };
    });
  }

  /** The connection of an accepted client has ended. @param withWill unless it said goodbye. */
  async leave({ session, connection, will }: Accepted, withWill: boolean): Promise<void> {
    const ended = this.#sessions.end(session, connection);
    if (will !== undefined && withWill) this.#wills.release(will, session.expirySeconds);
    else if (will !== undefined) this.#wills.drop(will);
    await ended;
  }

  /** The will before is done with, and the new one is stored, before the client has its answer. */
  async #settleWills(
    session: MqttSession,
    isPresent: boolean,
    will: Will | undefined,
  ): Promise<KeptWill | undefined> {
    const { key, expirySeconds } = session.terms;
    const settle = async (): Promise<KeptWill | undefined> => {
      await this.#wills.onConnect(key, isPresent);
      if (will === undefined) return undefined;
      return this.#wills.keep({ key, expirySeconds, caller: session.caller() }, will);
    };
    return orEnd(session, settle());
  }
}

/** [MQTT-4.12.0-5]: the method stands in CONNACK as it did in CONNECT. */
function methodOf({ properties: { authenticationMethod } }: Connect): {
  readonly authenticationMethod?: string;
} {
  return authenticationMethod === undefined ? {} : { authenticationMethod };
}

/** Who asks for positions is told the word of its session as well, where that fits [DEV-31]. */
function withWord(connack: Connack, session: MqttSession, granted: Granted): Connack {
  if (!granted.positions) return connack;
  const { properties } = connack;
  const word = [SESSION_PROPERTY, session.caller().session] as const;
  const userProperties = [...(properties.userProperties ?? []), word];
  const told = { ...connack, properties: { ...properties, userProperties } };
  return packetSize(told, 5) <= granted.packetSizeMax ? told : connack;
}
