/**
 * EventStreamSession: one event stream, a cursor for a peer that can only listen.
 *
 * It keeps nothing that a reconnect needs: the browser hands the last position back by itself.
 */
import { CodedError } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type { Cursor } from '../../hub/cursor.ts';
import type { Hub } from '../../hub/hub.ts';
import type { Caller, Start, Subscriber } from '../../hub/hub-types.ts';
import type { Close, Link, LinkHandler } from '../../link/link.ts';
import type { Log } from '../../observe/log.ts';
import type { Alarm, AlarmMarks, Wheel } from '../../wheel.ts';
import { eventStream, gapEvent, openEvent } from './codec.ts';

/** What a client asked for in its request. */
export interface StreamRequest {
  readonly caller: Caller;
  readonly channel: string;
  readonly start: Start;
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
export class EventStreamSession implements LinkHandler, Subscriber, Alarm {
  readonly link: Link;
  readonly encoding = eventStream;
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly #parts: EventStreamParts;
  #cursor: Cursor | undefined;
  #ended = false;

  constructor(parts: EventStreamParts, link: Link) {
    this.#parts = parts;
    this.link = link;
  }

  /** Opens the subscription, tells where it stands, and lets it run. */
  async begin(request: StreamRequest): Promise<void> {
    const { hub, wheel, clock, retryMs } = this.#parts;
    const { caller, channel, start } = request;
    try {
      const { cursor, position, recovered, gap } = await hub.subscribe(
        this,
        caller,
        channel,
        start,
      );
      if (this.#ended) {
        hub.unsubscribe(cursor);
        return;
      }
      this.#cursor = cursor;
      const verdict = {
        ...(recovered === undefined ? {} : { recovered }),
        ...(gap === undefined ? {} : { gap }),
      };
      this.link.send(
        openEvent({ session: caller.session, channel, position, retryMs, ...verdict }),
      );
      hub.start(cursor);
    } catch (error) {
      this.#refuse(error);
      return;
    }
    const { expiresAt } = caller.identity;
    if (expiresAt !== undefined) wheel.arm(this, Math.max(0, expiresAt - clock.unixMs()));
  }

  onFrame(): void {
    // The peer can only listen; what it sends after its request means nothing here.
  }

  onDrain(): void {
    if (this.#cursor !== undefined) this.#parts.hub.advance(this.#cursor);
  }

  onGap(channel: string, gap: Gap, position: Position): void {
    this.link.send(gapEvent(channel, gap, position));
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
  }
}
