/**
 * Retained: what is retained in the channels of a subscription, sent when it is made (5.0 §3.3.1.3).
 *
 * It is read in pages, and only while the client takes what it is sent: however much is retained, a
 * slow client costs one page. How far it came is part of what a session stores, so that a connection
 * that breaks halfway takes nothing from one that goes on.
 */
import { formatPosition, isWildcard, parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import { Cursor } from '../../../hub/cursor.ts';
import { refusal } from '../../../hub/refusals.ts';
import type { RetainedMessage, RetainedPage } from '../../../hub/retained.ts';
import type { Delivery } from '../delivery/delivery.ts';
import { Outlet } from '../delivery/outlet.ts';
import { PublishBatch, toPublication } from '../messages/encoding.ts';
import { formOf } from '../messages/form.ts';
import type { FilterOptions } from '../messages/form.ts';
import type { BatchEnd, Place } from '../messages/place.ts';
import type { FiltersSession } from './filters.ts';
import type { Subscription } from './subscription.ts';

/** What is still to be sent for one filter, as a record keeps it. */
export interface KeptRetained {
  readonly filter: string;
  /** The channel that was told last. */
  readonly after?: string;
  /** Where the subscription began. */
  readonly begin?: string;
}

/** Messages of one page. */
const PAGE_COUNT = 100;

/** How long after a failed read it is tried again. */
const RETRY_MS = 1000;

/** Who is told that some of it was sent. */
interface TellingOwner {
  onSent(telling: Telling): void;
}

/** What is still to be sent for one filter. */
class Telling {
  options: FilterOptions;
  readonly outlet: Outlet;
  /** What comes after this in its channel is told live; of patterns nothing is known. */
  readonly begin: Position | undefined;
  /** The channel that was sent last, and the one that was read last. */
  sentTo: string | undefined;
  readTo: string | undefined;
  /** False until the answer to SUBSCRIBE has left. */
  isStarted = false;
  isRead = false;
  readonly #owner: TellingOwner;

  constructor(
    options: FilterOptions,
    delivery: Delivery,
    begin: Position | undefined,
    owner: TellingOwner,
  ) {
    this.options = options;
    this.begin = begin;
    this.outlet = new Outlet(delivery, options.qos);
    this.outlet.place = this;
    this.#owner = owner;
  }

  reach({ places }: BatchEnd): void {
    for (const place of places) this.reachPlace(place);
    this.#owner.onSent(this);
  }

  reachPlace({ channel }: Place): void {
    this.sentTo = channel;
  }
}

/** What a session has that is owed nothing. Nobody writes to it. */
const NONE = new Map<string, Telling>();

/** What one session is still to be told of what is retained. */
export class Retained implements TellingOwner {
  readonly #session: FiltersSession;
  /** By filter, in the order in which they were asked for. */
  #tellings = NONE;
  #isReading = false;
  #ended = false;

  constructor(session: FiltersSession) {
    this.#session = session;
  }

  /**
   * A filter was subscribed to. What was asked for before goes on where this does not ask anew.
   *
   * @returns what begins to send; to be called after the answer.
   */
  add({ options, cursor }: Subscription, isWanted: boolean): () => void {
    const before = this.#tellings.get(options.filter);
    if (!isWanted) {
      if (before !== undefined) this.#change(before, options);
      return () => {};
    }
    if (before !== undefined) this.drop(options.filter);
    const begin = cursor instanceof Cursor ? cursor.place : undefined;
    const telling = this.#make(options, begin);
    return () => {
      telling.isStarted = true;
      this.advance();
    };
  }

  /** The filter is not subscribed to any more. */
  drop(filter: string): void {
    const telling = this.#tellings.get(filter);
    if (telling === undefined) return;
    this.#forget(telling);
    this.#session.delivery.drop(telling.outlet);
  }

  /** Takes in what an earlier connection left, of filters that are still subscribed to. */
  restore(kept: readonly KeptRetained[], subscriptions: Iterable<Subscription>): void {
    const byFilter = new Map(kept.map((one) => [one.filter, one]));
    for (const { options } of subscriptions) {
      const one = byFilter.get(options.filter);
      if (one === undefined) continue;
      // Of one channel there is one message, and it was sent.
      if (one.after !== undefined && !isWildcard(one.filter)) continue;
      const begin = one.begin === undefined ? undefined : parsePosition(one.begin);
      const telling = this.#make(options, begin);
      telling.sentTo = one.after;
      telling.readTo = one.after;
      telling.isStarted = true;
    }
  }

  /** What a record keeps; of QoS 0 nothing is owed. */
  kept(): readonly KeptRetained[] {
    const owed = [...this.#tellings.values()].filter(({ options }) => options.qos > 0);
    return owed.map(({ options: { filter }, sentTo, begin }) => ({
      filter,
      ...(sentTo === undefined ? {} : { after: sentTo }),
      ...(begin === undefined ? {} : { begin: formatPosition(begin) }),
    }));
  }

  /** There may be room. */
  advance(): void {
    if (this.#isReading || this.#ended) return;
    for (const telling of this.#tellings.values()) {
      if (!telling.isStarted || telling.isRead) continue;
      if (telling.outlet.pendingBytes > this.#session.parts.config.highWaterSize) {
        telling.outlet.requestDrain();
        return;
      }
      this.#isReading = true;
      // Never rejects.
      void this.#read(telling);
      return;
    }
  }

  onSent(telling: Telling): void {
    // What was read last is sent: then nothing of it waits.
    const isDone = telling.isRead && telling.sentTo === telling.readTo;
    if (isDone && this.#isCurrent(telling)) this.#forget(telling);
    if (telling.options.qos > 0) this.#session.onProgress();
  }

  /** Nothing more is sent. */
  end(): void {
    this.#ended = true;
  }

  #make(options: FilterOptions, begin: Position | undefined): Telling {
    const telling = new Telling(options, this.#session.delivery, begin, this);
    if (this.#tellings === NONE) this.#tellings = new Map();
    this.#tellings.set(options.filter, telling);
    return telling;
  }

  #change(telling: Telling, options: FilterOptions): void {
    telling.options = options;
    telling.outlet.qos = options.qos;
  }

  async #read(telling: Telling): Promise<void> {
    const { hub, clock, config } = this.#session.parts;
    const { options, readTo } = telling;
    try {
      const page = await hub.beside.findRetained(this.#session.caller(), options.filter, {
        countMax: PAGE_COUNT,
        sizeMax: config.highWaterSize,
        isWanted: () => !this.#ended && this.#isCurrent(telling),
        ...(readTo === undefined ? {} : { after: readTo }),
      });
      this.#isReading = false;
      if (!this.#ended && this.#isCurrent(telling)) this.#send(telling, page);
      this.advance();
    } catch (error) {
      if (refusal(error).code === 'unavailable') {
        clock.after(RETRY_MS, () => {
          this.#isReading = false;
          this.advance();
        });
        return;
      }
      // It may not be read any more.
      if (this.#isCurrent(telling)) this.#forget(telling);
      this.#isReading = false;
      this.advance();
    }
  }

  #forget({ options }: Telling): void {
    this.#tellings.delete(options.filter);
    if (this.#tellings.size === 0) this.#tellings = NONE;
  }

  #isCurrent(telling: Telling): boolean {
    return this.#tellings.get(telling.options.filter) === telling;
  }

  #send(telling: Telling, { messages, next }: RetainedPage): void {
    const { delivery, parts } = this.#session;
    const nowMs = parts.clock.unixMs();
    const form = formOf(this.#session.terms, [telling.options]); // Overlaps are no matter here.
    const publications = messages
      .filter((one) => this.#isTold(telling, one))
      .map((one) => toPublication(one, one.message, form, { nowMs, isRetained: true }));
    const readTo = next ?? messages.at(-1)?.channel ?? telling.readTo;
    telling.readTo = readTo;
    telling.isRead = next === undefined;
    const places = readTo === undefined ? [] : [{ channel: readTo, epoch: '', offset: 0 }];
    const end: BatchEnd = { mark: undefined, places };
    if (publications.length === 0) delivery.reach(telling.outlet, end);
    else delivery.deliver(telling.outlet, new PublishBatch(publications, end), true);
  }

  /** All but what comes live, or did, and what No Local leaves out [MQTT-3.8.3-3]. */
  #isTold({ begin, options }: Telling, { epoch, message }: RetainedMessage): boolean {
    if (begin !== undefined && epoch === begin.epoch && message.offset > begin.offset) return false;
    return !options.noLocal || message.from?.session !== this.#session.caller().session;
  }
}
