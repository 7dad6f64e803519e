/**
 * SubscriberApart: a session as one of its subscriptions that stand apart sees it. It has the
 * session's link, and all that it is told has the subscription's number [APART-2].
 */
import { formatPosition } from '@trunkline/wire';
import type { Gap, Position, ServerFrame } from '@trunkline/wire';
import type { Caller, Encoding } from '../../hub/hub-types.ts';
import type { PresenceEncoding } from '../../hub/presence/presence-types.ts';
import type { Link } from '../../link/link.ts';
import type { Writing } from './codec.ts';
import type { Subscribing } from './opening.ts';

/** What it needs of the session. */
export interface ApartSession {
  readonly link: Link;
  /** Who asks, now. @throws {CodedError} when nobody is known. */
  caller(): Caller;
  /** Sends one frame, while the session has not ended. */
  tell(frame: ServerFrame): void;
}

/** One for each subscription that stands apart. */
export class SubscriberApart implements Subscribing {
  readonly link: Link;
  readonly encoding: Encoding;
  readonly presenceEncoding: PresenceEncoding;
  readonly #session: ApartSession;
  readonly #as: number;

  constructor(session: ApartSession, as: number, { encoding, presence }: Writing) {
    this.link = session.link;
    this.encoding = encoding;
    this.presenceEncoding = presence;
    this.#session = session;
    this.#as = as;
  }

  caller(): Caller {
    return this.#session.caller();
  }

  onMark([channel = '']: readonly string[], mark: string): void {
    this.#session.tell({ type: 'mark', channel, mark, as: this.#as });
  }

  onGap(channel: string, gap: Gap, position: Position): void {
    const text = formatPosition(position);
    this.#session.tell({ type: 'gap', channel, gap, position: text, as: this.#as });
  }
}
