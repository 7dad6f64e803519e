/**
 * WebSocket: everything that is read and asked, over one session.
 *
 * Of each filter at most one command is under way. What is wished anew meanwhile is said when that
 * one was answered, and the answer itself is not told: so every opening belongs to the newest wish.
 *
 * A session is given each message once, however many filters match it, from the oldest place that
 * was asked for: what it was given already does not come again for a filter that is answered later
 * and begins behind that place ([WILD-4]). Hence:
 * - Patterns are read first, and what comes for a filter that was not answered yet is told behind
 *   its opening.
 * - Before a filter is added that names a place, those that match the same channels begin again
 *   where they stand now, so that what is older comes again.
 * - When a filter that is read begins again, what is told before the opening is of the reading
 *   before ([WS-13]).
 */
import { CodedError, isWildcard, matchesPattern } from '@trunkline/wire';
import { backoffMs } from '../backoff.ts';
import type { Frame } from '../encodings/encoding.ts';
import { endingOf } from '../ending.ts';
import type { Ending } from '../ending.ts';
import { toCode, toGap, toMessage, toOpening, toPresence, toSnapshot } from '../events.ts';
import type { Platform, Timer } from '../platform.ts';
import { membersIn, Session } from './session.ts';
import type { Ask, Attempt, AttemptSink, Target, Transport, Welcome, Wish } from './transport.ts';

/** Pushes that wait for openings; with more of them they are told as they come. */
const HELD_MAX = 10_000;

/** What was read for so long before it was refused begins with short waits again. */
const GOOD_READING_MS = 5000;

/** `GET /v1/ws`: one connection, both ways. */
export const websocket: Transport = {
  name: 'websocket',
  isContiguous: true,
  fault: ({ WebSocket }) =>
    typeof WebSocket === 'function' ? undefined : 'this runtime has no WebSocket',
  open: (target, sink, platform) => new WebSocketAttempt(target, sink, platform),
};

/** What is known of the server's subscription to one filter. */
interface Reading {
  /** A command is under way, or waits until it may be tried again. */
  isBusy: boolean;
  /** The server reads it, were it by an older wish. */
  isOpen: boolean;
  /** Since when, monotonic; `Infinity` where it was not opened since the last refusal. */
  openedMs: number;
  refusalCount: number;
  retryTimer?: Timer;
}

/** A push about a channel or pattern. */
interface Push {
  readonly type: string;
  readonly channel: string;
  readonly frame: Frame;
}

class WebSocketAttempt implements Attempt {
  readonly #sink: AttemptSink;
  readonly #platform: Platform;
  readonly #session: Session;
  /** What the server reads or is asked to. */
  readonly #readings = new Map<string, Reading>();
  /** Whose wish is to be said, in this order; true where there is a new one. */
  readonly #due = new Map<string, boolean>();
  /** What was wished when the session began and was not answered yet. */
  readonly #opening = new Set<string>();
  /** Pushes that wait for what is opening, in order. */
  #held: Push[] = [];
  #paceTimer: Timer | undefined;
  #isPlanned = false;
  /** A token that came before the welcome. */
  #newToken: string | undefined;

  constructor(target: Target, sink: AttemptSink, platform: Platform) {
    this.#sink = sink;
    this.#platform = platform;
    const handlers = {
      onWelcome: (welcome: Welcome) => this.#onWelcome(welcome),
      onPush: (type: string, frame: Frame) => this.#onPush(type, frame),
      onEnd: (ending: Ending) => {
        this.#stop();
        sink.onEnd(ending);
      },
    };
    this.#session = new Session(target, handlers, platform);
  }

  revise(filter: string): void {
    if (!this.#session.isOpen) return;
    this.#due.set(filter, true);
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    queueMicrotask(() => this.#sayWishes());
  }

  request(ask: Ask): Promise<Frame> {
    // Who asks to read and then publishes gets what it publishes. [CMD-4]
    this.#sayWishes();
    return new Promise((resolve, reject) => {
      this.#session.request(membersOf(ask), (reply) =>
        reply instanceof CodedError ? reject(reply) : resolve(reply),
      );
    });
  }

  send(members: string): void {
    this.#sayWishes();
    this.#session.send(`"type":"publish",${members}`);
  }

  renew(token: string): void {
    this.#newToken = token;
    if (!this.#session.isOpen) return;
    this.#session.request(membersIn({ type: 'refresh', token }), (reply) => {
      if (reply instanceof CodedError) this.#session.end({ kind: 'stale', error: reply });
    });
  }

  probe(): void {
    this.#session.probe();
  }

  close(): void {
    this.#stop();
    this.#session.close();
  }

  #stop(): void {
    this.#paceTimer?.cancel();
    for (const { retryTimer } of this.#readings.values()) retryTimer?.cancel();
  }

  #onWelcome(welcome: Welcome): void {
    if (this.#newToken !== undefined) this.renew(this.#newToken);
    this.#sink.onReady(welcome);
    // Patterns first.
    const filters = this.#sink.filters().toSorted((a, b) => +isWildcard(b) - +isWildcard(a));
    this.#due.clear();
    for (const filter of filters) {
      this.#due.set(filter, false);
      this.#opening.add(filter);
    }
    this.#sayWishes();
  }

  /** Says what is due, as fast as the server takes commands. */
  #sayWishes(): void {
    this.#isPlanned = false;
    this.#paceTimer?.cancel();
    for (const [filter, isNew] of this.#due) {
      if (!this.#session.isOpen) return;
      if (this.#readings.get(filter)?.isBusy === true) continue;
      const { paceMs } = this.#session;
      if (paceMs > 0) {
        this.#paceTimer = this.#platform.clock.after(paceMs, () => this.#sayWishes());
        return;
      }
      const wish = this.#sink.wish(filter);
      if (isNew && wish !== undefined && this.#putBehindOthers(wish)) continue;
      this.#say(filter, wish);
    }
  }

  /**
   * Has those that match the same channels begin again first, if there are any: else what they were
   * given would not come again. A name that is read already begins again by itself. [WILD-4]
   */
  #putBehindOthers({ filter, after, last }: Wish): boolean {
    const beginsNow = after === undefined && last === undefined;
    const isRead = this.#readings.get(filter)?.isOpen === true;
    if (beginsNow || (isRead && !isWildcard(filter))) return false;
    this.#due.delete(filter);
    for (const [other, { isBusy }] of this.#readings) {
      if (isBusy || this.#due.has(other) || other === filter) continue;
      if (mayOverlap(other, filter)) this.#due.set(other, false);
    }
    this.#due.set(filter, false);
    return true;
  }

  #say(filter: string, wish: Wish | undefined): void {
    this.#due.delete(filter);
    const known = this.#readings.get(filter);
    if (wish === undefined && known === undefined) return;
    const reading = known ?? { isBusy: false, isOpen: false, openedMs: Infinity, refusalCount: 0 };
    this.#readings.set(filter, reading);
    reading.isBusy = true;
    this.#session.request(wishMembers(filter, wish), (reply) => {
      if (!this.#session.isOpen) return;
      if (reply instanceof CodedError) this.#onError(filter, reading, reply);
      else if (wish === undefined) this.#readings.delete(filter);
      else this.#onSubscribed(filter, reading, reply);
      // What comes from here on is of this reading, even if another one is due.
      this.#opening.delete(filter);
      this.#tellHeld();
      this.#sayWishes();
    });
  }

  #onSubscribed(filter: string, reading: Reading, { fields }: Frame): void {
    reading.isBusy = false;
    reading.isOpen = true;
    reading.openedMs = this.#platform.clock.monotonicMs();
    if (this.#due.has(filter)) return;
    const opening = toOpening(filter, fields);
    if (opening === undefined) {
      const reason = `the server subscribed to ${filter} without a position`;
      this.#session.end({ kind: 'lost', reason });
      return;
    }
    this.#sink.onOpen(opening);
    const present = toPresence('presence', fields);
    if (present !== undefined && this.#session.isOpen) this.#sink.onPresence(present);
  }

  /** What was asked of a filter failed, or the server has ended it. */
  #onError(filter: string, reading: Reading, error: CodedError): void {
    const ending = endingOf(error);
    if (ending.kind === 'stale' || error.code === 'timeout') {
      this.#session.end(ending);
    } else if (ending.kind === 'lost') {
      const { clock, random } = this.#platform;
      if (clock.monotonicMs() - reading.openedMs >= GOOD_READING_MS) reading.refusalCount = 0;
      reading.openedMs = Infinity;
      const delayMs = backoffMs(reading.refusalCount, random(), ending.hint);
      reading.refusalCount += 1;
      reading.isBusy = true;
      reading.retryTimer = clock.after(delayMs, () => {
        reading.isBusy = false;
        // What others were given meanwhile has to come again.
        this.#due.set(filter, true);
        this.#sayWishes();
      });
    } else {
      this.#readings.delete(filter);
      // What was read by an older wish goes on otherwise. [CMD-3]
      if (reading.isOpen) this.#session.request(wishMembers(filter, undefined), () => {});
      if (!this.#due.has(filter)) this.#sink.onRefused(filter, error);
    }
  }

  #onPush(type: string, frame: Frame): void {
    const { channel } = frame.fields;
    if (typeof channel !== 'string') return;
    const push = { type, channel, frame };
    if (this.#held.length === 0 && !this.#isOpening(channel)) {
      this.#tell(push);
    } else if (this.#held.push(push) > HELD_MAX) {
      this.#opening.clear();
      this.#tellHeld();
    }
  }

  /** Tells what waits no more, in order: a mark holds for all that came before it. */
  #tellHeld(): void {
    let told = 0;
    for (const push of this.#held) {
      if (!this.#session.isOpen || this.#isOpening(push.channel)) break;
      told += 1;
      this.#tell(push);
    }
    if (told > 0) this.#held = this.#held.slice(told);
  }

  #isOpening(channel: string): boolean {
    for (const filter of this.#opening) if (matchesPattern(filter, channel)) return true;
    return false;
  }

  #tell({ type, channel, frame: { fields, source } }: Push): void {
    if (type === 'message') {
      const message = toMessage(fields, source);
      if (message === undefined) this.#doubt(type, channel);
      else this.#sink.onMessage(message);
    } else if (type === 'snapshot') {
      const snapshot = toSnapshot(fields, source);
      if (snapshot !== undefined) this.#sink.onSnapshot(snapshot);
    } else if (type === 'unsubscribed') {
      this.#onUnsubscribed(channel, toCode(fields['code'], 'forbidden'));
    } else {
      this.#onPlace(type, channel, fields);
    }
  }

  /** Pushes that move the place, and those that tell who is there. */
  #onPlace(type: string, channel: string, fields: Frame['fields']): void {
    const { position, mark, epoch, to } = fields;
    if (type === 'gap') {
      const gap = toGap(fields['gap']);
      if (gap === undefined || typeof position !== 'string') this.#doubt(type, channel);
      else this.#sink.onGap({ kind: 'gap', channel, gap, position });
    } else if (type === 'expired' && typeof epoch === 'string' && typeof to === 'number') {
      this.#sink.onExpired(channel, `${epoch}:${to}`);
    } else if (type === 'mark' && typeof mark === 'string') {
      this.#sink.onMark([channel], mark);
    } else {
      const present = toPresence(type, fields);
      if (present !== undefined) this.#sink.onPresence(present);
    }
  }

  /** Passed over it would be a loss that nobody hears of: what was missed is read anew. */
  #doubt(type: string, channel: string): void {
    this.#session.end({ kind: 'lost', reason: `the server sent a broken ${type} of ${channel}` });
  }

  /** The answer to a command that is under way says what becomes of that one. */
  #onUnsubscribed(filter: string, code: ReturnType<typeof toCode>): void {
    const reading = this.#readings.get(filter);
    if (reading === undefined) return;
    reading.isOpen = false;
    if (reading.isBusy) return;
    this.#onError(
      filter,
      reading,
      new CodedError(code, `the server ended the reading of ${filter}`),
    );
  }
}

/** False only where no channel is matched by both. */
function mayOverlap(a: string, b: string): boolean {
  return (isWildcard(a) && isWildcard(b)) || matchesPattern(a, b) || matchesPattern(b, a);
}

function wishMembers(channel: string, wish: Wish | undefined): string {
  if (wish === undefined) return membersIn({ type: 'unsubscribe', channel });
  return membersIn({ type: 'subscribe', channel, ...wish, filter: undefined });
}

function membersOf(ask: Ask): string {
  if ('members' in ask) return `"type":"${ask.kind}",${ask.members}`;
  const { kind: type, channel, query } = ask;
  return membersIn({ type, channel, ...query });
}
