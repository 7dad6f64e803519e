/**
 * SysSubscriptions: what one session reads below `$SYS`. It gets what the topics say at once, as if
 * that were retained, and then what changes; always with QoS 0, and not while its link is full.
 */
import { CodedError, isWildcard, matchesPattern, patternFault } from '@trunkline/wire';
import type { Identity } from '../../../auth/identity.ts';
import { Outlet } from '../delivery/outlet.ts';
import { PublishBatch, toPublication } from '../messages/encoding.ts';
import type { Publication } from '../messages/encoding.ts';
import { formOf } from '../messages/form.ts';
import type { FilterOptions } from '../messages/form.ts';
import type { FiltersSession } from '../subscriptions/filters.ts';
import type { SysReader, SysValues } from './sys.ts';

/** Filters below `$SYS` that a session may have; there are hardly more topics than these. */
export const FILTERS_MAX = 32;

/** What nearly all sessions have. Nobody writes to it. */
const NONE = new Map<string, FilterOptions>();

const encoder = new TextEncoder();

/** The subscriptions below `$SYS` of one session. */
export class SysSubscriptions implements SysReader {
  readonly #session: FiltersSession;
  #all = NONE;
  #outlet: Outlet | undefined;

  constructor(session: FiltersSession) {
    this.#session = session;
  }

  get count(): number {
    return this.#all.size;
  }

  get filters(): Iterable<string> {
    return this.#all.keys();
  }

  /**
   * Subscribes.
   *
   * @returns what tells the present values, where they are wanted; to be called after the answer.
   * @throws {CodedError} that says why not.
   */
  subscribe(options: FilterOptions, retainHandling: 0 | 1 | 2): () => void {
    const { filter } = options;
    const isNew = !this.#all.has(filter);
    // It is a pattern as others are, but for its first character.
    const fault = patternFault(filter.slice(1));
    if (fault !== undefined) throw new CodedError('not_found', `the filter ${fault}`);
    this.#session.parts.hub.demand(this.#identity, 'subscribe', filter);
    if (isNew && this.#all.size >= FILTERS_MAX) {
      throw new CodedError('rate_limited', `at most ${FILTERS_MAX} filters below $SYS a session`);
    }
    this.#add(options);
    if (retainHandling === 2 || (retainHandling === 1 && !isNew)) return () => {};
    return () => {
      if (this.#all.get(filter) === options)
        this.#tell(this.#session.parts.sys.values(), [options], true);
    };
  }

  /** Takes in what an earlier connection left; what is not allowed any more is left out. */
  restore(options: FilterOptions): void {
    if (!this.#session.parts.hub.permits(this.#identity, 'subscribe', options.filter)) return;
    this.#add(options);
  }

  /** @returns false when there was nothing to unsubscribe from. */
  unsubscribe(filter: string): boolean {
    const existed = this.#all.delete(filter);
    if (this.#all.size === 0) this.end();
    return existed;
  }

  /** What a record keeps of them. */
  kept(): readonly FilterOptions[] {
    return [...this.#all.values()];
  }

  /** Nothing is told any more. */
  end(): void {
    if (this.#outlet === undefined) return;
    this.#outlet = undefined;
    this.#session.parts.sys.unwatch(this);
  }

  onChange(values: SysValues): void {
    this.#tell(values, [...this.#all.values()], false);
  }

  get #identity(): Identity {
    return this.#session.caller().identity;
  }

  #add(options: FilterOptions): void {
    if (this.#all === NONE) this.#all = new Map();
    this.#all.set(options.filter, options);
    if (this.#outlet !== undefined) return;
    this.#outlet = new Outlet(this.#session.delivery, 0);
    this.#session.parts.sys.watch(this);
  }

  /** @param isRetained true where it is told because it was subscribed to. */
  #tell(values: SysValues, filters: readonly FilterOptions[], isRetained: boolean): void {
    const { delivery, parts } = this.#session;
    if (this.#outlet === undefined || this.#outlet.pendingBytes > parts.config.highWaterSize)
      return;
    const publications: Publication[] = [];
    for (const [topic, text] of values) {
      const matching = filters.filter(({ filter }) => matches(filter, topic));
      if (matching.length > 0)
        publications.push(this.#publication(topic, text, matching, isRetained));
    }
    if (publications.length === 0) return;
    const batch = new PublishBatch(publications, { mark: undefined, places: [] });
    delivery.deliver(this.#outlet, batch, true);
  }

  #publication(
    topic: string,
    text: string,
    matching: readonly FilterOptions[],
    isRetained: boolean,
  ): Publication {
    const nowMs = this.#session.parts.clock.unixMs();
    const message = {
      ...{ offset: 0, time: nowMs, contentType: 'text/plain; charset=utf-8' },
      payload: encoder.encode(text),
    };
    const form = formOf(this.#session.terms, matching);
    // They are retained, and whoever wants to know that is told so [MQTT-3.3.1-13].
    const told = { nowMs, isRetained: isRetained || form.retainAsPublished };
    return toPublication({ channel: topic, epoch: '' }, message, form, told);
  }
}

function matches(filter: string, topic: string): boolean {
  return isWildcard(filter) ? matchesPattern(filter, topic) : filter === topic;
}
