/**
 * SessionCheck: whether `Session Present` tells the truth (3.1.1 §3.2.2.2, 5.0 §3.2.2.1.1), for all
 * the server's crashes. Where a CONNECT may or may not have been heard, either answer is right.
 */
import type {
  ConnectEvent,
  EndEvent,
  MqttViolation,
  SubscribeEvent,
  WelcomeEvent,
} from './mqtt-history.ts';

/** How late a server may be to forget what has expired, and how early to count from. */
const SLACK_MS = 2_000;

/** What is known of a client's session at the server. */
interface Known {
  /** `unsure`: a CONNECT was sent whose answer did not come. */
  state: 'none' | 'there' | 'unsure';
  /** Milliseconds that it outlives its connection. */
  expiryMs: number;
  /** When its connection ended; absent while it has one. */
  endedMs?: number | undefined;
  /** True when the server may have counted from a later moment. */
  isLate: boolean;
  /** What the client calls it. */
  session?: string;
  /** True when it holds something; of one that is empty a crash may leave nothing. */
  isUsed: boolean;
  /** The last CONNECT and whether it was answered. */
  asked?: ConnectEvent;
  isAnswered: boolean;
}

export class SessionCheck {
  readonly #report: (violation: MqttViolation) => void;
  readonly #mayLoseAny: boolean;
  readonly #known = new Map<string, Known>();

  /** @param mayLoseAny whether a session of 3.1.1 may be lost together with messages. */
  constructor(report: (violation: MqttViolation) => void, mayLoseAny: boolean) {
    this.#report = report;
    this.#mayLoseAny = mayLoseAny;
  }

  onConnect(event: ConnectEvent): void {
    const known = this.#of(event.client);
    if (known.asked !== undefined && !known.isAnswered) known.state = 'unsure';
    known.asked = event;
    known.isAnswered = false;
  }

  onWelcome(event: WelcomeEvent): void {
    const known = this.#of(event.client);
    const { asked } = known;
    if (asked === undefined) return;
    const expected = this.#expected(known, asked, event.atMs);
    if (expected !== undefined && expected !== event.sessionPresent) {
      const { client, step, connection, sessionPresent } = event;
      const message = `${client} on ${connection}: Session Present must be ${expected}, got ${sessionPresent}`;
      this.#report({ promise: 'session', step, message });
    }
    known.isAnswered = true;
    known.state = 'there';
    if (known.session !== event.session) known.isUsed = false;
    known.session = event.session;
    known.expiryMs = event.expiryMs;
    known.endedMs = undefined;
    known.isLate = false;
  }

  onEnd({ client, atMs, isKnown }: EndEvent): void {
    const known = this.#of(client);
    if (!known.isAnswered) return;
    known.endedMs = atMs;
    if (!isKnown) known.isLate = true;
  }

  onSubscribed({ session }: SubscribeEvent): void {
    for (const known of this.#known.values()) {
      if (known.session === session) known.isUsed = true;
    }
  }

  onCrash(): void {
    for (const known of this.#known.values()) {
      known.isLate = true;
      if (!known.isUsed && known.state === 'there') known.state = 'unsure';
    }
  }

  #expected(known: Known, asked: ConnectEvent, nowMs: number): boolean | undefined {
    if (asked.clean) return false;
    if (known.state !== 'there') return known.state === 'none' ? false : undefined;
    // A session that lost something is begun anew in 3.1.1, which has no other way to tell.
    if (asked.version === 4 && this.#mayLoseAny) return undefined;
    if (known.endedMs === undefined) return known.expiryMs > 0 ? true : undefined;
    // It is judged at some moment between CONNECT and its answer.
    const mostMs = nowMs - known.endedMs;
    const leastMs = asked.atMs - known.endedMs;
    if (known.expiryMs > 0 && mostMs < known.expiryMs - SLACK_MS) return true;
    if (leastMs <= known.expiryMs + SLACK_MS || known.isLate) return undefined;
    return false;
  }

  #of(client: string): Known {
    let known = this.#known.get(client);
    if (known === undefined) {
      known = { state: 'none', expiryMs: 0, isLate: false, isUsed: false, isAnswered: true };
      this.#known.set(client, known);
    }
    return known;
  }
}
