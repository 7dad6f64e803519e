/**
 * Sessions: those of one node, with a connection or stored without one. A client identifier of a user has
 * one session; this begins it or lets it go on, and ends it with its connection.
 */
import type { StateRecord } from '../../../broker/state.ts';
import { Encodings } from '../messages/encoding.ts';
import type { NodeParts } from '../parts.ts';
import { SHARE_PREFIX } from '../share/group-record.ts';
import { ShareGroups } from '../share/groups.ts';
import type { StoredRecords } from '../stored-records.ts';
import type { Loss } from './losses.ts';
import { decodeRecord } from './record.ts';
import type { SessionRecord } from './record.ts';
import { Registry } from './registry.ts';
import type { Holder } from './registry.ts';
import { ownerName, ownerOf, SessionQuota } from './session-quota.ts';
import type { Owner } from './session-quota.ts';
import { SESSION_PREFIX, SessionStore } from './session-store.ts';
import { MqttSession } from './session.ts';
import type { SessionClient, SessionConnection, SessionParts } from './session.ts';

/** A connection that may have a session. */
export interface SessionHolder extends Holder, SessionConnection {
  readonly session: MqttSession | undefined;
}

/** How a client wants its session begun. */
export interface Beginning {
  readonly cleanStart: boolean;
  /** Whether the client can be told of what is lost; else its session begins anew. */
  canTell(losses: readonly Loss[]): boolean;
}

/** A session that has begun. */
export interface Begun {
  readonly session: MqttSession;
  /** True where it is one that was stored. */
  readonly isPresent: boolean;
  /** What its client is to be told of. */
  readonly losses: readonly Loss[];
}

/** The sessions of one node. */
export class Sessions {
  readonly #parts: SessionParts;
  readonly #store: SessionStore;
  readonly #groups: ShareGroups;
  readonly #records: StoredRecords;
  readonly #quota: SessionQuota;
  readonly #registry = new Registry<SessionHolder>();
  /** The ends of sessions that are not stored yet. */
  readonly #ending = new Set<Promise<void>>();

  constructor(parts: NodeParts, records: StoredRecords) {
    this.#records = records;
    this.#quota = new SessionQuota({ ...parts, read: (see) => this.#readAll(see) });
    this.#store = new SessionStore(parts.state);
    this.#groups = new ShareGroups({ ...parts, sessions: this.#store });
    const encodings = new Encodings(parts.clock);
    this.#parts = { ...parts, encodings, store: this.#store, groups: this.#groups };
  }

  /** Those that have a connection. */
  get connectedCount(): number {
    return this.#registry.count;
  }

  /** Those that are stored, whether they have one or not, as far as it is known. */
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
   * Does `work` when the connection before with the same key has ended, and what its session keeps is
   * stored; nobody else with this key has a turn meanwhile.
   *
   * @param check throws when its turn has come and it is not wanted any more: then nobody gives way.
   * @throws {MqttError} session taken over, where another one came before it had its turn.
   */
  inTurn<T>(key: string, check: () => void, work: () => Promise<T>): Promise<T> {
    this.#store.hurry(key);
    return this.#registry.take(key, check, work);
  }

  /**
   * Begins a session, or goes on with the one that is stored. To be called in its turn; who does not
   * `hold` it then ends it.
   *
   * @throws {MqttError} quota exceeded, {CodedError} when that can't be done now; nothing is left of it.
   */
  async begin(client: SessionClient, { cleanStart, canTell }: Beginning): Promise<Begun> {
    const { key, expirySeconds } = client.terms;
    const isDurable = expirySeconds > 0;
    const stored = await this.#store.load(key);
    const whose = ownerNameOf(client);
    if (stored === undefined && isDurable) this.#quota.demandRoom(whose);
    const session = new MqttSession(this.#parts, client);
    if (stored === undefined || cleanStart) {
      if (stored !== undefined) await this.#remove(key, stored);
      if (isDurable) this.#quota.add(key, whose);
      // From here on it is there, though it has nothing yet: a crash of the server does not end it.
      void session.save();
      return { session, isPresent: false, losses: [] };
    }
    let losses: readonly Loss[];
    try {
      losses = await session.resume(stored);
      // From now on it is to end with its connection, whatever becomes of the server.
      if (expirySeconds === 0) await this.#store.remove(key);
      this.#quota.remove(key, ownerName(stored));
      // It may be of another address by now.
      if (isDurable) this.#quota.add(key, whose);
    } catch (error) {
      await session.abandon();
      throw error;
    }
    if (losses.length === 0 || canTell(losses)) {
      // From now on a crash finds it connected: it does not run out meanwhile ([DEV-23]), and what of
      // QoS 0 it is sent was sent ([DEV-38]).
      await orEnd(session, session.storeConnected());
      return { session, isPresent: true, losses };
    }
    // There is one word for it left: that there is no session, and so the client begins anew.
    await session.abandon();
    await this.#groups.onSessionGone(key, stored);
    const anew = new MqttSession(this.#parts, client);
    anew.replace();
    return { session: anew, isPresent: false, losses: [] };
  }

  /** From here on this connection has the session of its key, until `end`. */
  hold(key: string, holder: SessionHolder): void {
    this.#registry.hold(key, holder);
    this.#parts.counts.onSessions(this.#registry.count);
  }

  /** A connection has ended. Resolves when what its session keeps is stored, or can't be any more. */
  async end(session: MqttSession, holder: SessionHolder): Promise<void> {
    const { terms, identity } = session;
    const ended = session.end();
    this.#ending.add(ended);
    try {
      await ended;
    } finally {
      // Until then who comes with the same key waits: it would find what was stored before.
      this.#registry.letGo(terms.key, holder);
      this.#ending.delete(ended);
      const wasKept = terms.expirySeconds > 0 && session.expirySeconds === 0;
      if (wasKept) this.#quota.remove(terms.key, ownerNameOf({ identity, connection: holder }));
    }
  }

  /** Resolves when all that sessions keep which have ended is stored, or can't be now. */
  async stop(): Promise<void> {
    this.#store.close();
    await Promise.allSettled(this.#ending);
  }

  /**
   * Sessions that an earlier life of the server left connected: they run out from now on. Never
   * rejects.
   */
  async takeUp(): Promise<void> {
    await this.#quota.recount((see) => {
      return this.#readAll(see, async (key, record) => {
        if (!this.#registry.isTaken(key)) await this.#store.disconnect(record, this.#parts.clock);
      });
    });
    await this.#records.each(SHARE_PREFIX, (record) => this.#groups.takeUp(record));
  }

  /** All that are stored. @param onRecord called besides with each of them. */
  #readAll(
    see: (key: string, owner: Owner) => void,
    onRecord?: (key: string, record: StateRecord) => Promise<void>,
  ): Promise<void> {
    return this.#records.each(SESSION_PREFIX, (record) => {
      const key = record.key.slice(SESSION_PREFIX.length);
      see(key, decodeRecord(record.value) ?? {});
      return onRecord?.(key, record);
    });
  }

  /** A session that was kept is over; those it shared something with go on without it. */
  async #remove(key: string, record: SessionRecord): Promise<void> {
    await this.#store.remove(key);
    this.#quota.remove(key, ownerName(record));
    await this.#groups.onSessionGone(key, record);
  }
}

/** What fails before a client has its answer ends its session as if it had left. */
export async function orEnd<T>(session: MqttSession, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    await session.end();
    throw error;
  }
}

function ownerNameOf({
  identity,
  connection,
}: Pick<SessionClient, 'identity' | 'connection'>): string | undefined {
  return ownerName(ownerOf(identity, connection.link.info.remoteAddress));
}
