/**
 * BesideLog: what is kept of a channel beside its log, for whoever may have it: the retained
 * message, the snapshot, and the end of all of it.
 */
import { CodedError, isWildcard } from '@trunkline/wire';
import type { Action, Identity } from '../auth/identity.ts';
import type { Broker } from '../broker/broker.ts';
import type { Clock } from '../clock.ts';
import { refusal } from './refusals.ts';
import type { BesideLogCalls, Caller } from './hub-types.ts';
import { Retained } from './retained.ts';
import type { RetainedPage, RetainedPageRequest } from './retained.ts';
import { Snapshots } from './snapshots.ts';
import type { Snapshot, SnapshotDraft } from './snapshots.ts';

/** What it is built from. */
export interface BesideLogParts {
  readonly broker: Pick<Broker, 'read' | 'purge' | 'state'>;
  readonly clock: Clock;
  /** The hub's word on who may do what. */
  permits(identity: Identity, action: Action, channel: string): boolean;
  /** @throws {CodedError} `forbidden`. */
  demand(identity: Identity, action: Action, channel: string): void;
}

/** One node's calls beside the log. */
export class BesideLog implements BesideLogCalls {
  readonly retained: Retained;
  readonly snapshots: Snapshots;
  readonly #parts: BesideLogParts;

  constructor(parts: BesideLogParts) {
    const { broker, clock } = parts;
    this.#parts = parts;
    this.retained = new Retained({ state: broker.state, log: broker, clock });
    this.snapshots = new Snapshots({ state: broker.state, log: broker, clock });
  }

  async findRetained(
    { identity }: Caller,
    filter: string,
    page: RetainedPageRequest,
  ): Promise<RetainedPage> {
    const { demand, permits } = this.#parts;
    demand(identity, 'subscribe', filter);
    const found = await this.#answer(this.retained.find(filter, page));
    if (!isWildcard(filter)) return found;
    // A pattern may reach further than what was granted one by one.
    const messages = found.messages.filter(({ channel }) =>
      permits(identity, 'subscribe', channel),
    );
    return { ...found, messages };
  }

  async clearRetained({ identity }: Caller, channel: string): Promise<boolean> {
    this.#parts.demand(identity, 'publish', channel);
    return this.#answer(this.retained.clear(channel));
  }

  async snapshot({ identity }: Caller, channel: string): Promise<Snapshot | undefined> {
    this.#parts.demand(identity, 'subscribe', channel);
    return this.#answer(this.snapshots.get(channel));
  }

  async putSnapshot(
    { identity }: Caller,
    channel: string,
    draft: SnapshotDraft,
  ): Promise<Snapshot> {
    demandServer(identity, 'put snapshots');
    return this.#answer(this.snapshots.put(channel, draft));
  }

  async deleteSnapshot({ identity }: Caller, channel: string): Promise<boolean> {
    demandServer(identity, 'delete snapshots');
    return this.#answer(this.snapshots.delete(channel));
  }

  async purge({ identity }: Caller, channel: string): Promise<void> {
    demandServer(identity, 'purge channels');
    // The log first: what is on its way to be retained is then of a life that is over.
    await this.#answer(this.#parts.broker.purge(channel));
    await this.#answer(Promise.all([this.retained.clear(channel), this.snapshots.delete(channel)]));
  }

  /** An answer of the store, or what clients are told instead. */
  async #answer<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw refusal(error);
    }
  }
}

function demandServer(identity: Identity, what: string): void {
  if (identity.kind === 'server') return;
  throw new CodedError('forbidden', `an API key is needed to ${what}`);
}
