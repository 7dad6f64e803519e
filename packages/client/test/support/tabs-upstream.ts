/** Tabs upstream: a server with channels, and connections to it that a test breaks. */
import {
  CodedError,
  formatPosition,
  isWildcard,
  matchesPattern,
  parsePosition,
} from '@trunkline/wire';
import type { Frame } from '../../src/encodings/encoding.ts';
import type { Ending } from '../../src/ending.ts';
import type { ReceivedMessage } from '../../src/events.ts';
import type { Reading, ReadListener, Upstream, UpstreamState } from '../../src/tabs/upstream.ts';
import type { Ask, Wish } from '../../src/transports/transport.ts';
import type { FakePage } from './tabs-fakes.ts';

/** The epoch of all channels. */
const EPOCH = 'e';

/** What is stored, in the order of all channels together. */
export class FakeLog {
  readonly messages: ReceivedMessage[] = [];
  readonly #tops = new Map<string, number>();
  readonly #keys = new Map<string, ReceivedMessage>();
  readonly upstreams = new Set<FakeUpstream>();
  /** All that were ever made. */
  upstreamCount = 0;

  publish(channel: string, data: unknown, key?: string): ReceivedMessage {
    const known = key === undefined ? undefined : this.#keys.get(key);
    if (known !== undefined) return known;
    const offset = (this.#tops.get(channel) ?? 0) + 1;
    this.#tops.set(channel, offset);
    const mark = `~${this.messages.length + 1}`;
    const message = { kind: 'message', channel, offset, epoch: EPOCH, data, mark } as const;
    this.messages.push(message);
    if (key !== undefined) this.#keys.set(key, message);
    for (const upstream of this.upstreams) upstream.hear(message);
    return message;
  }

  topOf(channel: string): number {
    return this.#tops.get(channel) ?? 0;
  }

  /** What is behind a place. */
  after(filter: string, after: string): ReceivedMessage[] {
    const index = after.startsWith('~') ? Number(after.slice(1)) : 0;
    const offset = parsePosition(after)?.offset ?? 0;
    return this.messages.filter(
      (message, at) =>
        at >= index && matches(filter, message.channel) && (message.offset ?? 0) > offset,
    );
  }

  placeOf(filter: string): { readonly position: string } | { readonly mark: string } {
    if (isWildcard(filter)) return { mark: `~${this.messages.length}` };
    return { position: formatPosition({ epoch: EPOCH, offset: this.topOf(filter) }) };
  }
}

function matches(filter: string, channel: string): boolean {
  return filter === channel || (isWildcard(filter) && matchesPattern(filter, channel));
}

interface FakeReading {
  readonly wish: Wish;
  readonly listener: ReadListener;
  isOpen: boolean;
  /** How much was stored when it began. */
  from: number;
}

/** A connection in a page. */
export class FakeUpstream implements Upstream {
  readonly wishes: Wish[] = [];
  readonly renewed: string[] = [];
  readonly sent: string[] = [];
  probeCount = 0;
  isClosed = false;
  /** What a publish waits for; a test may hold it back. */
  holdsAnswers = false;
  readonly #log: FakeLog;
  readonly #page: FakePage;
  readonly #lane: { readonly tasks: (() => void)[] };
  readonly #readings = new Set<FakeReading>();
  readonly #rejects = new Set<(error: Error) => void>();
  #listener = (): void => {};
  #state: UpstreamState = { kind: 'away' };
  /** Each connection of the server's is another one, with its own order. */
  #life = 0;

  constructor(log: FakeLog, page: FakePage) {
    this.#log = log;
    this.#page = page;
    this.#lane = page.world.lane(page);
    log.upstreams.add(this);
    log.upstreamCount += 1;
  }

  get state(): UpstreamState {
    return this.#state;
  }

  /** Readings on the wire, while its page lives. */
  get readingCount(): number {
    return this.#page.isAlive ? this.#readings.size : 0;
  }

  onState(listener: () => void): void {
    this.#listener = listener;
  }

  /** The server is reached. */
  comeUp(session = 's'): void {
    this.#enter({ kind: 'ready', welcome: { session } });
  }

  /** The connection is lost. */
  goAway(): void {
    this.#enter({ kind: 'away' });
  }

  /** The server's last word. */
  fail(ending: Ending): void {
    this.#enter({ kind: 'ended', ending });
  }

  read(wish: Wish, listener: ReadListener): Reading {
    const reading: FakeReading = { wish, listener, isOpen: false, from: 0 };
    this.wishes.push(wish);
    this.#readings.add(reading);
    this.#later(() => this.#begin(reading));
    return { end: () => this.#readings.delete(reading) };
  }

  request(ask: Ask): Promise<Frame> {
    return new Promise((resolve, reject) => {
      this.#rejects.add(reject);
      this.#later(() => {
        const { channel, data, key } = JSON.parse(`{${'members' in ask ? ask.members : ''}}`) as {
          readonly [Name in 'channel' | 'key']: string;
        } & { readonly data: unknown };
        const { offset } = this.#log.publish(channel, data, key);
        const answer = (): void => {
          this.#rejects.delete(reject);
          resolve({ fields: { type: 'published', channel, offset } });
        };
        if (!this.holdsAnswers) this.#later(answer);
      });
    });
  }

  send(members: string): void {
    this.sent.push(members);
  }

  renew(token: string): void {
    this.renewed.push(token);
  }

  probe(): void {
    this.probeCount += 1;
  }

  close(): void {
    this.isClosed = true;
    this.#log.upstreams.delete(this);
    this.#readings.clear();
    this.#life += 1;
  }

  /** Something was published. */
  hear(message: ReceivedMessage): void {
    const index = this.#log.messages.length - 1;
    this.#later(() => {
      for (const { isOpen, from, wish, listener } of this.#readings) {
        const isNews = isOpen && index >= from;
        if (isNews && matches(wish.filter, message.channel)) listener.onMessage(message);
      }
    });
  }

  #begin(reading: FakeReading): void {
    if (!this.#readings.has(reading)) return;
    const { filter, after } = reading.wish;
    const { listener } = reading;
    reading.isOpen = true;
    reading.from = this.#log.messages.length;
    if (after === undefined) {
      listener.onOpen({ kind: 'open', channel: filter, ...this.#log.placeOf(filter) });
      return;
    }
    const at = after.startsWith('~') ? { mark: after } : { position: after };
    listener.onOpen({ kind: 'open', channel: filter, recovered: true, ...at });
    for (const message of this.#log.after(filter, after)) {
      if (this.#readings.has(reading)) listener.onMessage(message);
    }
  }

  #enter(state: UpstreamState): void {
    this.#state = state;
    if (state.kind !== 'ready') {
      this.#life += 1;
      this.#readings.clear();
      const error = new CodedError('unavailable', 'the connection was lost', { stored: 'unknown' });
      for (const reject of this.#rejects) reject(error);
      this.#rejects.clear();
    }
    this.#listener();
  }

  #later(task: () => void): void {
    const life = this.#life;
    this.#lane.tasks.push(() => {
      if (life === this.#life && this.#page.isAlive) task();
    });
  }
}
