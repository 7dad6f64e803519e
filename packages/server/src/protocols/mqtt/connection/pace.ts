/**
 * Pace: how fast a client is read. MQTT has no word for "too fast" that every client understands, so who
 * sends more than its rate is not refused but read later: nothing of it is begun until there are tokens
 * again. Until then its connection has one alarm on the wheel, however much waits.
 */
import type { Identity } from '../../../auth/identity.ts';
import { TokenBucket } from '../../../token-bucket.ts';
import type { Alarm, AlarmMarks } from '../../../wheel.ts';
import type { AckKind } from '../codec/acks.ts';
import type { Ack, Packet } from '../codec/packets.ts';
import type { NodeParts } from '../parts.ts';

/** What a pace is built from, as all others of its node. */
export type PaceParts = Pick<NodeParts, 'clock' | 'wheel'> & {
  readonly config: Pick<NodeParts['config'], 'commandsPerSecondMax'>;
};

/** Whose pace it is. */
export interface PaceOwner {
  /** There are tokens again. */
  proceed(): void;
}

/** What is asked of a session. */
export interface Awaiting {
  /** True for an answer to something, said for the first time. */
  awaits(ack: Ack<AckKind>): boolean;
}

/** So many seconds' worth may come at once, as in the native protocol. */
const BURST_SECONDS = 2;

/** The pace of a client; `undefined` where none is set, and for applications [AUTH-3]. */
export function paceFor(
  { kind }: Pick<Identity, 'kind'>,
  parts: PaceParts,
  owner: PaceOwner,
): Pace | undefined {
  if (parts.config.commandsPerSecondMax === 0 || kind === 'server') return undefined;
  return new Pace(parts, owner);
}

export class Pace implements Alarm {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly #parts: PaceParts;
  readonly #owner: PaceOwner;
  readonly #bucket: TokenBucket;
  #isShort = false;

  constructor(parts: PaceParts, owner: PaceOwner) {
    const { clock, config } = parts;
    const { commandsPerSecondMax: perSecond } = config;
    this.#parts = parts;
    this.#owner = owner;
    this.#bucket = new TokenBucket(perSecond * BURST_SECONDS, perSecond, clock.monotonicMs());
  }

  /** True from a token that was missing until `proceed`. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /** Takes a token for a packet that needs one. @returns false when there is none before `proceed`. */
  admits({ kind }: Packet): boolean {
    switch (kind) {
      case 'publish':
      case 'subscribe':
      case 'unsubscribe':
      case 'pingreq':
      case 'auth':
        return this.#take();
      default:
        return true;
    }
  }

  /**
   * A packet that was admitted costs more: a filter what a packet does, and an acknowledgement, which
   * is free as an answer, a token where it answers nothing. Where these are not there, what is behind
   * it waits.
   */
  charge(packet: Packet, session: Awaiting): void {
    for (let count = extraCost(packet, session); count > 0 && this.#take(); count -= 1);
  }

  onAlarm(): void {
    this.#isShort = false;
    this.#owner.proceed();
  }

  /** `proceed` is not called any more. */
  end(): void {
    this.#parts.wheel.cancel(this);
  }

  #take(): boolean {
    if (this.#isShort) return false;
    const { clock, wheel } = this.#parts;
    const waitMs = this.#bucket.take(clock.monotonicMs());
    if (waitMs === 0) return true;
    this.#isShort = true;
    wheel.arm(this, waitMs);
    return false;
  }
}

function extraCost(packet: Packet, session: Awaiting): number {
  switch (packet.kind) {
    case 'subscribe':
      return packet.subscriptions.length - 1;
    case 'unsubscribe':
      return packet.filters.length - 1;
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return session.awaits(packet) ? 0 : 1;
    default:
      return 0;
  }
}
