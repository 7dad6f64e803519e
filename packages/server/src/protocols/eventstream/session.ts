/**
 * EventStreamSession: one event stream, a cursor for a peer that can only listen.
 *
 * It keeps nothing that a reconnect needs: the browser hands the last position back by itself.
 */
import { CodedError, formatPosition, isWildcard } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type { Hub } from '../../hub/hub.ts';
import type { Caller, Encoding, Start } from '../../hub/hub-types.ts';
import { Cursor } from '../../hub/cursor.ts';
import type { AnyCursor } from '../../hub/selection/overlap-entry.ts';
import type { SelectionSubscriber } from '../../hub/selection/selection-cursor.ts';
import type { FilterVerdict } from '../../hub/selection/selection-opening.ts';
import type { Close, Link, LinkHandler } from '../../link/link.ts';
import type { Log } from '../../observe/log.ts';
import type { Alarm, AlarmMarks, Wheel } from '../../wheel.ts';
import { Attendance } from '../attendance.ts';
import type { Attending } from '../attendance.ts';
import {
  eventStream,
  eventStreamOfMany,
  eventStreamOfObjects,
  gapEvent,
  idEvent,
  openEvent,
  sharedSnapshot,
} from './codec.ts';
import { eventStreamPresence, presenceEvent } from './presence.ts';

/** What a client asked for in its request. */
export interface StreamRequest {
  readonly caller: Caller;
  /** Channels and patterns, and where each begins; without one the stream reads nothing. */
  readonly starts: ReadonlyMap<string, Start>;
  /** Asks to be listed where the namespace lists, and to be told who comes and goes. */
  readonly presence: boolean;
  /** Asks for the snapshot where the resume is not recovered. */
  readonly snapshot: boolean;
  /** Asks for message objects, also of one channel alone. */
  readonly envelope?: boolean;
}

/** What sessions are built from. */
export interface EventStreamParts {
  readonly hub: Hub;
  readonly wheel: Wheel;
  readonly log: Log;
  readonly clock: { unixMs(): number };
  /** How long a browser waits before it reconnects, told in the first event. */
  readonly retryMs: number;
}

/** One client's stream. */
export class EventStreamSession implements LinkHandler, SelectionSubscriber, Attending, Alarm {
  readonly link: Link;
  readonly encoding: Encoding;
  readonly presenceEncoding = eventStreamPresence;
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly #parts: EventStreamParts;
  readonly #request: StreamRequest;
  /** The channel, where the stream carries one alone. */
  readonly #only: string | undefined;
  #cursor: AnyCursor | undefined;
  #attendance: Attendance | undefined;
  #ended = false;

  constructor(parts: EventStreamParts, link: Link, request: StreamRequest) {
    this.#parts = parts;
    this.link = link;
    this.#request = request;
    const [first = ''] = request.starts.keys();
    this.#only = request.starts.size === 1 && !isWildcard(first) ? first : undefined;
    const ofOne = request.envelope === true ? eventStreamOfObjects : eventStream;
    this.encoding = this.#only === undefined ? eventStreamOfMany : ofOne;
  }

  caller(): Caller {
    return this.#request.caller;
  }

  /** Opens the subscription, tells where it stands, and lets it run. */
  async begin(): Promise<void> {
    const { hub, wheel, clock } = this.#parts;
    const { identity } = this.#request.caller;
    try {
      if (this.#request.starts.size === 0) {
        this.#tellOpen([], undefined);
      } else {
        const cursor = await (this.#only === undefined
          ? this.#openMany()
          : this.#openOne(this.#only));
        if (cursor === undefined) return;
        this.#attend();
        hub.start(cursor);
      }
    } catch (error) {
      this.#refuse(error);
      return;
    }
    const { expiresAt } = identity;
    // Its link may have been closed by what it was given.
    if (expiresAt !== undefined && !this.#ended)
      wheel.arm(this, Math.max(0, expiresAt - clock.unixMs()));
  }

  onFrame(): void {
    // The peer can only listen; what it sends after its request means nothing here.
  }

  onDrain(): void {
    this.#attendance?.advance();
    if (this.#cursor !== undefined) this.#parts.hub.advance(this.#cursor);
  }

  onGap(channel: string, gap: Gap, position: Position): void {
    this.link.send(gapEvent(channel, gap, position, this.#only !== undefined));
  }

  onMark(_filters: readonly string[], mark: string): void {
    this.link.send(idEvent(mark));
  }

  onClose(): void {
    this.#end();
  }

  /** The token has ended. */
  onAlarm(): void {
    this.close({ code: 'unauthenticated', reason: 'the token has ended' });
  }

  /** Ends the stream with its code. */
  close(close: Close): void {
    this.#end();
    this.link.close(close);
  }

  /** @returns `undefined` when the peer left meanwhile. */
  async #openOne(channel: string): Promise<AnyCursor | undefined> {
    const { hub } = this.#parts;
    const { caller, starts, snapshot: wants } = this.#request;
    const start = starts.get(channel) ?? {};
    const opened = await hub.subscribe(this, caller, channel, start, { snapshot: wants });
    if (!this.#keep(opened.cursor)) return undefined;
    if (opened.cursor instanceof Cursor) opened.cursor.isAlone = true;
    const { position, snapshot } = opened;
    this.#tellOpen([[channel, opened]], position && formatPosition(position));
    if (snapshot !== undefined) this.link.sendShared(sharedSnapshot(channel, snapshot));
    return opened.cursor;
  }

  async #openMany(): Promise<AnyCursor | undefined> {
    const { caller, starts, snapshot } = this.#request;
    const opened = await this.#parts.hub.subscribeMany(this, caller, starts, { snapshot });
    const { cursor, mark, verdicts, losses, snapshots } = opened;
    if (!this.#keep(cursor)) return undefined;
    this.#tellOpen([...verdicts], mark);
    for (const [channel, state] of snapshots) this.link.sendShared(sharedSnapshot(channel, state));
    for (const { channel, gap, position } of losses) this.onGap(channel, gap, position);
    return cursor;
  }

  #tellOpen(verdicts: readonly (readonly [string, FilterVerdict])[], id: string | undefined): void {
    const { session } = this.#request.caller;
    const place = id === undefined ? {} : { id };
    this.link.send(openEvent({ session, retryMs: this.#parts.retryMs, verdicts, ...place }));
  }

  #keep(cursor: AnyCursor): boolean {
    if (this.#ended) this.#parts.hub.unsubscribe(cursor);
    else this.#cursor = cursor;
    return !this.#ended;
  }

  /** [PRES-10] Lists the reader that asks for it, and tells it who is there if it may know. */
  #attend(): void {
    const { presence, starts, caller } = this.#request;
    if (!presence) return;
    const { hub } = this.#parts;
    this.#attendance = new Attendance(hub, this);
    for (const channel of starts.keys()) {
      if (isWildcard(channel)) continue;
      // Listed first: the list that the reader is given has the reader itself.
      if (hub.isListed(channel)) this.#attendance.enter(channel);
      if (!hub.permits(caller.identity, 'presence', channel)) continue;
      const page = this.#attendance.watch(channel);
      this.link.send(presenceEvent(channel, { kind: 'snapshot', page }));
    }
  }

  #refuse(error: unknown): void {
    const known = error instanceof CodedError ? error : undefined;
    const code = known?.code ?? 'internal';
    if (code === 'internal') {
      this.#parts.log.error({ error: known?.cause ?? error }, 'opening an event stream failed');
    }
    const retryAfter = known?.retryAfter;
    this.close({ code, ...(retryAfter === undefined ? {} : { retryAfter }) });
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#parts.wheel.cancel(this);
    if (this.#cursor !== undefined) this.#parts.hub.unsubscribe(this.#cursor);
    this.#attendance?.end();
  }
}
