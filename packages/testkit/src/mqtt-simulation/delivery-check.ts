/**
 * DeliveryCheck: from the log to the application. In one session and channel messages come in the
 * order of the log, each that is due, and again only as its QoS allows.
 *
 * A message is due when its QoS, limited by the subscription, was 1 or 2 all the time since it was
 * stored. It may come when the channel was subscribed to before the server knew that it was stored.
 */
import { matchesPattern } from '@trunkline/wire';
import type { Qos } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import type {
  ArrivedEvent,
  CommittedEvent,
  CrashEvent,
  DeliveredEvent,
  KnownEvent,
  LossEvent,
  MqttHistory,
  MqttPromise,
  MqttViolation,
  RestEvent,
  SubscribeEvent,
  UnsubscribeEvent,
} from './mqtt-history.ts';
import { SubscriptionLevels } from './subscription-levels.ts';

/** A message in the log. */
interface Stored {
  readonly payload: string;
  readonly position: string;
  /** When it was stored, as a place among all events. */
  readonly index: number;
  /** When its server knew it, or was killed. */
  knownMs: number;
  readonly qos: Qos;
}

/** What one session was given of a channel. */
interface Reading {
  /** Before this place of the log everything came that had to. */
  next: number;
  /** A loss was told, and nothing was skipped since. */
  isLossy: boolean;
  /** When each place came last. */
  readonly given: Map<number, number>;
}

interface Session {
  readonly name: string;
  readonly levels: SubscriptionLevels;
  readonly readings: ReadonlyMap<string, Reading>;
  /** How often its application got each message of QoS 2. */
  readonly exact: Map<string, number>;
}

type Fail = (promise: MqttPromise, text: string) => void;

/** What the check is made from. */
export interface DeliveryCheckParts extends Omit<MqttHistory, 'events'> {
  readonly report: (violation: MqttViolation) => void;
  /** The QoS with which a message was published; absent for one of another protocol. */
  readonly qosOf: (payload: string) => Qos | undefined;
}

export class DeliveryCheck {
  readonly #parts: DeliveryCheckParts;
  readonly #log: ReadonlyMap<string, Stored[]>;
  readonly #sessions = new Map<string, Session>();
  #crashIndex = -1;

  constructor(parts: DeliveryCheckParts) {
    this.#parts = parts;
    this.#log = new Map(parts.channels.map((channel) => [channel, []]));
  }

  onCommitted({ channel, payload, position }: CommittedEvent, index: number): void {
    const qos = this.#parts.qosOf(payload) ?? 2;
    this.#log.get(channel)?.push({ payload, position, index, qos, knownMs: Infinity });
  }

  onKnown({ channel, position, atMs }: KnownEvent): void {
    const stored = this.#log.get(channel)?.find((one) => one.position === position);
    if (stored !== undefined) stored.knownMs = Math.min(stored.knownMs, atMs);
  }

  onCrash({ atMs }: CrashEvent, index: number): void {
    this.#crashIndex = index;
    for (const stored of [...this.#log.values()].flat()) {
      stored.knownMs = Math.min(stored.knownMs, atMs);
    }
  }

  onSubscription(event: SubscribeEvent | UnsubscribeEvent, index: number): void {
    this.#session(event.session).levels.note(event, index);
  }

  onArrived(event: ArrivedEvent, index: number): void {
    const { channel, step } = event;
    const session = this.#session(event.session);
    const fail = this.#failer(session, event, step);
    const log = this.#log.get(channel) ?? [];
    const reading = session.readings.get(channel);
    if (event.retain) fail('unasked', 'came as retained, and nobody retains');
    if (reading === undefined) return fail('unasked', 'came in a channel that nobody has');
    const places = placesOf(log, event);
    const [place] = places;
    const stored = place === undefined ? undefined : log[place];
    if (place === undefined || stored === undefined) return fail('unasked', 'is not in the log');
    const misfits = places.map((one) => this.#misfit(session, log[one] ?? stored, event, index));
    const [misfit] = misfits;
    if (misfit !== undefined && !misfits.includes(undefined)) fail('unasked', misfit);
    if (places.length === 1) {
      this.#checkPlace(session, { place, stored, reading }, { event, index, fail });
    }
    // Of equal ones nobody can say which came: none of them is missing any more.
    for (const one of places) reading.given.set(one, index);
    return undefined;
  }

  /** What came is the next one that is due, or comes again as it may. */
  #checkPlace(
    session: Session,
    { place, stored, reading }: { place: number; stored: Stored; reading: Reading },
    { event, index, fail }: { event: ArrivedEvent; index: number; fail: Fail },
  ): void {
    const { channel, qos, dup, step } = event;
    const told = stored.position;
    const givenIndex = reading.given.get(place);
    if (givenIndex === undefined && place >= reading.next) {
      this.#skip(session, channel, place, { index, step });
    } else if (givenIndex === undefined) fail('order', `(${told}) came behind later ones`);
    else if (qos === 0) fail('twice', `(${told}) came again`);
    // A server that was killed may not know what it has sent.
    else if (!dup && this.#crashIndex < givenIndex) {
      fail('twice', `(${told}) came again without DUP`);
    }
    reading.next = Math.max(reading.next, place + 1);
  }

  onDelivered(event: DeliveredEvent): void {
    const { channel, payload, qos, step } = event;
    if (qos !== 2) return;
    const session = this.#session(event.session);
    const id = `${channel} ${payload}`;
    const count = (session.exact.get(id) ?? 0) + 1;
    session.exact.set(id, count);
    const stored = (this.#log.get(channel) ?? []).filter((one) => one.payload === payload).length;
    if (count <= stored) return;
    const told = `was delivered ${count} times and is stored ${stored} times`;
    this.#failer(session, event, step)('twice', told);
  }

  onLoss({ session: name, filter, step }: LossEvent): void {
    const channels = this.#parts.channels.filter((channel) => matchesPattern(filter, channel));
    if (!channels.some((channel) => this.#parts.mayLose(channel))) {
      const message = `${name}: a loss is told in ${filter}, where nothing can be lost`;
      this.#parts.report({ promise: 'alarm', step, message });
    }
    for (const channel of channels) {
      const reading = this.#session(name).readings.get(channel);
      if (reading !== undefined) reading.isLossy = true;
    }
  }

  /** Who is at rest has everything. */
  onRest({ sessions, step }: RestEvent, index: number): void {
    for (const name of sessions) {
      for (const [channel, log] of this.#log) {
        this.#skip(this.#session(name), channel, log.length, { index, step });
      }
    }
  }

  /** What is before this place and did not come was not due, or is told to be lost. */
  #skip(
    session: Session,
    channel: string,
    place: number,
    { index, step }: { readonly index: number; readonly step: number },
  ): void {
    const reading = session.readings.get(channel);
    const log = this.#log.get(channel) ?? [];
    if (reading === undefined) return;
    const missing = log.slice(reading.next, place).filter((stored) => {
      const { low } = session.levels.between(channel, stored.index, index);
      return Math.min(low, stored.qos) >= 1 && !isGivenElsewhere(log, reading, stored);
    });
    reading.next = Math.max(reading.next, place);
    if (missing.length === 0) return;
    const isTold = reading.isLossy && this.#parts.mayLose(channel);
    reading.isLossy = false;
    if (isTold) return;
    for (const { payload, position, qos } of missing) {
      const fail = this.#failer(session, { payload, channel, qos }, step);
      fail('loss', `(${position}) did not come, and no loss was told`);
    }
  }

  /** Why a message may not come in this way; `undefined` when it may. */
  #misfit(
    { levels }: Session,
    stored: Stored,
    { channel, qos }: ArrivedEvent,
    index: number,
  ): string | undefined {
    if (!levels.wasAsked(channel, stored.index, stored.knownMs + this.#parts.seenMs)) {
      return `(${stored.position}) was stored when nobody had asked for it`;
    }
    const { low, high } = levels.between(channel, stored.index, index);
    const least = Math.min(stored.qos, Math.max(low, 0));
    const most = Math.min(stored.qos, high);
    if (qos >= least && qos <= most) return undefined;
    return `(${stored.position}) must come with QoS ${least} to ${most}`;
  }

  #failer(
    { name }: Session,
    { payload, channel, qos }: { payload: string; channel: string; qos: Qos },
    step: number,
  ): Fail {
    return (promise, text) => {
      const message = `${name}: ${payload} of ${channel} with QoS ${qos} ${text}`;
      this.#parts.report({ promise, step, message });
    };
  }

  #session(name: string): Session {
    let session = this.#sessions.get(name);
    if (session === undefined) {
      const { channels } = this.#parts;
      const readings = channels.map((channel): [string, Reading] => [
        channel,
        { next: 0, isLossy: false, given: new Map() },
      ]);
      const levels = new SubscriptionLevels();
      session = { name, levels, readings: new Map(readings), exact: new Map() };
      this.#sessions.set(name, session);
    }
    return session;
  }
}

/** Which places of the log a message may be of: QoS 1 may have stored it several times. */
function placesOf(log: readonly Stored[], { payload, position }: ArrivedEvent): number[] {
  return [...log.keys()].filter((place) => {
    const stored = log[place];
    return stored?.payload === payload && (position === undefined || stored.position === position);
  });
}

/** The same payload, stored several times, can't be told apart when it comes. */
function isGivenElsewhere(log: readonly Stored[], reading: Reading, stored: Stored): boolean {
  return [...reading.given.keys()].some((place) => log[place]?.payload === stored.payload);
}
