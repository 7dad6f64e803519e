/** Native: the frames of section 8 of spec/protocol.md, over any duplex link. */
import type { Authenticator } from '../../auth/authenticator.ts';
import type { Identity } from '../../auth/identity.ts';
import type { Clock } from '../../clock.ts';
import type { Hub } from '../../hub/hub.ts';
import type { Link, LinkHandler } from '../../link/link.ts';
import type { Log } from '../../observe/log.ts';
import type { Random } from '../../random.ts';
import type { Wheel } from '../../wheel.ts';
import { jsonCodec } from './codec.ts';
import type { NativeCodec } from './codec.ts';
import type { NativeConfig } from './config.ts';
import { NativeSession } from './session.ts';

/** What sessions are built from. */
export interface NativeParts {
  readonly hub: Hub;
  readonly authenticator: Pick<Authenticator, 'fromToken' | 'fromTicket' | 'ticketFor'>;
  readonly clock: Clock;
  readonly wheel: Wheel;
  readonly random: Random;
  readonly log: Log;
  readonly config: NativeConfig;
}

/** What the handshake said of a session. */
export interface NativeOpening {
  /** Whom it proved; absent when the client must say hello first. */
  readonly identity: Identity | undefined;
  /** The codec of the subprotocol that was chosen. */
  readonly codec: NativeCodec;
}

/** Opens sessions, and knows those that are open. */
export class NativeProtocol {
  readonly name = 'native';
  readonly #parts: NativeParts;
  readonly #sessions = new Set<NativeSession>();

  constructor(parts: NativeParts) {
    this.#parts = parts;
  }

  /** Sessions open now. */
  get sessions(): Iterable<NativeSession> {
    return this.#sessions;
  }

  /**
   * Begins to speak on a link.
   *
   * @param identity whom the handshake proved; absent when the client must say hello first.
   * @param codec of the subprotocol that was chosen; JSON where none was.
   */
  open(link: Link, identity: Identity | undefined, codec: NativeCodec = jsonCodec): LinkHandler {
    const session = new NativeSession(this.#parts, link, { identity, codec }, this.#forget);
    this.#sessions.add(session);
    session.begin();
    return session;
  }

  readonly #forget = (session: NativeSession): void => {
    this.#sessions.delete(session);
  };
}
