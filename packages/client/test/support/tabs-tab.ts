/**
 * Tabs tab: a page with a small client of its own: it comes back after losses, reads from its places
 * and repeats publishes, as a line does, and judges what it is told.
 */
import { formatPosition, isWildcard } from '@trunkline/wire';
import type { CodedError } from '@trunkline/wire';
import type { Ending } from '../../src/ending.ts';
import { json } from '../../src/encodings/json.ts';
import type { OpenEvent, ReceivedMessage } from '../../src/events.ts';
import { transportOf } from '../../src/tabs/shared-transport.ts';
import type { SharedParts } from '../../src/tabs/shared-transport.ts';
import type { Attempt, AttemptSink, Transport, Wish } from '../../src/transports/transport.ts';
import { fakePlatform } from './fakes.ts';
import type { FakePage } from './tabs-fakes.ts';

/** What a tab reads of a filter, and what it got. */
export interface TabReading {
  readonly filter: string;
  readonly positions: Map<string, number>;
  mark: string | undefined;
  hasBegun: boolean;
  /** Where it began. */
  start: string | undefined;
  isOpen: boolean;
  readonly got: ReceivedMessage[];
}

export class FakeTab {
  readonly page: FakePage;
  readonly readings = new Map<string, TabReading>();
  readonly faults: string[] = [];
  readonly endings: Ending[] = [];
  /** Publishes that were answered, by their keys. */
  readonly published: string[] = [];
  readonly #unanswered = new Map<string, string>();
  readonly #transport: Transport;
  attempt: Attempt | undefined;
  isReady = false;
  token: string | undefined;
  room: () => Promise<void> = () => Promise.resolve();

  constructor(page: FakePage, options: Omit<SharedParts, 'locks' | 'openChannel'>) {
    this.page = page;
    const { locks, openChannel } = page;
    this.#transport = transportOf({ page: new EventTarget(), ...options, locks, openChannel });
  }

  /** Begins to connect. */
  dial(): void {
    const { clock, world } = this.page;
    const platform = { ...fakePlatform(), clock, random: () => world.random.fraction() };
    const target = { url: 'http://server.example', encoding: json };
    let hasOpened = false;
    const token = this.token === undefined ? {} : { token: this.token };
    this.attempt = this.#transport.open(
      { ...target, ...token },
      this.#sink(() => hasOpened),
      platform,
    );
    hasOpened = true;
  }

  read(filter: string): TabReading {
    const none = { mark: undefined, start: undefined, hasBegun: false, isOpen: false };
    const reading: TabReading = { filter, positions: new Map(), got: [], ...none };
    this.readings.set(filter, reading);
    this.attempt?.revise(filter);
    return reading;
  }

  stopReading(filter: string): void {
    this.readings.delete(filter);
    this.attempt?.revise(filter);
  }

  /** Publishes until it is answered. */
  publish(key: string, channel: string): void {
    this.#unanswered.set(key, channel);
    if (this.isReady) this.#send(key, channel);
  }

  close(): void {
    this.isReady = false;
    this.attempt?.close();
    this.attempt = undefined;
  }

  #send(key: string, channel: string): void {
    const members = `"channel":${JSON.stringify(channel)},"key":"${key}","data":"${key}"`;
    this.attempt?.request({ kind: 'publish', members }).then(
      () => {
        if (this.#unanswered.delete(key)) this.published.push(key);
      },
      (error: CodedError) => {
        if (error.stored === undefined) this.faults.push(`publish: ${error.message}`);
      },
    );
  }

  #sink(hasOpened: () => boolean): AttemptSink {
    const check = (): void => {
      if (!hasOpened()) this.faults.push('told before open returned');
    };
    return {
      keys: () => [...this.readings.keys()],
      wish: (filter) => this.#wish(filter),
      onReady: () => {
        check();
        this.isReady = true;
        for (const [key, channel] of this.#unanswered) this.#send(key, channel);
      },
      onOpen: (opening) => this.#onOpen(opening),
      onMessage: (message, keys) => this.#onMessage(message, keys),
      onGap: () => this.faults.push('gap'),
      onMark() {},
      onExpired() {},
      onPresence() {},
      onSnapshot() {},
      onRefused: (filter) => this.faults.push(`refused ${filter}`),
      onEnd: (ending) => {
        check();
        this.isReady = false;
        this.attempt = undefined;
        this.endings.push(ending);
        for (const reading of this.readings.values()) reading.isOpen = false;
        if (ending.kind === 'lost') this.page.clock.after(0, () => this.dial());
      },
      room: () => this.room(),
    };
  }

  #wish(filter: string): Wish | undefined {
    const reading = this.readings.get(filter);
    if (reading === undefined) return undefined;
    if (!reading.hasBegun) return { filter };
    if (isWildcard(filter))
      return reading.mark === undefined ? { filter } : { filter, after: reading.mark };
    const offset = reading.positions.get(filter) ?? 0;
    return { filter, after: formatPosition({ epoch: 'e', offset }) };
  }

  #onOpen({ channel, position, mark }: OpenEvent): void {
    const reading = this.readings.get(channel);
    if (reading === undefined) return;
    reading.isOpen = true;
    if (reading.hasBegun) return;
    reading.hasBegun = true;
    reading.mark = mark;
    reading.start = position ?? mark;
    if (position !== undefined) reading.positions.set(channel, Number(position.split(':')[1]));
  }

  #onMessage(message: ReceivedMessage, filters: readonly string[]): void {
    const { channel, offset = 0, mark } = message;
    for (const filter of filters) {
      const reading = this.readings.get(filter);
      if (reading?.isOpen !== true) continue;
      const known = reading.positions.get(channel);
      if (mark !== undefined && markOf(mark) > markOf(reading.mark)) reading.mark = mark;
      if (known !== undefined && offset <= known) continue;
      if (known !== undefined && offset > known + 1) {
        this.faults.push(`${this.page.name} ${filter}: ${channel} from ${known} to ${offset}`);
      }
      reading.positions.set(channel, offset);
      reading.got.push(message);
    }
  }
}

function markOf(mark: string | undefined): number {
  return Number(mark?.slice(1) ?? -1);
}
