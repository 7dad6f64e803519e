/**
 * Intake: the packets of one client, begun one after the other in the order they came.
 *
 * What takes time holds up what is behind it, so that a client which subscribes and then publishes gets
 * its own message; and so does a client that is owed too much, or sends faster than its rate. Nothing is
 * read meanwhile: what waits is what was read before, about one chunk.
 */
import type { Link } from '../../../link/link.ts';
import { MqttError } from '../codec/faults.ts';
import type { Packet } from '../codec/packets.ts';
import type { Pace } from './pace.ts';

/** What was read; an error stands where the stream broke. */
export type Received = Packet | MqttError;

/** What an intake needs of its connection. */
export interface IntakeConnection {
  readonly link: Link;
  /** True once nothing is begun any more. */
  readonly isOver: boolean;
  /** True while so much is unsent, owed or not stored that nothing more is to be begun. */
  readonly isFull: boolean;
  /** It is this one's turn. Must not throw. */
  onReceived(received: Received): void;
  /** It is read again: what was sent meanwhile comes now. */
  onResumed(): void;
}

/** What nearly all connections have at any time. Nobody writes to it. */
const NOTHING: Received[] = [];

/** The packets of one connection. */
export class Intake {
  /** How fast they are begun; absent where no rate holds. */
  pace: Pace | undefined;
  readonly #connection: IntakeConnection;
  #waiting = NOTHING;
  /** How many of those are begun. */
  #begun = 0;
  #isBusy = false;
  #isPaused = false;

  constructor(connection: IntakeConnection) {
    this.#connection = connection;
  }

  /** True while something takes time. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** True while nothing is read. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** True while something that was read waits for its turn. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Nearly always a packet is begun as it comes: while one may not be, the link is paused. */
  add(received: Received): void {
    if (this.#connection.isOver) return;
    if (this.#isPaused || !this.#isInPace(received)) {
      if (this.#waiting === NOTHING) this.#waiting = [received];
      else this.#waiting.push(received);
      if (!this.#isPaused) this.#pause();
      return;
    }
    this.#connection.onReceived(received);
    // An acknowledgement only makes room.
    const isAck = !(received instanceof MqttError) && received.kind === 'puback';
    if (!isAck || this.pace?.isShort === true) this.#pause();
  }

  /** Begins what waits, until something takes time, or there is no room or no token for more. */
  proceed(): void {
    while (this.#begun < this.#waiting.length && this.#mayGoOn()) {
      const waiting = this.#waiting[this.#begun];
      if (waiting === undefined || !this.#isInPace(waiting)) break;
      this.#begun += 1;
      this.#connection.onReceived(waiting);
    }
    if (this.#connection.isOver) return;
    // Not each time: what waits may be very many small packets.
    if (this.#begun * 2 >= this.#waiting.length) {
      const isEmpty = this.#begun === this.#waiting.length;
      this.#waiting = isEmpty ? NOTHING : this.#waiting.slice(this.#begun);
      this.#begun = 0;
    }
    this.#pause();
  }

  /** What was begun takes time: until `release` nothing else is. */
  hold(): void {
    this.#isBusy = true;
  }

  /** It is done. */
  release(): void {
    this.#isBusy = false;
    this.proceed();
  }

  /** Nothing is begun any more. To be called when the connection is over. */
  end(): void {
    this.pace?.end();
    this.#waiting = NOTHING;
  }

  #isInPace(received: Received): boolean {
    return this.pace === undefined || received instanceof MqttError || this.pace.admits(received);
  }

  #mayGoOn(): boolean {
    return !this.#connection.isOver && !this.#isHeldUp && !this.#connection.isFull;
  }

  get #isHeldUp(): boolean {
    return this.#isBusy || this.pace?.isShort === true;
  }

  #pause(): void {
    if (this.#connection.isOver) return;
    const { link, isFull } = this.#connection;
    if (isFull && link.pendingBytes > 0) link.requestDrain();
    const paused = isFull || this.#isHeldUp || this.#waiting.length > 0;
    if (paused === this.#isPaused) return;
    this.#isPaused = paused;
    if (!paused) this.#connection.onResumed();
    link.setPaused(paused);
  }
}
