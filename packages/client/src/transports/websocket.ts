/**
 * WebSocket: everything that is read and asked, over one session.
 *
 * A name is subscribed to by itself. Each pattern stands apart, under a number of its own, since what
 * several subscriptions match is delivered once otherwise ([WILD-4], [APART-1]): so every push says
 * what it is for.
 *
 * Of each of them at most one command is under way. What is wished anew meanwhile is said when that
 * one was answered, and the answer itself is not told: so every opening belongs to the newest wish.
 * When a name that is read begins again, what is told before the opening is of the reading before
 * ([WS-13]).
 */
import { CodedError, CODE_RULES, isWildcard } from '@trunkline/wire';
import { backoffMs } from '../backoff.ts';
import type { Frame } from '../encodings/encoding.ts';
import { endingOf } from '../ending.ts';
import type { Ending } from '../ending.ts';
import { toCode, toGap, toMessage, toOpening, toPresence, toSnapshot } from '../events.ts';
import type { Platform, Timer } from '../platform.ts';
import { membersIn, Session } from './session.ts';
import type { Ask, Attempt, AttemptSink, Target, Transport, Welcome, Wish } from './transport.ts';

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

/** What is known of one subscription at the server. */
interface Reading {
  readonly filter: string;
  /** Of a pattern: the number under which it stands apart. */
  readonly as: number | undefined;
  /** A command is under way, or waits until it may be tried again. */
  isBusy: boolean;
  /** The server reads it, were it by an older wish. */
  isOpen: boolean;
  /** Since when, monotonic; `Infinity` where it was not opened since the last refusal. */
  openedMs: number;
  refusalCount: number;
  retryTimer?: Timer;
}

class WebSocketAttempt implements Attempt {
  readonly #sink: AttemptSink;
  readonly #platform: Platform;
  readonly #session: Session;
  /** What the server reads or is asked to, by key. */
  readonly #readings = new Map<string, Reading>();
  /** The keys of those that stand apart, by number. */
  readonly #apart = new Map<unknown, string>();
  /** The keys whose wish is to be said, in this order. */
  readonly #due = new Set<string>();
  #paceTimer: Timer | undefined;
  #isPlanned = false;
  #refreshTimer: Timer | undefined;
  /** The newest token there was since the dialing. */
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

  revise(key: string): void {
    if (!this.#session.isOpen) return;
    this.#due.add(key);
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
    if (this.#session.isOpen) this.#refresh(token, 0);
  }

  probe(): void {
    this.#session.probe();
  }

  close(): void {
    this.#stop();
    this.#session.close();
  }

  /** The token before is good until its end: what is refused for now is asked again. [WS-14] */
  #refresh(token: string, tries: number): void {
    this.#refreshTimer?.cancel();
    this.#session.request(membersIn({ type: 'refresh', token }), (reply) => {
      if (!(reply instanceof CodedError) || token !== this.#newToken) return;
      if (!CODE_RULES[reply.code].temporary) this.#session.end({ kind: 'stale', error: reply });
      if (!this.#session.isOpen) return;
      const { clock, random } = this.#platform;
      const delayMs = backoffMs(tries, random(), { notBeforeMs: reply.retryAfter ?? 0 });
      this.#refreshTimer = clock.after(delayMs, () => this.#refresh(token, tries + 1));
    });
  }

  #stop(): void {
    this.#paceTimer?.cancel();
    this.#refreshTimer?.cancel();
    for (const { retryTimer } of this.#readings.values()) retryTimer?.cancel();
  }

  #onWelcome(welcome: Welcome): void {
    if (this.#newToken !== undefined) this.renew(this.#newToken);
    this.#sink.onReady(welcome);
    this.#due.clear();
    for (const key of this.#sink.keys()) this.#due.add(key);
    this.#sayWishes();
  }

  /** Says what is due, as fast as the server takes commands. */
  #sayWishes(): void {
    this.#isPlanned = false;
    this.#paceTimer?.cancel();
    for (const key of this.#due) {
      if (!this.#session.isOpen) return;
      if (this.#readings.get(key)?.isBusy === true) continue;
      const { paceMs } = this.#session;
      if (paceMs > 0) {
        this.#paceTimer = this.#platform.clock.after(paceMs, () => this.#sayWishes());
        return;
      }
      this.#due.delete(key);
      this.#say(key, this.#sink.wish(key));
    }
  }

  #say(key: string, wish: Wish | undefined): void {
    const reading =
      this.#readings.get(key) ??
      (wish === undefined ? undefined : this.#newReading(key, wish.filter));
    if (reading === undefined) return;
    reading.isBusy = true;
    this.#session.request(wishMembers(reading, wish), (reply) => {
      if (!this.#session.isOpen) return;
      if (reply instanceof CodedError) this.#onError(key, reading, reply);
      else if (wish === undefined) this.#forget(key, reading);
      else this.#onSubscribed(key, reading, reply);
      this.#sayWishes();
    });
  }

  #newReading(key: string, filter: string): Reading {
    let as: number | undefined;
    if (isWildcard(filter)) {
      // The smallest one that is free: what many clients say alike the server writes once.
      for (as = 1; this.#apart.has(as); ) as += 1;
      this.#apart.set(as, key);
    }
    const none = { isBusy: false, isOpen: false, openedMs: Infinity, refusalCount: 0 };
    const reading = { filter, as, ...none };
    this.#readings.set(key, reading);
    return reading;
  }

  #forget(key: string, { as }: Reading): void {
    this.#readings.delete(key);
    this.#apart.delete(as);
  }

  #onSubscribed(key: string, reading: Reading, { fields }: Frame): void {
    const { filter, as } = reading;
    reading.isBusy = false;
    reading.isOpen = true;
    reading.openedMs = this.#platform.clock.monotonicMs();
    if (this.#due.has(key)) return;
    const opening = toOpening(filter, fields);
    if (opening === undefined || fields['as'] !== as) {
      // A server that knows no numbers would not tell what matches several of them to each.
      const what = opening === undefined ? 'a position' : 'its number, and is too old';
      const reason = `the server subscribed to ${filter} without ${what}`;
      this.#session.end({ kind: 'lost', reason });
      return;
    }
    this.#sink.onOpen(opening, key);
    const present = toPresence('presence', fields);
    if (present !== undefined && this.#session.isOpen) this.#sink.onPresence(present);
  }

  /** What was asked of it failed, or the server has ended it. */
  #onError(key: string, reading: Reading, error: CodedError): void {
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
        this.#due.add(key);
        this.#sayWishes();
      });
    } else {
      this.#forget(key, reading);
      // What was read by an older wish goes on otherwise. [CMD-3]
      if (reading.isOpen) this.#session.request(wishMembers(reading, undefined), () => {});
      if (!this.#due.has(key)) this.#sink.onRefused(key, error);
    }
  }

  #onPush(type: string, frame: Frame): void {
    const { fields, source } = frame;
    const { channel, as, position, mark } = fields;
    // What has no number is for the name alone. [APART-2]
    const key = as === undefined ? channel : this.#apart.get(as);
    if (typeof channel !== 'string' || typeof key !== 'string') return;
    if (type === 'message') {
      const message = toMessage(fields, source);
      if (message === undefined) this.#doubt(type, channel);
      else this.#sink.onMessage(message, [key]);
    } else if (type === 'gap') {
      const gap = toGap(fields['gap']);
      if (gap === undefined || typeof position !== 'string') this.#doubt(type, channel);
      else this.#sink.onGap({ kind: 'gap', channel, gap, position }, [key]);
    } else if (type === 'unsubscribed') {
      this.#onUnsubscribed(key, toCode(fields['code'], 'forbidden'));
    } else if (as === undefined) {
      this.#onOther(type, channel, frame);
    } else if (typeof mark === 'string') {
      this.#sink.onMark([key], mark);
    }
  }

  /** Pushes that only a name has, and such as nobody knows. */
  #onOther(type: string, channel: string, { fields, source }: Frame): void {
    const { epoch, to } = fields;
    if (type === 'snapshot') {
      const snapshot = toSnapshot(fields, source);
      if (snapshot !== undefined) this.#sink.onSnapshot(snapshot);
    } else if (type === 'expired' && typeof epoch === 'string' && typeof to === 'number') {
      this.#sink.onExpired(channel, `${epoch}:${to}`);
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
  #onUnsubscribed(key: string, code: ReturnType<typeof toCode>): void {
    const reading = this.#readings.get(key);
    if (reading === undefined) return;
    reading.isOpen = false;
    if (reading.isBusy) return;
    const message = `the server ended the reading of ${reading.filter}`;
    this.#onError(key, reading, new CodedError(code, message));
  }
}

function wishMembers({ filter, as }: Reading, wish: Wish | undefined): string {
  const own = { channel: filter, as };
  if (wish === undefined) return membersIn({ type: 'unsubscribe', ...own });
  return membersIn({ type: 'subscribe', ...own, ...wish, filter: undefined });
}

function membersOf(ask: Ask): string {
  if ('members' in ask) return `"type":"${ask.kind}",${ask.members}`;
  const { kind: type, channel, query } = ask;
  return membersIn({ type, channel, ...query });
}
