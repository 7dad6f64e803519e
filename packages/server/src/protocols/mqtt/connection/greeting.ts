/**
 * Greeting: whether a CONNECT is accepted, and with which session. It asks in an order in which what is
 * cheap to refuse is refused first.
 */
import type { Authentication } from '../../../auth/authenticator.ts';
import type { Identity } from '../../../auth/identity.ts';
import type { StateRecord } from '../../../broker/state.ts';
import { MqttError } from '../codec/faults.ts';
import { packetSize } from '../codec/encode.ts';
import type { Connack, Connect, Will } from '../codec/packets.ts';
import { REASONS } from '../codec/reasons.ts';
import type { MqttConnection } from './connection.ts';
import { Encodings, SESSION_PROPERTY } from '../messages/encoding.ts';
import type { LeftOver } from '../left-over.ts';
import type { NodeParts } from '../parts.ts';
import { decodeRecord } from '../session/record.ts';
import type { SessionRecord } from '../session/record.ts';
import { loginReason } from '../refusal.ts';
import { Registry } from './registry.ts';
import { AUTHENTICATION_METHOD } from './renewal.ts';
import { MqttSession } from '../session/session.ts';
import type { SessionClient, SessionConnection, SessionParts } from '../session/session.ts';
import { ownerOf, ownerName, SessionQuota } from '../session/session-quota.ts';
import type { Owner } from '../session/session-quota.ts';
import { SESSION_PREFIX, sessionKey, SessionStore } from '../session/session-store.ts';
import { SHARE_PREFIX } from '../share/group-record.ts';
import { ShareGroups } from '../share/groups.ts';
import { lossProperties } from '../session/losses.ts';
import type { Loss } from '../session/losses.ts';
import { grant, grantedProperties } from './terms.ts';
import type { Granted } from './terms.ts';
import type { KeptWill, Wills } from '../wills/will.ts';

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

/** Characters of a client identifier that the server chooses, and of a session's word. */
const WORD_LENGTH = 16;

/** Greets the clients of one node. */
export class Greeting {
  readonly #parts: SessionParts;
  readonly #wills: Wills;
  readonly #store: SessionStore;
  readonly #groups: ShareGroups;
  readonly #leftOver: LeftOver;
  readonly #quota: SessionQuota;
  readonly #registry = new Registry<MqttConnection>();
  /** The ends of sessions that are not stored yet. */
  readonly #leaving = new Set<Promise<void>>();

  constructor(parts: NodeParts, wills: Wills, leftOver: LeftOver) {
    this.#wills = wills;
    this.#leftOver = leftOver;
    this.#quota = new SessionQuota({ ...parts, read: (see) => this.#readSessions(see) });
    this.#store = new SessionStore(parts.state);
    this.#groups = new ShareGroups({ ...parts, sessions: this.#store });
    const encodings = new Encodings(parts.clock);
    this.#parts = { ...parts, encodings, store: this.#store, groups: this.#groups };
  }

  /** Sessions that have a connection. */
  get sessionCount(): number {
    return this.#registry.count;
  }

  /** Sessions that are stored, whether they have one or not, as far as it is known. */
  get storedCount(): number {
    return this.#quota.count;
  }

  /** What those that have one subscribe to. */
  get subscriptionCount(): number {
    let count = 0;
    for (const { session } of this.#registry.holders) count += session?.subscriptionCount ?? 0;
    return count;
  }

  /**
   * Accepts a client; the connection before under its name has ended then.
   *
   * @throws {MqttError} that says why not.
   */
  async greet(
    connect: Connect,
    connection: MqttConnection,
    carried: Identity | undefined,
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
    const identity = await this.#identify(connect, carried, remoteAddress);
    const key = sessionKey(identity, granted.clientId);
    const { cleanStart } = connect;
    if (connect.will !== undefined) this.#wills.check({ identity, session: key }, connect.will);
    const demandPresence = (): void => {
      // Who has gone ends nobody else's connection.
      if (connection.isOver) throw new MqttError(REASONS.unspecifiedError, '§3.1.4', 'it has gone');
    };
    this.#store.hurry(key);
    return this.#registry.take(key, demandPresence, async () => {
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
      const canTell = (losses: readonly Loss[]): boolean =>
        granted.version === 5 && packetSize(connackFor(true, losses), 5) <= granted.packetSizeMax;
      const { session, isPresent, losses } = await this.#begin(client, cleanStart, canTell);
      const will = await this.#settleWills(session, isPresent, connect.will);
      const connack = withWord(connackFor(isPresent, losses), session, granted);
      this.#registry.hold(key, connection);
      this.#parts.counts.onSessions(this.#registry.count);
      connection.accept({ session, connection, will });
      return { session, connack };
    });
  }

  /** The connection of an accepted client has ended. @param withWill unless it said goodbye. */
  async leave({ session, connection, will }: Accepted, withWill: boolean): Promise<void> {
    const { key } = session.terms;
    const ended = session.end();
    this.#leaving.add(ended);
    if (will !== undefined && withWill) this.#wills.release(will, session.expirySeconds);
    else if (will !== undefined) this.#wills.drop(will);
    try {
      await ended;
    } finally {
      // Until then who comes with the same key waits: it would find what was stored before.
      this.#registry.letGo(key, connection);
      this.#leaving.delete(ended);
      const wasKept = session.terms.expirySeconds > 0 && session.expirySeconds === 0;
      if (wasKept) this.#quota.remove(key, clientOwner(session.identity, connection));
    }
  }

  /** Resolves when all that sessions keep which have ended is stored, or can't be now. */
  async stop(): Promise<void> {
    this.#store.close();
    await Promise.allSettled(this.#leaving);
  }

  /**
   * Sessions that an earlier life of the server left connected: they run out from now on. Never
   * rejects.
   */
  async takeUp(): Promise<void> {
    await this.#quota.recount((see) => {
      return this.#readSessions(see, async (key, record) => {
        if (!this.#registry.isTaken(key)) await this.#store.disconnect(record, this.#parts.clock);
      });
    });
    await this.#leftOver.each(SHARE_PREFIX, (record) => this.#groups.takeUp(record));
  }

  /** All that are stored. @param onRecord called besides with each of them. */
  #readSessions(
    see: (key: string, owner: Owner) => void,
    onRecord?: (key: string, record: StateRecord) => Promise<void>,
  ): Promise<void> {
    return this.#leftOver.each(SESSION_PREFIX, (record) => {
      const key = record.key.slice(SESSION_PREFIX.length);
      see(key, decodeRecord(record.value) ?? {});
      return onRecord?.(key, record);
    });
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
    return this.#orEnd(session, settle());
  }

  /** What fails before a client has its answer ends its session as if it had left. */
  async #orEnd<T>(session: MqttSession, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      await session.end();
      throw error;
    }
  }

  /** @param canTell whether the answer can say what is lost. */
  async #begin(
    client: SessionClient,
    cleanStart: boolean,
    canTell: (losses: readonly Loss[]) => boolean,
  ): Promise<{ session: MqttSession; isPresent: boolean; losses: readonly Loss[] }> {
    const { key, expirySeconds } = client.terms;
    const isDurable = expirySeconds > 0;
    const stored = await this.#store.load(key);
    const whose = clientOwner(client.identity, client.connection);
    if (stored === undefined && isDurable) this.#quota.demandRoom(whose);
    const session = new MqttSession(this.#parts, client);
    if (stored === undefined || cleanStart) {
      if (stored !== undefined) await this.#remove(key, stored.record);
      if (isDurable) this.#quota.add(key, whose);
      // From here on it is there, though it has nothing yet: a crash of the server does not end it.
      void session.save();
      return { session, isPresent: false, losses: [] };
    }
    let losses: readonly Loss[];
    try {
      losses = await session.resume(stored.record);
      // From now on it is to end with its connection, whatever becomes of the server.
      if (expirySeconds === 0) await this.#store.remove(key);
      this.#quota.remove(key, ownerName(stored.record));
      // It may be of another address by now.
      if (isDurable) this.#quota.add(key, whose);
    } catch (error) {
      await session.abandon();
      throw error;
    }
    if (losses.length === 0 || canTell(losses)) {
      // From now on a crash finds it connected: it does not run out meanwhile ([DEV-23]), and what of
      // QoS 0 it is sent was sent ([DEV-38]).
      await this.#orEnd(session, session.storeConnected());
      return { session, isPresent: true, losses };
    }
    // There is one word for it left: that there is no session, and so the client begins anew.
    await session.abandon();
    await this.#groups.onSessionGone(key, stored.record);
    const anew = new MqttSession(this.#parts, client);
    anew.replace();
    return { session: anew, isPresent: false, losses: [] };
  }

  /** A session that was kept is over; those it shared something with go on without it. */
  async #remove(key: string, record: SessionRecord): Promise<void> {
    await this.#store.remove(key);
    this.#quota.remove(key, ownerName(record));
    await this.#groups.onSessionGone(key, record);
  }

  async #identify(
    connect: Connect,
    carried: Identity | undefined,
    address: string,
  ): Promise<Identity> {
    const found = await this.#authenticate(connect, carried, address);
    if (found.kind === 'identity') return found.identity;
    if (found.kind === 'none') {
      const message = 'a token, or a user name and its password, is needed';
      throw new MqttError(REASONS.notAuthorized, '[MQTT-3.1.4-2]', message);
    }
    const { error } = found;
    if (error.code === 'internal') {
      this.#parts.log.error({ error: error.cause }, 'who connects over MQTT could not be checked');
    }
    throw new MqttError(loginReason(error), '[MQTT-3.1.4-2]', error.message);
  }

  /** What a client says of itself wins over what its carrier says of it. */
  #authenticate(
    { userName, password, properties }: Connect,
    carried: Identity | undefined,
    address: string,
  ): Authentication | Promise<Authentication> {
    const { authenticator } = this.#parts;
    const { authenticationMethod, authenticationData } = properties;
    if (authenticationMethod !== undefined) {
      if (authenticationMethod !== AUTHENTICATION_METHOD) {
        const message = `expected the authentication method ${AUTHENTICATION_METHOD}`;
        throw new MqttError(REASONS.badAuthenticationMethod, '[MQTT-4.12.0-1]', message);
      }
      return authenticator.fromToken(Buffer.from(authenticationData ?? []).toString());
    }
    if (password === undefined && carried !== undefined) {
      return { kind: 'identity', identity: carried };
    }
    return authenticator.fromLogin({
      address,
      ...(userName === undefined ? {} : { user: userName }),
      ...(password === undefined ? {} : { password }),
    });
  }
}

function clientOwner(
  identity: Identity,
  { link }: Pick<SessionConnection, 'link'>,
): string | undefined {
  return ownerName(ownerOf(identity, link.info.remoteAddress));
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
