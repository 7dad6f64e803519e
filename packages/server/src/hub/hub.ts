/**
 * Hub: one node's meeting point, where every protocol meets every channel.
 *
 * Permission and limits are checked here, once for all protocols. A subscription is opened in two
 * steps, so that its answer leaves before its messages: `subscribe` judges where it begins,
 * `start` lets it run.
 */
import { CodedError, matchesPattern } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import { isGranted } from '../auth/identity.ts';
import type { Action, Identity } from '../auth/identity.ts';
import { BrokerError } from '../broker/broker.ts';
import type { Idempotency, Published } from '../broker/broker.ts';
import type { Alarm, AlarmMarks } from '../wheel.ts';
import { ChannelTable, refusal } from './channel-table.ts';
import type { TableParts } from './channel-table.ts';
import type { Channel } from './channel.ts';
import { PUBLISH_MS } from './config.ts';
import { Cursor } from './cursor.ts';
import { FanOut } from './fan-out.ts';
import { readHistory } from './history.ts';
import type {
  ActiveChannel,
  Caller,
  HistoryPage,
  HistoryRequest,
  HubCalls,
  PublishRequest,
  ReadRequest,
  ReadResult,
  Start,
  Subscriber,
  Verdict,
} from './hub-types.ts';
import { LogReader } from './log-reader.ts';
import { Waits } from './patience.ts';
import { patientRead, resolveMark } from './patient-read.ts';
import type { ReadParts } from './patient-read.ts';
import { judge } from './recovery.ts';

/** What a hub is built from. */
export type HubParts = TableParts;

/** A subscription that was opened and not yet started. */
export interface Opened extends Verdict {
  readonly cursor: Cursor;
}

/** Counters since the start, for the metrics. */
export interface HubCounts {
  readonly published: number;
  readonly delivered: number;
}

/** One node's hub. */
export class Hub implements HubCalls {
  readonly #parts: HubParts;
  readonly #fanOut: FanOut;
  readonly #table: ChannelTable;
  readonly #readParts: ReadParts;
  #publishedCount = 0;

  constructor(parts: HubParts) {
    const { broker, wheel, clock, log } = parts;
    const { highWaterSize } = parts.config;
    this.#parts = parts;
    const table = new ChannelTable(parts, {
      flush: (channel: Channel, isOnly?: boolean) => this.#fanOut.flush(channel, isOnly),
      interrupt: (channel: Channel) => this.#fanOut.interrupt(channel),
    });
    const reader = new LogReader(broker, clock, table);
    this.#table = table;
    this.#fanOut = new FanOut({ table, reader, highWaterSize, clock, log });
    this.#readParts = { broker, wheel, table, reader, waits: new Waits() };
  }

  /** Opens the broker. @throws {BrokerError} when the log can't be opened. */
  async open(): Promise<void> {
    await this.#parts.broker.open(this.#table);
  }

  /** Closes the broker; what it accepted is stored first, and whoever waits is answered. */
  async close(): Promise<void> {
    this.endWaits();
    this.#table.close();
    await this.#parts.broker.close();
  }

  /** Bytes that are kept in memory for readers who come back, roughly. */
  get keptSize(): number {
    return this.#table.keptSize;
  }

  /** Counters, for the metrics. */
  get counts(): HubCounts {
    return { published: this.#publishedCount, delivered: this.#fanOut.deliveredCount };
  }

  /** @throws {CodedError} `forbidden` when neither a token nor the namespace allows it. */
  demand(identity: Identity, action: Action, channel: string): void {
    if (this.permits(identity, action, channel)) return;
    const who = identity.user === undefined ? 'this client' : `user ${identity.user}`;
    throw new CodedError('forbidden', `${who} may not ${action} ${channel}`);
  }

  /** True when the identity may do it: by its token, its own channel, or the namespace. */
  permits(identity: Identity, action: Action, channel: string): boolean {
    if (identity.kind === 'server') return true;
    if (channel.startsWith('@')) {
      // A user's own channel is hers to read, whatever a pattern or a token says [CH-2].
      return action !== 'publish' && identity.user !== undefined && channel === `@${identity.user}`;
    }
    if (isGranted(identity, action, channel)) return true;
    return this.#parts.config.rulesOf(channel).allow[identity.kind].includes(action);
  }

  /**
   * Opens a subscription; it delivers nothing before `start`.
   *
   * @throws {CodedError} `forbidden`, or `unavailable` when the log can't be read.
   */
  async subscribe(
    subscriber: Subscriber,
    caller: Caller,
    name: string,
    start: Start,
  ): Promise<Opened> {
    this.demand(caller.identity, 'subscribe', name);
    const channel = await this.#table.acquire(name);
    try {
      const resolved = await resolveMark(this.#readParts, channel, start);
      const bounds = await this.#readParts.reader.boundsFor(channel, resolved);
      const verdict = judge(resolved, bounds, channel.rules.resumeCountMax);
      return { ...verdict, cursor: new Cursor(subscriber, channel, verdict.position) };
    } catch (error) {
      this.#table.release(channel);
      throw refusal(error);
    }
  }

  /** Lets a subscription run from where it was opened. */
  start(cursor: Cursor): void {
    this.#fanOut.start(cursor);
  }

  /** The cursor's link has drained: it moves on if it is behind. */
  advance(cursor: Cursor): void {
    this.#fanOut.advance(cursor);
  }

  /** Ends a subscription. Idempotent. */
  unsubscribe(cursor: Cursor): void {
    this.#fanOut.end(cursor);
  }

  /** @throws {CodedError} that says whether the message may have been stored all the same [PUB-4]. */
  async publish(caller: Caller, channel: string, request: PublishRequest): Promise<Position> {
    try {
      this.demand(caller.identity, 'publish', channel);
      const rules = this.#parts.config.rulesOf(channel);
      const size = request.payload.length;
      if (size > rules.messageBytesMax) {
        const expected = `a message in ${channel} may have ${rules.messageBytesMax} bytes`;
        throw new CodedError('too_large', `${expected}, got ${size}`);
      }
      const { key, ...draft } = request;
      const idempotency = key === undefined ? {} : { idempotency: idempotencyOf(caller, key) };
      const publishing = this.#parts.broker.publish(channel, draft, {
        retention: rules.history,
        durable: rules.durable,
        ...idempotency,
      });
      const { position } = await this.#inTime(publishing);
      this.#publishedCount += 1;
      return position;
    } catch (error) {
      throw withStored(refusal(error));
    }
  }

  /** An answer of the log, or one instead of it when it does not come in time [PUB-4]. */
  #inTime(publishing: Promise<Published>): Promise<Published> {
    const { wheel, config } = this.#parts;
    const { publishMs = PUBLISH_MS } = config;
    return new Promise((resolve, reject) => {
      const deadline = new Deadline(() => {
        const message = `the log did not answer within ${publishMs} ms`;
        reject(new BrokerError('unavailable', message, { stored: 'unknown' }));
      });
      wheel.arm(deadline, publishMs);
      publishing.then(resolve, reject).finally(() => wheel.cancel(deadline));
    });
  }

  async read(caller: Caller, request: ReadRequest): Promise<ReadResult> {
    for (const name of request.channels.keys()) this.demand(caller.identity, 'subscribe', name);
    try {
      return await patientRead(this.#readParts, request);
    } catch (error) {
      throw refusal(error);
    }
  }

  async history(caller: Caller, channel: string, request: HistoryRequest): Promise<HistoryPage> {
    this.demand(caller.identity, 'history', channel);
    try {
      return await readHistory(this.#parts.broker, channel, request);
    } catch (error) {
      throw refusal(error);
    }
  }

  /** Reads that wait now. */
  get waitCount(): number {
    return this.#readParts.waits.count;
  }

  /** All waiting reads answer now and later ones do not wait: the node is going away. */
  endWaits(): void {
    this.#readParts.waits.end();
  }

  activeChannels(pattern: string): readonly ActiveChannel[] {
    const active: ActiveChannel[] = [];
    for (const channel of this.#table.channels) {
      if (channel.users === 0 || !matchesPattern(pattern, channel.name)) continue;
      active.push({ channel: channel.name, subscribers: channel.users });
    }
    return active;
  }
}

/** What fails before the broker is asked is not stored; of a fault of ours nobody knows. */
function withStored(error: CodedError): CodedError {
  if (error.stored !== undefined) return error;
  const { code, message, cause } = error;
  return new CodedError(code, message, { stored: code === 'internal' ? 'unknown' : false, cause });
}

/** A wait that ends by itself, on the wheel that all share. */
class Deadline implements Alarm {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly onAlarm: () => void;

  constructor(onAlarm: () => void) {
    this.onAlarm = onAlarm;
  }
}

/** Keys are a user's own; anonymous clients share theirs, as nothing tells them apart. */
function idempotencyOf(caller: Caller, key: string): Idempotency {
  const { kind, user } = caller.identity;
  return { key, scope: kind === 'user' ? `user:${user ?? ''}` : kind };
}
