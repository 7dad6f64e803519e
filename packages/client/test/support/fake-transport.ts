/** A transport whose server is the test: it notes what is to be read, and opens it at once. */
import { CodedError, matchesPattern } from '@trunkline/wire';
import type { CodeName, Member } from '@trunkline/wire';
import type { Frame } from '../../src/encodings/encoding.ts';
import type {
  Ask,
  Attempt,
  AttemptSink,
  Target,
  Transport,
  Wish,
} from '../../src/transports/transport.ts';

export class FakeTransport implements Transport {
  readonly name = 'websocket';
  /** What was asked for, in order: a wish, or the filter that is not to be read any more. */
  readonly wishes: (Wish | string)[] = [];
  readonly asks: Ask[] = [];
  /** What was sent without an answer. */
  readonly sent: string[] = [];
  /** The keys of what is read now. */
  readonly read = new Set<string>();
  /** Filters that are refused. */
  readonly forbidden = new Set<string>();
  /** What is to be asked for at the end of this turn. */
  readonly #due = new Set<string>();
  #sink: AttemptSink | undefined;
  #isReady = false;
  #offset = 0;

  fault(): undefined {
    return undefined;
  }

  open(_target: Target, sink: AttemptSink): Attempt {
    this.#sink = sink;
    this.read.clear();
    return {
      revise: (key) => this.#plan(key),
      request: (ask) => this.#answer(ask),
      send: (members) => this.sent.push(members),
      renew: () => {},
      probe: () => {},
      close: () => (this.#sink = undefined),
    };
  }

  /** Takes the attempt that waits, and reads what is to be read. */
  accept(): void {
    this.#isReady = true;
    this.#sink?.onReady({ session: 's' });
    for (const key of this.#sink?.keys() ?? []) this.#ask(key);
  }

  /** The connection is lost. */
  drop(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#isReady = false;
    sink?.onEnd({ kind: 'lost', reason: 'dropped' });
  }

  /** The next messages of a channel, whose payloads these are. */
  push(channel: string, ...values: readonly unknown[]): void {
    for (const data of values) {
      this.#offset += 1;
      const place = { offset: this.#offset, epoch: 'e', time: 1 };
      this.#sink?.onMessage({ kind: 'message', channel, data, ...place }, this.#keysFor(channel));
    }
  }

  /** Messages of a channel are lost. */
  lose(channel: string): void {
    this.#offset += 5;
    const position = `e:${this.#offset}`;
    const gap = { reason: 'trimmed' } as const;
    this.#sink?.onGap({ kind: 'gap', channel, gap, position }, this.#keysFor(channel));
  }

  /** Everything up to the mark was told. */
  reach(mark: string, ...keys: readonly string[]): void {
    this.#sink?.onMark(keys, mark);
  }

  /** Who is there. */
  list(channel: string, ...members: readonly Member[]): void {
    this.#sink?.onPresence({ kind: 'presence', channel, members, count: members.length });
  }

  /** So many are there, too many to list. */
  crowd(channel: string, count: number, ...members: readonly Member[]): void {
    this.#sink?.onPresence({ kind: 'presence', channel, members, count, next: 'more' });
  }

  join(channel: string, member: Member): void {
    this.#sink?.onPresence({ kind: 'join', channel, member });
  }

  leave(channel: string, member: Member): void {
    this.#sink?.onPresence({ kind: 'leave', channel, member });
  }

  /** Refuses what is read. */
  refuse(filter: string, code: CodeName): void {
    this.read.delete(filter);
    this.#sink?.onRefused(filter, new CodedError(code, 'by the test'));
  }

  #plan(key: string): void {
    this.#due.add(key);
    queueMicrotask(() => this.#due.delete(key) && this.#ask(key));
  }

  #ask(key: string): void {
    if (!this.#isReady) return;
    const wish = this.#sink?.wish(key);
    this.wishes.push(wish ?? key);
    if (wish === undefined) {
      this.read.delete(key);
      return;
    }
    this.read.add(key);
    const position = wish.after ?? `e:${this.#offset}`;
    queueMicrotask(() => {
      if (this.forbidden.has(key)) this.refuse(key, 'forbidden');
      else this.#sink?.onOpen({ kind: 'open', channel: wish.filter, position }, key);
    });
  }

  #keysFor(channel: string): string[] {
    const keys = [...this.read.keys()];
    return keys.filter(
      (key) => key === channel || matchesPattern(key.split('\n')[0] ?? '', channel),
    );
  }

  #answer(ask: Ask): Promise<Frame> {
    this.asks.push(ask);
    return Promise.resolve({ fields: {} });
  }
}
